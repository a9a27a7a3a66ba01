"""A search changes only where the model looks, and says honestly whether it found a glimpse."""

import dataclasses

import numpy as np
import pytest

from glimpse.pipelines.film_strip import group_by_clip
from glimpse.pipelines.glimpse_search import search_glimpse
from glimpse.pipelines.glimpse_search_picture import draw_glimpse_search, glimpse_search_canvas
from tests.colour_answerer import NAMES, make_answerer, make_window
from tests.drawn_texts import assert_readable, drawn_texts


@pytest.fixture(scope="module")
def answerer():
    return make_answerer(attention="state")


@pytest.fixture(scope="module")
def wrong(answerer):
    """A window and the label that is least likely of it."""
    window = make_window()
    gaze = answerer.look(window)
    return window, NAMES[int(gaze.probabilities.argmin())]


@pytest.fixture(scope="module")
def searches(answerer, wrong):
    window, label = wrong
    return {
        variables: search_glimpse(answerer, window, label, variables, max_steps=60, seed=1)
        for variables in ("weights", "maps")
    }


@pytest.mark.parametrize("variables", ["weights", "maps"])
def test_the_wanted_label_becomes_more_probable(searches, wrong, variables):
    search, (_, label) = searches[variables], wrong
    index = NAMES.index(label)
    assert search.probability(search.found) > search.probability(search.start)
    assert search.probability(search.found) > search.own.probabilities[index]
    assert search.history[search.steps] == pytest.approx(
        search.found.probabilities[index], rel=1e-4
    )
    assert search.history[0] == pytest.approx(search.start.probabilities[index], rel=1e-4)
    assert search.reached == (search.found.predicted_label == label)
    for gaze in search.gazes:
        np.testing.assert_allclose(gaze.attention.sum(axis=(1, 2)), 1, rtol=1e-5)
    assert len(group_by_clip(list(search.gazes))) == 1


def test_a_search_ends_at_the_first_glimpse_that_answers_as_wanted(answerer, wrong):
    window, _ = wrong
    found = {}
    for label in NAMES:
        search = search_glimpse(answerer, window, label, "maps", max_steps=60, seed=1)
        found[label] = search
        assert len(search.history) <= 61
        if search.reached:
            assert search.found.predicted_label == label
            assert search.steps == len(search.history) - 1
            assert search.found.model_name == f"found after {search.steps} steps"
    # Each label differs, so at most one is there at the start: the others took steps.
    assert sum(search.steps == 0 for search in found.values()) <= 1
    assert sum(search.reached for search in found.values()) >= 2


def test_the_seed_decides_the_search(answerer, wrong, searches):
    window, label = wrong
    again = search_glimpse(answerer, window, label, "weights", max_steps=60, seed=1)
    np.testing.assert_array_equal(again.history, searches["weights"].history)
    other = search_glimpse(answerer, window, label, "weights", max_steps=1, seed=2)
    assert other.history[0] != again.history[0]


def test_only_the_gaze_is_changed(answerer, wrong):
    window, label = wrong
    before = [np.array(weight) for weight in answerer.classifier.weights]
    own = answerer.look(window)
    search = search_glimpse(answerer, window, label, "weights", max_steps=3)
    for weight, kept in zip(answerer.classifier.weights, before, strict=True):
        np.testing.assert_array_equal(weight, kept)
    np.testing.assert_allclose(search.own.probabilities, own.probabilities, rtol=1e-5)
    # What was found is a glimpse of the unchanged model: the same maps give the same answer.
    shown = answerer.look(window, attention_override=search.found.attention)
    np.testing.assert_allclose(shown.probabilities, search.found.probabilities, rtol=1e-5)


def test_a_search_from_the_model_begins_at_its_gaze(answerer, wrong):
    window, label = wrong
    for variables in ("weights", "maps"):
        search = search_glimpse(answerer, window, label, variables, "model", max_steps=1)
        np.testing.assert_allclose(search.start.attention, search.own.attention, atol=1e-4)


def test_random_weights_lie_between_the_models_own(answerer, wrong, monkeypatch):
    window, label = wrong
    drawn = {}
    uniform = np.random.Generator.uniform

    def record(self, low, high, size):
        drawn["bounds"] = low, high, size
        return uniform(self, low, high, size)

    class Recorder(np.random.Generator):
        uniform = record

    monkeypatch.setattr(np.random, "default_rng", lambda seed: Recorder(np.random.PCG64(seed)))
    search_glimpse(answerer, window, label, "weights", max_steps=1)
    kernel = np.array(answerer.classifier.recurrence.cell.attention_kernel)
    assert drawn["bounds"] == (kernel.min(), kernel.max(), kernel.shape)


def test_what_is_not_reached_is_said(answerer, wrong):
    window, label = wrong
    search = search_glimpse(
        answerer, window, label, "maps", max_steps=2, learning_rate=1e-6, least_probability=0.99
    )
    assert not search.reached
    assert search.found.model_name == "nearest in 2 steps"
    assert search.steps == int(np.argmax(search.history)) and len(search.history) == 3
    texts = drawn_texts(glimpse_search_canvas(search))
    assert "not found: the label never became the likeliest" in texts or (
        "not found: the label never became probable enough" in texts
    )


def test_the_picture_tells_the_course(searches, tmp_path):
    search = searches["weights"]
    canvas = glimpse_search_canvas(search)
    texts = drawn_texts(canvas)
    assert f"{search.history[search.steps]:.0%}" in texts and "step 0" in texts
    assert f"probability of {search.wanted_label!r} while only the gaze is changed" in texts
    assert_readable(canvas)
    boxes = np.tile([0.0, 0.0, 12.0, 12.0], (4, 1))
    known = {
        name: dataclasses.replace(getattr(search, name), boxes=boxes, true_label="squat")
        for name in ("own", "start", "found")
    }
    search = dataclasses.replace(search, **known)
    canvas = glimpse_search_canvas(search)
    assert_readable(canvas)
    assert sum("attention on the actor" in text for text in drawn_texts(canvas)) == 3
    draw_glimpse_search(search, tmp_path / "search.png")
    assert (tmp_path / "search.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"wanted_label": None}, "no label is wanted"),
        ({"wanted_label": "fly"}, "'fly' is none of the model's: bow, squat, wave"),
        ({"variables": "pixels"}, "variables must be one of weights, maps, got 'pixels'"),
        ({"start": "centre"}, "start must be one of random, model"),
        ({"max_steps": 0}, "max_steps must be at least 1, got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"least_probability": 1.0}, "least_probability must be at least 0 and below 1"),
    ],
)
def test_bad_options_are_named(answerer, options, message):
    with pytest.raises(ValueError, match=message):
        search_glimpse(answerer, make_window(), **({"wanted_label": "bow"} | options))


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
