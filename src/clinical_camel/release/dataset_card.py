"""The card of a study's dialogues: licences, counts, hashes, teacher, rejection reasons."""

from pathlib import Path
from typing import Any

from clinical_camel import data
from clinical_camel.core.paths import root
from clinical_camel.dbke.settings import FORMS
from clinical_camel.release.records import (
    SYNTHESIS,
    format_settings,
    format_table,
    load_table,
    require_artefact,
    require_record,
)

CARD = """---
license: other
license_name: those of the sources, below
---

# {study}: dialogues of the open study of Clinical Camel

**Research only: not for use in care.** No clinician has read these dialogues.

## What it is

{summary}

{files}

## Sources and their licences

A dialogue has the licence of its source text.

{sources}

{licences}

{credits}

## Teacher

{teacher}

## Checks

{checks}

{support}

Intervals are 95 % (Wilson). They treat the sentences as independent.

## Rejected dialogues

{reasons}

## Questions of evaluation sets

{exams}

## How to reproduce

```
git checkout {commit}
python -m clinical_camel run {study} 01
```
"""
CHECKS = ("support", "language", "min_exchanges", "near_duplicate_threshold", "evaluation_sets")


def write_dataset_card(study: str) -> Path:
    """Write outputs/<study>/DATASET_CARD.md from the study's own run; return the file."""
    file = root() / "outputs" / study / "DATASET_CARD.md"
    file.write_text(format_dataset_card(study), encoding="utf-8")
    return file


def format_dataset_card(study: str) -> str:
    """Return the card of a study's dialogues. Raises PlanError while step 01 is not complete."""
    record = require_record(study, SYNTHESIS)
    params, notes = record["params"], record["notes"]
    for name in ("dialogues.jsonl", "exam_dialogues.jsonl"):
        require_artefact(study, SYNTHESIS, name)
    names = ("summary", "articles", "rejection_reasons", "support", "exam_questions")
    summary, articles, reasons, support, exams = (load_table(study, SYNTHESIS, n) for n in names)
    total = summary[["requested", "accepted", "rejected"]].sum()
    accepted = summary.set_index("source")["accepted"]
    rows = {name: int(accepted.get(name, 0)) for name in ("article", "exam")}
    rows["article"] = notes.get("rows", rows["article"])  # a form may have more rows than dialogues
    files = [
        {
            "file": name,
            "rows": rows[source],
            "sha256": record["artefacts"][name][:16],
        }
        for name, source in (("dialogues.jsonl", "article"), ("exam_dialogues.jsonl", "exam"))
    ]
    sources = [
        {
            "source": source["spec"],
            "licence": _state_licence(source, params),
            "hash or revision": (source.get("sha256") or source["revision"])[:16],
        }
        for source in notes["sources"]
    ]
    teacher = notes["teacher"]
    questions = " and from training questions" if "exam" in set(summary["source"]) else ""
    checks = {name: params[name] for name in CHECKS}
    if "dialogue_attempts" in params["teacher"]:
        checks["dialogue_attempts"] = params["teacher"]["dialogue_attempts"]
    reasons = reasons[["source", "reason", "dialogues"]]  # an example may quote a text
    exams = exams[exams["dialogues"] > 0]
    return CARD.format(
        study=study,
        summary=(
            f"{total['accepted']} dialogues from {articles['articles'].sum()} articles{questions}, "
            "written by step 01 of the open study of Clinical Camel. "
            f"{total['requested']} were requested, {total['rejected']} rejected. Fields of a row: "
            "`id`, `source` (article or exam), `messages` (a list of `role` and `content`)."
            + _describe_form(params.get("form", "dialogue"))
        ),
        files=format_table(files),
        sources=format_table(sources),
        licences=format_table(articles.to_dict("records")),
        credits=format_table(data.list_attributions([s["spec"] for s in notes["sources"]])),
        teacher=_describe_teacher(teacher),
        checks=format_settings(checks),
        support=format_table([_format_rate(row) for row in support.to_dict("records")]),
        reasons=format_table(reasons.to_dict("records")) if len(reasons) else "None.",
        exams=format_table(exams.to_dict("records")) if len(exams) else "None was found.",
        commit=record["commit"],
    )


def _describe_form(form: str) -> str:
    """Return what dialogues.jsonl has instead of the dialogues; "" for the dialogues themselves."""
    if form == "dialogue":
        return ""
    return (
        f"\n\nThe article dialogues are saved in the form `{form}`: {FORMS[form]}. A row that is "
        "an article has the fields `id`, `title`, `sections` (a list of `heading` and `text`), "
        "`licence`, `group` (its source article)."
    )


def _describe_teacher(teacher: dict[str, Any]) -> str:
    """Return the teacher in words; of recorded replies also who wrote them and when."""
    text = f"{teacher['name']} {teacher['model']}".rstrip() + f"; terms: {teacher['terms']}."
    if "written_by" not in teacher:
        return text
    return (
        f"{text}\n\nThe replies are recorded: {teacher['written_by']} wrote them. The ledger has "
        f"{teacher['replies']:,} replies to {teacher['prompts']:,} prompts, of this study and "
        f"perhaps of others, recorded on {teacher['recorded']}. SHA-256 over the hashes of their "
        f"prompts: `{teacher['prompts_sha256']}`. The checks below decided which replies became "
        "dialogues; no reply was edited."
    )


def _state_licence(source: dict[str, Any], params: dict[str, Any]) -> str:
    """Return the licence of a source of questions; the table of articles states theirs."""
    if source["spec"] in params["articles"]:
        return "see the next table"
    return params["licences"].get(source["label"]) or source["licence"]


def _format_rate(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of the support table with its rate and interval as one text."""
    rate = f"{row['rate']:.2%} [{row['low']:.2%}, {row['high']:.2%}]"
    numbers = {name: row[name] for name in row if name not in ("dialogues", "rate", "low", "high")}
    return numbers | {"rate": rate if row["sentences"] else "none"}
