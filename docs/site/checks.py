"""Checks of the built site: links lead somewhere, and pages load nothing from elsewhere."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADS = {  # attributes that a browser loads at once
    ("script", "src"),
    ("img", "src"),
    ("img", "srcset"),
    ("link", "href"),
    ("iframe", "src"),
    ("source", "src"),
    ("video", "src"),
    ("audio", "src"),
    ("object", "data"),
    ("embed", "src"),
}
NO_LOAD = {"index", "search", "next", "prev", "canonical", "author", "copyright"}  # <link rel=...>
_CSS_FILE = re.compile(r"url\(\s*['\"]?(?!data:|#)([^'\")]+)|@import\s+['\"]([^'\"]+)")


class _Page(HTMLParser):
    """The links, loaded files, ids and problems of one page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.problems: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids |= {values[name] for name in ("id", "name") if name in values}
        for name, value in values.items():
            is_page = tag == "link" and values.get("rel") in NO_LOAD
            if (tag, name) in LOADS and not is_page:
                self.loads.append(value)
            elif name == "href" and tag != "use":
                self.links.append(value)
            if name.startswith("on"):
                self.problems.append(f"<{tag} {name}>: code in a page")
            if value.strip().lower().startswith("javascript:"):
                self.problems.append(f"<{tag} {name}>: a script as a link")
        if tag == "img" and not values.get("alt", "").strip():
            self.problems.append(f"{values.get('src')}: an image without a description")

    handle_startendtag = handle_starttag


def check_site(folder: Path) -> Iterator[str]:
    """Yield the problems of a built site, one line each."""
    pages = {file: _read(file) for file in sorted(folder.rglob("*.html"))}
    for file, page in pages.items():
        name = file.relative_to(folder).as_posix()
        yield from (f"{name}: {problem}" for problem in page.problems)
        for target in page.loads:
            if _is_elsewhere(target):
                yield f"{name}: loads {target}"
            elif not target.startswith("data:"):
                yield from (f"{name}: {p}" for p in _check_link(file, target, pages))
        for target in page.links:
            if not urlsplit(target).scheme:
                yield from (f"{name}: {p}" for p in _check_link(file, target, pages))
    for file in sorted(folder.rglob("*.css")):
        for pair in _CSS_FILE.findall(file.read_text(encoding="utf-8")):
            if _is_elsewhere(target := "".join(pair)):
                yield f"{file.relative_to(folder).as_posix()}: loads {target}"


def _read(file: Path) -> _Page:
    page = _Page()
    page.feed(file.read_text(encoding="utf-8"))
    return page


def _is_elsewhere(target: str) -> bool:
    parts = urlsplit(target)
    return bool(parts.netloc) or parts.scheme in ("http", "https", "ftp")


def _check_link(file: Path, target: str, pages: dict[Path, _Page]) -> Iterator[str]:
    parts = urlsplit(target)
    place = (file.parent / unquote(parts.path)).resolve() if parts.path else file
    anchor = unquote(parts.fragment)
    if parts.netloc:
        yield f"{target}: leads elsewhere without a scheme"
    elif not place.is_file():
        yield f"{target}: no such file"
    elif anchor and place in pages and anchor not in pages[place].ids:
        yield f"{target}: no such place on the page"
