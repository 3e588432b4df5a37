"""Measure which planted errors `clinical_camel.grounding` finds, and its false alarms.

    python -m benchmarks.grounding              # writes results/grounding.csv and grounding.png
    python -m benchmarks.grounding --no-peers   # writes nothing; a minute, for a quick look

About five minutes on one idle core. Needs data/public (docs/running.md); grounding_peers.py says
how to install the two other checks.

Errors are planted in the reference notes of ACI-Bench, MTS-Dialog and PriMock57, in the embedded
notes, and in reworded sentences of MedQuAD pages (as in dialogues). The rules and word lists are in
`note_synthesis.planting` and `inventions`; they share nothing with the terms of the check. At most
two sentences of a text get an error of the same kind. Values are swapped within a sentence, or
within two that are joined by "and". Two kinds need no sentence of the note: a question that the
patient denies becomes "Reports ...", and a sentence of the next patient's note.

An error is found if the changed sentence is flagged (contradicted or unsupported). A sentence that
was flagged before the change is left out: an alarm there would say nothing. `alarms` are the
unchanged sentences. Reference notes contain facts that were never said aloud, and a few errors, so
an alarm on them is not always false. Intervals account for sentences of one text being alike.

`rows`: the rules of the check were made with those of "dev" (train and validation, half of
PriMock57); "test" are the shared test rows, the other half of PriMock57. The embedded notes and
MedQuAD were seen, too.

`pairs`: grounding_pairs.csv has visits of a few turns, each with a sentence that is true or false.
A large language model that knew neither the rules nor a result wrote them before they were run
(2026-11-28; no clinician has read them); nothing was changed afterwards.

The peers and our check get the same sentences of a sample: 20 texts of each corpus. Each peer gets
a threshold at which it flags as many unchanged sentences of the sample as our check; `alarm_share`
says how many that is. Choosing it on the sample itself favours the peers. AnchorCite is listed with
its own threshold, too.
"""

import argparse
import csv
import itertools
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from benchmarks import grounding_peers
from benchmarks.grounding_terms import in_development
from matplotlib.figure import Figure
from tests.support.public_data import MEDQUAD, PUBLIC
from tqdm import tqdm

from clinical_camel import data, grounding, stats
from clinical_camel.data.transcripts import read_turns
from clinical_camel.note_synthesis import planting

RESULTS = Path(__file__).with_name("results")
PAIRS = Path(__file__).with_name("grounding_pairs.csv")
QUALITY = Path("src/clinical_camel/note_synthesis/check_quality.csv")
OURS = "this check"
NOTES = ("aci_bench", "mts_dialog", "primock57")
ALL = "three corpora"
PER_KIND = 2  # errors of one kind in one text
MTS_DEV, PAGES, SAMPLE = 300, 100, 20  # texts; all of them would take half an hour
DENIED, FOREIGN = "question answered no", "sentence of another patient's note"
COMMON = "test, sample"  # the rows on which the peers are measured
SWAPS = ("swapped doses", "swapped sides", "swapped times")
UNCHANGED = (DENIED, FOREIGN)  # kinds that change no sentence of the note

QUESTION = re.compile(r"\bany ([a-z][a-z ,'-]{2,40}?)\s*\?\s*$", re.IGNORECASE)
NO = re.compile(r"\W*(?:no\b|nope|none\b|not\b|nah\b|i (?:don't|do n't|haven't|have n't)\b)", re.I)
VAGUE = re.compile(r"\b(?:other|else|questions?|of|that|this|it|more|problems?|issues?)\b")


class Text(NamedTuple):
    """Written sentences and their source: turns, or sentences of a page."""

    corpus: str
    id: str
    written: list[str]
    source: Sequence

    def lines(self) -> list[str]:
        return [unit if isinstance(unit, str) else unit.text for unit in self.source]


class Item(NamedTuple):
    """A planted error; `original` is empty if no sentence of the note was changed."""

    text: Text
    kind: str
    original: str
    changed: str


# ------------------------------------------------------------------------------------------ texts


def load_notes(corpus: str, development: bool) -> list[Text]:
    parts = ("train", "valid") if development else ("test_shared",)
    files = [f"{corpus}_{part}" for part in parts] if corpus != "primock57" else [corpus]
    visits = [
        visit
        for file in files
        for visit in data.load_consultations(f"{corpus}@{PUBLIC}/{corpus}/{file}.jsonl")
        if corpus != "primock57" or in_development(visit.id) == development
    ]
    if development and len(visits) > MTS_DEV:
        visits = random.Random(0).sample(visits, MTS_DEV)
    return [Text(corpus, v.id, grounding.split_note(v.note), v.turns) for v in visits]


def load_all(development: bool) -> list[Text]:
    texts = [text for corpus in NOTES for text in load_notes(corpus, development)]
    return [text for text in texts if text.written]


def load_embedded() -> list[Text]:
    visits = data.load_consultations("mini_consultations")
    return [Text("embedded", v.id, grounding.split_note(v.note), v.turns) for v in visits]


def load_reworded() -> list[Text]:
    pages = [page for page in data.load_articles(MEDQUAD) if not in_development(page.id)]
    texts = []
    for page in random.Random(0).sample(pages, PAGES):
        sentences = grounding.split_sentences(" ".join(section.text for section in page.sections))
        plain = [s for s in sentences if 5 <= len(s.split()) <= 40 and s.endswith(".")][:20]
        rng = random.Random(page.id)
        texts.append(Text("medquad reworded", page.id, [reword(s, rng) for s in plain], sentences))
    return texts


PARAPHRASES = (
    (r"\bis caused by\b", "comes from"),
    (r"\bcaused by\b", "due to"),
    (r"\bsuch as\b", "like"),
    (r"\bmay\b", "can"),
    (r"\bindividuals\b", "people"),
    (r"\bpeople with\b", "someone with"),
    (r"\bphysicians?\b", "doctor"),
    (r"\bmedications?\b", "medicine"),
    (r"\bapproximately\b", "about"),
    (r"\bmg\b", "milligrams"),
    (r"%", " percent"),
    (r"\badditional\b", "further"),
    (r"\btwo\b", "2"),
    (r"\b3\b", "three"),
    (r"\bhigh blood pressure\b", "hypertension"),
    (r"\bshortness of breath\b", "trouble breathing"),
)
OPENERS = ("", "", "Good question. ", "Yes: ", "In short, ", "As far as is known, ", "Well, ")


def reword(sentence: str, rng: random.Random) -> str:
    """Paraphrase a sentence: other words for some, "If a, b" reversed, an opening."""
    for pattern, words in PARAPHRASES:
        sentence = re.sub(pattern, words, sentence, flags=re.IGNORECASE)
    if match := re.fullmatch(r"((?:If|When|In|For|After) [^,]+), ([^,]+)\.", sentence):
        sentence = f"{match[2][0].upper()}{match[2][1:]}, {match[1][0].lower()}{match[1][1:]}."
    return rng.choice(OPENERS) + sentence


# --------------------------------------------------------------------------------- planted errors


def plant_items(texts: Sequence[Text]) -> Iterator[Item]:
    """Yield at most PER_KIND errors of each kind for each text."""
    for text, other in zip(texts, [*texts[1:], *texts[:1]], strict=True):
        source = " ".join(text.lines()).lower()
        for kind in planting.KINDS:
            rng = random.Random(f"{text.id}/{kind}")
            sentences = rng.sample(text.written, len(text.written))
            if kind in SWAPS:
                sentences += _join_sentences(sentences)
            changes = ((s, planting.plant(kind, s, source, rng)) for s in sentences)
            fitting = [Item(text, kind, s, new) for s, new in changes if new]
            yield from fitting[:PER_KIND]
        yield from _deny_questions(text)
        long = [s for s in other.written if len(s.split()) > 4 and s not in text.written]
        if long and not isinstance(text.source[0], str):
            yield Item(text, FOREIGN, "", random.Random(text.id).choice(long))


def _join_sentences(sentences: Sequence[str]) -> list[str]:
    """Return pairs of short sentences as one: few sentences have two doses, sides or times."""
    short = [s.rstrip(" .") for s in sentences if 1 < len(s.split()) < 15]
    return [f"{a}, and {b[0].lower()}{b[1:]}." for a, b in itertools.permutations(short[:25], 2)]


def _deny_questions(text: Text) -> Iterator[Item]:
    """Yield "Reports fever." for a visit in which "any fever?" was answered with no."""
    lines = text.lines()
    source, count = " ".join(lines).lower(), 0
    for line, reply in zip(lines, lines[1:], strict=False):
        match = QUESTION.search(line)
        is_denied = match and NO.match(reply) and not VAGUE.search(match[1])
        if is_denied and count < PER_KIND and source.count(match[1].lower()) == 1:
            count += 1
            yield Item(text, DENIED, "", f"Reports {match[1]}.")


# --------------------------------------------------------------------------------- measurements

Key = tuple[str, str, str]  # corpus, id of the text, sentence
Flags = Mapping[Key, bool]


def collect(texts: Sequence[Text], items: Sequence[Item]) -> list[tuple[Text, list[str]]]:
    """Return the distinct sentences of each text, unchanged and changed."""
    sentences = {text[:2]: dict.fromkeys(text.written) for text in texts}
    for item in items:
        sentences[item.text[:2]] |= dict.fromkeys(filter(None, (item.original, item.changed)))
    return [(text, list(sentences[text[:2]])) for text in texts]


def check(texts: Sequence[Text], items: Sequence[Item]) -> dict[Key, grounding.Link]:
    """Return the link of every sentence by our check."""
    return {
        (*text[:2], link.sentence): link
        for text, sentences in tqdm(collect(texts, items), desc=OURS)
        for link in grounding.link_sentences(sentences, text.source)
    }


def score(peer, texts: Sequence[Text], items: Sequence[Item]) -> dict[Key, float]:
    """Return the score of every sentence by a peer."""
    return {
        (*text[:2], sentence): value
        for text, sentences in tqdm(collect(texts, items), desc=peer.name)
        for sentence, value in zip(sentences, peer.score(sentences, text.lines()), strict=True)
    }


def tabulate(names: tuple, texts: Sequence[Text], items: Sequence[Item], flags: Flags):
    """Return the recall of each kind of error, with the share of alarms at which it was reached."""
    alarms = [flags[(*text[:2], sentence)] for text in texts for sentence in text.written]
    cases: dict[str, list[tuple[str, bool]]] = {}
    for item in items:
        key = item.text[:2]
        if not (item.original and flags[(*key, item.original)]):
            cases.setdefault(item.kind, []).append(("/".join(key), flags[(*key, item.changed)]))
    rows = [
        _row((*names, "recall", kind), cases[kind])
        for kind in (*planting.KINDS, *UNCHANGED)
        if kind in cases
    ]
    return pd.DataFrame(rows).assign(alarm_share=np.mean(alarms))


def tabulate_alarms(names: tuple, texts: Sequence[Text], links: Mapping[Key, grounding.Link]):
    """Return a row per kind of alarm of our check on the unchanged sentences."""
    cases = [("/".join(t[:2]), links[(*t[:2], sentence)]) for t in texts for sentence in t.written]
    reasons = [{reason.partition(":")[0] for reason in link.reasons} for _, link in cases]
    kinds = {"any": [bool(reason) for reason in reasons]}
    kinds["contradicted"] = [link.verdict == "contradicted" for _, link in cases]
    kinds |= {name: [name in r for r in reasons] for name in sorted(set().union(*reasons))}
    ids = [id_ for id_, _ in cases]
    rows = [_row((*names, "alarms", k), list(zip(ids, v, strict=True))) for k, v in kinds.items()]
    return pd.DataFrame(rows)


def _row(names: tuple, cases: Sequence[tuple[str, bool]]) -> dict:
    columns = ("corpus", "rows", "checker", "measure", "kind")
    ids, flags = zip(*cases, strict=True)
    values = np.array(flags, dtype=float)
    interval = stats.wilson_interval(values.sum(), len(values))
    if len(set(ids)) < len(ids):
        interval = stats.clustered_interval(values, ids)
    row = dict(zip(columns, names, strict=True)) | {"n": len(values), "flagged": int(values.sum())}
    return row | dict(zip(("share", "low", "high"), (values.mean(), *interval), strict=True))


def measure(rows: str, texts: Sequence[Text]) -> Iterator[pd.DataFrame]:
    """Yield the tables of each corpus, and of the three corpora of notes together."""
    items = list(plant_items(texts))
    links = check(texts, items)
    flags = {key: link.verdict != "supported" for key, link in links.items()}
    corpora = list(dict.fromkeys(text.corpus for text in texts))
    for corpus in [*corpora, *([ALL] if len(corpora) > 1 else [])]:
        own = [text for text in texts if corpus in (text.corpus, ALL)]
        planted = [item for item in items if corpus in (item.text.corpus, ALL)]
        yield tabulate((corpus, rows, OURS), own, planted, flags)
        yield tabulate_alarms((corpus, rows, OURS), own, links)


def measure_pairs() -> pd.DataFrame:
    """Return the share of the false and of the true sentences of the written pairs it flags."""
    cases: dict[str, list[tuple[str, bool]]] = {"false": [], "true": []}
    with PAIRS.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            turns = read_turns(row["visit"])
            (link,) = grounding.link_sentences([row["sentence"]], turns)
            kind = "true" if row["true"] == "1" else "false"
            cases[kind].append((row["visit"], link.verdict != "supported"))
    names = ("written pairs", "test", OURS, "pairs")
    return pd.DataFrame([_row((*names, kind), rows) for kind, rows in cases.items()])


def measure_peers(texts: Sequence[Text]) -> Iterator[pd.DataFrame]:
    """Yield the recall on a sample: of our check, of each peer at our share of alarms."""
    corpora = [[text for text in texts if text.corpus == corpus] for corpus in NOTES]
    texts = [t for own in corpora for t in random.Random(0).sample(own, min(SAMPLE, len(own)))]
    items = list(plant_items(texts))
    flags = {key: link.verdict != "supported" for key, link in check(texts, items).items()}
    yield (ours := tabulate((ALL, COMMON, OURS), texts, items, flags))
    for peer in (grounding_peers.AnchorCite(), grounding_peers.TokenSimilarity()):
        scores = score(peer, texts, items)
        values = sorted(scores[(*text[:2], s)] for text in texts for s in text.written)
        rank = round(ours["alarm_share"].iloc[0] * (len(values) - 1))
        thresholds = {"same alarms": values[rank]}
        if peer.threshold is not None:
            thresholds["own threshold"] = peer.threshold
        for name, threshold in thresholds.items():
            flags = {key: value < threshold for key, value in scores.items()}
            yield tabulate((ALL, COMMON, f"{peer.name}, {name}"), texts, items, flags)


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return what notebook 04 shows: our check on the test rows, and all alarms by corpus."""
    ours = table[table["checker"] == OURS]
    recall = ours[
        (ours["corpus"] == ALL) & (ours["rows"] == "test") & (ours["measure"] == "recall")
    ]
    alarms = ours[(ours["measure"] == "alarms") & ours["kind"].isin(["any", "contradicted"])]
    alarms = alarms[(alarms["rows"] == "test") | (alarms["corpus"] == "embedded")]
    columns = ["measure", "corpus", "kind", "n", "share", "low", "high"]
    return pd.concat([recall, alarms, ours[ours["measure"] == "pairs"]])[columns]


def plot(table: pd.DataFrame) -> Figure:
    """Plot the recall of each kind of error on the test rows, for our check and the peers."""
    table = table[(table["rows"] == COMMON) & (table["measure"] == "recall")]
    kinds = [k for k in (*planting.KINDS, *UNCHANGED) if k in set(table["kind"])]
    figure, axes = plt.subplots(figsize=(8, 0.3 * len(kinds) + 1.5))
    for k, (name, rows) in enumerate(table.groupby("checker", sort=False)):
        y = [kinds.index(kind) for kind in rows["kind"]]
        lengths = np.abs([rows["share"] - rows["low"], rows["high"] - rows["share"]])
        style = {"fmt": "os^D"[k], "capsize": 2, "markersize": 7 if k == 0 else 5}
        style |= {"alpha": 1 if k == 0 else 0.6, "xerr": lengths if k == 0 else None}
        label = f"{name} (flags {rows['alarm_share'].iloc[0]:.0%} of unchanged sentences)"
        axes.errorbar(rows["share"], y, label=label, **style)
    axes.set_yticks(range(len(kinds)), kinds)
    axes.set(
        xlim=(-0.02, 1.02), ylim=(len(kinds) - 0.5, -0.5), xlabel="share of planted errors noticed"
    )
    axes.grid(axis="x", alpha=0.3)
    axes.legend(fontsize=8, loc="lower left", bbox_to_anchor=(-0.3, 1.0))
    figure.tight_layout()
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-peers", action="store_true", help="write no table; for a quick look")
    with_peers = not parser.parse_args().no_peers
    if with_peers:
        grounding_peers.require_peers()
    tables = [*measure("dev", load_all(True))]
    tables += [*measure("dev", load_embedded()), *measure("dev", load_reworded())]
    tables += [*measure("test", load_all(False)), measure_pairs()]
    if with_peers:
        tables += measure_peers(load_all(False))
    table = pd.concat(tables).round(3)
    print(table.to_string(index=False))
    if with_peers:
        table.to_csv(RESULTS / "grounding.csv", index=False)
        summarise(table).to_csv(QUALITY, index=False)
        plot(table).savefig(RESULTS / "grounding.png", dpi=100)


if __name__ == "__main__":
    main()
