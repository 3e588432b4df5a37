"""Write notes: every raw output is saved, then merged into one note per consultation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from clinical_camel import data, grounding, models
from clinical_camel.data import Consultation
from clinical_camel.models import LLM
from clinical_camel.note_synthesis import server
from clinical_camel.note_synthesis.corpora import Corpora, choose_exemplar, hash_encounter
from clinical_camel.note_synthesis.fitting import fit_transcript, render_prompt
from clinical_camel.note_synthesis.plain_text import to_plain_note
from clinical_camel.note_synthesis.prompts import PROMPTS
from clinical_camel.note_synthesis.settings import NoteTask
from clinical_camel.note_synthesis.structure import classify_output, parse_note

NOTE_COLUMNS = (
    *("corpus", "model", "id", "encounter", "content_hash", "headings", "status"),
    *("turns", "included_turns", "windows", "note"),
)
OUTPUT_COLUMNS = ("corpus", "model", "id", "window", "headings", "ended", "text")


@dataclass(frozen=True, slots=True)
class NotePrompt:
    """One prompt: a window of a transcript (counted from 0) and the requested headings."""

    corpus: str
    consultation: Consultation
    headings: tuple[str, ...]
    window: int
    windows: int
    turns: int  # in this window
    text: str

    @property
    def id(self) -> str:
        """Unique among the prompts of one model."""
        return f"{self.corpus}/{self.consultation.id}/{self.window}/{','.join(self.headings)}"


def load_llms(task: NoteTask) -> dict[str, LLM]:
    """Return an LLM for each entry of `adapters`; with `task.server`, its weights are there.

    Raises ModelError as `models.load` or `server.connect`, or if `max_new_tokens` leaves no room
    for a prompt.
    """
    options = (task.model, task.adapters, task.quantize, task.chat_template, task.compute_dtype)
    llms = server.connect(task) if task.server else models.load(*options)
    models.require_room(next(iter(llms.values())), task.max_new_tokens)
    return llms


def write_notes(
    llms: Mapping[str, LLM],
    corpora: Corpora,
    task: NoteTask,
    exemplars: Corpora | None = None,
    *,
    journal,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the notes (one row per model and consultation) and the raw outputs behind them.

    notes: NOTE_COLUMNS; `headings` are the requested ones, joined by "; ", and `included_turns` the
    turns that reached the model. outputs: OUTPUT_COLUMNS; `ended` is whether the model stopped with
    EOS. `exemplars`: training consultations by corpus; one of them becomes the one-shot example.

    Each output is saved to `journal` at once; outputs in the journal are not generated again. A
    sample depends on the seed and the prompt alone. With `task.server`, the server generates.
    Raises ModelError as `models.generate` or `server.generate_to_journal`.
    """
    notes, outputs = [], []
    for name, llm in llms.items():
        plans = [
            (corpus, row, plan_prompts(llm, corpus, row, task, exemplars))
            for corpus, rows in corpora.items()
            for row in rows
        ]
        texts = {f"{name}/{p.id}": p.text for _, _, prompts in plans for p in prompts}
        bar = {"description": f"notes by {name}", "unit": "note"}
        if task.server:
            server.generate_to_journal(llm, texts, task, journal, **bar)
        else:
            compiled = task.compile_generation
            models.generate_to_journal(llm, texts, task, journal, compiled=compiled, **bar)
        for corpus, row, prompts in plans:
            done = [(prompt, journal.done[f"{name}/{prompt.id}"]) for prompt in prompts]
            shared = {"corpus": corpus, "model": name, **describe_consultation(row, task)}
            notes.append(shared | _merge_note(row, done, task))
            for prompt, output in done:
                unit = {"window": prompt.window, "headings": "; ".join(prompt.headings)}
                outputs.append(shared | unit | output)
    return (
        pd.DataFrame(notes, columns=NOTE_COLUMNS),
        pd.DataFrame(outputs, columns=OUTPUT_COLUMNS),
    )


def make_journal_key(
    llms: Mapping[str, LLM], corpora: Corpora, task: NoteTask, exemplars: Corpora
) -> dict:
    """Return everything that determines the outputs of `write_notes`.

    Of a server that is its version, in the source of each model, and not its address.
    """
    return {
        "models": {name: llm.source for name, llm in llms.items()},
        "task": task.model_dump(exclude={"study", "other_decodings", "server"}),
        "wording": PROMPTS[task.prompt],
        "corpora": corpora,
        "exemplars": exemplars,
    }


def plan_prompts(
    llm: LLM, corpus: str, consultation: Consultation, task: NoteTask, exemplars: Corpora | None
) -> list[NotePrompt]:
    """Return the prompts of one note: per window, one for the note or one for each section."""
    headings = task.list_headings(consultation)
    pool = (exemplars or {}).get(corpus)
    exemplar = choose_exemplar(pool, headings) if pool else None
    parts = fit_transcript(llm, consultation, headings, task, exemplar)
    units = [headings] if task.unit == "note" else [[name] for name in headings]
    return [
        NotePrompt(
            corpus,
            consultation,
            tuple(unit),
            window,
            len(parts),
            len(part.turns),
            render_prompt(llm, part, unit, task.prompt, exemplar),
        )
        for window, part in enumerate(parts)
        for unit in units
    ]


def describe_consultation(consultation: Consultation, task: NoteTask) -> dict:
    """Return the columns of a note that its consultation and the task determine."""
    return {
        "id": consultation.id,
        "encounter": hash_encounter(consultation),
        "content_hash": data.content_hash(consultation),
        "headings": "; ".join(task.list_headings(consultation)),
        "turns": len(consultation.turns),
    }


def _merge_note(
    consultation: Consultation, done: Sequence[tuple[NotePrompt, Mapping]], task: NoteTask
) -> dict:
    headings = task.list_headings(consultation)
    texts = [to_plain_note(output["text"], headings) for _, output in done]
    if task.unit == "note" and len(done) == 1:
        note = texts[0]
    else:
        requested = [prompt.headings for prompt, _ in done]
        note = merge_outputs(list(zip(requested, texts, strict=True)), headings)
    windows = done[0][0].windows if done else 0
    turns = sum(prompt.turns for prompt, _ in done[:1])
    return {
        "status": _classify(note, texts, all(output["ended"] for _, output in done), headings),
        "included_turns": len(consultation.turns) if windows > 1 else turns,
        "windows": windows,
        "note": note,
    }


def _classify(note: str, texts: Sequence[str], ended: bool, headings: Sequence[str]) -> str:
    """Return the status of a note; one looping or dialogue output gives its status to the note."""
    statuses = (classify_output(text, True, headings) for text in texts)
    broken = [status for status in statuses if status in ("looping", "dialogue")]
    return (broken or [classify_output(note if texts else None, ended, headings)])[0]


def merge_outputs(outputs: Sequence[tuple[Sequence[str], str]], headings: Sequence[str]) -> str:
    """Merge (requested headings, text) of each section or window into one note, in order.

    No model merges them, so nothing new is added. Sections follow `headings`, and repeated
    sentences are dropped. A section without text is missing. Text written for a single section gets
    the heading of that section; other text without a heading stays without one.

    >>> print(merge_outputs([(["Plan"], "Plan: Rest."), (["Plan"], "Rest. Fluids.")], ["Plan"]))
    Plan:
    Rest. Fluids.
    """
    bodies: dict[str, list[str]] = {name: [] for name in ("", *headings)}
    for requested, text in outputs:
        sections = parse_note(text, headings)
        if len(requested) == 1 and requested[0] not in sections:
            sections = {requested[0]: text}
        for name, body in sections.items():
            heading = name or (requested[0] if len(requested) == 1 else "")
            bodies.setdefault(heading, []).append(body)
    merged = {name: _join_sentences(texts) for name, texts in bodies.items()}
    parts = [f"{name}:\n{body}" if name else body for name, body in merged.items() if body]
    return "\n\n".join(parts)


def _join_sentences(texts: Sequence[str]) -> str:
    """Join the sentences of all texts and drop repeats; case does not count."""
    first: dict[str, str] = {}
    for sentence in (s for text in texts for s in grounding.split_sentences(text)):
        first.setdefault(sentence.casefold(), sentence)
    return " ".join(first.values())
