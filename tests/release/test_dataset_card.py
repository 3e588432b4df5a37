"""The card of a study's dialogues comes from the run record and tables of step 01."""

import json

import pytest

from clinical_camel import release
from clinical_camel.runner.jobs import PlanError

SOURCE = {"spec": "pages@data/p.jsonl", "label": "pages", "licence": "CC BY", "sha256": "ab" * 9}
RECORD = {
    "status": "complete",
    "commit": "c0ffee",
    "params": {
        "licences": {"pages": "own"},
        "support": "linked",
        "language": "en",
        "min_exchanges": 2,
        "near_duplicate_threshold": 0.9,
        "evaluation_sets": ["mini_exam"],
        "teacher": {"kind": "local", "dialogue_attempts": 3},
    },
    "notes": {
        "sources": [SOURCE],
        "teacher": {"name": "local", "model": "some/model", "terms": "permits it"},
    },
    "artefacts": {"dialogues.jsonl": "d1" * 32, "exam_dialogues.jsonl": "e2" * 32},
}
TABLES = {
    "summary": "source,requested,accepted,rejected\narticle,9,7,2\n",
    "articles": "licence,articles\nown,3\n",
    "rejection_reasons": "source,reason,dialogues,example\narticle,cut short,2,secret\n",
    "support": "support,source,dialogues,sentences,unsupported,rate,low,high\n"
    "linked,article,7,50,1,0.02,0.0035,0.105\n",
    "exam_questions": "benchmark,n,kind,questions,dialogues,rejected\nmini_exam,9,x,1,0,0\n",
}
FOLDER = "outputs/small/01_dbke"


def test_the_card_has_licences_counts_hashes_teacher_and_rejection_reasons(project):
    project.file(f"{FOLDER}/run.json", json.dumps(RECORD))
    with pytest.raises(PlanError, match=r"01_dbke has no summary.csv; run the step again"):
        release.format_dataset_card("small")
    for name, text in TABLES.items():
        project.file(f"{FOLDER}/{name}.csv", text)
    card = release.write_dataset_card("small").read_text(encoding="utf-8")
    for part in (
        "Research only",
        "c0ffee",
        "9 were requested, 2 rejected",
        "| dialogues.jsonl | 7 | d1d1d1d1d1d1d1d1 |",
        "| exam_dialogues.jsonl | 0 | e2e2e2e2e2e2e2e2 |",
        "| pages@data/p.jsonl | own | abababababababab |",
        "| own | 3 |",
        "local some/model; terms: permits it.",
        "| support | linked |",
        "| dialogue_attempts | 3 |",
        "| linked | article | 50 | 1 | 2.00% [0.35%, 10.50%] |",
        "| article | cut short | 2 |",
        "None was found.",
    ):
        assert part in card
    assert "secret" not in card  # an example may quote a text
