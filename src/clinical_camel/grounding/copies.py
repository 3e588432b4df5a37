"""Near-duplicates among written texts, and the language of one."""

import re
from collections.abc import Sequence

import py3langid
from datasketch import MinHash, MinHashLSH

SHINGLE = 5  # words
PERMUTATIONS = 128


def near_duplicates(texts: Sequence[str], similarity: float = 0.8) -> dict[int, int]:
    """Which texts nearly repeat an earlier one: index of the later by index of the earlier one.

    Similar is what shares so much of its runs of SHINGLE words (Jaccard). MinHash with locality
    sensitive hashing (Broder 1997; datasketch) finds candidates in linear time, and each is then
    compared exactly: none is falsely called a copy, and a few just above `similarity` are missed.
    Case, punctuation and white space do not count. ValueError unless 0 < similarity <= 1.

    >>> near_duplicates(["Does gout hurt? Yes, at night.", "No.", "does gout hurt?  yes, at night"])
    {2: 0}
    """
    if not 0 < similarity <= 1:
        raise ValueError(f"similarity is above 0 and at most 1, is {similarity}")
    index = MinHashLSH(threshold=0.9 * similarity, num_perm=PERMUTATIONS)
    blank = MinHash(num_perm=PERMUTATIONS, seed=1)  # its permutations are drawn once
    found: dict[int, int] = {}
    for i, text in enumerate(texts):
        runs = _shingles(text)
        sketch = blank.copy()
        sketch.update_batch([run.encode() for run in sorted(runs)])
        for earlier in sorted(index.query(sketch)):
            others = _shingles(texts[earlier])
            if len(runs & others) >= similarity * len(runs | others):
                found[i] = earlier
                break
        else:
            index.insert(i, sketch)
    return found


def _shingles(text: str) -> set[str]:
    """The runs of SHINGLE words of a text, or all its words if it has fewer."""
    words = re.findall(r"\w+", text.lower())
    last = max(1, len(words) - SHINGLE + 1)
    return {" ".join(words[i : i + SHINGLE]) for i in range(last)}


def language(text: str) -> str:
    """The language of a text as its ISO 639-1 code (py3langid: 97 languages, no network).

    Sure for whole dialogues and pages, not for a line of a few words; "" where there is no letter.

    >>> language("What helps against a headache? Rest, and enough to drink.")
    'en'
    >>> language("Was hilft gegen Kopfschmerzen? Ruhe, und genug trinken.")
    'de'
    """
    return py3langid.classify(text)[0] if re.search(r"[^\W\d_]", text) else ""
