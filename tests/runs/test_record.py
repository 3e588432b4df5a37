"""The run of a step: one writer, a result that is complete or absent, a record of both."""

import itertools
import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
from tests.support.project import Project

from clinical_camel import runs
from clinical_camel.core.settings import Incomplete, SettingsError, StepSettings
from clinical_camel.runs import record
from clinical_camel.runs.figures import UnreadableFigure


@pytest.fixture
def step(project) -> Project:
    project.notebook("01_first", "study: str = 'mini_camel'\nseed: int = 0", "print(study, seed)")
    return project


def start(**params) -> runs.Run:
    return runs.start("toy", "01_first", 7, params=params)


def test_run_json_records_the_run(step):
    run = start(seed=7)
    run.note(device="cpu", rows=3)
    run.save_rows([{"a": 1}], "rows")
    run.journal("answers", 1).append("x", 1)
    run.finish("three\nrows")
    saved = json.loads((step.root / "outputs/toy/01_first/run.json").read_text())
    assert (saved["status"], saved["headline"], saved["seed"]) == ("complete", "three rows", 7)
    assert (saved["params"], saved["notes"]) == ({"seed": 7}, {"device": "cpu", "rows": 3})
    assert list(saved["artefacts"]) == ["rows.jsonl"]  # a journal is not a result
    assert saved["dirty"]  # this copy is not the checkout of the package
    assert str(Path.home()) not in json.dumps(saved)


def test_a_run_of_a_sweep_has_a_folder_of_its_own(step):
    runs.start("many/raw_d0_t1", "01_first", 7, params={}).finish("done")
    assert (step.root / "outputs/many/raw_d0_t1/01_first/run.json").exists()
    for study in ("many/", "/raw", "many/raw/x", "many/../raw", "many//raw"):
        with pytest.raises(ValueError, match="use letters, digits, - and _"):
            runs.start(study, "01_first", 7, params={})


def test_an_unfinished_run_does_not_change_the_earlier_result(step):
    first = start()
    first.save_rows([1], "rows")
    assert not (step.root / "outputs/toy/01_first").exists()
    first.finish("first")
    second = start()
    second.save_rows([2], "rows")
    assert (step.root / "outputs/toy/01_first/rows.jsonl").read_text() == "1\n"
    second.finish("second")
    assert (step.root / "outputs/toy/.01_first.previous/rows.jsonl").read_text() == "1\n"
    assert (step.root / "outputs/toy/01_first/rows.jsonl").read_text() == "2\n"


@pytest.mark.parametrize("depth", [1, 2])
def test_only_a_run_of_the_same_parameters_resumes_from_the_checkpoints(depth, step, capsys):
    run = start(depth=1)
    run.journal("answers", 1).append("q1", "a")
    (run.dir / "checkpoint-4").mkdir()
    resumed = start(depth=depth)
    assert (resumed.dir / "checkpoint-4").exists() == (depth == 1)
    assert resumed.journal("answers", 1).done == {"q1": "a"}  # valid by its own key
    assert ("depth" in capsys.readouterr().out) == (depth == 2)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({"save_minutes": 0.0}, {"save_minutes": 10.0}),
        ({"judge": {"kind": "openai", "money_cap": 1.0}}, {"judge": {"kind": "openai"}}),
    ],
)
def test_a_setting_without_effect_starts_nothing_afresh(before, now, step):
    (start(**before).dir / "checkpoint-4").mkdir()
    assert (start(**now).dir / "checkpoint-4").exists()


def test_an_interrupted_run_resumes_when_its_values_return(step, capsys):
    policy = start(depth=1).dir / "policies/ppo_0"
    policy.mkdir(parents=True)
    (policy / "training.json").write_text("{}")
    other = start(depth=2)
    assert "; it is in outputs/toy/.01_first.partial_" in capsys.readouterr().out
    assert not policy.exists()
    other.journal("answers", 1).append("q1", "a")
    (other.dir / "checkpoint-4").mkdir()
    back = start(depth=1)
    assert "resuming an earlier run of these values" in capsys.readouterr().out
    assert (policy / "training.json").exists()
    assert back.journal("answers", 1).done == {"q1": "a"}
    assert len(back._record["attempts"]) == 2
    assert (start(depth=2).dir / "checkpoint-4").exists()
    start(depth=3)
    assert (start(depth=2).dir / "checkpoint-4").exists()


def test_an_interrupted_run_of_other_values_without_folders_is_deleted(step):
    start(depth=1)
    start(depth=2)
    assert not list((step.root / "outputs/toy").glob(".01_first.partial_*"))


def test_the_time_of_an_interrupted_attempt_is_that_of_its_last_file(step):
    run = start(depth=1)
    run.journal("answers", 1).append("q1", "a")
    run._close_journals()
    started = datetime.fromisoformat(run._record["started"]).timestamp()
    os.utime(run.dir / "journal_answers.jsonl", (started + 90, started + 90))
    start(depth=1).finish("done")
    saved = json.loads((step.root / "outputs/toy/01_first/run.json").read_text())
    assert saved["attempts"][0]["seconds"] == 90.0
    assert "seconds" not in saved["attempts"][1]


def test_a_resume_with_changed_code_is_recorded_and_printed(step, monkeypatch, capsys):
    start()
    monkeypatch.setattr(record, "hash_source", lambda: "other")
    start().finish("done")
    saved = json.loads((step.root / "outputs/toy/01_first/run.json").read_text())
    assert [a["source_hash"] == "other" for a in saved["attempts"]] == [False, True]
    assert "delete outputs/toy/.01_first.partial" in capsys.readouterr().out


def test_a_kill_between_the_two_renames_loses_no_result(step):
    run = start()
    run.finish("first")
    final = step.root / "outputs/toy/01_first"
    final.replace(step.root / "outputs/toy/.01_first.previous")
    start()
    assert (final / "run.json").exists()


class Killed(BaseException):
    """Ends a run where it is, as a signal does."""


def kill_at(call: int, patch: pytest.MonkeyPatch) -> None:
    """End the run before change number `call` of a folder, counted from 0."""
    calls = itertools.count()

    def wrap(change):
        def changed(*arguments, **options):
            if next(calls) == call:
                raise Killed
            return change(*arguments, **options)

        return changed

    for name in ("replace", "mkdir"):
        patch.setattr(Path, name, wrap(getattr(Path, name)))
    patch.setattr(record.shutil, "rmtree", wrap(record.shutil.rmtree))


@pytest.mark.parametrize("depth", [2, 3])
def test_a_kill_while_a_folder_is_renamed_loses_no_journal(depth, step):
    for call in itertools.count():
        run = start(depth=1)
        for name in ("answers", "notes"):
            run.journal(name, 1).append(f"q{call}", "a")
        (run.dir / "checkpoint-4").mkdir(exist_ok=True)
        with pytest.MonkeyPatch.context() as patch:
            kill_at(call, patch)
            try:
                start(depth=2)
            except Killed:
                is_killed = True
            else:
                is_killed = False
        run._lock.release(force=True)
        resumed = start(depth=depth)
        for name in ("answers", "notes"):
            assert f"q{call}" in resumed.journal(name, 1).done
        assert not (resumed.dir / "checkpoint-4").exists()
        assert (start(depth=1).dir / "checkpoint-4").exists()
        if not is_killed:
            break
    assert call > 5


@pytest.mark.parametrize(
    ("headline", "problems", "reason"),
    [
        (
            "0 dialogues",
            ["0 of 4 dialogues were accepted", "3 too\nshort"],
            "0 of 4 .*; 3 too short",
        ),
        ("ROUGE-L base nan", [], "no number: ROUGE-L base nan"),
        ("rate inf", (), "no number"),
    ],
)
def test_a_result_that_is_not_what_was_requested_is_not_published(headline, problems, reason, step):
    start().finish("first, from Nanjing")
    run = start()
    run.save_rows([2], "rows")
    with pytest.raises(Incomplete, match=reason):
        run.finish(headline, problems)
    folder = step.root / "outputs/toy"
    assert json.loads((folder / "01_first/run.json").read_text())["headline"].startswith("first")
    assert json.loads((folder / ".01_first.partial/run.json").read_text())["status"] == "incomplete"
    assert (folder / ".01_first.partial/rows.jsonl").exists()
    start().finish("resumed")


@pytest.mark.parametrize("content", ["", "[]", '{"params": 1, "attempts": [{}]}', "\0"])
def test_a_damaged_record_of_an_interrupted_run_is_passed_over(content, step):
    run = start()
    (run.dir / "run.json").write_text(content)
    start().finish("done")
    assert (step.root / "outputs/toy/01_first/run.json").exists()


def test_nothing_is_written_after_finish(step):
    run = start()
    run.finish("done")
    with pytest.raises(RuntimeError, match="01_first is finished"):
        run.save_rows([], "rows")


def test_a_table_is_written_the_same_on_every_machine(step):
    run = start()
    run.save_table(pd.DataFrame({"x": [1 / 3, math.nan], "name": ["é", "a,b"]}), "t")
    assert (run.dir / "t.csv").read_bytes() == 'x,name\n0.3333333333,é\n,"a,b"\n'.encode()


@pytest.mark.parametrize(
    ("save", "value", "options", "problem"),
    [
        *(("save_rows", [], {"name": name}, "name ") for name in ("../x", "a b", "Scores", "")),
        ("save_table", pd.DataFrame(), {"name": "t"}, "has no columns"),
        ("save_figure", None, {"name": "f", "alt": " "}, "needs a description"),
    ],
)
def test_a_result_that_cannot_be_named_or_read_is_rejected(save, value, options, problem, step):
    with pytest.raises(ValueError, match=problem):
        getattr(start(), save)(value, **options)


def test_the_same_figure_gives_the_same_bytes(step):
    from matplotlib import pyplot as plt

    run, open_before = start(), plt.get_fignums()
    for name in ("one", "two"):
        _, axes = plt.subplots()
        axes.plot([1, 2])
        run.save_figure(axes, name, alt="a rising line")
    assert (run.dir / "one.png").read_bytes() == (run.dir / "two.png").read_bytes()
    assert plt.get_fignums() == open_before


def test_a_figure_that_cannot_be_read_is_saved_with_a_warning(step):
    from matplotlib import pyplot as plt

    _, axes = plt.subplots()
    axes.set_title("small", fontsize=5)
    run = start()
    with pytest.warns(UnreadableFigure, match="figure f: its smallest text 'small' is 7.6 px"):
        run.save_figure(axes, "f", alt="nothing")
    assert (run.dir / "f.png").exists()


def test_rows_may_be_dataclasses_and_are_counted(step):
    @dataclass
    class Row:
        id: str

    run = start()
    assert run.save_rows([Row("a"), Row("ü")], "rows") == 2
    assert (run.dir / "rows.jsonl").read_text(encoding="utf-8") == '{"id": "a"}\n{"id": "ü"}\n'


def test_a_step_that_runs_in_another_process_is_rejected(step, monkeypatch):
    monkeypatch.setattr(record, "LOCK_WAIT", 0)
    start()
    code = (
        "from clinical_camel.runs import record; record.LOCK_WAIT = 0\n"
        "record.start('toy', '01_first', 0, params={})"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert f"already running in process {os.getpid()}" in process.stderr


@pytest.mark.parametrize(("study", "step_name"), [("../x", "01_first"), ("toy", "02_other")])
def test_an_unknown_study_or_step_is_rejected(study, step_name, step):
    with pytest.raises(ValueError, match="study|step"):
        runs.start(study, step_name, 0, params={})


def test_the_same_seed_gives_the_same_random_numbers(step):
    import random

    import numpy as np
    import torch

    numbers = []
    for _ in range(2):
        start()
        numbers.append((random.random(), np.random.rand(), torch.rand(1).item()))  # noqa: NPY002
    assert numbers[0] == numbers[1]


@pytest.mark.parametrize(
    ("seed", "cells", "problem"),
    [
        ("7", [], "seed: .* not int; write 7"),
        # papermill injects unknown names without an error
        (7, ["", "# Parameters\nsede = 9\n"], "sede: not a parameter .* did you mean seed"),
    ],
)
def test_start_checks_the_variables_of_the_notebook(seed, cells, problem, step, monkeypatch):
    for name, value in {"study": "toy", "seed": seed, "In": cells}.items():
        monkeypatch.setattr(sys.modules["__main__"], name, value, raising=False)
    with pytest.raises(runs.ParamsError, match=problem):
        runs.start("toy", "01_first", 7)


def test_a_persistent_file_outlives_the_result(step):
    first = start()
    first.persistent_file("ledger").write_text("paid for")
    first.finish("done")
    second = start()
    assert second.persistent_file("ledger").read_text() == "paid for"
    second.finish("again")
    assert not list((step.root / "outputs/toy/01_first").glob("*.sqlite"))


class Toy(StepSettings):
    depth: int = 3


def test_a_run_returns_its_validated_settings(step):
    run = start(study="toy", seed=7)
    assert run.settings(Toy) == Toy(study="toy", seed=7, depth=3)
    with pytest.raises(SettingsError, match='parameters: seed: "7" is str, not int; write 7'):
        start(study="toy", seed="7").settings(Toy)
