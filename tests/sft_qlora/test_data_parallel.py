"""Several processes of a launcher: the same training as one, one writer, and what is refused."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
import yaml
from accelerate import FullyShardedDataParallelPlugin
from safetensors.torch import load_file
from tests.support import toy_parallel
from tests.support.project import Project

from clinical_camel import models, sft_qlora
from clinical_camel.runner import study
from clinical_camel.runs import launch
from clinical_camel.sft_qlora import data_parallel
from clinical_camel.sft_qlora.data_parallel import Setup, refusals

REPOSITORY = Path(__file__).parents[2]
LAUNCH = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")


def launched(*words, root=None, **options):
    """A program in two processes that find each other by gloo."""
    environment = os.environ | {"CLINICAL_CAMEL_ROOT": str(root)} if root else os.environ
    return subprocess.Popen(
        [*LAUNCH, *map(str, words)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


# ------------------------------------------------------------------- the training is the same


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What two processes trained, by data and by FSDP, and once more from a checkpoint."""
    folder = tmp_path_factory.mktemp("two")
    process = launched(Path(toy_parallel.__file__), folder)
    said, errors = process.communicate()
    assert process.returncode == 0, errors
    return folder, said


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """What one process trained with the same global batch."""
    folder = tmp_path_factory.mktemp("one")
    return toy_parallel.train(folder, batch_size=4), load_file(adapter_in(folder))


def adapter_in(folder, rank=0):
    return folder / f"adapter_{rank}" / "adapter_model.safetensors"


@pytest.mark.parametrize("attempt", ["whole", "resumed"])
@pytest.mark.parametrize("name", sft_qlora.PARALLEL)
def test_two_processes_reach_the_losses_of_one_with_the_same_global_batch(name, attempt, one, two):
    log = pd.read_csv(two[0] / f"{name}_{attempt}.csv")
    assert log["loss"].to_numpy() == pytest.approx(one[0]["loss"].to_numpy(), abs=1e-5)
    assert log["grad_norm"].to_numpy() == pytest.approx(one[0]["grad_norm"].to_numpy(), rel=1e-4)
    assert list(log["tokens"]) == list(one[0]["tokens"])


@pytest.mark.parametrize("name", sft_qlora.PARALLEL)
def test_two_processes_end_with_the_adapter_of_one(name, one, two):
    """Also after FSDP, where no process had it whole, and from a checkpoint."""
    for rank in range(2):
        adapter = load_file(adapter_in(two[0] / name, rank))
        assert adapter.keys() == one[1].keys()
        for matrix, value in one[1].items():
            torch.testing.assert_close(adapter[matrix], value, rtol=0, atol=1e-5)


def test_only_the_main_process_speaks_and_it_names_the_global_batch(two):
    lines = two[1].splitlines()
    batch = "4 rows a step: batch_size 2 x gradient_accumulation_steps 1 x processes 2"
    assert lines.count(batch) == 4  # trainings: whole and resumed, by data and by FSDP
    assert lines.count("going on from checkpoint-2") == 2


@pytest.mark.parametrize("name", sft_qlora.PARALLEL)
def test_a_checkpoint_is_published_with_the_random_numbers_of_each_process(name, two):
    (checkpoint,) = (two[0] / name).glob("*/checkpoint-4")
    assert sft_qlora.damage(checkpoint) == ""
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    assert {"rng_state_0.pth", "rng_state_1.pth"} <= manifest["files"].keys()
    assert (manifest["recipe"]["parallel"], manifest["recipe"]["processes"]) == (name, 2)


def test_checkpoints_of_two_processes_are_mentioned_and_not_used_by_one(two, capsys):
    toy_parallel.train(two[0] / "data", batch_size=4)
    said = capsys.readouterr().out
    assert "checkpoints of another recipe, not used" in said
    assert "processes 2, now 1" in said
    assert "going on" not in said


def test_fsdp_leaves_the_frequencies_of_positions_in_float32(monkeypatch):
    """Cast with the weights, as accelerate does, they are wrong in the third digit."""
    plugin = FullyShardedDataParallelPlugin(fsdp_version=1)
    plugin.set_mixed_precision("bf16")
    assert plugin.mixed_precision_policy.buffer_dtype == torch.bfloat16
    monkeypatch.setattr(models, "compute_dtype", lambda: torch.bfloat16)
    accelerator = SimpleNamespace(state=SimpleNamespace(fsdp_plugin=plugin))
    data_parallel.prepare(SimpleNamespace(is_fsdp_enabled=True, accelerator=accelerator))
    for again in (lambda: None, lambda: plugin.set_mixed_precision(torch.bfloat16, override=True)):
        again()  # as transformers does when the training begins
        assert plugin.mixed_precision_policy.buffer_dtype == torch.float32
        assert plugin.mixed_precision_policy.param_dtype == torch.bfloat16


def test_nf4_for_fsdp_is_kept_in_the_type_it_is_computed_in():
    assert models.quantization("nf4").bnb_4bit_quant_storage == torch.uint8
    assert models.quantization("nf4", sharded=True).bnb_4bit_quant_storage == torch.float32


@pytest.mark.parametrize(("sharded", "place"), [(False, 3), (True, "cpu")])
def test_each_process_reads_the_base_to_its_own_gpu_and_for_fsdp_to_none(
    sharded, place, monkeypatch
):
    asked, chosen = {}, []
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setattr(models.loading, "device", lambda: "cuda")
    monkeypatch.setattr(models.loading, "compute_dtype", lambda: torch.bfloat16)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    loader = models.loading.AutoModelForCausalLM
    monkeypatch.setattr(loader, "from_pretrained", lambda _, **options: asked.update(options))
    models.load_base("mini", "nf4", sharded=sharded)
    assert asked["device_map"] == {"": place}
    assert chosen == [3]


# ------------------------------------------------------------------------------------ refused

SHARED = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "LOCAL_RANK": "0"}
FSDP = {"parallel": "fsdp", "gpus": 2, "environment": SHARED}


@pytest.mark.parametrize(
    "setup",
    [
        Setup(),
        Setup(gpus=1, optimizer="paged_adamw_32bit", validation_fraction=0.1, quantize="int8"),
        Setup(gpus=2, environment=SHARED | {"ACCELERATE_MIXED_PRECISION": "no"}),
        Setup(dtype="bfloat16", environment={"ACCELERATE_MIXED_PRECISION": "bf16"}),
        Setup(**FSDP),
        Setup(**FSDP, dtype="bfloat16", storage="bfloat16"),
    ],
)
def test_what_is_well_combined_is_done(setup):
    assert list(refusals(setup)) == []


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"parallel": "tensor"}, "parallel: 'tensor' is not one of data, fsdp"),
        ({"gpus": 8}, r"one process sees several GPUs.*\(DataParallel\)"),
        ({"gpus": 1, "environment": SHARED}, "2 processes on 1 GPU"),
        ({"parts": 2}, "device_map spread the base"),
        ({"environment": {"ACCELERATE_USE_DEEPSPEED": "true"}}, "asked for DeepSpeed"),
        ({"environment": {"ACCELERATE_USE_FSDP": "true"}}, "asked for FSDP.*set parallel: fsdp"),
        ({"environment": {"ACCELERATE_USE_MEGATRON_LM": "true"}}, "asked for Megatron"),
        ({"environment": {"ACCELERATE_USE_PARALLELISM_CONFIG": "true"}}, "packed dialogues"),
        ({"environment": {"ACCELERATE_MIXED_PRECISION": "bf16"}}, "precision bf16.* in float32"),
        ({"environment": {"ACCELERATE_DYNAMO_BACKEND": "INDUCTOR"}}, "torch.compile"),
        ({"parallel": "fsdp", "gpus": 1}, "fsdp in one process"),
        (FSDP | {"gpus": 0}, "fsdp is for GPUs; on CPUs set parallel: data"),
        (FSDP | {"quantize": "int8"}, "without their scales; set quantize: nf4"),
        (FSDP | {"storage": "uint8"}, "kept in uint8, cast to float32.*sharded=True"),
        (FSDP | {"optimizer": "paged_adamw_32bit"}, "fsdp with paged_adamw_32bit"),
        (FSDP | {"optimizer": "adafactor"}, "set optimizer: adamw_torch, adamw_torch_fused, sgd"),
        (FSDP | {"validation_fraction": 0.1}, "fsdp with validation_fraction"),
    ],
)
def test_what_would_corrupt_or_fail_late_is_refused_with_its_reason(facts, reason):
    (said,) = refusals(Setup(**facts))
    assert re.search(reason, said)


def test_a_training_asks_before_it_begins(tmp_path):
    with pytest.raises(ValueError, match="in one process.*fsdp is for GPUs.*kept in uint8"):
        toy_parallel.train(tmp_path, parallel="fsdp", sharded=False)
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------- the command

# no torch in these kernels: it takes two seconds to import
OPEN = """\
import os, sys, time
sys.modules.update(torch=None, seaborn=None)
from pathlib import Path
from clinical_camel import runs
run = runs.start(study, "{step}", 0)
rank = os.environ["RANK"]"""
WRITE = """\
run.save_rows([{"rank": rank}], "rows")
run.note(rank=rank)
print(parallel, run.dir)
Path(f"{run.step}_{rank}").write_text(str(os.getpid()))"""
FAULT = """\
assert not (rank == "1" and Path("broken").exists()), "no room on this GPU"
while Path("broken").exists() or Path("hang").exists():
    time.sleep(0.1)"""
FINISH = """\
run.finish(f"written by rank {rank}")"""
STUDY = "study: str = 'mini_camel'\n"


def build(project):
    """Two steps that may run in several processes, and one that may not."""
    parallel = STUDY + "parallel: str = 'data'"
    cells = (OPEN.format(step="01_write"), WRITE, FINISH)
    project.notebook("01_write", parallel, *cells)
    cells = (OPEN.format(step="02_fail"), WRITE, FAULT, FINISH)
    project.notebook("02_fail", parallel, *cells)
    project.notebook("03_count", STUDY, "study")
    for step in ("01_write", "02_fail"):
        project.params("toy", step, "study: toy\nparallel: data\n")
    project.params("toy", "03_count", "study: toy\n")
    return project


@pytest.fixture
def toy(project):
    return build(project)


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """That study after a run in which the second step failed in rank 1; exit code and lines."""
    project = build(Project(tmp_path_factory.mktemp("ended")))
    project.file("broken", "")
    process = launched("-m", "clinical_camel", "run", "toy", "01", "02", root=project.root)
    said, _ = process.communicate()
    return project.root, process.returncode, said


def record(root, step):
    return json.loads((root / f"outputs/toy/.records/{step}.json").read_text())


def test_every_process_executes_the_step_and_one_writes(ended):
    root, _, said = ended
    assert {"01_write_0", "01_write_1"} <= {file.name for file in root.iterdir()}
    assert said.count("01_write  complete") == 2  # the line of the step, and the table
    written = root / "outputs/toy"
    visible = sorted(file.name for file in written.iterdir() if file.name[0] != ".")
    assert visible == ["01_write", "01_write.ipynb"]
    assert (written / "01_write/rows.jsonl").read_text() == '{"rank": "0"}\n'
    result = json.loads((written / "01_write/run.json").read_text())
    assert result["headline"] == "written by rank 0"
    assert result["notes"] == {"rank": "0"}
    assert result["device"]["processes"] == 2


def test_the_failure_of_a_follower_ends_all_and_stands_in_the_record(ended):
    root, code, said = ended
    assert code == 1
    found = record(root, "02_fail")
    assert found["status"] == "failed"
    assert found["reason"].startswith("rank 1: In [5]: AssertionError: no room on this GPU")
    assert said.count("no room on this GPU") == 2  # the line of the step, and the table


def test_sigterm_at_the_launcher_ends_every_kernel_and_what_was_complete_is_skipped(ended):
    root = ended[0]
    (root / "broken").rename(root / "hang")
    names = [root / f"{step}_{rank}" for step in ("01_write", "02_fail") for rank in range(2)]
    for name in names:
        name.unlink()
    process = launched("-m", "clinical_camel", "run", "toy", "01", "02", root=root)
    limit = time.monotonic() + 60
    while not all(name.exists() and name.read_text() for name in names[2:]):
        assert time.monotonic() < limit
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert "01_write  already complete" in said
    assert record(root, "02_fail")["status"] == "interrupted"
    assert not names[0].exists()
    assert not names[1].exists()
    for name in names[2:]:
        with pytest.raises(ProcessLookupError):
            os.kill(int(name.read_text()), 0)


def launcher(monkeypatch, **variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_a_step_for_one_process_is_refused_by_the_leader_alone(toy, monkeypatch, capsys):
    launcher(monkeypatch, WORLD_SIZE="4", RANK="0", TORCHELASTIC_USE_AGENT_STORE="True")
    assert study.main(["run", "toy"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("03_count is work for one process: the other 3 would wait")
    monkeypatch.setenv("RANK", "1")
    assert study.main(["run", "toy"]) == 2
    assert capsys.readouterr() == ("", "")


def test_a_launcher_that_started_one_process_in_place_of_two_is_refused(toy, monkeypatch, capsys):
    """accelerate launch --cpu --num_processes 2 leaves these, and no RANK."""
    launcher(monkeypatch, ACCELERATE_MIXED_PRECISION="no", MASTER_PORT="29500")
    assert study.main(["run", "toy", "01"]) == 2
    assert "starts one process on a CPU" in capsys.readouterr().err


def test_processes_without_a_place_to_tell_each_other_are_refused(monkeypatch):
    launcher(monkeypatch, WORLD_SIZE="2", RANK="0")
    monkeypatch.delenv("TORCHELASTIC_USE_AGENT_STORE", raising=False)
    (said,) = launch.problems({"01_write": {"parallel": "data"}})
    assert "accelerate launch or torchrun" in said


def test_without_a_launcher_there_is_one_process_and_it_leads(monkeypatch):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert (launch.rank(), launch.processes(), launch.told("failed")) == (0, 1, "")
    assert launch.results("toy", Path("root")) == Path("root/outputs/toy")


@pytest.mark.notebook
def test_the_command_trains_in_two_processes(tmp_path):
    """The notebook itself, on the shipped base: one table, one adapter, one notebook."""
    project = Project(tmp_path)
    (tmp_path / "notebooks").rmdir()
    (tmp_path / "notebooks").symlink_to(REPOSITORY / "notebooks")
    params = yaml.safe_load((REPOSITORY / "params/mini_camel/02_sft_qlora.yaml").read_text())
    params |= {"study": "toy", "mixture": {"mini_chat": 0.1}, "num_epochs": 1.0, "lora_rank": 4}
    project.params("toy", "02_sft_qlora", yaml.safe_dump(params))
    process = launched("-m", "clinical_camel", "run", "toy", root=tmp_path)
    errors = process.communicate()[1]
    assert process.returncode == 0, errors
    made = tmp_path / "outputs/toy/02_sft_qlora"
    assert (made / "adapter/adapter_model.safetensors").is_file()
    assert len(pd.read_csv(made / "train_log.csv")) == 2
    text = (tmp_path / "outputs/toy/02_sft_qlora.ipynb").read_text()
    assert "8 rows a step: batch_size 4 x gradient_accumulation_steps 1 x processes 2" in text
