"""The card of a study's dialogues comes from the run record and tables of step 01."""

import hashlib
import json
import shutil

import pytest
import yaml

from clinical_camel import dbke, release
from clinical_camel.core.paths import root
from clinical_camel.runner.jobs import PlanError

NOTEBOOKS = root() / "notebooks"
SOURCE = {"spec": "mini_articles", "label": "mini_articles", "licence": "CC BY"}
SETTINGS = dbke.Synthesis(
    study="small",
    licences={"mini_articles": "own"},
    support="linked",
    teacher={"kind": "local", "model": "some/model", "terms": "open", "dialogue_attempts": 3},
)
RECORD = {
    "study": "small",
    "step": "01_dbke",
    "status": "complete",
    "headline": "9 dialogues",
    "seconds": 1.0,
    "attempts": [],
    "peak_memory_mb": 100,
    "device": {},
    "commit": "c0ffee",
    "params": SETTINGS.model_dump(),
    "notes": {
        "sources": [SOURCE | {"sha256": "ab" * 9}],
        "teacher": {"name": "local", "model": "some/model", "terms": "permits it"},
    },
}
TABLES = {
    "summary": "source,requested,accepted,rejected\narticle,9,7,2\n",
    "articles": "licence,articles\nown,3\n",
    "rejection_reasons": "source,reason,dialogues,example\narticle,cut short,2,secret\n",
    "support": "replies,support,source,dialogues,sentences,unsupported,rate,low,high\n"
    "accepted,linked,article,7,50,1,0.02,0.0035,0.105\n",
    "exam_questions": "benchmark,n,kind,questions,dialogues,rejected\nmini_exam,9,x,1,0,0\n",
}
FILES = {f"{name}.csv": text for name, text in TABLES.items()}
FILES |= {"dialogues.jsonl": "{}\n", "exam_dialogues.jsonl": ""}
FOLDER = "outputs/small/01_dbke"


@pytest.fixture
def study(project):
    """A project with the result of step 01 and its run record."""
    shutil.copytree(NOTEBOOKS, project.root / "notebooks", dirs_exist_ok=True)
    project.params("small", "01_dbke", yaml.safe_dump(SETTINGS.model_dump()))
    for name, text in FILES.items():
        project.file(f"{FOLDER}/{name}", text)
    hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in FILES.items()}
    project.file(f"{FOLDER}/run.json", json.dumps(RECORD | {"artefacts": hashes}))
    return project


def test_the_card_has_licences_counts_hashes_teacher_and_rejection_reasons(study):
    card = release.write_dataset_card("small").read_text(encoding="utf-8")
    for part in (
        "Research only",
        "c0ffee",
        "7 dialogues from 3 articles, written by step 01",
        "9 were requested, 2 rejected",
        "| dialogues.jsonl | 7 | ca3d163bab055381 |",
        "| exam_dialogues.jsonl | 0 | e3b0c44298fc1c14 |",
        "| mini_articles | see the next table | abababababababab |",
        "| own | 3 |",
        "| mini_articles | Written by language models for this project; no clinician has read it.",
        "local some/model; terms: permits it.",
        "| support | linked |",
        "| dialogue_attempts | 3 |",
        "| accepted | linked | article | 50 | 1 | 2.00% [0.35%, 10.50%] |",
        "| article | cut short | 2 |",
        "None was found.",
    ):
        assert part in card
    assert "secret" not in card  # an example may quote a text


def test_the_card_of_another_form_has_its_rows_and_says_what_they_are(study):
    hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in FILES.items()}
    changed = {"params": SETTINGS.model_copy(update={"form": "qa"}).model_dump()}
    changed["notes"] = RECORD["notes"] | {"form": "qa", "rows": 35}
    record = RECORD | {"artefacts": hashes} | changed
    study.file(f"{FOLDER}/run.json", json.dumps(record))
    study.params("small", "01_dbke", yaml.safe_dump(changed["params"]))
    card = release.write_dataset_card("small").read_text(encoding="utf-8")
    assert "| dialogues.jsonl | 35 | ca3d163bab055381 |" in card
    assert "in the form `qa`: a dialogue per question and answer. A row that is an article" in card


def test_the_card_of_recorded_replies_says_who_wrote_them_and_when(study):
    hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in FILES.items()}
    recorded = {"written_by": "a large language model", "recorded": "2026-11-28"}
    recorded |= {"replies": 1234, "prompts": 1200}
    notes = RECORD["notes"] | {"teacher": RECORD["notes"]["teacher"] | recorded}
    notes["teacher"]["prompts_sha256"] = "abc123"
    study.file(f"{FOLDER}/run.json", json.dumps(RECORD | {"artefacts": hashes, "notes": notes}))
    card = " ".join(release.format_dataset_card("small").split())
    assert "a large language model wrote them. The ledger has 1,234 replies to 1,200" in card
    assert "recorded on 2026-11-28. SHA-256 over the hashes of their prompts: `abc123`" in card
    assert "No clinician has read these dialogues." in card


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_not_as_the_run_wrote_it_gives_no_card(name, study):
    file = study.root / FOLDER / name
    file.write_text("edited\n")
    with pytest.raises(PlanError, match=f"{name} differs from its run record.*; run the step ag"):
        release.format_dataset_card("small")
    file.unlink()
    with pytest.raises(PlanError, match=f"small: 01_dbke has no {name}"):
        release.format_dataset_card("small")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"status": "complete"}', "01_dbke/run.json is damaged"),
        ("", "01_dbke/run.json is damaged"),
        (json.dumps(RECORD | {"artefacts": {}, "status": "failed"}), "is not complete"),
        (
            json.dumps(RECORD | {"artefacts": {}, "params": {"support": "verbatim"}}),
            "ran with other values of support",
        ),
    ],
)
def test_a_damaged_or_other_run_record_gives_no_card(content, problem, study):
    study.file(f"{FOLDER}/run.json", content)
    with pytest.raises(PlanError, match=problem):
        release.format_dataset_card("small")
