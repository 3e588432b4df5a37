"""Overlap of notes with their references: ROUGE, BLEU and chrF, with intervals.

Overlap does not measure truth: a wrong drug is one wrong word. These scores are here because papers
report them; two baselines without a model are scored too.

Every score is from 0 to 1 and belongs to one note, so its mean has an interval over encounters and
two models can be compared in pairs. ROUGE F1 is from rouge-score with stemming; ROUGE-Lsum splits
sentences with `grounding.split_sentences`. BLEU and chrF are sentence scores from sacrebleu / 100;
`describe_metrics` lists every setting. The mean of sentence BLEUs is not corpus BLEU.
ROUGE reads Latin letters and digits only; for a reference in another script it is undefined.

A note or section that was not written scores 0. Without it, a model would gain by leaving out what
it cannot write; the mean over what was written is computed too, for comparison.
"""

import functools
import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF

from clinical_camel import grounding, stats
from clinical_camel.core.settings import Incomplete
from clinical_camel.core.wording import format_interval
from clinical_camel.note_synthesis.corpora import Corpora
from clinical_camel.note_synthesis.structure import (
    DIVISIONS,
    STATUSES,
    parse_note,
    split_divisions,
)

METRICS = {
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "rougeLsum": "ROUGE-Lsum",
    "bleu": "BLEU",
    "chrf": "chrF",
}
MAX_ROWS = 78  # of the table on the page: a longer one is not read
WORDLESS = {  # statuses without a note, and what to do about them
    "empty": "have no words (try another chat_template or a larger max_new_tokens)",
    "too long": "had no room in the context (set too_long to windows or truncate)",
}


@functools.cache
def _scorers() -> tuple[RougeScorer, BLEU, CHRF]:
    rouge = RougeScorer([name for name in METRICS if name.startswith("rouge")], use_stemmer=True)
    return rouge, BLEU(effective_order=True), CHRF()


def describe_metrics() -> dict[str, str]:
    """Return the signatures of BLEU and chrF by sacrebleu (Post 2018, arXiv:1804.08771)."""
    signatures = {}
    for name, metric in zip(("bleu", "chrf"), _scorers()[1:], strict=True):
        metric.sentence_score("a", ["a"])
        signatures[name] = str(metric.get_signature())
    return signatures


def score_note(note: str, reference: str) -> dict[str, float]:
    """Return every metric of a note against its reference, from 0 to 1; NaN if undefined.

    All metrics are undefined if the reference has no word, and 0 if only the note has none. ROUGE
    is undefined if fewer than half of the letters of the reference are Latin.
    """
    return dict(_score(note, reference))


@functools.lru_cache(maxsize=1 << 16)  # `score_decodings` scores the same notes a second time
def _score(note: str, reference: str) -> dict[str, float]:
    scores = dict.fromkeys(METRICS, float("nan"))
    if not re.search(r"\w", reference):
        return scores
    rouge, bleu, chrf = _scorers()
    if is_latin(reference):
        rouges = rouge.score(_split_lines(reference), _split_lines(note))
        scores |= {name: value.fmeasure for name, value in rouges.items()}
    scores["bleu"] = bleu.sentence_score(note, [reference]).score / 100
    scores["chrf"] = chrf.sentence_score(note, [reference]).score / 100
    return scores if re.search(r"\w", note) else {name: 0 * x for name, x in scores.items()}


def is_latin(text: str) -> bool:
    """Return whether at least half of the letters are a to z, which ROUGE can read.

    >>> is_latin("Fièvre 39.1"), is_latin("120/80"), is_latin("Боль в груди, BP")
    (True, True, False)
    """
    letters = sum(map(str.isalpha, text))
    return 2 * len(re.findall("[A-Za-z]", text)) >= letters


def _split_lines(text: str) -> str:
    """Return one sentence per line, as ROUGE-Lsum needs it; the other metrics are not affected."""
    return "\n".join(s for line in text.splitlines() for s in grounding.split_sentences(line))


def score_notes(notes: pd.DataFrame, corpora: Corpora) -> pd.DataFrame:
    """Return the metrics of each note against its reference, for the note and each division.

    One row per note and part (`part` is "whole" or one of DIVISIONS): corpus, model, id, encounter,
    status, truncated (the prompt lost turns), part, in_reference and in_note (who has this part),
    the metrics, words (of this part of the note). A part of the reference that the note lacks
    scores 0. Without a reference there is no score.
    """
    references = {(name, row.id): row.note for name, rows in corpora.items() for row in rows}
    rows = []
    for note in notes.itertuples():
        expected = _split_parts(references[note.corpus, note.id])
        written = _split_parts(note.note, note.headings.split("; "))
        for part in ("whole", *DIVISIONS):
            text, reference = written.get(part, ""), expected.get(part, "")
            rows.append(
                {name: getattr(note, name) for name in ("corpus", "model", "id", "encounter")}
                | {"status": note.status, "truncated": 0 < note.included_turns < note.turns}
                | {"part": part, "in_reference": bool(reference.strip())}
                | {"in_note": bool(text.strip()), **score_note(text, reference)}
                | {"words": len(text.split())}
            )
    return pd.DataFrame(rows)


def _split_parts(note: str, requested: Sequence[str] = ()) -> dict[str, str]:
    return {"whole": note, **split_divisions(note, requested)}


def summarise_scores(scored: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return the mean and 95 % interval of each metric, one row per corpus, part and model.

    Columns: corpus, part, model, n (references that have the part), missing (of them, those whose
    note lacks it: they score 0), encounters, then each metric with _low, _high and _if_present (the
    mean without the missing ones). The intervals resample encounters, not notes: two notes on one
    transcript are not independent.
    """
    rows = []
    for (corpus, part, model), group in scored.groupby(["corpus", "part", "model"], sort=False):
        group = group[group["in_reference"]]
        row = {"corpus": corpus, "part": part, "model": model, "n": len(group)}
        row |= {"missing": int((~group["in_note"]).sum())}
        row["encounters"] = group["encounter"].nunique()
        for metric in METRICS:
            row |= _estimate_interval(group, metric, seed)
            row[f"{metric}_if_present"] = group.loc[group["in_note"], metric].mean()
        rows.append(row)
    return pd.DataFrame(rows)


def format_scores(summary: pd.DataFrame) -> pd.DataFrame:
    """Return ROUGE-L for reading: a row per corpus, part and writer.

    Columns: corpus, part, writer, n, missing, ROUGE-L with its interval (a missing part is 0), and
    the mean of the parts that were written. Above MAX_ROWS rows: the notes without their divisions.
    """
    metric = "rougeL"
    name = METRICS[metric]
    if len(summary) > MAX_ROWS:
        summary = summary[summary["part"] == "whole"]
    table = summary[["corpus", "part", "model", "n", "missing"]].rename(columns={"model": "writer"})
    columns = (summary[metric + end] for end in ("", "_low", "_high"))
    table[f"{name}, missing = 0"] = list(map(format_interval, *columns))
    present = [
        f"{mean:.3f}" if mean == mean else "never written"
        for mean in summary[f"{metric}_if_present"]
    ]
    table[f"{name}, written parts only"] = present
    return table


def _estimate_interval(group: pd.DataFrame, metric: str, seed: int) -> dict[str, float]:
    scored = group[group[metric].notna()]
    interval = (float("nan"),) * 3
    if len(scored):
        values = scored[metric].to_numpy()
        interval = stats.paired_bootstrap(
            values, np.zeros_like(values), seed, clusters=scored["encounter"].to_numpy()
        )
    return dict(zip((metric, f"{metric}_low", f"{metric}_high"), interval, strict=True))


def compare_models(scored: pd.DataFrame, baseline: str, model: str, seed: int) -> pd.DataFrame:
    """Return the mean difference `model` - `baseline` over consultations; a missing part scores 0.

    One row per corpus, part and metric: n, difference, low, high (95 %, over encounters), p (exact
    or sampled permutation of encounters) and p_holm (Holm-adjusted for all rows).

    Raises KeyError for a model without notes.
    """
    for name in (baseline, model):
        if name not in set(scored["model"]):
            raise KeyError(f"no notes by {name}; there are {', '.join(scored['model'].unique())}")
    keys = ["corpus", "part", "id", "encounter"]
    ours, base = (scored[scored["model"] == name] for name in (model, baseline))
    pairs = ours.merge(base, on=keys, suffixes=("", "_base"), validate="one_to_one")
    rows = []
    for (corpus, part), group in pairs.groupby(["corpus", "part"], sort=False):
        for metric in METRICS:
            both = group[group[metric].notna() & group[f"{metric}_base"].notna()]
            if len(both):
                row = {"corpus": corpus, "part": part, "metric": metric, "n": len(both)}
                rows.append(row | _estimate_difference(both, metric, seed))
    columns = ["corpus", "part", "metric", "n", "difference", "low", "high", "p"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(p_holm=stats.adjust_holm(table["p"]))


def _estimate_difference(both: pd.DataFrame, metric: str, seed: int) -> dict[str, float]:
    pair = (both[metric].to_numpy(), both[f"{metric}_base"].to_numpy())
    clusters = both["encounter"].to_numpy()
    difference, low, high = stats.paired_bootstrap(*pair, seed, clusters=clusters)
    p = stats.paired_permutation(*pair, clusters, seed)
    return {"difference": difference, "low": low, "high": high, "p": p}


def count_statuses(notes: pd.DataFrame) -> pd.DataFrame:
    """Return how many notes of each corpus and model have each status.

    Columns: corpus, model, notes, one per status, truncated (the prompt lost turns), windowed
    (merged from several windows), sections_present (mean share of the requested sections).
    """
    rows = []
    for (corpus, model), group in notes.groupby(["corpus", "model"], sort=False):
        row = {"corpus": corpus, "model": model, "notes": len(group)}
        row |= {name: int((group["status"] == name).sum()) for name in STATUSES}
        row["truncated"] = sum(0 < note.included_turns < note.turns for note in group.itertuples())
        row["windowed"] = int((group["windows"] > 1).sum())
        row["sections_present"] = np.mean([_share_present(note) for note in group.itertuples()])
        rows.append(row)
    return pd.DataFrame(rows)


def require_notes(notes: pd.DataFrame) -> None:
    """Raise Incomplete if a model wrote a note of less than half of a corpus.

    Call it after the notes are saved: what was generated stays, and the step is not complete.
    """
    problems = []
    for (corpus, model), group in notes.groupby(["corpus", "model"], sort=False):
        counts = {name: int((group["status"] == name).sum()) for name in WORDLESS}
        if len(group) - sum(counts.values()) < len(group) / 2:
            reasons = [f"{count} {WORDLESS[name]}" for name, count in counts.items() if count]
            problems.append(f"{model} on {corpus}: of {len(group)} notes, {' and '.join(reasons)}")
    if problems:
        raise Incomplete("there are too few notes to judge. " + ". ".join(problems))


def _share_present(note) -> float:
    requested = note.headings.split("; ")
    return len(set(parse_note(note.note, requested)) & set(requested)) / len(requested)


def count_missing_sections(notes: pd.DataFrame) -> pd.DataFrame:
    """Return how often a section was requested and is missing.

    Columns: corpus, model, section, requested, missing.
    """
    rows = []
    for note in notes.itertuples():
        requested = note.headings.split("; ")
        sections = parse_note(note.note, requested)
        rows += [(note.corpus, note.model, name, name not in sections) for name in requested]
    keys = ["corpus", "model", "section"]
    groups = pd.DataFrame(rows, columns=[*keys, "missing"]).groupby(keys, sort=False)["missing"]
    return groups.agg(requested="size", missing="sum").reset_index()


def score_decodings(notes: Mapping[str, pd.DataFrame], corpora: Corpora, seed: int) -> pd.DataFrame:
    """Return the statuses and scores of the complete notes, by decoding.

    `notes`: the table of `write_notes` by name of the decoding. Columns: decoding, then those of
    `count_statuses` and `summarise_scores`.
    """
    tables = []
    for decoding, table in notes.items():
        scored = score_notes(table, corpora)
        summary = summarise_scores(scored[scored["part"] == "whole"], seed).drop(columns="part")
        counts = count_statuses(table)
        table = counts.merge(summary, on=["corpus", "model"], validate="one_to_one")
        table.insert(0, "decoding", decoding)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)
