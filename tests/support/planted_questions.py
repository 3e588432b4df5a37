"""Plant edited exam questions in pages and count how many `data.find_overlaps` detects."""

import random
import re
from collections.abc import Callable, Sequence

import pandas as pd

from clinical_camel import data
from clinical_camel.data import Question
from clinical_camel.data.contamination import KINDS, split_words

LONG = (
    "A 54-year-old man with gout and a kidney stone wakes at night with a hot swollen toe after "
    "a wedding feast. Which drug lowers his uric acid for good?"
)
GOUT = Question(id="gout", question=LONG, options=["colchicine", "allopurinol"], answer=1)
FAINT = Question(
    id="faint",
    question="A young woman faints on standing after a week of vomiting. What is low?",
    options=["her potassium", "her mood"],
    answer=0,
)

Edit = Callable[[str, random.Random, Sequence[str]], str]


def keep_text(text: str, rng: random.Random, others: Sequence[str]) -> str:
    return text


def vary_form(text: str, rng: random.Random, others: Sequence[str]) -> str:
    """Change every punctuation mark, every space, and the case of every word at random."""
    marked = re.sub(r"[^\w\s]", lambda _: rng.choice([" ", ", ", " - ", "; ", "’ "]), text)
    spaced = re.sub(r"\s+", lambda _: rng.choice([" ", "  ", "\n", "\u00a0"]), marked)
    return re.sub(r"\w+", lambda m: rng.choice([m[0].upper(), m[0].lower(), m[0].title()]), spaced)


def edit_words(share: float) -> Edit:
    """Return an edit of this share of words: half replaced, others dropped, inserted or swapped."""

    def edit(text: str, rng: random.Random, others: Sequence[str]) -> str:
        words = split_words(text)
        for _ in range(max(1, round(share * len(words)))):
            i = rng.randrange(len(words))
            how = rng.choice(["replace", "replace", "replace", "drop", "insert", "swap"])
            if how == "drop" and len(words) > 1:
                del words[i]
            elif how == "insert":
                words.insert(i, rng.choice(others))
            elif how == "swap" and i + 1 < len(words):
                words[i], words[i + 1] = words[i + 1], words[i]
            else:
                words[i] = rng.choice(others)
        return " ".join(words)

    return edit


EDITS: dict[str, Edit] = {
    "as it is": keep_text,
    "case and punctuation": vary_form,
    "10 % of the words": edit_words(0.1),
    "20 % of the words": edit_words(0.2),
}
TARGETS = {"as it is": 1.0, "case and punctuation": 0.9}
TARGETS |= {"10 % of the words": 0.9, "20 % of the words": 0.9}
FALSE_ALARMS = 0.01  # of the pages with nothing planted


def measure_planted(
    questions: Sequence[Question], pages: Sequence[str], count: int, seed: int
) -> pd.DataFrame:
    """Count detected questions of `count` planted ones per edit, and pages with a false alarm.

    A question must be found in its own page; other matches do not count. In the last row nothing is
    planted, so every match is false.
    """
    rng = random.Random(seed)
    selected = rng.sample(list(questions), count)
    others = split_words(" ".join(question.question for question in questions))
    hosts = rng.sample(list(pages), count)
    rows = []
    for name, edit in EDITS.items():
        sources = []
        for question, page in zip(selected, hosts, strict=True):
            text = f"{question.question}\n{question.options[question.answer]}"
            half = page.find(" ", len(page) // 2)
            sources.append(
                (question.id, f"{page[:half]}\n{edit(text, rng, others)}\n{page[half:]}")
            )
        overlaps = data.find_overlaps(questions, sources)
        overlaps = overlaps[overlaps["id"] == overlaps["source"]]
        rows.append({"source": name, "n": count} | count_kinds(overlaps))
    overlaps = data.find_overlaps(questions, [(str(i), page) for i, page in enumerate(hosts)])
    row = {"source": "nothing planted", "n": count} | count_kinds(overlaps)
    return pd.DataFrame([*rows, row | {"detected": overlaps["source"].nunique()}])


def count_kinds(overlaps: pd.DataFrame) -> dict[str, int]:
    """Count the detected questions, in total and by the strongest kind of each."""
    strongest = overlaps.assign(kind=overlaps["kind"].map(KINDS.index)).groupby("id")
    kinds = strongest["kind"].min().map(dict(enumerate(KINDS))).value_counts()
    return {"detected": len(strongest)} | {kind: int(kinds.get(kind, 0)) for kind in KINDS}
