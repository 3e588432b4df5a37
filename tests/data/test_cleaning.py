"""Tests of data.cleaning: bad conversations are removed with a reason, good ones stay unchanged."""

import json

import pytest

from clinical_camel import data
from clinical_camel.core.paths import root
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


def test_every_reason_is_tested():
    assert {*BAD, "duplicate"} == set(cleaning.REASONS)


def test_the_counts_equal_what_the_loader_removes(tmp_path, monkeypatch):
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(tmp_path))
    rows = [*GOOD, *(row for rows in BAD.values() for row in rows), DUPLICATE]
    text = "".join(f"{json.dumps(row)}\n" for row in rows)
    (tmp_path / "my.jsonl").write_text(text, encoding="utf-8")
    table = data.tabulate_cleaning("sharegpt_cleaned@my.jsonl").set_index("step")
    dialogues = data.load_dialogues("sharegpt_cleaned@my.jsonl")
    assert [dialogue.id for dialogue in dialogues] == ["g", "k", "m"]
    assert table["remaining"].iloc[[0, -1]].tolist() == [len(rows), len(dialogues)]
    for reason, bad in BAD.items():
        assert table.loc[reason, "removed"] == len(bad)
    assert table.loc["duplicate", "removed"] == 1


SAMPLE = "data/public/sharegpt_format/dummy_conversation.jsonl"


@pytest.mark.skipif(not (root() / SAMPLE).is_file(), reason="data/public is not filled")
def test_replies_that_mention_being_a_model_are_removed_from_the_public_sample():
    table = data.tabulate_cleaning(f"sharegpt_cleaned@{SAMPLE}").set_index("step")
    assert table["remaining"].iloc[0] == 500
    assert table["removed"].sum() == table.loc["refusal or boilerplate", "removed"] == 24


@pytest.mark.parametrize("spec", ["mini_exam", "medical_meadow_wikidoc", "my/rows.jsonl"])
def test_only_sharegpt_datasets_can_be_cleaned(spec):
    with pytest.raises(data.DataError, match=f"{spec} is not ShareGPT"):
        data.tabulate_cleaning(spec)
