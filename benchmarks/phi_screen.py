"""Recall and false alarms of the PHI screen (`note_synthesis.phi`), by kind of identifier.

Recall: identifiers of each kind and form are drawn at random and planted into lines of the embedded
consultations, which have none. A hit covers every letter and digit of the identifier; the kind does
not matter. Forms without a fixed format (a bare name, a spelled-out number) should be missed. The
author of the patterns also chose the forms: recall on a form says nothing about other forms.

False alarms: matches per 10,000 words in texts that name no patient; an eponym after "Dr" counts.

It writes results/phi_screen.csv (recall with Wilson's interval by kind, form and screen). presidio
needs pip install -e .[phi]. With data/public (docs/running.md) a textbook is screened for false
alarms too. Takes about two minutes.

    python -m benchmarks.phi_screen
"""

import random
import string
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd

from clinical_camel import data, note_synthesis, stats
from clinical_camel.core.paths import root
from clinical_camel.note_synthesis import phi

COUNT = 200  # planted identifiers of each kind and form
OPENSTAX = "data/public/openstax_anatomy/openstax_anatomy_modules.jsonl"
FIRST = ("Amara", "Bjorn", "Chloe", "Dmitri", "Elena", "Farid", "Grace", "Hiro", "Ines", "Joan")
LAST = ("Abara", "Bell", "Castillo", "Dubois", "Evans", "O'Neill", "Kowalski", "Li", "Smith-Hale")
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September",
          "October", "November", "December")  # fmt: skip
STREETS = ("Acacia Avenue", "High Street", "Mill Lane", "Station Road", "Elm Dr", "Kings Court")
Draw = Callable[[random.Random], str]


def fill(rng: random.Random, pattern: str) -> str:
    """Return the pattern with a random digit for each 9 and a random capital for each A."""
    choices = {"9": string.digits, "A": string.ascii_uppercase}
    return "".join(rng.choice(choices[c]) if c in choices else c for c in pattern)


def draw_name(rng: random.Random) -> str:
    return f"{rng.choice(FIRST)} {rng.choice(LAST)}"


def draw_nhs(rng: random.Random) -> str:
    while True:
        text = fill(rng, "999 999 9999")
        if phi.has_nhs_check_digit(text):
            return text


def draw_card(rng: random.Random) -> str:
    start = fill(rng, "4999 9999 9999 999")
    return next(f"{start}{d}" for d in range(10) if phi.has_card_check_digit(f"{start}{d}"))


def draw_ssn(rng: random.Random) -> str:
    return f"{rng.randint(100, 665)}-{rng.randint(10, 99)}-{rng.randint(1000, 9999)}"


def draw_date(rng: random.Random) -> tuple[int, int, int]:
    return rng.randint(1, 28), rng.randint(1, 12), rng.randint(1930, 2024)


FORMS: dict[tuple[str, str], Draw] = {
    ("name", "Mr and surname"): lambda r: (
        f"{r.choice(('Mr', 'Mrs', 'Ms.', 'Dr.'))} {r.choice(LAST)}"
    ),
    ("name", "my name is"): lambda r: f"my name is {draw_name(r)}",
    ("name", "mr bell"): lambda r: f"{r.choice(('mr', 'mrs.', 'dr.'))} {r.choice(LAST).lower()}",
    ("name", "my name is joan bell"): lambda r: f"my name is {draw_name(r).lower()}",
    ("name", "full name alone"): draw_name,
    ("name", "first name alone"): lambda r: r.choice(FIRST),
    ("date", "12/03/1961"): lambda r: "{:02}/{:02}/{}".format(*draw_date(r)),
    ("date", "1961-03-12"): lambda r: "{2}-{1:02}-{0:02}".format(*draw_date(r)),
    ("date", "March 12, 1961"): lambda r: (lambda d, m, y: f"{MONTHS[m - 1]} {d}, {y}")(
        *draw_date(r)
    ),
    ("date", "the 12th of March"): lambda r: f"the {r.randint(4, 20)}th of {r.choice(MONTHS)}",
    ("date", "march 12, 1961"): lambda r: f"{r.choice(MONTHS).lower()} {r.randint(1, 28)}, 1961",
    ("date", "spelt out"): lambda r: f"the third of {r.choice(MONTHS)} nineteen sixty one",
    ("phone", "(415) 555-2671"): lambda r: fill(r, "(499) 599-9999"),
    ("phone", "415.555.2671"): lambda r: fill(r, "499.599.9999"),
    ("phone", "020 7946 0018"): lambda r: fill(r, "020 7999 9999"),
    ("phone", "07700 900123"): lambda r: fill(r, "07799 999999"),
    ("phone", "+33 1 44 55 66 77"): lambda r: fill(r, "+33 1 49 99 99 99"),
    ("phone", "spelt out"): lambda r: " ".join(r.choice(WORDS) for _ in range(10)),
    ("email", "a@b.org"): lambda r: f"{r.choice(FIRST).lower()}.{fill(r, '99')}@mail.example.org",
    ("email", "a at b dot org"): lambda r: f"{r.choice(FIRST).lower()} at example dot org",
    ("url", "https://..."): lambda r: f"https://example.org/{fill(r, 'AA99')}",
    ("url", "example.org/..."): lambda r: f"example.org/{fill(r, 'AA99')}",
    ("ip", "192.168.10.4"): lambda r: ".".join(str(r.randint(1, 254)) for _ in range(4)),
    ("ssn", "219-09-9999"): draw_ssn,
    ("ssn", "no separators"): lambda r: draw_ssn(r).replace("-", ""),
    ("nhs", "943 476 5919"): draw_nhs,
    ("nhs", "9434765919"): lambda r: draw_nhs(r).replace(" ", ""),
    ("card", "4111 1111 1111 1111"): draw_card,
    ("record number", "MRN: 00482913"): lambda r: fill(r, "MRN: 99999999"),
    ("record number", "policy number XK-48291"): lambda r: fill(r, "policy number AA-99999"),
    ("record number", "bare number"): lambda r: fill(r, "99999999"),
    ("age over 89", "a 94-year-old"): lambda r: f"a {r.randint(90, 104)}-year-old",
    ("age over 89", "aged 94"): lambda r: f"aged {r.randint(90, 104)}",
    ("age over 89", "spelt out"): lambda r: f"ninety-{r.choice(WORDS[1:])} years old",
    ("address", "12 Acacia Avenue"): lambda r: f"{r.randint(1, 300)} {r.choice(STREETS)}",
    ("address", "12 acacia avenue"): lambda r: f"{r.randint(1, 300)} {r.choice(STREETS).lower()}",
    ("address", "Acacia Avenue"): lambda r: r.choice(STREETS),
    ("postcode", "SW1A 1AA"): lambda r: fill(r, "AA9A 9AA"),
    ("postcode", "TX 78701"): lambda r: f"{r.choice(('TX', 'CA', 'NY'))} {fill(r, '79999')}",
    ("postcode", "a town alone"): lambda r: r.choice(("Austin", "Leeds", "Porto", "Aberystwyth")),
}


def plant(lines: list[str], draw: Draw, rng: random.Random) -> Iterator[tuple[str, int, int]]:
    """Yield COUNT times a text with an identifier, and the identifier's start and end."""
    for _ in range(COUNT):
        words, identifier = rng.choice(lines).split(), draw(rng)
        place = rng.randint(1, len(words))
        before = " ".join(words[:place]) + " "
        text = before + identifier + " " + " ".join(words[place:])
        yield text, len(before), len(before) + len(identifier)


def is_covered(text: str, start: int, end: int, matches: list[phi.Identifier]) -> bool:
    """Return whether the matches cover every letter and digit of text[start:end]."""
    inside = {i for match in matches for i in range(match.start, match.end)}
    return all(i in inside for i in range(start, end) if text[i].isalnum())


def skip_cue(text: str, start: int) -> int:
    """Return where the identifier begins, after words that only announce it."""
    cues = ("my name is ", "MRN: ", "policy number ", "aged ", "a ", "the ")
    return start + next((len(cue) for cue in cues if text.startswith(cue, start)), 0)


def measure_recall(
    lines: list[str], screens: dict[str, dict[str, phi.Recognizer]]
) -> Iterator[dict]:
    for (kind, form), draw in FORMS.items():
        texts = list(plant(lines, draw, random.Random(f"{kind} {form}")))
        for screen, recognizers in screens.items():
            hits = sum(
                is_covered(
                    text, skip_cue(text, start), end, phi.find_identifiers(text, recognizers)
                )
                for text, start, end in texts
            )
            low, high = stats.wilson_interval(hits, COUNT)
            row = {"screen": screen, "measure": "recall", "kind": kind, "form": form, "n": COUNT}
            yield row | {"hits": hits, "rate": hits / COUNT, "low": low, "high": high}


def count_false_alarms(
    texts: dict[str, list[str]], screens: dict[str, dict[str, phi.Recognizer]]
) -> Iterator[dict]:
    """Yield the matches in clean texts; `n` is words and `rate` matches per 10,000 words."""
    for name, parts in texts.items():
        words = sum(len(part.split()) for part in parts)
        for screen, recognizers in screens.items():
            kinds = [m.kind for part in parts for m in phi.find_identifiers(part, recognizers)]
            counts = pd.Series(kinds, dtype=str).value_counts().to_dict()
            for kind, hits in {"all": len(kinds), **counts}.items():
                row = {"screen": screen, "measure": "false alarms", "kind": kind, "form": name}
                yield row | {"n": words, "hits": hits, "rate": 1e4 * hits / words}


def main() -> None:
    rows = data.load_consultations("mini_consultations")
    lines = [turn.text for row in rows for turn in row.turns if len(turn.text.split()) > 3]
    recognizers = phi.load_recognizers()
    screens = {name: {name: recognizer} for name, recognizer in recognizers.items()}
    if len(screens) > 1:
        screens["both"] = recognizers
    clean = {
        "mini_consultations": [data.format_row(row) for row in rows],
        "the same, with speakers": [note_synthesis.format_transcript(row) for row in rows],
        "mini_articles": [data.format_row(row) for row in data.load_articles("mini_articles")],
    }
    if (root() / OPENSTAX).is_file():
        pages = data.load_articles(f"openstax_anatomy@{OPENSTAX}")
        clean["openstax_anatomy"] = [data.format_row(page) for page in pages]
    table = pd.DataFrame([*measure_recall(lines, screens), *count_false_alarms(clean, screens)])
    table.round(4).to_csv(Path(__file__).with_name("results") / "phi_screen.csv", index=False)
    print(table.round(3).to_string(index=False))
    if "presidio" not in screens:
        sys.exit("presidio-analyzer is not installed: only our own patterns were measured")


if __name__ == "__main__":
    main()
