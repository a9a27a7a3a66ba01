"""Recipes of published numbers, from a tree of a data set's layout to the paper's measure.

Each paper's protocol on each data set, and each kind of model with what it starts from; the others
differ from these in their numbers and in the names of their features. The backbones and models are
narrow ones, which give maps or vectors as the published ones do; data, splits, sampling, optimizer,
schedule and protocol are the recipe's own.
"""

import functools
import json
import re

import keras
import pytest
import tensorflow as tf

from glimpse.models import C3D
from glimpse.pipelines.clips import read_clips
from glimpse.pipelines.model_building import make_classifier
from glimpse.pipelines.published_numbers import RECIPES, read_published_numbers
from glimpse.pipelines.recipe_plan import DATASETS, plan_recipe
from glimpse.reproduction import Reproduction
from glimpse.training_flags import read_recipe
from tests import dataset_trees, sports_trees
from tests.recipes_test import SMALL
from tests.run_command import run_command

TREES = {
    "ucf11": functools.partial(dataset_trees.make_ucf11, clips=1, groups=4),
    "hmdb51": dataset_trees.make_hmdb51,
    "hollywood2": functools.partial(dataset_trees.make_hollywood2, num_frames=32),
    "activitynet": functools.partial(
        dataset_trees.make_activitynet, train=2, test=1, num_frames=194
    ),
    "ucf_sports": functools.partial(sports_trees.make_ucf_sports, sequences=3),
    "olympic_sports": functools.partial(sports_trees.make_olympic_sports),
    "msvd": functools.partial(dataset_trees.make_msvd, more=3),
}
# So many of ActivityNet's few clips that some of them have 192 frames.
OPTIONS = {"activitynet": {"val_fraction": 0.5}}
# Clips that each tree lacks, or has broken; ActivityNet's further ones are too short for C3D.
ABSENT = {
    "ucf11": 1,
    "hmdb51": 1,
    "activitynet": 2,
    "ucf_sports": 150 - 3 * 13,
    "olympic_sports": 1,
}
SHORT = {"activitynet": 1}
# Metric, level and rule of each data set's papers.
PROTOCOLS = {
    "ucf11": ("clip_accuracy", "clip", "mean"),
    "hmdb51": ("clip_accuracy", "clip", "mean"),
    "hollywood2": ("mean_average_precision", "clip", "mean"),
    "activitynet": ("clip_accuracy", "clip", "mean"),
    "ucf_sports": ("step_accuracy", "clip", "mean"),
    "olympic_sports": ("mean_average_precision", "clip", "mean"),
    "msvd": ("bleu4", "clip", "mean"),
}


def kind_of(plan):
    """What a recipe does that others may do too."""
    if plan.describes or plan.members:
        return plan.recipe if plan.describes else "ensemble", bool(plan.starts_from)
    config = read_recipe(RECIPES / f"{plan.recipe}.flags")
    return type(make_classifier(config, ["a", "b"])).__name__, bool(plan.starts_from)


def recipes_of_every_kind():
    """Returns names of recipes: the first of each paper and data set, and of each kind."""
    names, met = [], set()
    # The shorter names have the fewer members.
    numbers = read_published_numbers()
    for name in sorted(sorted({number.recipe for number in numbers}), key=len):
        plan = plan_recipe(name)
        found = {(name.split("_")[0], plan.dataset), kind_of(plan)}
        if not found <= met:
            names.append(name)
            met |= found
    return sorted(names)


NAMES = recipes_of_every_kind()


def write_backbone(path, gives_vectors):
    """A backbone of random weights that gives maps (7, 7, 6) or vectors (6,)."""
    frames = keras.Input((None, None, 3), dtype="uint8")
    pixels = keras.layers.Rescaling(1 / 255)(frames)
    found = keras.layers.Resizing(14, 14)(pixels)
    found = keras.layers.Conv2D(4, 2, strides=2, activation="relu")(found)
    if gives_vectors:
        found = keras.layers.Dense(6)(keras.layers.Flatten()(found))
    else:
        found = keras.layers.Conv2D(6, 1)(found)
    keras.Model(frames, found).save(path)
    return str(path)


def write_c3d(path, output):
    sizes = {"filters": (4, 4, 4, 4, 4), "frame_size": (32, 32), "input_size": (32, 32)}
    backbone = C3D(output, mean=(127, 127, 127), scale=1 / 128, units=6, classes=6, **sizes)
    backbone.build((None, 16, 32, 32, 3))
    backbone.save(path)
    return str(path)


@pytest.fixture(scope="module")
def backbones(tmp_path_factory):
    """{name of features: file}, for all that the recipes read."""
    folder = tmp_path_factory.mktemp("backbones")
    vectors = [f"vgg19{kind}_{out}" for kind in ("", "_203", "_205") for out in ("fc6", "fc8")]
    files = {
        name: write_backbone(folder / f"{name}.keras", name in vectors)
        for name in ("googlenet", "resnet152", *vectors)
    }
    for output in ("fc6", "fc8"):
        files[f"c3d_{output}"] = write_c3d(folder / f"c3d_{output}.keras", output)
    return files


@pytest.fixture(scope="module")
def reproduce(tmp_path_factory, backbones):
    """Runs a recipe, and before it what it starts from; one folder for each data set."""
    place = tmp_path_factory.mktemp("reproductions")

    @functools.cache
    def clips(dataset):
        (place / dataset).mkdir()
        return read_clips(TREES[dataset](place / dataset), dataset, **OPTIONS.get(dataset, {}))

    @functools.cache
    def run(name):
        plan = plan_recipe(name)
        plans = [plan_recipe(member) for member in plan.members] or [plan]
        start = None
        for each in plans:
            if each.starts_from:
                run(each.starts_from)
                start = place / "activitynet_runs"
            elif each.needs_start:
                start = "scratch"
        needed = [features.name for each in plans for features in each.needs]
        reproduction = Reproduction(
            name,
            clips(plan.dataset),
            place / f"{plan.dataset}_runs",
            {each: backbones[each] for each in needed if each != "pixels"},
            changes=small(plans[0].recipe),
            start=start,
            eval_windows=2 if name.startswith("torabi") else None,
            allow_missing=ABSENT.get(plan.dataset, 0) + SHORT.get(plan.dataset, 0),
            progress=False,
        )
        return reproduction, reproduction.run()

    # To trace a function takes longer than the few steps that it would be called for.
    tf.config.run_functions_eagerly(True)
    yield run
    tf.config.run_functions_eagerly(False)


def small(name):
    """Changes that make a recipe's model narrow and its training short."""
    if plan_recipe(name).describes:
        options = {"units": 6, "embedding_dim": 4}
        return {"epochs": 1, "batch_size": 8, "model_options": json.dumps(options)}
    config = read_recipe(RECIPES / f"{name}.flags")
    kind = type(make_classifier(config, ["a", "b"])).__name__
    options = {**config.model_options, **SMALL[kind]}
    batch = 2 if kind == "C3DClassifier" else 24
    changes = {"epochs": 1, "batch_size": batch}
    if kind == "C3DClassifier":
        # Weights drawn anew do not bear what the published ones do.
        options["scale"], changes["learning_rate"] = 1 / 128, 1e-6
    return {**changes, "model_options": json.dumps(options)}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_meets_its_data(reproduce, name):
    reproduction, results = reproduce(name)
    dataset = plan_recipe(name).dataset
    metric, level, rule = PROTOCOLS[dataset]
    protocol = results["stamp"]["protocol"]
    assert protocol["name"] == dataset
    assert (protocol["metric"], protocol["level"], protocol["rule"]) == (metric, level, rule)
    assert results["headline"]["metric"] == metric
    assert 0 <= results["headline"]["value"] <= 1
    stamp = results["stamp"]
    lost = stamp["missing"] - ABSENT.get(dataset, 0)
    assert 0 <= lost <= SHORT.get(dataset, 0)
    absent = stamp["expected"]["test"] - stamp["seen"]["test"]
    assert stamp["seen"]["test"] == len(results["clips"]) and 0 <= absent <= stamp["missing"]
    rows = reproduction.table(results)
    published = [n for n in read_published_numbers() if n.recipe == name]
    assert [row["paper's %"] for row in rows] == [float(n.percent) for n in published]
    without = {name.upper() for name in results.get("metrics_left_out", ())}
    assert [r["metric"] for r in rows if r["ours %"] is None] == sorted(without & {"METEOR"})


def test_all_data_sets_of_the_papers_are_met():
    assert set(TREES) == set(PROTOCOLS) == set(DATASETS.values())


@pytest.fixture(scope="module")
def ucf11(tmp_path_factory):
    return TREES["ucf11"](tmp_path_factory.mktemp("ucf11"))


def test_the_command_goes_from_files_to_the_papers_number(ucf11, tmp_path, backbones, capsys):
    name = "sharma_ucf11_softmax_regression"
    arguments = [
        f"--recipe={name}",
        f"--data={ucf11}",
        f"--output={tmp_path / 'runs'}",
        f"--backbones=googlenet={backbones['googlenet']}",
        '--changes={"epochs": 1}',
        "--allow_missing=1",
    ]
    assert run_command("reproduce", *arguments) == 0
    out = capsys.readouterr().out
    assert "82.37" in out and "not the paper's: epochs=1" in out
    test = json.loads((tmp_path / "runs/runs" / name / "test.json").read_text())
    stamp = test["stamp"]
    assert f"{stamp['seen']['test']} of {stamp['expected']['test']} clips of the test split" in out
    kept = (tmp_path / "runs/runs" / name / "best.keras").stat().st_mtime_ns
    assert run_command("reproduce", *arguments) == 0
    assert (tmp_path / "runs/runs" / name / "best.keras").stat().st_mtime_ns == kept
    assert capsys.readouterr().out.splitlines()[-3:] == out.splitlines()[-3:]
    # A video of the same size in the place of one that was checked.
    video = min(path for path in ucf11.rglob("*") if path.suffix in (".avi", ".mpg"))
    content = video.read_bytes()
    video.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert run_command("reproduce", *arguments) == 1
    assert f"{video.name}: is not the file that was checked" in capsys.readouterr().err
    video.write_bytes(content)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"recipe": "sharma_ucf11_soft_atention"}, "no recipe .*Nearest: sharma_ucf11_soft"),
        ({"recipe": "sharma_hmdb51_softmax_regression", "dataset": "ucf11"}, "is of hmdb51, the"),
        ({"backbones": "vgg19=x.keras"}, "missing: googlenet"),
        ({"backbones": "googlenet=x.keras"}, "googlenet=x.keras: no such file"),
        ({"backbones": "googlenet=random,c3d=random"}, "names c3d, which"),
        ({"backbones": "googlenet"}, "'googlenet' is no NAME=FILE.keras"),
        ({"backbones": "googlenet=random", "start": "scratch"}, "starts from no other run"),
        ({"backbones": "googlenet=random", "changes": "[]"}, "must be a JSON object"),
        ({"recipe": "sharma_msvd_first_step", "dataset": "ucf11"}, "is of msvd, the"),
    ],
)
def test_what_cannot_be_reproduced_is_refused_before_any_work(
    ucf11, tmp_path, change, words, capsys
):
    values = {
        "recipe": "sharma_ucf11_softmax_regression",
        "data": ucf11,
        "output": tmp_path / "runs",
    } | change
    assert run_command("reproduce", *(f"--{k}={v}" for k, v in values.items())) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(words, error), error
    assert not (tmp_path / "runs").exists()


def test_recipes_on_hollywood2_start_from_activitynet(tmp_path, backbones):
    clips = read_clips(TREES["hollywood2"](tmp_path), "hollywood2")
    named = {name: backbones[name] for name in ("c3d_fc6", "vgg19_fc6")}
    make = functools.partial(
        Reproduction, "torabi_hollywood2_alstm_obj_fc6", clips, tmp_path / "runs", named
    )
    with pytest.raises(ValueError, match="--recipe=torabi_activitynet_alstm_obj_fc6"):
        make()
    with pytest.raises(FileNotFoundError, match="no such run folder"):
        make(start=tmp_path / "nowhere")
    assert make(start="scratch").plan.starts_from == "torabi_activitynet_alstm_obj_fc6"


def test_a_captioner_reads_one_window(tmp_path, backbones):
    clips = read_clips(TREES["msvd"](tmp_path), "msvd")
    named = {"googlenet": backbones["googlenet"]}
    with pytest.raises(ValueError, match="--eval_windows=2: a captioner reads one window"):
        Reproduction("sharma_msvd_first_step", clips, tmp_path / "runs", named, eval_windows=2)
