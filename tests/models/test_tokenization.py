"""Tests of models.tokenization: BOS token, loss mask, reply prefix, scored pairs."""

import pytest
from tests.support.project import make_messages

from clinical_camel import models

TURNS = make_messages("What treats gout?", "Naproxen.", "And then?", "Rest.")


@pytest.fixture
def tokenizer():
    return models.load_tokenizer("mini")


def test_plain_text_gets_one_bos(tokenizer):
    ids = models.tokenize_text(tokenizer, "Question: why?")
    assert ids[0] == tokenizer.bos_token_id
    assert ids.count(tokenizer.bos_token_id) == 1


def test_answer_letters_are_single_tokens(tokenizer):
    for letter in "ABCD":
        pair = models.tokenize_pair(tokenizer, "Answer:", f" {letter}")
        assert len(pair.continuation) == 1


@pytest.mark.parametrize(
    ("reply", "start", "prefix"),
    [
        (" {{ m['content'] }} {{ eos_token }}", "", " "),  # Llama 2
        ("<|im_start|>assistant\n{{ m['content'] }}<|im_end|>", "<|im_start|>assistant\n", ""),
        (" ASSISTANT: {{ m['content'] }}</s>", " ASSISTANT:", " "),  # Vicuna
        ("{{ m['content'] }}", "", ""),
    ],
)
def test_the_reply_prefix_is_the_white_space_of_the_template(reply, start, prefix, tokenizer):
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]"
        f"{{% else %}}{reply}{{% endif %}}{{% endfor %}}"
        f"{{% if add_generation_prompt %}}{start}{{% endif %}}"
    )
    assert models.find_reply_prefix(tokenizer) == prefix


def test_with_loss_on_all_every_token_is_a_target(tokenizer):
    row = models.tokenize_dialogue(tokenizer, TURNS, "all")
    assert row["labels"] == row["input_ids"]


def test_a_template_without_generation_marks_is_rejected(tokenizer):
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    with pytest.raises(models.ModelError, match="generation"):
        models.tokenize_dialogue(tokenizer, TURNS, "assistant")
