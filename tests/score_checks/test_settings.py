"""The settings of step 09: what they reject."""

import pytest

from clinical_camel.score_checks import ScoreChecks


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"answers": "outputs/a/03_eval_fewshot/scores.csv"}, "answers: "),
        ({"exam_scores": "outputs/a/03_eval_fewshot/answers.csv"}, "exam_scores: "),
        ({"answers": "outputs/a/03_eval_fewshot/answers.csv"}, "not of one run; name two files"),
        ({"training_sources": ["mini_exam"]}, "training_sources[0]: "),
    ],
)
def test_each_problem_is_named_by_its_key(values, message):
    assert any(message in text for text in ScoreChecks.check(values)), ScoreChecks.check(values)
