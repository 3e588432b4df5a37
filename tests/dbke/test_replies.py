"""From the body of a reply to the turns of a dialogue, in every form that servers use."""

import json

import pytest

from clinical_camel.dbke import replies
from clinical_camel.teachers.completions import build_completion, is_completion, read_completion

TURNS = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Gout."}]
DIALOGUE = json.dumps({"messages": TURNS})
DRAFT = json.dumps({"messages": TURNS[:1]})
COMPLETION = json.loads(build_completion(DIALOGUE, complete=True))


def complete(content, reason="stop", **more) -> str:
    message = {"role": "assistant", "content": content, **more}
    return json.dumps({"choices": [{"message": message, "finish_reason": reason}]})


def stream(*texts: str) -> str:
    events = [{"choices": [{"delta": {"content": text}}]} for text in texts]
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"


@pytest.mark.parametrize(
    "raw",
    [
        complete(DIALOGUE),
        "\ufeff" + complete(DIALOGUE),
        complete("\ufeff" + DIALOGUE),
        complete(json.dumps(DIALOGUE)),
        complete([{"type": "text", "text": DIALOGUE}]),
        complete([{"type": "thinking", "thinking": "So."}, {"type": "text", "text": DIALOGUE}]),
        complete([DIALOGUE[:9], {"text": DIALOGUE[9:]}]),
        complete(DIALOGUE, reasoning_content="So {}."),
        complete(None, reasoning_content=f"So.</think>{DIALOGUE}"),
        complete("", reasoning=DIALOGUE),
        complete(f"<think>{DRAFT}</think>\n\n{DIALOGUE}"),
        complete(f"{DRAFT}\n</think>{DIALOGUE}"),
        complete(f"<think>So. {DIALOGUE}"),
        complete(f"[THINK]So.[/THINK]{DIALOGUE}"),
        complete(f"◁think▷So.◁/think▷{DIALOGUE}"),
        complete(f"<|channel|>analysis<|message|>So.<|channel|>final<|message|>{DIALOGUE}"),
        complete(f"```json\n{DIALOGUE}\n```"),
        complete(f"```\n{DIALOGUE}```"),
        complete(f"Sure! Here {{it}} is:\n\n```json\n{DIALOGUE}\n```\nEnjoy."),
        complete(f"{DRAFT} is too short, so: {DIALOGUE} Enjoy {{it}}."),
        stream(DIALOGUE[:11], DIALOGUE[11:]),
        ": comment\n\n" + stream(DIALOGUE),
        json.dumps({"choices": [{"text": DIALOGUE, "finish_reason": "stop"}]}),
        complete(DIALOGUE, reason=None),
    ],
)
def test_a_dialogue_is_read_in_every_form(raw):
    text, reason = read_completion(raw, replies.START)
    assert reason == ""
    assert replies.read_messages(text, "dialogue") == (TURNS, "")
    assert is_completion(raw)


def test_a_tag_inside_a_turn_cuts_nothing():
    turns = json.dumps({"messages": [{"role": "user", "content": "What is </think>?"}]})
    text, reason = read_completion(complete(turns))
    assert (replies.read_messages(text, "dialogue")[0][0]["content"], reason) == (
        *("What is </think>?", ""),
    )


@pytest.mark.parametrize(
    "text",
    [
        "Here is a conversation.",
        "[" * 200_000,
        '{"messages": ' + "[" * 200_000,
        '{"messages": [{"role": "user"}]}',
        '{"messages": [{"role": "user", "content": ["a"]}]}',
        '{"messages": "none"}',
        "1" * 5000,
        "null",
    ],
)
def test_a_text_without_a_dialogue_is_rejected_and_raises_nothing(text):
    messages, reason = replies.read_messages(text, "dialogue")
    assert messages == []
    assert reason.startswith("reply is not a JSON dialogue (")


@pytest.mark.parametrize(
    ("content", "clean"),
    [
        ("go\u200but", "gout"),
        ("go\u0000ut", "gout"),
        ("\u001b[31mgout", "[31mgout"),
        ("go\ud800ut", "gout"),
        ("g\u202eout", "gout"),
        ("10\u2079 \U0001f600", "10\u2079 \U0001f600"),
    ],
)
def test_hidden_characters_of_json_escapes_are_removed_and_others_stay(content, clean):
    raw = complete(json.dumps({"messages": [{"role": "user", "content": content}]}))
    messages, _ = replies.read_messages(read_completion(raw, replies.START)[0], "dialogue")
    assert messages[0]["content"] == clean
    assert clean.encode()
