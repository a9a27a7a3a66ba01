"""Exported captioners: declared signatures, sentences as the model says them, refusals in words."""

import json
import pathlib
import subprocess
import sys

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf

from glimpse import exports
from glimpse.exports import answer_saved_model, parity, saved_model, signatures
from glimpse.exports.captioner_graph import join_words
from glimpse.exports.served_captioner import ServedCaptioner
from glimpse.models import CaptionVocabulary, SmallBackbone, VideoCaptioner, VideoDescriber
from glimpse.pipelines.window_sampling import BLACK_STEP, WindowSampling
from tests.run_command import run_command
from tests.saved_operations import ALLOWED_OPERATIONS, operations_of

SPECIAL = ["<pad>", "<start>", "<end>", "<unk>"]
TOKENS = SPECIAL + "ein mann läuft neben dem hund und winkt".split()
BEAMS, WORDS = 3, 6
SEARCH = {"beam_width": BEAMS, "max_words": WORDS}
SAMPLING = {"num_frames": 4, "sampling_rule": "first_frames", "spread_over": 8}
SCRIPT = pathlib.Path(answer_saved_model.__file__)


def make_captioner(shape, seed=3, **options):
    keras.utils.set_random_seed(seed)
    captioner = VideoCaptioner(TOKENS, units=8, embedding_dim=6, **SEARCH, **options)
    captioner.build((None, *shape))
    # Larger than at the start, so that the captions differ from clip to clip.
    for weight in captioner.trainable_variables:
        weight.assign(weight + 0.7 * keras.random.normal(weight.shape))
    return captioner


def export(model, folder, monkeypatch, **options):
    """An export without the fresh processes, which take most of its time."""
    monkeypatch.setattr(saved_model, "check_parity", lambda *_: {"model.keras/logits": 0.0})
    report = exports.export_captioner(model, folder, **options)
    return report, tf.saved_model.load(report.saved_model_path)


def ask(loaded, signature, **inputs):
    inputs = {name: tf.constant(value) for name, value in inputs.items()}
    return loaded.signatures[signature](**inputs)


def random_features(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def random_frames(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype="uint8")


@pytest.fixture(scope="module")
def models():
    backbone = SmallBackbone()
    backbone(random_frames((1, 32, 32)))
    # Convolutions before a decoder of the content form: both halves of what runs once a clip.
    captioner = make_captioner(
        (None, 7, 7, 64),
        attention="content",
        attention_units=5,
        encoder={"filters": 6, "depth": 1},
        sampling=SAMPLING,
    )
    return captioner, backbone


@pytest.fixture(scope="module")
def report(models, tmp_path_factory):
    captioner, backbone = models
    return exports.export_captioner(
        captioner, tmp_path_factory.mktemp("export"), backbone=backbone, metadata={"split": "test"}
    )


@pytest.fixture(scope="module")
def loaded(report):
    return tf.saved_model.load(report.saved_model_path)


@pytest.fixture(scope="module")
def by_place(tmp_path_factory):
    """The state form, with weights for each region of each of 3 frames, and its SavedModel."""
    with pytest.MonkeyPatch.context() as patch:
        captioner = make_captioner((3, 2, 2, 5), context="first_step")
        report, loaded = export(captioner, tmp_path_factory.mktemp("state"), patch)
    return captioner, report, loaded


@pytest.fixture(scope="module")
def agreeing(by_place):
    """A captioner as the parity gate sees it, and an answer of its SavedModel."""
    served = ServedCaptioner(by_place[0])
    served.answer_in_memory()
    answer = ask(by_place[2], "caption_features", **served.inputs[served.signatures[0]])
    return served, {name: value.numpy() for name, value in answer.items()}


def test_contract_of_the_signatures():
    declared = signatures.captioner_signatures(True, True, ["h", "c", "is_first_step"])
    described = {
        one.name: [list(map(str, one.inputs)), list(map(str, one.outputs))] for one in declared
    }
    maps = "frames, map_height, map_width"
    answer = [
        "captions string (batch, beams)",
        "scores float32 (batch, beams)",
        "token_ids int32 (batch, beams, words)",
        f"attention float32 (batch, beams, words, {maps})",
        "gate float32 (batch, beams, words)",
    ]
    features = f"features float32 (batch, {maps}, features)"
    clip = [
        "regions float32 (batch, regions, region_features)",
        "projected_regions float32 (batch, regions, attention_units)",
    ]
    states = [
        "hidden_state float32 (batch, hypotheses, units)",
        "cell_state float32 (batch, hypotheses, units)",
        "is_first_step float32 (batch, hypotheses, 1)",
    ]
    assert described == {
        "caption_jpegs": [["jpeg_bytes string (batch, frames)"], answer],
        "caption_frames": [["frames uint8 (batch, frames, height, width, 3)"], answer],
        "caption_features": [[features], answer],
        "decode_start": [[features], [*clip, *[one.replace("hypotheses, ", "") for one in states]]],
        "decode_step": [
            ["token_ids int32 (batch, hypotheses)", *clip, *states],
            [
                "logits float32 (batch, hypotheses, vocabulary)",
                f"attention float32 (batch, hypotheses, {maps})",
                "gate float32 (batch, hypotheses)",
                *states,
            ],
        ],
    }
    assert [one.name for one in signatures.captioner_signatures(False, False, ["h", "c"])] == [
        "caption_features",
        "decode_start",
        "decode_step",
    ]


def check_declared(loaded, declared, sizes):
    wanted = {signature.name: signature for signature in declared}
    wanted["serving_default"] = declared[0]
    assert set(loaded.signatures) == set(wanted)
    for name, signature in wanted.items():
        function = loaded.signatures[name]
        for tensors, specs in (
            (signature.inputs, function.structured_input_signature[1]),
            (signature.outputs, function.structured_outputs),
        ):
            assert set(specs) == {tensor.name for tensor in tensors}
            for tensor in tensors:
                assert specs[tensor.name].dtype == tf.as_dtype(tensor.dtype)
                assert tuple(specs[tensor.name].shape) == tensor.shape(sizes), tensor.name


def test_signatures_are_the_declared_ones(loaded, by_place):
    sizes = {"beams": BEAMS, "words": WORDS, "vocabulary": len(TOKENS), "units": 8}
    free = {"map_height": 7, "map_width": 7, "features": 64}
    check_declared(
        loaded,
        signatures.captioner_signatures(True, True, ["h", "c"]),
        {**sizes, **free, "region_features": 6, "attention_units": 5},
    )
    fixed = {"frames": 3, "regions": 12, "map_height": 2, "map_width": 2, "features": 5}
    check_declared(
        by_place[2],
        signatures.captioner_signatures(False, False, ["h", "c", "is_first_step"]),
        {**sizes, **fixed, "region_features": 5},
    )


def check_captions(answer, captions):
    """Against the model's own `Caption`s: sentences, ids, scores, maps, gates."""
    for clip, beams in enumerate(captions):
        assert [text.decode() for text in answer["captions"][clip].numpy()] == [
            caption.text for caption in beams
        ]
        for beam, caption in enumerate(beams):
            words = len(caption.words)
            ids = answer["token_ids"][clip, beam].numpy().tolist()
            assert ids[:words] == list(caption.token_ids)
            assert set(ids[words:]) <= {0, 2}
            np.testing.assert_allclose(answer["scores"][clip, beam], caption.score, atol=1e-5)
            for name, expected in (
                ("attention", caption.attention_weights),
                ("gate", caption.gate),
            ):
                values = answer[name][clip, beam].numpy()
                np.testing.assert_allclose(values[:words], expected, atol=1e-5)


def test_captions_are_those_of_the_model(models, loaded):
    captioner, backbone = models
    features = random_features((3, 5, 7, 7, 64))
    captions = captioner.caption(features)
    assert len({caption.text for beams in captions for caption in beams}) > BEAMS
    check_captions(ask(loaded, "caption_features", features=features), captions)

    describer = VideoDescriber(backbone, captioner)
    frames = random_frames((2, 3, 40, 56))
    captions = describer.caption(frames)
    check_captions(ask(loaded, "caption_frames", frames=frames), captions)
    # PNG would be exact; of JPEG the decoded pixels are what both must see.
    jpegs = [[tf.io.encode_jpeg(one).numpy() for one in clip] for clip in frames]
    pixels = np.stack(
        [
            [tf.io.decode_jpeg(one, dct_method="INTEGER_ACCURATE").numpy() for one in clip]
            for clip in jpegs
        ]
    )
    answer = ask(loaded, "serving_default", jpeg_bytes=jpegs)
    check_captions(answer, describer.caption(pixels))


def test_captions_of_the_state_form_are_those_of_the_model(by_place):
    captioner, _, loaded = by_place
    features = random_features((2, 3, 2, 2, 5))
    answer = ask(loaded, "serving_default", features=features)
    check_captions(answer, captioner.caption(features))
    maps = np.sum(answer["attention"], axis=(3, 4, 5))
    np.testing.assert_allclose(maps[:, :, 0], 1, atol=1e-5)
    np.testing.assert_array_equal(maps[:, :, 1:], 0)


def decode_greedily(loaded, features, beams=2):
    """The likeliest words by `decode_start` and `decode_step` alone, with two equal beams."""
    start = ask(loaded, "decode_start", features=features)
    clip = {name: value for name, value in start.items() if "regions" in name}
    states = {name: tf.repeat(start[name][:, None], beams, 1) for name in set(start) - set(clip)}
    token_ids = tf.ones((len(features), beams), tf.int32)
    said = []
    for _ in range(WORDS):
        answer = ask(loaded, "decode_step", token_ids=token_ids, **clip, **states)
        states = {name: answer[name] for name in states}
        barred = np.zeros(len(TOKENS), "float32")
        barred[[0, 1, 3]] = -np.inf
        token_ids = tf.argmax(answer["logits"] + barred, axis=-1, output_type=tf.int32)
        said.append((token_ids.numpy(), answer["attention"].numpy(), answer["gate"].numpy()))
    return [np.stack(values, axis=2) for values in zip(*said, strict=True)]


def test_decoding_step_by_step_finds_the_greedy_caption(models, loaded, by_place):
    for captioner, exported, shape in (
        (models[0], loaded, (2, 4, 7, 7, 64)),
        (by_place[0], by_place[2], (2, 3, 2, 2, 5)),
    ):
        features = random_features(shape, seed=4)
        found = captioner.beam_search(features, beam_width=1)
        ids, attention, gate = decode_greedily(exported, features)
        for clip in range(2):
            words = np.count_nonzero(found["token_ids"][clip, 0])
            for beam in range(2):
                expected = found["token_ids"][clip, 0, :words]
                np.testing.assert_array_equal(ids[clip, beam, :words], expected)
                for values, name in ((attention, "attention_weights"), (gate, "gate")):
                    expected = found[name][clip, 0, :words]
                    np.testing.assert_allclose(values[clip, beam, :words], expected, atol=1e-5)


def test_the_session_loader_of_servers_answers_alike(report, loaded):
    features = random_features((2, 3, 7, 7, 64))
    expected = ask(loaded, "caption_features", features=features)
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        graph = tf.compat.v1.saved_model.load(session, ["serve"], str(report.saved_model_path))
        signature = graph.signature_def["caption_features"]
        fetches = {key: info.name for key, info in signature.outputs.items()}
        answer = session.run(fetches, {signature.inputs["features"].name: features})
    np.testing.assert_array_equal(answer["captions"], expected["captions"])
    np.testing.assert_array_equal(answer["token_ids"], expected["token_ids"])
    for key in ("scores", "attention", "gate"):
        np.testing.assert_allclose(answer[key], expected[key], atol=1e-6)


def test_only_stock_operations(report, by_place):
    assert operations_of(report.saved_model_path) <= ALLOWED_OPERATIONS
    assert operations_of(by_place[1].saved_model_path) <= ALLOWED_OPERATIONS


GOOD_JPEG = tf.io.encode_jpeg(random_frames((24, 32))).numpy()


@pytest.mark.parametrize(
    ("signature", "inputs", "words"),
    [
        ("caption_jpegs", {"jpeg_bytes": [[GOOD_JPEG, b"no"]]}, "caption_frames"),
        ("caption_jpegs", {"jpeg_bytes": [[GOOD_JPEG[:-40]]]}, "jpeg_bytes_must.*truncated"),
        ("caption_jpegs", {"jpeg_bytes": np.zeros((0, 3), "S1")}, "`jpeg_bytes` has no batch"),
        ("caption_frames", {"frames": np.zeros((1, 0, 8, 8, 3), "uint8")}, "has no frames"),
        ("caption_frames", {"frames": np.zeros((1, 8, 8, 3), "uint8")}, "frames_height_width_3"),
        ("caption_features", {"features": np.zeros((0, 2, 7, 7, 64))}, "`features` has no batch"),
        ("caption_features", {"features": np.zeros((1, 2, 7, 7, 32))}, "batch_frames_7_7_64"),
        ("decode_start", {"features": np.zeros((1, 0, 7, 7, 64))}, "decode_start.*no frames"),
    ],
)
def test_wrong_clips_are_refused_in_words(loaded, signature, inputs, words):
    function = loaded.signatures[signature]
    [(name, spec)] = function.structured_input_signature[1].items()
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"(?s){words}"):
        function(**{name: tf.constant(inputs[name], spec.dtype)})


def test_another_number_of_frames_is_refused_by_the_state_form(by_place):
    for name in ("caption_features", "decode_start"):
        words = rf"\[1,4,2,2,5\].*{name}_takes_features_of_shape_batch_3_2_2_5"
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"(?s){words}"):
            by_place[2].signatures[name](features=tf.zeros((1, 4, 2, 2, 5)))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("token_ids", np.array([[1, len(TOKENS)]], "int32"), r"`token_ids` must be from 0 to 11"),
        ("token_ids", np.array([[-1, 1]], "int32"), r"`token_ids` must be from 0 to 11.*\[-1\]"),
        ("token_ids", np.zeros((1, 0), "int32"), "`token_ids` has no hypotheses"),
        (
            "cell_state",
            np.zeros((1, 3, 8)),
            r"`cell_state` differs from `token_ids` in.* hypotheses",
        ),
        (
            "regions",
            np.zeros((2, 12, 5)),
            "`regions` differs from `token_ids` in the size of batch",
        ),
        ("hidden_state", np.zeros((1, 2, 7)), "hidden_state_of_shape_batch_hypotheses_8"),
        ("regions", np.zeros((1, 16, 5)), "regions_of_shape_batch_12_5"),
    ],
)
def test_wrong_steps_are_refused_in_words(by_place, name, value, words):
    step = by_place[2].signatures["decode_step"]
    inputs = {
        "token_ids": np.array([[1, 1]], "int32"),
        "regions": np.zeros((1, 12, 5)),
        "hidden_state": np.zeros((1, 2, 8)),
        "cell_state": np.zeros((1, 2, 8)),
        "is_first_step": np.ones((1, 2, 1)),
    }
    dtypes = {key: spec.dtype for key, spec in step.structured_input_signature[1].items()}
    step(**{key: tf.constant(one, dtypes[key]) for key, one in inputs.items()})
    inputs[name] = value
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"(?s){words}"):
        step(**{key: tf.constant(one, dtypes[key]) for key, one in inputs.items()})


def test_what_the_gate_measured(report):
    measured = report.differences
    keras_file = {name: value for name, value in measured.items() if "model.keras" in name}
    assert set(keras_file) == {
        f"model.keras/{name}" for name in ("logits", "attention_weights", "gate")
    }
    assert set(keras_file.values()) == {0}
    for signature in ("caption_jpegs", "caption_frames", "caption_features"):
        for output in ("scores", "attention", "gate"):
            assert measured[f"{signature}/{output}"] < 1e-4
    step = {name for name in measured if name.startswith("decode_step/")}
    assert step == {
        f"decode_step/{name}"
        for name in ("logits", "attention", "gate", "hidden_state", "cell_state")
    }


def test_files_beside_the_saved_model(report):
    assert report.saved_model_path == report.metadata_path.parent / "video_captioner" / "1"
    facts = json.loads(report.metadata_path.read_text(encoding="utf-8"))
    inside = report.saved_model_path / "assets.extra" / "metadata.json"
    assert json.loads(inside.read_text(encoding="utf-8")) == facts
    assert facts["vocabulary"] == TOKENS
    assert facts["vocabulary_size"] == len(TOKENS)
    assert facts["special_token_ids"] == {"padding": 0, "start": 1, "end": 2, "unknown": 3}
    assert facts["search"] == {"beam_width": BEAMS, "max_words": WORDS, "length_penalty": 0.0}
    assert facts["sampling"] == SAMPLING
    assert facts["signatures"]["decode_step"]["inputs"]["regions"]["shape"] == [
        "batch",
        "regions",
        6,
    ]
    assert facts["model"]["registered_name"] == "glimpse>VideoDescriber"
    exported = keras.saving.load_model(report.keras_path)
    assert list(exported.vocabulary) == TOKENS


def test_a_search_of_ones_own(tmp_path, monkeypatch):
    captioner = make_captioner((None, 2, 2, 5), context="average")
    options = {"beam_width": 40, "max_words": 1, "length_penalty": 0.5}
    report, loaded = export(captioner, tmp_path, monkeypatch, **options)
    features = random_features((1, 2, 2, 2, 5))
    answer = ask(loaded, "serving_default", features=features)
    # Eight words and the empty caption; the other beams hold none.
    assert answer["captions"].shape == (1, 40)
    texts = [text.decode() for text in answer["captions"][0].numpy()]
    assert sorted(texts[:9]) == sorted(["", *TOKENS[4:]])
    assert set(texts[9:]) == {""}
    assert np.isneginf(answer["scores"][0, 9:]).all()
    check_captions(
        {name: value[:, :9] for name, value in answer.items()},
        captioner.caption(features, **options),
    )
    assert "attention" in json.loads(report.metadata_path.read_text(encoding="utf-8"))


def test_half_precision_passes_the_gates_comparison(tmp_path, monkeypatch):
    captioner = make_captioner((None, 2, 2, 5), attention="content", dtype="mixed_bfloat16")
    served = ServedCaptioner(captioner)
    served.answer_in_memory()
    report, loaded = export(captioner, tmp_path, monkeypatch)
    for signature, inputs in served.inputs.items():
        answer = ask(loaded, signature.name, **inputs)
        received = {name: value.numpy() for name, value in answer.items()}
        assert served.compare(signature, received)
    assert report.signatures == served.signatures


def test_sentences_are_joined_as_the_vocabulary_does():
    vocabulary = CaptionVocabulary(TOKENS)
    ids = [[[4, 5, 6, 2, 0], [2, 0, 0, 0, 0], [0, 0, 0, 0, 0], [6, 3, 6, 6, 11]]]
    joined = join_words(tf.constant(ids), vocabulary).numpy()
    assert [text.decode() for text in joined[0]] == [vocabulary.sentence(one) for one in ids[0]]
    assert joined[0, 0].decode() == "ein mann läuft"


@pytest.mark.parametrize(
    ("output", "change", "words"),
    [
        ("captions", lambda value: value[:, ::-1], "caption_features answers `captions`"),
        ("token_ids", lambda value: value + 1, "caption_features answers `captions`"),
        ("scores", lambda value: value - 1e-3, "answers `scores`.*largest difference 0.001"),
        ("attention", lambda value: value[..., :1], "answers `attention`.*inf"),
        ("gate", lambda value: None, "answers `gate`.*inf"),
    ],
)
def test_differing_answers_are_stopped(agreeing, output, change, words):
    served, received = agreeing
    signature = served.signatures[0]
    assert served.compare(signature, received)
    with pytest.raises(exports.ParityError, match=words):
        served.compare(signature, {**received, output: change(received[output])})


def test_equal_infinities_do_not_differ():
    low = np.array([0.0, -np.inf])
    assert parity.largest_difference(low, low.astype("float32")) == 0
    assert parity.largest_difference(low, np.array([0.0, 1.0])) == np.inf
    assert np.isnan(parity.largest_difference(low, np.array([np.nan, -np.inf])))


def test_captioners_that_cannot_be_exported(tmp_path, models):
    with pytest.raises(ValueError, match="VideoCaptioner.*has no weights yet"):
        exports.export_captioner(VideoCaptioner(TOKENS, units=2, embedding_dim=2), tmp_path)
    with pytest.raises(ValueError, match="must be a captioner or a VideoDescriber"):
        exports.export_captioner(models[1], tmp_path)
    with pytest.raises(ValueError, match="`beam_width`.*received 0"):
        exports.export_captioner(models[0], tmp_path / "out", beam_width=0)
    spoiled = make_captioner((None, 2, 2, 5), attention="content")
    spoiled.decoder.output_kernel.assign(spoiled.decoder.output_kernel * np.nan)
    with pytest.raises(exports.ParityError, match="not finite"):
        exports.export_captioner(spoiled, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_exports_captioners(by_place, tmp_path, monkeypatch, capsys):
    captioner = by_place[0]
    captioner.save(tmp_path / "trained.keras")
    arguments = ["export", f"--model={tmp_path / 'trained.keras'}", "--backbone=none"]
    arguments.append(f"--output={tmp_path / 'out'}")
    assert run_command(*arguments, "--top_k=2") == 1
    assert "--top_k=2 must be left out" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

    differences = {"model.keras/logits": 0.0, "caption_features/scores": 0.0}
    monkeypatch.setattr(saved_model, "check_parity", lambda *_: differences)
    search = {"beam_width": 2, "max_words": 3, "length_penalty": 0.6}
    assert run_command(*arguments, *(f"--{name}={value}" for name, value in search.items())) == 0
    assert "serving_default is caption_features" in capsys.readouterr().out
    loaded = tf.saved_model.load(tmp_path / "out" / "video_captioner" / "1")
    features = random_features((1, 3, 2, 2, 5))
    answer = ask(loaded, "caption_features", features=features)
    check_captions(answer, captioner.caption(features, **search))


def write_video(path, frames):
    height, width = frames.shape[1:3]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"FFV1"), 30, (width, height))
    assert writer.isOpened()
    for frame in frames:
        writer.write(frame[..., ::-1])
    writer.release()


def test_the_script_describes_a_short_video_without_glimpse(report, loaded, tmp_path):
    frames = random_frames((5, 48, 64), seed=8)
    path = tmp_path / "clip.avi"
    write_video(path, frames)
    command = [sys.executable, str(SCRIPT), str(report.saved_model_path), str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    # Every second of the first 8 frames, of which there are 5.
    sampled = np.stack([*frames[[0, 2, 4]], np.zeros_like(frames[0])])[None]
    expected = ask(loaded, "caption_frames", frames=sampled)
    assert printed["captions"] == [text.decode() for text in expected["captions"][0].numpy()]
    np.testing.assert_allclose(printed["scores"], expected["scores"][0], atol=1e-5)
    assert (printed["frames"], printed["repeated_or_black_frames"]) == (4, 1)


@pytest.mark.parametrize(
    "sampling",
    [
        {"num_frames": 26, "sampling_rule": "first_frames"},
        {"num_frames": 4, "sampling_rule": "first_frames", "spread_over": 14},
        {"num_frames": 5, "sampling_rule": "random_frames"},
        {"num_frames": 30, "sampling_rule": "random_frames"},
        {"num_frames": 5, "step_stride": 2},
        {"num_frames": 4, "sampling_rule": "random_frames", "frames_per_second": 15.0},
        {"num_frames": 30},
    ],
)
def test_the_script_takes_the_frames_of_the_models_clips(tmp_path, sampling):
    path = tmp_path / "clip.avi"
    frames = np.repeat(np.arange(1, 18, dtype="uint8") * 10, 16 * 16 * 3).reshape(-1, 16, 16, 3)
    write_video(path, frames)
    whole = WindowSampling(**sampling)
    [wanted] = whole.windows(whole.clock(len(frames), 30.0))[:1]
    read, missing = answer_saved_model.read_clip(
        str(path), {**sampling, "spread_over": whole.spread_over}
    )
    black = wanted == BLACK_STEP
    np.testing.assert_array_equal(read[0][black], 0)
    np.testing.assert_array_equal(read[0][~black], frames[wanted[~black]])
    assert missing == sum(black) + len(wanted[~black]) - len(set(wanted[~black]))


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
