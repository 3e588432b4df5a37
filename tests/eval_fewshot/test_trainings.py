"""The training of each adapter, read from the files that step 02 writes beside it."""

import json

import pytest

from clinical_camel import eval_fewshot

MIXTURE = """source,rows,truncated,tokens,target_tokens
mini_chat,90,0,17435,5575
outputs/a/01_dbke/exam_dialogues.jsonl,97,0,13107,3922
"""


@pytest.fixture
def adapter(tmp_path, monkeypatch):
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(tmp_path))
    folder = tmp_path / "outputs/a/02_sft_qlora"
    (folder / "adapter").mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"params": {"num_epochs": 6.0}}))
    (folder / "mixture.csv").write_text(MIXTURE)
    (folder / "train_log.csv").write_text("step,loss\n1,2.0\n1630,1.0\n")
    return folder / "adapter"


def test_a_training_has_its_texts_tokens_epochs_and_steps(adapter):
    table = eval_fewshot.read_trainings({"base": "", "raw": "outputs/a/02_sft_qlora/adapter"})
    assert eval_fewshot.describe_trainings(table) == (
        "- `raw` was trained on `mini_chat` (90 rows) and `exam_dialogues` of a (97 rows): 6 "
        "epochs in 1,630 steps, 9,497 target tokens per epoch."
    )


def test_rows_that_only_measure_the_loss_are_named(adapter):
    params = {"num_epochs": 2.0, "validation_fraction": 0.05}
    (adapter.parent / "run.json").write_text(json.dumps({"params": params}))
    table = eval_fewshot.read_trainings({"raw": "outputs/a/02_sft_qlora/adapter"})
    text = eval_fewshot.describe_trainings(table)
    assert text.endswith(" The rows of 5 % of the articles only measure the loss.")


@pytest.mark.parametrize("name", ["run.json", "mixture.csv", "train_log.csv"])
def test_an_adapter_without_its_records_is_left_out(adapter, name):
    (adapter.parent / name).unlink()
    table = eval_fewshot.read_trainings({"raw": "outputs/a/02_sft_qlora/adapter"})
    assert table.empty
    assert eval_fewshot.describe_trainings(table) == ""
