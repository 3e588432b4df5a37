"""Dialogues and articles as rows of token ids, with the loss mask in `labels`.

A dialogue longer than `max_length` loses complete exchanges from its end, never an end token: an
answer cut in the middle teaches a model not to stop.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from clinical_camel import data, models
from clinical_camel.data import Article, Dialogue

if TYPE_CHECKING:  # `estimate` counts tokens without the library, which imports torch
    from transformers import PreTrainedTokenizerBase

TokenRow = dict[str, list[int]]  # input_ids and labels
# of dialogues whose id is <group>/<name>
GROUPED_SOURCES = ("article", "mini_triples", "triples", "mini_records", "cmedqa2")


@dataclass(frozen=True, slots=True)
class TokenizedMixture:
    """Rows to train on, and the counts of each source.

    `groups` names the article of each row: rows of one group state the same facts.
    """

    rows: list[TokenRow]
    counts: pd.DataFrame
    groups: list[str]


def tokenize_mixture(
    tokenizer: PreTrainedTokenizerBase,
    sources: Mapping[str, Sequence[Dialogue | Article]],
    loss_on: str,
    max_length: int,
    loss_on_all: Collection[str] = (),
) -> TokenizedMixture:
    """Tokenize every row of every source, in order, to at most `max_length` tokens.

    `loss_on_all` names sources in which every token is a target. `counts`: source, rows, truncated
    (lost exchanges from its end), dropped (the first exchange does not fit), without_loss (no
    target token; dropped, too), tokens, target_tokens, target_share. An article is plain text in
    windows, every token a target. Raises ValueError for text that the tokenizer does not know, and
    for a source of which less than half is left.
    """
    rows, counts, groups = [], [], []
    for source, items in sources.items():
        source_rows, truncated, dropped, without_loss = [], 0, 0, 0
        counted = "all" if source in loss_on_all else loss_on
        _require_no_unknown_tokens(tokenizer, source, items)
        for item in items:
            if isinstance(item, Article):
                windows = tokenize_windows(tokenizer, item, max_length)
            else:
                row, removed = tokenize_to_fit(tokenizer, item, counted, max_length)
                truncated += bool(row) and removed > 0
                dropped += not row
                windows = [row] if row else []
            with_loss = [row for row in windows if count_target_tokens(row)]
            without_loss += len(windows) - len(with_loss)
            source_rows += with_loss
            groups += [find_group(item)] * len(with_loss)
        _require_most_rows(source, len(items), dropped, without_loss, max_length)
        tokens = sum(len(row["input_ids"]) for row in source_rows)
        targets = sum(map(count_target_tokens, source_rows))
        counts.append(
            {
                "source": source,
                "rows": len(items),
                "truncated": truncated,
                "dropped": dropped,
                "without_loss": without_loss,
                "tokens": tokens,
                "target_tokens": targets,
                "target_share": targets / tokens if tokens else 0.0,
            }
        )
        rows += source_rows
    if not rows:
        raise ValueError("mixture: no source has a row; nothing to train on")
    return TokenizedMixture(rows, pd.DataFrame(counts), groups)


def _require_most_rows(
    source: str, rows: int, dropped: int, without_loss: int, max_length: int
) -> None:
    """Raise ValueError for a source most of which would not be trained on."""
    if 2 * dropped > rows:
        raise ValueError(
            f"mixture: {source}: in {dropped} of {rows} rows, the first exchange does not fit into "
            f"max_length {max_length}; write a larger number, or remove the source"
        )
    if 2 * without_loss > rows:
        raise ValueError(
            f"mixture: {source}: {without_loss} of {rows} rows have no token that counts in the "
            "loss; check chat_template and loss_on"
        )


def find_group(item: Dialogue | Article) -> str:
    """Return what a row is about: the dialogues on one article or one subject share it.

    >>> find_group(Dialogue(id="gout/2", source="article", messages=[]))
    'gout'
    """
    if isinstance(item, Article):
        return item.group or item.id
    return (item.source in GROUPED_SOURCES and item.id.rpartition("/")[0]) or item.id


def choose_validation_rows(groups: Sequence[str], fraction: float, seed: int) -> list[int]:
    """Return the indices of the validation rows: the rows of a `fraction` of all articles.

    Rows drawn one by one would share articles with training rows, and their loss would measure
    memorization. Raises ValueError as `require_divisible`.
    """
    require_divisible(groups, fraction)
    from sklearn.model_selection import GroupShuffleSplit  # a second to import

    splitter = GroupShuffleSplit(n_splits=1, test_size=fraction, random_state=seed)
    _, validation = next(splitter.split(groups, groups=groups))
    return validation.tolist()


def require_divisible(groups: Sequence[str], fraction: float) -> None:
    """Raise ValueError if rows of these groups cannot give validation rows.

    There are fewer than two articles, none is left to train on, or most rows are of one group, as
    those of the form `qa_shuffled` of step 01 are.
    """
    articles = len(set(groups))
    if articles < 2:
        raise ValueError("validation_fraction: all rows are of one article; set it to 0.0")
    ((name, count),) = Counter(groups).most_common(1)
    if count > len(groups) / 2:
        raise ValueError(
            f"validation_fraction: {count} of {len(groups)} rows share their articles (group "
            f"{name!r}) and cannot be divided; set it to 0.0"
        )
    if math.ceil(fraction * articles) >= articles:
        raise ValueError(f"validation_fraction: {fraction} of {articles} articles leaves none")


def _require_no_unknown_tokens(
    tokenizer: PreTrainedTokenizerBase, source: str, items: Sequence[Dialogue | Article]
) -> None:
    """Raise ValueError for a word without a token: the model would learn to write "unknown"."""
    words_by_row = (
        (item.id, find_unknown_words(tokenizer, data.format_row(item))) for item in items
    )
    unknown = {name: words for name, words in words_by_row if words}
    for name, words in itertools.islice(unknown.items(), 1):
        raise ValueError(
            f"mixture: {source}: the tokenizer has no token for a word of {len(unknown)} of "
            f"{len(items)} rows, first in {name}: {', '.join(words[:5])}; remove those rows, or "
            "choose a base whose tokenizer falls back on bytes"
        )


def find_unknown_words(tokenizer: PreTrainedTokenizerBase, text: str) -> list[str]:
    """Return the words of a text that the tokenizer can only write as its unknown token."""
    unknown = tokenizer.unk_token_id
    if unknown in (None, tokenizer.eos_token_id, tokenizer.bos_token_id):  # GPT-2 knows every text
        return []
    text = models.split_control_tokens(tokenizer, text)  # a literal <unk> is no unknown word
    if unknown not in tokenizer.encode(text, add_special_tokens=False):
        return []
    words = text.split()
    return [w for w in words if unknown in tokenizer.encode(w, add_special_tokens=False)]


def tokenize_to_fit(
    tokenizer: PreTrainedTokenizerBase, dialogue: Dialogue, loss_on: str, max_length: int
) -> tuple[TokenRow, int]:
    """Tokenize a dialogue without the last exchanges that do not fit; return how many those are.

    The row is empty if the first exchange does not fit.
    """
    messages, removed = list(dialogue.messages), 0
    while len(messages) >= 2:
        row = models.tokenize_dialogue(tokenizer, messages, loss_on)
        if len(row["input_ids"]) <= max_length:
            return row, removed
        messages, removed = messages[:-2], removed + 1
    return {}, removed


def tokenize_windows(
    tokenizer: PreTrainedTokenizerBase, article: Article, max_length: int
) -> list[TokenRow]:
    """Tokenize an article as plain text in windows of at most `max_length` tokens.

    A last window of one token is dropped: no token before it predicts it, and the mean loss of a
    batch of it would be NaN.
    """
    row = models.tokenize_document(tokenizer, data.format_article(article))
    starts = range(0, len(row["input_ids"]) - 1, max_length)
    return [{key: ids[i : i + max_length] for key, ids in row.items()} for i in starts]


def count_target_tokens(row: Mapping[str, Sequence[int]]) -> int:
    """Count the tokens with loss; the first token has none, because nothing predicts it."""
    return sum(label != models.IGNORE_INDEX for label in row["labels"][1:])


def count_target_turns(row: Mapping[str, Sequence[int]]) -> int:
    """Count the separate spans of tokens with loss: the assistant turns of a dialogue.

    >>> count_target_turns({"labels": [-100, 5, 6, -100, 7]})
    2
    """
    targets = [label != models.IGNORE_INDEX for label in row["labels"]]
    return sum(now and not before for before, now in itertools.pairwise([False, *targets]))


def show_loss_mask(tokenizer: PreTrainedTokenizerBase, row: Mapping[str, Sequence[int]]) -> str:
    """Return a row as text with [[target tokens]] in brackets and in color."""
    targets = [label != models.IGNORE_INDEX for label in row["labels"]]
    spans = []
    pairs = zip(row["input_ids"], targets, strict=True)
    for is_target, span in itertools.groupby(pairs, key=lambda pair: pair[1]):
        text = tokenizer.decode([token for token, _ in span])
        spans.append(f"\x1b[1;34m[[{text}]]\x1b[0m" if is_target else text)
    return "".join(spans)


def find_shown(sources: Mapping[str, Sequence[Dialogue | Article]], text: str) -> str:
    """Return which row `show_loss_mask` shows, "<source>: <id>", to name its authors.

    White space does not count. "" if it is none of the sources.
    """
    squeezed = "".join(text.split())
    for spec, items in sources.items():
        for item in items:
            if isinstance(item, Article):
                texts = [item.title, item.sections[0].text]
            else:
                texts = [m["content"] for m in item.messages if m["role"] != "system"]
            first = ["".join(text.split()) for text in texts[:2]]  # later ones may be cut
            if first and all(text in squeezed for text in first):
                return f"{spec}: {item.id}"
    return ""
