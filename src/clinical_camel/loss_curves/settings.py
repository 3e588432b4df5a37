"""The settings of step 05."""

import csv
from collections.abc import Iterator

from pydantic import Field

from clinical_camel.core.paths import root
from clinical_camel.core.settings import Float, StepSettings, Text
from clinical_camel.core.values import nearest, show

LOG_COLUMNS = ("step", "fraction", "loss", "learning_rate", "tokens")
SCORE_COLUMNS = ("benchmark", "protocol", "num_shots", "model", "n", "accuracy")
SCORE_COLUMNS += ("low", "high", "chance")


class Curves(StepSettings):
    """Which training logs and exam scores to compare."""

    logs: dict[str, Text] = Field(
        {"mini_camel": "outputs/mini_camel/02_sft_qlora/train_log.csv"},
        min_length=1,
        description="name of a study: its training log",
    )
    scores: dict[str, Text] = Field(
        {"mini_camel": "outputs/mini_camel/03_eval_fewshot/scores.csv"},
        description="name of a study: its exam scores; may be empty",
    )
    smoothing: Float = Field(
        0.05, gt=0, le=1, description="window of the running mean, as a share of the run"
    )

    def check_together(self) -> Iterator[str]:
        for name, columns in (("logs", LOG_COLUMNS), ("scores", SCORE_COLUMNS)):
            for study, text in getattr(self, name).items():
                yield from (f"{name}.{study}: {p}" for p in _check_table(text, columns))
        for study in self.scores.keys() - self.logs.keys():
            yield f"scores.{study}: logs has no {study}{nearest(study, self.logs)}"


def _check_table(text: str, columns: tuple[str, ...]) -> Iterator[str]:
    """Yield what is wrong with the table of another step: no .csv, or columns missing.

    A table under outputs/ or data/ may be missing: the runner checks that an earlier step makes it.
    """
    file = root() / text
    if not text.endswith(".csv"):
        yield f"{show(text)} is not a table; name a .csv, as in outputs/<study>/<step>/x.csv"
    elif file.is_file():
        with file.open(encoding="utf-8", errors="replace", newline="") as stream:
            header = next(csv.reader(stream), [])
        if missing := [column for column in columns if column not in header]:
            yield f"{text} has no column {', '.join(missing)}"
    elif not text.startswith(("outputs/", "data/")):
        yield f"{text} does not exist"
