"""The design of the comparison in one drawing, made from the arms and the contrasts."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from clinical_camel.controlled_comparison.settings import FURTHER, ISOLATES, split_contrast
from clinical_camel.core.values import escape_label

FORMS = {  # arm: the form of its training texts
    "raw": "the articles,\nin a fixed order",
    "monologue": "the answers\nof the dialogues, joined",
    "headings": "monologue,\nquestions as headings",
    "qa": "each question and\nits answer alone",
    "qa_shuffled": "pairs of all\narticles in one dialogue",
    "dialogue": "DBKE,\nloss on answers only",
    "unmasked": "dialogues,\nloss on questions too",
    "placebo": "dialogues, answers\nto other questions",
}
LABELS = FORMS | {"paraphrase": "the articles,\nreworded by a model"}  # other sentences
BOX_HEIGHT, STEP = 0.78, 1.0
TALL = 2.2  # the boxes for the texts and the training


def plot_design(contrasts: Sequence[str]) -> Figure:
    """Draw how the arms come from the same texts, and which arms each contrast compares.

    Arms in FORMS have the same sentences; others share the articles only, as far as is known.
    """
    pairs = [split_contrast(text) for text in contrasts]
    arms = dict.fromkeys(arm for pair in pairs for arm in pair)
    arms = [arm for arm in FORMS if arm in arms] + [arm for arm in arms if arm not in FORMS]
    height = max(len(arms), len(pairs)) * STEP
    figure, axis = plt.subplots(figsize=(8, 0.9 + 0.75 * height), layout="constrained")
    middle = (len(arms) - 1) / 2
    start = "the same\nsentences" if set(arms) <= FORMS.keys() else "the same\narticles"
    _draw_box(axis, 0, middle, start, 1.6, TALL)
    for place, arm in enumerate(arms):
        text = f"{arm}: {LABELS[arm]}" if arm in LABELS else arm
        _draw_box(axis, 2.9, place, text, 2.3, BOX_HEIGHT)
        _draw_arrow(axis, (0.8, middle), (1.72, place))
        _draw_arrow(axis, (4.07, place), (4.95, middle))
    _draw_box(axis, 5.9, middle, "QLoRA of a\nbase model", 1.8, TALL)
    _draw_arrow(axis, (6.8, middle), (7.55, middle))
    _draw_box(axis, 8.3, middle, "the same\nexam", 1.4, 1.2)
    lines = [
        f"{number}. {pair[0]} \N{MINUS SIGN} {pair[1]}: {ISOLATES.get(pair, FURTHER)}"
        for number, pair in enumerate(pairs, 1)
    ]
    axis.text(
        -0.85, len(arms) - 0.3, "Contrasts and what differs:\n" + "\n".join(lines), va="top",
        fontsize=10,
    )  # fmt: skip
    axis.set_xlim(-0.9, 9.1)
    top = min(-0.6, middle - TALL / 2 - 0.1)  # two arms are lower than the boxes beside them
    axis.set_ylim(len(arms) - 0.3 + 0.3 * (len(pairs) + 1), top)
    axis.set_axis_off()
    return figure


def _draw_box(axis: Axes, x: float, y: float, text: str, width: float, height: float) -> None:
    corner = (x - width / 2, y - height / 2)
    box = FancyBboxPatch(
        corner, width, height, boxstyle="round,pad=0.02", facecolor="#EEF4FA", edgecolor="#0072B2"
    )
    axis.add_patch(box)
    lines = "\n".join(map(escape_label, text.split("\n")))
    axis.text(x, y, lines, ha="center", va="center", fontsize=9)


def _draw_arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axis.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": "grey"})
