"""Continuations as rows of a batch, shared tokens once; no torch, so that they can be counted."""

from collections.abc import Sequence
from dataclasses import dataclass

from clinical_camel.models.tokenization import Pair, count_shared_tokens

MIN_PREFIX = 8  # a shorter shared prefix gets no cache


@dataclass(frozen=True, slots=True)
class Row:
    """A context and the continuations that branch from it, as one row of a batch.

    `tokens`: the context after the shared prefix, then each branch (a continuation without its last
    token, which is only predicted). `trunk`: number of context tokens. `branches`: length of each
    branch, in order. `targets`: index of the pair and, for each token of its continuation, the
    position in the row that predicts it, and the token.
    """

    tokens: tuple[int, ...]
    trunk: int
    branches: tuple[int, ...]
    targets: tuple[tuple[int, tuple[tuple[int, int], ...]], ...]

    def __len__(self) -> int:
        return len(self.tokens)


def plan_batches(
    pairs: Sequence[Pair], branch: bool = True, share: bool = True
) -> tuple[int, list[Row]]:
    """Return the number of tokens that all contexts share, and the rows after it, longest first.

    Without `share` there is no common prefix; without `branch` each continuation has its row.
    """
    contexts = [pair.context for pair in pairs]
    shared = min(count_shared_tokens(contexts), min(map(len, contexts)) - 1)
    shared = shared if share and shared >= MIN_PREFIX else 0
    return shared, sorted(_rows(pairs, shared, branch), key=len, reverse=True)


def _rows(pairs: Sequence[Pair], shared: int, branch: bool) -> list[Row]:
    """Return one row per context; without `branch`, one per distinct branch of a context."""
    groups: dict[tuple, dict[tuple[int, ...], list[int]]] = {}
    for index, pair in enumerate(pairs):
        tail = pair.continuation[:-1]
        key = (pair.context,) if branch else (pair.context, tail)
        groups.setdefault(key, {}).setdefault(tail, []).append(index)
    rows = []
    for (context, *_), tails in groups.items():
        tokens, lengths, targets = list(context[shared:]), [], []
        trunk = len(tokens)
        for tail, indices in tails.items():
            positions = [trunk - 1, *range(len(tokens), len(tokens) + len(tail))]
            tokens += tail
            lengths += [len(tail)] if tail else []
            for i in indices:
                targets.append((i, tuple(zip(positions, pairs[i].continuation, strict=True))))
        rows.append(Row(tuple(tokens), trunk, tuple(lengths), tuple(targets)))
    return rows
