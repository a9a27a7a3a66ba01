"""Tests of the caption decoder: whole captions, one word at a time, and beams."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from glimpse.layers import GatedCaptionDecoder
from tests import caption_references
from tests.gradients import assert_gradients_match_differences, compiled, float64, gradients
from tests.layer_checks import run_layer_checks

# On the other backends, where each new loop is compiled, what could differ there runs alone.
_BACKENDS = pytest.mark.backends

# Two clips of three regions, with captions of four words; the second has less of both.
_WORDS = np.array([[True] * 4, [True, True, False, False]])
_REGIONS = np.array([[True] * 3, [True, False, True]])
_CONTEXTS = ("attention", "average", "first_step")
_ELSEWHERE = {
    ("attention", "state", "paper"),
    ("average", "state", "reference"),
    ("first_step", "content", "reference"),
}
_CASES = [
    pytest.param(*case, marks=_BACKENDS if case in _ELSEWHERE else ())
    for case in itertools.product(_CONTEXTS, ("state", "content"), ("paper", "reference"))
]


def _numpy(tensor):
    return ops.convert_to_numpy(tensor)


def _data(dtype="float32"):
    generator = np.random.default_rng(2)
    features = generator.normal(size=(2, 3, 6)).astype(dtype)
    return features, generator.integers(0, 9, (2, 4)).astype("int32")


def _override():
    override = np.random.default_rng(4).random((2, 4, 3)).astype("float32")
    override[0, 1:3] = override[1, :1] = np.nan
    return override


def random_decoder(**kwargs):
    """A decoder of 9 words and 4 units whose every weight is random."""
    decoder = GatedCaptionDecoder(9, 4, 5, **{"attention_units": 3, **kwargs})
    decoder.build((2, 3, 6), (2, 4))
    generator = np.random.default_rng(5)
    for weight in decoder.trainable_weights:
        weight.assign(generator.normal(size=weight.shape) * 0.7)
    return decoder


def paper_weights(decoder):
    """The decoder's weights by the thesis's letters."""
    letters = {
        "E": "embedding",
        "M_h": "recurrent_kernel",
        "M_b": "bias",
        "F": "gate_hidden_kernel",
        "f": "gate_hidden_bias",
        "G": "gate_kernel",
        "g": "gate_bias",
        "W_p": "output_kernel",
        "W_h": "hidden_output_kernel",
        "W_x": "context_output_kernel",
    }

    def read(name):
        return _numpy(getattr(decoder, name)).astype("float64")

    weights = {letter: read(name) for letter, name in letters.items()}
    weights["M_y"], weights["M_x"] = np.split(read("kernel"), [decoder.embedding_dim])
    weights["biases"] = None
    if decoder.deep_output == "reference":
        weights["biases"] = read("hidden_output_bias"), read("output_bias")
    if decoder.context != "average" and decoder.attention == "state":
        weights["W"] = read("attention_kernel")
    elif decoder.context != "average":
        names = "value_kernel", "query_kernel", "attention_bias", "score_kernel"
        weights["content"] = [read(name) for name in names]
    for position, name in enumerate(("start_h", "start_c")):
        layers = [
            layers[position] if layers else None
            for layers in (decoder.first_states.hidden_layers, decoder.first_states.output_layers)
        ]
        weights[name] = [
            layer and [_numpy(v).astype("float64") for v in (layer.kernel, layer.bias)]
            for layer in layers
        ]
    return weights


def assert_equal(found, expected):
    for x, y in zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True):
        np.testing.assert_allclose(_numpy(x), _numpy(y), rtol=1e-5, atol=1e-6)


def _step_through(decoder, features, token_ids, features_mask=None, override=None):
    """The call's answer from `step`, one word at a time."""
    states, projected = decoder.initial_state(features, features_mask), decoder.project(features)
    answers = []
    for t in range(token_ids.shape[1]):
        logits, states, weights, gate = decoder.step(
            token_ids[:, t],
            states,
            features,
            features_mask=features_mask,
            attention_override=None if override is None else override[:, t],
            projected=projected if t % 2 else None,
        )
        answers.append({"logits": logits, "attention_weights": weights, "gate": gate})
    return keras.tree.map_structure(lambda *x: np.stack(list(map(_numpy, x)), 1), *answers)


@pytest.mark.parametrize(
    ("arguments", "extra", "num_weights"),
    [
        ({}, {"mask": _WORDS}, 20),
        pytest.param(
            {
                "attention": "content",
                "deep_output": "reference",
                "initial_state_units": 0,
                "gate_units": 3,
                "initial_gate_bias": 0.5,
            },
            {"features_mask": _REGIONS},
            21,
            marks=_BACKENDS,
        ),
    ],
)
def test_layer_checks(arguments, extra, num_weights, tmp_path):
    features, token_ids = _data()
    run_layer_checks(
        GatedCaptionDecoder,
        {"vocabulary_size": 9, "units": 4, "embedding_dim": 5, **arguments},
        {"features": features, "token_ids": token_ids, **extra},
        num_weights=num_weights,
        folder=tmp_path,
    )


def test_weights_have_the_stated_shapes():
    decoder = random_decoder(deep_output="reference")
    shapes = {w.name: tuple(w.shape) for w in decoder.weights if "first_states" not in w.path}
    assert shapes == {
        "embedding": (9, 5),
        "kernel": (5 + 6, 16),
        "recurrent_kernel": (4, 16),
        "bias": (16,),
        "attention_kernel": (4, 3),
        "gate_hidden_kernel": (4, 4),
        "gate_hidden_bias": (4,),
        "gate_kernel": (4, 1),
        "gate_bias": (1,),
        "hidden_output_kernel": (4, 5),
        "context_output_kernel": (6, 5),
        "output_kernel": (5, 9),
        "hidden_output_bias": (5,),
        "output_bias": (9,),
    }
    by_content = random_decoder(attention="content", attention_units=None)
    shapes = {w.name: tuple(w.shape) for w in by_content.weights}
    assert not {"attention_kernel", "output_bias"} & set(shapes)
    names = ("value_kernel", "query_kernel", "attention_bias", "score_kernel")
    assert [shapes[name] for name in names] == [(6, 4), (4, 4), (4,), (4, 1)]
    average = random_decoder(context="average")
    assert not {"attention_kernel", "query_kernel"} & {w.name for w in average.weights}
    fresh = GatedCaptionDecoder(9, 4, 5)
    fresh.build((None, 3, 6))
    np.testing.assert_array_equal(_numpy(fresh.bias), [0] * 4 + [1] * 4 + [0] * 8)


def test_the_gate_has_the_size_and_the_start_that_are_asked_for():
    (features, token_ids), options = _data(), {"vocabulary_size": 9, "units": 4, "embedding_dim": 5}
    open_gate = GatedCaptionDecoder(**options, gate_units=2, initial_gate_bias=6.0)
    opened = _numpy(open_gate(features, token_ids)["gate"])
    assert tuple(open_gate.gate_hidden_kernel.shape) == (4, 2)
    assert tuple(open_gate.gate_kernel.shape) == (2, 1)
    assert opened.min() > 0.95
    left = _numpy(GatedCaptionDecoder(**options)(features, token_ids)["gate"])
    assert np.abs(left - 0.5).max() < 0.4


@pytest.mark.parametrize(("context", "attention", "deep_output"), _CASES)
def test_captions_match_the_equations(context, attention, deep_output):
    masked = deep_output == "reference"
    decoder = random_decoder(
        attention=attention,
        context=context,
        deep_output=deep_output,
        initial_state_units=0 if attention == "content" else None,
        gate_units=2 if masked else None,
    )
    (features, token_ids), given = _data(), _override()
    words, regions = (_WORDS, _REGIONS) if masked else (None, None)
    found = decoder(
        features,
        token_ids,
        mask=words,
        features_mask=regions,
        attention_override=given if masked else None,
    )
    for n in range(2):
        logits, maps, betas, _, _ = caption_references.caption(
            paper_weights(decoder),
            features[n],
            token_ids[n],
            context,
            words[n] if masked else None,
            regions[n] if masked else None,
            given[n] if masked else None,
        )
        expected = {"logits": logits, "attention_weights": maps, "gate": betas}
        assert_equal({name: value[n] for name, value in found.items()}, expected)


@pytest.mark.parametrize(("context", "attention", "deep_output"), _CASES)
def test_word_by_word_equals_the_whole_caption(context, attention, deep_output):
    decoder = random_decoder(attention=attention, context=context, deep_output=deep_output)
    features, token_ids = _data()
    regions = _REGIONS if deep_output == "paper" else None
    override = _override() if deep_output == "paper" else None
    whole = decoder(features, token_ids, features_mask=regions, attention_override=override)
    assert_equal(_step_through(decoder, features, token_ids, regions, override), whole)


@pytest.mark.parametrize(
    ("context", "attention"),
    [
        pytest.param("attention", "content", marks=_BACKENDS),
        pytest.param("first_step", "state", marks=_BACKENDS),
        ("attention", "state"),
        ("average", "state"),
        ("first_step", "content"),
    ],
)
def test_beams_share_their_clip_and_nothing_else(context, attention):
    decoder = random_decoder(attention=attention, context=context)
    features, token_ids = _data()
    generator = np.random.default_rng(7)
    states = [
        generator.normal(size=(2, 4, *state.shape[1:])).astype("float32")
        for state in decoder.initial_state(features)
    ]
    override = _override()
    keywords = {"features_mask": _REGIONS, "projected": decoder.project(features)}
    found = decoder.step(token_ids, states, features, attention_override=override, **keywords)
    shapes = [tuple(x.shape) for x in keras.tree.flatten(found)]
    assert [shapes[0], *shapes[-2:]] == [(2, 4, 9), (2, 4, 3), (2, 4)]
    for beam in range(4):
        alone = decoder.step(
            token_ids[:, beam],
            [state[:, beam] for state in states],
            features,
            attention_override=override[:, beam],
            **keywords,
        )
        assert_equal(keras.tree.map_structure(lambda x, b=beam: _numpy(x)[:, b], found), alone)


@_BACKENDS
@pytest.mark.parametrize("attention", ["state", "content"])
def test_padding_changes_nothing_whatever_it_holds(attention):
    decoder = random_decoder(attention=attention, deep_output="reference")
    features, token_ids = _data()
    alone = slice(1, 2) if attention == "state" else (slice(1, 2), [0, 2])
    regions = None if attention == "state" else _REGIONS
    short = decoder(features[alone], token_ids[1:, :2])
    if regions is not None:
        features[~_REGIONS] = np.nan
    token_ids[~_WORDS] = 77
    found = decoder(features, token_ids, mask=_WORDS, features_mask=regions)
    found = {name: _numpy(value)[1:] for name, value in found.items()}
    for value in found.values():
        np.testing.assert_array_equal(value[:, 2:], 0)
    found = {name: value[:, :2] for name, value in found.items()}
    if regions is not None:
        np.testing.assert_array_equal(found["attention_weights"][:, :, 1], 0)
        found["attention_weights"] = found["attention_weights"][:, :, [0, 2]]
    assert_equal(found, short)


def test_a_masked_word_leaves_the_state_as_it_is():
    """A caption with a hole equals the caption without it, also on its first step."""
    for context in _CONTEXTS:
        decoder, (features, token_ids) = random_decoder(context=context), _data()
        mask = np.array([[False, True, False, True]] * 2)
        found = decoder(features, token_ids, mask=mask)
        expected = decoder(features, token_ids[:, [1, 3]])
        assert_equal({name: _numpy(x)[:, [1, 3]] for name, x in found.items()}, expected)


def test_equal_scores_are_the_average():
    average, (features, token_ids) = random_decoder(context="average"), _data()
    for attention, name in (("state", "attention_kernel"), ("content", "score_kernel")):
        decoder = random_decoder(attention=attention)
        getattr(decoder, name).assign(np.zeros(getattr(decoder, name).shape))
        values = {w.path.split("/", 1)[1]: w for w in average.weights}
        for weight in decoder.weights:
            if weight.path.split("/", 1)[1] in values:
                weight.assign(values[weight.path.split("/", 1)[1]])
        for regions in (None, _REGIONS):
            expected = average(features, token_ids, features_mask=regions)
            assert_equal(decoder(features, token_ids, features_mask=regions), expected)
    np.testing.assert_allclose(_numpy(expected["attention_weights"])[1, :, 0], 0.5)


def test_one_region_and_a_gate_that_is_shut():
    decoder = GatedCaptionDecoder(9, 4, 5)
    features, token_ids = _data()
    found = decoder(features[:, :1], token_ids)
    np.testing.assert_array_equal(_numpy(found["attention_weights"]), 1)
    decoder.gate_bias.assign([-100.0])
    shut = decoder(features[:, :1], token_ids)
    np.testing.assert_allclose(_numpy(shut["gate"]), 0, atol=1e-30)
    # Then the clip is seen by the start alone.
    blank = np.zeros((2, 4, 1), "float32")
    assert_equal(
        shut["logits"], decoder(features[:, :1], token_ids, attention_override=blank)["logits"]
    )


def test_the_first_step_alone_attends():
    decoder, (features, token_ids) = random_decoder(context="first_step"), _data()
    weights = _numpy(decoder(features, token_ids)["attention_weights"])
    np.testing.assert_allclose(weights[:, 0].sum(-1), 1, rtol=1e-6)
    np.testing.assert_array_equal(weights[:, 1:], 0)
    every = random_decoder()
    blank = np.zeros((2, 4, 3), "float32")
    blank[:, 0] = np.nan
    overridden = every(features, token_ids, attention_override=blank)
    assert_equal(decoder(features, token_ids), overridden)


def test_a_clip_without_a_real_region():
    for attention, context in itertools.product(("state", "content"), _CONTEXTS):
        decoder, (features, token_ids) = (
            random_decoder(attention=attention, context=context),
            _data(),
        )
        none = np.zeros((2, 3), bool)
        found = decoder(features, token_ids, features_mask=none)
        np.testing.assert_array_equal(_numpy(found["attention_weights"]), 0)
        assert np.isfinite(_numpy(found["logits"])).all()


def _scalar(decoder, token_ids, **fixed):
    """A scalar of every output, as a function of features and weights."""
    untrained = [_numpy(v) for v in decoder.non_trainable_variables]

    def scalar(features, *weights):
        outputs, _ = decoder.stateless_call(
            list(weights),
            [ops.convert_to_tensor(v) for v in untrained],
            features,
            token_ids,
            **fixed,
        )
        generator = np.random.default_rng(6)
        return sum(
            ops.sum(x * ops.convert_to_tensor(generator.normal(size=x.shape), x.dtype))
            for x in keras.tree.flatten(outputs)
        )

    return scalar


@pytest.mark.parametrize(
    ("attention", "context"),
    [("state", "attention"), pytest.param("content", "first_step", marks=_BACKENDS)],
)
def test_gradients(attention, context):
    generator = np.random.default_rng(8)
    with float64():
        decoder = random_decoder(
            attention=attention,
            context=context,
            deep_output="reference",
            dropout=0.3,
            seed=1,
            dtype="float64",
        )
        features, token_ids = _data("float64")
        scalar = _scalar(decoder, token_ids, mask=_WORDS, features_mask=_REGIONS, training=True)
        names = ["features", *(v.path for v in decoder.trainable_variables)]
        values = [features]
        values += [generator.normal(size=v.shape) * 0.7 for v in decoder.trainable_variables]
        assert_gradients_match_differences(scalar, values, names)


@_BACKENDS
def test_padding_gets_a_gradient_of_exactly_zero_and_poisons_no_other():
    decoder, (features, token_ids) = random_decoder(attention="content"), _data()
    features[~_REGIONS] = np.nan
    token_ids[:] = [[1, 2, 3, 4], [5, 6, 7, 8]]
    scalar = _scalar(decoder, token_ids, mask=_WORDS, features_mask=_REGIONS)
    weights = decoder.trainable_variables
    found = gradients(scalar, [features, *map(_numpy, weights)])
    assert all(np.isfinite(gradient).all() for gradient in found)
    assert (found[0][~_REGIONS] == 0).all()
    assert (np.abs(found[0][_REGIONS]).max(axis=1) > 0).all()
    embedding = found[1 + [w.name for w in weights].index("embedding")]
    used = np.abs(embedding).max(axis=1) > 0
    np.testing.assert_array_equal(used, [False, *[True] * 6, False, False])


@_BACKENDS
def test_one_graph_serves_any_number_of_words_and_regions():
    decoder, (features, token_ids) = random_decoder(attention="content"), _data()
    clip, words = keras.Input((None, 6)), keras.Input((None,), dtype="int32")
    model = keras.Model([clip, words], decoder(clip, words))
    for C, NK2 in ((1, 3), (4, 2)):
        found = model.predict([features[:, :NK2], token_ids[:, :C]], verbose=0)
        assert_equal(found, decoder(features[:, :NK2], token_ids[:, :C]))
        assert found["logits"].shape == (2, C, 9)


def test_dropout_is_inverted_and_falls_on_what_enters():
    decoder = GatedCaptionDecoder(4, 64, 64, dropout=0.5, seed=1)
    features, token_ids = np.full((3, 2, 64), 2.0, "float32"), np.ones((3, 1), "int32")
    decoder.build((3, 2, 64), (3, 1))
    # With an identity for a kernel the gate g shows what enters: 1 of the word, 2 of the context.
    kernel = np.zeros((128, 256), "float32")
    kernel[:64, 128:192] = kernel[64:, 128:192] = np.eye(64) * 0.01
    decoder.kernel.assign(kernel)
    decoder.embedding.assign(np.ones((4, 64)))
    decoder.gate_bias.assign([100.0])
    decoder.recurrent_kernel.assign(np.zeros((64, 256)))
    decoder.bias.assign(np.repeat([50.0, -50.0, 0.0, 50.0], 64))
    start = decoder.initial_state(features)
    for training, expected in ((False, {3}), (True, {0, 2, 4, 6})):
        _, (_, c), _, _ = decoder.step(token_ids[:, 0], start, features, training=training)
        assert set(np.unique(np.round(np.arctanh(_numpy(c)) * 100))) == expected
    # What W_p reads: the word (1), the context (2) and, times 100, tanh of tanh of the sum.
    decoder.hidden_output_kernel.assign(np.eye(64) * 100)
    decoder.context_output_kernel.assign(np.eye(64))
    decoder.output_kernel.assign(np.eye(64)[:, :4])
    np.testing.assert_allclose(_numpy(decoder(features, token_ids)["logits"]), 6, rtol=1e-2)
    seen = np.round(_numpy(decoder(features, token_ids, training=True)["logits"]))
    assert set(np.unique(seen)) <= {0, 2, 4, 6, 8, 12} and len(np.unique(seen)) > 2


@_BACKENDS
def test_dropout_is_drawn_anew_for_every_word_and_off_at_inference():
    decoder, plain, (features, token_ids) = (
        random_decoder(dropout=0.5, seed=1),
        random_decoder(),
        _data(),
    )
    assert_equal(decoder(features, token_ids), plain(features, token_ids))
    same = np.repeat(token_ids[:, :1], 4, axis=1)
    # With a state that is forgotten and maps that are equal the words differ by their draws alone.
    for weight in (decoder.recurrent_kernel, decoder.attention_kernel, decoder.gate_hidden_kernel):
        weight.assign(np.zeros(weight.shape))
    decoder.bias.assign(np.repeat([0.0, -50.0, 0.0, 0.0], 4))
    logits = _numpy(decoder(features, same)["logits"])
    np.testing.assert_allclose(logits, logits[:, [0] * 4], rtol=1e-5, atol=1e-6)
    logits = _numpy(decoder(features, same, training=True)["logits"])
    assert all(np.abs(logits[:, t] - logits[:, t + 1]).max() > 1e-3 for t in range(3))


def test_a_keras_mask_of_the_regions_is_used():
    decoder, (features, token_ids) = random_decoder(), _data()
    features[~_REGIONS] = 0
    found = decoder(keras.layers.Masking()(features), token_ids)
    assert_equal(found, decoder(features, token_ids, features_mask=_REGIONS))


@_BACKENDS
def test_a_number_that_is_no_token_is_refused_or_gives_nan():
    decoder, (features, token_ids) = random_decoder(), _data()
    graph = compiled(lambda ids: decoder(features, ids)["logits"])
    for wrong in (9, -1):
        token_ids[1, 2] = wrong
        message = f"`token_ids` must be whole numbers from 0 to 8, .* received {wrong}"
        with pytest.raises(ValueError, match=message):
            decoder(features, token_ids)
        with pytest.raises(ValueError, match=message):
            decoder.step(token_ids[:, 2], decoder.initial_state(features), features)
        if keras.config.backend() != "torch":  # it has no graphs
            logits = _numpy(graph(ops.convert_to_tensor(token_ids)))
            assert np.isfinite(logits[0]).all() and np.isfinite(logits[1, :2]).all()
            assert np.isnan(logits[1, 2:]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vocabulary_size": 0}, "`vocabulary_size` must be an integer of at least 1; received 0"),
        ({"units": 1.5}, "`units` must be an integer of at least 1; received 1.5"),
        ({"embedding_dim": 0}, "`embedding_dim` must be .* received 0"),
        ({"attention_units": 0}, "`attention_units` must be .* received 0"),
        ({"gate_units": 0}, "`gate_units` must be .* received 0"),
        ({"initial_state_units": -1}, "`initial_state_units` must be .* received -1"),
        ({"dropout": 1}, r"`dropout` must be in \[0, 1\); received 1"),
        ({"attention": "both"}, '`attention` must be one of "state", "content"; received \'both\''),
        ({"context": "last"}, "`context` must be one of .* received 'last'"),
        ({"deep_output": "deep"}, "`deep_output` must be one of .* received 'deep'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        GatedCaptionDecoder(**{"vocabulary_size": 9, "units": 4, "embedding_dim": 5, **arguments})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"features": (2, 3, 1, 6)}, r"`features` must be \(batch, 3, 6\), .* \(2, 3, 1, 6\)"),
        ({"features": (2, 4, 6)}, r"`features` must be \(batch, 3, 6\), .* \(2, 4, 6\)"),
        ({"features": (2, 3, 5)}, r"`features` must be \(batch, 3, 6\), .* \(2, 3, 5\)"),
        ({"features": (3, 3, 6)}, r"`token_ids` must be \(3, words\), received shape \(2, 4\)"),
        ({"token_ids": (2,)}, r"`token_ids` must be \(2, words\), received shape \(2,\)"),
        ({"token_ids": (2, 0)}, r"`token_ids` must be \(2, words\); all but the first must hold"),
        ({"mask": (2, 3)}, r"`mask` must have the shape of `token_ids`, \(2, 4\)"),
        ({"features_mask": (2, 4)}, r"`features_mask` must have the shape of .* \(2, 3\)"),
        ({"attention_override": (2, 3)}, r"`attention_override` must .* \(2, 4, 3\)"),
    ],
)
def test_bad_calls(call, message):
    call = {"features": (2, 3, 6), "token_ids": (2, 4), **call}
    kinds = {"token_ids": "int32", "mask": "bool", "features_mask": "bool"}
    with pytest.raises(ValueError, match=message):
        random_decoder()(**{n: np.ones(x, kinds.get(n, "float32")) for n, x in call.items()})


def test_bad_steps():
    decoder, (features, token_ids) = random_decoder(), _data()
    states = decoder.initial_state(features)
    beams = [np.zeros((2, 4, 4), "float32")] * 2
    for ids, given, keywords, message in (
        (token_ids[:, 0], states[:1], {}, r"`states` must be a list of 2 states, \[h, c\]"),
        (token_ids[:, 0], beams, {}, r"`states`'s `h` must be \(2, 4\), .* \(2, 4, 4\)"),
        (token_ids, states, {}, r"`states`'s `h` must be \(2, 4, 4\), received shape \(2, 4\)"),
        (token_ids[:1], beams, {}, r"`token_ids` must be \(2, beams\), received shape \(1, 4\)"),
        (token_ids[:, :, None], beams, {}, r"`token_ids` must be .* \(2, 4, 1\)"),
        (token_ids[0, 0], states, {}, r"`token_ids` must be \(2\), received shape \(\)"),
        (
            token_ids[:, 0],
            states,
            {"attention_override": np.ones((2, 4, 3))},
            r"`attention_override` must .* \(2, 3\)",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            decoder.step(ids, given, features, **keywords)


def test_an_override_with_only_some_nan_is_refused():
    decoder, (features, token_ids) = random_decoder(), _data()
    override = _override()
    override[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="only some values are NaN"):
        decoder(features, token_ids, attention_override=override)
    with pytest.raises(ValueError, match="only some values are NaN"):
        states = decoder.initial_state(features)
        decoder.step(token_ids[:, 0], states, features, attention_override=override[:, 0])


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
