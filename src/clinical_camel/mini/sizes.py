"""The base models of the embedded study: one recipe in three sizes.

Each size is twice as wide as the one before, with equal layers, tokenizer, primer, order of
batches and number of steps. Only the learning rates differ: those of 1.1m, the shipped model, are
multiplied by sqrt(128 / width). Rules for the best rate with Adam lie on both sides of this one:
proportional to 1 / width for hidden matrices (Yang et al., arXiv:2203.03466), and almost constant
(Kaplan et al., arXiv:2001.08361, appendix D.6).
"""

import math
from dataclasses import dataclass
from typing import Any

SEED = 0
VOCABULARY = 2048
CONTEXT = 4096
ARCHITECTURE = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": CONTEXT,
    "tie_word_embeddings": True,
    "rope_theta": 10000.0,
}
LESSONS = 24_000
# Two phases, each with a new optimizer. "copy": short contexts first, then long ones, until the
# model copies from its context. "recall": mostly fixed conditions, until it recalls them as well.
# A stage: tokens in a block, blocks in a batch.
PHASES = {
    "copy": {
        "primer": {"fixed": 60, "fresh": 120, "exam_share": 0.8, "passes": 40},
        "stages": {"lessons": (192, 16), "primer": (768, 4)},
        "peak_rate": 3e-3,
        "last_rate": 2e-4,
        "warmup": 60,
        "hold": 0.5,
    },
    "recall": {
        "primer": {"fixed": 240, "fresh": 30, "exam_share": 0.2, "passes": 40},
        "stages": {"primer": (768, 6)},
        "peak_rate": 2.5e-3,
        "last_rate": 2.5e-4,
        "warmup": 20,
        "hold": 0.0,
    },
}


@dataclass(frozen=True, slots=True)
class Size:
    """What is pretrained: `name` is the value of --size, `model` that of the setting `model`."""

    name: str
    model: str
    architecture: dict[str, Any]
    phases: dict[str, dict[str, Any]]


def _resize(name: str, width: int) -> Size:
    """Return the size of this width, with heads and layers as wide and as many as in 1.1m."""
    heads = ARCHITECTURE["num_attention_heads"] * width // ARCHITECTURE["hidden_size"]
    architecture = ARCHITECTURE | {
        "hidden_size": width,
        "intermediate_size": 3 * width,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
    }
    factor = math.sqrt(ARCHITECTURE["hidden_size"] / width)
    phases = {
        phase: values | {rate: factor * values[rate] for rate in ("peak_rate", "last_rate")}
        for phase, values in PHASES.items()
    }
    return Size(name, f"mini_{name}", architecture, phases)


SHIPPED_SIZE = Size("1.1m", "mini", ARCHITECTURE, PHASES)
SIZES = {s.name: s for s in (_resize("0.3m", 64), SHIPPED_SIZE, _resize("4m", 256))}
