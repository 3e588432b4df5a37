"""How well `data.overlaps` finds what was planted, and what it finds in the real sources.

Planted: of each public exam 100 questions, each with its right option, in the middle of a page of
MedQuAD: as it is; with other case, punctuation and white space; with 10 % and with 20 % of its
words replaced, dropped, inserted or exchanged; and 100 pages with nothing planted.
Real: each exam against each training source, against itself (its own copies), and the shipped
exams against the shipped training material. It writes contamination.csv, prints the speed, and
fails if a target is missed. Needs data/public (README, "Real data"); about two minutes.

    python benchmarks/contamination.py
"""

import random
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from clinical_camel import data
from clinical_camel.data import Question, contamination
from clinical_camel.data.contamination import KINDS

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
COUNT = 100  # planted questions of a kind and exam

Edit = Callable[[str, random.Random, Sequence[str]], str]


# ---------------------------------------------------------------------------------- what is planted


def as_it_is(text: str, rng: random.Random, others: Sequence[str]) -> str:
    return text


def case_and_punctuation(text: str, rng: random.Random, others: Sequence[str]) -> str:
    """Every mark is another mark, every space more or less of it, and the case is drawn by word."""
    marked = re.sub(r"[^\w\s]", lambda _: rng.choice([" ", ", ", " - ", "; ", "’ "]), text)
    spaced = re.sub(r"\s+", lambda _: rng.choice([" ", "  ", "\n", "\u00a0"]), marked)
    return re.sub(r"\w+", lambda m: rng.choice([m[0].upper(), m[0].lower(), m[0].title()]), spaced)


def edited(share: float) -> Edit:
    """So many of the words changed: half replaced, the others dropped, inserted or exchanged."""

    def edit(text: str, rng: random.Random, others: Sequence[str]) -> str:
        said = contamination.words(text)
        for _ in range(max(1, round(share * len(said)))):
            place = rng.randrange(len(said))
            how = rng.choice(["replace", "replace", "replace", "drop", "insert", "exchange"])
            if how == "drop" and len(said) > 1:
                del said[place]
            elif how == "insert":
                said.insert(place, rng.choice(others))
            elif how == "exchange" and place + 1 < len(said):
                said[place], said[place + 1] = said[place + 1], said[place]
            else:
                said[place] = rng.choice(others)
        return " ".join(said)

    return edit


EDITS: dict[str, Edit] = {
    "as it is": as_it_is,
    "case and punctuation": case_and_punctuation,
    "10 % of the words": edited(0.1),
    "20 % of the words": edited(0.2),
}
TARGETS = {"as it is": 1.0, "case and punctuation": 0.9}
TARGETS |= {"10 % of the words": 0.9, "20 % of the words": 0.9}
FALSE_ALARMS = 0.01  # of the pages with nothing planted


def planted(
    questions: Sequence[Question], pages: Sequence[str], count: int, seed: int
) -> pd.DataFrame:
    """Found of `count` planted questions for each edit, and pages with an overlap if there is none.

    The question of a page must be found in that page; whatever else is found counts nothing. In the
    last row, the pages themselves, whatever is found is false.
    """
    rng = random.Random(seed)
    chosen = rng.sample(list(questions), count)
    others = contamination.words(" ".join(question.question for question in questions))
    hosts = rng.sample(list(pages), count)
    rows = []
    for name, edit in EDITS.items():
        sources = []
        for question, page in zip(chosen, hosts, strict=True):
            text = f"{question.question}\n{question.options[question.answer]}"
            half = page.find(" ", len(page) // 2)
            sources.append(
                (question.id, f"{page[:half]}\n{edit(text, rng, others)}\n{page[half:]}")
            )
        found = data.overlaps(questions, sources)
        found = found[found["id"] == found["source"]]
        rows.append({"source": name, "asked": count} | counted(found))
    found = data.overlaps(questions, [(str(i), page) for i, page in enumerate(hosts)])
    row = {"source": "nothing planted", "asked": count} | counted(found)
    return pd.DataFrame([*rows, row | {"found": found["source"].nunique()}])


def counted(found: pd.DataFrame) -> dict[str, int]:
    """Questions that were found, in all and by the strongest kind of each."""
    strongest = found.assign(kind=found["kind"].map(KINDS.index)).groupby("id")
    kinds = strongest["kind"].min().map(dict(enumerate(KINDS))).value_counts()
    return {"found": len(strongest)} | {kind: int(kinds.get(kind, 0)) for kind in KINDS}


# -------------------------------------------------------------------------------- what is there


def texts(load: Callable, spec: str) -> list[tuple[str, str]]:
    return [(row.id, data.row_text(row)) for row in load(spec)]


def real(
    exams: dict[str, Sequence[Question]], sources: dict[str, list[tuple[str, str]]]
) -> pd.DataFrame:
    """Each exam in each source: the questions found, and how many by any 13 words (GPT-3)."""
    pages = [(f"{name}\t{page}", text) for name, rows in sources.items() for page, text in rows]
    rows = []
    for exam, questions in exams.items():
        every = data.overlaps(questions, pages, part=0.0)
        places = every["source"].str.split("\t").str[0]
        for name in sources:
            here = every[places == name]
            found = here[(here["kind"] != "13-gram") | (here["similarity"] >= contamination.PART)]
            row = {"benchmark": exam, "source": name, "asked": len(questions)}
            rows.append(row | counted(found) | {"found by any 13-gram": here["id"].nunique()})
    return pd.DataFrame(rows)


def copies(exams: dict[str, Sequence[Question]]) -> pd.DataFrame:
    """Each exam in itself: the questions of which another row holds a copy or a light edit."""
    rows = []
    for name, questions in exams.items():
        pages = [(question.id, data.row_text(question)) for question in questions]
        found = data.overlaps(questions, pages)
        found = found[found["id"] != found["source"]]
        rows.append(
            {"benchmark": name, "source": "itself", "asked": len(questions)} | counted(found)
        )
    return pd.DataFrame(rows)


def missed(table: pd.DataFrame) -> list[str]:
    """The rows of planted questions that miss their target, in words."""
    share = table["found"] / table["asked"]
    wanted = table["source"].map(TARGETS)
    bad = (share < wanted) | ((table["source"] == "nothing planted") & (share > FALSE_ALARMS))
    return [f"{r.benchmark}, {r.source}: {r.found} of {r.asked}" for r in table[bad].itertuples()]


def main() -> None:
    exams = {name: data.load_questions(spec) for name, spec in EXAMS.items()}
    sources = {name: texts(*place) for name, place in SOURCES.items()}
    pages = [text for _, text in sources["medquad"]]
    tables = [planted(rows, pages, COUNT, 0).assign(benchmark=name) for name, rows in exams.items()]
    table = pd.concat(tables).assign(part="planted")
    problems = missed(table)
    started = time.process_time()
    rows = [real(exams, sources).assign(part="real"), copies(exams).assign(part="real")]
    spent = time.process_time() - started
    mini = {name: data.load_questions(name) for name in ("mini_exam", "mini_exam_primer")}
    shipped = real(mini, {name: texts(*place) for name, place in SHIPPED.items()})
    columns = ["part", "benchmark", "source", "asked", "found", *KINDS, "found by any 13-gram"]
    table = pd.concat([table, *rows, shipped.assign(part="shipped")])[columns]
    whole = dict.fromkeys(columns[3:], "Int64")
    table.astype(whole).to_csv(
        (Path(__file__).with_name("results") / "contamination.csv"), index=False
    )
    read = sum(len(contamination.words(text)) for rows in sources.values() for _, text in rows)
    print(table.to_string(index=False))
    print(f"{len(exams) * read / spent:,.0f} words of source a second, for one exam")
    sys.exit("missed: " + "; ".join(problems) if problems else 0)


if __name__ == "__main__":
    main()
