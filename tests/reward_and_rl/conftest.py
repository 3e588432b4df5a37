"""An SFT model for the tests of reinforcement learning."""

import pytest
from tests.support.toy_policies import load_sft, save_sft

from clinical_camel.reward_and_rl import processes


@pytest.fixture(autouse=True)
def one_process(monkeypatch):
    """Trainings stay in this process: tests replace functions and count calls."""
    monkeypatch.setattr(processes, "count_processes", lambda *_: 1)


@pytest.fixture(scope="session")
def sft_folder(tmp_path_factory):
    """The folder of an SFT adapter."""
    return save_sft(tmp_path_factory.mktemp("sft") / "adapter")


@pytest.fixture(scope="session")
def sft(sft_folder):
    """The SFT model, not quantized."""
    return load_sft(sft_folder)
