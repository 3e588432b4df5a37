"""The table of studies in README.md is that of params/ and the committed run records."""

import json
from pathlib import Path

import pytest
from tests.support import toy_results, toy_sweep
from tests.support.project import skip_if_rerun

from clinical_camel import release
from clinical_camel.core.paths import root
from clinical_camel.release.study_table import (
    BEGIN,
    END,
    FINDINGS_BEGIN,
    FINDINGS_END,
    SIZES_BEGIN,
    SIZES_END,
    read_purpose,
)
from clinical_camel.runner.jobs import PlanError

REPOSITORY = Path(__file__).parents[2]
RECORD = {"status": "complete", "seconds": 90.0, "peak_memory_mb": 2000, "headline": "ROUGE-L 0.5"}
RECORD |= {"device": {"cpu": "A chip", "threads": 1}, "study": "a", "step": "x", "attempts": []}
RECORD |= {"params": {}, "notes": {}, "artefacts": {}}


@pytest.fixture
def study(project):
    """Study `a` with two steps and a run of each, study `b` without a run."""
    project.params("a", "02_sft_qlora", "# What a is,\n# in one sentence.\n#\n# More.\nstudy: a\n")
    project.params("a", "04_note_synthesis", "# Notes.\nstudy: a\n")
    project.params("b", "02_sft_qlora", "# What b is.\nstudy: b\n")
    first = RECORD | {"headline": "9 dialogues", "peak_memory_mb": 1000, "seconds": 30.0}
    project.file("outputs/a/02_sft_qlora/run.json", json.dumps(first))
    project.file("outputs/a/04_note_synthesis/run.json", json.dumps(RECORD))
    return project


def read_cells(table: str, row: int) -> list[str]:
    return [cell.strip() for cell in table.splitlines()[row + 2].strip("|").split("|")]


def test_the_table_of_the_readme_is_current():
    skip_if_rerun()
    text = (root() / "README.md").read_text(encoding="utf-8")
    if BEGIN not in text:
        pytest.skip("README.md has no markers for the table of studies")
    table = text.partition(BEGIN)[2].partition(END)[0]
    message = "run: python -m clinical_camel readme"
    assert table.strip() == release.format_study_table(), message


def test_a_row_has_state_time_and_memory_and_a_fold_the_headline(study):
    table, _, fold = release.format_study_table().partition("\n\n")
    columns = ["study", "what it is", "state", "minutes, summed over tasks, A chip (CPU)"]
    header = f"| {' | '.join([*columns, 'peak memory (GB)'])} |"
    assert table.startswith(header)
    assert read_cells(table, 0) == [
        "[a](params/a)",
        "What a is, in one sentence.",
        "[tables](outputs/a)",
        "2",
        "2.1",
    ]
    assert fold.startswith("<details><summary>Headlines of these studies; more studies: 1 not run")
    assert "</summary>\n\n[a](params/a): ROUGE-L 0.5<br><br>[b](params/b): What b is." in fold
    for step in ("02_sft_qlora", "04_note_synthesis"):
        study.file(f"outputs/a/{step}.ipynb", "{}")
    assert read_cells(release.format_study_table(), 0)[2] == "[results](outputs/a)"


def test_an_interrupted_attempt_counts_in_the_minutes(study):
    resumed = RECORD | {"attempts": [{"seconds": 300.0}, {}]}
    study.file("outputs/a/04_note_synthesis/run.json", json.dumps(resumed))
    assert read_cells(release.format_study_table(), 0)[3] == "7"  # 30 + 90 + 300 seconds


def test_a_result_that_was_edited_is_named_and_gives_no_row(study):
    hashes = {"artefacts": {"scores.csv": "0" * 64}}
    study.file("outputs/a/04_note_synthesis/run.json", json.dumps(RECORD | hashes))
    assert "ROUGE-L" in release.format_study_table()  # a file that is not in the clone
    study.file("outputs/a/04_note_synthesis/scores.csv", "x\n")
    with pytest.raises(PlanError, match=r"a: 04_note_synthesis scores.csv differs from its run"):
        release.format_study_table()


def test_an_incomplete_study_has_the_number_of_its_steps(study):
    record = RECORD | {"status": "failed"}
    study.file("outputs/a/04_note_synthesis/run.json", json.dumps(record))
    cells = read_cells(release.format_study_table(), 0)
    assert cells[2] == "[tables](outputs/a), 1 of 2 steps"
    assert "[a](params/a): 9 dialogues" in release.format_study_table()


def test_studies_of_two_machines_have_a_column_for_them_and_a_headline_is_escaped(study):
    other = RECORD | {"device": {"cpu": "B chip", "threads": 1}, "headline": "p < 0.05"}
    study.file("outputs/b/02_sft_qlora/run.json", json.dumps(other))
    text = release.format_study_table()
    assert [read_cells(text, row)[3] for row in (0, 1)] == ["A chip (CPU)", "B chip (CPU)"]
    assert "[b](params/b): p &lt; 0.05" in text


def test_a_study_without_a_run_is_last_and_has_no_numbers(study):
    study.params("0", "02_sft_qlora", "# First by name.\nstudy: 0\n")
    lines = release.format_study_table().splitlines()
    assert read_cells("\n".join(lines[:3]), 0)[0] == "[a](params/a)"
    assert "params/0" not in "\n".join(lines[:3])
    assert lines[4].endswith("; more studies: 2 not run yet</summary>")
    assert lines[6].endswith("<br><br>[0](params/0): First by name.<br>[b](params/b): What b is.")


def test_a_study_that_trains_no_model_is_in_the_fold_with_its_headline(study):
    study.params("c", "01_dbke", "# Step 01 alone.\nstudy: c\n")
    record = RECORD | {"headline": "9 dialogues"}
    study.file("outputs/c/01_dbke/run.json", json.dumps(record))
    table, _, fold = release.format_study_table().partition("; more studies: ")
    assert "params/c" not in table
    assert fold.startswith("1 that train no model, 1 not run yet</summary>")
    study.params("d", "03_eval_fewshot", "# Models of another study.\nstudy: d\n")
    study.file("outputs/d/03_eval_fewshot/run.json", json.dumps(record))
    assert "2 that train no model" in release.format_study_table()
    assert "[c](params/c): Step 01 alone. [tables](outputs/c): 9 dialogues.<br>[b]" in fold


@pytest.fixture
def sweep(project):
    """The sweep `many` of `toy_sweep`, and its base study."""
    toy_sweep.build(project)
    for file in sorted((project.root / "params/toy").glob("*.yaml")):
        file.write_text(f"# What toy is.\n{file.read_text()}")
    return project


def test_a_sweep_is_described_by_its_own_file(sweep):
    text = "[many](params/many): Two forms, one of them with two rates.<br>"
    assert text in release.format_study_table()


def test_the_runs_of_a_sweep_are_counted_before_its_final_step_has_run(sweep):
    place = "outputs/many/qa_d0_t1/02_second/run.json"
    sweep.file(place, json.dumps(RECORD))
    fold = release.format_study_table()
    assert "one of them with two rates. [tables](outputs/many), 1 of 6 runs." in fold
    assert "More studies: 1 whose final step has not run, 1 not run yet" in fold
    sweep.file(place, json.dumps(RECORD | {"status": "incomplete"}))
    assert "final step" not in release.format_study_table()


def test_the_minutes_of_a_sweep_are_those_of_its_runs_too(sweep):
    """Step 01 of a run has no committed record, so they are a part."""
    long = RECORD | {"seconds": 600, "peak_memory_mb": 4000}
    sweep.file("outputs/many/qa_d0_t1/02_second/run.json", json.dumps(long))
    sweep.params("many", "03_third", "# The third step.\nstudy: many\n")
    sweep.file("outputs/many/03_third/run.json", json.dumps(RECORD | {"seconds": 30}))
    row = release.format_study_table().splitlines()[2]
    cells = [cell.strip() for cell in row.split("|")]
    assert "[tables](outputs/many), 1 of 6 runs" in cells
    assert {"over 10", "4.2"} <= set(cells)


def test_a_params_file_without_a_comment_is_named(project):
    file = project.params("a", "02_sft_qlora", "study: a\n")
    with pytest.raises(PlanError, match=r"02_sft_qlora.yaml: no comment in its first line"):
        read_purpose(file)


def test_the_readme_keeps_everything_outside_the_markers(study):
    file = study.file("README.md", "no markers\n")
    with pytest.raises(PlanError, match="README.md: no markers for the table"):
        release.update_readme(file)
    assert file.read_text(encoding="utf-8") == "no markers\n"
    file.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    release.update_readme(file)
    text = file.read_text(encoding="utf-8")
    assert text == f"before\n{BEGIN}\n{release.format_study_table()}\n{END}\nafter\n"
    file.write_text(f"{text}{SIZES_BEGIN}\nold\n{SIZES_END}\nend\n", encoding="utf-8")
    release.update_readme(file)
    sizes = f"{SIZES_BEGIN}\n{release.format_size_table()}\n{SIZES_END}\nend\n"
    assert file.read_text(encoding="utf-8") == text + sizes


@pytest.fixture
def without_results(project):
    """The params and notebooks of this repository, without any result."""
    for name in ("params", "notebooks"):
        (project.root / name).rmdir()
        (project.root / name).symlink_to(REPOSITORY / name)
    (project.root / "experiments/results").mkdir(parents=True)
    return project


def test_the_findings_are_written_between_their_markers(without_results):
    text = f"before\n{FINDINGS_BEGIN}\n{FINDINGS_END}\n{BEGIN}\n{END}\n"
    file = without_results.file("README.md", text)
    release.update_readme(file)
    findings = file.read_text(encoding="utf-8").partition(FINDINGS_END)[0]
    assert findings == f"before\n{FINDINGS_BEGIN}\n{release.format_findings()}\n"
    assert "1. **Not run, or not finished:** dialogues against raw" in findings


def test_an_edited_table_is_refused(without_results):
    toy_results.save_control(without_results)
    assert "before tuning 60.0 %" in release.format_findings()
    without_results.file("outputs/mini_camel_raw/03_eval_fewshot/scores.csv", "x\n")
    with pytest.raises(PlanError, match=r"scores.csv is missing or differs from its run record"):
        release.format_findings()
