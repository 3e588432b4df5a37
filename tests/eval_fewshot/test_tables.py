"""The tables of the page: few columns, percent, nothing cut."""

import pandas as pd
import pytest
from tests.support.toy_scores import answers_of

from clinical_camel import eval_fewshot, exam_results
from clinical_camel.data import Question

QUESTIONS = [
    Question(id=str(i), question="?", options=["a", "bb", "cc", "dd"], answer=0) for i in range(10)
]
TOY = {"toy": QUESTIONS}
MINUS = "\N{MINUS SIGN}"


def compute(**models):
    answers = answers_of(**models)
    scores = eval_fewshot.compute_scores(answers, TOY)
    return scores, exam_results.compare_models(answers, TOY, "base", seed=0)


def test_a_row_has_every_model_the_difference_chance_and_n():
    scores, comparison = compute(base=[False] * 10, tuned=[True] * 10)
    page = eval_fewshot.format_scores(scores, comparison)
    assert page.to_dict("records") == [
        {"exam": "toy", "protocol": "option_text, 0-shot", "base": "0.0 [0.0, 27.8]"}
        | {"tuned": "100.0 [72.2, 100.0]", f"tuned {MINUS} base": "100.0 [100.0, 100.0] *"}
        | {"chance": "25.0", "n": "10"}
    ]


def test_three_models_have_eight_columns_and_the_difference_of_the_last():
    scores, comparison = compute(base=[False] * 10, raw=[True] * 5 + [False] * 5, dia=[True] * 10)
    page = eval_fewshot.format_scores(scores, comparison)
    assert list(page)[2:6] == ["base", "raw", "dia", f"dia {MINUS} base"]
    assert len(page.columns) == 8


def test_unread_replies_and_long_prompts_are_counted_in_their_cells():
    answers = answers_of(base=[True] * 4 + [False] * 4)
    answers.loc[5:6, "predicted"] = -1
    answers.loc[7, "fits"] = False
    scores = eval_fewshot.compute_scores(answers, TOY)
    page = eval_fewshot.format_scores(scores, exam_results.compare_models(answers, TOY, "base", 0))
    assert page["base"].tolist() == ["57.1 [25.0, 84.2], 2 unread"]
    assert page["n"].tolist() == ["7 (1 too long)"]


def test_details_are_in_percent():
    answers = answers_of(base=[True] * 8 + [False] * 2)
    page = eval_fewshot.format_details(eval_fewshot.compute_scores(answers, TOY))
    assert page["accuracy"].tolist() == ["80.0"]
    assert page["shortest"].tolist() == ["0.0"]


# ------------------------------------------------------------------------------------------ texts


def test_a_failure_marks_the_correct_and_the_predicted_option_and_cuts_nothing():
    long = Question(id="0", question="?", options=["a", "b" * 200, "c", "d"], answer=0)
    text = eval_fewshot.format_failures(answers_of(base=[False]), {"toy": [long]}, "base", 3)
    assert text.count("toy, option_text") == 1
    assert "correct    a" in text
    assert f"predicted  {'b' * 200}" in text


def test_failures_come_from_every_exam_and_are_few_of_each():
    """Exams are the work of others: a page quotes a handful of their questions."""
    exam = [
        Question(id=str(i), question="?", options=["a", "b", "c", "d"], answer=0) for i in range(9)
    ]
    protocols = [answers_of("one", base=[False] * 9).assign(protocol=p) for p in ("chat", "letter")]
    answers = pd.concat([*protocols, answers_of("two", base=[True] + [False] * 8)])
    answers = answers.reset_index(drop=True)
    text = eval_fewshot.format_failures(answers, {"one": exam, "two": exam}, "base", 6)
    assert text.count("one, chat") == 2
    assert "one, letter" not in text  # the same questions in another protocol
    assert text.count("two, option_text") == 2
    few = eval_fewshot.format_failures(answers, {"one": exam, "two": exam}, "base", 2)
    assert few.count("one, chat") == few.count("two, option_text") == 1


def test_the_headline_has_every_model_with_its_interval():
    scores = eval_fewshot.compute_scores(answers_of(base=[True] * 8 + [False] * 2), TOY)
    line = "toy, option_text, 0-shot, n = 10, chance 25%: base 80.0% [49.0%, 94.3%]"
    assert eval_fewshot.format_headline(scores) == line


def test_the_headline_of_several_variants_has_every_model_in_each():
    scores = eval_fewshot.compute_scores(answers_of(base=[False] * 10, tuned=[True] * 10), TOY)
    others = [scores.assign(variant=name, accuracy=0.5) for name in ("shuffled", "options_only")]
    line = eval_fewshot.format_headline(pd.concat([scores, *others], ignore_index=True))
    assert "as_given: base 0.0% [0.0%, 27.8%], tuned 100.0% [72.2%, 100.0%]; options_only: " in line
    assert "shuffled" not in line  # each option is rated alone: their order changes nothing
    listed = pd.concat([scores, *others]).assign(protocol="letter")
    assert "; shuffled: base 50.0%" in eval_fewshot.format_headline(listed)


@pytest.mark.parametrize("models", [{}, {"tuned": [True]}])
def test_a_study_without_a_comparison_has_a_table_of_scores(models):
    scores, comparison = compute(**({"base": [True] * 10} | models))
    page = eval_fewshot.format_scores(scores, comparison.iloc[:0])
    assert list(page)[-2:] == ["chance", "n"]
