"""The notes written: every raw output kept, then put together into one note a consultation."""

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import pandas as pd
from tqdm import tqdm

from clinical_camel import data, grounding, models
from clinical_camel.data import Consultation
from clinical_camel.models import LLM
from clinical_camel.note_synthesis.decodings import Decoding
from clinical_camel.note_synthesis.fitting import fit, render
from clinical_camel.note_synthesis.prompts import Request, Visits, choose_example, said
from clinical_camel.note_synthesis.structure import parse_note, status


@dataclass(frozen=True, slots=True)
class Job:
    """One prompt: a part of a consultation (`window`, from 0) and the headings asked for."""

    corpus: str
    visit: Consultation
    windows: int
    window: int
    part: Consultation
    asked: tuple[str, ...]
    prompt: str

    @property
    def name(self) -> str:
        """What tells the outputs of one model apart."""
        return f"{self.corpus}/{self.visit.id}/{self.window}/{','.join(self.asked)}"


def write_notes(
    llms: Mapping[str, LLM],
    visits: Visits,
    request: Request,
    decoding: Decoding,
    *,
    max_new_tokens: int,
    token_budget: int,
    seed: int,
    journal,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The notes, one row a model and consultation, and the raw outputs they were made from.

    notes: corpus, model, id, encounter, content_hash, asked (headings, by "; "), status, turns,
    kept_turns, windows, note. raw: corpus, model, id, window, asked, ended, text.
    A transcript that leaves no room for the note becomes what `request.too_long` says. Every output
    goes to `journal` as it comes, and what is there is not written again; what is drawn for a
    prompt depends on the seed and the prompt alone.
    """
    notes, raw = [], []
    for name, llm in llms.items():
        planned = [
            (corpus, visit, jobs_of(llm, corpus, visit, request, max_new_tokens))
            for corpus, rows in visits.items()
            for visit in rows
        ]
        jobs = [job for _, _, each in planned for job in each]
        _write(name, llm, jobs, decoding, max_new_tokens, token_budget, seed, journal)
        for corpus, visit, each in planned:
            done = [(job, journal.done[f"{name}/{job.name}"]) for job in each]
            raw += [_output(name, job, output) for job, output in done]
            notes.append(_note(name, corpus, visit, request, done))
    columns = ["corpus", "model", "id", "window", "asked", "ended", "text"]
    return pd.DataFrame(notes), pd.DataFrame(raw, columns=columns)


def jobs_of(
    llm: LLM, corpus: str, visit: Consultation, request: Request, max_new_tokens: int
) -> list[Job]:
    """The prompts that one note takes: of each window, the whole or each of its sections."""
    asked = request.asked(visit)
    pool = request.examples.get(corpus)
    example = choose_example(pool, asked) if pool else None
    room = llm.max_length - max_new_tokens
    parts = fit(llm, visit, asked, room, request.too_long, request.prompt, example)
    units = [asked] if request.unit == "note" else [[name] for name in asked]
    return [
        Job(
            corpus, visit, len(parts), i, part, tuple(unit),
            render(llm, part, unit, request.prompt, example),
        )
        for i, part in enumerate(parts)
        for unit in units
    ]  # fmt: skip


def _write(name, llm, jobs, decoding, max_new_tokens, token_budget, seed, journal) -> None:
    skip = {k for k, job in enumerate(jobs) if f"{name}/{job.name}" in journal.done}
    written = models.generate(
        llm,
        [job.prompt for job in jobs],
        max_new_tokens=max_new_tokens,
        token_budget=token_budget,
        seed=seed,
        skip=skip,
        **asdict(decoding),
    )
    bar = {"total": len(jobs), "initial": len(skip), "desc": f"notes by {name}", "unit": "note"}
    for index, text, ended in tqdm(written, file=sys.stdout, **bar):
        journal.append(f"{name}/{jobs[index].name}", {"note": text, "ended": ended})


def _output(model: str, job: Job, done: Mapping) -> dict:
    return {
        "corpus": job.corpus,
        "model": model,
        "id": job.visit.id,
        "window": job.window,
        "asked": "; ".join(job.asked),
        "ended": done["ended"],
        "text": done["note"],
    }


def _note(
    model: str, corpus: str, visit: Consultation, request: Request, done: list[tuple[Job, Mapping]]
) -> dict:
    asked, texts = request.asked(visit), [output["note"] for _, output in done]
    whole = request.unit == "note" and len(done) == 1
    note = (
        texts[0]
        if whole
        else assemble([(j.asked, t) for (j, _), t in zip(done, texts, strict=True)], asked)
    )
    ended = all(output["ended"] for _, output in done)
    windows = done[0][0].windows if done else 0
    kept = len(visit.turns) if windows > 1 else sum(len(j.part.turns) for j, _ in done[:1])
    return {
        "corpus": corpus,
        "model": model,
        "id": visit.id,
        "encounter": encounter(visit),
        "content_hash": data.content_hash(visit),
        "asked": "; ".join(asked),
        "status": _status(note, texts, ended, asked),
        "turns": len(visit.turns),
        "kept_turns": kept,
        "windows": windows,
        "note": note,
    }


def _status(note: str, texts: Sequence[str], ended: bool, asked: Sequence[str]) -> str:
    """The status of a note, or of the output it was made from that is no note at all."""
    broken = [status(text, True, asked) for text in texts]
    first = [each for each in broken if each in ("looping", "dialogue")]
    return (first or [status(note if texts else None, ended, asked)])[0]


def assemble(outputs: Sequence[tuple[Sequence[str], str]], asked: Sequence[str]) -> str:
    """One note from (headings asked for, text written) of each section or window, in order.

    No model merges them, so nothing new comes in: the sections are joined in the order asked for,
    and a sentence that stands there already is left out. A section without text is missing. What
    was written for one section alone gets its heading from us; other text without one keeps none.

    >>> print(assemble([(["Plan"], "Plan: Rest."), (["Plan"], "Rest. Fluids.")], ["Plan"]))
    Plan:
    Rest. Fluids.
    """
    bodies: dict[str, list[str]] = {name: [] for name in ("", *asked)}
    for unit, text in outputs:
        parsed = parse_note(text, asked)
        if len(unit) == 1 and unit[0] not in parsed:
            parsed = {unit[0]: text}
        for name, body in parsed.items():
            heading = name or (unit[0] if len(unit) == 1 else "")
            bodies.setdefault(heading, []).append(body)
    joined = {name: _joined(texts) for name, texts in bodies.items()}
    parts = [f"{name}:\n{body}" if name else body for name, body in joined.items() if body]
    return "\n\n".join(parts)


def _joined(texts: Sequence[str]) -> str:
    sentences = [s for text in texts for s in grounding.split_sentences(text)]
    first = {sentence.casefold(): sentence for sentence in reversed(sentences)}
    return " ".join(first[s] for s in dict.fromkeys(s.casefold() for s in sentences))


def encounter(visit: Consultation) -> str:
    """A name for what was said: rows with the same transcript are one encounter."""
    return hashlib.sha256(said(visit).encode()).hexdigest()[:12]
