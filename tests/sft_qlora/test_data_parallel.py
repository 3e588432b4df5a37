"""Several processes of a launcher: the same training as one, and which launches are rejected."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file
from tests.support import toy_parallel
from tests.support.processes import start_two
from tests.support.project import Project
from tests.support.toy_training import toy_recipe

from clinical_camel import models, sft_qlora
from clinical_camel.models import loading
from clinical_camel.sft_qlora import checkpoints
from clinical_camel.sft_qlora.data_parallel import Launch, check_launch

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The folder and the output of two processes that trained, and resumed from a checkpoint."""
    folder = tmp_path_factory.mktemp("two")
    process = start_two("-m", "tests.support.toy_parallel", folder)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    return folder, output


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """The log and the adapter of one process with the same global batch."""
    folder = tmp_path_factory.mktemp("one")
    return toy_parallel.train_rank(folder, batch_size=4), load_file(adapter_in(folder))


def adapter_in(folder, rank=0):
    return folder / f"adapter_{rank}" / "adapter_model.safetensors"


@pytest.mark.parametrize("attempt", ["complete", "resumed"])
def test_two_processes_have_the_losses_of_one_with_the_same_global_batch(attempt, one, two):
    log = pd.read_csv(two[0] / f"{attempt}.csv")
    assert log["loss"].to_numpy() == pytest.approx(one[0]["loss"].to_numpy(), abs=1e-5)
    assert log["grad_norm"].to_numpy() == pytest.approx(one[0]["grad_norm"].to_numpy(), rel=1e-4)
    assert list(log["tokens"]) == list(one[0]["tokens"])


def test_two_processes_weigh_prompt_tokens_as_one_does(two, tmp_path):
    log = pd.read_csv(two[0] / "weighted.csv")
    expected = toy_parallel.train_rank(tmp_path, batch_size=4, prompt_weight=0.1)
    assert log["loss"].to_numpy() == pytest.approx(expected["loss"].to_numpy(), abs=1e-5)
    assert log["grad_norm"].to_numpy() == pytest.approx(expected["grad_norm"].to_numpy(), rel=1e-4)


def test_two_processes_end_with_the_adapter_of_one(one, two):
    for rank in range(2):
        adapter = load_file(adapter_in(two[0], rank))
        assert adapter.keys() == one[1].keys()
        for matrix, value in one[1].items():
            torch.testing.assert_close(adapter[matrix], value, rtol=0, atol=1e-5)


def test_only_the_main_process_prints_and_it_prints_the_global_batch(two):
    lines = two[1].splitlines()
    batch = "4 rows per step: batch_size 2 x gradient_accumulation_steps 1 x processes 2"
    assert lines.count(batch) == 3  # complete, resumed, weighted
    assert lines.count("resuming from checkpoint-2") == 1


def test_a_checkpoint_contains_the_random_state_of_each_process(two):
    (checkpoint,) = two[0].glob("*/checkpoint-4")
    assert checkpoints.check_checkpoint(checkpoint) == ""
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    assert {"rng_state_0.pth", "rng_state_1.pth"} <= manifest["files"].keys()
    assert manifest["fingerprint"]["processes"] == 2


def test_one_process_reports_and_does_not_use_the_checkpoints_of_two(two, capsys):
    toy_parallel.train_rank(two[0], batch_size=4)
    output = capsys.readouterr().out
    assert "checkpoints of another recipe, not used" in output
    assert "processes 2, now 1" in output
    assert "resuming" not in output


def test_each_process_loads_the_base_to_its_own_gpu(monkeypatch):
    options, devices = {}, []
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setattr(loading, "device", lambda: "cuda")
    monkeypatch.setattr(loading, "choose_dtype", lambda *_: torch.bfloat16)
    monkeypatch.setattr(torch.cuda, "set_device", devices.append)
    loader = loading.AutoModelForCausalLM
    complete = (models.build_skeleton("mini"), {"missing_keys": [], "unexpected_keys": []})
    monkeypatch.setattr(
        loader, "from_pretrained", lambda _, **kwargs: options.update(kwargs) or complete
    )
    models.load_base("mini", "nf4")
    assert options["device_map"] == {"": 3}
    assert devices == [3]


SHARED = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "LOCAL_RANK": "0"}


@pytest.mark.parametrize(
    "launch",
    [
        Launch(),
        Launch(gpus=1),
        Launch(gpus=2, environment=SHARED | {"ACCELERATE_MIXED_PRECISION": "no"}),
        Launch(dtype="bfloat16", environment={"ACCELERATE_MIXED_PRECISION": "bf16"}),
    ],
)
def test_a_supported_launch_is_accepted(launch):
    assert list(check_launch(launch)) == []


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"gpus": 8}, r"one process sees several GPUs.*\(DataParallel\)"),
        ({"gpus": 1, "environment": SHARED}, "2 processes on 1 GPU"),
        ({"devices": 2}, "device_map spread the base over 2 devices.*axolotl, torchtune"),
        ({"environment": {"ACCELERATE_USE_DEEPSPEED": "true"}}, "DeepSpeed.*axolotl, torchtune"),
        ({"environment": {"ACCELERATE_USE_FSDP": "true"}}, "FSDP.*axolotl, torchtune"),
        ({"environment": {"ACCELERATE_USE_MEGATRON_LM": "true"}}, "Megatron has no NF4"),
        ({"environment": {"ACCELERATE_USE_PARALLELISM_CONFIG": "true"}}, "packed dialogues"),
        ({"environment": {"ACCELERATE_MIXED_PRECISION": "bf16"}}, "precision bf16.* in float32"),
        ({"environment": {"ACCELERATE_DYNAMO_BACKEND": "INDUCTOR"}}, "torch.compile"),
    ],
)
def test_a_launch_that_would_corrupt_the_training_or_fail_late_is_rejected(facts, reason):
    (problem,) = check_launch(Launch(**facts))
    assert re.search(reason, problem)


def test_a_training_checks_the_launch_and_the_base_before_it_begins(
    tokenizer, four_rows, tmp_path, monkeypatch
):
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    config = SimpleNamespace(dtype=torch.float32)
    base = SimpleNamespace(config=config, hf_device_map={"model.layers.0": 0, "model.layers.1": 1})
    recipe = toy_recipe()
    with pytest.raises(ValueError, match="device_map spread the base.*; the launcher's DeepSpeed"):
        sft_qlora.train(base, tokenizer, four_rows, recipe, folder=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.notebook
def test_the_notebook_trains_in_two_processes(tmp_path):
    """On the shipped base: one table, one adapter, one notebook."""
    project = Project(tmp_path)
    (tmp_path / "notebooks").rmdir()
    (tmp_path / "notebooks").symlink_to(REPOSITORY / "notebooks")
    params = yaml.safe_load((REPOSITORY / "params/mini_camel/02_sft_qlora.yaml").read_text())
    params |= {"study": "toy", "mixture": {"mini_chat": 0.1}, "num_epochs": 1.0, "lora_rank": 4}
    project.params("toy", "02_sft_qlora", yaml.safe_dump(params))
    process = start_two("-m", "clinical_camel", "run", "toy", root=tmp_path)
    errors = process.communicate()[1]
    assert process.returncode == 0, errors
    folder = tmp_path / "outputs/toy/02_sft_qlora"
    assert (folder / "adapter/adapter_model.safetensors").is_file()
    assert len(pd.read_csv(folder / "train_log.csv")) == 2
    text = (tmp_path / "outputs/toy/02_sft_qlora.ipynb").read_text()
    assert "8 rows per step: batch_size 4 x gradient_accumulation_steps 1 x processes 2" in text
