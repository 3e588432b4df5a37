"""Tests of data.triples: triples of a knowledge graph become questions with answers."""

import csv

import pytest

from clinical_camel import data
from clinical_camel.data import registry, triples

HEAD = "subject,relation,object\n"


def test_the_embedded_facts_become_three_exchanges_each():
    rows = data.load_dialogues("mini_triples")
    file = registry.locate_shipped_file(registry.find_source("mini_triples"))
    facts = list(csv.DictReader(file.open(encoding="utf-8")))
    assert len(rows) == 3 * len(facts) == 3 * 414
    assert len({row.id.rpartition("/")[0] for row in rows}) == 69
    for fact, row in zip(facts, rows[::3], strict=True):
        question, reply = (message["content"] for message in row.messages)
        assert fact["subject"].lower() in question.lower()
        assert fact["object"] in reply
        assert fact["object"] not in question


def test_a_graph_of_the_user_gets_templates_by_relation_and_language(root):
    lines = ["gout,treatment,colchicine", "gout,gene,SLC2A9", "感冒,症状,发热", "感冒,症状,咳嗽"]
    (root / "kg.csv").write_text(HEAD + "\n".join(lines), encoding="utf-8")
    rows = {row.id: row.messages for row in data.load_dialogues("triples@kg.csv")}
    texts = {id_: tuple(m["content"] for m in messages) for id_, messages in rows.items()}
    assert texts["gout/treatment-2"] == ("How is gout treated?", "Gout is treated with colchicine.")
    assert texts["gout/gene-1"] == ("What is the gene of gout?", "The gene of gout is SLC2A9.")
    assert texts["感冒/症状-1"] == ("感冒有哪些症状？", "感冒的症状包括发热、咳嗽。")
    assert len(texts) == 5


def test_templates_next_to_the_file_replace_the_built_in_ones(root):
    (root / "kg.csv").write_text(f"{HEAD}gout,treatment,colchicine\ngout,gene,SLC2A9\n")
    own = "relation,question,reply\ntreatment,Therapy of {subject}?,{object}.\n"
    (root / "kg.templates.csv").write_text(own)
    rows = [row.messages for row in data.load_dialogues("triples@kg.csv")]
    assert [messages[1]["content"] for messages in rows] == [
        "Colchicine.",
        "The gene of gout is SLC2A9.",
    ]


def test_a_placeholder_in_an_object_is_not_filled_in(root):
    (root / "kg.csv").write_text(f"{HEAD}gout,gene,{{subject}}\n")
    (row,) = data.load_dialogues("triples@kg.csv")
    assert row.messages[1]["content"] == "The gene of gout is {subject}."


@pytest.mark.parametrize(
    ("question", "reply", "problem"),
    [
        ("What?", "{object}.", r"line 2: question: lacks \{subject\}"),
        ("What of {subject}?", "Yes.", r"line 2: reply: lacks \{object\}"),
        ("{subject} {object}?", "{object}.", r"question: \{object\} is not one of \{subject\}"),
        ("{subject}?", "{objekt}.", r"reply: \{objekt\} is not one of .*\{object\}"),
    ],
)
def test_a_template_without_its_words_is_an_error(root, question, reply, problem):
    (root / "t.csv").write_text(f"relation,question,reply\nx,{question},{reply}\n")
    with pytest.raises(data.DataError, match=problem):
        triples.read_templates(root / "t.csv")


def test_problems_of_a_graph_are_listed_by_line(root):
    lines = ["gout,treatment,colchicine", "gout,,x", "gout,treatment,colchicine"]
    (root / "kg.csv").write_text(HEAD + "\n".join(lines))
    with pytest.raises(data.DataError, match="(?s)line 3: relation is empty;.*line 4: .*in line 2"):
        data.load_dialogues("triples@kg.csv")
    (problem,) = data.loading.check_spec("triples@kg.csv", ("TrainingText",), True)
    assert "2 bad lines" in problem


def test_a_file_without_the_columns_is_an_error_before_the_step_starts(root):
    (root / "kg.csv").write_text("head,relation,tail\na,b,c\n")
    (problem,) = data.loading.check_spec("triples@kg.csv", ("TrainingText",), True)
    assert "kg.csv: line 1: column subject is missing" in problem


def test_templates_are_read_again_after_a_change(root):
    """Other templates are other rows: they count as an input and in the record of a run."""
    (root / "kg.csv").write_text(f"{HEAD}gout,treatment,colchicine\n")

    def read():
        (row,) = data.load_dialogues("triples@kg.csv")
        return row.messages[0]["content"], data.describe("triples@kg.csv")["companions"]

    own = "relation,question,reply\ntreatment,{} of {{subject}}?,{{object}}.\n"
    facts = []
    for word in ("Therapy", "Treatment"):
        (root / "kg.templates.csv").write_text(own.format(word))
        question, companions = read()
        assert question == f"{word} of gout?"
        facts.append(companions["kg.templates.csv"])
    assert facts[0] != facts[1]
    (root / "kg.templates.csv").unlink()
    assert len(data.load_dialogues("triples@kg.csv")) > 1
    assert "companions" not in data.describe("triples@kg.csv")
