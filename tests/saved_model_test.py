"""The SavedModel against its declared signatures and against the model it was made from."""

import json
import os
import pathlib
import stat
import struct
import subprocess
import sys

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf

import glimpse
from glimpse import exports
from glimpse.exports import answer_saved_model, saved_model, signatures
from glimpse.models import SmallBackbone, VideoClassifier, create_model
from tests.saved_operations import ALLOWED_OPERATIONS, operations_of

CLASSES = 7
LABELS = [f"läuft {number}" for number in range(CLASSES)]
SCRIPT = pathlib.Path(answer_saved_model.__file__)


def make_models():
    keras.utils.set_random_seed(3)
    classifier = create_model("soft_attention_small", CLASSES, units=12, label_names=LABELS)
    backbone = SmallBackbone()
    video_classifier = VideoClassifier(backbone, classifier)
    video_classifier(random_frames((1, 2, 32, 40)))
    # Larger than at the start, so that the answers differ from one another.
    for weight in classifier.trainable_variables:
        weight.assign(weight + 0.3 * keras.random.normal(weight.shape, seed=5))
    return classifier, backbone, video_classifier


def random_frames(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype="uint8")


def as_jpegs(frames):
    return np.array([[tf.io.encode_jpeg(one).numpy() for one in clip] for clip in frames])


def decode_with_opencv(jpeg):
    return cv2.imdecode(np.frombuffer(jpeg, "uint8"), cv2.IMREAD_COLOR)[..., ::-1]


@pytest.fixture(scope="module")
def models():
    return make_models()


@pytest.fixture(scope="module")
def report(models, tmp_path_factory):
    classifier, backbone, _ = models
    # Compiled, as after training: the optimizer's weights must not come along.
    classifier.compile()
    classifier.fit(np.zeros((2, 2, 7, 7, 64), "float32"), np.array([0, 1]), verbose=0)
    return exports.export_classifier(
        classifier, tmp_path_factory.mktemp("export"), backbone=backbone, metadata={"split": "test"}
    )


@pytest.fixture(scope="module")
def loaded(report):
    return tf.saved_model.load(report.saved_model_path)


def without_gate(monkeypatch):
    monkeypatch.setattr(saved_model, "check_parity", lambda *_: {"model.keras/probabilities": 0.0})


def test_signatures_are_the_declared_ones(loaded):
    sizes = {"map_height": 7, "map_width": 7, "features": 64, "classes": CLASSES, "top_k": 5}
    declared = signatures.classifier_signatures(takes_frames=True, attends=True)
    wanted = {signature.name: signature for signature in declared}
    wanted["serving_default"] = declared[0]
    assert declared[0].name == "classify_jpegs"
    assert set(loaded.signatures) == set(wanted)
    for name, signature in wanted.items():
        function = loaded.signatures[name]
        [(input_name, spec)] = function.structured_input_signature[1].items()
        [declared_input] = signature.inputs
        assert input_name == declared_input.name
        assert spec.dtype == tf.as_dtype(declared_input.dtype)
        assert tuple(spec.shape) == declared_input.shape(sizes)
        outputs = function.structured_outputs
        assert set(outputs) == {output.name for output in signature.outputs}
        for output in signature.outputs:
            assert outputs[output.name].dtype == tf.as_dtype(output.dtype)
            assert tuple(outputs[output.name].shape) == output.shape(sizes)


def test_contract_of_the_signatures():
    jpegs, frames, features = signatures.classifier_signatures(takes_frames=True, attends=True)
    assert list(map(str, jpegs.inputs)) == ["jpeg_bytes string (batch, frames)"]
    assert list(map(str, frames.inputs)) == ["frames uint8 (batch, frames, height, width, 3)"]
    assert [(one.name, one.dtype) for one in features.inputs] == [("features", "float32")]
    assert [str(output) for output in jpegs.outputs] == [
        "labels string (batch, top_k)",
        "scores float32 (batch, top_k)",
        "probabilities float32 (batch, classes)",
        "attention float32 (batch, frames, map_height, map_width)",
    ]


@pytest.mark.parametrize("shape", [(1, 1, 33, 57), (3, 4, 20, 120), (2, 2, 112, 112)])
def test_frames_and_jpegs_of_any_size_answer_as_the_model(models, loaded, shape):
    frames = random_frames(shape, seed=sum(shape))
    jpegs = as_jpegs(frames)
    decoded = np.stack([[decode_with_opencv(one) for one in clip] for clip in jpegs])
    for signature, argument, pixels in (
        ("classify_frames", {"frames": tf.constant(frames)}, frames),
        ("classify_jpegs", {"jpeg_bytes": tf.constant(jpegs)}, decoded),
        ("serving_default", {"jpeg_bytes": tf.constant(jpegs)}, decoded),
    ):
        check_answer(loaded.signatures[signature](**argument), models[2](pixels))


def test_features_answer_as_the_model(models, loaded):
    features = np.random.default_rng(1).normal(size=(3, 6, 7, 7, 64)).astype("float32")
    answer = loaded.signatures["classify_features"](features=tf.constant(features))
    check_answer(answer, models[0](features))


def check_answer(answer, expected):
    probabilities = answer["probabilities"].numpy()
    np.testing.assert_allclose(probabilities, expected["probabilities"], atol=1e-5)
    np.testing.assert_allclose(answer["attention"], expected["attention_weights"], atol=1e-5)
    np.testing.assert_allclose(np.sum(answer["attention"], axis=(2, 3)), 1, atol=1e-5)
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :5]
    np.testing.assert_array_equal(answer["scores"], np.take_along_axis(probabilities, best, 1))
    assert [[name.decode() for name in row] for row in answer["labels"].numpy()] == [
        [LABELS[index] for index in row] for row in best
    ]


def test_the_session_loader_of_servers_answers_alike(report, loaded):
    frames = random_frames((2, 3, 24, 32))
    cases = [
        ("serving_default", "jpeg_bytes", as_jpegs(frames)),
        ("classify_frames", "frames", frames),
    ]
    wanted = [loaded.signatures[name](**{key: tf.constant(value)}) for name, key, value in cases]
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        graph = tf.compat.v1.saved_model.load(session, ["serve"], str(report.saved_model_path))
        for (name, argument, value), expected in zip(cases, wanted, strict=True):
            signature = graph.signature_def[name]
            fetches = {key: info.name for key, info in signature.outputs.items()}
            answer = session.run(fetches, {signature.inputs[argument].name: value})
            assert set(answer) == set(expected)
            np.testing.assert_array_equal(answer["labels"], expected["labels"])
            for key in ("scores", "probabilities", "attention"):
                np.testing.assert_allclose(answer[key], expected[key], atol=1e-6)


def with_claimed_size(jpeg, height, width):
    start = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:start] + struct.pack(">HH", height, width) + jpeg[start + 4 :]


GOOD = tf.io.encode_jpeg(random_frames((48, 64))).numpy()
WEBP = b"RIFF\x1a\x00\x00\x00WEBPVP8L" + bytes(14)
BAD_JPEGS = {
    "truncated": ([[GOOD, GOOD[:-40]]], "jpeg_bytes_must_hold_whole_JPEG_files.*truncated"),
    "header only": ([[GOOD, GOOD[:30]]], "jpeg_bytes_must_hold_whole_JPEG_files.*broken_header"),
    "webp": ([[GOOD], [WEBP]], r"must hold one JPEG a frame.*WebP.*\[1\].*classify_frames"),
    "png": (
        [[tf.io.encode_png(random_frames((8, 8))).numpy(), GOOD]],
        r"must hold one JPEG a frame.*PNG.*\[0\]",
    ),
    "empty bytes": ([[b"", GOOD, b"\xff"]], r"must hold one JPEG a frame.*\(empty.*\[0 2\]"),
    "two sizes": (
        [[GOOD, tf.io.encode_jpeg(random_frames((40, 64))).numpy()]],
        r"must have one size.*\[48 64\].*\[40 64\].*separate requests",
    ),
    "giant": (
        [[GOOD, with_claimed_size(GOOD, 20000, 30000)]],
        r"more than 16777216 pixels.*\[20000 30000\]",
    ),
    "giant in all": (
        [[with_claimed_size(GOOD, 4096, 4096)] * 17],
        r"add up to more.*\[285212672\]",
    ),
    "no clip": (np.zeros((0, 3), "S1"), r"`jpeg_bytes` has no batch: shape.*\[0 3\]"),
    "no frames": (np.zeros((2, 0), "S1"), r"has no frames: shape.*\[2 0\].*\(batch, frames\)"),
    "one axis": ([GOOD, GOOD], r"\[2\] is not compatible.*jpeg_bytes_of_shape_batch_frames"),
}


@pytest.mark.parametrize("case", BAD_JPEGS)
def test_bad_jpegs_are_refused_in_words(loaded, case):
    value, words = BAD_JPEGS[case]
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"(?s){words}"):
        loaded.signatures["classify_jpegs"](jpeg_bytes=tf.constant(value, tf.string))


@pytest.mark.parametrize(
    ("signature", "argument", "shape", "words"),
    [
        ("classify_frames", "frames", (0, 2, 8, 8, 3), r"no batch: shape.*\[0 2 8 8 3\]"),
        ("classify_frames", "frames", (1, 0, 8, 8, 3), r"`frames` has no frames: shape"),
        ("classify_frames", "frames", (1, 2, 8, 0, 3), r"`frames` has no width: shape"),
        ("classify_frames", "frames", (2, 8, 8, 3), r"\[2,8,8,3\] is not.*takes_frames_of_shape"),
        ("classify_frames", "frames", (1, 2, 8, 8, 1), r"\[1,2,8,8,1\].*frames_height_width_3"),
        ("classify_features", "features", (2, 0, 7, 7, 64), r"`features` has no frames"),
        ("classify_features", "features", (1, 2, 7, 7, 32), r"1,2,7,7,32.*batch_frames_7_7_64"),
        ("classify_features", "features", (2, 7, 7, 64), r"\[2,7,7,64\].*batch_frames_7_7_64"),
    ],
)
def test_wrong_shapes_are_refused_in_words(loaded, signature, argument, shape, words):
    value = tf.zeros(shape, tf.uint8 if argument == "frames" else tf.float32)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"(?s){words}"):
        loaded.signatures[signature](**{argument: value})


def test_only_stock_operations(report):
    used = operations_of(report.saved_model_path)
    assert "DecodeJpeg" in used
    assert used <= ALLOWED_OPERATIONS


def test_files_beside_the_saved_model(report, models):
    folder = report.metadata_path.parent
    assert report.saved_model_path == folder / "soft_attention_classifier" / "1"
    assert sorted(os.listdir(folder)) == [
        "metadata.json",
        "model.keras",
        "soft_attention_classifier",
    ]
    assert stat.S_IMODE(report.saved_model_path.stat().st_mode) & 0o055 == 0o055 & ~get_umask()
    facts = json.loads(report.metadata_path.read_text(encoding="utf-8"))
    inside = report.saved_model_path / "assets.extra" / "metadata.json"
    assert json.loads(inside.read_text(encoding="utf-8")) == facts
    assert facts["label_names"] == LABELS
    assert facts["metadata"] == {"split": "test"}
    assert facts["versions"]["glimpse"] == glimpse.__version__
    assert facts["model"]["registered_name"] == "glimpse>VideoClassifier"
    assert facts["signatures"]["classify_features"]["inputs"]["features"] == {
        "dtype": "float32",
        "shape": ["batch", "frames", 7, 7, 64],
    }
    exported = keras.saving.load_model(report.keras_path)
    assert getattr(exported.classifier, "optimizer", None) is None
    weights = sum(weight.size * 4 for weight in models[2].get_weights())
    stored = (report.saved_model_path / "variables" / "variables.data-00000-of-00001").stat()
    assert stored.st_size < 1.2 * weights + 20_000


def get_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_the_script_classifies_a_video_without_glimpse(report, loaded, tmp_path):
    frames = random_frames((6, 48, 64), seed=8)
    path = str(tmp_path / "clip.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"FFV1"), 30, (64, 48))
    assert writer.isOpened()
    for frame in frames:
        writer.write(frame[..., ::-1])
    writer.release()
    command = [sys.executable, str(SCRIPT), str(report.saved_model_path), path]
    done = subprocess.run(
        [*command, "--num_frames=4", "--frames_per_second=15"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    sampled = frames[[0, 2, 4, 4]][None]
    expected = loaded.signatures["classify_frames"](frames=tf.constant(sampled))
    assert printed["labels"] == [name.decode() for name in expected["labels"][0].numpy()]
    np.testing.assert_allclose(printed["scores"], expected["scores"][0], atol=1e-6)


def test_the_script_shuts_glimpse_out():
    program = (
        "import runpy, sys; sys.path.insert(0, sys.argv[2]); script = runpy.run_path(sys.argv[1]);"
        "script['shut_glimpse_out']()\n"
        "try:\n    import glimpse.models\nexcept ImportError as error:\n    print(error)\n"
    )
    root = str(pathlib.Path(glimpse.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", program, str(SCRIPT), root], capture_output=True, text=True
    )
    assert "on purpose" in done.stdout


def test_a_model_without_gaze_and_backbone(tmp_path, monkeypatch):
    without_gate(monkeypatch)
    classifier = create_model("softmax_regression", 3)
    classifier(np.zeros((1, 2, 2, 3, 4), "float32"))
    report = exports.export_classifier(classifier, tmp_path, name="plain", version=None)
    loaded = tf.saved_model.load(report.saved_model_path)
    assert set(loaded.signatures) == {"serving_default", "classify_features"}
    features = np.random.default_rng(0).normal(size=(2, 5, 2, 3, 4)).astype("float32")
    answer = loaded.signatures["serving_default"](features=tf.constant(features))
    assert set(answer) == {"labels", "scores", "probabilities"}
    probabilities = classifier(features)["probabilities"].numpy()
    np.testing.assert_allclose(answer["probabilities"], probabilities, atol=1e-5)
    wanted = np.argsort(-probabilities, axis=1).astype(str)  # all three: k = min(5, classes)
    assert answer["labels"].numpy().astype(str).tolist() == wanted.tolist()
    facts = json.loads(report.metadata_path.read_text(encoding="utf-8"))
    assert facts["attention"].startswith("none")
    assert type(keras.saving.load_model(report.keras_path)) is type(classifier)

    second = exports.export_classifier(classifier, tmp_path, name="plain", version=None, top_k=1)
    assert (report.version, second.version) == (1, 2)
    with pytest.raises(FileExistsError, match="plain.2 exists.*next free one is 3"):
        exports.export_classifier(classifier, tmp_path, name="plain", version=2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "../up"}, "`name`.*'../up'"),
        ({"version": 0}, "`version`.*got 0"),
        ({"top_k": 0}, "`top_k`.*got 0"),
        ({"metadata": {"a": float("nan")}}, "`metadata` must be a dict of JSON values"),
        ({"backbone": SmallBackbone()}, "SmallBackbone.*has no weights yet"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(tmp_path, options, words):
    classifier = create_model("softmax_regression", 3)
    classifier(np.zeros((1, 2, 7, 7, 64), "float32"))
    with pytest.raises(ValueError, match=words):
        exports.export_classifier(classifier, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_models_that_cannot_be_exported(tmp_path, models):
    with pytest.raises(ValueError, match="SoftmaxRegressionClassifier.*has no weights yet"):
        exports.export_classifier(create_model("softmax_regression", 3), tmp_path)
    with pytest.raises(ValueError, match="is a VideoClassifier and has one"):
        exports.export_classifier(models[2], tmp_path, backbone=models[1])
    with pytest.raises(ValueError, match="must be a classifier or a VideoClassifier"):
        exports.export_classifier(models[1], tmp_path)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
