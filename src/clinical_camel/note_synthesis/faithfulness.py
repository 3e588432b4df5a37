"""Faithfulness: hallucinations of a note, and omissions from it.

Two checks by rules (`clinical_camel.grounding`). A sentence of a note is supported, contradicted or
unsupported by the turns of the consultation. A fact of the consultation is covered by the note or
omitted. The reference note is checked too: most of its flagged sentences are false alarms.
benchmarks/results/grounding.csv has the share of planted errors that the check detects.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from clinical_camel import grounding, stats
from clinical_camel.core.wording import format_percent
from clinical_camel.data import Consultation
from clinical_camel.note_synthesis.corpora import Corpora, hash_encounter
from clinical_camel.note_synthesis.structure import WRITTEN

REFERENCE = "reference"
WHOLE = "notes"  # the group of the notes with a status in WRITTEN
# The kinds of facts that a note should cover. Names and sexes are in every second turn: left out.
FACTS = (
    *("medication", "dose", "frequency", "duration", "number"),
    *("age", "side", "finding or disease", "negation"),
)
_KIND_NAMES = {"symptom": "finding or disease"}  # `grounding` has one kind for both
HARMFUL = ("medication", "dose", "frequency", "side")  # an error here can harm directly
SHOWN = 3  # examples of hallucinations, and of omissions


def measure_faithfulness(
    notes: pd.DataFrame, corpora: Corpora
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return two tables: every distinct sentence of every note, and every fact of every visit.

    sentences: corpus, model, id, encounter, status, sentence, times, verdict, reasons, turns.
    facts (one row per note and fact): corpus, model, id, encounter, status, kind, fact, covered,
    turns. A sentence counts once a note; `times` says how often the note has it. `status` is that
    of the note. The reference is listed as the first model, with status "ok". `turns` are the
    sources of a sentence or of a fact, counted from 1. A note without words has no rows: its status
    counts it, and it omits no fact.

    A consultation is parsed once for all of its notes, and a shared sentence is checked once.
    """
    order = [REFERENCE, *dict.fromkeys(notes["model"])]
    texts: dict[tuple, dict[str, tuple[str, str]]] = {}
    for note in notes.itertuples():
        texts.setdefault((note.corpus, note.id), {})[note.model] = (note.status, note.note)
    sentences, facts = [], []
    for corpus, rows in corpora.items():
        checked, covered = [], []
        for row in rows:
            written = {REFERENCE: ("ok", row.note), **texts.get((corpus, row.id), {})}
            split = {name: grounding.split_note(text) for name, (_, text) in written.items()}
            split = {name: lines for name, lines in split.items() if lines}
            shared = {"corpus": corpus, "id": row.id, "encounter": hash_encounter(row)}
            for lines, table in (
                (_check_sentences(row, split), checked),
                (_check_facts(row, split), covered),
            ):
                table += [shared | {"status": written[line["model"]][0]} | line for line in lines]
        sentences += sorted(checked, key=lambda line: order.index(line["model"]))
        facts += sorted(covered, key=lambda line: order.index(line["model"]))
    columns = ["corpus", "model", "id", "encounter", "status"]
    checks = ["sentence", "times", "verdict", "reasons", "turns"]
    return (
        pd.DataFrame(sentences, columns=[*columns, *checks]),
        pd.DataFrame(facts, columns=[*columns, "kind", "fact", "covered", "turns"]),
    )


def _check_sentences(row: Consultation, notes: Mapping[str, list[str]]) -> Iterator[dict]:
    unique = list(dict.fromkeys(sentence for lines in notes.values() for sentence in lines))
    links = {link.sentence: link for link in grounding.link_sentences(unique, row.turns)}
    for model, lines in notes.items():
        times = Counter(lines)
        for link in _count_sex_once([links[sentence] for sentence in times]):
            yield {
                "model": model,
                "sentence": link.sentence,
                "times": times[link.sentence],
                "verdict": link.verdict,
                "reasons": "; ".join(map(name_reason, link.reasons)),
                "turns": _count_from_one(link.sources),
            }


def _count_sex_once(links: Sequence[grounding.Link]) -> Iterator[grounding.Link]:
    """Yield the links of a note; a wrong sex is an error of the first sentence that has it.

    If "A 45-year-old man" is wrong, each later "he" would be flagged for the same error.
    """
    is_counted = False
    for link in links:
        problems = list(zip(link.verdicts, link.reasons, strict=True))
        others = [problem for problem in problems if not problem[1].startswith("sex:")]
        if is_counted and others != problems:
            verdict = min((verdict for verdict, _ in others), default="supported")
            reasons = tuple(reason for _, reason in others)
            yield grounding.Link(link.sentence, verdict, link.sources, reasons)
        else:
            yield link
        is_counted |= others != problems


def name_kind(kind: str) -> str:
    """Return the name of a kind of fact in tables and on pages."""
    return _KIND_NAMES.get(kind, kind)


def name_reason(reason: str) -> str:
    """Return a reason of a link with the name of its kind.

    >>> name_reason("symptom: gout is not in the source")
    'finding or disease: gout is not in the source'
    """
    kind, colon, text = reason.partition(":")
    return name_kind(kind) + colon + text


def _check_facts(row: Consultation, notes: Mapping[str, list[str]]) -> Iterator[dict]:
    """Yield each fact once per note, with all turns that state it."""
    facts = [f for f in grounding.extract_facts(row.turns) if name_kind(f.kind) in FACTS]
    keys = [(name_kind(f.kind), _name_fact(f, row.turns[f.unit].text)) for f in facts]
    turns: dict[tuple, set[int]] = {}
    for fact, key in zip(facts, keys, strict=True):
        turns.setdefault(key, set()).add(fact.unit)
    for model, lines in notes.items():
        flags = grounding.find_covered(facts, lines)
        covered = {key for key, is_covered in zip(keys, flags, strict=True) if is_covered}
        for (kind, name), where in turns.items():
            line = {"kind": kind, "fact": name, "covered": (kind, name) in covered}
            yield {"model": model, **line, "turns": _count_from_one(sorted(where))}


def _name_fact(fact: grounding.Fact, text: str) -> str:
    """Return the fact in words: a dose with its drug, a side with the words near it.

    >>> _name_fact(grounding.Fact("dose", "500 mg", 0, frozenset(["naproxen"])), "")
    'naproxen 500 mg'
    >>> _name_fact(grounding.Fact("side", "left", 0, frozenset(["arteri"])), "The left artery.")
    'left artery'
    """
    if fact.kind == "side":
        words = dict.fromkeys(re.findall("[a-z]+", text.lower()))
        near = [word for word in words if fact.about & set(grounding.terms.stem_words([word]))]
        return " ".join([fact.value, *near])
    drug = [*fact.about] if fact.kind in ("dose", "frequency") and len(fact.about) == 1 else []
    return " ".join([*drug, fact.value])


def _count_from_one(indices: Sequence[int]) -> str:
    return ", ".join(str(index + 1) for index in indices)


def summarise_faithfulness(sentences: pd.DataFrame, facts: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return the share of sentences with each verdict and of facts covered, with 95 % intervals.

    Columns: corpus, model, notes ("notes" for those with a status in WRITTEN; the others by their
    status, so that a looping note cannot decide the result), measure ("sentences" or "facts
    covered"), kind (a verdict, "all" or one of FACTS), encounters, n (notes), items (distinct
    sentences, or facts), share, low, high.

    `share` is the mean over notes of the share within the note: a long note counts no more than a
    short one. The intervals resample encounters. If all notes have the same share, a resample
    cannot vary; the interval is then Wilson's for that many encounters (0 to 1 for one).
    """
    rows = []
    keys = ["corpus", "model", "notes"]
    sentences, facts = (t.assign(notes=_group_statuses(t["status"])) for t in (sentences, facts))
    facts_of = dict(iter(facts.groupby(keys)))
    for name, group in _sort_groups(sentences.groupby(keys, sort=False)):
        for verdict in grounding.VERDICTS:
            rows.append((*name, "sentences", verdict, group, group["verdict"] == verdict))
        stated = facts_of.get(name, facts.head(0))
        for kind in ("all", *FACTS):
            of_kind = stated if kind == "all" else stated[stated["kind"] == kind]
            if len(of_kind):
                rows.append((*name, "facts covered", kind, of_kind, of_kind["covered"]))
    columns = [*keys, "measure", "kind", "encounters", "n", "items", "share", "low", "high"]
    table = [(*names, *_estimate_share(group, hits, seed)) for *names, group, hits in rows]
    return pd.DataFrame(table, columns=columns)


def _sort_groups(groups: Iterable[tuple]) -> list[tuple]:
    """Return the groups by corpus and model in their order, the notes before what is no note."""
    groups = list(groups)
    order = list(dict.fromkeys(name[:2] for name, _ in groups))
    return sorted(groups, key=lambda group: (order.index(group[0][:2]), group[0][2] != WHOLE))


def _group_statuses(statuses: pd.Series) -> pd.Series:
    return statuses.where(~statuses.isin(WRITTEN), WHOLE)


def _estimate_share(group: pd.DataFrame, hits: pd.Series, seed: int) -> tuple:
    notes = hits.astype(float).groupby(group["id"], sort=False).mean()
    values = notes.to_numpy()
    clusters = group.groupby("id", sort=False)["encounter"].first().to_numpy()
    share, low, high = stats.paired_bootstrap(
        values, np.zeros_like(values), seed, clusters=clusters
    )
    if not np.ptp(values):
        low, high = stats.clustered_interval(values, clusters)
    return len(set(clusters)), len(values), len(group), share, low, high


def compare_support(
    sentences: pd.DataFrame, baseline: str, model: str, seed: int
) -> dict[str, dict[str, float]]:
    """Return by corpus how much more of its notes' sentences `model` has supported, in pairs.

    Only visits of which both wrote a note (a status in WRITTEN) count. Keys: n, difference, low,
    high (95 %, over encounters). A corpus without such a visit is missing.
    """
    rows = sentences[sentences["status"].isin(WRITTEN)]
    rows = rows.assign(supported=(rows["verdict"] == "supported").astype(float))
    keys = ["corpus", "id", "encounter"]
    shares = rows.pivot_table(index=keys, columns="model", values="supported", sort=False)
    table = {}
    for corpus, pairs in shares.reindex(columns=[model, baseline]).dropna().groupby("corpus"):
        clusters = pairs.index.get_level_values("encounter")
        values = stats.paired_bootstrap(pairs[model], pairs[baseline], seed, clusters=clusters)
        names = ("difference", "low", "high")
        table[corpus] = {"n": len(pairs), **dict(zip(names, values, strict=True))}
    return table


def format_faithfulness(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the summary for reading: one row per corpus, writer and group of notes, in percent.

    Columns: corpus, writer ("tuned", "tuned, looping"), n (notes), sentences, then "% supported",
    "% contradicted", "% unsupported" and "% facts covered" with their intervals.
    """
    rows = []
    for (corpus, model, notes), group in summary.groupby(["corpus", "model", "notes"], sort=False):
        shares = group.set_index(["measure", "kind"])
        verdicts = [("sentences", kind) for kind in grounding.VERDICTS]
        row = {"corpus": corpus, "writer": model if notes == WHOLE else f"{model}, {notes}"}
        row |= {"n": shares.loc[verdicts[0], "n"], "sentences": shares.loc[verdicts[0], "items"]}
        for key in [key for key in (*verdicts, ("facts covered", "all")) if key in shares.index]:
            name = "facts covered" if key[1] == "all" else key[1]
            row[f"% {name}"] = format_percent(*shares.loc[key, ["share", "low", "high"]], 0)
        rows.append(row)
    return pd.DataFrame(rows)


# ----------------------------------------------------------------------- hallucinations, omissions


def list_flagged(sentences: pd.DataFrame) -> dict[tuple[str, str, str], list[str]]:
    """Return the sentences that are not supported, by (corpus, model, id), once each."""
    flagged = sentences[sentences["verdict"] != "supported"]
    groups = flagged.groupby(["corpus", "model", "id"], sort=False)["sentence"]
    return {key: list(dict.fromkeys(group)) for key, group in groups}


def annotate_notes(
    sentences: pd.DataFrame, facts: pd.DataFrame, corpus: str, id_: str, model: str
) -> dict[str, dict]:
    """Return `note_annotations` and `turn_annotations` of `render_side_by_side`.

    A sentence of any note of the consultation gets its verdict, and its source turns or the reasons
    against it; one that no turn could state ("All questions were answered.") gets none. A turn gets
    the coverage of its facts by the note of `model`; a turn without facts gets no annotation.
    """
    rows, stated = (t[(t["corpus"] == corpus) & (t["id"] == id_)] for t in (sentences, facts))
    notes = {}
    for row in rows.itertuples():
        if row.reasons or row.turns:
            remark = row.reasons or f"turn {_merge_turns([row.turns])}"
            notes[row.sentence] = (row.verdict, remark)
    by_turn: dict[int, dict[bool, list[str]]] = {}
    for row in stated[stated["model"] == model].itertuples():
        for turn in map(int, row.turns.split(", ")):
            by_turn.setdefault(turn, {True: [], False: []})[row.covered].append(_format_fact(row))
    turns = {turn: _annotate_turn(by_turn[turn]) for turn in by_turn}
    return {"note_annotations": notes, "turn_annotations": turns}


def _format_fact(row) -> str:
    before = {"negation": "no ", "number": "number "}.get(row.kind, "")
    return before + row.fact


def _annotate_turn(facts: Mapping[bool, list[str]]) -> tuple[str, str]:
    omitted = ", ".join(facts[False])
    if not omitted:
        return "covered", ""
    return ("partly covered" if facts[True] else "omitted"), f"omitted: {omitted}"


def rank_hallucinations(sentences: pd.DataFrame, models: Sequence[str]) -> pd.DataFrame:
    """Return the SHOWN worst flagged sentences of these models, one per consultation and each once.

    Ranked by the number of HARMFUL reasons, then of all reasons, then contradicted before
    unsupported; ties keep the order of the table. A sentence that the reference of the same
    consultation has word for word is excluded.
    """
    rows = sentences[sentences["model"].isin(models) & (sentences["verdict"] != "supported")]
    keys = ["corpus", "id", "sentence"]
    reference = sentences.loc[sentences["model"] == REFERENCE, keys]
    rows = rows[~rows.set_index(keys).index.isin(reference.set_index(keys).index)]
    reasons = [text.split("; ") for text in rows["reasons"]]
    ranked = rows.assign(
        harmful=[sum(r.partition(":")[0] in HARMFUL for r in texts) for texts in reasons],
        count=[len(texts) for texts in reasons],
        is_contradicted=rows["verdict"] == "contradicted",
    )
    return _take_worst(ranked, ["harmful", "count", "is_contradicted"], "sentence")


def rank_omissions(facts: pd.DataFrame, models: Sequence[str]) -> pd.DataFrame:
    """Return the SHOWN notes of these models that omit most facts covered by the reference note.

    Columns: corpus, model, id, omitted (the facts), turns (that state them). Ranked by the number
    of HARMFUL facts, then of all facts; ties keep the order of the table; one per consultation. A
    consultation without a reference has no row: leaving something out may be right.
    """
    keys = ["corpus", "id", "kind", "fact"]
    expected = facts[(facts["model"] == REFERENCE) & facts["covered"]][keys]
    rows = facts[facts["model"].isin(models) & ~facts["covered"]].merge(expected, on=keys)
    notes = [
        (
            *key,
            int(group["kind"].isin(HARMFUL).sum()),
            len(group),
            ", ".join(_format_fact(row) for row in group.itertuples()),
            _merge_turns(group["turns"]),
        )
        for key, group in rows.groupby(["corpus", "model", "id"], sort=False)
    ]
    columns = ["corpus", "model", "id", "harmful", "count", "omitted", "turns"]
    ranked = pd.DataFrame(notes, columns=columns)
    return _take_worst(ranked, ["harmful", "count"], "omitted")


def _merge_turns(turns: Sequence[str]) -> str:
    """Return all turns in order, once each.

    >>> _merge_turns(["10, 2", "2"])
    '2, 10'
    """
    return ", ".join(sorted({turn for text in turns for turn in text.split(", ")}, key=int))


def _take_worst(ranked: pd.DataFrame, by: list[str], unique: str) -> pd.DataFrame:
    ordered = ranked.sort_values(by, ascending=False, kind="stable")
    for keys in (["corpus", "id"], [unique]):
        ordered = ordered.drop_duplicates(keys)
    return ordered.head(SHOWN).drop(columns=by).reset_index(drop=True)
