"""ICD-10-CM codes and their groups, by simple-icd-10-cm (offline)."""

import functools
import re
from dataclasses import dataclass
from pathlib import Path

import simple_icd_10_cm as icd

from clinical_camel.core.paths import root
from clinical_camel.core.tables import read_table

SHIPPED = Path(__file__).with_name("diagnosis_names.csv")
# a letter or digit, but no Chinese or Japanese character: these are written without spaces
LETTER = r"[^\W_\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
_CODE = re.compile(rf"(?<!{LETTER})[A-TV-Z]\d[0-9A-Z](?:\.[0-9A-Z]{{1,4}})?(?!{LETTER})")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A diagnosis: its name in the table, its ICD-10-CM code, and further names."""

    name: str
    code: str
    other_names: tuple[str, ...] = ()


def read_diagnoses(file: str = "") -> list[Diagnosis]:
    """Read a table of diagnoses: name, code and, if there is such a column, other_names.

    `file`: a path from the project root; "" is the shipped table, with the diseases of the embedded
    study. Several other names are separated by semicolons. Raises ValueError with file and line: a
    missing column, an empty or duplicate name, an unknown code.
    """
    path = root() / file if file else SHIPPED
    if not path.is_file():
        raise ValueError(f"diagnosis_names: {file}: no such file")
    table = read_table(path)
    for column in ("name", "code"):
        if column not in table.columns:
            raise ValueError(f"{path.name}: no column {column}; it needs name and code")
    diagnoses, lines = [], {}
    for line, row in zip(table.lines, table.rows, strict=True):
        others = tuple(filter(None, map(str.strip, row.get("other_names", "").split(";"))))
        for name in (row["name"], *others):
            if not (form := normalise_name(name)):
                raise ValueError(f"{path.name}: line {line}: a name is empty")
            if lines.setdefault(form, line) != line:
                raise ValueError(f"{path.name}: line {line}: {name!r} is in line {lines[form]} too")
        if not (code := find_code(row["code"])):
            raise ValueError(
                f"{path.name}: line {line}: {row['code']!r} is no ICD-10 code; write one such as "
                "I20.9"
            )
        diagnoses.append(Diagnosis(row["name"], code, others))
    return diagnoses


def find_code(text: str) -> str:
    """Return the ICD-10-CM code that a text is; "" if it is none.

    A subdivision of another ICD-10 edition is read as its category.

    >>> find_code("k259"), find_code("I64"), find_code("B16.95"), find_code("gout")
    ('K25.9', '', 'B16', '')
    """
    code = text.strip().upper()
    code = code if "." in code or len(code) <= 3 else f"{code[:3]}.{code[3:]}"
    if not _CODE.fullmatch(code):
        return ""
    return next((c for c in (code, code[:3]) if icd.is_valid_item(c)), "")


def find_codes(text: str) -> list[tuple[str, re.Match[str]]]:
    """Return the valid codes that a text contains, and where; they need a dot or three characters.

    >>> [code for code, match in find_codes("K25.9, not T4 or B12 levels")]
    ['K25.9']
    """
    matches = _CODE.finditer(text)
    return [(code, match) for match in matches if (code := find_code(match[0]))]


def normalise_spelling(text: str) -> str:
    """Return a text without apostrophes, hyphens and accents of spelling; its case stays.

    Its casefold has the same length, so both have the same positions.

    >>> normalise_spelling("MS, not Addison’s disease; Tumours"), normalise_spelling("Weiß")
    ('MS, not Addison disease; Tumors', 'Weiss')
    """
    plain = re.sub(r"['’](?:s\b)?", "", text, flags=re.I)
    plain = re.sub(r"tumour", lambda match: match[0][:4] + match[0][5:], plain, flags=re.I)
    plain = re.sub(r"[ao](e)", r"\1", plain, flags=re.I)
    plain = "".join(c if len(c.casefold()) == 1 else c.casefold() for c in plain)
    return " ".join(re.sub(r"[-_/\s]+", " ", plain).split())


def normalise_name(text: str) -> str:
    """Return a text for the comparison of names: `normalise_spelling`, in lower case.

    British and American spellings become equal.

    >>> normalise_name("Addison’s disease"), normalise_name("Iron-deficiency anaemia")
    ('addison disease', 'iron deficiency anemia')
    """
    return normalise_spelling(text).casefold()


def find_by_description(text: str) -> str:
    """Return the code whose description or inclusion term is this text; "" if there is none.

    >>> find_by_description("Angina pectoris, unspecified."), find_by_description("toe pain today")
    ('I20.9', '')
    """
    return _descriptions().get(normalise_name(text.strip(" .。")), "")


@functools.cache
def _descriptions() -> dict[str, str]:
    codes = [code for code in icd.get_all_codes() if not icd.is_chapter_or_block(code)]
    names: dict[str, str] = {}
    for code in codes:
        names.setdefault(normalise_name(icd.get_description(code)), code)
    for code in codes:
        for term in icd.get_inclusion_term(code):
            names.setdefault(normalise_name(term), code)
    return names


@functools.cache
def find_group(code: str, level: str) -> tuple[str, str]:
    """Return the group of a code, as (code, description): its "chapter", "block" or "category".

    >>> find_group("I20.9", "chapter")
    ('I00-I99', 'Diseases of the circulatory system')
    >>> find_group("I20.9", "block")[0], find_group("I20.9", "category")
    ('I20-I25', ('I20', 'Angina pectoris'))
    """
    tests = {"chapter": icd.is_chapter, "block": icd.is_block, "category": icd.is_category}
    # from the code upwards: of nested blocks the smallest
    item = next(item for item in (code, *icd.get_ancestors(code)) if tests[level](item))
    description = icd.get_description(item)
    name = re.sub(r" \([A-Z]\d[0-9A-Z]-[A-Z]\d[0-9A-Z]\)$", "", description)
    span = re.search(r"\(([A-Z]\d[0-9A-Z]-[A-Z]\d[0-9A-Z])\)$", description)
    return (span[1] if span else item), name
