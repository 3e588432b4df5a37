"""Filters over all dialogues of a run: near-duplicates, and questions of evaluation sets.

Each dialogue has passed its own checks. A dialogue that is removed here is not requested again: the
teacher followed its instructions.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from clinical_camel import data, grounding
from clinical_camel.data import Dialogue, Question
from clinical_camel.data.contamination import KINDS

LIGHT_EDIT_SIMILARITY = 0.9  # a light edit of a question that is at least so similar is removed
COLUMNS = ["benchmark", "n", "kind", "questions", "dialogues", "rejected"]


def filter_dialogues(
    dialogues: Sequence[Dialogue],
    rejected: pd.DataFrame,
    near_duplicate_threshold: float,
    evaluation_sets: Mapping[str, Sequence[Question]],
) -> tuple[list[Dialogue], pd.DataFrame, pd.DataFrame]:
    """Return the accepted dialogues, the table of rejected ones, and counts of similar questions.

    A dialogue is rejected if it contains a question of an evaluation set: word for word, a long
    shared run of words, or nearly all words (see `data.contamination`). Weaker similarity is
    only counted: an exam asks about the conditions that articles describe.

    Of dialogues whose Jaccard similarity of word shingles reaches the threshold the first is
    accepted; 0.0 disables this filter. The table of counts has the columns COLUMNS, a row for each
    evaluation set and kind of similarity.
    """
    matches = data.search_sources(evaluation_sets, {"dialogues": dialogues})
    is_strong = matches["kind"].ne(KINDS[-1]) | matches["similarity"].ge(LIGHT_EDIT_SIMILARITY)
    strong = matches[is_strong]
    reasons = {
        row.source: f'contains a question of {row.benchmark} ({row.kind}): "{row.id}"'
        for row in strong[::-1].itertuples()  # reversed: the first match of a dialogue wins
    }
    unmatched = [dialogue for dialogue in dialogues if dialogue.id not in reasons]
    texts = ["\n".join(m["content"] for m in d.messages) for d in unmatched]
    if near_duplicate_threshold:
        copies = grounding.find_near_duplicates(texts, near_duplicate_threshold)
        for later, earlier in copies.items():
            original = unmatched[earlier].id
            reasons[unmatched[later].id] = f'near-duplicate of an earlier dialogue: "{original}"'
    rows = [(d.id, d.source, reasons[d.id]) for d in dialogues if d.id in reasons]
    filtered = pd.DataFrame(rows, columns=rejected.columns)
    accepted = [dialogue for dialogue in dialogues if dialogue.id not in reasons]
    counts = _count_matches(matches, strong, evaluation_sets)
    return accepted, pd.concat([rejected, filtered], ignore_index=True), counts


def _count_matches(
    matches: pd.DataFrame, strong: pd.DataFrame, evaluation_sets: Mapping[str, Sequence[Question]]
) -> pd.DataFrame:
    rows = []
    for benchmark, questions in evaluation_sets.items():
        for kind in KINDS:
            same, removed = (
                table[table["benchmark"].eq(benchmark) & table["kind"].eq(kind)]
                for table in (matches, strong)
            )
            counts = (same["id"].nunique(), same["source"].nunique(), removed["source"].nunique())
            rows.append((benchmark, len(questions), kind, *counts))
    return pd.DataFrame(rows, columns=COLUMNS)
