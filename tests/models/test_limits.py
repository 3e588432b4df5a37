"""Settings that the files of a base model rule out; the shipped model stands for a folder."""

import json

import pytest

from clinical_camel.models import limits

CASES = [  # check, arguments after the model, start of the problem or ""
    (limits.check_length, ("max_length", 4096), ""),
    (limits.check_length, ("max_length", 4097), "max_length: 4097 is more than the 4096 tokens"),
    (limits.check_layer_count, ("layers", 4), ""),
    (limits.check_layer_count, ("layers", 5), "layers: 5 is more than the 4 layers of mini; write"),
    (limits.check_reply_end, ("",), ""),
    (limits.check_reply_end, ("alpaca",), ""),  # ends with the tokenizer's own token
    (limits.check_reply_end, ("llama3",), "chat_template: llama3 ends a reply with <|eot_id|>"),
    (limits.check_reply_end, ("chatml",), "chat_template: chatml ends a reply with <|im_end|>"),
    (limits.check_layers, (["all-linear"],), ""),
    (limits.check_layers, (["q_proj", "self_attn.v_proj"],), ""),
    (limits.check_layers, (["q_proj", "q_projj"],), "lora_targets: the base model has no layer"),
    (limits.check_layers, (["query_key_value"],), "lora_targets: the base model has no layer"),
]


@pytest.mark.parametrize(("check", "arguments", "problem"), CASES)
def test_a_value_that_the_base_model_rules_out_is_a_problem(check, arguments, problem):
    problems = list(check("mini", *arguments))
    assert [text[: len(problem)] for text in problems] == ([problem] if problem else [])


@pytest.mark.parametrize(("check", "arguments", "problem"), CASES[:6])
def test_nothing_is_said_of_a_model_that_cannot_be_read(check, arguments, problem, project):
    assert list(check("owner/name", *arguments)) == []
    for content in ("", "[]", "{", json.dumps({"num_hidden_layers": "4"}), " " * 2_000_000):
        project.file("owner/name/config.json", content)
        assert list(check("owner/name", *arguments)) == []


@pytest.mark.parametrize(
    ("template", "chat_template", "is_problem"),
    [
        ("{% generation %}{{ m }}{% endgeneration %}", "", False),
        ("{%- generation -%}{{ m }}{%- endgeneration -%}", "", False),
        ("{{ m }}{% if add_generation_prompt %}A{% endif %}", "", True),
        ("{{ m }}", "chatml", False),
    ],
)
def test_a_template_of_the_model_must_mark_the_replies(
    template, chat_template, is_problem, project
):
    project.file("base/chat_template.jinja", template)
    problems = list(limits.check_reply_marks("base", chat_template))
    assert [p.startswith('chat_template: "" is the') for p in problems] == [True] * is_problem
    assert list(limits.check_reply_marks("owner/name", "")) == []


@pytest.mark.parametrize(
    ("name", "is_problem"),
    [("query_key_value", False), ("c_attn", False), ("mixer", False), ("q_projj", True)],
)
def test_a_layer_of_a_hub_model_is_a_problem_if_it_looks_misspelt(name, is_problem):
    assert bool(list(limits.check_layers("owner/name", [name]))) == is_problem
