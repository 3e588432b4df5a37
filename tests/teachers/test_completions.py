"""From the body of a chat completion to the answer, in every form that servers use."""

import json

import pytest

from clinical_camel.teachers import completions

VERDICT = json.dumps({"reason": "It is right.", "winner": "first"})


def complete(content, reason="stop", **more) -> str:
    message = {"role": "assistant", "content": content, **more}
    return json.dumps({"choices": [{"message": message, "finish_reason": reason}]})


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("<html>", "reply is not a chat completion (JSONDecodeError)"),
        ("", "reply is not a chat completion (JSONDecodeError)"),
        ("[" * 200_000, "reply is not a chat completion (RecursionError)"),
        ('{"choices": []}', "reply is not a chat completion (IndexError)"),
        ('{"choices": [null]}', "reply is not a chat completion (AttributeError)"),
        ("data: [DONE]\n\n", "reply is empty"),
        (complete(VERDICT, "length"), "reply was cut at the token limit"),
        (complete(VERDICT, "MAX_TOKENS"), "reply was cut at the token limit"),
        (complete(VERDICT, "content_filter"), "reply was stopped by a content filter"),
        (complete(" "), "reply is empty"),
        (complete(None), "reply is empty"),
        (complete(None, refusal="No."), completions.REFUSED),
        (complete([{"type": "refusal", "refusal": "No."}]), completions.REFUSED),
        (complete(None, reasoning_content="So."), completions.ONLY_REASONING),
        (complete("<think>So"), completions.ONLY_REASONING),
        (complete("<think>So</think> "), completions.ONLY_REASONING),
    ],
)
def test_a_completion_without_an_answer_has_a_reason(raw, reason):
    assert completions.read_completion(raw) == ("", reason)


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "<html>",
        "{}",
        '{"error": "x"}',
        '{"choices": []}',
        '{"choices": ["x"]}',
        "[1]",
        '{"error": {"message": "x"}, "choices": [{"message": {"content": ""}}]}',
        '{"choices": [{"error": {"message": "x"}, "message": {"content": ""}}]}',
    ],
)
def test_an_error_or_a_page_is_no_completion(raw):
    assert not completions.is_completion(raw)
