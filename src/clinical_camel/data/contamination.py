"""Find exam questions in training data: verbatim, in part, or lightly edited.

Words are compared without case, punctuation and Unicode variants. As in GPT-3 (Brown et al. 2020,
appendix C) and lm-evaluation-harness (docs/decontamination.md), an overlap is 13 consecutive words
that a source shares with the question or its context. Two checks are added: questions shorter than
that must match completely, and questions with a few changed words are found by similarity. The
thresholds were chosen by measurement (benchmarks/contamination.py).

The cost grows with the words of the sources and the candidates: a question is compared with a
source only if they share rare word sequences close together.
"""

import math
import re
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import pandas as pd
from tqdm import tqdm

from clinical_camel.data.shapes import Question, Row, format_row

RUN = 13  # consecutive words; a question with fewer must match completely
FEW = 5  # a question with fewer words, or with several sets of options, counts only with its answer
NEAR = 100  # words after such a question in which its correct option must occur
COMMON = 20  # a run of words in more questions than this is a common phrase
ALIKE, ALIKE_SHORT = 0.6, 0.7  # similarity of a light edit; the second below RUN words
PART = 0.3  # share of the words of question and context that shared runs must cover
CLOSE = 0.15  # share of a question's rare pairs or triples of words that must occur close together

KINDS = ("question and answer", "question", "13-gram", "light edit")  # strongest first
COLUMNS = ["benchmark", "trained_on", "id", "source", "kind", "similarity", "shared"]

_CJK = "\u3400-\u9fff\uf900-\ufaff"  # written without spaces: every character counts as a word
_WORD = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]+")

Gram = tuple[str, ...]
Positions = dict[Gram, list[tuple[int, int]]]  # (index of the question, position of the gram)
Match = tuple[str, float, str]  # kind, similarity, shared


@dataclass(frozen=True, slots=True)
class _Item:
    """A question as words; `needs_answer`: too short, or it occurs with other options as well."""

    id: str
    words: list[str]
    compared: list[str]  # below RUN words with the answer
    with_context: list[str]
    answer: list[str]
    needs_answer: bool


@dataclass(frozen=True, slots=True)
class _Index:
    """The questions, the weight of each word (rare is high), and positions of their rare grams."""

    items: list[_Item]
    weight: dict[str, float]
    seeds: Positions  # single words, pairs or triples
    seed_count: Counter[int]
    sizes: list[int]
    runs: Positions


def find_overlaps(
    questions: Sequence[Question], sources: Iterable[tuple[str, str]], part: float = PART
) -> pd.DataFrame:
    """Return the questions found in the sources, given as (id, text): one row per pair.

    Columns: id (of the question), source, kind, similarity, shared (words of the source). `kind`
    is the first of these that applies:

        question and answer  the complete question, its correct option in the next NEAR words
        question             the complete question
        13-gram              RUN consecutive words of the question or its context that occur in at
                             most COMMON questions; such runs cover `part` of its words; similarity
                             is that share, or that of a light edit if it is one too
        light edit           the words of the question (below RUN words also those of question and
                             correct option) occur in the same order in a passage of about their
                             length; similarity is the share that does, by count or weighted by
                             rarity, whichever is less, and at least ALIKE

    A question of fewer than FEW words, or one that occurs with other options too ("Which of the
    following is true?"), counts only with its correct option. Copies of a question each get rows.
    With `part=0.0` any such run counts, the rule of GPT-3. By that rule a quarter of the MedQA test
    set is in its development set, because vignettes share phrases ("is brought to the physician by
    his mother because of"). Raises ValueError if two questions have the same id.
    """
    index = _build_index(questions)
    rows = [
        row for source, text in sources for row in _match(index, source, split_words(text), part)
    ]
    return pd.DataFrame(rows, columns=COLUMNS[2:])


def search_sources(
    questions: Mapping[str, Sequence[Question]], sources: Mapping[str, Sequence[Row]]
) -> pd.DataFrame:
    """Find the overlaps of every benchmark with every source; see `find_overlaps`.

    Columns: benchmark, trained_on, then those of `find_overlaps`.
    """
    indexes = {benchmark: _build_index(items) for benchmark, items in questions.items()}
    table = []
    for trained_on, rows in sources.items():
        matches = {benchmark: [] for benchmark in indexes}
        for row in tqdm(rows, f"exams in {trained_on}", unit="row", file=sys.stdout):
            source_words = split_words(format_row(row))
            for benchmark, index in indexes.items():
                matches[benchmark] += _match(index, row.id, source_words)
        table += [(name, trained_on, *match) for name, pairs in matches.items() for match in pairs]
    return pd.DataFrame(table, columns=COLUMNS)


def split_words(text: str) -> list[str]:
    """Return the words of a text in the form in which they are compared.

    >>> split_words("Crohn's disease (ileal)"), split_words("β-Blocker?  ２５ mg")
    (['crohn', 's', 'disease', 'ileal'], ['β', 'blocker', '25', 'mg'])
    >>> split_words("胎心140次")
    ['胎', '心', '140', '次']
    """
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def _build_index(questions: Sequence[Question]) -> _Index:
    ids = [question.id for question in questions]
    if len(set(ids)) < len(ids):
        raise ValueError(f"two questions have the id {Counter(ids).most_common(1)[0][0]!r}")
    options = defaultdict(set)
    for question in questions:
        options[tuple(split_words(question.question))].add(tuple(sorted(question.options)))
    items = []
    for question in questions:
        words = split_words(question.question)
        answer = split_words(question.options[question.answer])
        compared = words if len(words) >= RUN else words + answer
        with_context = split_words(question.context) + words
        needs_answer = len(words) < FEW or len(options[tuple(words)]) > 1
        items.append(_Item(question.id, words, compared, with_context, answer, needs_answer))
    texts = [item.compared for item in items]
    seeds = _rare_grams(texts, [_seed_size(len(item.words)) for item in items], True)
    seed_count = Counter(number for positions in seeds.values() for number, _ in positions)
    runs = _rare_grams([item.with_context for item in items], [RUN] * len(items), False)
    distinct = dict.fromkeys(map(tuple, texts))
    frequency = Counter(word for text in distinct for word in dict.fromkeys(text))
    weight = {word: math.log(1 + len(distinct) / count) for word, count in frequency.items()}
    return _Index(items, weight, seeds, seed_count, sorted({len(gram) for gram in seeds}), runs)


def _seed_size(length: int) -> int:
    return 3 if length >= RUN else min(2, length)


def _rare_grams(texts: Sequence[Sequence[str]], sizes: Sequence[int], keep_one: bool) -> Positions:
    """Return the positions of the grams of at most COMMON distinct texts.

    `keep_one`: of a text with only common grams, keep the rarest, so that it can be found.
    """
    counts: Counter[Gram] = Counter()
    for text, size in dict.fromkeys(zip(map(tuple, texts), sizes, strict=True)):
        counts.update(dict.fromkeys(_grams(text, size), 1))
    positions: Positions = defaultdict(list)
    for number, (text, size) in enumerate(zip(texts, sizes, strict=True)):
        grams = list(enumerate(_grams(text, size)))
        rare = [(position, gram) for position, gram in grams if counts[gram] <= COMMON]
        if not rare and grams and keep_one:
            rare = [min(grams, key=lambda pair: counts[pair[1]])]
        for position, gram in rare:
            positions[gram].append((number, position))
    return dict(positions)


def _grams(text: Sequence[str], size: int) -> Iterator[Gram]:
    return zip(*(text[i:] for i in range(size)), strict=False)


def _match(
    index: _Index, source: str, source_words: Sequence[str], part: float = PART
) -> list[tuple]:
    """Return the questions found in one source, as rows of `find_overlaps`."""
    matches = _match_runs(index, source_words, part)
    for number, (kind, similarity, shared) in _match_complete(index, source_words):
        if kind == "light edit" and number in matches:
            kind, _, shared = matches[number]
        matches[number] = (kind, similarity, shared)
    return [(index.items[n].id, source, *match) for n, match in sorted(matches.items())]


def _match_runs(index: _Index, source_words: Sequence[str], part: float) -> dict[int, Match]:
    """Return the questions whose words are covered to at least `part` by runs of the source."""
    if index.runs.keys().isdisjoint(_grams(source_words, RUN)):
        return {}  # most sources end here, and quickly
    covered: dict[int, set[int]] = defaultdict(set)
    first: dict[int, Gram] = {}
    for gram in _grams(source_words, RUN):
        for number, position in index.runs.get(gram, ()):
            covered[number].update(range(position, position + RUN))
            first.setdefault(number, gram)
    shares = {n: len(places) / len(index.items[n].with_context) for n, places in covered.items()}
    return {n: ("13-gram", s, " ".join(first[n])) for n, s in shares.items() if s >= part}


def _match_complete(index: _Index, source_words: Sequence[str]) -> Iterator[tuple[int, Match]]:
    """Yield the questions that the source contains completely or lightly edited."""
    candidates: dict[int, list[int]] = defaultdict(list)  # possible starts in the source
    for size in index.sizes:
        for start, gram in enumerate(_grams(source_words, size)):
            for number, position in index.seeds.get(gram, ()):
                candidates[number].append(start - position)
    for number, starts in candidates.items():
        match = _match_exactly(index.items[number], starts, source_words)
        match = match or _match_edited(index, number, starts, source_words)
        if match:
            yield number, match


def _match_exactly(item: _Item, starts: Sequence[int], source_words: Sequence[str]) -> Match | None:
    size, text = len(item.words), " ".join(item.words)
    ends = [
        s + size
        for s in dict.fromkeys(starts)
        if s >= 0 and source_words[s : s + size] == item.words
    ]
    if any(_contains(source_words[end : end + NEAR], item.answer) for end in ends):
        return "question and answer", 1.0, text
    return ("question", 1.0, text) if ends and not item.needs_answer else None


def _match_edited(
    index: _Index, number: int, starts: Sequence[int], source_words: Sequence[str]
) -> Match | None:
    """Match a question with the passage of the source where most of its rare grams agree."""
    item = index.items[number]
    size, enough = len(item.words), max(1, CLOSE * index.seed_count[number])
    if len(starts) < enough:
        return None
    first, last, close = _densest(starts, 2 + size // 4)
    if close < enough:
        return None
    begin, level = max(0, first), ALIKE if size >= RUN else ALIKE_SHORT
    for text in [item.compared, item.words] if size < RUN else [item.words]:
        passage = source_words[begin : last + len(text) + 1]
        similarity = _similarity(text, passage, index.weight)
        if similarity < level:
            continue
        has_answer = not item.needs_answer or len(text) >= max(FEW, size + 1)
        if has_answer or _contains(source_words[begin : begin + size + NEAR], item.answer):
            return "light edit", similarity, " ".join(passage)
    return None


def _densest(starts: Sequence[int], width: int) -> tuple[int, int, int]:
    """Return first, last and number of the largest group of starts within `width`."""
    ordered = sorted(starts)
    best, low = (0, 0), 0
    for high in range(len(ordered)):
        while ordered[high] - ordered[low] > width:
            low += 1
        best = max(best, (high - low + 1, -low))  # of equals the earliest
    count, low = best[0], -best[1]
    return ordered[low], ordered[low + count - 1], count


def _similarity(words: Sequence[str], passage: Sequence[str], weight: Mapping[str, float]) -> float:
    """Return the share of words in the passage in order, by count or weight (the smaller)."""
    present = set(passage)
    if sum(word in present for word in words) < ALIKE * len(words):
        return 0.0  # the threshold is out of reach, and most candidates end here
    blocks = SequenceMatcher(None, words, passage, autojunk=False).get_matching_blocks()
    matched = [word for block in blocks for word in words[block.a : block.a + block.size]]
    by_weight = sum(weight[word] for word in matched) / sum(weight[word] for word in words)
    return min(len(matched) / len(words), by_weight)


def _contains(words: Sequence[str], wanted: Sequence[str]) -> bool:
    return f" {' '.join(wanted)} " in f" {' '.join(words)} "
