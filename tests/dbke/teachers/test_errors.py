"""Errors of servers, in recorded shapes (*recalled*: from documentation and issues, by memory)."""

import email.utils

import pytest
from tests.support.teacher_runs import make_settings

from clinical_camel.dbke.teachers import errors
from clinical_camel.dbke.teachers.errors import ApiError, is_error, read_error, read_retry_after

SHAPES = {  # server: body, message, code, field
    "OpenAI": (
        b'{"error": {"message": "Unsupported parameter: \'max_tokens\'.", "type": "x",'
        b' "param": "max_tokens", "code": "unsupported_parameter"}}',
        ("Unsupported parameter: 'max_tokens'.", "unsupported_parameter", "max_tokens"),
    ),
    "Azure": (
        b'{"error": {"code": "DeploymentNotFound", "message": "The API deployment for this'
        b' resource does not exist."}}',
        ("The API deployment for this resource does not exist.", "DeploymentNotFound", ""),
    ),
    "OpenRouter": (
        b'{"error": {"message": "Provider returned error", "code": 502,'
        b' "metadata": {"raw": "x"}}, "user_id": "u"}',
        ("Provider returned error", "502", ""),
    ),
    "vLLM": (
        b'{"object": "error", "message": "The model `x` does not exist.", "type":'
        b' "NotFoundError", "param": null, "code": 404}',
        ("The model `x` does not exist.", "404", ""),
    ),
    "vLLM, a list of fields": (
        b'{"object": "error", "message": {"detail": [{"type": "extra_forbidden", "loc":'
        b' ["body", "seed"], "msg": "Extra inputs are not permitted", "input": 1}]}}',
        ("seed: Extra inputs are not permitted", "", "seed"),
    ),
    "llama.cpp": (
        b'{"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}',
        ("Loading model", "503", ""),
    ),
    "Ollama": (
        b'{"error": {"message": "model \\"x\\" not found, try pulling it first", "type":'
        b' "api_error", "param": null, "code": null}}',
        ('model "x" not found, try pulling it first', "", ""),
    ),
    "Ollama, a text": (
        b'{"error": "model requires more memory"}',
        ("model requires more memory", "", ""),
    ),
    "TGI": (
        b'{"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096",'
        b' "error_type": "validation"}',
        ("Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096", "", ""),
    ),
    "FastAPI": (b'{"detail": "Not Found"}', ("Not Found", "", "")),
    "FastAPI, fields": (
        b'{"detail": [{"loc": ["body", "messages", 0, "role"], "msg": "Input should be'
        b" 'user'\"}]}",
        ("role: Input should be 'user'", "", "role"),
    ),
    "Google": (
        b'[{"error": {"code": 400, "message": "API key not valid.", "status": "INVALID"}}]',
        ("API key not valid.", "400", ""),
    ),
    "message": (b'{"message": "no Route matched"}', ("no Route matched", "", "")),
    "page": (
        b"<!DOCTYPE html><html><head><title>502 &amp; more</title></head></html>",
        ("an HTML page: 502 & more", "", ""),
    ),
    "text": (b"404 page\n not found\x1b[31m", ("404 page not found[31m", "", "")),
    "event": (
        b'event: error\ndata: {"error": {"message": "busy", "code": "overloaded"}}\n\n'
        b"data: [DONE]\n",
        ("busy", "overloaded", ""),
    ),
    "nothing": (b"", ("", "", "")),
    "deep": (b"[" * 100_000, ("[" * 157 + "...", "", "")),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_message_of_each_server_is_read(shape):
    body, expected = SHAPES[shape]
    assert read_error(body) == ApiError(*expected)


@pytest.mark.parametrize(
    ("status", "message", "start"),
    [
        (401, "no", "the key in TEACHER_API_KEY was refused"),
        (403, "forbidden", "the key in TEACHER_API_KEY was refused"),
        (403, "input was flagged by moderation", ""),
        (400, "API key not valid", "the key in TEACHER_API_KEY was refused"),
        (402, "no", "the account at the endpoint has no money left"),
        (429, "You exceeded your current quota", "the account at the endpoint has no money left"),
        (429, "slow down", ""),
        (404, "The model `x` does not exist", "https://h/api has no model 'toy'"),
        (404, 'model "x" not found, try pulling it first', "https://h/api has no model 'toy'"),
        (400, "x is not a valid model ID: invalid model", "https://h/api has no model 'toy'"),
        (400, "The requested model 'toy' is not supported.", "https://h/api has no model 'toy'"),
        (400, "toy is not a valid model ID", "https://h/api has no model 'toy'"),
        (403, "You do not have access to model toy", "https://h/api has no model 'toy'"),
        (404, "No allowed providers are available for it", "https://h/api has no model 'toy'"),
        (400, "You didn't provide an API key.", "the key in TEACHER_API_KEY was refused"),
        (400, "invalid x-api-key", "the key in TEACHER_API_KEY was refused"),
        (403, "Insufficient credits", "the account at the endpoint has no money left"),
        (400, "Your credit balance is too low", "the account at the endpoint has no money left"),
        (400, "the article on payment is refused", ""),
        (403, "Country, region, or territory not supported", "https://h/api lets nobody in"),
        (403, "an HTML page: Just a moment...", "https://h/api lets nobody in"),
        (404, "404 page not found", "nothing answers at https://h/api/chat/completions; most"),
        (404, "Not Found", "nothing answers at https://h/api/chat/completions; most servers"),
        (405, "Method Not Allowed", "nothing answers at https://h/api/chat/completions"),
        (301, "", "https://h/api redirects to https://new/v1; write the final address"),
        (400, "This model's maximum context length is 1024 tokens. However, you requested 9", ""),
        (400, "This model does not support temperature", ""),
        (422, "no", ""),
    ],
)
def test_what_every_request_would_meet_stops_the_run(status, message, start):
    settings = make_settings("https://h/api").teacher
    reason = errors.explain_stop(
        status, ApiError(message), settings, {"Location": "https://new/v1"}
    )
    assert reason.startswith(start) if start else reason == ""


def in_an_hour(seconds: float = 3600) -> str:
    return email.utils.formatdate(10**9 + seconds, usegmt=True)


@pytest.mark.parametrize(
    ("headers", "message", "seconds"),
    [
        ({}, "", 0.0),
        ({"Retry-After": "7"}, "", 7.0),
        ({"Retry-After": "0.5"}, "", 0.5),
        ({"Retry-After": "1m30s"}, "", 90.0),
        ({"Retry-After": "250ms"}, "", 0.25),
        ({"Retry-After": "9", "retry-after-ms": "1500"}, "", 1.5),
        ({"Retry-After": in_an_hour(), "Date": in_an_hour(0)}, "", 3600.0),
        ({}, "Please try again in 7.66s. Visit us.", 7.66),
        ({"Retry-After": "120 seconds"}, "", 120.0),
        ({}, "Please retry after 26 seconds.", 26.0),
        ({}, "Try again in 6 minutes", 360.0),
        ({"Retry-After": "-5"}, "", 0.0),
        ({"Retry-After": "nan"}, "", 0.0),
        ({"Retry-After": "inf"}, "", 0.0),
        ({"Retry-After": "1e300"}, "", 0.0),
        ({"Retry-After": "soon"}, "", 0.0),
        ({"Retry-After": "Fri, 31 Dec 99999 23:59:59 GMT"}, "", 0.0),
        ({"Retry-After": in_an_hour(), "Date": "Fri, 31 Dec 99999 23:59:59 GMT"}, "", 0.0),
        ({"Retry-After": "9" * 5000}, "", 0.0),
    ],
)
def test_every_form_of_retry_after_is_read_and_an_absurd_one_ignored(headers, message, seconds):
    assert read_retry_after(headers, ApiError(message)) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('data: {"error": {"message": "busy"}}', True),
        ('data: {"choices": [{"delta": {"content": "Hi"}}]}\n\ndata: {"error": "busy"}', True),
        ('{"error": "busy"}', True),
        ("<!DOCTYPE html><html></html>", True),
        ('data: {"choices": [{"delta": {"content": "Hi', False),
        ('{"choices": [', False),
    ],
)
def test_an_error_is_no_damaged_reply(text, expected):
    assert is_error(text) is expected
