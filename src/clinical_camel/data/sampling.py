"""Reproducible subsets: the same on every machine; a smaller one is part of a larger one."""

import hashlib
from typing import Any


def sample(rows: list[Any], limit: int) -> list[Any]:
    """Return `limit` rows spread over the file, in file order; 0 means all.

    Not the first rows: files are sorted by subject (MMLU), institute (MedQuAD) or kind of
    transcript (ACI-Bench), so the first hundred would be another benchmark. Selected are the rows
    with the smallest sha256 of their id.
    """
    return select_lowest_hashes(rows, limit) if limit else rows


def sample_share(rows: list[Any], share: float, seed: int) -> list[Any]:
    """Return `share` of the rows in order; 2.5 is all of them twice and half of them once more.

    The sample depends only on seed and ids. A smaller share is part of a larger one, so mixtures in
    a series differ only in size.
    """
    copies = int(share)
    extra = round((share - copies) * len(rows))
    return rows * copies + select_lowest_hashes(rows, extra, salt=f"{seed}:")


def select_lowest_hashes(rows: list[Any], count: int, salt: str = "") -> list[Any]:
    """Return the `count` rows with the smallest sha256 of salt and id, in order."""
    ranked = sorted(rows, key=lambda row: hashlib.sha256(f"{salt}{row.id}".encode()).digest())
    selected = {row.id for row in ranked[:count]}
    return [row for row in rows if row.id in selected]
