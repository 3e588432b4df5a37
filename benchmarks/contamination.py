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
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
from tests.support.planted_questions import FALSE_ALARMS, TARGETS, count_kinds, measure_planted

from clinical_camel import data
from clinical_camel.data import Question
from clinical_camel.data.contamination import KINDS, PART, split_words

PUBLIC = "data/public"
EXAMS = {
    "medqa_us": f"medqa_us@{PUBLIC}/medqa_us/medqa_us_test_shared.jsonl",
    "medmcqa": f"medmcqa@{PUBLIC}/medmcqa/medmcqa_validation_shared.jsonl",
    "mmlu_medical": f"mmlu_medical@{PUBLIC}/mmlu_med/mmlu_med_test_shared.jsonl",
    "pubmedqa": f"pubmedqa@{PUBLIC}/pubmedqa/pubmedqa_test_shared.jsonl",
    "medqa_mcmle": f"medqa_mcmle@{PUBLIC}/medqa_mcmle/medqa_mcmle_test_shared.jsonl",
}
MEDQUAD = f"medquad@{PUBLIC}/medquad/medquad_answered.jsonl.gz"
SOURCES = {
    "medquad": (data.load_articles, MEDQUAD),
    "openstax_anatomy": (
        data.load_articles,
        f"openstax_anatomy@{PUBLIC}/openstax_anatomy/openstax_anatomy_modules.jsonl",
    ),
    "plos_medical": (
        data.load_articles,
        f"plos_medical@{PUBLIC}/plos_medical/plos_medical_articles.jsonl",
    ),
    "medqa_us dev": (
        data.load_training_questions,
        f"medqa_us_train@{PUBLIC}/medqa_us/medqa_us_dev.jsonl",
    ),
    "medmcqa train, first 5": (
        data.load_training_questions,
        f"medmcqa_train@{PUBLIC}/medmcqa/medmcqa_train_first5.jsonl",
    ),
    "mmlu_medical dev": (
        data.load_training_questions,
        f"mmlu_medical_dev@{PUBLIC}/mmlu_med/mmlu_med_dev.jsonl",
    ),
    "pubmedqa train": (
        data.load_training_questions,
        f"pubmedqa_train@{PUBLIC}/pubmedqa/pubmedqa_train.jsonl",
    ),
    "sharegpt sample": (
        data.load_dialogues,
        f"sharegpt@{PUBLIC}/sharegpt_format/dummy_conversation.jsonl",
    ),
    "aci_bench train": (
        data.load_consultations,
        f"aci_bench@{PUBLIC}/aci_bench/aci_bench_train.jsonl",
    ),
    "mts_dialog train": (
        data.load_consultations,
        f"mts_dialog@{PUBLIC}/mts_dialog/mts_dialog_train.jsonl",
    ),
    "primock57": (data.load_consultations, f"primock57@{PUBLIC}/primock57/primock57.jsonl"),
}
SHIPPED = {
    "mini_articles": (data.load_articles, "mini_articles"),
    "mini_exam_train": (data.load_training_questions, "mini_exam_train"),
    "mini_chat": (data.load_dialogues, "mini_chat"),
}
COUNT = 100  # planted questions per edit and exam


def load_texts(load: Callable, spec: str) -> list[tuple[str, str]]:
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
            is_long = here["similarity"] >= PART
            detected = here[(here["kind"] != "13-gram") | is_long]
            row = {"benchmark": exam, "source": name, "n": len(questions)}
            row |= count_kinds(detected)
            rows.append(row | {"detected by any 13-gram": here["id"].nunique()})
    return pd.DataFrame(rows)


def measure_copies(exams: dict[str, Sequence[Question]]) -> pd.DataFrame:
    """Count the questions of each exam that another row of it copies or edits lightly."""
    rows = []
    for name, questions in exams.items():
        pages = [(question.id, data.format_row(question)) for question in questions]
        overlaps = data.find_overlaps(questions, pages)
        overlaps = overlaps[overlaps["id"] != overlaps["source"]]
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
    sources = {name: load_texts(*source) for name, source in SOURCES.items()}
    pages = [text for _, text in sources["medquad"]]
    tables = [
        measure_planted(rows, pages, COUNT, 0).assign(benchmark=name)
        for name, rows in exams.items()
    ]
    planted = pd.concat(tables).assign(part="planted")
    problems = check_targets(planted)
    started = time.process_time()
    real = [measure_sources(exams, sources), measure_copies(exams)]
    seconds = time.process_time() - started
    mini = {name: data.load_questions(name) for name in ("mini_exam", "mini_exam_primer")}
    shipped = measure_sources(mini, {name: load_texts(*place) for name, place in SHIPPED.items()})
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
