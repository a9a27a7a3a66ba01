"""The captioner and the describer: shapes, masks, gaze by hand, captions, files, registry."""

import inspect
import json
import subprocess
import sys

import keras
import numpy as np
import pytest

import glimpse
from glimpse.models import SmallBackbone, VideoCaptioner, VideoDescriber
from tests.shapes_only import shapes_only
from tests.small_captioner import (
    AT_ONCE,
    BATCH,
    CAPTIONS,
    FEATURES,
    FRAMES,
    HEIGHT,
    VOCABULARY,
    WIDTH,
    WORDS,
    clips,
    make_captioner,
    numpy,
    token_ids,
)

# On the other backends, where each new loop is compiled, what could differ there runs alone.
_BACKENDS = pytest.mark.backends

SIZES = {
    "captioner_small": {"attention_units": 4},
    "captioner_small_average": {},
    "captioner_small_first_step": {"attention_units": 4},
    "captioner_base": {},
    "captioner_base_average": {},
    "captioner_base_first_step": {},
    "captioner_reference": {"attention_units": 4},
}
_ELSEWHERE = {"captioner_base_average", "captioner_small_first_step", "captioner_reference"}
MAP = (FRAMES, HEIGHT, WIDTH)


def close(ours, theirs, **tolerances):
    np.testing.assert_allclose(
        numpy(ours), numpy(theirs), **{"rtol": 1e-4, "atol": 1e-5, **tolerances}
    )


def test_the_table_of_sizes_covers_the_registry():
    assert sorted(SIZES) == glimpse.list_models("captioner*")


@pytest.mark.parametrize(
    "name",
    [pytest.param(each, marks=_BACKENDS if each in _ELSEWHERE else ()) for each in SIZES],
)
def test_a_variant_answers_with_the_shapes_of_the_contract(name):
    sizes = {"units": 6, "embedding_dim": 5, "max_words": 8, **SIZES[name]}
    if "small" in name:
        sizes["encoder"] = {"filters": 4, "depth": 1}
    model = glimpse.create_model(name, vocabulary=VOCABULARY, **sizes)
    outputs = model(clips(), token_ids()[0])
    assert outputs["logits"].shape == (BATCH, WORDS, len(VOCABULARY))
    assert outputs["attention_weights"].shape == (BATCH, WORDS, *MAP)
    assert outputs["gate"].shape == (BATCH, WORDS)
    assert set(outputs) == {"logits", "attention_weights", "gate"}
    sums = np.ones((BATCH, WORDS))
    if "first_step" in name:
        sums[:, 1:] = 0
    close(numpy(outputs["attention_weights"]).sum((2, 3, 4)), sums)
    assert ((numpy(outputs["gate"]) > 0) & (numpy(outputs["gate"]) < 1)).all()


@pytest.mark.parametrize("options", [{}, {"attention": "content", "encoder": {"filters": 4}}])
def test_the_answer_is_the_decoders_over_all_regions(options):
    model = make_captioner(**options)
    inputs = token_ids()[0]
    outputs = model(clips(), inputs)
    regions = model.encode(keras.ops.convert_to_tensor(clips()))
    assert regions.shape[:2] == (BATCH, FRAMES * HEIGHT * WIDTH)
    if not options:
        close(regions, clips().reshape(BATCH, -1, FEATURES))
    direct = model.decoder(regions, inputs)
    close(outputs["logits"], direct["logits"])
    maps = numpy(direct["attention_weights"]).reshape(BATCH, WORDS, *MAP)
    close(outputs["attention_weights"], maps)


def test_tensors_by_name_or_by_place_are_the_same_call():
    model = make_captioner(attention="content")
    inputs = token_ids()[0]
    mask = inputs != 0
    by_place = model(clips(), inputs, mask=mask)
    by_name = model({"features": clips(), "token_ids": inputs, "mask": mask})
    for name, values in by_place.items():
        close(by_name[name], values)
    with pytest.raises(ValueError, match="features and token_ids.*received features"):
        model({"features": clips()})


@pytest.mark.parametrize("encoder", [None, pytest.param({"filters": 4}, marks=_BACKENDS)])
def test_masked_frames_change_nothing(encoder):
    model = make_captioner(attention="content", encoder=encoder)
    inputs = token_ids()[0]
    short = model(clips(), inputs)
    longer = np.concatenate([clips(), np.full_like(clips(), np.nan)], axis=1)
    mask = np.arange(2 * FRAMES)[None] < np.full((BATCH, 1), FRAMES)
    outputs = model(longer, inputs, features_mask=mask)
    close(outputs["logits"], short["logits"])
    close(numpy(outputs["attention_weights"])[:, :, :FRAMES], short["attention_weights"])
    assert not numpy(outputs["attention_weights"])[:, :, FRAMES:].any()
    ours = [best[0] for best in model.caption(longer, features_mask=mask)]
    theirs = [best[0] for best in model.caption(clips())]
    assert [each.text for each in ours] == [each.text for each in theirs]
    close([each.score for each in ours], [each.score for each in theirs])


@_BACKENDS
def test_words_after_a_word_do_not_change_what_was_said_before():
    model = make_captioner()
    inputs = token_ids()[0]
    changed = inputs.copy()
    changed[:, 3:] = 5
    before, after = (numpy(model(clips(), ids)["logits"]) for ids in (inputs, changed))
    close(after[:, :3], before[:, :3])
    assert np.abs(after[:, 3:] - before[:, 3:]).max() > 1e-3


@_BACKENDS
def test_manual_glimpse_moves_the_gaze_and_nan_keeps_it():
    model = make_captioner()
    inputs = token_ids()[0]
    own = model(clips(), inputs)
    override = np.full((BATCH, WORDS, *MAP), np.nan, "float32")
    close(model(clips(), inputs, attention_override=override)["logits"], own["logits"])
    override[:, 1] = 0
    override[:, 1, 2, 1, 0] = 1
    moved = model(clips(), inputs, attention_override=override)
    assert numpy(moved["attention_weights"])[:, 1, 2, 1, 0].tolist() == [1] * BATCH
    assert np.abs(numpy(moved["logits"]) - numpy(own["logits"])).max() > 1e-4
    with pytest.raises(ValueError, match="attention_override"):
        model(clips(), inputs, attention_override=override.reshape(BATCH, WORDS, -1))


@_BACKENDS
def test_captions_score_what_the_call_gives_them():
    """The score is the sum of the words' log-probabilities, whoever says the words."""
    model = make_captioner()
    found = model.caption(clips(), batch_size=3)
    assert [len(best) for best in found] == [3] * BATCH
    for clip, best in enumerate(found):
        assert [each.score for each in best] == sorted((e.score for e in best), reverse=True)
        assert len({each.token_ids for each in best}) == 3
        for each in best:
            assert (
                each.words == tuple(each.text.split()) == tuple(VOCABULARY.decode(each.token_ids))
            )
            said = [*each.token_ids, *[VOCABULARY.end_token_id] * each.ended]
            assert each.ended or len(said) == model.max_words
            inputs = np.array([[VOCABULARY.start_token_id, *said[:-1]]], "int32")
            outputs = {k: numpy(v)[0] for k, v in model(clips()[clip : clip + 1], inputs).items()}
            logits = outputs["logits"].astype("float64")
            log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
            assert each.score == pytest.approx(log_p[np.arange(len(said)), said].sum(), rel=1e-3)
            count = len(each.words)
            assert each.attention_weights.shape == (count, *MAP)
            close(each.attention_weights, outputs["attention_weights"][:count])
            close(each.gate, outputs["gate"][:count])


@_BACKENDS
def test_options_of_the_search_take_the_place_of_the_models():
    model = make_captioner()
    two = model.caption(clips(batch=2), beam_width=2, max_words=3)
    assert [len(best) for best in two] == [2, 2]
    assert all(len(each.words) <= 3 for best in two for each in best)
    found = model.beam_search(clips(batch=2), beam_width=1, min_words=4)
    assert found["token_ids"].shape == (2, 1, 8) and found["scores"].shape == (2, 1)
    assert found["attention_weights"].shape == (2, 1, 8, *MAP)
    assert (numpy(found["token_ids"])[:, 0, :4] != VOCABULARY.end_token_id).all()
    with pytest.raises(ValueError, match="beam_width.*0"):
        model.beam_search(clips(), beam_width=0)


@_BACKENDS
def test_captions_follow_the_weights():
    """The search is compiled once; what training changes must reach it."""
    model = make_captioner()
    before = model.caption(clips())[0][0].score
    model.decoder.embedding.assign(numpy(model.decoder.embedding) + 0.5)
    assert model.caption(clips())[0][0].score != before


def test_slots_that_no_caption_takes_give_none():
    """With two words that may be said there are few captions of one word."""
    model = VideoCaptioner(list(VOCABULARY)[:5], units=3, embedding_dim=2, beam_width=6)
    (best,) = model.caption(clips(batch=1), max_words=1)
    assert sorted(each.text for each in best) == ["", "a"]
    assert [each.ended for each in best if not each.text] == [True]
    assert all(np.isfinite(each.score) for each in best)


def test_config_round_trip_and_names():
    model = make_captioner(encoder={"filters": 4}, sampling={"num_frames": 3})
    config = json.loads(json.dumps(model.get_config()))
    arguments = set(inspect.signature(VideoCaptioner.__init__).parameters) - {"self", "kwargs"}
    assert arguments <= set(config) and set(config) - arguments <= {"name", "trainable", "dtype"}
    again = VideoCaptioner.from_config(config)
    assert again.get_config() == model.get_config()
    assert again.vocabulary == VOCABULARY and again.sampling == {"num_frames": 3}
    for each in (VideoCaptioner, VideoDescriber):
        assert keras.saving.get_registered_name(each) == f"glimpse>{each.__name__}"


def test_a_fresh_process_loads_the_file_and_says_the_same(tmp_path):
    model = make_captioner(encoder={"filters": 4, "depth": 1})
    model.save(tmp_path / "model.keras")
    found = model.caption(clips())
    np.savez(
        tmp_path / "answer.npz",
        clips=clips(),
        texts=[each.text for best in found for each in best],
        scores=[each.score for best in found for each in best],
    )
    code = (
        "import sys, numpy as np, keras, glimpse\n"
        "model = keras.models.load_model(sys.argv[1] + '/model.keras')\n"
        "saved = np.load(sys.argv[1] + '/answer.npz')\n"
        "found = [each for best in model.caption(saved['clips']) for each in best]\n"
        "assert [each.text for each in found] == saved['texts'].tolist()\n"
        "assert np.abs([each.score for each in found] - saved['scores']).max() < 1e-6\n"
        "assert model.vocabulary.tokens[4:6] == ('a', 'cat')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert glimpse.load_model(tmp_path / "model.keras").vocabulary == VOCABULARY


@_BACKENDS
def test_a_describer_is_its_backbone_and_its_captioner(tmp_path):
    keras.utils.set_random_seed(3)
    captioner = VideoCaptioner(VOCABULARY, units=6, embedding_dim=5, max_words=6, dropout=0.0)
    model = VideoDescriber(SmallBackbone(), captioner)
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32, 3), dtype=np.uint8)
    inputs, targets = token_ids(captions=CAPTIONS[:2])
    outputs = model(frames, inputs)
    features = model.extract_features(frames)
    close(outputs["logits"], captioner(features, inputs)["logits"])
    close(model({"frames": frames, "token_ids": inputs})["gate"], outputs["gate"])
    said = model.caption(frames, beam_width=2)
    theirs = captioner.caption(numpy(features), beam_width=2)
    assert [[e.text for e in best] for best in said] == [[e.text for e in best] for best in theirs]

    model.backbone.trainable = False
    model.compile(keras.optimizers.Adam(0.01), attention_penalty=0.1, **AT_ONCE)
    captioner.compile("sgd", attention_penalty=0.1)
    ours = model.compute_loss(None, targets, outputs, None)
    assert float(numpy(ours)) == pytest.approx(
        float(numpy(captioner.compute_loss(None, targets, outputs, None))), rel=1e-6
    )
    x = {"frames": frames, "token_ids": inputs}
    losses = model.fit(x, targets, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]

    model.save(tmp_path / "model.keras")
    loaded = glimpse.load_model(tmp_path / "model.keras")
    close(loaded(frames, inputs)["logits"], model(frames, inputs)["logits"])
    assert loaded.vocabulary == VOCABULARY and loaded.max_words == 6 and loaded.sampling is None
    with pytest.raises(ValueError, match="captioner.*VideoCaptioner"):
        VideoDescriber(SmallBackbone(), SmallBackbone())


@_BACKENDS
def test_mixed_precision_answers_in_floats():
    """Scores are float32 sums, whatever the products are computed in."""
    model = make_captioner(dtype="mixed_bfloat16")
    model.compile("sgd", attention_penalty=0.1, **AT_ONCE)
    inputs, targets = token_ids()
    x = {"features": clips(), "token_ids": inputs}
    assert np.isfinite(model.fit(x, targets, verbose=0).history["loss"][0])
    (best, *_) = model.caption(clips(batch=1))
    assert np.isfinite(best[0].score) and best[0].attention_weights.dtype == np.float32


def test_parameter_count_at_the_papers_size():
    model = glimpse.create_model(
        "captioner_base", vocabulary=[*list(VOCABULARY)[:4], *map(str, range(15_000 - 4))]
    )
    with shapes_only():
        model.build((None, 26, 7, 7, 1024))
        count = sum(int(np.prod(weight.shape)) for weight in model.weights)
    d, D, n, V, regions = 4096, 1024, 512, 15_000, 26 * 49
    expected = (
        V * n  # E
        + (d + D + n + 1) * 4 * d  # M, Eq. 3.1
        + regions * d  # W, Eq. 3.2
        + (d + 1) * d + d + 1  # f_beta, Eq. 3.5
        + n * d + n * D + V * n  # W_h, W_x, W_p, Eq. 3.4
        + 2 * ((D + 1) * d + (d + 1) * d)  # h_0 and c_0, Eq. 2.6
    )  # fmt: skip
    assert count == expected


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"vocabulary": ["a", "dog"]}, "must begin with <pad>"),
        ({"max_words": 0}, "max_words.*0"),
        ({"beam_width": 1.5}, "beam_width.*1.5"),
        ({"length_penalty": -0.1}, "length_penalty.*-0.1"),
        ({"attention": "both"}, "attention.*both"),
        ({"context": "none"}, "context.*none"),
        ({"encoder": {"depth": 2}}, "encoder.*filters"),
        ({"encoder": 64}, "encoder.*64"),
    ],
)
def test_bad_arguments_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        VideoCaptioner(**{"vocabulary": VOCABULARY, "units": 4, "embedding_dim": 3, **options})


@_BACKENDS
def test_bad_calls_are_named():
    model = make_captioner()
    inputs = token_ids()[0]
    wrong = inputs.copy()
    wrong[1, 2] = len(VOCABULARY)
    for features, ids, words in (
        (clips(), wrong, "`token_ids` must hold ids from 0 to 10.*received 11"),
        (clips(), -inputs, "`token_ids`.*received -1"),
        (clips(), inputs[0], r"`token_ids` must be \(batch, words\)"),
        (clips(), inputs.astype("float32"), "`token_ids`.*integers.*float32"),
        (clips(), np.ones((BATCH, 9), "int32"), "9 words.*`max_words` is 8"),
        (clips()[:, 0], inputs, "`features` must be"),
        (clips(frames=2), inputs, r"`features` must be \(batch, 3, 2, 2, 5\)"),
        (clips(batch=3), inputs, "batch|token_ids"),
    ):
        with pytest.raises(ValueError, match=words):
            model(features, ids)
    with pytest.raises(ValueError, match="features_mask"):
        model(clips(), inputs, features_mask=np.ones((BATCH, 2), bool))
    with pytest.raises(ValueError, match="known number of frames"):
        VideoCaptioner(VOCABULARY, 4, 3).build((None, None, 2, 2, 5))
    for wrong_clips in (clips()[:, 0], clips(frames=2)):
        with pytest.raises(ValueError, match="`features` must be"):
            model.caption(wrong_clips)
    with pytest.raises(ValueError, match="beam_width.*0"):
        model.caption(clips(), beam_width=0)
    assert len(model.caption(clips(batch=1))) == 1  # what was refused has left nothing broken


def test_a_wrong_call_after_a_right_one_is_refused_too():
    """Keras lets a second shape into what it traced for the first."""
    for attention in ("state", "content"):
        model = make_captioner(attention=attention)
        features, mask = clips(batch=3), np.ones((3, FRAMES), bool)
        model.caption(features, features_mask=mask)
        model.caption(features)
        for wrong, wrong_mask, words in (
            (features.reshape(3, 2, 3, 2, 5), None, "`features` must be"),
            (features[:, :, :1], None, "`features` must be"),
            (features[0], None, "`features` must be"),
            (features, mask[:, :1], "`features_mask` must be"),
            (features, mask[:2], "`features_mask` must be"),
            (np.array(["a.mp4"]), None, "array of numbers.*VideoCaptionAnswerer"),
            (features[:0], None, "must be clips to describe"),
            (features * np.nan, None, "no caption of clip 0 of the batch a score"),
        ):
            with pytest.raises(ValueError, match=words):
                model.caption(wrong, features_mask=wrong_mask)
        assert len(model.caption(features)) == 3


def test_wrong_frames_and_numbers_are_refused_after_a_right_call():
    captioner = VideoCaptioner(VOCABULARY, units=6, embedding_dim=5, max_words=6)
    model = VideoDescriber(SmallBackbone(), captioner)
    frames = np.zeros((2, 3, 32, 32, 3), np.uint8)
    assert len(model.caption(frames)) == 2
    for wrong, words in (
        (frames[0], "`frames` must be"),
        (frames[..., :1], "`frames` must be"),
        (frames[:, :2], r"`features` must be \(batch, 3, "),
    ):
        with pytest.raises(ValueError, match=words):
            model.caption(wrong)
    for options, words in (
        ({"batch_size": 0}, "`batch_size`.*0"),
        ({"beam_width": 0}, "`beam_width`.*0"),
        ({"min_words": 7}, "`min_words` must be an integer from 0 to `max_words` = 6"),
        ({"length_penalty": float("nan")}, "`length_penalty`.*nan"),
    ):
        with pytest.raises(ValueError, match=words):
            model.caption(frames, **options)
    with pytest.raises(TypeError, match="beams"):
        model.caption(frames, beams=2)


def test_the_registry_tells_captioners_and_classifiers_apart():
    with pytest.raises(ValueError, match="num_classes.*left out.*captioner_base.*3"):
        glimpse.create_model("captioner_base", 3, vocabulary=VOCABULARY)
    with pytest.raises(ValueError, match="vocabulary.*needed"):
        glimpse.create_model("captioner_base")
    with pytest.raises(ValueError, match="num_classes.*needed.*soft_attention_base"):
        glimpse.create_model("soft_attention_base")
    with pytest.raises(ValueError, match="vocabulary.*left out"):
        glimpse.create_model("soft_attention_base", 3, vocabulary=VOCABULARY)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
