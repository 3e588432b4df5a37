"""Triples of a knowledge graph (subject, relation, object) as questions with answers.

ClinicalGPT (arXiv:2306.09968) tunes on pairs that templates make of triples; its graph and its
templates are not published. Ours are in triple_templates.csv: several wordings per relation, and
one (`*`) for every other relation. A file `<name>.templates.csv` next to a file of triples
replaces them.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from clinical_camel.core.companions import list_companions
from clinical_camel.core.paths import relative
from clinical_camel.core.wording import join
from clinical_camel.data.fields import Raw, get_filled_text, reads_fields
from clinical_camel.data.files import RawRows, read_version, require_no_problems
from clinical_camel.data.shapes import Dialogue
from clinical_camel.data.tables import Record, read_table

TEMPLATES = Path(__file__).with_name("triple_templates.csv")
COLUMNS = ("subject", "relation", "object")
PLACEHOLDERS = {"question": ("subject", "relation"), "reply": ("subject", "relation", "object")}
OTHER, OTHER_CHINESE = "*", "*zh"  # of relations without a template of their own
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_PLACEHOLDER = re.compile(r"{([^{}]*)}")


class Template(NamedTuple):
    """A question on a relation and its reply, with {subject}, {relation} and {object}."""

    question: str
    reply: str


def read_triples(path: Path) -> RawRows:
    """Return one raw row per triple and template of its relation: id, question, reply.

    Several objects of one subject and relation make one reply that lists them: each alone would
    be a wrong answer to the question. The id is `<subject>/<relation>-<number of the template>`, so
    the rows of a subject form a group. Problems: an empty cell, a triple that occurs twice.
    """
    templates = read_templates(next(iter(list_companions(path, "triples")), TEMPLATES))
    rows, problems = read_table(path, COLUMNS)
    objects: dict[tuple[str, str], list[str]] = {}
    numbers: dict[tuple[str, str], int] = {}
    first: dict[tuple[str, ...], int] = {}
    for number, row in rows:
        triple = tuple(row[name] for name in COLUMNS)
        if first.setdefault(triple, number) != number:
            problems.append((number, f"triple {triple} is also in line {first[triple]}"))
            continue
        key = triple[:2]
        numbers.setdefault(key, number)
        objects.setdefault(key, []).append(triple[2])
    lines, raw = [], []
    for (subject, relation), values in objects.items():
        for index, template in enumerate(_choose_templates(templates, subject, relation), 1):
            words = {"subject": subject, "relation": relation.replace("_", " ")}
            words["object"] = join_objects(values)
            lines.append(numbers[subject, relation])
            raw.append(
                {
                    "id": f"{make_slug(subject)}/{make_slug(relation)}-{index}",
                    "question": _fill(template.question, words),
                    "reply": _fill(template.reply, words),
                }
            )
    return RawRows(lines, raw, sorted(problems), "line")


@reads_fields("question reply")
def read_triple_row(row: Raw, source: str) -> Dialogue:
    """A row of `read_triples` as a dialogue of one exchange."""
    turns = (("user", "question"), ("assistant", "reply"))
    return Dialogue(
        id=get_filled_text(row, "id"),
        source=source,
        messages=[{"role": role, "content": get_filled_text(row, name)} for role, name in turns],
    )


def read_templates(path: Path = TEMPLATES) -> dict[str, list[Template]]:
    """Return the templates of each relation, in file order.

    Raises DataError, with the line, for a placeholder that is unknown or missing.
    """
    return _read_templates(path, read_version(path))


@functools.lru_cache(maxsize=8)
def _read_templates(path: Path, version: tuple[int, ...]) -> dict[str, list[Template]]:
    rows, problems = read_table(path, ("relation", "question", "reply"))
    problems += [(number, text) for number, row in rows if (text := _check_template(row))]
    require_no_problems(relative(path), sorted(problems))
    templates: dict[str, list[Template]] = {}
    for _, row in rows:
        templates.setdefault(row["relation"], []).append(Template(row["question"], row["reply"]))
    return templates


def _check_template(row: Record) -> str:
    for name, allowed in PLACEHOLDERS.items():
        names = _PLACEHOLDER.findall(row[name])
        if unknown := [n for n in names if n not in allowed]:
            valid = ", ".join(f"{{{n}}}" for n in allowed)
            return f"{name}: {{{unknown[0]}}} is not one of {valid}"
        if (needed := allowed[-1] if name == "reply" else "subject") not in names:
            return f"{name}: lacks {{{needed}}}"
    return ""


def _choose_templates(
    templates: Mapping[str, Sequence[Template]], subject: str, relation: str
) -> Sequence[Template]:
    other = OTHER_CHINESE if _CHINESE.search(subject) else OTHER
    builtin = read_templates()
    return templates.get(relation) or templates.get(other) or builtin[other]


def join_objects(values: Sequence[str]) -> str:
    """Return the objects as one text.

    >>> join_objects(["fever"]), join_objects(["fever", "cough", "rash"])
    ('fever', 'fever, cough and rash')
    >>> join_objects(["发热", "咳嗽"])
    '发热、咳嗽'
    """
    if _CHINESE.search("".join(values)):
        return "、".join(values)
    return join(values)


def _fill(template: str, words: Mapping[str, str]) -> str:
    """Return a template with its words filled in, in one pass, and a capital letter first."""
    text = _PLACEHOLDER.sub(lambda match: words[match[1]], template)
    return text[0].upper() + text[1:]


def make_slug(text: str) -> str:
    """Return a subject or a relation as it is written in the id of a row.

    >>> make_slug("Carpal tunnel syndrome")
    'carpal-tunnel-syndrome'
    """
    return re.sub(r"[\s/]+", "-", text.lower())
