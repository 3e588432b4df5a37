"""Errors of servers, in recorded shapes (*recalled*: from documentation and issues, by memory)."""

import email.utils
import json

import pytest
from tests.support.teacher_runs import make_settings, read_rows

from clinical_camel.teachers import errors
from clinical_camel.teachers.errors import ApiError, is_error, read_error, read_retry_after

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


@pytest.mark.parametrize(("status", "message", "start"), read_rows(__file__, "stops.csv"))
def test_what_every_request_would_meet_stops_the_run(status, message, start):
    settings = make_settings("https://h/api").teacher
    reason = errors.explain_stop(
        int(status), ApiError(message), settings, {"Location": "https://new/v1"}
    )
    assert reason.startswith(start) if start else reason == ""


@pytest.mark.parametrize(
    ("body", "interface"),
    [
        (b'{"model": "x", "message": {"content": "Hi"}, "done": true}', "Ollama's own interface"),
        (b'{"message": {"content": "H"}, "done": false}\n{"done": true}', "Ollama's own interface"),
        (b'{"model": "x", "response": "Hi", "done": true}', "Ollama's own interface"),
        (b'{"generated_text": "Hi"}', "TGI's own interface"),
        (b'[{"generated_text": "Hi"}]', "TGI's own interface"),
        (b'{"content": "Hi", "stop": true}', "llama.cpp's own interface"),
        (b'{"content": [{"text": "Hi"}], "stop_reason": "end_turn"}', "Anthropic's own interface"),
        (b'{"candidates": [{"content": {"parts": []}}]}', "Google's own interface"),
    ],
)
def test_a_reply_of_another_interface_stops_the_run_with_its_name(body, interface):
    for url, advice in {
        "http://h": "most servers want /v1 at its end",
        "http://h/api/": "most servers want /v1 at its end (Ollama: http://h/v1)",
        "http://h/v1": "check the address",
    }.items():
        teacher = make_settings("http://127.0.0.1:9").teacher.model_copy(update={"base_url": url})
        reason = errors.explain_stop(200, read_error(body), teacher, {})
        assert reason == f"{url.rstrip('/')} speaks {interface}, not OpenAI's; {advice}"


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
        ({}, f"{'Rate limit reached for gpt. ' * 9}Please try again in 300ms.", 0.3),
        ({"Retry-After": "120 seconds"}, "", 120.0),
        ({}, "Please retry after 26 seconds.", 26.0),
        ({}, "Try again in 6 minutes", 360.0),
        ({"Retry-After": "PT1M30S"}, "", 90.0),
        ({"Retry-After": "30, 60"}, "", 0.0),
        ({"Retry-After": in_an_hour(-3600), "Date": in_an_hour(0)}, "", 0.0),
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
    error = read_error(json.dumps({"error": {"message": message}}).encode())
    assert read_retry_after(headers, error) == pytest.approx(seconds)


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
