"""How much a note shares with its reference, and with what certainty.

A score of words in common says nothing about truth: a wrong drug is one wrong word. It is here
because it is what is published, and beside it stand two notes that need no model at all.

All scores are from 0 to 1 and of single notes, so that their mean has an interval over encounters
and two models can be compared pair by pair. ROUGE F1 is rouge-score's with stemming, ROUGE-Lsum
over sentences (our `grounding.split_sentences`); BLEU and chrF are sacrebleu's of a sentence, over
100: `signatures` names every setting. The mean of single BLEUs is not the BLEU of a corpus.
ROUGE reads Latin letters and digits only: of a text in another script it is missing, not zero.
"""

import functools
import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF

from clinical_camel import grounding, stats
from clinical_camel.note_synthesis.prompts import Visits
from clinical_camel.note_synthesis.structure import DIVISIONS, STATUSES, divided, parse_note

METRICS = {
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "rougeLsum": "ROUGE-Lsum",
    "bleu": "BLEU",
    "chrf": "chrF",
}


@functools.cache
def _scorers() -> tuple[RougeScorer, BLEU, CHRF]:
    rouge = RougeScorer([name for name in METRICS if name.startswith("rouge")], use_stemmer=True)
    return rouge, BLEU(effective_order=True), CHRF()


def signatures() -> dict[str, str]:
    """Every setting of BLEU and chrF, as sacrebleu names them (Post 2018, arXiv:1804.08771).

    >>> signatures()["chrf"].rpartition("|")[0]
    'nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no'
    """
    found = {}
    for name, metric in zip(("bleu", "chrf"), _scorers()[1:], strict=True):
        metric.sentence_score("a", ["a"])
        found[name] = str(metric.get_signature())
    return found


def score(note: str, reference: str) -> dict[str, float]:
    """Every metric of one note against one reference, from 0 to 1; NaN where it is not defined.

    That is without a word in the note or in the reference; and ROUGE where less than half of the
    letters of either are Latin.
    """
    return dict(_score(note, reference))


@functools.lru_cache(maxsize=1 << 16)  # `by_decoding` asks again for the notes that were scored
def _score(note: str, reference: str) -> dict[str, float]:
    scores = dict.fromkeys(METRICS, float("nan"))
    if not (re.search(r"\w", note) and re.search(r"\w", reference)):
        return scores
    rouge, bleu, chrf = _scorers()
    if latin(note) and latin(reference):
        found = rouge.score(_sentences(reference), _sentences(note))
        scores |= {name: found[name].fmeasure for name in found}
    scores["bleu"] = bleu.sentence_score(note, [reference]).score / 100
    scores["chrf"] = chrf.sentence_score(note, [reference]).score / 100
    return scores


def latin(text: str) -> bool:
    """Whether at least half of the letters are those that ROUGE can read, a to z.

    >>> latin("Fièvre 39.1"), latin("患者血压 120")
    (True, False)
    """
    letters = sum(map(str.isalpha, text))
    return 2 * len(re.findall("[A-Za-z]", text)) >= letters


def _sentences(text: str) -> str:
    """One sentence a line, as ROUGE-Lsum takes them; the others do not care."""
    return "\n".join(s for line in text.splitlines() for s in grounding.split_sentences(line))


def score_notes(notes: pd.DataFrame, visits: Visits) -> pd.DataFrame:
    """The metrics of each note against its own reference, whole and by division.

    A row a note and part (`part` is "whole" or one of DIVISIONS): corpus, model, id, encounter,
    status, truncated (the transcript lost turns), part, wanted (the reference has this part),
    present (the note has it), the metrics, words (of this part of the note). A part that the
    reference has and the note has not is counted as missing; it has no score, and neither has
    anything without a reference.
    """
    references = {(name, row.id): row.note for name, rows in visits.items() for row in rows}
    rows = []
    for note in notes.itertuples():
        wanted = _parts(references[note.corpus, note.id])
        written = _parts(note.note, note.asked.split("; "))
        for part in ("whole", *DIVISIONS):
            mine, theirs = written.get(part, ""), wanted.get(part, "")
            rows.append(
                {name: getattr(note, name) for name in ("corpus", "model", "id", "encounter")}
                | {"status": note.status, "truncated": 0 < note.kept_turns < note.turns}
                | {"part": part, "wanted": bool(theirs.strip()), "present": bool(mine.strip())}
                | score(mine, theirs)
                | {"words": len(mine.split())}
            )
    return pd.DataFrame(rows)


def _parts(note: str, asked: Sequence[str] = ()) -> dict[str, str]:
    return {"whole": note, **divided(note, asked)}


def summarise(scored: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Mean and 95 % interval of each metric: a row a corpus, part and model.

    Columns: corpus, part, model, wanted (references that have the part), n (scored), missing
    (wanted and not written), encounters, then each metric with _low and _high. The intervals
    resample encounters, not notes: two notes on one transcript are not independent.
    """
    rows = []
    for (corpus, part, model), group in scored.groupby(["corpus", "part", "model"], sort=False):
        wanted = group[group["wanted"]]
        row = {"corpus": corpus, "part": part, "model": model, "wanted": len(wanted)}
        row |= {"n": int(wanted["chrf"].notna().sum()), "missing": int((~wanted["present"]).sum())}
        row["encounters"] = wanted.loc[wanted["chrf"].notna(), "encounter"].nunique()
        for metric in METRICS:
            row |= _interval(wanted, metric, seed)
        rows.append(row)
    return pd.DataFrame(rows)


def _interval(group: pd.DataFrame, metric: str, seed: int) -> dict[str, float]:
    known = group[group[metric].notna()]
    found = (float("nan"),) * 3
    if len(known):
        values = known[metric].to_numpy()
        found = stats.paired_bootstrap(
            values, np.zeros_like(values), seed, clusters=known["encounter"].to_numpy()
        )
    return dict(zip((metric, f"{metric}_low", f"{metric}_high"), found, strict=True))


def compare(scored: pd.DataFrame, baseline: str, model: str, seed: int) -> pd.DataFrame:
    """The mean difference `model` - `baseline` on notes of the same visits, both scored.

    A row a corpus, part and metric: n, difference, low, high (95 %, over encounters), p (exchange
    of whole encounters) and p_holm, adjusted for all rows. KeyError for a model that is not there.
    """
    for name in (baseline, model):
        if name not in set(scored["model"]):
            raise KeyError(f"no notes by {name}; there are {', '.join(scored['model'].unique())}")
    keys = ["corpus", "part", "id", "encounter"]
    mine, theirs = (scored[scored["model"] == name] for name in (model, baseline))
    pairs = mine.merge(theirs, on=keys, suffixes=("", "_base"), validate="one_to_one")
    rows = []
    for (corpus, part), group in pairs.groupby(["corpus", "part"], sort=False):
        for metric in METRICS:
            both = group[group[metric].notna() & group[f"{metric}_base"].notna()]
            if len(both):
                row = {"corpus": corpus, "part": part, "metric": metric, "n": len(both)}
                rows.append(row | _difference(both, metric, seed))
    columns = ["corpus", "part", "metric", "n", "difference", "low", "high", "p"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(p_holm=stats.holm(table["p"]))


def _difference(both: pd.DataFrame, metric: str, seed: int) -> dict[str, float]:
    pair = (both[metric].to_numpy(), both[f"{metric}_base"].to_numpy())
    clusters = both["encounter"].to_numpy()
    difference, low, high = stats.paired_bootstrap(*pair, seed, clusters=clusters)
    p = stats.paired_permutation(*pair, clusters, seed)
    return {"difference": difference, "low": low, "high": high, "p": p}


def count_statuses(notes: pd.DataFrame) -> pd.DataFrame:
    """How many notes of each corpus and model have each status: the broken ones have names.

    Columns: corpus, model, notes, one a status, truncated (the transcript lost turns), windows
    (notes put together from several), sections_present (mean share of what was asked for).
    """
    rows = []
    for (corpus, model), group in notes.groupby(["corpus", "model"], sort=False):
        row = {"corpus": corpus, "model": model, "notes": len(group)}
        row |= {name: int((group["status"] == name).sum()) for name in STATUSES}
        row["truncated"] = sum(0 < note.kept_turns < note.turns for note in group.itertuples())
        row["windows"] = int((group["windows"] > 1).sum())
        row["sections_present"] = np.mean([_present(note) for note in group.itertuples()])
        rows.append(row)
    return pd.DataFrame(rows)


def _present(note) -> float:
    asked = note.asked.split("; ")
    return len(set(parse_note(note.note, asked)) & set(asked)) / len(asked)


def missing_sections(notes: pd.DataFrame) -> pd.DataFrame:
    """How often a section was asked for and is missing: corpus, model, section, asked, missing."""
    rows = []
    for note in notes.itertuples():
        asked = note.asked.split("; ")
        found = parse_note(note.note, asked)
        rows += [
            {
                "corpus": note.corpus,
                "model": note.model,
                "section": name,
                "missing": name not in found,
            }
            for name in asked
        ]
    groups = pd.DataFrame(rows).groupby(["corpus", "model", "section"], sort=False)["missing"]
    return groups.agg(asked="size", missing="sum").reset_index()


def by_decoding(notes: Mapping[str, pd.DataFrame], visits: Visits, seed: int) -> pd.DataFrame:
    """The whole notes of each way of decoding: its name, then count_statuses and summarise."""
    tables = []
    for decoding, each in notes.items():
        scored = score_notes(each, visits)
        summary = summarise(scored[scored["part"] == "whole"], seed).drop(columns="part")
        counts = count_statuses(each)
        table = counts.merge(summary, on=["corpus", "model"], validate="one_to_one")
        table.insert(0, "decoding", decoding)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)
