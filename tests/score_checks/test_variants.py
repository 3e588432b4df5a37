"""What a change of the questions does to the score, in sentences."""

import pandas as pd
import pytest
from tests.support.toy_scores import answers_of, exam_of, scores

from clinical_camel import exam_results, score_checks
from clinical_camel.data import Question
from clinical_camel.score_checks.variants import describe_ceiling

QUESTIONS = [
    Question(id=str(i), question="?", options=["a", "bb", "cc", "dd"], answer=0) for i in range(40)
]


def first(count: int) -> list[bool]:
    return [i < count for i in range(40)]


def describe(*answers: pd.DataFrame) -> str:
    exam = exam_of(pd.concat(answers, ignore_index=True), {"toy": QUESTIONS})
    variants = exam_results.compare_variants(exam.answers, exam.questions, seed=0)
    return "\n".join(score_checks.describe_variants(exam.scores, variants))


def of_variants(hidden: int, none: int, shortest: float = 0.0):
    unchanged = answers_of(tuned=first(30))
    rest = answers_of(tuned=first(hidden)).assign(variant="options_only")
    replaced = answers_of(tuned=first(none)).assign(variant="none_of_the_above")
    replaced["picked_shortest"] = first(int(40 * shortest))
    return unchanged, rest, replaced.assign(correct_norm=False)


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        (of_variants(10, 8), "**The score needs the question: it is no trick of the options.**"),
        (of_variants(28, 8), "**The options alone give part of the answer away.**"),
    ],
)
def test_the_score_without_the_question_decides_about_a_trick(answers, verdict):
    assert describe(*answers).startswith(verdict)


def test_a_model_at_chance_has_no_knowledge_to_explain():
    parts = answers_of(tuned=first(10)), answers_of(tuned=first(9)).assign(variant="options_only")
    assert describe(*parts).startswith("**There is no knowledge to explain: `tuned` is at chance.")


def test_none_of_the_above_is_explained_by_length_or_by_familiarity():
    short = describe(*of_variants(10, 30, shortest=0.8))
    assert "it is chosen by `tuned` in 75.0 [" in short
    assert "80.0 % of its answers are the shortest option" in short
    familiar = describe(*of_variants(10, 0))
    assert "avoids the phrase even where every other option is wrong" in familiar


def test_shuffled_options_matter_if_the_score_changes():
    unchanged = answers_of(tuned=first(36))
    same, less = (answers_of(tuned=first(k)).assign(variant="shuffled") for k in (35, 8))
    assert "no sign that the position of the correct option matters" in describe(unchanged, same)
    assert "points [" in (text := describe(unchanged, less))
    assert "so the position of the correct option matters" in text
    alone = describe(unchanged, unchanged.assign(variant="shuffled"))
    assert "Asked as option_text, 0-shot, shuffled options change no answer: each option" in alone


def test_a_study_without_variants_says_so():
    assert describe(answers_of(tuned=first(30))).startswith("This study asks its questions only")


def test_the_open_book_is_a_ceiling_and_no_trick():
    closed = answers_of(base=first(10), tuned=first(36))
    opened = answers_of(base=first(38), tuned=first(39)).assign(variant="open_book")
    text = describe(closed, opened)
    assert text.startswith("Ceiling on `toy`")
    assert "`base` 95.0 [" in text
    assert "`tuned` 97.5 [" in text


def test_the_ceiling_is_the_score_with_the_article_in_the_prompt():
    table = scores(
        {"variant": "as_given", "model": "base"},
        {"variant": "open_book", "model": "base", "correct": 1200},
        {"variant": "open_book", "model": "tuned", "correct": 1250},
        {"variant": "open_book", "model": "tuned", "correct": 9, "protocol": "chat"},
    )
    assert list(describe_ceiling(table)) == [
        "Ceiling on `medqa_us`, with the article before the question, harness_2023, 5-shot: `base` "
        "94.3 [92.9, 95.4] %; `tuned` 98.2 [97.3, 98.8] % (n = 1,273, chance 25.0 %)."
    ]
