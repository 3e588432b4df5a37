"""The saved adapter is the trained one, and checkpoints are deleted only then."""

import json

import pandas as pd
import pytest
from tests.support.toy_training import toy_recipe

from clinical_camel import models, sft_qlora


@pytest.fixture(scope="module")
def model(tokenizer, four_rows, tmp_path_factory):
    recipe = toy_recipe(num_epochs=1.0, lora_rank=2)
    folder = tmp_path_factory.mktemp("run")
    return sft_qlora.train(models.load_base("mini"), tokenizer, four_rows, recipe, folder=folder)[0]


def test_the_saved_adapter_contains_no_path_of_this_machine(model, tokenizer, tmp_path):
    (tmp_path / "checkpoints-a").mkdir()
    table = sft_qlora.save_adapter(model, tokenizer, tmp_path / "adapter", "mini")
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "mini"
    assert config["target_modules"] == sorted(config["target_modules"])
    assert (tmp_path / "adapter" / "adapter_model.safetensors").is_file()
    assert not list(tmp_path.glob("checkpoints-*"))
    assert isinstance(table, pd.DataFrame)
    assert table.set_index("part")["parameters"]["adapter"] > 0


def test_checkpoints_stay_if_the_adapter_was_not_saved(model, tokenizer, tmp_path, monkeypatch):
    """alpaca-lora replaced the `state_dict` that PEFT saves."""
    (tmp_path / "checkpoints-a").mkdir()
    monkeypatch.setattr("peft.peft_model.get_peft_model_state_dict", lambda *_, **__: {})
    with pytest.raises(sft_qlora.TrainingError, match="lacks"):
        sft_qlora.save_adapter(model, tokenizer, tmp_path / "adapter", "mini")
    assert (tmp_path / "checkpoints-a").is_dir()
