"""An SFT model for the tests of reinforcement learning."""

import pytest
from tests.support.toy_policies import load_sft, save_sft


@pytest.fixture(scope="session")
def sft_folder(tmp_path_factory):
    """The folder of an SFT adapter."""
    return save_sft(tmp_path_factory.mktemp("sft") / "adapter")


@pytest.fixture(scope="session")
def sft(sft_folder):
    """The SFT model, not quantized."""
    return load_sft(sft_folder)
