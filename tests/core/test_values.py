"""Checks of single values: types with their remedies, paths, secrets."""

import pytest

from clinical_camel.core.values import check_safety, check_type, nearest, show

NAMES = ["token_budget", "max_new_tokens", "eos_token", "tokenizer", "secretary", "api_key_env"]


@pytest.mark.parametrize("name", NAMES)
def test_a_harmless_name_is_not_a_secret(name):
    assert list(check_safety(name, "x")) == []


@pytest.mark.parametrize(
    "text", ["a...b", "meta-llama/Llama-2-13b-hf", "http://127.0.0.1:8000/v1", "risk-assessment-42"]
)
def test_a_harmless_text_is_neither_a_path_nor_a_secret(text):
    assert list(check_safety("model", text)) == []


def test_unsafe_texts_are_found_at_every_depth():
    value = {"a": ["/etc/passwd", {"hf_token": "x"}], "~/b": "c"}
    places = [problem.partition(": ")[0] for problem in check_safety("p", value)]
    assert places == ["p.a[0]", "p.a[1].hf_token", "p (a key)"]


@pytest.mark.parametrize(
    ("value", "wanted", "problem"),
    [
        (1.0, "float", ""),
        (1, "float", "1 is int, not float; write 1.0"),
        ("2e-4", "float", '"2e-4" is str, not float; write 2.0e-4'),
        (True, "int", "true is bool, not int; write a whole number"),
        (3.0, "int", "3.0 is float, not int; write 3"),
        (None, "int", 'empty; write "" for none or 0 for no limit'),
        ([1], "bool", "[1] is list, not bool; write true or false"),
    ],
)
def test_a_type_error_comes_with_its_remedy(value, wanted, problem):
    assert check_type(value, wanted) == problem


def test_a_message_names_the_nearest_choice_or_all():
    assert nearest("num-shots ", ["num_shots", "seed"]) == "; did you mean num_shots?"
    assert nearest("xyz", ["num_shots", "seed"]) == "; known: num_shots, seed"
    assert "only looks like a Latin one" in nearest("s\u0435ed", ["seed"])


def test_a_message_is_short_and_hides_secrets():
    assert len(show("x" * 100)) == 60
    assert "abc123def456" not in show(["sk-abc123def456"])
