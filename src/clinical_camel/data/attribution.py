"""Who made the texts that a notebook quotes: authors, licence, address and what was changed.

The Creative Commons licences and MIT demand this of whoever passes a text on. The authors are in
citations.csv, the licences in `registry`. A file that a step of a study made stands for the texts
that this step read (its run.json).
"""

import csv
import functools
import html
from collections.abc import Iterator, Sequence
from pathlib import Path

from clinical_camel.core.files import read_json
from clinical_camel.core.paths import root
from clinical_camel.data import registry

LICENCES = {
    "CC BY 4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC BY 3.0": "https://creativecommons.org/licenses/by/3.0/",
    "MIT": "https://opensource.org/license/mit",
}
COLUMNS = ("texts", "authors", "licence", "address", "changes")
SHORTENED = "Quotations are shortened where `...` stands."


def list_attributions(specs: Sequence[str]) -> list[dict[str, str]]:
    """Return one row per source of the specs: COLUMNS, as plain texts.

    `texts` lists the registered names that come from this source. A user's own file has no row: its
    author is the user. A file under outputs/ is replaced by the sources of the step that made it.
    Raises DataError for a name that is not registered.
    """
    rows: dict[tuple[str, ...], list[str]] = {}
    for name in dict.fromkeys(_list_names(specs, set())):
        source = registry.find_source(name)
        cited = _load_citations().get(source.citation, {})
        hub = f"https://huggingface.co/datasets/{source.hub}" if source.hub else ""
        address = cited.get("url") or hub
        authors = cited.get("citation") or "named at the address"
        if address:
            key = (authors, source.licence, address, cited.get("changes", "none"))
            rows.setdefault(key, []).append(name)
    return [
        dict(zip(COLUMNS, (", ".join(names), *key), strict=True)) for key, names in rows.items()
    ]


def format_attributions(specs: Sequence[str]) -> str:
    """Return the table of `list_attributions` as HTML, and how quotations are marked."""
    rows = list_attributions(specs)
    if not rows:
        return ""
    head = "".join(f"<th>{name}</th>" for name in COLUMNS)
    body = "".join(
        f"<tr>{''.join(f'<td>{_format_cell(name, row[name])}</td>' for name in COLUMNS)}</tr>"
        for row in rows
    )
    note = SHORTENED.replace("`...`", "<code>...</code>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{note}</p>"


def _list_names(specs: Sequence[str], seen: set[str]) -> Iterator[str]:
    """Yield the registered names behind specs; the steps between are followed to their sources."""
    for spec in specs:
        name, at, path = spec.partition("@")
        if name in registry.SOURCES:
            yield name
        elif not at and spec.startswith("outputs/") and spec not in seen:
            seen.add(spec)
            record = read_json((root() / (path or spec)).with_name("run.json"))
            sources = record.get("notes", {}).get("sources", [])
            yield from _list_names([source["spec"] for source in sources], seen)
        elif "/" not in spec and "." not in spec:
            registry.find_source(spec)


def _format_cell(column: str, text: str) -> str:
    address = text if text.startswith("https://") else LICENCES.get(text, "")
    shown = html.escape(text)
    if column in ("licence", "address") and address:
        return f'<a href="{html.escape(address)}">{shown}</a>'
    return shown


@functools.cache
def _load_citations() -> dict[str, dict[str, str]]:
    """Return citations.csv, by key."""
    text = Path(__file__).with_name("citations.csv").read_text(encoding="utf-8")
    return {row["key"]: row for row in csv.DictReader(text.splitlines())}
