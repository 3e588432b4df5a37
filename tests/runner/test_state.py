"""What is complete, stale, interrupted or not run, and why."""

import json
import math
import shutil

import pytest
from tests.support.project import Project
from tests.support.two_steps import (
    FIRST,
    FIRST_PARAMS,
    change_params,
    find_states,
    find_status,
    lose_artefact,
)

from clinical_camel import cli, data
from clinical_camel.core.hashing import hash_file
from clinical_camel.core.settings import DIVERGED
from clinical_camel.runner import jobs, recovery, state


def test_an_untouched_copy_on_another_machine_is_not_complete(done):
    shutil.rmtree(done.root / "outputs/toy/.records")
    reason = "its results exist, but were not made on this machine"
    assert find_states()["01_first"] == ("not run", reason)


def change_notebook(project: Project) -> None:
    project.notebook("01_first", FIRST_PARAMS, *FIRST[:-1], "run.finish('other')")


def change_published(project: Project) -> None:
    project.file("outputs/toy/01_first.ipynb", "{}")


def change_input(project: Project) -> None:
    project.file("outputs/toy/01_first/rows.jsonl", "6\n")


@pytest.mark.parametrize(
    ("change", "step", "reason"),
    [
        (change_params, "01_first", "params changed: seed"),
        (change_notebook, "01_first", "the notebook's code changed"),
        (lose_artefact, "01_first", "artefact missing: outputs/toy/01_first/rows.jsonl"),
        (change_published, "01_first", "artefact outputs/toy/01_first.ipynb changed"),
        (change_input, "02_second", "input outputs/toy/01_first/rows.jsonl changed"),
    ],
)
def test_a_stale_step_has_its_reason(change, step, reason, done):
    change(done)
    assert find_states()[step] == ("stale", reason)


def test_prose_comments_and_defaults_may_change_without_a_new_run(done):
    cells = (f"# as before\n{FIRST[0]}", *FIRST[1:])
    done.notebook("01_first", FIRST_PARAMS.replace("0", "9"), *cells)
    assert find_status() == "complete"


def test_a_changed_package_is_noted_but_needs_no_new_run(done, monkeypatch, capsys):
    monkeypatch.setattr(state, "hash_source", lambda: "other")
    assert cli.main(["status", "toy"]) == 0
    assert "(code changed since commit " in capsys.readouterr().out
    (done.root / "outputs/toy/01_first/run.json").write_text("{}")
    assert state._describe_commit(jobs.load_jobs("toy")[0]) == "commit unknown"


def test_a_file_of_unchanged_size_and_time_is_hashed_once(done, monkeypatch):
    monkeypatch.setattr(state, "hash_file", lambda file: pytest.fail(f"{file} was read"))
    assert find_status() == "complete"


def test_a_loss_that_is_not_a_number_is_recognised_in_the_message_of_the_guard():
    from types import SimpleNamespace

    from clinical_camel.sft_qlora import guards

    steps = SimpleNamespace(global_step=3, max_steps=9)
    reasons = []
    for logs in ({"loss": math.nan}, {"grad_norm": math.inf}, {"loss": 0.0}):
        with pytest.raises(guards.TrainingError) as error:
            guards.LossGuard().on_log(SimpleNamespace(fp16=False), steps, None, logs)
        match = DIVERGED.search(f"In [5]: {error.typename}: {error.value}")
        reasons.append(match and match[2])
    assert reasons == ["loss", "grad_norm", None]


DAMAGED = ["", "[]", "\0", '{"status": "complete"}', '{"status": "running", "pid": "x"}']


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_record_is_named_and_the_step_can_run(content, done, capsys):
    file = done.file("outputs/toy/.records/01_first.json", content)
    reason = "its record is damaged: outputs/toy/.records/01_first.json"
    assert find_states()["01_first"] == ("not run", reason)
    assert cli.main(["status", "toy"]) == 1
    assert cli.main(["list"]) == 0
    assert "1/2 complete" in capsys.readouterr().out
    job = jobs.load_jobs("toy")[0]
    recovery.clean_up(job, file.with_name("no.ipynb"))
    assert state.open_record(job, "a")["status"] == "running"


@pytest.mark.parametrize("entry", [1, None, [], ["x"], {"a": 1}])
def test_a_damaged_hash_is_computed_again(entry, done):
    file = done.root / "outputs/toy/.records/01_first.json"
    record = json.loads(file.read_text())
    record["hashes"] = dict.fromkeys(record["hashes"], entry)
    file.write_text(json.dumps(record))
    assert find_status() == "complete"


@pytest.mark.parametrize("text", ["", "{damaged"])
def test_a_damaged_file_of_a_step_is_stale_and_locks_nothing(text, done):
    """`run` can repeat the step: the content of its files is not checked as if it were a param."""
    change_input(done)
    done.file("outputs/toy/01_first/rows.jsonl", text)
    assert find_states()["01_first"][0] == "stale"
    assert data.check_spec("outputs/toy/01_first/rows.jsonl", ["Dialogue"], True) == []


def test_the_training_texts_of_a_copied_run_are_compared_with_those_here(project, monkeypatch):
    monkeypatch.setattr(state, "are_committed", lambda *_: True)
    names = ["data/kg.csv", "data/kg.templates.csv"]
    hashes = [hash_file(project.file(name, name)) for name in names]
    source = {"path": names[0], "sha256": hashes[0], "companions": {names[1]: hashes[1]}}
    record = {"study": "s", "step": "t", "status": "complete", "headline": "", "seconds": 1}
    record |= {"attempts": [], "peak_memory_mb": 0, "params": {}, "device": {}}
    record |= {"notes": {"sources": [{"rows_from": "hub"}, source]}, "artefacts": {"t.csv": "x"}}
    project.file("outputs/s/t/run.json", json.dumps(record))
    job = jobs.Job("s", "t", {}, names)
    assert state.has_tables(job, set())
    project.file(names[1], "other")
    assert not state.has_tables(job, set())
