"""What may be rewritten, by whom, for whose model: read from licences before the first request.

Nothing here is legal advice: it is a stop where a licence says no in words that a rule can read.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping

from clinical_camel.data import Article

# What a teacher's terms say of training other models; the param `teacher_terms` names one of these.
TERMS = {
    "none": "no language model writes",
    "own": "the teacher is ours, or its owner has agreed",
    "open": "permits training other models (as Apache-2.0 and MIT do)",
    "llama2": "only Llama 2 and what is made from it may be improved with its outputs",
    "llama3": "a model trained on its outputs must bear Llama in its name",
    "acknowledged": "the account holder has read the provider's terms and answers for this use",
}
_LLAMA_2 = re.compile(r"llama[-_ ]?2|codellama|vicuna.*1\.5|camel.?(?:13|70)b", re.IGNORECASE)
_FORBIDS = re.compile(r"(?:^|[ -])nd(?:$|[ -])|no.?deriv|all rights reserved", re.IGNORECASE)
_PERMITS = re.compile(
    r"\bcc0\b|public domain|\bcc[ -]by\b|apache|\bmit\b|\bown\b|with permission", re.IGNORECASE
)
RESTRICTED = re.compile(
    r"\brestricted\b|credentialed|data use agreement|\bdua\b|physionet", re.IGNORECASE
)


def refusal(licence: str) -> str:
    """Why a text under this licence is not rewritten; or "".

    >>> refusal("CC BY-NC-ND 4.0"), refusal("CC BY 4.0")
    ('licence CC BY-NC-ND 4.0 permits no derivatives', '')
    """
    if not licence:
        return ""
    if _FORBIDS.search(licence):
        return f"licence {licence} permits no derivatives"
    if RESTRICTED.search(licence) or _PERMITS.search(licence):
        return ""
    return f"licence {licence} is not known to permit derivatives"


def licensed(
    articles: Iterable[Article], source: str, stated: str, overrides: Mapping[str, str]
) -> list[Article]:
    """The articles of one source, each with its licence filled in.

    `overrides[source]` stands before an article's own, that before `stated`, the source's. With one
    of `own`, `with permission` or a licence's name in `overrides` a user answers for it, in the
    open. ValueError if there is none at all: what nobody permits is not rewritten.
    """
    found = [
        dataclasses.replace(a, licence=overrides.get(source) or a.licence or stated)
        for a in articles
    ]
    silent = sum(not article.licence for article in found)
    if silent:
        raise ValueError(
            f"articles: {silent} of {source} state no licence; if they are yours, write "
            f"licences: {{{source}: own}}, else the licence's name"
        )
    return found


def check_terms(teacher, terms: str, student: str, licences: Iterable[str]) -> None:
    """Refuses a teacher that may not write these texts for this student, before any request.

    `licences` are those of all texts, questions included. ValueError says what may not be: a remote
    teacher for restricted rows; Llama 2 for a student of another family; terms that nobody states.
    """
    if terms not in TERMS:
        raise ValueError(f"teacher_terms: {terms!r} is not one of {', '.join(TERMS)}")
    restricted = sorted({text for text in licences if RESTRICTED.search(text)})
    if teacher.remote and restricted:
        raise ValueError(
            f"teacher: rows under {restricted[0]!r} are restricted and may not leave this machine; "
            "choose a local teacher"
        )
    if not teacher.prompted:
        return
    if terms == "none":
        raise ValueError(
            f"teacher_terms: not stated for {teacher.model}; read its terms and write one of "
            f"{', '.join(list(TERMS)[1:])}"
        )
    of_llama_2 = terms == "llama2" or _LLAMA_2.search(teacher.model)
    if of_llama_2 and not _LLAMA_2.search(student):
        raise ValueError(
            f"teacher_terms: outputs of {teacher.model} may improve Llama 2 only (licence, 1.b.v), "
            f"and the student is {student}"
        )
    if terms == "llama3" and "llama" not in student.lower():
        raise ValueError(
            f"teacher_terms: a model trained on outputs of {teacher.model} must bear Llama in its "
            f"name, and the student is {student}"
        )
