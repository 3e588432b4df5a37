"""Tests of data.contamination: exam questions in training data are found, other texts are not."""

import random

import pytest
from tests.support.planted_questions import (
    FAINT,
    FALSE_ALARMS,
    GOUT,
    LONG,
    TARGETS,
    measure_planted,
)

from clinical_camel import data
from clinical_camel.data import Question

PAGE = "Some page about feet and shoes, and what the weather does to both of them in winter. "


def find_kinds(text, *questions, **options):
    """Return (question, kind) of every overlap with one text."""
    table = data.find_overlaps(questions or [GOUT, FAINT], [("page", text)], **options)
    return list(zip(table["id"], table["kind"], strict=True))


def test_a_question_is_found_with_any_case_punctuation_and_spaces():
    text = LONG.upper().replace("-", " – ").replace(" ", "\u00a0\n").replace(".", " … ")
    assert find_kinds(PAGE + text + PAGE) == [("gout", "question")]


def test_a_question_with_its_correct_option_is_a_kind_of_its_own():
    correct = f"{PAGE}{LONG} It is Allopurinol. {PAGE}"
    assert find_kinds(correct) == [("gout", "question and answer")]
    assert find_kinds(f"{PAGE}{LONG} It is colchicine. {PAGE}") == [("gout", "question")]


def test_the_beginning_of_a_vignette_is_a_13_gram():
    text = PAGE + " ".join(LONG.split()[:14]) + " " + PAGE
    assert find_kinds(text) == [("gout", "13-gram")]
    table = data.find_overlaps([GOUT], [("page", text)])
    assert table["similarity"].item() == pytest.approx(16 / 31)  # "54-year-old" is three


def test_a_shared_phrase_counts_only_by_the_gpt_3_rule():
    phrase = " ".join(LONG.split()[:12])
    long = Question(id="1", question=f"{phrase} {LONG[::-1]} {PAGE}", options=["x", "y"], answer=0)
    text = f"Another {phrase} and so on."
    assert find_kinds(text, long) == []
    assert find_kinds(text, long, part=0.0) == [("1", "13-gram")]


def test_a_run_in_the_context_is_found():
    question = Question(id="1", question="Is it so?", options=["yes", "no"], answer=0, context=LONG)
    assert find_kinds(PAGE + LONG, question) == [("1", "13-gram")]


def test_a_phrase_of_many_questions_is_no_13_gram():
    phrase = "which one of the following is by far the most likely cause of this"
    many = [
        Question(id=str(i), question=f"{phrase} no{i}?", options=["x", "y"], answer=0)
        for i in range(21)
    ]
    assert find_kinds(f"And {phrase}", *many) == []
    assert {kind for _, kind in find_kinds(f"And {phrase}", *many[:20])} == {"13-gram"}


def test_a_few_changed_words_are_a_light_edit():
    text = LONG.replace("54", "45").replace("man", "woman").replace("kidney", "big bladder")
    text = text.replace("wakes at night", "wakes up").replace("wedding", "birthday")
    assert find_kinds(PAGE + text + PAGE) == [("gout", "light edit")]
    assert find_kinds(PAGE + " ".join(sorted(LONG.split())) + PAGE) == []  # in another order


@pytest.mark.parametrize(
    ("question", "answer", "text", "kinds"),
    [
        ("Cause of gout?", "urate", "What is the cause of gout? Nobody asked.", []),
        ("Cause of gout?", "urate", "The cause of gout? It is urate.", ["question and answer"]),
        ("Steroids:", "thin the skin", "Steroids help.", []),
        ("Steroids:", "thin the skin", "Steroids thin the skin.", ["question and answer"]),
    ],
)
def test_a_short_question_counts_only_with_its_correct_option(question, answer, text, kinds):
    short = Question(id="1", question=question, options=[answer, "bile"], answer=0)
    assert [kind for _, kind in find_kinds(text, short)] == kinds


def test_a_question_with_several_sets_of_options_counts_only_with_its_correct_option():
    text = "Which of the following is true?"
    one = Question(id="1", question=text, options=["gout hurts", "it never ends"], answer=0)
    two = Question(id="2", question=text, options=["fever cools", "ice burns"], answer=1)
    assert find_kinds(f"{text} (A) Gout hurts.", one, two) == [("1", "question and answer")]
    assert find_kinds(f"{text} (A) Gout hurts.", one) == [("1", "question and answer")]
    assert find_kinds(f"{text} (A) No.", one) == [("1", "question")]


def test_chinese_is_compared_by_character():
    text = "初产妇，23岁，规律宫缩10小时，宫口由6cm开大至7cm。恰当的处置应为（　　）。"
    question = Question(id="1", question=text, options=["严密观察", "剖宫"], answer=0)
    copied = f"问：{text.replace('，', ',')}答：严密观察"
    assert find_kinds(copied, question) == [("1", "question and answer")]
    edited = text.replace("规律", "不规则").replace("10小时", "9小时").replace("恰当", "合适")
    assert find_kinds(edited, question) == [("1", "light edit")]


def test_every_copy_of_a_question_is_found():
    copies = [Question(id=i, question=LONG, options=["x", "y"], answer=0) for i in "ab"]
    assert find_kinds(LONG, *copies) == [("a", "question"), ("b", "question")]


def test_two_questions_with_one_id_are_rejected():
    with pytest.raises(ValueError, match="two questions have the id 'gout'"):
        find_kinds(LONG, GOUT, FAINT, GOUT)


def test_without_overlaps_the_table_is_empty_and_has_its_columns():
    table = data.find_overlaps([GOUT], [])
    assert list(table) == ["id", "source", "kind", "similarity", "shared"]
    assert table.empty


def invent_words(rng):
    """Return invented words with their frequencies: a few very frequent, most rare (Zipf)."""
    syllables = [a + b for a in "bdfghklmnprst" for b in "aeiou"]
    words = dict.fromkeys("".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(5000))
    return {word: 1 / (rank + 2) for rank, word in enumerate(words)}


def write_texts(rng, frequencies, count, shortest, longest):
    lengths = [rng.randint(shortest, longest) for _ in range(count)]
    words, weights = list(frequencies), list(frequencies.values())
    return [" ".join(rng.choices(words, weights, k=k)) for k in lengths]


def test_planted_questions_are_detected_with_few_false_alarms():
    rng = random.Random(0)
    words = invent_words(rng)
    texts = write_texts(rng, words, 300, 6, 30) + write_texts(rng, words, 100, 60, 150)
    options = write_texts(rng, words, 800, 1, 6)
    questions = [
        Question(id=str(i), question=text, options=options[2 * i : 2 * i + 2], answer=0)
        for i, text in enumerate(texts)
    ]
    table = measure_planted(questions, write_texts(rng, words, 200, 200, 600), 100, seed=0)
    share = (table["detected"] / table["n"]).set_axis(table["source"])
    for name, target in TARGETS.items():
        assert share[name] >= target
    assert share["nothing planted"] <= FALSE_ALARMS


def test_no_complete_question_of_the_shipped_exam_is_in_its_training_data():
    rows = data.load_training_questions("mini_exam_train") + data.load_articles("mini_articles")
    sources = [(row.id, data.format_row(row)) for row in rows]
    table = data.find_overlaps(data.load_questions("mini_exam"), sources)
    assert set(table["kind"]) == {"light edit"}  # one template, another condition
