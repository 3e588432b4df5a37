"""The saved adapter is the trained one, and checkpoints are deleted only then."""

import json

import pytest

from clinical_camel import sft_qlora


def test_the_saved_adapter_contains_no_path_of_this_machine(tuned, tokenizer, tmp_path):
    (tmp_path / "checkpoints-a").mkdir()
    table = sft_qlora.save_adapter(tuned, tokenizer, tmp_path / "adapter", "mini")
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "mini"
    assert config["target_modules"] == sorted(config["target_modules"])
    assert (tmp_path / "adapter" / "adapter_model.safetensors").is_file()
    assert not list(tmp_path.glob("checkpoints-*"))
    assert table.set_index("part")["parameters"]["adapter"] > 0


def test_checkpoints_stay_if_the_adapter_was_not_saved(tuned, tokenizer, tmp_path, monkeypatch):
    """alpaca-lora replaced the `state_dict` that PEFT saves."""
    (tmp_path / "checkpoints-a").mkdir()
    monkeypatch.setattr("peft.peft_model.get_peft_model_state_dict", lambda *_, **__: {})
    with pytest.raises(sft_qlora.TrainingError, match="lacks"):
        sft_qlora.save_adapter(tuned, tokenizer, tmp_path / "adapter", "mini")
    assert (tmp_path / "checkpoints-a").is_dir()
