"""What is wrong with a dialogue only beside others: it nearly repeats one, or asks an exam's item.

Each dialogue has passed the checks by itself. No teacher is asked again for one that is found here:
it did what it was told.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from clinical_camel import data, grounding
from clinical_camel.data import Dialogue, Question
from clinical_camel.data.contamination import KINDS

NEARLY = 0.9  # from this similarity on a light edit of a question is that question
EXAM = ["benchmark", "n", "kind", "questions", "dialogues", "set_aside"]


def weed(
    dialogues: Sequence[Dialogue],
    aside: pd.DataFrame,
    near_duplicate: float,
    exams: Mapping[str, Sequence[Question]],
) -> tuple[list[Dialogue], pd.DataFrame, pd.DataFrame]:
    """The dialogues that stay, those set aside with the new ones behind, and what was found.

    A dialogue goes if it holds a question of one of the `exams` word for word, RUN words in a row
    that are a large part of one, or nearly all of its words (see `data.contamination`). That it
    asks after the same thing in other words is counted and no more: articles on a condition that
    an exam asks about are what an exam is learned from. Of dialogues of which a share of
    `near_duplicate` of the runs of words is the same the first stays; 0.0 looks for none.
    Columns of what was found: EXAM, a row for each exam and kind of likeness.
    """
    found = data.search_sources(exams, {"dialogues": dialogues})
    held = found[(found["kind"] != KINDS[-1]) | (found["similarity"] >= NEARLY)]
    reasons = {
        row.source: f'holds a question of {row.benchmark} ({row.kind}): "{row.id}"'
        for row in held[::-1].itertuples()  # the first of each stands
    }
    left = [dialogue for dialogue in dialogues if dialogue.id not in reasons]
    texts = ["\n".join(m["content"] for m in d.messages) for d in left]
    copies = grounding.near_duplicates(texts, near_duplicate) if near_duplicate else {}
    for later, earlier in copies.items():
        reasons[left[later].id] = f'nearly the same as an earlier dialogue: "{left[earlier].id}"'
    rows = [
        {"id": d.id, "source": d.source, "reason": reasons[d.id]}
        for d in dialogues
        if d.id in reasons
    ]
    gone = pd.DataFrame(rows, columns=aside.columns)
    kept = [dialogue for dialogue in dialogues if dialogue.id not in reasons]
    return kept, pd.concat([aside, gone], ignore_index=True), _counted(found, held, exams)


def _counted(found: pd.DataFrame, held: pd.DataFrame, exams: Mapping) -> pd.DataFrame:
    rows = []
    for benchmark, questions in exams.items():
        for kind in KINDS:
            here = found[found["benchmark"].eq(benchmark) & found["kind"].eq(kind)]
            gone = held[held["benchmark"].eq(benchmark) & held["kind"].eq(kind)]
            counts = (here["id"].nunique(), here["source"].nunique(), gone["source"].nunique())
            rows.append((benchmark, len(questions), kind, *counts))
    return pd.DataFrame(rows, columns=EXAM)
