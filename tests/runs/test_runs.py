"""What a run may be given, where its results go, and that the runner tells the truth."""

import base64
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from tests.support.project import Project

from clinical_camel import runs
from clinical_camel.core import values
from clinical_camel.runner import execution, jobs, state, study
from clinical_camel.runs import record

CELL = """\
study: str = "mini_camel"  # params folder
learning_rate: float = 2.0e-4  # AdamW # peak
num_shots: list[int] = [0, 5]
folders: dict[str, str] = {
    "base": "",
}  # name: folder
packing: bool = True
token_budget: int = 0  # 0 means no limit
"""
GOOD = """\
study: toy
learning_rate: 1.0e-4
num_shots: [0]
folders: {}
packing: false
token_budget: 100
"""
READS = "print(study, learning_rate, num_shots, folders, packing, token_budget)"


@pytest.fixture
def one_step(project) -> Project:
    project.notebook("03_eval_fewshot", CELL, READS)
    project.params("toy", "03_eval_fewshot", GOOD)
    return project


def problem_of(text: str, project: Project) -> str:
    project.params("toy", "03_eval_fewshot", text)
    with pytest.raises(runs.ParamsError) as caught:
        runs.load_params("toy", "03_eval_fewshot")
    return str(caught.value)


# ------------------------------------------------------------------------------- params


def test_a_complete_params_file_is_read_as_it_stands(one_step):
    params = runs.load_params("toy", "03_eval_fewshot")
    assert list(params) == [
        "study",
        "learning_rate",
        "num_shots",
        "folders",
        "packing",
        "token_budget",
    ]
    assert params["learning_rate"] == 0.0001


def test_the_parameters_cell_gives_annotation_default_comment_and_line(one_step):
    declared = runs.declared_params(one_step.root / "notebooks/03_eval_fewshot.ipynb")
    assert declared["learning_rate"] == runs.Param("float", 2e-4, "AdamW # peak", 2)
    assert declared["folders"] == runs.Param("dict[str, str]", {"base": ""}, "name: folder", 4)


def replaced(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


WRONG = {
    "typo": (replaced("num_shots", "num_shotz"), ["num_shotz: not a parameter", "mean num_shots?"]),
    "typo leaves one missing": (replaced("num_shots", "num_shotz"), ["num_shots: missing"]),
    "missing": (replaced("packing: false\n", ""), ["packing: missing"]),
    "latin look-alike": (replaced("num_shots", "num_\u0455hots"), ["only looks like a Latin one"]),
    "1e-4 is text to YAML": (replaced("1.0e-4", "1e-4"), ["learning_rate", "write 1.0e-4"]),
    "2e2 is text to YAML": (replaced("1.0e-4", "2e2"), ["learning_rate", "write 200.0"]),
    "int for float": (replaced("1.0e-4", "1"), ["learning_rate: 1 is int, not float; write 1.0"]),
    "float for int": (replaced("100", "100.0"), ["token_budget", "write 100"]),
    "bool for int": (replaced("100", "true"), ["token_budget: true is bool, not int"]),
    "bool for int in a list": (replaced("[0]", "[yes]"), ["num_shots[0]: true is bool, not int"]),
    "int for bool": (replaced("false", "0"), ["packing: 0 is int, not bool; write true or false"]),
    "text for int": (replaced("100", "'100'"), ["token_budget", "write 100"]),
    "not a number": (replaced("1.0e-4", ".nan"), ["learning_rate: nan is not a finite number"]),
    "infinite": (replaced("1.0e-4", "-.inf"), ["learning_rate: -inf is not a finite number"]),
    "scalar for list": (replaced("[0]", "0"), ["num_shots: 0 is not a list; write [0]"]),
    "list for mapping": (replaced("{}", "[]"), ["folders: [] is not a mapping"]),
    "yes for text": (
        replaced("{}", "{base: no}"),
        ["folders.base: false is bool", 'quotes, "no"'],
    ),
    "number for text": (replaced("{}", "{base: 13}"), ["folders.base: 13 is int", 'quotes, "13"']),
    "date": (replaced("{}", "{base: 2023-05-19}"), ["line 4: folders.base", "read as a date"]),
    "null": (replaced("false", ""), ["line 5: packing: empty", '""']),
    "tilde": (replaced("100", "~"), ["line 6: token_budget: empty", "0 for no limit"]),
    "duplicate": (GOOD + "packing: true\n", ["line 7: packing: a second time (first in line 5)"]),
    "duplicate inside": (replaced("{}", "{a: x, a: y}"), ["line 4: folders.a: a second time"]),
    "tab": (
        replaced("folders: {}", "folders:\n\tbase: x"),
        ["line 5: a tab; indent with spaces"],
    ),
    "broken": (replaced("[0]", "[0"), ["line 4: "]),
    "empty": ("", ["the file is empty"]),
    "only a comment": ("# nothing\n", ["the file is empty"]),
    "a list": ("- a\n- b\n", ["not a mapping"]),
    "a sentence": ("hello\n", ["not a mapping"]),
    "key not text": (GOOD + "1: x\n", ["line 7: the key 1 is not text"]),
    "key read as bool": (GOOD + "on: x\n", ["line 7: the key on is not text"]),
    "base 60": (replaced("100", "1:40"), ["line 6: token_budget: 1:40 is read in base 60"]),
    "base 8": (replaced("100", "010"), ["token_budget: 010 is read in base 8"]),
    "merge": (replaced("{}", "{<<: {a: b}}"), ["line 4: folders: a merge key"]),
    "alias": (replaced("{}", "{a: &x y, b: *x}"), ["an alias; write the value out"]),
    "python tag": (replaced("{}", "{a: !!python/name:os.system x}"), ["the tag", "not allowed"]),
    "two documents": (GOOD + "---\n" + GOOD, ["a second document"]),
    "another study": (replaced("toy", "tox"), ['study: "tox" is not its folder; toy is']),
    "absolute path": (replaced("{}", "{a: /etc/passwd}"), ["folders.a", "is an absolute path"]),
    "home": (replaced("{}", "{a: ~/x}"), ["folders.a", "is an absolute path"]),
    "parent": (replaced("{}", "{a: outputs/../../x}"), ["folders.a", 'contains ".."']),
    "parent behind a reader": (replaced("{}", "{a: medqa@../x.jsonl}"), ['contains ".."']),
    "absolute behind a reader": (replaced("{}", "{a: medqa@/x.jsonl}"), ["is an absolute path"]),
    "path as a key": (replaced("{}", "{/etc/x: a}"), ["folders (a key)", "is an absolute path"]),
    "file address": (replaced("{}", "{a: 'file:///etc/x'}"), ["is a file address"]),
    "secret by name": (GOOD + "api_key: abc\n", ["api_key: looks like a secret", "environment"]),
    "secret inside": (
        replaced("{}", "{hf_token: abc}"),
        ["folders.hf_token: looks like a secret"],
    ),
    "secret by value": (
        replaced("{}", "{a: sk-abc123def456}"),
        ["folders.a: looks like a secret"],
    ),
    "token by value": (replaced("{}", "{a: hf_AbCdEfGhIjKlMnOp}"), ["looks like a secret"]),
    "password in an address": (
        replaced("{}", "{a: 'http://me:pw@host/'}"),
        ["looks like a secret"],
    ),
    "invisible": (replaced("{}", '{a: "mi\u200bni"}'), ["contains an invisible character"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_params_file_is_refused_by_file_key_and_remedy(case, one_step):
    text, parts = WRONG[case]
    message = problem_of(text, one_step)
    for part in ("params/toy/03_eval_fewshot.yaml: ", *parts):
        assert part in message


def test_all_problems_of_a_file_come_in_one_message(one_step):
    message = problem_of("study: tox\nlearning_rat: 1\nnum_shots: 0\n", one_step)
    assert len(message.splitlines()) == 7  # 4 missing, 1 unknown, 1 not a list, 1 other study


def test_a_secret_is_not_repeated_in_the_message(one_step):
    message = problem_of(replaced("100", "sk-abc123def456"), one_step)
    assert "abc123def456" not in message


FINE = ["token_budget", "max_new_tokens", "eos_token", "tokenizer", "secretary", "api_key_env"]


@pytest.mark.parametrize("name", FINE)
def test_a_harmless_name_is_not_taken_for_a_secret(name):
    assert list(values.unsafe(name, "x")) == []


@pytest.mark.parametrize(
    "text", ["a...b", "meta-llama/Llama-2-13b-hf", "http://127.0.0.1:8000/v1", "risk-assessment-42"]
)
def test_a_harmless_text_is_not_taken_for_a_path_or_a_secret(text):
    assert list(values.unsafe("model", text)) == []


def test_a_file_that_is_not_utf8_is_refused(one_step):
    (one_step.root / "params/toy/03_eval_fewshot.yaml").write_bytes(b"study: \xff\n")
    with pytest.raises(runs.ParamsError, match="not UTF-8 text"):
        runs.load_params("toy", "03_eval_fewshot")


def test_a_parameter_that_no_later_cell_reads_is_refused(project):
    notebook = project.notebook(
        "01_dbke", "seed: int = 0\ndepth: int = 1", "print(seed)\ndepth = 2"
    )
    with pytest.raises(runs.ParamsError, match="depth: declared in .* no later cell reads it"):
        runs.check_params(notebook, {"seed": 0, "depth": 1}, "here")


def test_a_name_inside_an_f_string_counts_as_read(project):
    notebook = project.notebook("01_dbke", "seed: int = 0", "%matplotlib inline\nprint(f'{seed}')")
    runs.check_params(notebook, {"seed": 1}, "here")


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("seed = 0", "only `name: annotation = value"),
        ("import os", "only `name: annotation = value"),
        ("seed: int | None = 0", "int | None is not allowed"),
        ("seed: dict[int, str] = {}", "is not allowed"),
        ("seed: list[list[list[int]]] = []", "is not allowed"),
        ("seed: int = 1 + len('x')", "must be a literal"),
        ("seed: int = 1.0", "1.0 is float, not int"),
        ("seed: int = 0\nseed: int = 1", "seed is declared twice"),
        ("seed: int = ", "line 1: "),
    ],
)
def test_an_odd_parameters_cell_is_refused(cell, message, project):
    notebook = project.notebook("01_dbke", cell)
    with pytest.raises(runs.ParamsError) as caught:
        runs.declared_params(notebook)
    assert message in str(caught.value)


def test_a_notebook_without_a_parameters_cell_is_refused(project):
    notebook = project.notebook("01_dbke", "seed: int = 0")
    notebook.write_text(notebook.read_text().replace('"parameters"', '"other"'))
    with pytest.raises(runs.ParamsError, match="0 cells are tagged"):
        runs.declared_params(notebook)


def test_an_unknown_study_names_the_nearest(one_step):
    with pytest.raises(runs.ParamsError, match="no such study; did you mean toy"):
        runs.load_params("toi", "03_eval_fewshot")


def test_a_params_file_without_notebook_names_the_nearest_step(one_step):
    one_step.params("toy", "03_eval_fewshots", GOOD)
    with pytest.raises(runs.ParamsError, match="did you mean 03_eval_fewshot"):
        runs.load_params("toy", "03_eval_fewshots")


@pytest.mark.parametrize("text", ["", " ", "/etc/passwd", "~/x", "../x", "data/../../x", "C:\\x"])
def test_a_path_that_leaves_the_project_is_refused(text, project):
    with pytest.raises(ValueError, match="^path "):
        runs.path(text)


def test_a_link_inside_the_project_may_point_elsewhere(project, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "x.jsonl").write_text("{}\n")
    (project.root / "data").mkdir()
    (project.root / "data/public").symlink_to(elsewhere)
    assert runs.path("data/public/x.jsonl").read_text() == "{}\n"


# ------------------------------------------------------------------------------ journal


def test_a_journal_gives_back_what_was_appended(tmp_path):
    journal = runs.Journal(tmp_path / "journal_a.jsonl", {"model": "m"})
    journal.append("q1", {"text": "é\u2028", "score": 0.1})
    journal.close()
    again = runs.Journal(tmp_path / "journal_a.jsonl", {"model": "m"})
    assert again.done == {"q1": {"text": "é\u2028", "score": 0.1}}


def test_an_entry_has_the_same_types_before_and_after_a_restart(tmp_path):
    journal = runs.Journal(tmp_path / "journal_a.jsonl", 1)
    journal.append("q1", {"pair": (1, 2), "score": pd.Series([0.5])[0]})
    assert journal.done == {"q1": {"pair": [1, 2], "score": 0.5}}


def test_every_torn_end_of_a_journal_is_cut_off(tmp_path):
    file = tmp_path / "journal_a.jsonl"
    journal = runs.Journal(file, 1)
    journal.append("one", {"x": 1})
    whole = file.stat().st_size
    journal.append("two", {"x": 2})
    journal.close()
    content = file.read_bytes()
    for cut in range(whole, len(content)):
        file.write_bytes(content[:cut])
        again = runs.Journal(file, 1)
        again.close()
        assert list(again.done) == ["one"]
        assert file.read_bytes() == content[:whole]


def test_a_killed_writer_loses_nothing_it_has_appended(tmp_path):
    code = (
        "import os, pathlib; from clinical_camel.runs import Journal\n"
        f"j = Journal(pathlib.Path({str(tmp_path / 'journal_a.jsonl')!r}), 1)\n"
        "for i in range(100): j.append(str(i), i)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert len(runs.Journal(tmp_path / "journal_a.jsonl", 1).done) == 100


def test_another_key_begins_afresh_and_the_earlier_journal_comes_back(tmp_path):
    file = tmp_path / "journal_a.jsonl"
    for key in ("A", "B"):
        journal = runs.Journal(file, key)
        assert journal.done == {}
        journal.append("made with", key)
        journal.close()
    assert runs.Journal(file, "A").done == {"made with": "A"}
    assert runs.Journal(file, "B").done == {"made with": "B"}


def test_a_damaged_line_inside_a_journal_is_named(tmp_path):
    file = tmp_path / "journal_a.jsonl"
    journal = runs.Journal(file, 1)
    journal.append("one", 1)
    journal.append("two", 2)
    journal.close()
    file.write_bytes(file.read_bytes().replace(b'"one"', b'"one'))
    with pytest.raises(ValueError, match="journal_a.jsonl, line 2: damaged"):
        runs.Journal(file, 1)


# -------------------------------------------------------------------------- start to finish


@pytest.fixture
def step(project) -> Project:
    project.notebook("01_dbke", "study: str = 'mini_camel'\nseed: int = 0", "print(study, seed)")
    return project


def begin(**params) -> runs.Run:
    return runs.start("toy", "01_dbke", 7, params=params)


def test_a_result_appears_whole_at_finish_and_not_before(step):
    run = begin()
    run.save_table(pd.DataFrame({"a": [1]}), "t")
    assert not (step.root / "outputs/toy/01_dbke").exists()
    run.finish("one row")
    assert (step.root / "outputs/toy/01_dbke/t.csv").read_text() == "a\n1\n"


def test_run_json_says_what_was_run(step):
    run = begin(seed=7)
    run.note(device="cpu", rows=3)
    run.save_rows([{"a": 1}], "rows")
    run.journal("answers", 1).append("x", 1)
    run.finish("three\nrows")
    told = json.loads((step.root / "outputs/toy/01_dbke/run.json").read_text())
    assert (told["status"], told["headline"], told["seed"]) == ("complete", "three rows", 7)
    assert (told["params"], told["notes"]) == ({"seed": 7}, {"device": "cpu", "rows": 3})
    assert list(told["artefacts"]) == ["rows.jsonl"]  # a journal is not a result
    assert told["dirty"]  # this copy is not the checkout of the package
    assert str(Path.home()) not in json.dumps(told)


def test_an_unfinished_run_leaves_the_earlier_result_alone(step):
    first = begin()
    first.save_rows([1], "rows")
    first.finish("first")
    second = begin()
    second.save_rows([2], "rows")
    assert (step.root / "outputs/toy/01_dbke/rows.jsonl").read_text() == "1\n"
    second.finish("second")
    assert (step.root / "outputs/toy/.01_dbke.previous/rows.jsonl").read_text() == "1\n"
    assert (step.root / "outputs/toy/01_dbke/rows.jsonl").read_text() == "2\n"


def test_an_interrupted_run_is_taken_up_with_its_journal_and_checkpoints(step):
    run = begin(depth=1)
    run.journal("answers", 1).append("q1", "a")
    (run.dir / "checkpoint-4").mkdir()
    again = begin(depth=1)
    assert again.journal("answers", 1).done == {"q1": "a"}
    assert (again.dir / "checkpoint-4").exists()


def test_other_parameters_do_not_take_up_the_checkpoints_of_an_interrupted_run(step, capsys):
    run = begin(depth=1)
    run.journal("answers", 1).append("q1", "a")
    (run.dir / "checkpoint-4").mkdir()
    again = begin(depth=2)
    assert not (again.dir / "checkpoint-4").exists()
    assert again.journal("answers", 1).done == {"q1": "a"}  # its own key guards it
    assert "depth" in capsys.readouterr().out


def test_the_time_of_an_interrupted_attempt_is_recorded_as_far_as_its_files_show(step):
    run = begin(depth=1)
    run.journal("answers", 1).append("q1", "a")
    run._close_journals()
    started = datetime.fromisoformat(run._record["started"]).timestamp()
    os.utime(run.dir / "journal_answers.jsonl", (started + 90, started + 90))
    begin(depth=1).finish("done")
    told = json.loads((step.root / "outputs/toy/01_dbke/run.json").read_text())
    assert told["attempts"][0]["seconds"] == 90.0
    assert "seconds" not in told["attempts"][1]


def test_an_attempt_over_other_code_is_recorded_and_said(step, monkeypatch, capsys):
    begin()
    monkeypatch.setattr(record, "source_hash", lambda: "other")
    begin().finish("done")
    told = json.loads((step.root / "outputs/toy/01_dbke/run.json").read_text())
    assert [a["source_hash"] == "other" for a in told["attempts"]] == [False, True]
    assert "delete outputs/toy/.01_dbke.partial" in capsys.readouterr().out


def test_a_kill_between_the_two_renames_loses_no_result(step):
    run = begin()
    run.finish("first")
    final = step.root / "outputs/toy/01_dbke"
    final.replace(step.root / "outputs/toy/.01_dbke.previous")
    begin()
    assert (final / "run.json").exists()


def test_nothing_is_written_after_finish(step):
    run = begin()
    run.finish("done")
    with pytest.raises(RuntimeError, match="01_dbke is finished"):
        run.save_rows([], "rows")


def test_a_table_is_written_the_same_on_every_machine(step):
    run = begin()
    run.save_table(pd.DataFrame({"x": [1 / 3, math.nan], "name": ["é", "a,b"]}), "t")
    assert (run.dir / "t.csv").read_bytes() == 'x,name\n0.3333333333,é\n,"a,b"\n'.encode()


@pytest.mark.parametrize("name", ["../x", "a b", "Scores", ""])
def test_a_table_name_that_is_no_plain_name_is_refused(name, step):
    with pytest.raises(ValueError, match="name "):
        begin().save_rows([], name)


def test_a_table_without_columns_is_refused(step):
    with pytest.raises(ValueError, match="has no columns"):
        begin().save_table(pd.DataFrame(), "t")


def test_the_same_figure_gives_the_same_bytes(step):
    from matplotlib import pyplot as plt

    run, open_before = begin(), plt.get_fignums()
    for name in ("one", "two"):
        _, axes = plt.subplots()
        axes.plot([1, 2])
        run.save_figure(axes, name, alt="a line that rises")
    assert (run.dir / "one.png").read_bytes() == (run.dir / "two.png").read_bytes()
    assert plt.get_fignums() == open_before


def test_a_figure_without_alternative_text_is_refused(step):
    with pytest.raises(ValueError, match="needs a text"):
        begin().save_figure(None, "f", alt=" ")


def test_rows_may_be_dataclasses_and_are_counted(step):
    @dataclass
    class Row:
        id: str

    run = begin()
    assert run.save_rows([Row("a"), Row("ü")], "rows") == 2
    assert (run.dir / "rows.jsonl").read_text(encoding="utf-8") == '{"id": "a"}\n{"id": "ü"}\n'


def test_a_step_that_is_running_elsewhere_is_refused(step, monkeypatch):
    monkeypatch.setattr(record, "LOCK_WAIT", 0)
    begin()
    code = (
        "from clinical_camel.runs import record; record.LOCK_WAIT = 0\n"
        "record.start('toy', '01_dbke', 0, params={})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"already running in process {os.getpid()}" in done.stderr


@pytest.mark.parametrize(("study", "step_name"), [("../x", "01_dbke"), ("toy", "02_other")])
def test_a_study_or_step_that_cannot_be_is_refused(study, step_name, step):
    with pytest.raises(ValueError, match="study|step"):
        runs.start(study, step_name, 0, params={})


def test_a_seed_makes_random_numbers_repeat(step):
    import random

    import numpy as np
    import torch

    draws = []
    for _ in range(2):
        begin()
        draws.append((random.random(), np.random.rand(), torch.rand(1).item()))  # noqa: NPY002
    assert draws[0] == draws[1]


def test_start_checks_the_variables_of_the_running_notebook(step, monkeypatch):
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "study", "toy", raising=False)
    monkeypatch.setattr(main, "seed", "7", raising=False)
    with pytest.raises(runs.ParamsError, match="seed: .* not int; write 7"):
        runs.start("toy", "01_dbke", 7)


def test_start_finds_the_name_that_plain_papermill_let_through(step, monkeypatch):
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "study", "toy", raising=False)
    monkeypatch.setattr(main, "seed", 7, raising=False)
    monkeypatch.setattr(main, "In", ["", "# Parameters\nsede = 9\n"], raising=False)
    with pytest.raises(runs.ParamsError, match="sede: not a parameter .* did you mean seed"):
        runs.start("toy", "01_dbke", 7)


def test_collect_stacks_the_table_of_all_studies_with_the_study_first(project):
    for study, value in (("b", "NA"), ("a", "None"), ("scratch", "9")):
        project.file(f"outputs/{study}/01_dbke/t.csv", f"x\n{value}\n")
    table = runs.collect("01_dbke", "t")
    assert table.to_dict("list") == {"study": ["a", "b"], "x": ["None", "NA"]}


def test_collect_says_what_to_run_when_there_is_nothing(project):
    with pytest.raises(FileNotFoundError, match="run 01_dbke first"):
        runs.collect("01_dbke", "t")


# -------------------------------------------------------------------------------- the order


def three_steps(project: Project, **inputs: str) -> list[str]:
    for step_name in ("01_dbke", "02_sft_qlora", "03_eval_fewshot"):
        cell = "study: str = ''\nsource: dict[str, str] = {}"
        project.notebook(step_name, cell, "print(study, source)")
        source = inputs.get(f"s{step_name[:2]}", "{}")
        project.params("toy", step_name, f"study: toy\nsource: {source}\n")
    return [job.step[:2] for job in jobs.sort_jobs(jobs.load_jobs("toy"))]


def test_steps_without_inputs_run_by_number(project):
    assert three_steps(project) == ["01", "02", "03"]


def test_an_input_named_as_a_key_or_a_value_decides_the_order(project):
    order = three_steps(
        project, s01="{outputs/toy/03_eval_fewshot/x.csv: a}", s02="{a: outputs/toy/01_dbke}"
    )
    assert order == ["03", "01", "02"]


def test_steps_that_need_each_other_are_refused(project):
    with pytest.raises(jobs.PlanError, match="in a circle: 01_dbke, 02_sft_qlora"):
        three_steps(
            project, s01="{a: outputs/toy/02_sft_qlora/x}", s02="{a: outputs/toy/01_dbke/x}"
        )


def test_an_input_of_a_step_that_is_none_names_the_nearest(project):
    with pytest.raises(jobs.PlanError, match="names no step; did you mean 01_dbke"):
        three_steps(project, s02="{a: outputs/toy/01_dbk/x}")


def test_an_input_of_a_step_without_params_file_is_refused(project):
    three_steps(project, s02="{a: outputs/toy/01_dbke/x}")
    (project.root / "params/toy/01_dbke.yaml").unlink()
    with pytest.raises(jobs.PlanError, match="needs 01_dbke, but params/toy/01_dbke.yaml is not"):
        jobs.sort_jobs(jobs.load_jobs("toy"))


def test_a_data_file_that_is_not_there_is_refused_before_a_kernel_starts(project, capsys):
    three_steps(project, s01="{a: medqa@data/public/x.jsonl}")
    assert study.main(["run", "toy", "01"]) == 2
    assert "data/public/x.jsonl is not there" in capsys.readouterr().err


def test_all_files_of_a_study_are_checked_before_anything_runs(project, capsys):
    three_steps(project)
    project.params("toy", "02_sft_qlora", "study: toy\n")
    project.params("toy", "03_eval_fewshot", "study: toy\nsource: {}\nseed: 1\n")
    assert study.main(["run", "toy", "01"]) == 2
    message = capsys.readouterr().err
    assert "02_sft_qlora.yaml: source: missing" in message
    assert "03_eval_fewshot.yaml: seed: not a parameter" in message


def test_the_options_may_stand_anywhere(project, capsys):
    three_steps(project)
    assert study.main(["run", "toy", "--force", "09"]) == 2
    assert "toy has no step 09" in capsys.readouterr().err


# --------------------------------------------------------------------------- with kernels

# no torch and no seaborn in these kernels: they take two seconds to import
LIGHT = (
    "import sys\nsys.modules.update(torch=None, seaborn=None)\nfrom clinical_camel import runs\n"
)
FIRST = (
    f"{LIGHT}run = runs.start(study, '01_dbke', seed)",
    "print('10 %\\r100 %')\nprint(run.dir, 'and', runs.ROOT)",
    "run.save_rows([seed], 'rows')\nfrom matplotlib import pyplot as plt\n"
    "run.save_figure(plt.figure(), 'empty', alt='nothing yet')",
    "run.finish(f'seed {seed}')",
)
SECOND = (
    f"{LIGHT}run = runs.start(study, '02_sft_qlora', 0)",
    "run.save_rows([runs.path(rows).read_text()], 'copy')",
    "run.finish('copied')",
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study of two steps that has run; copied before it is changed."""
    project = Project(tmp_path_factory.mktemp("finished"))
    project.notebook("01_dbke", "study: str = 'mini_camel'\nseed: int = 0", *FIRST)
    project.notebook("02_sft_qlora", "study: str = 'mini_camel'\nrows: str = ''", *SECOND)
    project.params("toy", "01_dbke", "study: toy\nseed: 5\n")
    project.params("toy", "02_sft_qlora", "study: toy\nrows: outputs/toy/01_dbke/rows.jsonl\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLINICAL_CAMEL_ROOT", str(project.root))
        assert study.main(["run", "toy"]) == 0
    return project.root


def states() -> dict[str, tuple[str, str]]:
    found = {job.step: state.state_of(job) for job in jobs.load_jobs("toy")}
    return {step_name: (s.status, s.reason) for step_name, s in found.items()}


def published(project: Project, step_name: str = "01_dbke") -> str:
    return (project.root / f"outputs/toy/{step_name}.ipynb").read_text(encoding="utf-8")


def failing(project: Project, *cells: str) -> int:
    project.notebook("01_dbke", "study: str = 'mini_camel'\nseed: int = 0", *cells)
    return study.main(["run", "toy"])


def test_a_study_that_has_run_is_complete_and_its_data_flowed(done):
    assert states() == {"01_dbke": ("complete", ""), "02_sft_qlora": ("complete", "")}
    assert (done.root / "outputs/toy/02_sft_qlora/copy.jsonl").read_text() == '"5\\n"\n'


def test_the_published_notebook_names_no_place_of_this_machine(done, finished):
    text = published(done)
    assert str(finished) not in text
    assert str(Path.home()) not in text
    papermill = json.loads(text)["metadata"]["papermill"]
    assert papermill["input_path"] == "notebooks/01_dbke.ipynb"
    assert papermill["output_path"] == "outputs/toy/01_dbke.ipynb"


def test_the_published_outputs_are_what_a_terminal_would_show(done):
    outputs = [o for c in json.loads(published(done))["cells"] for o in c.get("outputs", [])]
    assert "".join(outputs[0]["text"]) == "100 %\noutputs/toy/.01_dbke.partial and .\n"


def test_a_figure_is_shown_once_with_its_alternative_text(done):
    outputs = [o for c in json.loads(published(done))["cells"] for o in c.get("outputs", [])]
    shown = [o for o in outputs if "image/png" in o.get("data", {})]
    assert [o["metadata"]["image/png"]["alt"] for o in shown] == ["nothing yet"]
    assert base64.b64decode(shown[0]["data"]["image/png"])[1:4] == b"PNG"


def test_what_is_complete_and_unchanged_is_not_run_again(done, capsys):
    before = published(done)
    assert study.main(["run", "toy"]) == 0
    assert published(done) == before
    assert "[1/2] 01_dbke  already complete" in capsys.readouterr().out


def test_an_untouched_copy_on_another_machine_is_not_complete(done):
    shutil.rmtree(done.root / "outputs/toy/.records")
    reason = "its results are here, but were not made on this machine"
    assert states()["01_dbke"] == ("not run", reason)


def change_params(project: Project) -> None:
    project.params("toy", "01_dbke", "study: toy\nseed: 6\n")


def change_notebook(project: Project) -> None:
    cells = (*FIRST[:-1], "run.finish('other')")
    project.notebook("01_dbke", "study: str = 'mini_camel'\nseed: int = 0", *cells)


def lose_artefact(project: Project) -> None:
    (project.root / "outputs/toy/01_dbke/rows.jsonl").unlink()


def change_published(project: Project) -> None:
    project.file("outputs/toy/01_dbke.ipynb", "{}")


def change_input(project: Project) -> None:
    project.file("outputs/toy/01_dbke/rows.jsonl", "6\n")


@pytest.mark.parametrize(
    ("change", "step_name", "reason"),
    [
        (change_params, "01_dbke", "params changed: seed"),
        (change_notebook, "01_dbke", "the notebook's code changed"),
        (lose_artefact, "01_dbke", "artefact missing: outputs/toy/01_dbke/rows.jsonl"),
        (change_published, "01_dbke", "artefact outputs/toy/01_dbke.ipynb changed"),
        (change_input, "02_sft_qlora", "input outputs/toy/01_dbke/rows.jsonl changed"),
    ],
)
def test_a_stale_step_says_why(change, step_name, reason, done):
    change(done)
    assert states()[step_name] == ("stale", reason)


def test_prose_comments_and_defaults_may_change_without_a_new_run(done):
    cells = (f"# as before\n{FIRST[0]}", *FIRST[1:])
    done.notebook("01_dbke", "study: str = 'mini_camel'\nseed: int = 9", *cells)
    assert states()["01_dbke"] == ("complete", "")


def test_a_changed_package_is_noted_but_costs_no_run(done, monkeypatch, capsys):
    monkeypatch.setattr(state, "source_hash", lambda: "other")
    assert study.main(["status", "toy"]) == 0
    assert "code changed since; --force re-runs" in capsys.readouterr().out


def test_a_running_record_of_a_dead_runner_is_interrupted(done):
    file = done.root / "outputs/toy/.records/01_dbke.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "status": "running", "pid": 2**22}))
    assert states()["01_dbke"][0] == "interrupted"


def test_a_step_whose_inputs_are_not_complete_is_refused(done, capsys):
    change_params(done)
    assert study.main(["run", "toy", "02"]) == 2
    message = capsys.readouterr().err
    assert "needs 01_dbke of toy, which is stale (params changed: seed)" in message
    assert "python -m clinical_camel run toy 01_dbke" in message


def test_another_study_may_stand_on_a_complete_step_only(done, capsys):
    done.params("other", "02_sft_qlora", "study: other\nrows: outputs/toy/01_dbke/rows.jsonl\n")
    lose_artefact(done)
    assert study.main(["run", "other"]) == 2
    assert "needs 01_dbke of toy, which is stale" in capsys.readouterr().err


def test_the_list_counts_complete_steps(done, capsys):
    assert study.main(["list"]) == 0
    assert capsys.readouterr().out.split() == ["toy", "2/2", "complete"]


def test_a_failing_cell_is_named_and_the_earlier_result_stays(done, capsys):
    before = published(done)
    cells = (*FIRST[:3], "raise ValueError('no such thing')", FIRST[3])
    assert failing(done, *cells) == 1
    out = capsys.readouterr().out
    assert "In [6]: ValueError: no such thing; see outputs/toy/.01_dbke.failed.ipynb" in out
    assert "02_sft_qlora  not started" in out
    assert published(done) == before
    assert (done.root / "outputs/toy/01_dbke/run.json").exists()
    assert states()["01_dbke"][0] == "failed"


def test_an_error_after_finish_brings_the_earlier_result_back(done):
    place = done.root / "outputs/toy/01_dbke/run.json"
    before = place.read_text()
    assert failing(done, *FIRST, "raise ValueError('too late')") == 1
    assert place.read_text() == before


def test_a_notebook_that_leaves_early_without_an_error_has_failed(done, capsys):
    before = published(done)
    assert failing(done, *FIRST[:3], "import sys; sys.exit(0)", FIRST[3]) == 1
    assert "stopped before run.finish(), in In [6]" in capsys.readouterr().out
    assert published(done) == before


def test_a_killed_kernel_is_told_from_a_failed_cell(done, capsys):
    before = published(done)
    assert failing(done, *FIRST[:3], "import os; os._exit(137)", FIRST[3]) == 3
    assert "kernel died" in capsys.readouterr().out
    assert published(done) == before
    failed = nbformat.read(done.root / "outputs/toy/.01_dbke.failed.ipynb", as_version=4)
    statuses = [c.metadata.papermill.status for c in failed.cells if c.cell_type == "code"]
    assert statuses[-2:] == ["failed", "pending"]  # papermill says completed for both


def test_sigterm_reaches_the_kernel_and_leaves_a_state_to_resume(done, capsys):
    wait = (
        "import time\nrun.journal('answers', 1).append('q1', 'paid for')\n"
        "try:\n    time.sleep(60)\nfinally:\n    run.save_rows(['closed'], 'last')"
    )
    done.notebook("01_dbke", "study: str = 'mini_camel'\nseed: int = 0", FIRST[0], wait, FIRST[3])
    command = [sys.executable, "-m", "clinical_camel", "run", "toy"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    partial = done.root / "outputs/toy/.01_dbke.partial"
    deadline = time.monotonic() + 60
    while not list(partial.glob("journal_*")) and time.monotonic() < deadline:
        time.sleep(0.1)

    assert study.main(["run", "toy"]) == 4  # a second runner meanwhile
    assert f"being run by process {process.pid}" in capsys.readouterr().err
    assert states()["01_dbke"] == ("running", f"in process {process.pid}")

    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 143
    assert states()["01_dbke"][0] == "interrupted"
    assert "stopped by SIGTERM" in output
    assert "\r" not in output  # not a terminal
    assert (partial / "last.jsonl").exists()  # `finally` ran in the kernel
    assert "paid for" in (partial / "journal_answers.jsonl").read_text()


# ------------------------------------------------------------------------- the cleaned copy


def cleaned(*outputs) -> list:
    cell = nbformat.v4.new_code_cell("x", outputs=list(outputs))
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"widgets": {"a": 1}})
    execution.clean(notebook, "notebooks/x.ipynb", "outputs/x.ipynb")
    assert "widgets" not in notebook.metadata
    return notebook.cells[0].outputs


def stream(text: str, name: str = "stdout"):
    return nbformat.v4.new_output("stream", name=name, text=text)


def test_pieces_of_one_stream_become_one_output():
    outputs = cleaned(stream("1 %"), stream("\r2 %"), stream("\r3 %\n"), stream("oh\n", "stderr"))
    assert [(o.name, o.text) for o in outputs] == [("stdout", "3 %\n"), ("stderr", "oh\n")]


def test_a_widget_that_nobody_can_see_is_dropped():
    data = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}}
    assert cleaned(nbformat.v4.new_output("display_data", data=data)) == []


def test_a_home_directory_is_dropped_from_results_and_errors(project):
    home = Path.home().as_posix()
    result = nbformat.v4.new_output(
        "execute_result", data={"text/plain": f"{home}/x {project.root}/y"}
    )
    error = nbformat.v4.new_output("error", ename="E", evalue=f"{home}/x", traceback=[f"{home}/x"])
    first, second = cleaned(result, error)
    assert first.data["text/plain"] == "~/x y"
    assert (second.evalue, second.traceback) == ("~/x", ["~/x"])


def test_the_costs_of_complete_steps_are_read_from_their_records(project):
    record = {"study": "big", "step": "01_dbke", "seconds": 3.5, "peak_memory_mb": 700}
    record |= {"status": "complete", "device": {"cpu": "one", "threads": 1}}
    project.file("outputs/big/01_dbke/run.json", json.dumps(record))
    project.file("outputs/big/02_sft/run.json", json.dumps(record | {"status": "running"}))
    project.file("outputs/scratch/01_dbke/run.json", json.dumps(record))
    project.file("outputs/big/.01_dbke.previous/run.json", json.dumps(record))
    assert runs.costs().to_dict("records") == [
        {"study": "big", "step": "01_dbke", "seconds": 3.5, "peak_memory_mb": 700, "device": "one"}
    ]


# ---------------------------------------------------------------------------- the self-check


def tabled(project, study, values):
    folder = project.root / "outputs" / study / "03_eval_fewshot"
    folder.mkdir(parents=True)
    rows = "\n".join(f"{name},{value}" for name, value in values)
    (folder / "scores.csv").write_text(f"model,accuracy\n{rows}\n")


@pytest.mark.parametrize(
    ("there", "prediction", "says"),
    [
        (0.2, "lower", "accuracy: 0.5 here, 0.2 in the exercise: lower, as you said."),
        (0.7, "lower", "accuracy: 0.5 here, 0.7 in the exercise: higher, you had said lower."),
        (0.5, "same", "same, as you said"),
        (0.5, "", "Write your prediction first"),
    ],
)
def test_the_self_check_compares_the_exercise_with_the_study(
    there, prediction, says, project, capsys
):
    tabled(project, "toy", [("base", 0.1), ("tuned", 0.5)])
    tabled(project, "scratch", [("tuned", there)])
    where = "model == 'tuned'"
    runs.self_check("toy", "03_eval_fewshot", "scores", "accuracy", prediction, where)
    assert says in capsys.readouterr().out


def test_the_self_check_says_what_to_do_before_the_exercise(project, capsys):
    tabled(project, "toy", [("base", 0.1)])
    runs.self_check("toy", "03_eval_fewshot", "scores", "accuracy", "")
    assert "No outputs/scratch/03_eval_fewshot/scores.csv yet" in capsys.readouterr().out


def test_a_study_without_the_row_that_is_asked_for_is_not_compared(project, capsys):
    for study in ("toy", "scratch"):
        tabled(project, study, [("base", 0.1)])
    where = "model == 'tuned'"
    runs.self_check("toy", "03_eval_fewshot", "scores", "accuracy", "higher", where)
    assert "about mini_camel" in capsys.readouterr().out


def test_a_prediction_is_a_direction(project):
    with pytest.raises(ValueError, match="'up' is not one of higher, lower, same"):
        runs.self_check("toy", "03_eval_fewshot", "scores", "accuracy", "up")


def test_what_is_kept_outlives_the_result(step):
    first = begin()
    first.keep("ledger").write_text("paid for")
    first.finish("done")
    second = begin()
    assert second.keep("ledger").read_text() == "paid for"
    second.finish("again")
    assert not list((step.root / "outputs/toy/01_dbke").glob("*.sqlite"))
