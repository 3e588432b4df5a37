"""The settings of step 05."""

from collections.abc import Iterator

from pydantic import Field

from clinical_camel.core.paths import root
from clinical_camel.core.settings import Float, StepSettings, Text
from clinical_camel.core.values import nearest, show
from clinical_camel.data.exam_scores import SCORE_ENDINGS, read_scores

LOG_ENDINGS = (".csv", ".tsv", ".json", ".jsonl")


class Curves(StepSettings):
    """Which training logs and exam scores to compare."""

    logs: dict[str, Text] = Field(
        {"mini_camel": "outputs/mini_camel/02_sft_qlora/train_log.csv"},
        min_length=1,
        description="name of a study: its training log, a CSV or a trainer_state.json",
    )
    scores: dict[str, Text] = Field(
        {"mini_camel": "outputs/mini_camel/03_eval_fewshot/scores.csv"},
        description="name of a study: its exam scores; may be empty",
    )
    smoothing: Float = Field(
        0.05, gt=0, le=1, description="window of the running mean, as a share of the run"
    )

    def check_together(self) -> Iterator[str]:
        for name, endings in (("logs", LOG_ENDINGS), ("scores", SCORE_ENDINGS)):
            for study, text in getattr(self, name).items():
                yield from (f"{name}.{study}: {p}" for p in _check_file(text, name, endings))
        for study in self.scores.keys() - self.logs.keys():
            yield f"scores.{study}: logs has no {study}{nearest(study, self.logs)}"


def _check_file(text: str, name: str, endings: tuple[str, ...]) -> Iterator[str]:
    """Yield what is wrong with a log or a table of scores.

    A file under outputs/ is not opened: an earlier step writes it, and may write it anew. One under
    data/ may be missing.
    """
    from clinical_camel.loss_curves import logs  # late: pandas takes a second

    file = root() / text
    if not text.lower().endswith(endings):
        yield (
            f"{show(text)} is not a table; name a file that ends in {', '.join(endings)}, as in "
            "outputs/<study>/<step>/x.csv"
        )
    elif text.startswith("outputs/"):
        return
    elif file.is_file():
        try:
            {"logs": logs.read_log, "scores": read_scores}[name](file)
        except (OSError, ValueError) as error:
            yield str(error)
    elif not text.startswith("data/"):
        yield f"{text} does not exist"
