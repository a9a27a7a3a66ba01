"""The choices of a run: what they become, how flags name them, and what is refused."""

import dataclasses
import pathlib

import keras
import numpy as np
import pytest
from keras import ops

from glimpse.models import ReferenceAdam, StepDecay
from glimpse.pipelines.model_building import (
    describe_classifier,
    make_classifier,
    make_optimizer,
    prepare_classifier,
)
from glimpse.pipelines.training_config import TrainingConfig
from glimpse.pipelines.window_sampling import WindowSampling
from glimpse.training_flags import read_recipe

CONFIG = TrainingConfig()


def changed(**changes):
    return dataclasses.replace(CONFIG, **changes)


def rates(schedule, steps):
    return [float(schedule(ops.convert_to_tensor(step))) for step in steps]


def test_a_decay_holds_and_then_falls_once_or_often():
    """Yan et al.: to a tenth after 10,000; Torabi and Sigal: every 125 after 2,512."""
    once = StepDecay(1e-4, after=10_000, rate=0.1)
    np.testing.assert_allclose(rates(once, [0, 9_999, 10_000, 50_000]), [1e-4, 1e-4, 1e-5, 1e-5])
    often = StepDecay(0.01, after=2_512, rate=0.5, every=125)
    found = rates(often, [0, 2_511, 2_512, 2_636, 2_637, 2_762])
    np.testing.assert_allclose(found, [0.01, 0.01, 0.005, 0.005, 0.0025, 0.00125], rtol=1e-6)
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(often))
    assert isinstance(again, StepDecay) and again.get_config() == often.get_config()
    each = rates(StepDecay(1.0, after=2, rate=0.9, every=1), range(6))
    np.testing.assert_allclose(each, [1, 1, 0.9, 0.81, 0.729, 0.6561], rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0.0, 1, 0.1), "`initial` must be above 0; received 0.0"),
        ((0.1, -1, 0.1), "`after` .* received -1"),
        ((0.1, 1, 0), "`rate` must be above 0"),
        ((0.1, 1, 0.1, 1.5), "`every` .* received 1.5"),
    ],
)
def test_bad_decays_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        StepDecay(*arguments)


@pytest.mark.parametrize(
    ("changes", "kind", "attributes"),
    [
        ({}, keras.optimizers.Adam, {"global_clipnorm": None, "weight_decay": None}),
        ({"optimizer": "sgd", "momentum": 0.9}, keras.optimizers.SGD, {"momentum": 0.9}),
        ({"optimizer": "reference_adam", "clip_norm": 3.0}, ReferenceAdam, {"global_clipnorm": 3}),
        ({"optimizer": "adadelta"}, keras.optimizers.Adadelta, {"rho": 0.95, "epsilon": 1e-6}),
        (
            {"decoupled_weight_decay": True, "weight_decay": 0.1},
            keras.optimizers.AdamW,
            {"weight_decay": 0.1},
        ),
        (
            {"optimizer": "sgd", "decoupled_weight_decay": True, "weight_decay": 0.1},
            keras.optimizers.SGD,
            {"weight_decay": 0.1},
        ),
    ],
)
def test_optimizers(changes, kind, attributes):
    optimizer = make_optimizer(changed(learning_rate=0.25, **changes), 3)
    assert type(optimizer) is kind and float(optimizer.learning_rate) == 0.25
    for name, value in attributes.items():
        assert getattr(optimizer, name) == value


def test_schedules_reach_the_optimizer():
    decay = {"schedule": "decay", "decay_after": 2, "decay_rate": 0.5, "decay_every": 1}
    optimizer = make_optimizer(changed(optimizer="sgd", learning_rate=0.5, **decay), 3)
    weight = keras.Variable(np.zeros(1, "float32"))
    optimizer.build([weight])
    for _ in range(4):
        optimizer.apply([np.ones(1, "float32")])
    assert float(weight.numpy()[0]) == pytest.approx(-(0.5 + 0.5 + 0.25 + 0.125))
    cosine = make_optimizer(changed(schedule="cosine", epochs=2), 5)
    assert cosine.get_config()["learning_rate"]["config"]["decay_steps"] == 10


def test_the_windows_are_those_of_the_config():
    changes = {"sampling_rule": "random_windows", "num_frames": 12, "flips": True}
    assert changed(**changes).window_sampling == WindowSampling(**changes)
    # Every field of a sampling is a choice of a run, with the same default.
    assert CONFIG.window_sampling == WindowSampling()


def test_a_model_is_built_for_its_inputs_and_told_in_a_line():
    config = changed(
        model="temporal_attention_small", model_options={"units": 6, "attention_units": 5}
    )
    model = make_classifier(config, ["run", "jump"])
    shapes = {"inputs": (3, 4), "attended": (7, 5)}
    prepare_classifier(model, config, shapes, 2)
    assert model.sampling == dataclasses.asdict(WindowSampling())
    assert model.weight_decay == 1e-5 and model.optimizer.built
    told = describe_classifier(model, config, shapes)
    assert told.startswith("temporal_attention_small: TemporalAttentionClassifier(units=6, ")
    assert (
        f"2 classes, {model.count_params():,} parameters, inputs 3 x 4, attended 7 x 5, adam"
        in told
    )


def test_a_flag_file_sets_every_choice(tmp_path):
    recipe = tmp_path / "torabi.flags"
    recipe.write_text(
        "# A comment.\n--model=lstm_base\n--optimizer=sgd\n--momentum=0.6\n--schedule=decay\n"
        "--decay_after=1000\n--decay_every=1\n--decay_rate=0.998\n--early_stopping=3\n"
        "--initialize_from=runs/one\n--sampling_rule=random_windows\n--eval_windows=40\n--flips\n"
        "--attended_frames=24\n--attended_place=middle\n--pooling=max\n--min_video_frames=192\n"
        "--step_stride=16\n--monitor=auc\n--batch_reduction=sum\n"
        "--attention_penalty=0.1\n--attention_penalty_reduction=mean\n",
        encoding="utf-8",
    )
    found = read_recipe(recipe, epochs=2)
    assert found == changed(
        model="lstm_base", optimizer="sgd", momentum=0.6, schedule="decay", decay_after=1000,
        decay_every=1, decay_rate=0.998, early_stopping=3, initialize_from="runs/one",
        sampling_rule="random_windows", eval_windows=40, flips=True, attended_frames=24,
        attended_place="middle", pooling="max", min_video_frames=192, step_stride=16,
        monitor="auc", batch_reduction="sum", attention_penalty=0.1,
        attention_penalty_reduction="mean", epochs=2,
    )  # fmt: skip


def test_a_flag_file_sets_the_thesis_sampling(tmp_path):
    recipe = tmp_path / "thesis.flags"
    recipe.write_text(
        "--sampling_rule=first_frames\n--num_frames=26\n--spread_over=120\n"
        "--frames_per_second=15\n--rate_rule=stride\n",
        encoding="utf-8",
    )
    assert read_recipe(recipe).window_sampling == WindowSampling(
        26, 15.0, sampling_rule="first_frames", spread_over=120, rate_rule="stride"
    )


def test_the_released_codes_runs_in_the_docs_can_be_built(tmp_path):
    text = (pathlib.Path(__file__).parent.parent / "docs/released_code.md").read_text("utf-8")
    blocks = text.split("```\n")[1::2]
    assert len(blocks) == 3
    for block, (optimizer, steps, metric) in zip(
        blocks, [("reference_adam", None, "accuracy"), ("sgd", 16, "accuracy"), ("sgd", 16, "auc")],
        strict=True,
    ):  # fmt: skip
        (tmp_path / "run.flags").write_text(block, encoding="utf-8")
        config = read_recipe(tmp_path / "run.flags")
        sizes = {"units": 4, "attention_units": 5}
        config = dataclasses.replace(config, model_options={**config.model_options, **sizes})
        model = make_classifier(config, ["run", "jump", "sit"])
        prepare_classifier(model, config, {"features": (3, 2, 2, 6)}, 1)
        assert (config.optimizer, model.scored_steps, config.monitor) == (optimizer, steps, metric)
        assert (model.batch_reduction, model.attention_penalty) == ("sum", 0)
        switches = (model.depth, model.attention, model.initial_state_units, model.initialization)
        assert switches == (1, "content", 0, "reference")
        assert model.recurrence_dropout == 0 and not model.unit_forget_bias


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": 0}, "--epochs must be at least 1, got 0"),
        ({"learning_rate": -1.0}, "--learning_rate must be above 0"),
        ({"schedule": "linear"}, "--schedule.*constant, cosine, decay.*'linear'"),
        ({"attention_penalty": -1.0}, "--attention_penalty"),
        ({"windows_per_clip": 0}, "--windows_per_clip"),
        ({"optimizer": "rmsprop"}, "--optimizer must be one of adam, sgd, .*'rmsprop'"),
        ({"optimizer": "sgd", "momentum": 1.0}, r"--momentum must be in \[0, 1\), got 1.0"),
        ({"momentum": 0.9}, "--momentum must be left out unless --optimizer is sgd, got 0.9"),
        ({"decay_after": 5}, "--decay_after must be left out unless --schedule is decay, got 5"),
        (
            {"sampling_rule": "random_windows", "block_stride": 2},
            "--block_stride must be left out unless --sampling_rule is blocks, got 2",
        ),
        (
            {"attention_penalty_reduction": "mean"},
            "--attention_penalty_reduction must be left out unless --attention_penalty is above 0",
        ),
        ({"schedule": "decay", "decay_rate": 0.0}, "--decay_rate must be above 0"),
        ({"schedule": "decay", "decay_every": -1}, "--decay_every must be at least 0"),
        ({"early_stopping": -1}, "--early_stopping must be at least 0"),
        ({"batch_reduction": "max"}, "--batch_reduction must be one of mean, sum"),
        ({"attention_penalty_reduction": "max"}, "--attention_penalty_reduction must be one of"),
        ({"monitor": "f1"}, "--monitor must be one of accuracy, auc, loss"),
        ({"num_frames": 0}, "--num_frames must be a whole number of at least 1, got 0"),
        ({"pooling": "mean"}, "--pooling must be one of .*'mean'"),
        ({"sampling_rule": "chunks"}, "--sampling_rule must be one of blocks"),
        (
            {"sampling_rule": "blocks", "spread_over": 100},
            "--spread_over must be left out unless --sampling_rule is first_frames, got 100",
        ),
        (
            {"sampling_rule": "first_frames", "eval_windows": 4},
            "--eval_windows must be left out with sampling_rule=first_frames",
        ),
        ({"rate_rule": "stride"}, "--rate_rule must be left out unless frames_per_second is"),
        ({"rate_rule": "frames", "frames_per_second": 5.0}, "--rate_rule must be one of time, s"),
        ({"step_stride": 2, "frames_per_second": 5.0}, "--frames_per_second=5.0 and step_stride"),
    ],
)
def test_choices_out_of_range_are_named(changes, words):
    with pytest.raises(ValueError, match=words):
        changed(**changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"attention_penalty": 1.0}, "--attention_penalty=1: softmax_regression does not attend"),
        ({"monitor": "auc"}, "--monitor=auc: with multi_label=False .* accuracy and loss"),
        (
            {"model_options": {"foo": 1, "dropout": 0.5}},
            "^--model_options: softmax_regression takes no option foo.$",
        ),
        ({"model_options": {"sampling": {}}}, "--model_options: softmax_regression takes no such"),
    ],
)
def test_choices_that_do_not_fit_the_model_are_named(changes, words):
    config = changed(model="softmax_regression", **changes)
    with pytest.raises(ValueError, match=words):
        model = make_classifier(config, ["run", "jump"])
        prepare_classifier(model, config, {"features": (2, 1, 2, 3)}, 2)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
