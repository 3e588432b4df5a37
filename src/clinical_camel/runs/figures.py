"""Is a figure readable at the width at which notebooks and pages show it?"""

import importlib
import itertools
from collections.abc import Iterator
from typing import Any

DPI = 110  # of a saved figure
WIDTH = 800  # px at which it is shown; a narrower figure is not enlarged
SMALLEST = 12  # px of a readable text


class UnreadableFigure(UserWarning):
    """A saved figure has a text that is too small, or tick labels that overlap."""


def check_readable(figure: Any) -> Iterator[str]:
    """Yield the smallest text of a figure if it is too small, and an axis whose labels overlap."""
    texts, width = _draw(figure)
    sizes = {text: text.get_fontsize() for text in texts}
    if sizes:
        smallest = min(sizes, key=sizes.get)
        pixels = sizes[smallest] / 72 * min(DPI, WIDTH / width)
        if pixels < SMALLEST:
            yield (
                f"its smallest text {smallest.get_text()!r} is {pixels:.1f} px high at a width of "
                f"{WIDTH} px; draw a narrower figure or a larger text, of {SMALLEST} px"
            )
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            labels = [label for label in axis.get_ticklabels() if label in sizes]
            yield from _check_overlap(labels)


def _draw(figure: Any) -> tuple[list[Any], float]:
    """Return the texts that are drawn, and the width of the saved figure in inches."""
    renderer_class = importlib.import_module("matplotlib.backends.backend_agg").RendererAgg
    pad = importlib.import_module("matplotlib").rcParams["savefig.pad_inches"]
    texts = []

    class Recorder(renderer_class):
        def draw_text(self, *arguments: Any, mtext: Any = None, **options: Any) -> None:
            if mtext is not None and mtext.get_text().strip():
                texts.append(mtext)

    width, height = (figure.dpi * inches for inches in figure.get_size_inches())
    renderer = Recorder(round(width), round(height), figure.dpi)
    figure.draw(renderer)
    return texts, figure.get_tightbbox(renderer).width + 2 * pad


def _check_overlap(labels: list[Any]) -> Iterator[str]:
    """Yield the first two neighbouring tick labels that overlap; slanted ones are not compared."""
    straight = [label for label in labels if label.get_rotation() % 90 == 0]
    boxes = [(label.get_window_extent(), label.get_text()) for label in straight]
    for (box, text), (other_box, other_text) in itertools.pairwise(boxes):
        if box.overlaps(other_box):
            yield f"its tick labels {text!r} and {other_text!r} overlap"
            return
