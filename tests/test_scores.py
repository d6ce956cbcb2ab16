"""From logits to probabilities: over views, and over networks."""

import numpy as np
import pytest

from edgevid.contract import Sampling
from edgevid.scores import ensemble_scores, scores

LOGITS, SOFTMAX = Sampling(average="logits"), Sampling(average="softmax")
ONE = np.array([[0.0, 2.0, 1.0], [3.0, 0.0, 1.0]], np.float32)
OTHER = np.array([[5.0, -1.0, 0.5]], np.float32)


def softmax(row):
    return np.exp(row) / np.exp(row).sum()


def test_logits_are_averaged_where_every_network_averages_logits():
    together = ensemble_scores([ONE, OTHER], [LOGITS, LOGITS], [1, 3])
    expected = softmax((ONE.mean(0) + 3 * OTHER[0]) / 4)
    np.testing.assert_allclose(together, expected, rtol=1e-6)


def test_probabilities_are_averaged_where_one_network_averages_probabilities():
    together = ensemble_scores([ONE, OTHER], [SOFTMAX, LOGITS], [1, 3])
    expected = (np.mean([softmax(row) for row in ONE], axis=0) + 3 * softmax(OTHER[0])) / 4
    np.testing.assert_allclose(together, expected, rtol=1e-6)
    assert together.sum() == pytest.approx(1)
    assert abs(together - ensemble_scores([ONE, OTHER], [LOGITS, LOGITS], [1, 3])).max() > 0.01


@pytest.mark.parametrize("sampling", [LOGITS, SOFTMAX])
def test_one_network_scores_as_it_does_alone_whatever_its_weight(sampling):
    alone = scores(ONE, sampling)
    assert (ensemble_scores([ONE], [sampling], [7.0]) == alone).all()
    np.testing.assert_allclose(ensemble_scores([ONE, ONE], [sampling] * 2, [2.0, 1.0]), alone, rtol=1e-12)


def test_only_the_ratios_of_weights_count():
    small = ensemble_scores([ONE, OTHER], [LOGITS, LOGITS], [0.1, 0.2])
    np.testing.assert_allclose(small, ensemble_scores([ONE, OTHER], [LOGITS, LOGITS], [5, 10]), rtol=1e-12)
