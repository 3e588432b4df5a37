"""Tests of data.specs: dataset specs as types of settings."""

import pytest

from clinical_camel.core.settings import Settings
from clinical_camel.data import specs


class Mixture(Settings):
    articles: specs.ArticleSpec
    examples: specs.OptionalTrainingQuestionSpec = ""
    mixture: dict[specs.MixtureSpec, float] = {}
    exam: specs.EvaluationSpec = "mini_exam"


GOOD = {"articles": "mini_articles"}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, ""),
        ({"examples": "mini_exam_train", "mixture": {"mini_chat": 0.5, "mini_articles": 1.0}}, ""),
        ({"articles": ""}, "articles: is empty; write a name"),
        ({"articles": "mini_exam"}, "articles: mini_exam holds Question rows, not Article rows"),
        ({"articles": 3}, "articles: 3 is int, not str"),
        ({"examples": "mini_exam"}, "examples: mini_exam is an evaluation set"),
        ({"mixture": {"mini_exam": 1.0}}, "mixture (a key): mini_exam holds Question rows"),
        ({"exam": "mini_exams"}, "exam: 'mini_exams' is not a registered dataset. Did you mean"),
    ],
)
def test_a_spec_must_fit_its_setting(change, problem):
    problems = Mixture.check(GOOD | change)
    assert len(problems) == bool(problem)
    assert all(problem in text for text in problems)
