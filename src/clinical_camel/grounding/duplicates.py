"""Find near-duplicate texts."""

import re
from collections.abc import Sequence

from datasketch import MinHash, MinHashLSH

SHINGLE = 5  # words
PERMUTATIONS = 128


def find_near_duplicates(texts: Sequence[str], similarity: float = 0.8) -> dict[int, int]:
    """Return {index of a text: index of the earlier text that it nearly repeats}.

    The similarity is the Jaccard index of shingles of SHINGLE words. MinHash with locality
    sensitive hashing (Broder 1997; datasketch) finds candidates in linear time. Each is compared
    exactly, so there are no false duplicates, but a few just above `similarity` are missed. Case,
    punctuation and white space do not count.

    >>> find_near_duplicates(["Does gout hurt? At night.", "No.", "does gout hurt?  at night"])
    {2: 0}
    """
    index = MinHashLSH(threshold=0.9 * similarity, num_perm=PERMUTATIONS)
    blank = MinHash(num_perm=PERMUTATIONS, seed=1)  # its permutations are generated once
    duplicates: dict[int, int] = {}
    for i, text in enumerate(texts):
        shingles = _shingles(text)
        sketch = blank.copy()
        sketch.update_batch([shingle.encode() for shingle in sorted(shingles)])
        for earlier in sorted(index.query(sketch)):
            others = _shingles(texts[earlier])
            if len(shingles & others) >= similarity * len(shingles | others):
                duplicates[i] = earlier
                break
        else:
            index.insert(i, sketch)
    return duplicates


def _shingles(text: str) -> set[str]:
    """Return the runs of SHINGLE words of a text, or all its words if it has fewer."""
    words = re.findall(r"\w+", text.lower())
    last = max(1, len(words) - SHINGLE + 1)
    return {" ".join(words[i : i + SHINGLE]) for i in range(last)}
