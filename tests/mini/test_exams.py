"""The further exams on the same facts: one right option each, and wordings of their own."""

import csv
from collections import Counter

import pytest

from clinical_camel import data
from clinical_camel.dbke import extractive
from clinical_camel.mini import build, exams, material

HALVES = {"exam": "mini_exam", "dev": "mini_exam_dev"}
KINDS = ("reversed", "two_step", "cloze")
OWN_KINDS = ("reversed", "clue", "ask", "cloze")  # of wordings.csv


def load(split, kind):
    return data.load_questions(f"{HALVES[split]}_{kind}")


def load_main(split):
    return {question.id: question for question in data.load_questions(HALVES[split])}


def find_main(question, main):
    return main[question.id.rpartition("-")[0].removesuffix("-two")]


def list_runs(text, length):
    """Runs of words; "X-ray" is one word, as in the limit of seven words for a value."""
    words = [word.strip(".,?") for word in text.lower().split()]
    return {tuple(words[i : i + length]) for i in range(len(words) - length + 1)}


@pytest.mark.parametrize("split", HALVES)
@pytest.mark.parametrize("kind", KINDS)
def test_each_question_belongs_to_a_question_of_the_main_exam(split, kind):
    main, questions = load_main(split), load(split, kind)
    assert len(questions) >= len(main) - 1
    suffix = f"-{kind.replace('_', '-')}"
    for question in questions:
        assert question.id.endswith(suffix)
        other = main[question.id.removesuffix(suffix)]
        assert (question.group, question.subset) == (other.group, other.subset)
        assert len(set(question.options)) == 4


@pytest.mark.parametrize("split", HALVES)
@pytest.mark.parametrize("kind", ["two_step", "cloze"])
def test_two_step_and_cloze_have_the_options_of_the_main_exam(split, kind):
    main = load_main(split)
    for question in load(split, kind):
        other = find_main(question, main)
        assert (question.options, question.answer) == (other.options, other.answer)


@pytest.mark.parametrize("split", HALVES)
def test_only_the_right_option_of_a_reversed_question_has_the_finding(split):
    facts = {fact.condition: fact for fact in material.read_facts(split)}
    also_fits = exams.read_also_fits()
    for question in load(split, "reversed"):
        value = facts[question.group].values[question.subset]
        assert question.options[question.answer] == question.group
        assert value.lower() in question.question.lower()
        for option in set(question.options) - {question.group}:
            assert facts[option].values[question.subset] != value
            assert (option, question.subset, value) not in also_fits


@pytest.mark.parametrize("split", HALVES)
def test_two_wrong_conditions_are_of_the_same_specialty_if_there_are_two(split):
    specialty = {fact.condition: fact.specialty for fact in material.read_facts(split)}
    near = [
        sum(specialty[option] == specialty[question.group] for option in question.options) - 1
        for question in load(split, "reversed")
    ]
    assert Counter(near).most_common(1)[0][0] == 2
    assert max(near) == 2


@pytest.mark.parametrize("split", HALVES)
def test_a_two_step_question_names_no_condition_and_its_clue_identifies_one(split):
    facts, also_fits = material.read_facts(split), exams.read_also_fits()
    for question in load(split, "two_step"):
        text = question.question.lower()
        assert question.group.lower() not in text
        clues = [
            (fact, attribute)
            for fact in facts
            for attribute, value in fact.values.items()
            if f" {value.lower()}." in text
        ]
        ((fact, attribute),) = clues
        assert fact.condition == question.group
        assert attribute in exams.CLUES
        assert attribute != question.subset
        value = fact.values[attribute]
        assert not any(a == attribute and v == value for _, a, v in also_fits)
        assert question.options[question.answer].lower() not in text


@pytest.mark.parametrize("split", HALVES)
@pytest.mark.parametrize("kind", KINDS)
def test_answer_positions_are_balanced(split, kind):
    counts = Counter(question.answer for question in load(split, kind))
    assert len(counts) == 4
    assert max(counts.values()) - min(counts.values()) <= 1


def test_the_answer_position_of_a_reversed_question_is_not_that_of_the_main_exam():
    main = load_main("exam")
    same = [q.answer == find_main(q, main).answer for q in load("exam", "reversed")]
    assert sum(same) < len(same) / 2


@pytest.mark.parametrize("split", HALVES)
def test_a_cloze_ends_where_the_value_begins(split):
    for question in load(split, "cloze"):
        assert question.group.lower() in question.question.lower()
        assert question.question[-1].isalpha()


def test_no_question_shares_eight_consecutive_words_with_an_article():
    articles = data.load_articles("mini_articles") + data.load_articles("mini_articles_dev")
    in_articles = set().union(*(list_runs(data.format_article(a), 8) for a in articles))
    for split in HALVES:
        for kind in KINDS:
            for question in load(split, kind):
                assert not list_runs(question.question, 8) & in_articles, question.id


def test_no_wording_is_one_of_an_article_a_dialogue_or_another_exam():
    """Four words in a row, where a condition or a value counts as one word."""

    words = {"c": "CC", "v": "VV", "title": "CC", "heading": "HH"}

    def runs(texts):
        return set().union(*(list_runs(text.format(**words), 4) for text in texts))

    taken = [
        text
        for kind in ("statement", "restatement", "question")
        for texts in material.read_wordings(kind).values()
        for text in texts
    ]
    taken += [question for texts in extractive.QUESTIONS.values() for question in texts]
    own = [
        text
        for kind in OWN_KINDS
        for texts in material.read_wordings(kind).values()
        for text in texts
    ]
    assert len(own) == len(set(own)) == 54
    assert not runs(own) & runs(taken)
    assert not {text.lower() for text in own} & {text.lower() for text in taken}


def test_findings_that_also_fit_are_real_rows_and_repeat_no_other_table():
    facts = {fact.condition: fact for fact in material.read_facts()}
    values = {(a, v) for fact in facts.values() for a, v in fact.values.items()}
    with (build.HERE / "also_fits.csv").open(encoding="utf-8") as file:
        rows = [tuple(row.values()) for row in csv.DictReader(file)]
    assert len(rows) == len(set(rows)) > 50
    assert not set(rows) & material.read_also_right()
    for condition, attribute, value in rows:
        assert (attribute, value) in values
        assert facts[condition].values[attribute] != value


def test_a_wrong_condition_that_also_fits_is_never_chosen():
    facts = material.read_facts("exam")[:8]
    questions = material.write_questions(facts, facts, 0)
    first = questions[0]
    value = facts[0].values[first.subset]
    for _ in range(4):
        (question, *_) = exams.write_reversed(questions[:1], facts, 0, set())
        wrong = set(question.options) - {facts[0].condition}
        also_fits = {(condition, first.subset, value) for condition in wrong}
        (changed, *_) = exams.write_reversed(questions[:1], facts, 0, also_fits)
        assert not wrong & set(changed.options)


def test_a_question_without_an_identifying_clue_is_left_out():
    facts = material.read_facts("exam")[:4]
    questions = material.write_questions(facts, facts, 0)
    assert len(exams.write_two_step(questions, facts, 0, set())) == len(questions)
    shared = {(facts[1].condition, clue, facts[0].values[clue]) for clue in exams.CLUES}
    written = exams.write_two_step(questions, facts, 0, shared)
    assert len(written) == len(questions) - len(material.ATTRIBUTES)
    assert facts[0].condition not in {question.group for question in written}
