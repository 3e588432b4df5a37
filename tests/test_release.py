"""Model cards come from the runs, and a merged model says what base and adapter say."""

import json
import shutil

import pytest
import torch
from conftest import skip_if_run_again
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from clinical_camel import data, models, release
from clinical_camel.runs.plan import PlanError

OUTPUTS = data.root() / "outputs"


def test_the_committed_card_is_the_one_that_the_committed_runs_give():
    skip_if_run_again()
    written = (OUTPUTS / "mini_camel" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert release.card("mini_camel") == written


def test_a_card_has_its_warning_its_data_and_every_score_with_n_and_interval():
    text = release.card("mini_camel")
    record = json.loads((OUTPUTS / "mini_camel/02_sft_qlora/run.json").read_text(encoding="utf-8"))
    assert "**Research only: not for use in care.**" in text
    assert all(source["sha256"][:16] in text for source in record["notes"]["sources"])
    assert record["commit"] in text
    scores = [line for line in text.splitlines() if "-shot | " in line]
    assert all(line.count("[") == 2 and line.endswith("25% |") for line in scores)
    assert len(scores) == 12


def test_a_study_without_its_runs_has_no_card():
    with pytest.raises(PlanError, match="02_sft_qlora is not complete; run it first"):
        release.card("clinical_camel_70b")


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The records of mini_camel with an adapter made here; the root it lies in."""
    for step in ("02_sft_qlora", "03_eval_fewshot"):
        shutil.copytree(
            OUTPUTS / "mini_camel" / step,
            tmp_path / "outputs" / "mini_camel" / step,
            ignore=shutil.ignore_patterns("adapter", "*.jsonl"),
        )
    adapter = tmp_path / "outputs/mini_camel/02_sft_qlora/adapter"
    torch.manual_seed(0)
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    tuned = get_peft_model(models.load_base("mini"), config)
    tuned.save_pretrained(adapter, save_embedding_layers=False)
    models.load_tokenizer("mini").save_pretrained(adapter)
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(tmp_path))
    return tmp_path


def test_a_merged_model_gives_the_logits_of_base_and_adapter(study):
    rows = release.merge("mini_camel", study / "merged")
    assert rows["difference"].max() < 1e-5
    assert rows["same_token"].all()
    alone = AutoModelForCausalLM.from_pretrained(study / "merged", dtype=torch.float32).eval()
    adapter = study / "outputs/mini_camel/02_sft_qlora/adapter"
    apart = PeftModel.from_pretrained(models.load_base("mini"), str(adapter)).eval()
    ids = torch.arange(5, 25)[None]
    with torch.inference_mode():
        torch.testing.assert_close(alone(ids).logits, apart(ids).logits, atol=1e-3, rtol=1e-4)
        assert not torch.allclose(alone(ids).logits, models.load_base("mini")(ids).logits, atol=0.1)
    assert "Research only" in (study / "merged/README.md").read_text(encoding="utf-8")


def test_a_merge_that_changes_the_model_writes_nothing(study, monkeypatch):
    monkeypatch.setattr(PeftModel, "merge_and_unload", lambda self: self.unload(), raising=False)
    with pytest.raises(PlanError, match="of the largest apart, more than 0.001; nothing was"):
        release.merge("mini_camel", study / "merged")
    assert not (study / "merged").exists()


def test_a_folder_that_is_not_empty_is_not_written_to(study):
    with pytest.raises(PlanError, match="is not empty; name another folder"):
        release.merge("mini_camel", study / "outputs")


def test_without_its_adapter_there_is_nothing_to_merge(study):
    shutil.rmtree(study / "outputs/mini_camel/02_sft_qlora/adapter")
    with pytest.raises(PlanError, match="no adapter on this machine; run 02_sft_qlora here first"):
        release.merge("mini_camel", study / "merged")
