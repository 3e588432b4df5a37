"""What the checks showed, in sentences."""

import pandas as pd
import pytest
from tests.support.toy_scores import answers_of, exam_of

from clinical_camel import exam_results, score_checks
from clinical_camel.data import Question

QUESTIONS = [
    Question(id=str(i), question="?", options=["a", "bb", "cc", "dd"], answer=0, subset="st"[i % 2])
    for i in range(40)
]


def first(count: int) -> list[bool]:
    return [i < count for i in range(40)]


def check(answers: pd.DataFrame, overlaps: pd.DataFrame, counts=(0,)):
    """Return the headline and the text about answers; no `counts`: nothing was searched."""
    questions = dict.fromkeys(answers["benchmark"], QUESTIONS)
    exam = exam_of(answers, questions)
    tables = {
        "variants": exam_results.compare_variants(exam.answers, questions, seed=0),
        "overlaps": overlaps,
        "counts": pd.DataFrame({"share": counts}),
        "clean": score_checks.compute_clean_scores(exam, overlaps),
        "subgroups": score_checks.compute_subgroup_scores(exam.answers, questions),
    }
    text = "\n".join(score_checks.describe_checks(exam, tables, seed=0))
    return score_checks.format_headline(exam, tables), text


def overlaps_of(ids, benchmark: str = "toy") -> pd.DataFrame:
    return pd.DataFrame({"benchmark": benchmark, "id": [str(i) for i in ids]}, dtype=str)


@pytest.mark.parametrize(
    ("ids", "sentence", "headline"),
    [
        ([], "None of the 40 questions was found in the training data.", "0 of them resemble"),
        (
            range(10),
            "10 of 40 questions resemble training data. Accuracy on the other 30, in perc",
            "75.0% of 40 questions; 10 of them resemble training data, 66.7% without these",
        ),
        (range(40), "All 40 questions resemble training data: the score may be memory.", "40 of"),
    ],
)
def test_questions_in_the_training_data_have_a_sentence(ids, sentence, headline):
    line, text = check(answers_of(base=first(8), tuned=first(30)), overlaps_of(ids))
    assert sentence in text
    assert headline in line


def test_questions_of_further_exams_in_the_training_data_are_counted():
    answers = [answers_of(name, base=first(8), tuned=first(9)) for name in ("toy", "old")]
    _, text = check(pd.concat(answers, ignore_index=True), overlaps_of([1, 2], "old"))
    assert "None of the 40 questions was found in the training data." in text
    assert "Questions of the other exams that resemble training data: `old` 2 of 40." in text


def test_the_difference_on_the_other_questions_is_tested():
    """All that `tuned` gains is in the questions that were found; or nothing of it."""
    answers = answers_of(base=first(4), tuned=first(30))
    _, text = check(answers, overlaps_of(range(4, 30)))
    assert "the difference of `tuned` to `base` is 0.0 [0.0, 0.0] points, not significant" in text
    _, text = check(answers, overlaps_of(range(4)))
    assert "to `base` is 72.2 [" in text
    assert "points, significant (p < 0.0001)" in text


def test_without_training_sources_nothing_was_searched():
    line, text = check(answers_of(base=first(8)), overlaps_of([]), counts=())
    assert "`training_sources` is empty, so nothing was searched." in text
    assert (
        line
        == "toy, option_text, 0-shot: base 20.0% of 40 questions; no training data was searched"
    )


def test_a_model_that_is_surer_than_right_is_overconfident():
    answers = answers_of(base=first(20), tuned=first(20), other=first(20))
    answers["confidence"] = answers["model"].map({"base": 0.9, "tuned": 0.5, "other": 0.1})
    _, text = check(answers, overlaps_of([]))
    assert "`base` is overconfident: mean confidence 90.0 %, accuracy 50.0 [" in text
    assert "`tuned` is calibrated on average: mean confidence 50.0 %" in text
    assert "`other` is underconfident: mean confidence 10.0 %" in text
    _, text = check(answers.assign(confidence=None), overlaps_of([]))
    assert "A written reply has no confidence" in text


def test_subgroups_that_are_apart_are_named():
    """The questions alternate between the subsets s and t."""
    _, text = check(answers_of(base=[i % 2 == 0 for i in range(40)]), overlaps_of([]))
    assert "In 1 of 2 groupings" in text
    assert "`toy` by subset: t 0.0 [0.0, 16.1] %, s 100.0 [83.9, 100.0] %." in text
    assert "prove nothing" in text


def test_a_model_without_an_answer_has_no_score_to_check():
    line, text = check(answers_of(base=first(8)).assign(fits=False), overlaps_of([]))
    assert text == "`base` answered no question, so there is no score to check."
    assert line == "base answered no question"
