"""Tests of data.cleaning: bad conversations are removed with a reason, good ones stay unchanged."""

import pytest
from tests.support.rows import write_rows

from clinical_camel import data
from clinical_camel.data import cleaning

QUESTION = "How do I keep bread fresh for a few days?"
ANSWER = "Keep it in a paper bag or a box of wood, and freeze what you do not eat within two days."


def talk(name, *texts, roles=("human", "gpt")):
    turns = [{"from": roles[i % 2], "value": text} for i, text in enumerate(texts)]
    return {"id": name, "conversations": turns}


BAD = {
    "not readable": [talk("r", QUESTION, ANSWER, roles=("human", "bard")), {"id": "x"}],
    "empty turn": [talk("e", QUESTION, "  \n"), {"id": "n", "conversations": []}],
    "wrong order": [
        talk("o", ANSWER, QUESTION, roles=("gpt", "human")),
        talk("c", QUESTION, ANSWER, "And cake?"),
        talk("t", QUESTION, ANSWER, roles=("human", "human")),
    ],
    "remnant of a web page": [
        talk("h", QUESTION, f'<div class="markdown prose">{ANSWER}</div>'),
        talk("a", QUESTION, f"{ANSWER} Bread &amp; butter."),
        talk("b", QUESTION, f"{ANSWER}\nCopy code\nls"),
        talk("p", QUESTION, f"{ANSWER}\n2 / 3\n"),
    ],
    "refusal or boilerplate": [
        talk("i", QUESTION, f"As an AI language model, I do not eat. {ANSWER}"),
        talk("s", QUESTION, "I'm sorry, but I cannot help with that."),
    ],
    "repeats itself": [talk("w", QUESTION, ANSWER, "And cake?", ANSWER.upper())],
    "not English": [
        talk("d", "Wie bleibt Brot frisch?", "In einem Kasten aus Holz bleibt es gut.")
    ],
}
GOOD = [
    talk("g", QUESTION, ANSWER),
    talk("k", "Write a page in HTML for my shop, please.", "Here it is:\n```\n<div>Hi</div>\n```"),
    talk(
        "m", "Is it true that x < y and y > z?", "Only where y is larger than both of the others."
    ),
]
DUPLICATE = talk("g2", QUESTION.upper(), f" {ANSWER}")


@pytest.mark.parametrize(("reason", "row"), [(r, row) for r, rows in BAD.items() for row in rows])
def test_a_bad_conversation_is_rejected_with_its_reason(reason, row):
    assert cleaning.find_rejection_reason(row) == reason


@pytest.mark.parametrize("row", GOOD, ids=lambda row: row["id"])
def test_a_good_conversation_is_not_rejected(row):
    assert cleaning.find_rejection_reason(row) == ""


def test_the_loader_removes_bad_and_repeated_conversations(root):
    write_rows(
        root / "my.jsonl", [*GOOD, *(row for rows in BAD.values() for row in rows), DUPLICATE]
    )
    dialogues = data.load_dialogues("sharegpt_cleaned@my.jsonl")
    assert [dialogue.id for dialogue in dialogues] == ["g", "k", "m"]
