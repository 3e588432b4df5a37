"""ShareGPT, cleaned: what is wrong goes for its reason, what is right stays as it is."""

import json

import pytest

from clinical_camel import data
from clinical_camel.data import cleaning

ASKED = "How do I keep bread fresh for a few days?"
TOLD = "Keep it in a paper bag or a box of wood, and freeze what you do not eat within two days."


def talk(name, *said, roles=("human", "gpt")):
    turns = [{"from": roles[i % 2], "value": text} for i, text in enumerate(said)]
    return {"id": name, "conversations": turns}


BAD = {
    "not readable": [talk("r", ASKED, TOLD, roles=("human", "bard")), {"id": "x"}],
    "empty turn": [talk("e", ASKED, "  \n"), {"id": "n", "conversations": []}],
    "wrong order": [
        talk("o", TOLD, ASKED, roles=("gpt", "human")),
        talk("c", ASKED, TOLD, "And cake?"),
        talk("t", ASKED, TOLD, roles=("human", "human")),
    ],
    "remnant of a web page": [
        talk("h", ASKED, f'<div class="markdown prose">{TOLD}</div>'),
        talk("a", ASKED, f"{TOLD} Bread &amp; butter."),
        talk("b", ASKED, f"{TOLD}\nCopy code\nls"),
        talk("p", ASKED, f"{TOLD}\n2 / 3\n"),
    ],
    "refusal or boilerplate": [
        talk("i", ASKED, f"As an AI language model, I do not eat. {TOLD}"),
        talk("s", ASKED, "I'm sorry, but I cannot help with that."),
    ],
    "repeats itself": [talk("w", ASKED, TOLD, "And cake?", TOLD.upper())],
    "not English": [
        talk("d", "Wie bleibt Brot frisch?", "In einem Kasten aus Holz bleibt es gut.")
    ],
}
GOOD = [
    talk("g", ASKED, TOLD),
    talk("k", "Write a page in HTML for my shop, please.", "Here it is:\n```\n<div>Hi</div>\n```"),
    talk(
        "m", "Is it true that x < y and y > z?", "Only where y is larger than both of the others."
    ),
]
TWICE = talk("g2", ASKED.upper(), f" {TOLD}")


@pytest.mark.parametrize(("reason", "row"), [(r, row) for r, rows in BAD.items() for row in rows])
def test_a_conversation_with_a_fault_is_left_out_for_its_reason(reason, row):
    assert cleaning.fault(row) == reason


@pytest.mark.parametrize("row", GOOD, ids=lambda row: row["id"])
def test_a_good_conversation_stays_as_it_is(row):
    assert cleaning.fault(row) == ""


def test_every_reason_is_tried_here():
    assert {*BAD, "duplicate"} == set(cleaning.REASONS)


def test_what_is_counted_is_what_the_loader_leaves_out(tmp_path, monkeypatch):
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(tmp_path))
    rows = [*GOOD, *(row for rows in BAD.values() for row in rows), TWICE]
    text = "".join(f"{json.dumps(row)}\n" for row in rows)
    (tmp_path / "my.jsonl").write_text(text, encoding="utf-8")
    table = data.cleaning_table("sharegpt_cleaned@my.jsonl").set_index("step")
    kept = data.load_dialogues("sharegpt_cleaned@my.jsonl")
    assert [dialogue.id for dialogue in kept] == ["g", "k", "m"]
    assert table["remaining"].iloc[[0, -1]].tolist() == [len(rows), len(kept)]
    for reason, found in BAD.items():
        assert table.loc[reason, "left_out"] == len(found)
    assert table.loc["duplicate", "left_out"] == 1


SAMPLE = "data/public/sharegpt_format/dummy_conversation.jsonl"


@pytest.mark.skipif(not (data.root() / SAMPLE).is_file(), reason="data/public is not filled")
def test_of_the_public_sample_what_speaks_of_being_a_model_is_left_out():
    table = data.cleaning_table(f"sharegpt_cleaned@{SAMPLE}").set_index("step")
    assert table["remaining"].iloc[0] == 500
    assert table["left_out"].sum() == table.loc["refusal or boilerplate", "left_out"] == 24


@pytest.mark.parametrize("spec", ["mini_exam", "medical_meadow_wikidoc", "my/rows.jsonl"])
def test_only_a_set_in_the_format_of_sharegpt_is_cleaned(spec):
    with pytest.raises(data.DataError, match=f"{spec} is no ShareGPT set"):
        data.cleaning_table(spec)
