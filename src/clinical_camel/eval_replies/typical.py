"""The reply that fits everywhere: a baseline that reads no question."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from clinical_camel.core.hashing import key_hash
from clinical_camel.eval_replies.cases import Case
from clinical_camel.eval_replies.segmentation import split_words

CANDIDATES = 200  # of each dataset, which bounds the time: each is compared with all others


def find_typical_replies(cases: Sequence[Case]) -> list[str]:
    """Return for each case the reference reply that is most similar to all others.

    Similarity is the F1 of shared words. Only replies of other groups of the same dataset are
    candidates (a hash selects CANDIDATES of them), so no case sees its own reference; "" if the
    dataset has a single group.
    """
    replies = [""] * len(cases)
    for key in dict.fromkeys((case.task, case.corpus) for case in cases):
        places = [i for i, case in enumerate(cases) if (case.task, case.corpus) == key]
        for i, text in zip(places, _choose([cases[i] for i in places]), strict=True):
            replies[i] = text
    return replies


def _choose(cases: Sequence[Case]) -> list[str]:
    chosen = sorted(cases, key=lambda case: key_hash([case.id, case.reference]))[:CANDIDATES]
    bags = [Counter(split_words(case.reference)) for case in chosen]
    similarity = np.array([[_f1(one, two) for two in bags] for one in bags])
    groups = np.array([case.group for case in chosen], dtype=object)
    other = groups[:, None] != groups[None, :]
    best: dict[str, str] = {}
    for group in dict.fromkeys(case.group for case in cases):
        usable = groups != group
        if usable.any():
            # a reply of the candidate's own group says the same: it does not make it typical
            score = (similarity * (other & usable[None, :])).sum(axis=1)
            best[group] = chosen[int(np.where(usable, score, -1.0).argmax())].reference
    return [best.get(case.group, "") for case in cases]


def _f1(one: Counter, two: Counter) -> float:
    total = one.total() + two.total()
    return 2 * (one & two).total() / total if total else 0.0
