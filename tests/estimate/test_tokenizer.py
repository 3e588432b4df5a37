"""The tokenizer without transformers gives the tokens of the one with it."""

import pytest

from clinical_camel import data, models
from clinical_camel.estimate import tokenizer
from clinical_camel.models.gate import ModelError

TEXT = "Größe, naïve 😀 </s> <|im_end|>?"


@pytest.mark.parametrize("template", ["", "vicuna_v1.1", "llama2", "alpaca"])
def test_dialogues_have_the_same_tokens_and_the_same_loss_mask(template):
    own, other = tokenizer.load_local_tokenizer("mini", template), None
    other = models.load_tokenizer("mini", template)
    assert isinstance(own, tokenizer.Tokenizer)
    dialogues = [row.messages for row in data.load_dialogues("mini_chat")[:5]]
    dialogues.append([*dialogues[0], {"role": "user", "content": TEXT}, dialogues[0][-1]])
    for messages in dialogues:
        rows = [models.tokenize_dialogue(each, messages, "assistant") for each in (own, other)]
        assert rows[0] == rows[1]
        assert models.render_chat(own, messages[:1]) == models.render_chat(other, messages[:1])
    assert models.tokenize_text(own, TEXT) == models.tokenize_text(other, TEXT)


def test_a_tokenizer_that_a_step_would_reject_is_rejected_with_the_same_reason():
    with pytest.raises(ModelError, match="chat_template: begins without the <s>"):
        tokenizer.load_local_tokenizer("mini", "plain")


def test_a_model_that_is_not_on_this_machine_has_no_tokenizer():
    assert tokenizer.load_local_tokenizer("somebody/unknown", "llama2") is None
