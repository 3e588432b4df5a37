"""The saved adapter is the trained one, and checkpoints are deleted only then."""

import json

import pytest
from tests.support.hostile_models import tensors

from clinical_camel import models, sft_qlora
from clinical_camel.models import adapters
from clinical_camel.sft_qlora import adapter


def test_the_saved_adapter_contains_no_path_of_this_machine(tuned, tokenizer, tmp_path):
    (tmp_path / "checkpoints-a").mkdir()
    table = sft_qlora.save_adapter(tuned, tokenizer, tmp_path / "adapter", "mini")
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "mini"
    assert config["target_modules"] == sorted(config["target_modules"])
    assert (tmp_path / "adapter" / "adapter_model.safetensors").is_file()
    assert not list(tmp_path.glob("checkpoints-*"))
    sizes = table.set_index("part")
    assert sizes["parameters"]["adapter"] == sum(
        p.numel() for n, p in tuned.named_parameters() if "lora_" in n
    )
    assert sizes["bytes"]["adapter"] == 4 * sizes["parameters"]["adapter"]


@pytest.mark.parametrize(("quantize", "bytes_per_weight"), [("nf4", 0.5), ("", 4)])
def test_the_bytes_of_the_base_are_those_of_its_storage(quantize, bytes_per_weight):
    base = models.load_base("mini", quantize)
    layers = next(parameter for name, parameter in base.named_parameters() if "mlp" in name)
    weights, size = adapter._measure(layers)
    assert weights == 384 * 128
    blocks, nested_blocks, code_books = 768, 3, 16 + 256
    constants = blocks + 4 * (nested_blocks + code_books) if quantize else 0
    assert size == bytes_per_weight * weights + constants


def test_checkpoints_stay_if_the_adapter_was_not_saved(tuned, tokenizer, tmp_path, monkeypatch):
    """alpaca-lora replaced the `state_dict` that PEFT saves."""
    (tmp_path / "checkpoints-a").mkdir()
    monkeypatch.setattr("peft.peft_model.get_peft_model_state_dict", lambda *_, **__: {})
    with pytest.raises(sft_qlora.TrainingError, match="lacks"):
        sft_qlora.save_adapter(tuned, tokenizer, tmp_path / "adapter", "mini")
    assert (tmp_path / "checkpoints-a").is_dir()


def test_the_adapter_records_its_base_and_template_and_loads_as_the_trained_one(
    tuned, tokenizer, project
):
    sft_qlora.save_adapter(tuned, tokenizer, project.root / "adapter", "mini")
    record = models.adapter_base(project.root / "adapter")
    llms = models.load("mini", {"base": "", "tuned": "adapter"})
    sources = [llm.source for llm in llms.values()]
    assert record["model"] == "mini"
    for key in ("model_sha256", "config_sha256", "tokenizer_sha256", "template_sha256"):
        assert record[key] == sources[0][key] == sources[1][key]
    assert sources[1]["adapter_base"] == "hash"
    state = {n: p for n, p in llms["tuned"].model.named_parameters() if "lora_" in n}
    trained = {n: p for n, p in tuned.named_parameters() if "lora_" in n}
    assert len(state) == len(trained) > 0
    for name, value in trained.items():
        assert value.equal(state[name.replace(".default.", ".adapter1.")])


def test_a_base_without_a_record_is_known_by_the_name_in_the_configuration(tmp_path):
    assert models.adapter_base(tmp_path) == {}
    text = json.dumps({"base_model_name_or_path": "meta-llama/Llama-2-7b-hf"})
    (tmp_path / "adapter_config.json").write_text(text)
    assert models.adapter_base(tmp_path) == {"model": "meta-llama/Llama-2-7b-hf"}


def change_one(matrices):
    name = max(matrices)
    return matrices | {name: matrices[name] + 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: {}, r"\(\d+ bytes\) lacks (\d+) of \1 trained matrices, first base_model"),
        (lambda matrices: dict(sorted(matrices.items())[1:]), "lacks 1 of"),
        (change_one, "lora_B.weight differs from the trained matrix"),
    ],
)
def test_an_adapter_file_that_differs_from_the_trained_adapter_is_rejected(
    change, message, tuned, tmp_path
):
    tuned.save_pretrained(tmp_path, save_embedding_layers=False)
    file = tmp_path / "adapter_model.safetensors"
    adapters.require_saved(tuned, file)
    tensors(file.name, change)(tmp_path)
    with pytest.raises(sft_qlora.TrainingError, match=message):
        adapters.require_saved(tuned, file)
    file.write_bytes(file.read_bytes()[:10])
    with pytest.raises(sft_qlora.TrainingError, match="cannot be read"):
        adapters.require_saved(tuned, file)
