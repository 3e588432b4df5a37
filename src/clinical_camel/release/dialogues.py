"""The dialogues of a study: their card, with licences, counts, hashes, teacher and reasons."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from clinical_camel.core.paths import root
from clinical_camel.release.records import WRITING, markdown, record_of, shown, table_of
from clinical_camel.runner.jobs import PlanError

DATASET_CARD = """---
license: other
license_name: those of the sources, below
---

# {title}

**Research only: not for use in care.** No clinician has reviewed what these dialogues say.

## What it is

{what}

{files}

## Sources and their licences

A dialogue stands under the licence of the text that it was written from.

{sources}

{licences}

## Teacher

{teacher}

## Checks

{checks}

{support}

Intervals are 95 % (Wilson), over sentences as if they were independent.

## Set aside

{aside}

## Questions of evaluation sets

{exams}

## To repeat

```
git checkout {commit}
python -m clinical_camel run {study} 01
```
"""


def write_dataset_card(study: str) -> Path:
    """Writes outputs/<study>/DATASET_CARD.md from the study's own run; returns where."""
    place = root() / "outputs" / study / "DATASET_CARD.md"
    place.write_text(dataset_card(study), encoding="utf-8")
    return place


def dataset_card(study: str) -> str:
    """The card of a study's dialogues as Markdown; PlanError while step 01 is not complete."""
    record = record_of(study, WRITING)
    params, notes = record["params"], record["notes"]
    tables = ("summary", "articles", "reasons", "support", "exam_questions")
    try:
        summary, articles, reasons, support, exams = (table_of(study, WRITING, n) for n in tables)
    except FileNotFoundError as error:
        name = Path(error.filename).name
        raise PlanError(f"{study}: {WRITING} has no {name}; run it again first") from None
    total = summary[["requested", "accepted", "set_aside"]].sum()
    what = (
        f"{total['accepted']} dialogues, written by step 01 of the open study of Clinical Camel "
        f"from {articles['articles'].sum()} articles and from training questions; "
        f"{total['requested']} were requested, {total['set_aside']} set aside. Fields of a row: "
        "`id`, `source` (article or exam), `messages` (`role` and `content`, in turn)."
    )
    files = [
        {"file": name, "rows": int(rows), "sha256": record["artefacts"][name][:16]}
        for name, rows in (
            ("dialogues.jsonl", _accepted(summary, "article")),
            ("exam_dialogues.jsonl", _accepted(summary, "exam")),
        )
    ]
    sources = [
        {
            "source": source["spec"],
            "licence": params["licences"].get(source["label"]) or source["licence"],
            "hash or revision": (source.get("sha256") or source["revision"])[:16],
        }
        for source in notes["sources"]
    ]
    teacher = notes["teacher"]
    names = ("support", "language", "min_exchanges", "near_duplicate", "tries", "evaluation_sets")
    checks = [{"parameter": name, "value": shown(params[name])} for name in names]
    held = exams[exams["dialogues"] > 0]
    return DATASET_CARD.format(
        title=f"{study}: dialogues of the open study of Clinical Camel",
        what=what,
        files=markdown(files),
        sources=markdown(sources),
        licences=markdown(articles.to_dict("records")),
        teacher=f"{teacher['name']} {teacher['model']}".rstrip() + f"; terms: {teacher['terms']}.",
        checks=markdown(checks),
        support=markdown([_rate(row) for row in support.to_dict("records")]),
        aside=markdown(reasons[["source", "reason", "dialogues"]].to_dict("records"))
        if len(reasons)
        else "None.",
        exams=markdown(held.to_dict("records")) if len(held) else "None was found.",
        commit=record["commit"],
        study=study,
    )


def _accepted(summary: pd.DataFrame, source: str) -> int:
    return summary.loc[summary["source"] == source, "accepted"].sum()


def _rate(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: row[name] for name in ("reading", "source", "sentences", "unsupported")}
    interval = f"[{row['low']:.2%}, {row['high']:.2%}]"
    return kept | {"rate": f"{row['rate']:.2%} {interval}" if row["sentences"] else "none"}
