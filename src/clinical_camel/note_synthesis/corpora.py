"""The consultations of each corpus, and the one-shot exemplars."""

import hashlib
from collections.abc import Mapping, Sequence

from clinical_camel import data
from clinical_camel.data import Consultation
from clinical_camel.note_synthesis import structure
from clinical_camel.note_synthesis.prompts import format_transcript

Corpora = Mapping[str, Sequence[Consultation]]  # consultations by the name of their corpus


def name_corpus(spec: str) -> str:
    """Return the short name of a dataset spec; the splits of one dataset have different names.

    >>> name_corpus("aci_bench@data/public/aci_bench_valid.jsonl"), name_corpus("aci_bench")
    ('aci_bench_valid', 'aci_bench')
    """
    return data.label(spec.rpartition("@")[2])


def load_corpora(specs: Sequence[str], limit: int = 0) -> dict[str, list[Consultation]]:
    """Load the consultations of each spec (`limit` of each; 0 means all).

    Raises ValueError if there is no consultation at all.
    """
    corpora = {name_corpus(spec): data.load_consultations(spec, limit) for spec in specs}
    if not any(corpora.values()):
        raise ValueError("consultations: no file contains a consultation; name one that does")
    return corpora


def load_exemplars(specs: Mapping[str, str], corpora: Corpora) -> dict[str, list[Consultation]]:
    """Load the training consultations from which the one-shot exemplar of each corpus is chosen.

    Raises ValueError if an exemplar has the same transcript as a consultation in `corpora`.
    """
    exemplars = {name: data.load_training_consultations(spec) for name, spec in specs.items()}
    used = {hash_encounter(row) for rows in exemplars.values() for row in rows}
    for name, rows in corpora.items():
        for row in rows:
            if hash_encounter(row) in used:
                raise ValueError(
                    f"note_exemplars: {name} {row.id} is also an exemplar; remove it from one file"
                )
    return exemplars


def choose_exemplar(pool: Sequence[Consultation], headings: Sequence[str]) -> Consultation:
    """Return the exemplar that shares most headings and is rather short.

    Among those that share most headings, it is the one at the lower quartile of length. The
    shortest notes of MTS-Dialog are a single word, and a long exemplar fills the context.
    """
    requested = {name.casefold() for name in headings}

    def count_shared(row: Consultation) -> int:
        return len(requested & {name.casefold() for name in structure.list_headings(row.note)})

    most = max(map(count_shared, pool))
    candidates = [row for row in pool if count_shared(row) == most]
    candidates.sort(key=lambda row: (len(format_transcript(row)) + len(row.note), row.id))
    return candidates[len(candidates) // 4]


def hash_encounter(consultation: Consultation) -> str:
    """Return an id of the transcript; rows with the same transcript are one encounter."""
    return hashlib.sha256(normalise_transcript(consultation).encode()).hexdigest()[:12]


def normalise_transcript(consultation: Consultation) -> str:
    """Return the words of all turns in lower case, without speakers."""
    return " ".join(" ".join(turn.text for turn in consultation.turns).casefold().split())
