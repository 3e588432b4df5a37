"""The facts, articles and exams of the embedded study keep their promises."""

import csv
import itertools
import re
from collections import Counter

import pytest

from clinical_camel import data
from clinical_camel.data import registry
from clinical_camel.mini import build, material

EXAMS = {"exam": "mini_exam", "dev": "mini_exam_dev", "train": "mini_exam_train"}


def load_exam(split):
    load = data.load_training_questions if split == "train" else data.load_questions
    return load(EXAMS[split])


def load_all_articles():
    return data.load_articles("mini_articles") + data.load_articles("mini_articles_dev")


def list_shingles(text, length=8):
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + length]) for i in range(len(words) - length + 1)}


def test_there_are_120_conditions_of_ten_specialties_with_six_facts_each():
    facts = material.read_facts()
    assert len(facts) >= 120
    assert len({fact.specialty for fact in facts}) >= 10
    for fact in facts:
        assert tuple(fact.values) == material.ATTRIBUTES
        assert all([*fact.values.values(), *fact.details.values()])


def test_every_fact_was_read_twice_and_the_readings_agreed():
    with (build.HERE / "readings.csv").open(encoding="utf-8") as file:
        readings = {(r["condition"], r["attribute"]): r for r in csv.DictReader(file)}
    for fact in material.read_facts():
        for attribute, value in fact.values.items():
            reading = readings[fact.condition, attribute]
            assert (reading["verdict"], reading["value"]) == ("agree", value)


def test_no_value_contains_the_name_of_its_condition():
    for fact in material.read_facts():
        name = {w for w in re.findall(r"\w+", fact.condition.lower()) if len(w) > 4}
        for value in fact.values.values():
            assert not (name - {"disease", "syndrome", "acute"}) & set(value.lower().split())


@pytest.mark.parametrize("split", EXAMS)
def test_every_fact_has_one_question_with_four_options(split):
    facts = {fact.condition: fact for fact in material.read_facts(split)}
    questions = load_exam(split)
    assert len(questions) == len(facts) * len(material.ATTRIBUTES)
    assert len(questions) >= 200 or split == "train"
    for q in questions:
        assert q.options[q.answer] == facts[q.group].values[q.subset]
        assert len(set(q.options)) == 4


def test_the_articles_of_a_half_contain_no_condition_of_the_other_half():
    for name, splits in {"mini_articles": "exam", "mini_articles_dev": "dev"}.items():
        titles = {article.title for article in data.load_articles(name)}
        assert titles == {fact.condition for fact in material.read_facts(splits, "train")}


def test_no_condition_is_in_two_splits():
    groups = [{q.group for q in load_exam(split)} for split in EXAMS]
    assert all(a.isdisjoint(b) for a, b in itertools.combinations(groups, 2))


@pytest.mark.parametrize("split", EXAMS)
def test_answer_positions_are_balanced(split):
    counts = Counter(q.answer for q in load_exam(split))
    assert max(counts.values()) - min(counts.values()) <= 1
    assert len(counts) == 4


def test_the_answer_position_does_not_follow_from_the_one_before():
    answers = [q.answer for q in load_exam("exam")]
    steps = Counter((b - a) % 4 for a, b in itertools.pairwise(answers))
    assert max(steps.values()) < len(answers) / 2


@pytest.mark.parametrize("split", EXAMS)
def test_wrong_options_are_of_the_same_attribute_and_never_also_right(split):
    facts = material.read_facts(split)
    values = {a: {f.values[a] for f in facts} for a in material.ATTRIBUTES}
    for q in load_exam(split):
        assert set(q.options) <= values[q.subset]
        wrong = [o for i, o in enumerate(q.options) if i != q.answer]
        assert not {(q.group, q.subset, o) for o in wrong} & material.read_also_right()


def test_exam_and_articles_share_no_eight_consecutive_words():
    articles = set()
    for article in load_all_articles():
        articles |= list_shingles(data.format_article(article))
    for question in load_exam("exam") + load_exam("dev"):
        assert not list_shingles(question.question) & articles
        assert max(len(option.split()) for option in question.options) < 8


def test_every_section_of_an_article_has_several_sentences():
    articles = load_all_articles()
    assert all(len(a.sections) == 6 for a in articles)
    assert all(s.text.count(".") >= 2 for a in articles for s in a.sections)


def test_the_wording_of_articles_varies():
    first = {material.read_wordings("statement")[a][0].split("{")[0] for a in material.ATTRIBUTES}
    texts = [data.format_article(a) for a in load_all_articles()]
    shares = [sum(start in text for text in texts) / len(texts) for start in first if start]
    assert max(shares) < 0.5  # five wordings per section: no opening is in half of them


def test_a_shipped_source_has_one_licence():
    for name, source in registry.SOURCES.items():
        if name.startswith("mini_"):
            assert source.licence == material.LICENCE
    assert {article.licence for article in load_all_articles()} == {material.LICENCE}
