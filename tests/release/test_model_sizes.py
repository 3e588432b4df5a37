"""The table of model sizes in README.md has the numbers of the runs, and compares equal exams."""

import json

import pytest
from tests.support.project import skip_if_rerun
from tests.support.toy_scores import scores

from clinical_camel import release
from clinical_camel.core.hashing import hash_file
from clinical_camel.core.paths import root
from clinical_camel.release.study_table import SIZES_BEGIN, SIZES_END
from clinical_camel.runner.jobs import PlanError

RECORD = {"study": "a", "step": "03_eval_fewshot", "status": "complete", "headline": ""}
RECORD |= {"seconds": 1.0, "attempts": [], "peak_memory_mb": 1, "device": {}}


def save(project, study, parameters, *rows, **same):
    """Write the scores and the run record of a study."""
    table = scores(*rows, **same).assign(variant="as_given")
    folder = f"outputs/{study}/03_eval_fewshot"
    file = project.file(f"{folder}/scores.csv", table.to_csv(index=False))
    model = "mini" if study.startswith("mini") else study
    record = RECORD | {"params": {"model": model}, "artefacts": {"scores.csv": hash_file(file)}}
    record["notes"] = {"parameters": parameters} if parameters else {}
    project.file(f"{folder}/run.json", json.dumps(record))


def test_the_table_of_the_readme_is_current():
    skip_if_rerun()
    text = (root() / "README.md").read_text(encoding="utf-8")
    table = text.partition(SIZES_BEGIN)[2].partition(SIZES_END)[0]
    assert table.strip() == release.format_size_table(), "run: python -m clinical_camel readme"


def test_each_exam_has_the_models_of_each_size_with_n_interval_and_chance(project):
    assert release.format_size_table() == "No study of this table has been run."
    base, tuned = {"model": "base", "correct": 320}, {"model": "tuned", "correct": 325}
    save(project, "mini_camel", 1_104_128, base, tuned, benchmark="mini_exam")
    save(project, "mini_camel_public", 1_104_128, base, tuned, base | {"protocol": "chat"})
    better = {"model": "tuned", "correct": 400}
    large = [base, better, *({**row, "benchmark": "mini_exam"} for row in (base, better))]
    save(project, "smollm2_135m", 134_515_008, *large)
    cells = "25.1 [22.8, 27.6] | 25.5 [23.2, 28.0] | 25.1 [22.8, 27.6] | 31.4 [28.9, 34.0]"
    assert release.format_size_table().splitlines() == [
        "| exam | n | chance | one answer | 1.1 M, before tuning | 1.1 M, after | "
        "135 M, before tuning | 135 M, after |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        f"| `mini_exam`, harness_2023, 5-shot | 1,273 | 25.0 | 30.0 | {cells} |",
        f"| `medqa_us`, harness_2023, 5-shot | 1,273 | 25.0 | 30.0 | {cells} |",
    ]


def test_the_protocol_that_both_sizes_have_is_shown(project):
    save(project, "mini_camel", 1_104_128, {"model": "base", "protocol": "chat"})
    large = [{"model": "base"}, {"model": "base", "protocol": "chat", "correct": 400}]
    save(project, "smollm2_135m", 134_515_008, *large)
    header, _, row = release.format_size_table().splitlines()
    assert (
        header == "| exam | n | chance | one answer | 1.1 M, before tuning | 135 M, before tuning |"
    )
    assert row.startswith("| `medqa_us`, chat, 5-shot |")
    assert "31.4 [28.9, 34.0]" in row


def test_a_control_study_adds_its_protocol_and_not_its_control(project):
    rows = [{"model": name, "protocol": "option_text"} for name in ("base", "raw", "dialogues")]
    save(project, "mini_camel", 1_104_128, {"model": "tuned", "protocol": "option_text"})
    save(project, "smollm2_135m_raw", 134_515_008, *rows)
    save(project, "smollm2_135m", 134_515_008, {"model": "base", "protocol": "chat"})
    header, _, row = release.format_size_table().splitlines()
    assert header.endswith("| 1.1 M, after | 135 M, before tuning | 135 M, after |")
    assert row.startswith("| `medqa_us`, option_text, 5-shot |")


def test_other_questions_are_not_compared_and_an_exam_of_one_size_is_left_out(project):
    save(project, "mini_camel_public", 0, {"n": 100, "correct": 25}, {"benchmark": "only_small"})
    save(project, "smollm2_135m", 134_515_008, {"correct": 320})
    header, _, *rows = release.format_size_table().splitlines()
    assert header == "| exam | n | chance | one answer | mini, after | 135 M, after |"
    (row,) = rows
    assert "| 1,273 | 25.0 | 30.0 | n = 100 | 25.1 [" in row


def test_an_old_record_has_the_size_of_its_base_model_from_another(project):
    save(project, "mini_camel", 1_104_128, {"model": "base"}, benchmark="mini_exam")
    save(project, "mini_camel_public", 0, {"model": "base"})
    header, _, *rows = release.format_size_table().splitlines()
    assert header == "| exam | n | chance | one answer | 1.1 M, before tuning |"
    assert len(rows) == 2


def test_scores_that_were_edited_are_refused(project):
    save(project, "mini_camel", 1_104_128, {})
    project.file("outputs/mini_camel/03_eval_fewshot/scores.csv", "benchmark\n")
    with pytest.raises(PlanError, match=r"scores.csv differs from its run record"):
        release.format_size_table()
