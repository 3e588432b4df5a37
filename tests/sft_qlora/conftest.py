"""The shipped tokenizer, and rows of dialogues to train on."""

import pytest
from tests.support.project import make_dialogue

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
