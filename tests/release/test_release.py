"""Model cards come from the runs, and a merged model says what base and adapter say."""

import json
import re
import shutil

import pandas as pd
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tests.support.project import skip_if_run_again
from transformers import AutoModelForCausalLM

from clinical_camel import data, models, release
from clinical_camel.core.hashing import hash_file
from clinical_camel.runner.jobs import PlanError

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


def test_a_card_has_the_loss_from_beginning_to_end_and_what_it_took():
    log = pd.read_csv(OUTPUTS / "mini_camel/02_sft_qlora/train_log.csv")
    text = release.card("mini_camel")
    first, last = (log["loss"].iloc[part].mean() for part in (slice(39), slice(-39, None)))
    assert f"| {first:.3f} |" in text
    assert f"| {last:.3f} |" in text
    assert "](02_sft_qlora/loss.png)" in text
    assert re.search(r"\d\.\d Wh \(", text)


def test_a_study_without_its_runs_has_no_card():
    with pytest.raises(PlanError, match="02_sft_qlora is not complete; run it first"):
        release.card("clinical_camel_70b")


def test_the_card_of_the_dialogues_has_licences_counts_hashes_teacher_and_reasons(project):
    place = "outputs/small/01_dbke"
    source = {
        "spec": "pages@data/p.jsonl",
        "label": "pages",
        "licence": "CC BY",
        "sha256": "ab" * 9,
    }
    record = {
        "status": "complete",
        "commit": "c0ffee",
        "params": {"licences": {"pages": "own"}, "support": "linked", "language": "en"}
        | {"min_exchanges": 2, "near_duplicate": 0.9, "tries": 3, "evaluation_sets": ["mini_exam"]},
        "notes": {
            "sources": [source],
            "teacher": {"name": "local", "model": "some/model", "terms": "permits it"},
        },
        "artefacts": {"dialogues.jsonl": "d1" * 32, "exam_dialogues.jsonl": "e2" * 32},
    }
    project.file(f"{place}/run.json", json.dumps(record))
    tables = {
        "summary": "source,requested,accepted,set_aside\narticle,9,7,2\n",
        "articles": "licence,articles\nown,3\n",
        "reasons": "source,reason,dialogues,example\narticle,cut short,2,secret\n",
        "support": "reading,source,sentences,unsupported,rate,low,high\n"
        "linked,article,50,1,0.02,0.0035,0.105\n",
        "exam_questions": "benchmark,n,kind,questions,dialogues,set_aside\nmini_exam,9,x,1,0,0\n",
    }
    for name, text in tables.items():
        project.file(f"{place}/{name}.csv", text)
    card = release.write_dataset_card("small").read_text(encoding="utf-8")
    for part in (
        *("Research only", "| dialogues.jsonl | 7 | d1d1d1d1d1d1d1d1 |", "c0ffee"),
        *(
            "| pages@data/p.jsonl | own | abababababababab |",
            "local some/model; terms: permits it.",
        ),
        *("9 were requested, 2 set aside", "| article | cut short | 2 |", "| own | 3 |"),
        *("2.00% [0.35%, 10.50%]", "None was found.", "| support | linked |"),
    ):
        assert part in card
    assert "secret" not in card  # it may quote a text


def test_without_its_tables_there_is_no_card_of_the_dialogues(project):
    record = {"status": "complete", "params": {}, "notes": {}}
    project.file("outputs/small/01_dbke/run.json", json.dumps(record))
    with pytest.raises(PlanError, match=r"01_dbke has no summary.csv; run it again first"):
        release.dataset_card("small")


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
    record = tmp_path / "outputs/mini_camel/02_sft_qlora/run.json"
    told = json.loads(record.read_text(encoding="utf-8"))
    file = "adapter_model.safetensors"
    told["artefacts"][f"adapter/{file}"] = hash_file(adapter / file)
    record.write_text(json.dumps(told), encoding="utf-8")
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
    assert (study / "merged/loss.png").is_file()


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


def test_an_adapter_that_is_not_the_recorded_one_is_neither_merged_nor_pushed(study):
    adapter = study / "outputs/mini_camel/02_sft_qlora/adapter/adapter_model.safetensors"
    adapter.write_bytes(adapter.read_bytes()[:-1])
    with pytest.raises(PlanError, match="is not what its run wrote"):
        release.merge("mini_camel", study / "merged")
    with pytest.raises(PlanError, match="is not what its run wrote"):
        release.push("mini_camel", "somebody/camel", api=Hub())


class Hub:
    """Notes what would have been sent."""

    def __init__(self, token="hf_x"):
        self.token, self.calls = token, []

    def __getattr__(self, name):
        return lambda *args, **settings: self.calls.append((name, args, settings))


def test_what_is_pushed_is_the_adapter_with_its_card_and_private(study):
    hub = Hub()
    place = release.push("mini_camel", "somebody/camel", api=hub)
    assert place == "https://huggingface.co/somebody/camel"
    (made, folder, figure, card) = hub.calls
    assert made == ("create_repo", ("somebody/camel",), {"private": True, "exist_ok": True})
    assert sorted(file.name for file in folder[2]["folder_path"].iterdir()) == [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "chat_template.jinja",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert figure[2]["path_in_repo"] == "loss.png"
    assert figure[2]["path_or_fileobj"].startswith(b"\x89PNG")
    assert card[2]["path_in_repo"] == "README.md"
    assert b"](loss.png)" in card[2]["path_or_fileobj"]
    assert b"Research only: not for use in care" in card[2]["path_or_fileobj"]


def test_a_repository_is_made_public_only_when_that_is_asked(study):
    hub = Hub()
    release.push("mini_camel", "somebody/camel", public=True, api=hub)
    settings = [call for call in hub.calls if call[0] == "update_repo_settings"]
    assert settings == [("update_repo_settings", ("somebody/camel",), {"private": False})]


def test_nothing_is_pushed_without_a_token_a_name_or_a_commit(study, monkeypatch):
    monkeypatch.setattr("clinical_camel.release.model.get_token", lambda: None)
    with pytest.raises(PlanError, match="no token; set HF_TOKEN"):
        release.push("mini_camel", "somebody/camel", api=Hub(token=None))
    hub = Hub()
    with pytest.raises(PlanError, match="'camel' is no hub id; write owner/name"):
        release.push("mini_camel", "camel", api=hub)
    record = study / "outputs/mini_camel/02_sft_qlora/run.json"
    told = json.loads(record.read_text(encoding="utf-8"))
    record.write_text(json.dumps(told | {"dirty": True}), encoding="utf-8")
    with pytest.raises(PlanError, match="ran on code that is in no commit"):
        release.push("mini_camel", "somebody/camel", api=hub)
    assert hub.calls == []
