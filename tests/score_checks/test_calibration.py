"""Calibration: how often a model is correct when it is so sure."""

import pytest
from tests.support.toy_scores import answers_of

from clinical_camel import score_checks


def test_calibration_is_the_accuracy_per_bin_of_confidence():
    answers = answers_of(base=[True, True, False, False]).assign(confidence=[0.9, 0.9, 0.9, 0.3])
    table = score_checks.compute_calibration(answers)
    assert table[["n", "accuracy"]].to_numpy().tolist() == [[1, 0.0], [3, pytest.approx(2 / 3)]]
