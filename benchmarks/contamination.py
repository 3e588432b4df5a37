"""Measure how well `data.find_overlaps` detects planted questions, and what real sources contain.

Planted: 100 questions per public exam, each with its correct option, in the middle of a MedQuAD
page: unchanged; with other case, punctuation and white space; with 10 % and with 20 % of its words
replaced, dropped, inserted or swapped; and 100 pages with nothing planted.
Real: each exam against each training source and against itself (copies), and the shipped exams
against the shipped training material. The script writes results/contamination.csv, prints the
speed, and fails if a target is missed. Needs data/public (docs/running.md, "Real data"); about two
minutes.

    python -m benchmarks.contamination
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from tests.support import public_data
from tests.support.planted_questions import FALSE_ALARMS, TARGETS, count_kinds, measure_planted

from clinical_camel import data
from clinical_camel.data import Question
from clinical_camel.data.contamination import KINDS, PART, split_words

EXAMS = {data.label(spec): spec for spec in public_data.EXAMS}
TRAINING = ("medqa_us dev", "medmcqa train, first 5", "mmlu_medical dev", "pubmedqa train")
SOURCES = {
    "medquad": public_data.MEDQUAD,
    "openstax_anatomy": public_data.OPENSTAX,
    "plos_medical": public_data.PLOS,
    **dict(zip(TRAINING, public_data.TRAINING, strict=True)),
    "sharegpt sample": public_data.SHAREGPT,
    "aci_bench train": public_data.ACI_TRAIN,
    "mts_dialog train": public_data.MTS_TRAIN,
    "primock57": public_data.PRIMOCK,
}
SHIPPED = ("mini_articles", "mini_exam_train", "mini_chat")
COUNT = 100  # planted questions per edit and exam


def load_texts(spec: str) -> list[tuple[str, str]]:
    load = data.load_consultations if spec in public_data.VISITS else data.load_sources
    return [(row.id, data.format_row(row)) for row in load(spec)]


def measure_sources(
    exams: dict[str, Sequence[Question]], sources: dict[str, list[tuple[str, str]]]
) -> pd.DataFrame:
    """Count the questions detected per exam and source, and those by any 13 words (GPT-3)."""
    pages = [(f"{name}\t{page}", text) for name, rows in sources.items() for page, text in rows]
    rows = []
    for exam, questions in exams.items():
        overlaps = data.find_overlaps(questions, pages, part=0.0)
        names = overlaps["source"].str.split("\t").str[0]
        for name in sources:
            here = overlaps[names == name]
            detected = here[(here["kind"] != "13-gram") | (here["similarity"] >= PART)]
            row = {"benchmark": exam, "source": name, "n": len(questions)} | count_kinds(detected)
            rows.append(row | {"detected by any 13-gram": here["id"].nunique()})
    return pd.DataFrame(rows)


def measure_copies(exams: dict[str, Sequence[Question]]) -> pd.DataFrame:
    """Count the questions of each exam that another row of it copies or edits lightly."""
    rows = []
    for name, questions in exams.items():
        pages = [(question.id, data.format_row(question)) for question in questions]
        overlaps = data.find_overlaps(questions, pages).query("id != source")
        row = {"benchmark": name, "source": "itself", "n": len(questions)}
        rows.append(row | count_kinds(overlaps))
    return pd.DataFrame(rows)


def check_targets(table: pd.DataFrame) -> list[str]:
    """Return the rows of planted questions that miss their target."""
    share = table["detected"] / table["n"]
    target = table["source"].map(TARGETS)
    bad = (share < target) | ((table["source"] == "nothing planted") & (share > FALSE_ALARMS))
    return [f"{r.benchmark}, {r.source}: {r.detected} of {r.n}" for r in table[bad].itertuples()]


def main() -> None:
    exams = {name: data.load_questions(spec) for name, spec in EXAMS.items()}
    sources = {name: load_texts(spec) for name, spec in SOURCES.items()}
    pages = [text for _, text in sources["medquad"]]
    tables = [
        measure_planted(rows, pages, COUNT, 0).assign(benchmark=name, part="planted")
        for name, rows in exams.items()
    ]
    planted = pd.concat(tables)
    problems = check_targets(planted)
    started = time.process_time()
    real = [measure_sources(exams, sources), measure_copies(exams)]
    seconds = time.process_time() - started
    mini = {name: data.load_questions(name) for name in ("mini_exam", "mini_exam_primer")}
    shipped = measure_sources(mini, {name: load_texts(name) for name in SHIPPED})
    columns = ["part", "benchmark", "source", "n", "detected", *KINDS, "detected by any 13-gram"]
    parts = [
        planted,
        *(table.assign(part="real") for table in real),
        shipped.assign(part="shipped"),
    ]
    table = pd.concat(parts)[columns].astype(dict.fromkeys(columns[3:], "Int64"))
    table.to_csv(Path(__file__).with_name("results") / "contamination.csv", index=False)
    words = sum(len(split_words(text)) for rows in sources.values() for _, text in rows)
    print(table.to_string(index=False))
    print(f"{len(exams) * words / seconds:,.0f} words of source a second, for one exam")
    sys.exit("missed: " + "; ".join(problems) if problems else 0)


if __name__ == "__main__":
    main()
