"""How much of what may identify a person does `note_synthesis.phi` find, kind by kind?

Planted: identifiers of each kind and form, drawn at random, each in a line of a visit of the
embedded study that has none. Found is one whose every letter and digit lies in what was found,
whatever it was taken for. The last form of some kinds is what a screen by form cannot see (a bare
name, a number spelt out): it is there to be missed. Who wrote the patterns also chose the forms:
recall on a form says nothing of the forms that nobody thought of.
False alarms: places found in texts in which no patient is named, for 10,000 words; an eponym behind
"Dr" counts as one. It writes phi_screen.csv (recall with Wilson's interval by kind, form and
screen) and prints it; presidio needs pip install -e .[phi]. With data/public (README, "Real data")
a textbook is clean text too. About two minutes.

    python benchmarks/phi_screen.py
"""

import random
import string
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd

from clinical_camel import data, note_synthesis, stats
from clinical_camel.note_synthesis import phi

COUNT = 200  # planted identifiers of each kind and form
OPENSTAX = "data/public/openstax_anatomy/openstax_anatomy_modules.jsonl"
FIRST = ("Amara", "Bjorn", "Chloe", "Dmitri", "Elena", "Farid", "Grace", "Hiro", "Ines", "Joan")
LAST = ("Abara", "Bell", "Castillo", "Dubois", "Evans", "O'Neill", "Kowalski", "Li", "Smith-Hale")
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September",
          "October", "November", "December")  # fmt: skip
STREETS = ("Acacia Avenue", "High Street", "Mill Lane", "Station Road", "Elm Dr", "Kings Court")
Make = Callable[[random.Random], str]


def digits(rng: random.Random, pattern: str) -> str:
    """The pattern with a digit for each 9 and a capital for each A."""
    drawn = {"9": string.digits, "A": string.ascii_uppercase}
    return "".join(rng.choice(drawn[c]) if c in drawn else c for c in pattern)


def full_name(rng: random.Random) -> str:
    return f"{rng.choice(FIRST)} {rng.choice(LAST)}"


def nhs(rng: random.Random) -> str:
    while True:
        text = digits(rng, "999 999 9999")
        if phi._nhs(text):
            return text


def card(rng: random.Random) -> str:
    start = digits(rng, "4999 9999 9999 999")
    return next(f"{start}{d}" for d in range(10) if phi._luhn(f"{start}{d}"))


def ssn(rng: random.Random) -> str:
    return f"{rng.randint(100, 665)}-{rng.randint(10, 99)}-{rng.randint(1000, 9999)}"


def date(rng: random.Random) -> tuple[int, int, int]:
    return rng.randint(1, 28), rng.randint(1, 12), rng.randint(1930, 2024)


FORMS: dict[tuple[str, str], Make] = {
    ("name", "Mr and surname"): lambda r: (
        f"{r.choice(('Mr', 'Mrs', 'Ms.', 'Dr.'))} {r.choice(LAST)}"
    ),
    ("name", "my name is"): lambda r: f"my name is {full_name(r)}",
    ("name", "mr bell"): lambda r: f"{r.choice(('mr', 'mrs.', 'dr.'))} {r.choice(LAST).lower()}",
    ("name", "my name is joan bell"): lambda r: f"my name is {full_name(r).lower()}",
    ("name", "full name alone"): full_name,
    ("name", "first name alone"): lambda r: r.choice(FIRST),
    ("date", "12/03/1961"): lambda r: "{:02}/{:02}/{}".format(*date(r)),
    ("date", "1961-03-12"): lambda r: "{2}-{1:02}-{0:02}".format(*date(r)),
    ("date", "March 12, 1961"): lambda r: (lambda d, m, y: f"{MONTHS[m - 1]} {d}, {y}")(*date(r)),
    ("date", "the 12th of March"): lambda r: f"the {r.randint(4, 20)}th of {r.choice(MONTHS)}",
    ("date", "march 12, 1961"): lambda r: f"{r.choice(MONTHS).lower()} {r.randint(1, 28)}, 1961",
    ("date", "spelt out"): lambda r: f"the third of {r.choice(MONTHS)} nineteen sixty one",
    ("phone", "(415) 555-2671"): lambda r: digits(r, "(499) 599-9999"),
    ("phone", "415.555.2671"): lambda r: digits(r, "499.599.9999"),
    ("phone", "020 7946 0018"): lambda r: digits(r, "020 7999 9999"),
    ("phone", "07700 900123"): lambda r: digits(r, "07799 999999"),
    ("phone", "+33 1 44 55 66 77"): lambda r: digits(r, "+33 1 49 99 99 99"),
    ("phone", "spelt out"): lambda r: " ".join(r.choice(WORDS) for _ in range(10)),
    ("email", "a@b.org"): lambda r: f"{r.choice(FIRST).lower()}.{digits(r, '99')}@mail.example.org",
    ("email", "a at b dot org"): lambda r: f"{r.choice(FIRST).lower()} at example dot org",
    ("url", "https://..."): lambda r: f"https://example.org/{digits(r, 'AA99')}",
    ("url", "example.org/..."): lambda r: f"example.org/{digits(r, 'AA99')}",
    ("ip", "192.168.10.4"): lambda r: ".".join(str(r.randint(1, 254)) for _ in range(4)),
    ("ssn", "219-09-9999"): ssn,
    ("ssn", "no separators"): lambda r: ssn(r).replace("-", ""),
    ("nhs", "943 476 5919"): nhs,
    ("nhs", "9434765919"): lambda r: nhs(r).replace(" ", ""),
    ("card", "4111 1111 1111 1111"): card,
    ("record number", "MRN: 00482913"): lambda r: digits(r, "MRN: 99999999"),
    ("record number", "policy number XK-48291"): lambda r: digits(r, "policy number AA-99999"),
    ("record number", "bare number"): lambda r: digits(r, "99999999"),
    ("age over 89", "a 94-year-old"): lambda r: f"a {r.randint(90, 104)}-year-old",
    ("age over 89", "aged 94"): lambda r: f"aged {r.randint(90, 104)}",
    ("age over 89", "spelt out"): lambda r: f"ninety-{r.choice(WORDS[1:])} years old",
    ("address", "12 Acacia Avenue"): lambda r: f"{r.randint(1, 300)} {r.choice(STREETS)}",
    ("address", "12 acacia avenue"): lambda r: f"{r.randint(1, 300)} {r.choice(STREETS).lower()}",
    ("address", "Acacia Avenue"): lambda r: r.choice(STREETS),
    ("postcode", "SW1A 1AA"): lambda r: digits(r, "AA9A 9AA"),
    ("postcode", "TX 78701"): lambda r: f"{r.choice(('TX', 'CA', 'NY'))} {digits(r, '79999')}",
    ("postcode", "a town alone"): lambda r: r.choice(("Austin", "Leeds", "Porto", "Aberystwyth")),
}


def planted(lines: list[str], make: Make, rng: random.Random) -> Iterator[tuple[str, int, int]]:
    """A text and where in it the identifier stands, COUNT times."""
    for _ in range(COUNT):
        words, said = rng.choice(lines).split(), make(rng)
        place = rng.randint(1, len(words))
        before = " ".join(words[:place]) + " "
        yield before + said + " " + " ".join(words[place:]), len(before), len(before) + len(said)


def covered(text: str, start: int, end: int, found: list[phi.Finding]) -> bool:
    """Whether no letter or digit of text[start:end] is left outside of what was found."""
    inside = {i for each in found for i in range(each.start, each.end)}
    return all(i in inside for i in range(start, end) if text[i].isalnum())


def identifying(text: str, kind: str, start: int) -> int:
    """Where the identifier itself begins, behind the words that only announce it."""
    cue = {"my name is ": 11, "MRN: ": 5, "policy number ": 14, "aged ": 5, "a ": 2, "the ": 4}
    said = text[start:]
    return start + next((n for words, n in cue.items() if said.startswith(words)), 0)


def recall(lines: list[str], screens: dict[str, dict[str, phi.Recognizer]]) -> list[dict]:
    rows = []
    for (kind, form), make in FORMS.items():
        texts = list(planted(lines, make, random.Random(f"{kind} {form}")))
        for screen, by in screens.items():
            hits = sum(
                covered(text, identifying(text, kind, start), end, phi.screen(text, by))
                for text, start, end in texts
            )
            low, high = stats.wilson(hits, COUNT)
            row = {"screen": screen, "what": "recall", "kind": kind, "form": form, "n": COUNT}
            rows.append(row | {"found": hits, "rate": hits / COUNT, "low": low, "high": high})
    return rows


def false_alarms(
    texts: dict[str, list[str]], screens: dict[str, dict[str, phi.Recognizer]]
) -> list[dict]:
    """Places found in clean texts; `n` is words and `rate` places for 10,000 of them."""
    rows = []
    for name, parts in texts.items():
        words = sum(len(part.split()) for part in parts)
        for screen, by in screens.items():
            kinds = [finding.kind for part in parts for finding in phi.screen(part, by)]
            counts = pd.Series(kinds, dtype=str).value_counts().to_dict()
            for kind, count in {"all": len(kinds), **counts}.items():
                row = {"screen": screen, "what": "false alarms", "kind": kind, "form": name}
                rows.append(row | {"n": words, "found": count, "rate": 1e4 * count / words})
    return rows


def main() -> None:
    visits = data.load_consultations("mini_consultations")
    lines = [turn.text for visit in visits for turn in visit.turns if len(turn.text.split()) > 3]
    screens = {name: {name: find} for name, find in phi.recognizers().items()}
    if len(screens) > 1:
        screens["both"] = phi.recognizers()
    clean = {
        "mini_consultations": [data.row_text(visit) for visit in visits],
        "the same, with speakers": [note_synthesis.transcript(visit) for visit in visits],
        "mini_articles": [data.row_text(row) for row in data.load_articles("mini_articles")],
    }
    if (data.root() / OPENSTAX).is_file():
        pages = data.load_articles(f"openstax_anatomy@{OPENSTAX}")
        clean["openstax_anatomy"] = [data.row_text(page) for page in pages]
    table = pd.DataFrame([*recall(lines, screens), *false_alarms(clean, screens)])
    table.round(4).to_csv((Path(__file__).with_name("results") / "phi_screen.csv"), index=False)
    print(table.round(3).to_string(index=False))
    if "presidio" not in screens:
        sys.exit("presidio-analyzer is not installed: only our own patterns were measured")


if __name__ == "__main__":
    main()
