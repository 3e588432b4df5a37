"""Tests of data.conversations: ShareGPT and Alpaca rows become dialogues."""

import pytest
from tests.support.rows import write_rows

from clinical_camel import data
from clinical_camel.data import conversations

HUMAN, GPT = (
    {"from": "human", "value": "What is gout?"},
    {"from": "gpt", "value": "A joint disease."},
)
SHAREGPT = {"id": "a", "conversations": [HUMAN, GPT]}
ALPACA = {"id": "a", "instruction": "Be brief.", "input": "What is gout?", "output": "A disease."}


def load(root, spec, *rows):
    write_rows(root / "my/rows.jsonl", rows)
    return data.load_dialogues(f"{spec}@my/rows.jsonl")


def texts(dialogue):
    return [(message["role"], message["content"]) for message in dialogue.messages]


def test_sharegpt_speakers_become_roles():
    turns = [{"from": name, "value": "Hi"} for name in ("system", "human", "gpt")]
    dialogue = conversations.read_sharegpt({"id": "1", "conversations": turns})
    roles = [message["role"] for message in dialogue.messages]
    assert roles == ["system", "user", "assistant"]


def test_an_instruction_row_becomes_one_exchange(hub):
    rows = [("Be truthful", "What is gout?", "A"), ("Name a bone.", "", "The tibia.")]
    rows.append(("Name a bone.", "", " "))
    names = ("instruction", "input", "output")
    hub["", "train"] = [dict(zip(names, row, strict=True)) for row in rows]
    with pytest.warns(UserWarning, match="1 rows without a reply are left out"):
        first, second = data.load_dialogues("medical_meadow_mediqa")
    assert [m["role"] for m in first.messages] == ["system", "user", "assistant"]
    assert [m["content"] for m in second.messages] == ["Name a bone.", "The tibia."]
    assert first.id == "mediqa-000000"


@pytest.mark.parametrize(
    "user", ["human", "user", "Human", "USER", "patient", "prompter", " human "]
)
@pytest.mark.parametrize(
    "assistant", ["gpt", "assistant", "bot", "chatgpt", "bing", "Doctor:", "DR.", "[doctor]"]
)
def test_roles_are_known_under_their_common_names(user, assistant):
    turns = [HUMAN | {"from": user}, GPT | {"from": assistant}]
    dialogue = conversations.read_sharegpt(SHAREGPT | {"conversations": turns})
    assert [message["role"] for message in dialogue.messages] == ["user", "assistant"]


def test_names_of_both_formats_may_be_mixed_and_empty_fields_do_not_count():
    turns = [{"from": "developer", "content": "Be kind."}, {"role": "user", "value": "Q"}]
    turns.append({"role": "assistant", "content": "A", "value": None, "from": None})
    row = {"id": "a", "messages": turns, "conversations": None, "tools": "{}"}
    expected = [("system", "Be kind."), ("user", "Q"), ("assistant", "A")]
    assert texts(conversations.read_sharegpt(row)) == expected


@pytest.mark.parametrize("empty", [{"system": None}, {"system": ""}, {"images": []}])
def test_empty_fields_of_a_conversation_do_not_count(root, empty):
    parts = [{"type": "text", "text": "A joint"}, {"type": "text", "text": "disease."}]
    turns = [HUMAN, {"role": "assistant", "content": parts}]
    (dialogue,) = load(root, "sharegpt", {"conversations": turns} | empty)
    assert texts(dialogue) == [("user", "What is gout?"), ("assistant", "A joint\ndisease.")]


def test_a_system_field_becomes_the_system_message(root):
    (dialogue,) = load(root, "sharegpt", SHAREGPT | {"system": "Never give a dose.", "tools": "[]"})
    assert texts(dialogue)[0] == ("system", "Never give a dose.")
    assert len(dialogue.messages) == 3
    turns = [{"from": "system", "value": "Be kind."}, HUMAN, GPT]
    same = SHAREGPT | {"conversations": turns, "system": "Be kind."}
    assert len(conversations.read_sharegpt(same).messages) == 3


def test_messages_of_role_and_content_are_read_like_conversations(root):
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    (dialogue,) = load(root, "sharegpt", {"id": "a", "messages": messages})
    assert texts(dialogue) == [("user", "Hi"), ("assistant", "Hello")]


SYSTEM = {"from": "system", "value": "x"}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"tools": '[{"name": "f"}]'}, "tools: calls of tools are not read"),
        ({"functions": [{}]}, "functions: calls of tools are not read"),
        ({"messages": [HUMAN, GPT]}, "the row has conversations and messages"),
        ({"sytem": "x"}, "field sytem is not one of .*did you mean system"),
        ({"history": ["a"]}, "field history is not one of id, conversations"),
        (GPT | {"from": "tool"}, "from is 'tool': calls of tools are not read"),
        (GPT | {"from": "narrator"}, "from should be human, gpt or system, is 'narrator'"),
        (GPT | {"value": None}, "value should be text, is null"),
        (GPT | {"value": [{"type": "image"}]}, "content should be text or parts of type text"),
        (GPT | {"weight": 0}, "field weight of a turn is neither from nor value"),
        ({"conversations": [SYSTEM, HUMAN, GPT], "system": "y"}, "system is not the text of the"),
    ],
)
def test_what_a_dialogue_cannot_hold_is_rejected_by_name(root, change, problem):
    """`change` is of the row, or the second turn."""
    change = {"conversations": [HUMAN, change]} if "from" in change else change
    with pytest.raises(data.DataError, match=f"line 1: {problem}"):
        load(root, "sharegpt", SHAREGPT | change)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"tools": "x"}, "field tools is not one of"),
        ({"history": ["x"]}, "history should be a list of pairs"),
        ({"input": 7}, "input should be text, is int"),
        ({"input ": "x"}, "field 'input ' is not one of"),
    ],
)
def test_what_an_alpaca_row_cannot_hold_is_rejected_by_name(root, change, problem):
    with pytest.raises(data.DataError, match=f"line 1: {problem}"):
        load(root, "medical_meadow_wikidoc", ALPACA | change)


def test_history_and_system_of_an_alpaca_row_come_before_its_exchange(root):
    row = ALPACA | {"system": "You are a doctor.", "history": [["Hi", "Hello"]]}
    (dialogue,) = load(root, "medical_meadow_wikidoc", row)
    assert texts(dialogue) == [
        ("system", "You are a doctor."),
        ("user", "Hi"),
        ("assistant", "Hello"),
        ("user", "Be brief.\nWhat is gout?"),
        ("assistant", "A disease."),
    ]


@pytest.mark.parametrize(
    "empty",
    [{"input": None}, {"input": ""}, {"input": "<noinput>"}, {"history": []}, {"tools": ""}],
)
def test_an_alpaca_row_without_input_is_an_instruction_alone(empty):
    row = {"id": "a", "instruction": "What is gout?", "output": "A disease."}
    dialogue = conversations.read_instruction(row | empty, "own")
    assert texts(dialogue) == [("user", "What is gout?"), ("assistant", "A disease.")]


def test_rows_without_an_id_are_numbered_and_numbers_become_texts(root):
    row = {"conversations": [HUMAN, GPT]}
    assert [d.id for d in load(root, "sharegpt", row, row)] == ["rows-1", "rows-2"]
    assert [d.id for d in load(root, "sharegpt", row | {"id": 7}, row | {"id": "8"})] == ["7", "8"]
    with pytest.raises(data.DataError, match="line 2: field id is missing"):
        load(root, "sharegpt", SHAREGPT, row)
    with pytest.raises(data.DataError, match="line 2: id '7' is also that of line 1"):
        load(root, "sharegpt", row | {"id": 7}, row | {"id": "7"})
