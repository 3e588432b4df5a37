"""Step 03: exam questions that stand in training material are found, and others are not."""

import dataclasses
import random

import pandas as pd
import pytest
from contamination import FALSE_ALARMS, TARGETS, planted

from clinical_camel import data, eval_fewshot
from clinical_camel.data import Article, Consultation, Dialogue, Question, Section, Turn
from clinical_camel.data.contamination import words

LONG = (
    "A 54-year-old man with gout and a kidney stone wakes at night with a hot swollen toe after "
    "a wedding feast. Which drug lowers his uric acid for good?"
)
GOUT = Question(id="gout", question=LONG, options=["colchicine", "allopurinol"], answer=1)
OTHER = Question(
    id="other",
    question="A young woman faints on standing after a week of vomiting. What is low?",
    options=["her potassium", "her mood"],
    answer=0,
)
PAGE = "Some page about feet and shoes, and what the weather does to both of them in winter. "


def found(text, *questions, **options):
    """(question, kind) of what is found in one text."""
    table = data.overlaps(questions or [GOUT, OTHER], [("page", text)], **options)
    return list(zip(table["id"], table["kind"], strict=True))


def test_a_whole_question_is_found_whatever_its_case_marks_and_spaces():
    text = LONG.upper().replace("-", " – ").replace(" ", "\u00a0\n").replace(".", " … ")
    assert found(PAGE + text + PAGE) == [("gout", "question")]


def test_a_question_with_its_right_option_after_it_is_told_apart():
    assert found(f"{PAGE}{LONG} It is Allopurinol. {PAGE}") == [("gout", "question and answer")]
    assert found(f"{PAGE}{LONG} It is colchicine. {PAGE}") == [("gout", "question")]


def test_unicode_forms_of_one_letter_are_the_same():
    assert words("ﬁbrosis of 10 µm², naïve") == words("fibrosis of １０ μm2, nai\u0308ve")


def test_the_beginning_of_a_vignette_is_a_run_of_13_words():
    text = PAGE + " ".join(LONG.split()[:14]) + " " + PAGE
    assert found(text) == [("gout", "13-gram")]
    table = data.overlaps([GOUT], [("page", text)])
    assert table["similarity"].item() == pytest.approx(16 / 31)  # "54-year-old" is three


def test_a_shared_phrase_counts_only_by_the_rule_of_gpt_3():
    phrase = " ".join(LONG.split()[:12])
    long = Question(id="1", question=f"{phrase} {LONG[::-1]} {PAGE}", options=["x", "y"], answer=0)
    text = f"Another {phrase} and so on."
    assert found(text, long) == []
    assert found(text, long, part=0.0) == [("1", "13-gram")]


def test_a_run_in_the_context_is_found():
    question = Question(id="1", question="Is it so?", options=["yes", "no"], answer=0, context=LONG)
    assert found(PAGE + LONG, question) == [("1", "13-gram")]


def test_a_turn_of_phrase_of_many_questions_is_no_run():
    phrase = "which one of the following is by far the most likely cause of this"
    many = [
        Question(id=str(i), question=f"{phrase} no{i}?", options=["x", "y"], answer=0)
        for i in range(21)
    ]
    assert found(f"And {phrase}", *many) == []
    assert {kind for _, kind in found(f"And {phrase}", *many[:20])} == {"13-gram"}


def test_a_few_changed_words_are_a_light_edit():
    text = LONG.replace("54", "45").replace("man", "woman").replace("kidney", "big bladder")
    text = text.replace("wakes at night", "wakes up").replace("wedding", "birthday")
    assert found(PAGE + text + PAGE) == [("gout", "light edit")]


def test_the_same_words_in_another_order_are_not():
    text = " ".join(sorted(LONG.split()))
    assert found(PAGE + text + PAGE) == []


def test_a_vague_question_counts_only_with_its_right_option():
    vague = Question(id="1", question="Cause of gout?", options=["urate", "bile"], answer=0)
    assert found("What is the cause of gout? Nobody asked.", vague) == []
    assert found("What is the cause of gout? It is urate.", vague) == [("1", "question and answer")]


def test_a_question_that_is_asked_with_other_options_too_is_vague():
    text = "Which of the following is true?"
    one = Question(id="1", question=text, options=["gout hurts", "it never ends"], answer=0)
    two = Question(id="2", question=text, options=["fever cools", "ice burns"], answer=1)
    assert found(f"{text} (A) Gout hurts.", one, two) == [("1", "question and answer")]
    assert found(f"{text} (A) Gout hurts.", one) == [("1", "question and answer")]
    assert found(f"{text} (A) No.", one) == [("1", "question")]


def test_one_word_is_found_with_its_answer():
    word = Question(id="1", question="Steroids:", options=["thin the skin", "x"], answer=0)
    assert found("Steroids thin the skin.", word) == [("1", "question and answer")]
    assert found("Steroids help.", word) == []


def test_chinese_is_compared_by_character():
    text = "初产妇，23岁，规律宫缩10小时，宫口由6cm开大至7cm。恰当的处置应为（　　）。"
    question = Question(id="1", question=text, options=["严密观察", "剖宫"], answer=0)
    assert found(f"问：{text.replace('，', ',')}答：严密观察", question) == [
        ("1", "question and answer")
    ]
    edited = text.replace("规律", "不规则").replace("10小时", "9小时").replace("恰当", "合适")
    assert found(edited, question) == [("1", "light edit")]


def test_copies_are_found_each():
    copies = [Question(id=i, question=LONG, options=["x", "y"], answer=0) for i in "ab"]
    assert found(LONG, *copies) == [("a", "question"), ("b", "question")]


def test_two_questions_with_one_id_are_refused():
    with pytest.raises(ValueError, match="two questions have the id 'gout'"):
        found(LONG, GOUT, OTHER, GOUT)


def test_nothing_found_is_an_empty_table_with_its_columns():
    table = data.overlaps([GOUT], [])
    assert list(table) == ["id", "source", "kind", "similarity", "shared"]
    assert table.empty


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (Article(id="1", title="T", sections=[Section(heading="H", text="x")]), "T\n\nH\nx"),
        (Dialogue(id="1", source="s", messages=[{"role": "user", "content": "u"}] * 2), "u\nu"),
        (GOUT, f"{LONG}\n(A) colchicine\n(B) allopurinol\nallopurinol"),
        (Consultation(id="1", turns=[Turn(speaker="doctor", text="t")] * 2, note="n"), "t\nt\nn"),
    ],
)
def test_the_text_of_a_row_is_all_that_is_learned_from(row, text):
    assert data.row_text(row) == text


# -------------------------------------------------------------------------- planted, by the hundred


def language(rng):
    """Made-up words and how often they come: a few very often, most rarely (Zipf)."""
    syllables = [a + b for a in "bdfghklmnprst" for b in "aeiou"]
    known = dict.fromkeys("".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(5000))
    return {word: 1 / (rank + 2) for rank, word in enumerate(known)}


def written(rng, often, count, shortest, longest):
    lengths = [rng.randint(shortest, longest) for _ in range(count)]
    return [" ".join(rng.choices(list(often), list(often.values()), k=k)) for k in lengths]


def test_what_is_planted_in_generated_text_is_found_and_hardly_anything_else():
    rng = random.Random(0)
    often = language(rng)
    asked = written(rng, often, 300, 6, 30) + written(rng, often, 100, 60, 150)
    options = written(rng, often, 800, 1, 6)
    questions = [
        Question(id=str(i), question=text, options=options[2 * i : 2 * i + 2], answer=0)
        for i, text in enumerate(asked)
    ]
    table = planted(questions, written(rng, often, 200, 200, 600), 100, seed=0)
    share = (table["found"] / table["asked"]).set_axis(table["source"])
    for name, target in TARGETS.items():
        assert share[name] >= target
    assert share["nothing planted"] <= FALSE_ALARMS


def test_no_question_of_the_shipped_exam_stands_whole_in_what_is_trained_on():
    rows = data.load_training_questions("mini_exam_train") + data.load_articles("mini_articles")
    sources = [(row.id, data.row_text(row)) for row in rows]
    table = data.overlaps(data.load_questions("mini_exam"), sources)
    assert set(table["kind"]) == {"light edit"}  # one template, another condition


SALT = [Section(heading="", text="Salt is a crystal that is found in the sea and in the earth.")]


def test_every_benchmark_is_looked_for_in_every_source_and_each_question_counts_once():
    asked = {"a": [GOUT], "b": [GOUT, OTHER]}
    told = Article(id="x", title="T", sections=[Section(heading="", text=GOUT.question)])
    again = dataclasses.replace(told, id="y")
    sources = {"seen": [told, again], "other": [dataclasses.replace(told, sections=SALT)]}
    found = eval_fewshot.search_sources(asked, sources)
    assert len(found) == 4  # two rows of one source, for each benchmark
    counts = eval_fewshot.overlap_counts(found, asked, sources).set_index(
        ["benchmark", "trained_on"]
    )
    assert counts.loc[("b", "seen"), ["rows", "n", "question", "share"]].tolist() == [2, 2, 1, 0.5]
    assert counts.xs("other", level="trained_on")["share"].tolist() == [0.0, 0.0]
    text = eval_fewshot.closest(found, asked, 1)
    assert text.count("similarity 1.00") == 2
    assert "allopurinol" in text


def test_without_sources_nothing_is_found():
    found = eval_fewshot.search_sources({"b": [GOUT, OTHER]}, {})
    counts = eval_fewshot.overlap_counts(found, {"b": [GOUT, OTHER]}, {})
    assert (len(counts), set(counts) > {"benchmark", "trained_on", "share"}) == (0, True)
    assert eval_fewshot.closest(found, {"b": [GOUT, OTHER]}, 1) == "no question was found"


# ------------------------------------------------------------------------------------ clean scores


def test_the_clean_score_leaves_out_what_was_found():
    rows = [("a", "1", True), ("a", "2", False), ("a", "3", False), ("b", "1", True)]
    answers = pd.DataFrame(
        {"model": "m", "benchmark": b, "protocol": "p", "num_shots": 0, "id": i, "answer": 0}
        | {"correct": right, "correct_norm": right, "fits": True, "variant": "as_given"}
        | {"predicted": 0, "confidence": None}
        for b, i, right in rows
    )
    questions = {
        name: [Question(id=str(i), question="?", options=["x", "y"], answer=0) for i in range(1, 4)]
        for name in "ab"
    }
    seen = pd.DataFrame({"benchmark": ["a", "a", "b"], "id": ["1", "1", "1"]})
    table = eval_fewshot.clean_scores(answers, questions, seen).set_index("benchmark")
    assert table.loc["a", ["n", "n_clean", "overlapping"]].tolist() == [3, 2, 1]
    assert table.loc["a", "accuracy_clean"] == 0.0
    assert table["accuracy"].round(2).tolist() == [0.33, 1.0]
    assert table.loc["b", ["n_clean", "overlapping"]].tolist() == [0, 1]
    assert table["accuracy_clean"].isna().tolist() == [False, True]


def test_a_clean_exam_keeps_its_score():
    answers = pd.DataFrame(
        [{"model": "m", "benchmark": "a", "protocol": "p", "num_shots": 0, "id": "1", "answer": 0}]
    ).assign(
        correct=True,
        correct_norm=True,
        fits=True,
        variant="as_given",
        predicted=0,
        confidence=None,
    )
    none = data.overlaps([], []).assign(benchmark="")
    questions = {"a": [Question(id="1", question="?", options=["x", "y"], answer=0)]}
    row = eval_fewshot.clean_scores(answers, questions, none).iloc[0]
    assert (row["n"], row["n_clean"], row["accuracy_clean"]) == (1, 1, 1.0)
