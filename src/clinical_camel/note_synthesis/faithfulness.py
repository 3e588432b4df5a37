"""Is what a note says true to the transcript, and is what was said in the note?

Two readings by rules (`clinical_camel.grounding`): each sentence of a note is supported,
contradicted or unsupported by the turns of the visit, and each fact of the visit is kept or
omitted. The reference note is read as the models' notes are: what is flagged in it is how much the
check alarms about a note that somebody stands behind. How many planted errors are noticed is in
benchmarks/results/grounding.csv. A model of entailment, or an LLM as a judge, can take the place of the
count of words: `judge` is handed to `grounding.link`, which says what it is asked.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from clinical_camel import grounding, stats
from clinical_camel.data import Consultation
from clinical_camel.note_synthesis.prompts import Visits
from clinical_camel.note_synthesis.writing import encounter

REFERENCE = "reference"
# The facts that are looked for; names and sexes stand in every second turn and are left out.
FACTS = (
    *("medication", "dose", "frequency", "duration", "number"),
    *("age", "side", "symptom", "negation"),
)
HARMFUL = ("medication", "dose", "frequency", "side")  # a mistake here is acted on first


def check_notes(
    notes: pd.DataFrame, visits: Visits, judge: grounding.Judge | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every sentence of every note, and every fact of every visit for each note; two tables.

    sentences: corpus, model, id, encounter, sentence, verdict, reasons, turns. facts: corpus,
    model, id, encounter, kind, fact, kept, turns. The reference is a model of its own, first in
    order. `turns` are those that a sentence rests on, or that a fact was said in, counted from 1.
    A note without a word is not read: it is counted by its status, and no fact of it is omitted.

    A visit is read once for all of its notes, and a sentence that several share is checked once.
    """
    order = [REFERENCE, *dict.fromkeys(notes["model"])]
    written: dict[tuple, dict[str, str]] = {}
    for note in notes.itertuples():
        written.setdefault((note.corpus, note.id), {})[note.model] = note.note
    sentences, facts = [], []
    for corpus, rows in visits.items():
        here, there = [], []
        for row in rows:
            texts = {REFERENCE: row.note, **written.get((corpus, row.id), {})}
            said = {name: s for name, text in texts.items() if (s := grounding.split_note(text))}
            shared = {"corpus": corpus, "id": row.id, "encounter": encounter(row)}
            here += [shared | found for found in _sentences(row, said, judge)]
            there += [shared | found for found in _facts(row, said)]
        sentences += sorted(here, key=lambda found: order.index(found["model"]))
        facts += sorted(there, key=lambda found: order.index(found["model"]))
    columns = ["corpus", "model", "id", "encounter"]
    return (
        pd.DataFrame(sentences, columns=[*columns, "sentence", "verdict", "reasons", "turns"]),
        pd.DataFrame(facts, columns=[*columns, "kind", "fact", "kept", "turns"]),
    )


def _sentences(row: Consultation, said: Mapping[str, list[str]], judge) -> Iterator[dict]:
    once = list(dict.fromkeys(sentence for each in said.values() for sentence in each))
    links = {link.sentence: link for link in grounding.link(once, row.turns, judge)}
    for model, each in said.items():
        for link in map(links.get, each):
            yield {
                "model": model,
                "sentence": link.sentence,
                "verdict": link.verdict,
                "reasons": "; ".join(link.reasons),
                "turns": _numbers(link.sources),
            }


def _facts(row: Consultation, said: Mapping[str, list[str]]) -> Iterator[dict]:
    """A fact that is said in several turns is one."""
    found = [fact for fact in grounding.facts(row.turns) if fact.kind in FACTS]
    names = [_name(fact, row.turns[fact.where].text) for fact in found]
    turns: dict[tuple, set[int]] = {}
    for fact, name in zip(found, names, strict=True):
        turns.setdefault((fact.kind, name), set()).add(fact.where)
    for model, each in said.items():
        kept = grounding.kept(found, each)
        there = {
            (f.kind, name) for f, name, is_kept in zip(found, names, kept, strict=True) if is_kept
        }
        for (kind, name), where in turns.items():
            known = {"kind": kind, "fact": name, "kept": (kind, name) in there}
            yield {"model": model, **known, "turns": _numbers(sorted(where))}


def _name(fact: grounding.Fact, text: str) -> str:
    """The fact in words: with the drug of a dose, and with the words that a side is said of.

    >>> _name(grounding.Fact("dose", "500 mg", 0, frozenset(["naproxen"])), "")
    'naproxen 500 mg'
    >>> _name(grounding.Fact("side", "left", 0, frozenset(["arteri"])), "The left artery.")
    'left artery'
    """
    if fact.kind == "side":
        words = dict.fromkeys(re.findall("[a-z]+", text.lower()))
        near = [word for word in words if fact.about & set(grounding.terms.stems([word]))]
        return " ".join([fact.value, *near])
    drug = [*fact.about] if fact.kind in ("dose", "frequency") and len(fact.about) == 1 else []
    return " ".join([*drug, fact.value])


def _numbers(places: Sequence[int]) -> str:
    return ", ".join(str(place + 1) for place in places)


def summarise_check(sentences: pd.DataFrame, facts: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The share of sentences with each verdict and of facts kept, with 95 % intervals.

    Columns: corpus, model, of ("sentences" or "facts kept"), kind (a verdict, "all" or one of
    FACTS), encounters, n, share, low, high. The intervals resample encounters; where every value
    is the same, which a resample repeats, it is Wilson's of as many encounters.
    """
    rows = []
    for keys, group in sentences.groupby(["corpus", "model"], sort=False):
        for verdict in grounding.VERDICTS:
            rows.append((*keys, "sentences", verdict, group, group["verdict"] == verdict))
        mine = facts[(facts["corpus"] == keys[0]) & (facts["model"] == keys[1])]
        for kind in ("all", *FACTS):
            each = mine if kind == "all" else mine[mine["kind"] == kind]
            if len(each):
                rows.append((*keys, "facts kept", kind, each, each["kept"]))
    columns = ["corpus", "model", "of", "kind", "encounters", "n", "share", "low", "high"]
    found = [(*keys, *_share(group["encounter"], true, seed)) for *keys, group, true in rows]
    return pd.DataFrame(found, columns=columns)


def _share(encounters: pd.Series, true: pd.Series, seed: int) -> tuple:
    values, clusters = true.to_numpy(dtype=float), encounters.to_numpy()
    share, low, high = stats.paired_bootstrap(
        values, np.zeros_like(values), seed, clusters=clusters
    )
    if not np.ptp(values):
        low, high = stats.clustered_interval(values, clusters)
    return encounters.nunique(), len(values), share, low, high


def show_check(summary: pd.DataFrame) -> pd.DataFrame:
    """The summary to read: a row a corpus and model, in percent with the interval."""
    rows = []
    for (corpus, model), group in summary.groupby(["corpus", "model"], sort=False):
        row = {"corpus": corpus, "model": model}
        for of, kinds in (("sentences", grounding.VERDICTS), ("facts kept", ("all",))):
            found = group[group["of"] == of].set_index("kind")
            for kind in (kind for kind in kinds if kind in found.index):
                share, low, high = 100 * found.loc[kind, ["share", "low", "high"]].astype(float)
                name = f"% {kind}" if of == "sentences" else f"% {of}"
                row[of.split()[0]] = found.loc[kind, "n"]
                row[name] = f"{share:.0f} [{low:.0f}, {high:.0f}]"
        rows.append(row)
    return pd.DataFrame(rows)


# --------------------------------------------------------------------------------- to be read


def flagged(sentences: pd.DataFrame) -> dict[tuple[str, str, str], list[str]]:
    """The sentences that are not supported, by (corpus, model, id): for `rating_sheet`."""
    doubtful = sentences[sentences["verdict"] != "supported"]
    groups = doubtful.groupby(["corpus", "model", "id"], sort=False)["sentence"]
    return {key: list(dict.fromkeys(each)) for key, each in groups}


def marks(
    sentences: pd.DataFrame, facts: pd.DataFrame, corpus: str, id_: str, model: str
) -> dict[str, dict]:
    """`note_marks` and `turn_marks` of `side_by_side`: for all notes of a visit, and for one.

    A sentence has its verdict, and the turns that it rests on or what is wrong. A turn has the
    facts that the note of `model` keeps and omits; one without a fact has no mark.
    """
    mine, said = (t[(t["corpus"] == corpus) & (t["id"] == id_)] for t in (sentences, facts))
    notes = {}
    for row in mine.itertuples():
        turns = f"turn {_together([row.turns])}" if row.turns else "no turn"
        notes[row.sentence] = (row.verdict, row.reasons or turns)
    turned: dict[int, dict[bool, list[str]]] = {}
    for row in said[said["model"] == model].itertuples():
        for turn in map(int, row.turns.split(", ")):
            turned.setdefault(turn, {True: [], False: []})[row.kept].append(_said(row))
    return {"note_marks": notes, "turn_marks": {t: _turn_mark(f) for t, f in turned.items()}}


def _said(fact) -> str:
    before = {"negation": "no ", "number": "number "}.get(fact.kind, "")
    return before + fact.fact


def _turn_mark(facts: Mapping[bool, list[str]]) -> tuple[str, str]:
    omitted = ", ".join(facts[False])
    if not omitted:
        return "kept", ""
    return ("partly kept" if facts[True] else "omitted"), f"left out: {omitted}"


def worst_sentences(sentences: pd.DataFrame, models: Sequence[str], count: int = 3) -> pd.DataFrame:
    """The flagged sentences of these models that are worst by rule; no visit and no sentence twice.

    First those with most reasons that are HARMFUL, then with most reasons, then contradicted
    before unsupported; equal ones in the order of the table. What the reference of the same visit
    has word for word is none of them.
    """
    rows = sentences[sentences["model"].isin(models) & (sentences["verdict"] != "supported")]
    keys = ["corpus", "id", "sentence"]
    written = sentences.loc[sentences["model"] == REFERENCE, keys]
    rows = rows[~rows.set_index(keys).index.isin(written.set_index(keys).index)]
    reasons = [text.split("; ") for text in rows["reasons"]]
    ranked = rows.assign(
        harmful=[sum(r.partition(":")[0] in HARMFUL for r in each) for each in reasons],
        found=[len(each) for each in reasons],
        opposed=rows["verdict"] == "contradicted",
    )
    return _first(ranked, ["harmful", "found", "opposed"], "sentence", count)


def worst_omissions(facts: pd.DataFrame, models: Sequence[str], count: int = 3) -> pd.DataFrame:
    """The notes of these models that omit most of what the reference of the visit keeps.

    corpus, model, id, omitted (the facts), turns (where they were said). First those that omit most
    HARMFUL facts, then most facts; equal ones in the order of the table, at most one a visit. A
    visit without a reference has none: that a clinician leaves something out is no mistake.
    """
    keys = ["corpus", "id", "kind", "fact"]
    wanted = facts[(facts["model"] == REFERENCE) & facts["kept"]][keys]
    rows = facts[facts["model"].isin(models) & ~facts["kept"]].merge(wanted, on=keys)
    found = [
        dict(zip(("corpus", "model", "id"), key, strict=True))
        | {"harmful": int(group["kind"].isin(HARMFUL).sum()), "found": len(group)}
        | {"omitted": ", ".join(_said(row) for row in group.itertuples())}
        | {"turns": _together(group["turns"])}
        for key, group in rows.groupby(["corpus", "model", "id"], sort=False)
    ]
    columns = ["corpus", "model", "id", "harmful", "found", "omitted", "turns"]
    return _first(pd.DataFrame(found, columns=columns), ["harmful", "found"], "omitted", count)


def _together(turns: Sequence[str]) -> str:
    """All turns in order, once each.

    >>> _together(["10, 2", "2"])
    '2, 10'
    """
    return ", ".join(sorted({turn for each in turns for turn in each.split(", ")}, key=int))


def _first(ranked: pd.DataFrame, by: list[str], what: str, count: int) -> pd.DataFrame:
    ordered = ranked.sort_values(by, ascending=False, kind="stable")
    for same in (["corpus", "id"], [what]):
        ordered = ordered.drop_duplicates(same)
    return ordered.head(count).drop(columns=by).reset_index(drop=True)
