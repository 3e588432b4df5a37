"""A page of an SVG drawing: boxes, arrows and text that fit, on a light or a dark background.

A page is 480 units wide with text of 16 units, so that it can be read at 360 pixels. Text stays
text. The width of a text is that of DejaVu Sans, one of the widest fonts for screens; a text that
does not fit into its box is an error. Colours are those of Okabe and Ito (2008), darker or lighter
where the contrast needs it; no meaning is in a colour alone.
"""

import functools
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath

WIDTH, MARGIN = 480, 16
SIZE, SMALL, TITLE = 16, 15, 19  # font sizes
LINE = 22  # height of a line of text
PADDING = 9
# name: fill and stroke, light; fill and stroke, dark
COLOURS = {
    "data": ("#ececec", "#595959", "#2b2f33", "#b0b6bc"),
    "step": ("#d6e9f8", "#005b8f", "#10344d", "#7cc4ee"),
    "trained": ("#d3efe6", "#00664b", "#0b3d30", "#4fd3ab"),
    "frozen": ("#e6e0f0", "#5b3f8c", "#2f2542", "#c3adea"),
    "warning": ("#fbdccb", "#9c3d00", "#4d2412", "#ff9c66"),
    "note": ("#fdf0d3", "#7a5200", "#3f2f08", "#f0b93c"),
}
INK, PAPER = ("#1a1a1a", "#ffffff"), ("#f2f2f2", "#14171a")  # light: ink, paper; then dark


@functools.cache
def _metrics() -> TextToPath:
    return TextToPath()


@functools.cache
def measure(text: str, size: float = SIZE, is_bold: bool = False) -> float:
    """Return the width of a text in units.

    >>> measure("wide") > measure("ill")
    True
    """
    font = FontProperties(family="DejaVu Sans", size=size, weight="bold" if is_bold else "normal")
    return _metrics().get_text_width_height_descent(text, font, False)[0]


def wrap(text: str, width: float, size: float = SIZE) -> list[str]:
    """Return the lines of a text that fit into a width.

    >>> wrap("one two three", measure("one two"))
    ['one two', 'three']
    """
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and measure(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of the page: from x0 to x1 and from top to bottom; `label` says what it is."""

    x0: float
    top: float
    x1: float
    bottom: float
    label: str

    def overlaps(self, other: "Area") -> bool:
        """Return whether both have a part of more than one unit in common."""
        wide = min(self.x1, other.x1) - max(self.x0, other.x0)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        return wide > 1 and high > 1


@dataclass(slots=True)
class Page:
    """A drawing with a title and a description for readers who cannot see it."""

    name: str
    title: str
    description: str
    parts: list[str] = field(default_factory=list)
    texts: list[Area] = field(default_factory=list)
    boxes: list[Area] = field(default_factory=list)
    bottom: float = 0.0

    def text(self, x: float, y: float, text: str, style: str = "") -> None:
        """Write a line of text that starts at `x`; `y` is its baseline.

        `style`: words of "bold small title loss".
        """
        words = style.split()
        size = TITLE if "title" in words else SMALL if "small" in words else SIZE
        is_bold = "bold" in words or "title" in words
        width = measure(text, size, is_bold)
        self._require_fit(x, x + width, text)
        self.texts.append(Area(x, y - size * 0.8, x + width, y + size * 0.25, text))
        classes = f' class="{style}"' if style else ""
        self.parts.append(f'<text x="{x:g}" y="{y:g}"{classes}>{escape(text)}</text>')
        self.bottom = max(self.bottom, y + size * 0.3)

    def box(
        self, place: tuple[float, float, float], colour: str, heading: str, lines: list[str] = ()
    ) -> float:
        """Draw a box at (x, y, width) with a bold heading and lines; return the y of its bottom.

        Raises ValueError for a text that does not fit.
        """
        x, y, width = place
        rows = [(heading, True), *((line, False) for line in lines)]
        height = 2 * PADDING + LINE * len(rows) - 4
        for row, is_bold in rows:
            if measure(row, SIZE, is_bold) > width - 2 * PADDING + 2:
                raise ValueError(f"{self.name}: {row!r} does not fit into {width:g} units")
        self.parts.append(
            f'<rect class="{colour}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" '
            'rx="6"/>'
        )
        self.boxes.append(Area(x, y, x + width, y + height, heading))
        for index, (row, is_bold) in enumerate(rows):
            baseline = y + PADDING + LINE * index + 14
            self.text(x + PADDING, baseline, row, style="bold" if is_bold else "")
        self.bottom = max(self.bottom, y + height)
        return y + height

    def arrow(self, *points: tuple[float, float]) -> None:
        """Draw a line through the points with a head at its end."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        self.parts.append(f'<polyline class="arrow" points="{path}" marker-end="url(#head)"/>')
        self.bottom = max(self.bottom, *(y for _, y in points))

    def bar(self, x: float, y: float, width: float, colour: str) -> None:
        """Draw a bar of 12 units height."""
        self.parts.append(
            f'<rect class="{colour}" x="{x:g}" y="{y:g}" width="{max(width, 1):.0f}" height="12"/>'
        )
        self.boxes.append(Area(x, y, x + width, y + 12, "bar"))
        self.bottom = max(self.bottom, y + 12)

    def list_overlaps(self) -> list[str]:
        """Return which texts overlap each other, or the border of a box."""
        overlaps = []
        for i, one in enumerate(self.texts):
            overlaps += [
                f"{one.label} | {other.label}"
                for other in self.texts[i + 1 :]
                if one.overlaps(other)
            ]
            for box in self.boxes:
                is_inside = (
                    box.x0 <= one.x0
                    and one.x1 <= box.x1 + 2
                    and box.top <= one.top
                    and one.bottom <= box.bottom + 2
                )
                if one.overlaps(box) and not is_inside:
                    overlaps.append(f"{one.label} | box {box.label}")
        for i, one in enumerate(self.boxes):
            overlaps += [
                f"box {one.label} | box {other.label}"
                for other in self.boxes[i + 1 :]
                if one.overlaps(other)
            ]
        return overlaps

    def render(self) -> str:
        """Return the drawing as an SVG document; raise ValueError if texts or boxes overlap."""
        if overlaps := self.list_overlaps():
            raise ValueError(f"{self.name}: {'; '.join(overlaps)}")
        height = round(self.bottom + MARGIN)
        body = "\n".join(self.parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="title description">\n'
            f'<title id="title">{escape(self.title)}</title>\n'
            f'<desc id="description">{escape(self.description)}</desc>\n'
            f"<style>\n{_style()}\n</style>\n"
            '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" '
            'markerHeight="8" orient="auto-start-reverse">'
            '<path class="head" d="M0 0 10 5 0 10z"/></marker></defs>\n'
            f'<rect class="paper" width="{WIDTH}" height="{height}"/>\n{body}\n</svg>\n'
        )

    def _require_fit(self, x0: float, x1: float, text: str) -> None:
        if x0 < 4 or x1 > WIDTH - 4:
            raise ValueError(f"{self.name}: {text!r} leaves the page")


def _style() -> str:
    base = (
        f'text{{font:{SIZE}px system-ui,"Segoe UI","DejaVu Sans",sans-serif;fill:{INK[0]}}}\n'
        f".small{{font-size:{SMALL}px}}\n.title{{font-size:{TITLE}px}}\n"
        ".bold,.title{font-weight:700}\n.loss{text-decoration:underline;font-weight:700}\n"
        f".paper{{fill:{INK[1]}}}\n.arrow{{fill:none;stroke:{INK[0]};stroke-width:2}}\n"
        f".head{{fill:{INK[0]}}}"
    )
    light = "\n".join(f".{n}{{fill:{c[0]};stroke:{c[1]}}}" for n, c in COLOURS.items())
    dark = "\n".join(f".{n}{{fill:{c[2]};stroke:{c[3]}}}" for n, c in COLOURS.items())
    ink, paper = PAPER
    dark_base = (
        f"text{{fill:{ink}}}\n.paper{{fill:{paper}}}\n.arrow{{stroke:{ink}}}\n.head{{fill:{ink}}}"
    )
    return f"{base}\n{light}\n@media (prefers-color-scheme:dark){{\n{dark_base}\n{dark}\n}}"
