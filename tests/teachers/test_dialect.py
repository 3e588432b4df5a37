"""Fields and roles: what an error refuses is renamed or left out; nothing else changes."""

import json

import pytest
from tests.support.teacher_runs import read_rows

from clinical_camel.teachers.dialect import Dialect
from clinical_camel.teachers.errors import ApiError, read_error

MESSAGES = [{"role": "system", "content": "Rules."}, {"role": "user", "content": "Text."}]
VALUES = {"max_new_tokens": 9, "temperature": 0.5, "seed": 1}


def adapt(message: str, code: str = "", param: str = "") -> str:
    """How the common form changes after an error, in words; "no change" for None."""
    adapted = Dialect().adapt(ApiError(message, code, param))
    return adapted.describe() if adapted else "no change"


@pytest.mark.parametrize(("message", "change"), read_rows(__file__, "refusals.csv"))
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
