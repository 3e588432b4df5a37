"""The settings of each kind of teacher."""

import re

import pytest

from clinical_camel import dbke

LOCAL = {"kind": "local", "model": "mini", "terms": "own"}


@pytest.mark.parametrize(
    ("teacher", "problem"),
    [
        ({"kind": "gpt"}, 'teacher.kind: "gpt" is not one of extractive, local, openai, replay'),
        ({"kind": "local", "model": "mini"}, "teacher.terms: missing"),
        ({**LOCAL, "terms": "fine"}, 'teacher.terms: "fine" is not one of own, open, llama2'),
        ({**LOCAL, "base_url": "https://a.org/v1"}, "teacher.base_url: not a setting"),
        ({"kind": "replay", "terms": "own"}, "teacher.ledger: missing"),
        ({**LOCAL, "kind": "openai", "base_url": "https://a.org/v1"}, "teacher.money_cap: missing"),
        ({**LOCAL, "temperature": 1e300}, "teacher.temperature: 1e+300"),
        ({**LOCAL, "dialogue_attempts": 10**6}, "teacher.dialogue_attempts: 1000000"),
        ({**LOCAL, "max_new_tokens": 9000}, "teacher.max_new_tokens: 9000 leaves no room for a"),
    ],
)
def test_a_setting_that_is_missing_or_wrong_is_named(teacher, problem):
    (first,) = dbke.Synthesis.check({"teacher": teacher})
    assert first.startswith(problem)


ENDPOINT = {"kind": "openai", "model": "m", "terms": "own", "money_cap": 1.0, "price_in": 1.0}


@pytest.mark.parametrize(
    ("base_url", "problem"),
    [
        ("https://host/v1", ""),
        ("https://host/openai/deployments/d", ""),
        ("http://127.0.0.1:8000/v1", ""),
        ("http://[::1]:8000/v1/", ""),
        ("http://localhost:11434/v1", ""),
        ("http://host/v1", "is not encrypted and not on this machine; it needs https"),
        ("ftp://host/v1", "is not an address; write https://host/v1"),
        ("host/v1", "is not an address; write https://host/v1"),
        ("not a url", "is not an address; write https://host/v1"),
        ("https://", "is not an address; write https://host/v1"),
        ("https://host:99999/v1", "is not an address; write https://host/v1"),
        ("https://host/v1/chat/completions", "ends with /chat/completions, which the program"),
        ("https://host/v1/models/", "ends with /models, which the program adds; write https://"),
        (
            "http://localhost:11434/api/chat",
            "is not OpenAI's interface; write http://localhost:11434/v1",
        ),
        ("http://localhost/generate", "is not OpenAI's interface; write http://localhost/v1"),
        ("https://host/v1/messages", "is not OpenAI's interface; write https://host/v1"),
        ("https://user@host/v1", "looks like a secret|contains a user or a password"),
        ("https://host/v1?api-version=1", "may contain a key|contains [?] or #"),
        ("https://host/v1#x", "may contain a key|contains [?] or #"),
    ],
)
def test_a_base_url_is_an_address_and_nothing_else(base_url, problem):
    problems = dbke.Synthesis.check({"teacher": {**ENDPOINT, "base_url": base_url}})
    if not problem:
        assert problems == []
    else:
        (text,) = problems
        assert text.startswith("teacher.base_url")
        assert re.search(problem, text)


@pytest.mark.parametrize("money_cap", [0.0, 5.0])
def test_prices_of_zero_far_away_need_a_token_cap(money_cap):
    free = {**ENDPOINT, "money_cap": money_cap, "price_in": 0.0, "base_url": "https://host/v1"}
    (problem,) = dbke.Synthesis.check({"teacher": free})
    assert problem.startswith("teacher.price_in, teacher.price_out: 0.0 for an endpoint on another")
    assert f"money_cap ({money_cap}) limits nothing" in problem
    assert dbke.Synthesis.check({"teacher": {**free, "token_cap": 9}}) == []
    assert dbke.Synthesis.check({"teacher": {**free, "base_url": "http://localhost/v1"}}) == []


def test_settings_are_sampling_settings_only_if_a_reply_depends_on_them():
    settings = dbke.Local(model="mini", terms="own", token_budget=1, dialogue_attempts=9)
    assert settings.sampling(seed=3) == {"temperature": 0.7, "max_new_tokens": 1500, "seed": 3}
