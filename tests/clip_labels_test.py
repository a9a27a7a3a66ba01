"""Labels of clips: how accuracy reads them, and which are refused."""

import numpy as np
import pytest
from keras import ops

import glimpse
from glimpse.models import ClipAccuracy
from glimpse.models.clip_labels import one_hot_labels

pytestmark = pytest.mark.backends

LABELS = np.array([0, 1, 2, 0])
MANY_HOT = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 1], [0, 0, 0]])


def clips():
    return np.random.default_rng(0).normal(size=(4, 2, 1, 2, 3)).astype("float32")


@pytest.mark.parametrize(
    ("labels", "expected"),
    [([0, 2, 2, 1], 0.5), ([[0], [2], [2], [1]], 0.5), (MANY_HOT, 0.75)],
)
def test_accuracy_asks_whether_the_best_class_is_one_of_the_labels(labels, expected):
    probabilities = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6], [0.6, 0.2, 0.2]])
    metric = ClipAccuracy()
    metric.update_state(ops.convert_to_tensor(labels), ops.convert_to_tensor(probabilities))
    assert float(metric.result()) == pytest.approx(expected)
    assert type(metric).from_config(metric.get_config()).name == "accuracy"


@pytest.mark.parametrize(
    ("options", "labels", "words"),
    [
        ({}, np.array([0, 1, 3, 0]), "whole numbers from 0 to 2, for `num_classes` is 3.* 3"),
        ({}, np.array([0, 1, -1, 0]), "received -1"),
        ({}, np.array([0.0, 0.5, 1.0, 2.0]), "received 0.5"),
        ({}, np.zeros((4, 2), int), r"received shape \(4, 2\)"),
        ({}, 2 * MANY_HOT, r"in \[0, 1\].*received 2"),
        ({"multi_label": True}, LABELS, r"\(batch, 3\) of 0 and 1, for `multi_label` is True"),
    ],
)
def test_labels_that_are_no_classes_are_refused(options, labels, words):
    model = glimpse.create_model("softmax_regression", 3, **options)
    model.compile("sgd")
    with pytest.raises(ValueError, match=words):
        model.compute_loss(None, labels, model(clips()), None)
    for run in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=words):
            run(clips(), labels, verbose=0)
    with pytest.raises(ValueError, match=words):
        good = MANY_HOT if options else LABELS
        model.fit(clips(), good, validation_data=(clips(), labels), verbose=0)


def test_a_label_that_a_graph_hides_spoils_the_loss_for_all_to_see():
    found = ops.convert_to_numpy(one_hot_labels(ops.convert_to_tensor([1, 3, -1]), 3))
    np.testing.assert_array_equal(found[0], [0, 1, 0])
    assert np.isnan(found[1:]).all()


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
