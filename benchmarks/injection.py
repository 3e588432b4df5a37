"""How many prompt injections does the filter find, and how often does it alarm at honest text?

    python -m benchmarks.injection

Attacks are sentences inside an ordinary article: the development set (tests/support/hostile.py, the
patterns were written with it), a held-out set (benchmarks/injection_texts.csv), and, if it is
installed, the set of the package agent-injection-bench 0.1.0 (MIT), whose attacks on tool-using
agents were written by others. An attack counts as found if a sentence is withheld.

The held-out texts were written before the patterns, by the same author; some honest sentences are
false alarms that had been reported. Later the patterns were changed for other sentences, on the
condition that no fewer held-out attacks are found. These rates are optimistic.

`near-orders` are by another author, who looked for faults of the filter: honest sentences that
resemble orders, and orders that it may miss. Sorted by SHA-256, the first half of each served to
change the patterns (examples in tests/teachers/test_injection.py); the second half is measured
here. Whoever changed the patterns had read both halves, but changed nothing for the second.

False alarms: sentences withheld from honest texts. `honest sentences` resemble attacks on purpose.
With data/public (docs/running.md), real texts are measured as an article converted to Markdown has
them: each section has a heading with #, and an address at its end. A text counts once however many
of its sentences alarm; `unit` says what is counted.

Writes results/injection.csv: rates with Wilson's 95 % intervals. Takes about a minute.
"""

import csv
import importlib.resources
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from benchmarks.tables import RESULTS
from tests.support.hostile import HARMLESS, HOSTILE
from tests.support.public_data import ARTICLES, PUBLIC

from clinical_camel import data, grounding, stats
from clinical_camel.core.paths import root
from clinical_camel.data import Article, Section
from clinical_camel.teachers import injection

COLUMNS = ["texts", "kind", "measure", "unit", "n", "alarms", "rate", "low", "high"]
ATTACKS = ["overrides", "roles", "addresses", "dictates", "markup", "sends"]
BEFORE, AFTER = "Gout hurts at night.", "Naproxen helps the attack."
Row = tuple[str, str, str, str, int, int]


def count_alarms(texts: list[str]) -> int:
    """Count the texts of which a sentence is withheld."""
    articles = [
        Article(id=str(i), title="gout", sections=[Section(heading="", text=text)])
        for i, text in enumerate(texts)
    ]
    _, withheld = injection.withhold_sentences(articles)
    return len({sentence.article for sentence in withheld})


def measure_attacks() -> Iterator[Row]:
    held_out = read_held_out()
    sets = {
        "attacks, development": {k: v for k, v in HOSTILE.items() if k != "invisible"},
        "attacks, held out": {k: held_out[k] for k in ATTACKS},
        "near-orders, held out": {"orders": held_out["near-orders: orders"]},
        "attacks, agent-injection-bench": read_package(),
    }
    for name, kinds in sets.items():
        total = Counter()
        for kind, texts in kinds.items():
            alarms = count_alarms([f"{BEFORE}\n{text}\n{AFTER}" for text in texts])
            total.update(n=len(texts), alarms=alarms)
            yield name, kind, "recall", "attacks", len(texts), alarms
        if len(kinds) > 1:
            yield name, "all", "recall", "attacks", total["n"], total["alarms"]


def read_held_out() -> dict[str, list[str]]:
    """Return the held-out texts by kind; those that are not in ATTACKS are reported apart."""
    kinds: dict[str, list[str]] = {}
    with Path(__file__).with_name("injection_texts.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            kinds.setdefault(row["kind"], []).append(row["text"].replace("\\n", "\n"))
    return kinds


def read_package() -> dict[str, list[str]]:
    try:
        file = importlib.resources.files("aib") / "data" / "attacks.jsonl"
    except ModuleNotFoundError:
        return {}
    kinds: dict[str, list[str]] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        kinds.setdefault(row["family"], []).append(row["injected"])
    kinds.pop("control", None)  # honest texts
    return kinds


def measure_honest() -> Iterator[Row]:
    held_out = read_held_out()
    sets = {
        ("honest sentences, development", ""): HARMLESS,
        ("honest sentences, held out", ""): held_out["honest"],
        ("near-orders, held out", "honest"): held_out["near-orders: honest"],
    }
    for (name, kind), texts in sets.items():
        yield name, kind, "false alarms", "sentences", len(texts), count_alarms(texts)
    for spec in ARTICLES:
        if (root() / spec.rpartition("@")[2]).exists():
            yield from measure_articles(data.label(spec), data.load_articles(spec))
    file = root() / PUBLIC / "medmcqa/medmcqa_validation_shared.jsonl"
    if file.exists():
        rows = map(json.loads, file.read_text(encoding="utf-8").splitlines())
        texts = [row["exp"] for row in rows if row.get("exp")]
        yield "medmcqa explanations", "", "false alarms", "texts", len(texts), count_alarms(texts)


def measure_articles(name: str, articles: list[Article]) -> Iterator[Row]:
    converted = []
    for article in articles:
        address = f"(https://www.example.org/articles/{article.id})"
        text = "\n\n".join(f"### {s.heading}\n{s.text} {address}" for s in article.sections)
        converted.append(Article(id=article.id, title=article.title,
                                 sections=[Section(heading="", text=text)]))  # fmt: skip
    _, withheld = injection.withhold_sentences(converted)
    for alarm in withheld:
        print(name, alarm.reason, alarm.words, sep=" | ")
    texts = [article.sections[0].text for article in converted]
    sentences = sum(len(grounding.split_sentences(s)) for t in texts for s in t.split("\n"))
    alarmed = len({alarm.article for alarm in withheld})
    yield name, "as Markdown", "false alarms", "articles", len(articles), alarmed
    yield name, "as Markdown", "false alarms", "sentences", sentences, len(withheld)


def main() -> None:
    """Measure everything, print the table and write it."""
    rows = [*measure_attacks(), *measure_honest()]
    table = pd.DataFrame(rows, columns=COLUMNS[:6])
    table["rate"] = table["alarms"] / table["n"]
    intervals = [
        stats.wilson_interval(*counts) for counts in zip(table["alarms"], table["n"], strict=True)
    ]
    table[["low", "high"]] = intervals
    print(table.to_string())
    table.to_csv(RESULTS / "injection.csv", index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
