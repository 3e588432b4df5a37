"""Fields and roles: what an error refuses is renamed or left out; nothing else changes."""

import json

import pytest

from clinical_camel.dbke.teachers.dialect import Dialect
from clinical_camel.dbke.teachers.errors import ApiError, read_error

MESSAGES = [{"role": "system", "content": "Rules."}, {"role": "user", "content": "Text."}]
VALUES = {"max_new_tokens": 9, "temperature": 0.5, "seed": 1}


def adapt(message: str, code: str = "", param: str = "") -> str:
    """How the common form changes after an error, in words; "no change" for None."""
    adapted = Dialect().adapt(ApiError(message, code, param))
    return adapted.describe() if adapted else "no change"


@pytest.mark.parametrize(
    ("message", "change"),
    [
        (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use"
            " 'max_completion_tokens' instead.",
            "max_completion_tokens instead of max_tokens",
        ),
        (
            "max_tokens: Extra inputs are not permitted",
            "max_completion_tokens instead of max_tokens",
        ),
        ("Unrecognized request argument supplied: seed", "no seed"),
        ("seed: Extra inputs are not permitted", "no seed"),
        ("property 'seed' is unsupported", "no seed"),
        (
            "Unsupported value: 'temperature' does not support 0.7 with this model. Only the"
            " default (1) value is supported.",
            "no temperature",
        ),
        ("`temperature` is deprecated for this model.", "no temperature"),
        ("invalid temperature: only 1 is allowed for this model", "no temperature"),
        ("System role not supported", "instructions inside the user's turn"),
        (
            "Developer instruction is not enabled for models/g",
            "instructions inside the user's turn",
        ),
        (
            "Conversation roles must alternate user/assistant/user/assistant/...",
            "instructions inside the user's turn",
        ),
        (
            "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
            "instructions inside the user's turn",
        ),
        ("role 'system' is not supported; use 'developer'", "instructions as developer"),
        (
            "This model requires max_completion_tokens rather than max_tokens",
            "max_completion_tokens instead of max_tokens",
        ),
        (
            "Please use max_completion_tokens in place of max_tokens",
            "max_completion_tokens instead of max_tokens",
        ),
        (
            "Field 'max_tokens' was replaced by 'max_completion_tokens'",
            "max_completion_tokens instead of max_tokens",
        ),
        ("`temperature` may only be set to 1 when thinking is enabled.", "no temperature"),
        ("temperature must be 1 for this model", "no temperature"),
        ("temperature: value must be 1.0", "no temperature"),
        ("Only temperature=1 is allowed", "no temperature"),
        ("'temperature' is disabled for reasoning models", "no temperature"),
        ("Please remove 'seed' from the request", "no seed"),
        ("seed is currently not available for this model", "no seed"),
        ("Only user and assistant roles are supported!", "instructions inside the user's turn"),
        (
            "Input tag 'system' found using 'role' does not match any of the expected tags: 'user'",
            "instructions inside the user's turn",
        ),
        ("temperature must be 1 or less", "no change"),
        ("temperature must be 1.5 or less", "no change"),
        ("max_tokens must be 16", "no change"),
        ("max_tokens is too large: 9000. This model supports at most 4096 tokens", "no change"),
        ("`temperature` must be strictly positive", "no change"),
        ("This model's maximum context length is 1024 tokens", "no change"),
        ("internal error", "no change"),
        ("Unsupported value: 'stream' must be true", "no change"),
    ],
)
def test_only_what_an_error_refuses_changes(message, change):
    assert adapt(message) == change


def test_the_field_that_an_error_names_counts_more_than_its_text():
    assert (
        adapt("unsupported (max_tokens, seed and temperature were sent)", "", "seed") == "no seed"
    )


def test_a_field_that_is_refused_under_both_names_is_not_sent_for_ever():
    first = Dialect().adapt(ApiError("unsupported: max_tokens"))
    assert first.adapt(ApiError("unsupported: max_completion_tokens")) is None


def test_a_body_contains_the_fields_and_roles_of_its_form():
    common = json.loads(Dialect().build_body("m", MESSAGES, VALUES))
    assert common == {
        "model": "m",
        "messages": MESSAGES,
        "max_tokens": 9,
        "temperature": 0.5,
        "seed": 1,
    }
    form = Dialect("max_completion_tokens", "user", ("seed", "temperature"))
    assert json.loads(form.build_body("m", MESSAGES, VALUES)) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Rules.\n\nText."}],
        "max_completion_tokens": 9,
    }
    developer = Dialect(instruction_role="developer").assign_roles(MESSAGES)
    assert [m["role"] for m in developer] == ["developer", "user"]


def test_a_form_is_remembered_as_json():
    form = Dialect("max_completion_tokens", "developer", ("max_tokens", "seed"))
    assert Dialect.from_json(form.to_json()) == form


def test_an_echoed_request_in_an_error_is_not_read_as_a_refusal_of_its_fields():
    body = b'{"detail": [{"loc": ["body", "messages"], "msg": "not supported", "input":'
    body += b' {"max_tokens": 9, "seed": 1}}]}'
    assert Dialect().adapt(read_error(body)) is None
