"""The settings of step 06."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import yaml
from pydantic import Field

from clinical_camel.core.paths import root
from clinical_camel.core.settings import Float, StepSettings, Text
from clinical_camel.core.values import nearest, show

CONTRAST = re.compile(r"(\S+) - (\S+)")
OUTCOME = re.compile(r"[^/\s]+(/[^/\s]+){1,3}")
POINT = re.compile(r"[^/\s]+/[^/\s]+")
MEASURES = ("correct", "correct_norm", "contains", "complete", "probability")
CHAT = ("chat", "conversation")  # how the names of the protocols begin that ask in a chat turn
ISOLATES = {  # the intended difference between the arms of a contrast
    ("dialogue", "raw"): "the paper's question",
    ("dialogue", "monologue"): "questions and turns",
    ("dialogue", "qa"): "several turns in a row",
    ("unmasked", "dialogue"): "the loss on questions",
    ("monologue", "raw"): "new order, repetition",
    ("dialogue", "placebo"): "questions that match",
    ("headings", "monologue"): "the question as a cue",
    ("qa", "qa_shuffled"): "one pair per row",
    ("dialogue", "qa_shuffled"): "one article per dialogue",
    ("qa", "monologue"): "single questions",
    ("qa", "raw"): "single questions, new order, repetition",
    ("placebo", "monologue"): "turns, questions on another section",
    ("half_raw_half_dialogue", "dialogue"): "half of the texts raw",
    ("half_raw_half_qa", "dialogue"): "half raw, half single questions",
    ("half_raw_half_qa", "qa"): "half of the texts raw",
    ("unmasked_all", "dialogue"): "the loss on all tokens",
    ("weight_01", "dialogue"): "a tenth of the loss on all other tokens",
    ("replay_10", "dialogue"): "10 % replay of primer texts",
    ("replay_30", "dialogue"): "30 % replay of primer texts",
    ("paraphrase", "monologue"): "a rewritten article, not joined answers",
    ("dialogue", "paraphrase"): "questions and turns, not a rewritten article",
    ("paraphrase", "raw"): "a rewritten article instead of the original",
    ("passes_20", "passes_1"): "20 dialogues per article, not 1, and more steps",
    ("steps_20", "steps_1"): "20 different dialogues per article instead of 1 repeated",
    ("dialogue_03m", "raw_03m"): "dialogues instead of raw articles, 0.3 million parameters",
    ("dialogue_1m", "raw_1m"): "dialogues instead of raw articles, 1.1 million parameters",
    ("dialogue_4m", "raw_4m"): "dialogues instead of raw articles, 4 million parameters",
}
FURTHER = "a further contrast"
ALL = ", all questions"  # the first outcome without the exclusion of overlapping questions


class Outcome(NamedTuple):
    """An exam, a protocol and a variant of step 03, and the measure: one of MEASURES.

    `correct`: the answer is correct. `contains`: a free answer contains the correct one.
    `correct_norm`: the likelihood of each option is divided by its length. `complete`: a free
    answer has the requested form. `probability`: of a token of the correct
    answer, the geometric mean. All are from 0 to 1.
    """

    benchmark: str
    protocol: str
    variant: str = "as_given"
    measure: str = "correct"


class Comparison(StepSettings):
    """Which runs are compared, in which contrasts and outcomes, and how a verdict is reached."""

    study: Text = Field("dbke_effect", description="params folder; results go to outputs/<study>/")
    sweep: Text = Field("dbke_effect", description="the sweep to compare: a folder of params/")
    rate_sweep: str = Field(
        "dbke_rates",
        description="a sweep of learning rates on the development half; empty means none",
    )
    contrasts: list[Text] = Field(
        ["dialogue - raw", "dialogue - monologue", "dialogue - qa", "unmasked - dialogue"],
        min_length=1,
        description="the primary contrasts: two arms, the second is subtracted",
    )
    further_contrasts: list[Text] = Field(
        [
            "monologue - raw",
            "dialogue - placebo",
            "placebo - monologue",
            "headings - monologue",
            "qa - monologue",
            "qa - raw",
            "qa - qa_shuffled",
            "dialogue - qa_shuffled",
            "half_raw_half_dialogue - dialogue",
            "half_raw_half_qa - dialogue",
            "half_raw_half_qa - qa",
            "unmasked_all - dialogue",
            "weight_01 - dialogue",
            "replay_10 - dialogue",
            "replay_30 - dialogue",
        ],
        description="other contrasts: intervals only, no test and no verdict; empty means none",
    )
    outcomes: dict[str, Text] = Field(
        {
            "plain question": "mini_exam/option_text",
            "conversation": "mini_exam/conversation",
            "reversed": "mini_exam_reversed/option_text",
            "two steps": "mini_exam_two_step/option_text",
            "cloze": "mini_exam_cloze/cloze",
            "free answer": "mini_exam/plain_reply",
            "probability of the answer": "mini_exam/plain_reply/as_given/probability",
            "format": "mini_exam/conversation_reply/as_given/complete",
            "open book": "mini_exam/option_text/open_book",
            "open book in conversation": "mini_exam/conversation/open_book",
            "primer exam": "mini_exam_primer/option_text",
            "by length": "mini_exam/option_text/as_given/correct_norm",
            "primer exam by length": "mini_exam_primer/option_text/as_given/correct_norm",
        },
        min_length=1,
        description="name: exam/protocol, exam/protocol/variant or exam/protocol/variant/measure; "
        "the first is primary",
    )
    forgetting: str = Field(
        "primer exam",
        description="the outcome about what the base model knew before; empty means none",
    )
    overlap_arm: Text = Field(
        "dialogue",
        description="questions that resemble training texts of this arm are excluded for all arms",
    )
    base_margin: Float = Field(
        0.0,
        ge=0,
        le=1000,
        description="questions that the base model answers with a margin above this, in nats, are "
        "excluded; 0.0 excludes none",
    )
    articles: str = Field(
        "mini_articles",
        description="articles whose group is the specialty of a condition; empty means none",
    )
    scaling: dict[str, list[Text]] = Field(
        {},
        description="name of a curve: its arms, which differ in dialogues per article "
        "or in the size of the base model",
    )
    other_points: dict[str, Text] = Field(
        {},
        description="name of a single point beside the curves: sweep/arm, whose base model has "
        "another size",
    )
    has_verdict: bool = Field(
        True,
        description="whether the contrasts get tests and verdicts; else they are secondary, and "
        "have intervals only",
    )
    smallest_effect: Float = Field(
        0.05, gt=0, lt=1, description="the smallest difference of interest, as a share"
    )
    alpha: Float = Field(
        0.05, gt=0, lt=0.5, description="rate of false claims in the primary contrasts"
    )
    min_seeds: int = Field(
        3, ge=2, le=1000, description="pairs of seeds that a contrast needs for a verdict"
    )
    resamples: int = Field(
        10_000, ge=100, le=1_000_000, description="resamples of conditions and seeds per interval"
    )

    def check_together(self) -> Iterator[str]:
        for name in ("contrasts", "further_contrasts"):
            for text in getattr(self, name):
                if not CONTRAST.fullmatch(text):
                    yield f"{name}: {show(text)} is no contrast; write two arms: dialogue - raw"
        for text in self.further_contrasts:
            if text in self.contrasts:
                yield f"further_contrasts: {show(text)} is one of contrasts, too; remove it here"
        for name, text in self.outcomes.items():
            if not OUTCOME.fullmatch(text):
                yield f"outcomes.{name}: {show(text)} is no outcome; write exam/protocol"
            elif (measure := split_outcome(text).measure) not in MEASURES:
                yield f"outcomes.{name}: {measure} is not one of {', '.join(MEASURES)}"
        if self.outcomes[self.primary].endswith("/probability"):
            yield f"outcomes.{self.primary}: the primary outcome must be right or wrong"
        if self.forgetting and self.forgetting not in self.outcomes:
            yield f"forgetting: no such outcome{nearest(self.forgetting, self.outcomes)}"
        for name, arms in self.scaling.items():
            if len(arms) < 2:
                yield f"scaling.{name}: a curve needs two arms or more"
        for name, text in self.other_points.items():
            if not POINT.fullmatch(text):
                yield f"other_points.{name}: {show(text)} is no arm; write sweep/arm"
            elif name in self.scaling:
                yield f"other_points.{name}: scaling has a curve of this name; choose another"
        yield from self._check_arms()

    def _check_arms(self) -> Iterator[str]:
        """Yield the arms that the sweep does not have, if its file is there."""
        file = root() / "params" / self.sweep / "sweep.yaml"
        content = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None
        arms = content.get("arms") if isinstance(content, dict) else None
        if not isinstance(arms, dict):
            return
        used = {f"scaling.{curve}": names for curve, names in self.scaling.items()}
        used |= {"overlap_arm": [self.overlap_arm], "contrasts": self.primary_arms}
        pairs = map(split_contrast, self.further_contrasts)
        used["further_contrasts"] = [arm for pair in pairs for arm in pair]
        for where, names in used.items():
            for arm in dict.fromkeys(names):
                if arm not in arms:
                    yield f"{where}: {self.sweep} has no arm {arm}{nearest(arm, arms)}"

    @property
    def primary(self) -> str:
        """The name of the primary outcome."""
        return next(iter(self.outcomes))

    @property
    def scaling_outcome(self) -> str:
        """The outcome of the curves: all questions, if points of other sweeps are drawn with them.

        Another sweep may exclude other questions.
        """
        return self.primary + ALL * bool(self.other_points)

    @property
    def primary_arms(self) -> list[str]:
        """The arms of the primary contrasts."""
        return list(dict.fromkeys(arm for c in self.contrasts for arm in split_contrast(c)))

    @property
    def exam(self) -> str:
        """The exam of the primary outcome."""
        return split_outcome(self.outcomes[self.primary]).benchmark


def split_contrast(text: str) -> tuple[str, str]:
    """Return both arms of a contrast.

    >>> split_contrast("dialogue - raw")
    ('dialogue', 'raw')
    """
    match = CONTRAST.fullmatch(text)
    return (match[1], match[2]) if match else ("", "")


def split_outcome(text: str) -> Outcome:
    """Return the parts of an outcome.

    >>> split_outcome("mini_exam/option_text").variant
    'as_given'
    """
    return Outcome(*text.split("/")[:4])
