"""The trial of an endpoint: one request, and what a run would meet."""

import time

import pytest
from tests.support.raw_server import HEAD, serve
from tests.support.teacher_runs import make_settings
from tests.support.toy_teacher import KEY, Server

from clinical_camel.dbke.trial import build_trial
from clinical_camel.teachers import probe


def try_endpoint(base_url: str, **more) -> tuple[str, str]:
    result = probe.probe_endpoint(make_settings(base_url, **more).teacher, build_trial())
    assert KEY not in result.text
    return result.status, result.text.replace(base_url, "URL")


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        ("", "ok", "URL answers as toy"),
        (
            "max_completion_tokens",
            "ok",
            "URL answers as toy; requests with max_completion_tokens instead of max_tokens",
        ),
        ("reasoning before the answer", "ok", "URL answers as toy"),
        ("cut at the token limit, still JSON", "ok", "URL answers as toy"),
        ("prose in place of JSON", "warning", "URL answers, but not with a dialogue: reply is not"),
        ("no seed", "ok", "URL answers as toy; requests with no seed"),
        ("401 that repeats the key", "problem", "the key in TEACHER_API_KEY was refused by URL"),
        ("404 unknown model", "problem", "URL has no model 'toy'"),
        ("404 no such path", "problem", "nothing answers at URL/chat/completions; check the"),
        ("402 no money", "problem", "the account at the endpoint has no money left"),
        ("500 for ever", "warning", "URL is not ready (HTTP 500: internal error)"),
        ("400 for every prompt", "problem", "URL refuses a request (HTTP 400: context"),
        (
            "200 with an HTML page",
            "problem",
            "URL answers, but not with a chat completion (an HTML",
        ),
    ],
)
def test_the_answer_to_a_request_gives_a_finding(fault, status, text):
    with Server(fault) as server:
        result = try_endpoint(server.base_url)
    assert result[0] == status
    assert result[1].startswith(text)


def test_an_endpoint_that_may_cost_nothing_gets_no_request():
    with Server() as server:
        try_endpoint(server.base_url, money_cap=0.0)
        assert server.requests == 0


def test_an_endpoint_that_is_down_or_drips_gives_a_finding_in_time(monkeypatch):
    monkeypatch.setattr(probe, "SECONDS", 1.0)
    status, text = try_endpoint("http://127.0.0.1:9/v1")
    assert (status, text.startswith("URL cannot be reached: no connection")) == ("problem", True)
    started = time.monotonic()
    with serve(HEAD + b"Content-Length: 99\r\n\r\n", *[b"x"] * 90, pause=0.1) as (port, _):
        status, text = try_endpoint(f"http://127.0.0.1:{port}/v1")
    assert status == "warning"
    assert "no complete reply" in text
    assert time.monotonic() - started < 6
