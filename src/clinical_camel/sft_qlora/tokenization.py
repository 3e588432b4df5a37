"""Dialogues and articles as rows of token ids, masked where no loss falls.

A dialogue too long for `max_length` loses whole exchanges from its end, never an end token: an
answer cut in the middle teaches a model not to stop.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from sklearn.model_selection import GroupShuffleSplit
from transformers import PreTrainedTokenizerBase

from clinical_camel import data, models
from clinical_camel.data import Article, Dialogue


@dataclass(frozen=True, slots=True)
class Encoded:
    """Rows ready for training, and for each source what became of its rows.

    `groups` names for each row the article that it tells of: rows of one group tell the same facts.
    """

    rows: list[dict[str, list[int]]]
    counts: pd.DataFrame
    groups: list[str]


def encode_mixture(
    tokenizer: PreTrainedTokenizerBase,
    mixture: Mapping[str, Sequence[Dialogue | Article]],
    loss_on: str,
    max_length: int,
) -> Encoded:
    """`input_ids` and `labels` of every row of every source, in order, at most `max_length` long.

    `counts`: source, rows, shortened (lost exchanges from its end), dropped (first exchange does
    not fit), without_loss (no token to learn from: dropped as well), tokens, trained_tokens,
    trained_share. Articles are plain text, every token trained, cut into windows. Raises ValueError
    for an unknown `loss_on`, for text that the tokenizer does not know, or when nothing is left.
    """
    if loss_on not in LOSS_ON:
        raise ValueError(f"loss_on: {loss_on!r} is not one of {', '.join(LOSS_ON)}")
    rows, counts, groups = [], [], []
    for source, items in mixture.items():
        encoded, shortened, dropped, without_loss = [], 0, 0, 0
        _refuse_unknown(tokenizer, source, items)
        for item in items:
            if isinstance(item, Article):
                windows = encode_windows(tokenizer, item, max_length)
            else:
                row, lost = encode_within(tokenizer, item, loss_on, max_length)
                shortened += bool(row) and lost > 0
                dropped += not row
                windows = [row] if row else []
            learned = [row for row in windows if trained_tokens(row)]
            without_loss += len(windows) - len(learned)
            encoded += learned
            groups += [article_of(item)] * len(learned)
        tokens = sum(len(row["input_ids"]) for row in encoded)
        trained = sum(trained_tokens(row) for row in encoded)
        counts.append(
            {
                "source": source,
                "rows": len(items),
                "shortened": shortened,
                "dropped": dropped,
                "without_loss": without_loss,
                "tokens": tokens,
                "trained_tokens": trained,
                "trained_share": trained / tokens if tokens else 0.0,
            }
        )
        rows += encoded
    if not rows:
        raise ValueError(f"mixture: no row fits max_length {max_length}; nothing to train on")
    return Encoded(rows, pd.DataFrame(counts), groups)


def article_of(item: Dialogue | Article) -> str:
    """What a row tells of: the dialogues that step 01 writes to one article share its name.

    >>> article_of(Dialogue(id="gout/2", source="article", messages=[]))
    'gout'
    """
    if isinstance(item, Article):
        return item.group or item.id
    return (item.source == "article" and item.id.rpartition("/")[0]) or item.id


def hold_out(groups: Sequence[str], fraction: float, seed: int) -> list[int]:
    """The numbers of the rows to watch and not to train on: those of a `fraction` of all articles.

    Of rows drawn one by one each would have its like among those trained on, and their loss would
    measure memory. Raises ValueError where there are fewer than two articles.
    """
    if len(set(groups)) < 2:
        raise ValueError("validation_fraction: all rows are of one article; set it to 0.0")
    splitter = GroupShuffleSplit(n_splits=1, test_size=fraction, random_state=seed)
    _, held = next(splitter.split(groups, groups=groups))
    return held.tolist()


def _refuse_unknown(
    tokenizer: PreTrainedTokenizerBase, source: str, items: Sequence[Dialogue | Article]
) -> None:
    """A word without a token becomes the unknown token, and a model learns to write that."""
    found = ((item.id, unknown_words(tokenizer, data.row_text(item))) for item in items)
    unknown = {name: words for name, words in found if words}
    for name, words in itertools.islice(unknown.items(), 1):
        raise ValueError(
            f"mixture: {source}: the tokenizer does not know a word of {len(unknown)} of "
            f"{len(items)} rows, first of {name}: {', '.join(words[:5])}; take those rows out, or "
            "choose a base whose tokenizer has bytes to fall back on"
        )


def unknown_words(tokenizer: PreTrainedTokenizerBase, text: str) -> list[str]:
    """The words of a text that the tokenizer can only write as its unknown token."""
    unknown = tokenizer.unk_token_id
    if unknown in (None, tokenizer.eos_token_id, tokenizer.bos_token_id):  # GPT-2: no text is
        return []
    if unknown not in tokenizer.encode(text, add_special_tokens=False):
        return []
    words = [word for word in text.split() if tokenizer.unk_token not in word]
    return [w for w in words if unknown in tokenizer.encode(w, add_special_tokens=False)]


def encode_within(
    tokenizer: PreTrainedTokenizerBase, dialogue: Dialogue, loss_on: str, max_length: int
) -> tuple[dict[str, list[int]], int]:
    """One dialogue without the exchanges that do not fit, and how many those are."""
    messages, lost = list(dialogue.messages), 0
    while len(messages) >= 2:
        row = models.encode_dialogue(tokenizer, messages, loss_on)
        if len(row["input_ids"]) <= max_length:
            return row, lost
        messages, lost = messages[:-2], lost + 1
    return {}, lost


def encode_windows(
    tokenizer: PreTrainedTokenizerBase, article: Article, max_length: int
) -> list[dict[str, list[int]]]:
    """An article as plain text in windows of at most `max_length` tokens.

    A last window of one token is left out: with nothing before it, it carries no loss, and alone in
    a batch its mean is NaN.
    """
    row = models.encode_text(tokenizer, data.article_text(article))
    starts = range(0, len(row["input_ids"]) - 1, max_length)
    return [{key: ids[i : i + max_length] for key, ids in row.items()} for i in starts]


def trained_tokens(row: Mapping[str, Sequence[int]]) -> int:
    """How many tokens of a row carry loss. The first has nothing before it to be predicted from."""
    return sum(label != models.IGNORE for label in row["labels"][1:])


def trained_turns(row: Mapping[str, Sequence[int]]) -> int:
    """How many separate stretches of a row carry loss: the assistant turns of a dialogue.

    >>> trained_turns({"labels": [-100, 5, 6, -100, 7]})
    2
    """
    kept = [label != models.IGNORE for label in row["labels"]]
    return sum(now and not before for before, now in zip([False, *kept], kept, strict=False))


def show_mask(tokenizer: PreTrainedTokenizerBase, row: Mapping[str, Sequence[int]]) -> str:
    """A row as text, [[what carries loss]] in brackets and, where the screen can, in colour."""
    marked = zip(row["input_ids"], (label != models.IGNORE for label in row["labels"]), strict=True)
    shown = []
    for trained, piece in itertools.groupby(marked, key=lambda pair: pair[1]):
        text = tokenizer.decode([token for token, _ in piece])
        shown.append(f"\x1b[1;34m[[{text}]]\x1b[0m" if trained else text)
    return "".join(shown)
