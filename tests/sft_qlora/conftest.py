"""The shipped tokenizer, and rows of dialogues to train on."""

import pytest
from tests.support.project import make_dialogue
from tests.support.toy_training import toy_recipe, train

from clinical_camel import models, sft_qlora


@pytest.fixture(scope="session")
def tokenizer():
    return models.load_tokenizer("mini")


@pytest.fixture(scope="session")
def tokenized(tokenizer):
    """Twelve dialogues of one to three exchanges."""
    rows = [make_dialogue(f"case {i}", exchanges=1 + i % 3) for i in range(12)]
    return sft_qlora.tokenize_mixture(tokenizer, {"toy": rows}, "assistant", 256)


@pytest.fixture(scope="session")
def four_rows(tokenizer):
    """Four dialogues of one exchange."""
    rows = [make_dialogue(f"case {i}", exchanges=1) for i in range(4)]
    return sft_qlora.tokenize_mixture(tokenizer, {"toy": rows}, "assistant", 256)


@pytest.fixture(scope="session")
def tuned(four_rows, tmp_path_factory):
    """The shipped base in float32, with an adapter trained for two steps."""
    recipe = toy_recipe(num_epochs=1.0, lora_rank=2)
    return train(four_rows, recipe, tmp_path_factory.mktemp("run"), quantize="")[0]
