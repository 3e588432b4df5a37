"""A merged model has the logits of base model and adapter; an upload is complete and private."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, PreTrainedModel

from clinical_camel import cli, models, release
from clinical_camel.core.files import read_json, write_json
from clinical_camel.core.hashing import hash_file
from clinical_camel.core.paths import root
from clinical_camel.models import loading
from clinical_camel.runner.jobs import PlanError

STEP = "outputs/mini_camel/02_sft_qlora"
EXAM = "outputs/mini_camel/03_eval_fewshot"
ADAPTER = f"{STEP}/adapter"
WEIGHTS = "adapter_model.safetensors"


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A project with the records of mini_camel and an adapter created here; its root."""
    for folder in ("notebooks", "params"):
        shutil.copytree(root() / folder, tmp_path / folder)
    for step in ("01_dbke", "02_sft_qlora", "03_eval_fewshot"):
        folder = f"outputs/mini_camel/{step}"
        ignore = shutil.ignore_patterns("adapter", "*.jsonl")
        shutil.copytree(root() / folder, tmp_path / folder, ignore=ignore)
    adapter = tmp_path / ADAPTER
    torch.manual_seed(0)
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    tuned = get_peft_model(models.load_base("mini"), config)
    tuned.save_pretrained(adapter, save_embedding_layers=False)
    models.load_tokenizer("mini").save_pretrained(adapter)
    content = read_json(tmp_path / STEP / "run.json")
    others = {k: v for k, v in content["artefacts"].items() if not k.startswith("adapter/")}
    files = {f"adapter/{f.name}": hash_file(f) for f in adapter.iterdir()}
    content["artefacts"] = others | files
    write_json(tmp_path / STEP / "run.json", content)
    exam = read_json(tmp_path / EXAM / "run.json")
    exam["notes"]["models"]["tuned"]["adapter_sha256"] = models.hash_weights(adapter)
    write_json(tmp_path / EXAM / "run.json", exam)
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(tmp_path))
    return tmp_path


def test_a_merged_model_has_the_logits_of_base_model_and_adapter(study):
    rows = release.merge_adapter("mini_camel", study / "merged")
    assert rows["difference"].max() < 1e-5
    assert rows["same_token"].all()
    merged = AutoModelForCausalLM.from_pretrained(study / "merged", dtype=torch.float32).eval()
    tuned = PeftModel.from_pretrained(models.load_base("mini"), str(study / ADAPTER)).eval()
    ids = torch.arange(5, 25)[None]
    with torch.inference_mode():
        logits = merged(ids).logits
        torch.testing.assert_close(logits, tuned(ids).logits, atol=1e-3, rtol=1e-4)
        assert not torch.allclose(logits, models.load_base("mini")(ids).logits, atol=0.1)
    assert "Research only" in (study / "merged/README.md").read_text(encoding="utf-8")
    assert (study / "merged/loss.png").is_file()


def test_a_model_that_computes_in_bfloat16_is_merged_in_float32(study, monkeypatch):
    original, chosen = loading.choose_dtype, []

    def choose(setting, *_):  # as on a GPU
        chosen.append(setting)
        return torch.bfloat16 if setting == "auto" else original(setting)

    monkeypatch.setattr(loading, "choose_dtype", choose)
    rows = release.merge_adapter("mini_camel", study / "merged")
    assert rows["difference"].max() < 1e-5
    assert chosen == ["auto", "float32"]  # as in training, and to merge
    merged = AutoModelForCausalLM.from_pretrained(study / "merged", dtype="auto")
    assert merged.dtype == torch.float32


def test_a_merge_that_changes_the_logits_writes_nothing(study, monkeypatch):
    monkeypatch.setattr(PeftModel, "merge_and_unload", lambda self: self.unload(), raising=False)
    with pytest.raises(PlanError, match="of the largest logit, more than 0.001; nothing was"):
        release.merge_adapter("mini_camel", study / "merged")
    assert not (study / "merged").exists()


def test_a_full_disk_leaves_no_folder_and_the_next_merge_succeeds(study, monkeypatch):
    def fail(self, folder, *_):
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"half")
        raise SafetensorError("I/O error: No space left on device")

    folder = study / "merged"
    folder.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(PreTrainedModel, "save_pretrained", fail)
        with pytest.raises(PlanError, match="writing failed .*No space left on device.; free some"):
            release.merge_adapter("mini_camel", folder)
    assert not [*study.glob(".merged*"), *folder.iterdir()]
    release.merge_adapter("mini_camel", folder)
    assert (folder / "model.safetensors").is_file()


def test_a_disk_without_space_is_named_before_a_model_is_loaded(study, monkeypatch):
    monkeypatch.setattr(models, "load", lambda *_: pytest.fail("a model was loaded"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**6))
    with pytest.raises(PlanError, match="0.00 GB free on this disk, the merged model needs 0.05"):
        release.merge_adapter("mini_camel", study / "new/merged")


def test_a_base_that_cannot_be_loaded_is_one_sentence(study, monkeypatch, capsys):
    def fail(*_, **options):
        raise models.ModelError("adapters: tuned: was trained on another base")

    monkeypatch.setattr(models, "load", fail)
    assert cli.main(["merge", "mini_camel", str(study / "merged")]) == 2
    assert "mini_camel: adapters: tuned: was trained on another" in capsys.readouterr().err


def test_a_folder_that_is_not_empty_and_a_missing_adapter_are_rejected(study):
    with pytest.raises(PlanError, match="is not empty; name another folder"):
        release.merge_adapter("mini_camel", study / "outputs")
    with pytest.raises(PlanError, match="^/: is the root of a disk; name a folder on it"):
        release.merge_adapter("mini_camel", Path("/"))
    inside = study / "outputs/mini_camel/merged"
    with pytest.raises(PlanError, match="is in outputs/, where only runs write"):
        release.merge_adapter("mini_camel", inside)
    shutil.rmtree(study / ADAPTER)
    with pytest.raises(PlanError, match="no adapter on this machine; run 02_sft_qlora here first"):
        release.merge_adapter("mini_camel", study / "merged")


def shorten_weights(study):
    weights = study / ADAPTER / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1])


def add_file(study):
    (study / ADAPTER / ".env.txt").write_text("TOKEN=x")


def change(file: str, *keys: str, value) -> Callable[[Path], None]:
    def damage(study):
        content = part = read_json(study / file)
        for key in keys[:-1]:
            part = part[key]
        part[keys[-1]] = value
        write_json(study / file, content)

    return damage


def edit_scores(study):
    file = study / EXAM / "scores.csv"
    file.write_text(file.read_text().replace("0.6", "0.9"))


def empty_scores(study):
    (study / EXAM / "scores.csv").write_text("")


def damage_record(study):
    (study / EXAM / "run.json").write_text('{"status": "complete"}')


def write(name: str) -> Callable[[Path], None]:
    def damage(study):
        (study / STEP / name).parent.mkdir(exist_ok=True)
        (study / STEP / name).write_text("x")

    return damage


def delete(name: str) -> Callable[[Path], None]:
    return lambda study: (study / STEP / name).unlink()


def link_exam(study):
    shutil.rmtree(study / EXAM)
    (study / EXAM).symlink_to(study / STEP)


def change_params(study):
    file = study / "params/mini_camel/02_sft_qlora.yaml"
    file.write_text(file.read_text().replace("seed: 0", "seed: 1"))


FOREIGN = {  # what was changed after the runs, and what is said of it
    "weights": (shorten_weights, f"adapter/{WEIGHTS} differs from its run record"),
    "another file": (add_file, "did not write adapter/.env.txt"),
    "a training run again": (
        change(f"{EXAM}/run.json", "notes", "models", "tuned", "adapter_sha256", value="0" * 16),
        "03_eval_fewshot scored another adapter than 02_sft_qlora made; run the step again",
    ),
    "another base": (
        change(f"{EXAM}/run.json", "notes", "models", "tuned", "model_sha256", value="0" * 16),
        "03_eval_fewshot scored with another base, model_sha256",
    ),
    "an exam of other models": (
        change(f"{EXAM}/run.json", "notes", "models", value={}),
        "has no score of outputs/mini_camel/02_sft_qlora/adapter",
    ),
    "scores by hand": (edit_scores, "scores.csv differs from its run record"),
    "no scores": (empty_scores, "scores.csv differs from its run record"),
    "a record of one key": (damage_record, "03_eval_fewshot/run.json is damaged"),
    "an edited template": (
        write("adapter/chat_template.jinja"),
        "adapter/chat_template.jinja diff",
    ),
    "no adapter config": (delete("adapter/adapter_config.json"), "has no adapter/adapter_config.j"),
    "a file like a checkpoint": (
        write("adapter/checkpoint-x/a.txt"),
        "not write adapter/checkpoin",
    ),
    "an edited log": (write("train_log.csv"), "02_sft_qlora train_log.csv differs from its run"),
    "another figure": (write("loss.png"), "02_sft_qlora loss.png differs from its run record"),
    "a record of another step": (
        change(f"{EXAM}/run.json", "step", value="01_dbke"),
        "03_eval_fewshot/run.json is that of 01_dbke of mini_camel",
    ),
    "a record of another study": (
        change(f"{EXAM}/run.json", "study", value="mini_camel_raw"),
        "03_eval_fewshot/run.json is that of 03_eval_fewshot of mini_camel_raw",
    ),
    "a record without sources": (
        change(f"{STEP}/run.json", "notes", value={}),
        "02_sft_qlora/run.json is damaged",
    ),
    "a link to another step": (link_exam, "03_eval_fewshot/run.json is that of 02_sft_qlora"),
    "changed params": (change_params, "02_sft_qlora ran with other values of seed"),
    "other dialogues": (
        change("outputs/mini_camel/01_dbke/run.json", "artefacts", "dialogues.jsonl", value="0"),
        "01_dbke has written another dialogues.jsonl since",
    ),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_what_does_not_belong_together_is_neither_merged_nor_pushed(case, study):
    damage, problem = FOREIGN[case]
    damage(study)
    with pytest.raises(PlanError, match=problem):
        release.merge_adapter("mini_camel", study / "merged")
    assert not (study / "merged").exists()
    hub = Hub()
    with pytest.raises(PlanError, match=problem):
        release.push_adapter("mini_camel", "somebody/camel", api=hub)
    assert hub.calls == []


class Hub:
    """A hub that records the calls."""

    def __init__(self, token="hf_x"):
        self.token, self.calls = token, []

    def __getattr__(self, name):
        return lambda *args, **settings: self.calls.append((name, args, settings))


def test_a_push_uploads_adapter_figure_and_card_and_is_private_unless_public(study):
    hub = Hub()
    address = release.push_adapter("mini_camel", "somebody/camel", api=hub)
    assert address == "https://huggingface.co/somebody/camel"
    (created, folder, figure, card) = hub.calls
    assert created == ("create_repo", ("somebody/camel",), {"private": True, "exist_ok": True})
    files = {WEIGHTS, "adapter_config.json", "README.md", "chat_template.jinja"}
    files |= {"tokenizer.json", "tokenizer_config.json"}
    assert {file.name for file in folder[2]["folder_path"].iterdir()} == files
    assert figure[2]["path_in_repo"] == "loss.png"
    assert figure[2]["path_or_fileobj"].startswith(b"\x89PNG")
    assert card[2]["path_in_repo"] == "README.md"
    assert b"](loss.png)" in card[2]["path_or_fileobj"]
    assert b"Research only: not for use in care" in card[2]["path_or_fileobj"]
    hub = Hub()
    release.push_adapter("mini_camel", "somebody/camel", public=True, api=hub)
    settings = [call for call in hub.calls if call[0] == "update_repo_settings"]
    assert settings == [("update_repo_settings", ("somebody/camel",), {"private": False})]


def test_a_push_needs_a_token_a_name_and_a_commit(study, monkeypatch):
    monkeypatch.setattr("clinical_camel.release.adapter.get_token", lambda: None)
    with pytest.raises(PlanError, match="no token; set HF_TOKEN"):
        release.push_adapter("mini_camel", "somebody/camel", api=Hub(token=None))
    hub = Hub()
    with pytest.raises(PlanError, match="'camel' is not a hub id; write owner/name"):
        release.push_adapter("mini_camel", "camel", api=hub)
    record = study / STEP / "run.json"
    write_json(record, read_json(record) | {"dirty": True})
    with pytest.raises(PlanError, match="ran on code that is in no commit"):
        release.push_adapter("mini_camel", "somebody/camel", api=hub)
    assert hub.calls == []
