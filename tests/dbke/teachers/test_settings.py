"""The settings of each kind of teacher."""

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
    ],
)
def test_a_setting_that_is_missing_or_wrong_is_named(teacher, problem):
    (first,) = dbke.Synthesis.check({"teacher": teacher})
    assert first.startswith(problem)


def test_settings_are_sampling_settings_only_if_a_reply_depends_on_them():
    settings = dbke.Local(model="mini", terms="own", token_budget=1, dialogue_attempts=9)
    assert settings.sampling(seed=3) == {"temperature": 0.7, "max_new_tokens": 1500, "seed": 3}


def test_the_article_has_the_context_without_prompt_and_reply():
    assert dbke.Local(model="m", terms="own").article_tokens == 8192 - 1500 - 1500
    assert dbke.Local(model="m", terms="own", context=2000).article_tokens == 256
    assert dbke.Extractive().article_tokens == 0  # any length
