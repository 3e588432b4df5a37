"""Licence check before the first request: which texts may be rewritten, by whom, for which model.

This is not legal advice. The checks stop a run if a licence forbids it in words that a rule can
read.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping

from clinical_camel.data import Article
from clinical_camel.teachers.licences import RESTRICTED, check_remote, check_terms
from clinical_camel.teachers.teacher import Teacher

_FORBIDS = re.compile(r"(?:^|[ -])nd(?:$|[ -])|no.?deriv|all rights reserved", re.IGNORECASE)
_PERMITS = re.compile(
    r"\bcc0\b|public domain|\bcc[ -]by\b|apache|\bmit\b|\bown\b|with permission", re.IGNORECASE
)


def check_licence(licence: str) -> str:
    """Return why a text under this licence must not be rewritten; "" if it may be.

    >>> check_licence("CC BY-NC-ND 4.0"), check_licence("CC BY 4.0")
    ('licence CC BY-NC-ND 4.0 permits no derivatives', '')
    """
    if not licence:
        return ""
    if _FORBIDS.search(licence):
        return f"licence {licence} permits no derivatives"
    if RESTRICTED.search(licence) or _PERMITS.search(licence):
        return ""
    return f"licence {licence} is not known to permit derivatives"


def fill_licences(
    articles: Iterable[Article], source: str, source_licence: str, overrides: Mapping[str, str]
) -> list[Article]:
    """Return the articles of one source, each with its licence.

    `overrides[source]` takes precedence over an article's own licence, and that over
    `source_licence`. With an override of `own`, `with permission` or a licence's name the user
    takes responsibility.

    Raises ValueError if an article has no licence.
    """
    filled = [
        dataclasses.replace(a, licence=overrides.get(source) or a.licence or source_licence)
        for a in articles
    ]
    unlicensed = sum(not article.licence for article in filled)
    if unlicensed:
        raise ValueError(
            f"articles: {unlicensed} of {source} state no licence; if they are yours, write "
            f"licences: {{{source}: own}}, otherwise write the licence's name"
        )
    return filled


def require_terms(teacher: Teacher, student: str, licences: Iterable[str]) -> None:
    """Reject a teacher that must not write these texts for this student, before any request.

    `licences` are those of all texts, questions included. Raises ValueError for restricted rows
    with a remote teacher, for Llama 2 with a student of another family, and for Llama 3 with a
    student whose name does not contain Llama.
    """
    if problem := check_remote(teacher, licences) or check_terms(
        teacher.model if teacher.prompted else "", teacher.terms, student
    ):
        raise ValueError(problem)
