"""Write the terms that `clinical_camel.grounding` knows: src/clinical_camel/grounding/terms.csv.

    python -m benchmarks.grounding_terms

Ten seconds. Each row has a term's kind, its meaning (the preferred name), and its source:

list      findings of the Human Phenotype Ontology that the GARD pages of MedQuAD list for two or
          more conditions and that other pages use in prose
brackets  pairs in MedQuAD such as "low blood sugar (hypoglycemia)" and "naproxen (Aleve)"
dose      the word before "20 mg" in the development notes of ACI-Bench and MTS-Dialog
ours      everyday words and shorthand, added by hand to the table after reading those development
          notes; these rows stay as they are
The published lists that go beyond these are in lexicons/ (benchmarks/grounding_lexicons.py).

Only the development half of MedQuAD's pages is read (`in_development`), and no consultation that
benchmarks/grounding.py evaluates. Needs data/public (docs/running.md). MedQuAD, ACI-Bench and
MTS-Dialog are CC BY 4.0; only single terms are taken.
"""

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.support.public_data import ACI_TRAIN, ACI_VALID, MEDQUAD, MTS_TRAIN

from clinical_camel import data

VISITS = (ACI_TRAIN, ACI_VALID, MTS_TRAIN)
TABLE = Path(__file__).parents[1] / "src/clinical_camel/grounding/terms.csv"
LISTED = "Approximate number of patients (when available)"

# Rejected after reading: not a finding, or only the last words of the bracketed expression.
NO_FINDING = re.compile(
    r"onset|inheritance|penetrance|mutation|progressive$|sporadic|heterogen|aspiration|lewy"
    r"|^(?:full|narrow|round|wide|triangular|pointed|high|short|split|prominent) |neoplasm|rigidity"
)
NO_NAME = re.compile(
    r"^(?:red blood cells|white blood cells|lens of the eye|whites of the eyes|set eyes"
    r"|same direction|heart rhythm|lymph nodes|liver and spleen|eyes and skin|skin or lips"
    r"|lower limbs|skull bones|bones of the spine|brain and spinal cord|fingers or toes"
    r"|(?:underside|certain|control|eye) .*"
    r"|.* in the (?:blood|eyes?)|blood and other tissues|released in .*|curves to .*|amount of .*"
    r"|buildup of fluid|new bone formation|not inherited|abnormally small|s normal rhythm"
    r"|.* have .*"
    r"|(?:movement|coordination|balance) and .*|muscle weakness|swelling|joint deformities|small"
    r"|muscle tone|large head|movements of .*|shaped .*|thinking .*|tensing .*|loss of fluids)$"
)
_REJECTED = """
    than from dose sulfate taking about cholesterol exercises were cypionate triglycerides take
    already total with being received acetate carbonate anesthetics bromide hydrochloride mesylate
    patches thyroid toxin vaccine aminobenzoate diseaseriluzole amphetamines
    hyperuricosuriaallopurinol galactosidase collagenase"""
NO_DRUG = set(_REJECTED.split())
LEADING = re.compile(
    r"^(?:the|an?|and|or|of|in|to|with|from|have|has|includes?|including|causes?|by|be|is|are|may"
    r"|also|some|their|his|develop|experience|for|severe|unusually|extreme|problems|that|called"
    r"|often|such as|excessive|abnormally|increased) "
)


def in_development(identifier: str) -> bool:
    """Whether a page is in the development half, by the hash of its name."""
    return int(hashlib.sha256(identifier.encode()).hexdigest()[:8], 16) % 2 == 0


def load_answers() -> list[str]:
    pages = data.load_articles(MEDQUAD)
    return [s.text for page in pages if in_development(page.id) for s in page.sections]


def load_notes() -> list[str]:
    visits = [visit for spec in VISITS for visit in data.load_consultations(spec)]
    return [v.note + "\n" + "\n".join(turn.text for turn in v.turns) for v in visits]


def count_listed(texts: list[str]) -> Counter:
    """Count the pages that list each finding."""
    counts: Counter = Counter()
    for text in texts:
        if LISTED in text:
            part = text.split(LISTED)[1].split("The Human Phenotype Ontology (HPO)")[0].lower()
            names = {name.strip() for name in re.split(r" -(?: |$)|\d+%|\d+/\d+", part)}
            counts.update(n for n in names if re.fullmatch(r"[a-z][a-z '-]+", n))
    return counts


def select_findings(texts: list[str], listed: Counter) -> Iterator[str]:
    """Yield the listed findings that other pages use in prose."""
    prose = "\n".join(
        f" {' '.join(re.findall('[a-z]+', t.lower()))} " for t in texts if LISTED not in t
    )
    for name, count in listed.items():
        is_finding = count >= 2 and len(name.split()) <= 3 and not NO_FINDING.search(name)
        if is_finding and prose.count(f" {name} ") >= 4:
            yield name


def find_bracketed(texts: list[str], listed: Counter) -> Iterator[tuple[str, str]]:
    """Yield (everyday words, finding) of brackets in at least three pages."""
    counts: Counter = Counter()
    for text in texts:
        pairs = re.findall(r"\b([a-z]+(?: [a-z]+){1,3}|[a-z]{6,}) \(([a-z]{5,})\)", text)
        for words, name in set(pairs):
            while LEADING.match(words):
                words = LEADING.sub("", words)
            if name in listed and words not in listed and not NO_NAME.search(words):
                counts[words, name] += 1
    return (pair for pair, count in counts.items() if count >= 3)


def find_brands(texts: list[str]) -> Iterator[tuple[str, str]]:
    """Yield (brand, drug): a capitalised name in brackets after one in lower case."""
    pattern = r"\b([a-z]{5,}) ?\(([A-Z][a-z]{3,})[®™]?(?:, [A-Z][a-z]+[®™]?)*\)"
    pairs = {pair for text in texts for pair in re.findall(pattern, text)}
    for drug, brand in sorted(pairs):
        if drug not in NO_DRUG:
            yield brand.lower(), drug


def find_dosed(texts: list[str]) -> set[str]:
    """Return the words before a dose."""
    pattern = r"\b([a-z]{4,}),? (?:at |of )?\d[\d.,/]* ?(?:mg|mcg|milligrams?|micrograms?)\b"
    return {word for text in texts for word in re.findall(pattern, text.lower())} - NO_DRUG


def read_ours() -> list[tuple[str, ...]]:
    """Return the rows of the table that were added by hand."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return [tuple(row) for row in csv.reader(file) if row[-1] == "ours"]


def main() -> None:
    pages, visits = load_answers(), load_notes()
    listed, brands = count_listed(pages), list(find_brands(pages))
    rows = read_ours()
    rows += [("finding", name, name, "list") for name in select_findings(pages, listed)]
    rows += [("finding", words, name, "brackets") for words, name in find_bracketed(pages, listed)]
    rows += [("medication", brand, drug, "brackets") for brand, drug in brands]
    rows += [("medication", drug, drug, "brackets") for _, drug in brands]
    rows += [("medication", word, word, "dose") for word in sorted(find_dosed(visits))]
    first: dict[tuple[str, str], tuple] = {}
    for row in rows:
        first.setdefault(row[:2], row)
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["kind", "term", "meaning", "source"])
        writer.writerows(sorted(first.values()))


if __name__ == "__main__":
    main()
