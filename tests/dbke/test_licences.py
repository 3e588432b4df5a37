"""Licences of texts and terms of teachers, checked before the first request."""

import dataclasses

import pytest
from tests.support.toy_dbke import GOUT, ScriptedTeacher, synthesise

from clinical_camel import dbke
from clinical_camel.dbke import licences


@pytest.mark.parametrize(
    "licence", ["CC0", "CC BY 4.0", "CC BY-SA 3.0", "CC BY-NC 4.0", "Apache-2.0", "own"]
)
def test_a_licence_that_permits_derivatives_is_accepted(licence):
    assert licences.check_licence(licence) == ""


@pytest.mark.parametrize(
    "licence",
    ["CC BY-ND 4.0", "CC BY-NC-ND 4.0", "All rights reserved", "NoDerivatives", "Elsevier TDM"],
)
def test_an_article_whose_licence_permits_no_derivatives_is_rejected_and_not_sent(licence):
    article = dataclasses.replace(GOUT, licence=licence)
    teacher = ScriptedTeacher("x")
    _, rejected = synthesise(dbke.plan_requests([article], [], 1, 3, 0), teacher)
    assert rejected["reason"][0].startswith(f"licence {licence} ")
    assert teacher.calls == 0


def test_an_override_applies_to_its_source_only():
    closed = dataclasses.replace(GOUT, licence="CC BY-ND 4.0")
    overrides = {"theirs": "with permission, 2024"}
    (permitted,) = licences.fill_licences([closed], "theirs", "", overrides)
    assert licences.check_licence(permitted.licence) == ""
    (other,) = licences.fill_licences([closed], "others", "", overrides)
    assert other == closed


def test_articles_without_a_licence_stop_the_run_with_the_remedy():
    unlicensed = dataclasses.replace(GOUT, licence="")
    assert licences.fill_licences([unlicensed], "mine", "CC BY", {})[0].licence == "CC BY"
    with pytest.raises(ValueError, match="licences: {mine: own}"):
        licences.fill_licences([unlicensed], "mine", "", {})


REMOTE, LOCAL = "https://a.org/v1", "http://127.0.0.1:8000/v1"


def require_terms(model, base_url, terms, student, licence):
    caps = {"money_cap": 0.0, "token_cap": 9}
    settings = dbke.OpenAI(model=model, base_url=base_url, terms=terms, **caps)
    licences.require_terms(dbke.load_teacher(settings), student, [licence])


@pytest.mark.parametrize(
    ("model", "base_url", "terms", "student", "licence", "message"),
    [
        ("gpt", REMOTE, "acknowledged", "mini", "restricted", "must not leave"),
        ("gpt", REMOTE, "open", "mini", "PhysioNet Credentialed 1.5.0", "must not leave"),
        ("gpt", REMOTE, "own", "mini", "Data Use Agreement", "must not leave"),
        ("meta-llama/Llama-2-70b-chat-hf", LOCAL, "open", "mini", "CC0", "Llama 2 only"),
        ("x", LOCAL, "llama2", "meta-llama/Llama-3.1-8B", "CC0", "Llama 2 only"),
        ("lmsys/vicuna-13b-v1.5", LOCAL, "open", "huggyllama/llama-7b", "CC0", "Llama 2 only"),
        ("x", LOCAL, "llama3", "mini", "CC0", "must have Llama"),
    ],
)
def test_a_forbidden_pair_is_rejected(model, base_url, terms, student, licence, message):
    with pytest.raises(ValueError, match=message):
        require_terms(model, base_url, terms, student, licence)


@pytest.mark.parametrize(
    ("model", "base_url", "terms", "student", "licence"),
    [
        ("gpt", REMOTE, "acknowledged", "mini", "CC0"),
        ("qwen", LOCAL, "open", "mini", "restricted"),
        ("qwen", "http://localhost:1/v1", "open", "mini", "restricted"),
        ("meta-llama/Llama-2-70b-chat-hf", LOCAL, "llama2", "meta-llama/Llama-2-13b-hf", "CC0"),
        ("x", LOCAL, "llama2", "TinyLlama-Llama2-1.1B", "CC0"),
        ("meta-llama/Llama-3.1-70B", LOCAL, "llama3", "meta-llama/Llama-3.1-8B", "CC0"),
        ("mistral", REMOTE, "open", "meta-llama/Llama-3.1-8B", "MIT"),
    ],
)
def test_a_permitted_pair_of_teacher_and_student_passes(model, base_url, terms, student, licence):
    require_terms(model, base_url, terms, student, licence)


def test_the_extractive_teacher_needs_no_terms():
    licences.require_terms(dbke.load_teacher(dbke.Extractive()), "mini", ["restricted"])
