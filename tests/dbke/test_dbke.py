"""Step 01: every assistant sentence stands in its source, and nothing is lost."""

import json
import random

import pytest
from tests.support.project import Memory, dialogue

from clinical_camel import data, dbke, grounding
from clinical_camel.data import Article, Question, Section

ARTICLE = Article(
    id="gout",
    title="gout",
    licence="CC0",
    sections=[
        Section(heading="Symptoms", text="Gout hurts. The big toe swells. It comes at night."),
        Section(
            heading="Treatment", text="Naproxen helps the attack. Allopurinol later prevents it."
        ),
        Section(heading="History", text="Kings had it once."),
    ],
)
QUESTION = Question(
    id="q1", question="What prevents gout?", options=["naproxen", "allopurinol"], answer=1
)


class Echo(dbke.Teacher):
    """A teacher that always says the same."""

    name = "echo"

    def __init__(self, raw):
        self.raw, self.calls = raw, 0

    def write(self, request):
        self.calls += 1
        return self.raw


def plan(questions=(), count=2, exchanges=3):
    return dbke.plan_requests([ARTICLE], questions, count, exchanges, seed=0)


def test_every_assistant_sentence_of_the_extractive_teacher_stands_in_the_article():
    dialogues, aside = dbke.synthesise(plan(count=5), dbke.ExtractiveTeacher(), Memory(), 2)
    source = " ".join(section.text for section in ARTICLE.sections)
    said = [m["content"] for d in dialogues for m in d.messages if m["role"] == "assistant"]
    assert said
    assert [s for text in said for s in grounding.unsupported(text, source)] == []


def test_accepted_and_set_aside_add_up_to_what_was_requested():
    requests = plan([QUESTION], count=7, exchanges=1)
    dialogues, aside = dbke.synthesise(requests, dbke.ExtractiveTeacher(), Memory(), 2)
    assert len(requests) == 8
    assert (len(dialogues), len(aside)) == (1, 7)  # one exchange about an article is too few


def test_the_dialogues_on_an_article_leave_no_section_out():
    dialogues, _ = dbke.synthesise(plan(count=2), dbke.ExtractiveTeacher(), Memory(), 2)
    said = [{m["content"] for m in d.messages if m["role"] == "assistant"} for d in dialogues]
    for answers in said:  # three exchanges, three sections: one answer from each
        of = [[s.heading for s in ARTICLE.sections if text in s.text] for text in answers]
        assert sorted(of) == [["History"], ["Symptoms"], ["Treatment"]]


@pytest.mark.parametrize(
    ("heading", "title", "asked"),
    [
        ("Management", "gout", dbke.ASKS[2][1]),
        ("Risk factors", "gout", dbke.ASKS[3][1]),
        ("History", "gout", dbke.ASKS[-1][1]),
        ("Management", "A trial of one drug in many old people", dbke.ASKS[-1][1]),
        ("", "gout", dbke.WITHOUT_HEADING),
    ],
)
def test_the_question_follows_the_heading(heading, title, asked):
    choices = {way.format(heading=heading, title=title) for way in asked}
    assert {dbke.ask(heading, title, random.Random(i)) for i in range(40)} == choices


def test_the_same_seed_writes_the_same_dialogues_and_another_seed_others():
    def write(seed):
        requests = dbke.plan_requests([ARTICLE], [], 3, 3, seed)
        return [dbke.ExtractiveTeacher().write(request) for request in requests]

    assert write(1) == write(1)
    assert write(1) != write(2)


def test_an_exam_dialogue_gives_the_option_and_then_the_passage():
    requests = plan([QUESTION], count=0)
    dialogues, _ = dbke.synthesise(requests, dbke.ExtractiveTeacher(), Memory(), 2)
    contents = [m["content"] for m in dialogues[0].messages]
    assert contents[0] == "What prevents gout?\n(A) naproxen\n(B) allopurinol"
    assert contents[1] == "allopurinol."
    assert contents[3] == "Allopurinol later prevents it."


def test_a_question_without_a_passage_is_set_aside_with_its_reason():
    other = Question(id="q2", question="Which planet?", options=["Mars", "Venus"], answer=0)
    dialogues, aside = dbke.synthesise(plan([other], 0), dbke.ExtractiveTeacher(), Memory(), 2)
    assert dialogues == []
    assert list(aside["reason"]) == ["no supporting passage found"]


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ("not json", "reply is not a JSON dialogue"),
        ([{"role": "user", "content": "Hm?"}], "turns do not alternate"),
        ([{"role": "assistant", "content": "Gout hurts."}] * 2, "turns do not alternate"),
        (
            [{"role": "user", "content": " "}, {"role": "assistant", "content": "Gout hurts."}],
            "empty turn",
        ),
        (
            [{"role": "user", "content": "a"}, {"role": "assistant", "content": "Gout hurts."}],
            "fewer than 2 exchanges",
        ),
        (
            [{"role": "user", "content": "a"}, {"role": "assistant", "content": "Gout is fun."}]
            * 2,
            "not in the source",
        ),
    ],
)
def test_a_reply_that_fails_a_check_is_set_aside_with_the_reason(messages, reason):
    raw = messages if isinstance(messages, str) else json.dumps({"messages": messages})
    dialogues, aside = dbke.synthesise(plan(count=1), Echo(raw), Memory(), 2)
    assert dialogues == []
    assert reason in aside["reason"][0]


def test_a_reply_in_the_journal_is_not_asked_for_again():
    raw = dbke.ExtractiveTeacher().write(plan()[0])
    journal, teacher = Memory(), Echo(raw)
    dbke.synthesise(plan(), teacher, journal, 2)
    dbke.synthesise(plan(), teacher, journal, 2)
    assert teacher.calls == 2  # two requests, once each


def test_the_same_dialogue_twice_is_kept_once():
    raw = dbke.ExtractiveTeacher().write(plan()[0])
    dialogues, aside = dbke.synthesise(plan(count=2), Echo(raw), Memory(), 2)
    assert len(dialogues) == 1
    assert list(aside["reason"]) == ["same as an earlier dialogue"]


def test_an_article_id_in_two_sets_is_refused():
    with pytest.raises(ValueError, match="same id in two sets: gout/0"):
        dbke.plan_requests([ARTICLE, ARTICLE], [], 1, 3, seed=0)


def test_an_unknown_teacher_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="'gpt' is not one of extractive"):
        dbke.load_teacher("gpt")


def test_the_summary_counts_by_source():
    requests = plan([QUESTION], count=2)
    dialogues, aside = dbke.synthesise(requests, dbke.ExtractiveTeacher(), Memory(), 2)
    summary = dbke.summarise(dbke.dialogue_table(dialogues), aside, requests)
    assert summary[["source", "requested", "accepted", "set_aside"]].to_numpy().tolist() == [
        ["article", 2, 2, 0],
        ["exam", 1, 1, 0],
    ]


def test_the_table_carries_the_hash_of_each_dialogue():
    dialogues, _ = dbke.synthesise(plan(), dbke.ExtractiveTeacher(), Memory(), 2)
    table = dbke.dialogue_table(dialogues)
    assert list(table["content_hash"]) == [data.content_hash(d) for d in dialogues]


def test_sentences_on_both_sides_of_a_gap_are_not_joined():
    long = "Word " + "word " * 100 + "end."
    units = dbke.answer_units(f"One short one here. {long} Another short one.", random.Random(0))
    assert units == ["One short one here.", "Another short one."]


def test_a_run_that_accepts_nothing_has_its_tables_all_the_same():
    requests = plan(count=1)
    dialogues, aside = dbke.synthesise(requests, Echo("not json"), Memory(), 2)
    table = dbke.dialogue_table(dialogues)
    assert list(table) == list(dbke.dialogue_table([dialogue("x")]))
    assert dbke.summarise(table, aside, requests)["set_aside"].sum() == 1
    assert dbke.plot_lengths(table)


def test_a_question_without_a_passage_is_not_put_to_the_teacher():
    other = Question(id="q2", question="Which planet?", options=["Mars", "Venus"], answer=0)
    teacher = Echo("x")
    dbke.synthesise(plan([other], 0), teacher, Memory(), 2)
    assert teacher.calls == 0
