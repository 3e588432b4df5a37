"""Read the lexicons of this folder; README.md has their sources and licences."""

import csv
import functools
import gzip
import importlib.resources
import io
from typing import NamedTuple


class Finding(NamedTuple):
    """A row of the Human Phenotype Ontology: identifier, name, an exact synonym or ""."""

    id: str
    name: str
    synonym: str


def _read(name: str) -> str:
    file = importlib.resources.files("clinical_camel.grounding.lexicons") / name
    return gzip.decompress(file.read_bytes()).decode()


def _read_rows(name: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(_read(name))))[1:]


@functools.cache
def read_drugs() -> dict[str, str]:
    """Return the drug by official name or brand, in lower case.

    >>> read_drugs()["lasix"], read_drugs()["paracetamol"]
    ('furosemide', 'acetaminophen')
    """
    return dict(_read_rows("drugs.csv.gz"))


@functools.cache
def read_findings() -> list[Finding]:
    """Return the rows of the Human Phenotype Ontology, unchanged."""
    return [Finding(*row) for row in _read_rows("findings.csv.gz")]


@functools.cache
def read_conditions() -> frozenset[str]:
    """Return names of diseases, in lower case."""
    return frozenset(_read("conditions.txt.gz").split("\n")[:-1])


@functools.cache
def read_words() -> frozenset[str]:
    """Return the words of English and of medicine, with their inflections."""
    return frozenset(_read("words.txt.gz").split())
