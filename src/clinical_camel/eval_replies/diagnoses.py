"""Diagnoses in free replies: which one a reply names, and accuracy by ICD group."""

import re
from collections.abc import Iterator, Sequence

import pandas as pd

from clinical_camel import stats
from clinical_camel.eval_replies.icd import (
    LETTER,
    Diagnosis,
    find_by_description,
    find_codes,
    find_group,
    normalise_name,
    normalise_spelling,
)
from clinical_camel.eval_replies.settings import DIAGNOSIS
from clinical_camel.eval_replies.wording import UNIT

OUTCOMES = (
    "correct",  # names the diagnosis of the reference and no other
    "same group",  # names one other diagnosis of the same ICD group
    "wrong",  # names one diagnosis of another group
    "several",  # names two or more, whether the reference is among them or not
    "none",  # names no diagnosis of the vocabulary
)
ALL_GROUPS = "all"
MIN_RECORDS = 10  # of an ICD group that figures and tables for reading show
SHORT = 3  # letters of an abbreviation that counts in its own case only
SCORE_COLUMNS = (
    *(*UNIT, "id", "group", "model", "status", "reference", "code"),
    *("icd_group", "icd_description", "named", "outcome", "correct"),
)
SUMMARY_COLUMNS = (
    *(*UNIT, "model", "icd_group", "icd_description", "n"),
    *(*OUTCOMES, "accuracy", "low", "high"),
)
# a point or comma inside a number or a code ends no clause
_CLAUSE = re.compile(r"[;。；：，]|[.:,](?!\d)|\b(?:but|however|although|though)\b")
_NEITHER = re.compile(r"\bneither\b(?:[^.;:]|[.:](?=\d))*?\bnor\b")  # its commas end no clause
# in the clause, before the name; in Chinese directly before it
_DENIED = re.compile(
    r"\b(?:no(?! doubt)|not(?! only)|never|without|neither|nor|excludes?|excluded|excluding|"
    r"unlike|rules? out|ruled out|rather than|instead of|versus|vs|cannot|"
    # normalise_name makes "isn't" "isnt", "can't" "cant" and "doesn't" "desnt"
    r"(?:is|was|are|were|des|did|do|ca|could|has|have|had|would|should)nt)\b|"
    r"(?:不是|不像|不考虑|没有|未见|并非|排除|无|非)$"
)
# after the name, and after its code in brackets
_DENIED_AFTER = re.compile(
    r"(?:\s*\([^()]*\)|\))?\s*"
    r"(?:(?:is|was|has been|seems|appears)\s+(?:\w+\s+)?"
    r"(?:unlikely|excluded|ruled out|less likely)|的?可能性(?:不大|小)|(?:已|被)?排除)"
)


class Vocabulary:
    """The diagnoses that can be read in a reply, by every name.

    A name that is part of a longer one ("gout" in "gout flare") counts only where the longer one is
    not written. An abbreviation of up to three letters counts only in its own case: "MS" is not in
    "Ms Jones" and "120 ms".
    """

    def __init__(self, diagnoses: Sequence[Diagnosis]) -> None:
        self.codes = {diagnosis.name: diagnosis.code for diagnosis in diagnoses}
        self._name_of: dict[str, str] = {}
        self._spellings: dict[str, set[str]] = {}  # that count; "" stands for any
        for diagnosis in diagnoses:
            for name in (diagnosis.name, *diagnosis.other_names):
                self._name_of[form := normalise_name(name)] = diagnosis.name
                is_abbreviation = len(name) <= SHORT and name[1:] != name[1:].lower()
                spelling = normalise_spelling(name) if is_abbreviation else ""
                self._spellings.setdefault(form, set()).add(spelling)
        names = sorted(self._name_of, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_write_pattern, names)) or "(?!)")
        self._categories = {diagnosis.code[:3] for diagnosis in diagnoses}

    def find(self, text: str) -> list[str]:
        """Return the diagnoses that a text names and does not deny, in their order.

        A valid ICD code counts as the diagnosis of the vocabulary with this code, else as itself; a
        category that the vocabulary does not have does not count: "N95" is also a mask. A code in
        the category of a diagnosis that is named adds nothing: "gout (M10.00)".

        >>> names = Vocabulary([Diagnosis("gout", "M10.9"), Diagnosis("tuberculosis", "A15.9")])
        >>> names.find("It is gout, not tuberculosis."), names.find("M10.9"), names.find("gouty")
        (['gout'], ['gout'], [])
        """
        names = list(self._find_names(text))
        categories = {self.get_code(name)[:3] for name in names}
        codes = (c for c in self._find_codes(text) if self.get_code(c)[:3] not in categories)
        return list(dict.fromkeys([*names, *codes]))

    def _find_names(self, text: str) -> Iterator[str]:
        cased = normalise_spelling(text)
        plain = cased.casefold()
        for match in self._pattern.finditer(plain):
            spellings = {"", cased[match.start() : match.end()]}
            if spellings & self._spellings[match[0]] and not _is_denied(plain, match):
                yield self._name_of[match[0]]

    def _find_codes(self, text: str) -> Iterator[str]:
        by_code: dict[str, list[str]] = {}
        for name, code in self.codes.items():
            by_code.setdefault(code, []).append(name)
        cased = normalise_spelling(text)
        for code, match in find_codes(cased):
            if code[:3] in self._categories and not _is_denied(cased.casefold(), match):
                names = by_code.get(code, [])
                yield names[0] if len(names) == 1 else code

    def get_code(self, diagnosis: str) -> str:
        """Return the ICD code of a diagnosis that `find` returned."""
        return self.codes.get(diagnosis, diagnosis)


def _write_pattern(name: str) -> str:
    """Return the pattern of a name: no letter or digit may precede or follow it.

    Chinese and Japanese have no spaces, so a character of theirs may.
    """
    before = rf"(?<!{LETTER})" if re.match(LETTER, name[0]) else ""
    after = rf"(?!{LETTER})" if re.match(LETTER, name[-1]) else ""
    return before + re.escape(name) + after


def _is_denied(text: str, match: re.Match[str]) -> bool:
    """Return whether a text, in lower case, denies what it names at this place."""
    text = _NEITHER.sub(lambda part: part[0].replace(",", " "), text)
    clause = _CLAUSE.split(text[: match.start()])[-1]
    return bool(_DENIED.search(clause) or _DENIED_AFTER.match(text, match.end()))


def read_references(
    diagnoses: Sequence[Diagnosis], cases: pd.DataFrame
) -> tuple[Vocabulary, list[str]]:
    """Return the vocabulary and the diagnosis of each reference reply.

    `cases`: rows of `tabulate_cases`, of the task DIAGNOSIS. A reference that is an ICD description
    extends the vocabulary, and so does one that names no diagnosis but a code. Raises ValueError
    for references that name no diagnosis, or several.
    """
    listed = {normalise_name(name) for d in diagnoses for name in (d.name, *d.other_names)}
    extra = {}
    for text in cases["reference"]:
        form = normalise_name(text.strip(" .。"))
        if form not in listed and (code := find_by_description(text)):
            extra.setdefault(form, Diagnosis(text.strip(" .。"), code))
    vocabulary = Vocabulary([*diagnoses, *extra.values()])
    codes = [
        code
        for text in cases["reference"]
        if not vocabulary.find(text)
        for code, _ in find_codes(text)
    ]
    extra |= {code: Diagnosis(code, code) for code in codes}
    vocabulary = Vocabulary([*diagnoses, *extra.values()])
    references, problems = [], []
    for row in cases.itertuples():
        names = vocabulary.find(row.reference)
        references.append(names[0] if names else "")
        if len(names) != 1:
            problems.append(f"{row.corpus} {row.id}: {', '.join(names) or 'none'}")
    if problems:
        raise ValueError(
            f"records: {len(problems)} of {len(cases)} reference replies name not exactly one "
            f"diagnosis, first {'; '.join(problems[:3])}; add the names with their ICD-10-CM codes "
            "to a table, and its path as diagnosis_names"
        )
    return vocabulary, references


def score_diagnoses(
    replies: pd.DataFrame, cases: pd.DataFrame, diagnoses: Sequence[Diagnosis], level: str
) -> pd.DataFrame:
    """Return one row per reply to a record: what it names, and one of OUTCOMES.

    Columns: SCORE_COLUMNS; `named` is joined by "; ", `correct` is 1 or 0. `replies`: rows of
    `write_replies`. Raises ValueError as `read_references`.
    """
    cases = cases[cases["task"] == DIAGNOSIS]
    vocabulary, references = read_references(diagnoses, cases)
    truth = dict(zip(zip(cases["corpus"], cases["id"], strict=True), references, strict=True))
    rows = []
    for row in replies[replies["task"] == DIAGNOSIS].itertuples():
        reference = truth[row.corpus, row.id]
        code = vocabulary.get_code(reference)
        named = vocabulary.find(row.reply)
        outcome = _judge(named, reference, vocabulary, level)
        place = {name: getattr(row, name) for name in (*UNIT, "id", "group", "model", "status")}
        place |= {"reference": reference, "code": code}
        place |= dict(zip(("icd_group", "icd_description"), find_group(code, level), strict=True))
        correct = int(outcome == OUTCOMES[0])
        rows.append(place | {"named": "; ".join(named), "outcome": outcome, "correct": correct})
    return pd.DataFrame(rows, columns=SCORE_COLUMNS)


def _judge(named: Sequence[str], reference: str, vocabulary: Vocabulary, level: str) -> str:
    if len(named) != 1:
        return "several" if named else "none"
    if named[0] == reference:
        return "correct"
    groups = (find_group(vocabulary.get_code(name), level) for name in (named[0], reference))
    return "same group" if len(set(groups)) == 1 else "wrong"


def summarise_diagnoses(scored: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracy by ICD group, and over all groups first.

    Columns: SUMMARY_COLUMNS: icd_group is ALL_GROUPS for all, one column counts each of OUTCOMES,
    low and high are the 95 % interval of the accuracy (clustered by group of cases).
    """
    rows = []
    for key, of_model in scored.groupby([*UNIT, "model"], sort=False):
        place = dict(zip((*UNIT, "model"), key, strict=True))
        groups = [((ALL_GROUPS, "all records"), of_model)]
        groups += list(of_model.groupby(["icd_group", "icd_description"]))
        for (code, description), group in groups:
            row = place | {"icd_group": code, "icd_description": description, "n": len(group)}
            row |= {name: int((group["outcome"] == name).sum()) for name in OUTCOMES}
            low, high = stats.clustered_interval(group["correct"], group["group"].to_numpy())
            rows.append(row | {"accuracy": group["correct"].mean(), "low": low, "high": high})
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)


def compare_diagnoses(
    scored: pd.DataFrame, baseline: str, models: Sequence[str], seed: int
) -> pd.DataFrame:
    """Return the difference of accuracy `model` - `baseline` on the same records.

    Columns: UNIT, model, n, difference, low, high (95 %, over groups), p, p_holm (over all rows).
    """
    rows = []
    base = scored[scored["model"] == baseline]
    for model in (name for name in models if name != baseline):
        pairs = scored[scored["model"] == model].merge(
            base, on=[*UNIT, "id", "group"], suffixes=("", "_base"), validate="one_to_one"
        )
        for key, both in pairs.groupby(UNIT, sort=False):
            pair, clusters = (both["correct"], both["correct_base"]), both["group"].to_numpy()
            difference, low, high = stats.paired_bootstrap(*pair, seed, clusters=clusters)
            row = dict(zip(UNIT, key, strict=True)) | {"model": model, "n": len(both)}
            row |= {"difference": difference, "low": low, "high": high}
            rows.append(row | {"p": stats.paired_permutation(*pair, clusters, seed)})
    columns = [*UNIT, "model", "n", "difference", "low", "high", "p"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(p_holm=stats.adjust_holm(table["p"].astype(float)))


def select_large_groups(summary: pd.DataFrame) -> tuple[pd.DataFrame, dict[tuple[str, ...], int]]:
    """Return the rows of all records and of ICD groups with at least MIN_RECORDS, and the rest.

    The rest: how many smaller groups each dataset and part has, by the values of UNIT. `summary`:
    `summarise_diagnoses`.
    """
    is_shown = summary["icd_group"].eq(ALL_GROUPS) | summary["n"].ge(MIN_RECORDS)
    small = summary[~is_shown].groupby(UNIT, sort=False)["icd_group"].nunique()
    return summary[is_shown], {key: int(count) for key, count in small.items()}
