"""How tables, figures and sentences of step 08 write datasets and differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clinical_camel.core.wording import format_interval
from clinical_camel.exam_results.answers import LEVEL

UNIT = ["task", "corpus", "part"]  # results are separate for each


def is_clear(row: Mapping) -> bool:
    """Return whether a difference is clear: its adjusted p, `p_holm`, is below LEVEL."""
    return bool(row["p_holm"] < LEVEL)


def name_unit(row: Mapping) -> str:
    """Return the dataset and the part of a row of results.

    >>> name_unit({"task": "question", "corpus": "facts", "part": "new"})
    'facts, new'
    """
    return ", ".join(row[name] for name in UNIT[1:] if row[name] != "all")


@dataclass(frozen=True, slots=True)
class Contrast:
    """The difference `first` - `second` of two models, with its 95 % interval."""

    first: str
    second: str
    difference: float
    low: float
    high: float

    @property
    def name(self) -> str:
        """Which two are compared: "ppo - sft", with a minus sign."""
        return f"{self.first} \N{MINUS SIGN} {self.second}"

    def format(self, scale: float = 1.0, form: str = ".3f") -> str:
        """Return the difference with its interval, each times `scale`."""
        values = (scale * value for value in (self.difference, self.low, self.high))
        return format_interval(*values, form=form)


def orient_contrast(row: Mapping, baseline: str, models: Sequence[str]) -> Contrast:
    """Return the difference of a row as later minus earlier model of `models`.

    Studies list the base model first and the model that was trained most last, so a positive
    difference is a gain by training. `row`: `model`, and `difference`, `low` and `high` of `model`
    - `baseline`. A baseline that is not in `models` is always second.

    >>> row = {"model": "base", "difference": 0.1, "low": 0.05, "high": 0.2}
    >>> orient_contrast(row, "sft", ["base", "sft"])
    Contrast(first='sft', second='base', difference=-0.1, low=-0.2, high=-0.05)
    """
    model, values = row["model"], [row[name] for name in ("difference", "low", "high")]
    if baseline in models and models.index(model) < models.index(baseline):
        return Contrast(baseline, model, -values[0], -values[2], -values[1])
    return Contrast(model, baseline, *values)
