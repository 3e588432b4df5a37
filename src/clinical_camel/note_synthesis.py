"""Step 04: a consultation becomes a sectioned clinical note.

The note format is plain text: each section is its heading on a line of its own, closed by a colon,
then its text; sections are parted by an empty line. Prompt and parser stand together because they
change together.
"""

import re
import sys
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from rouge_score.rouge_scorer import RougeScorer
from tqdm import tqdm

from clinical_camel import data, models, stats
from clinical_camel.data import Consultation, Message
from clinical_camel.models import LLM

SECTIONS = ("Subjective", "Objective", "Assessment", "Plan")
PROMPT = "Write a clinical note of this consultation. Sections: {sections}.\n\n{transcript}"


def transcript(consultation: Consultation) -> str:
    """The turns as lines of "Speaker: text"."""
    return "\n".join(f"{turn.speaker.capitalize()}: {turn.text}" for turn in consultation.turns)


def build_messages(consultation: Consultation, sections: Sequence[str] = SECTIONS) -> list[Message]:
    """The one user turn that asks for the note."""
    content = PROMPT.format(sections=", ".join(sections), transcript=transcript(consultation))
    return [{"role": "user", "content": content}]


def parse_note(text: str) -> dict[str, str]:
    """The sections of a note by heading, in order; text before the first heading under "".

    >>> parse_note("Subjective:\\nCough.\\n\\nPlan: Rest.")
    {'Subjective': 'Cough.', 'Plan': 'Rest.'}
    """
    sections: dict[str, str] = {}
    heading = ""
    for line in text.strip().splitlines():
        match = re.match(r"^\s*([A-Z][A-Za-z /&]{2,40}):\s*(.*)$", line)
        if match:
            heading, line = match[1].strip(), match[2]
            sections.setdefault(heading, "")
        if line.strip() or heading in sections:
            sections[heading] = f"{sections.get(heading, '')}\n{line.strip()}".strip()
    return sections


TOO_LONG = ("skip", "truncate")
STATUSES = ("ok", "unfinished", "no sections", "empty", "too long")


def plan(too_long: str, sections: Sequence[str], consultations: Sequence[Consultation]) -> None:
    """Refuses, before a model is loaded, what could not be run. ValueError names the parameter."""
    if too_long not in TOO_LONG:
        raise ValueError(f"too_long: {too_long!r} is not one of {', '.join(TOO_LONG)}")
    if not sections:
        raise ValueError("sections: name at least one section of the note")
    if not consultations:
        raise ValueError("consultations: nothing to write a note about")


def write_notes(
    llms: Mapping[str, LLM],
    consultations: Sequence[Consultation],
    sections: Sequence[str],
    *,
    max_new_tokens: int,
    too_long: str,
    temperature: float,
    top_p: float,
    top_k: int,
    repetition_penalty: float,
    token_budget: int,
    seed: int,
    journal,
) -> pd.DataFrame:
    """One row a model and consultation: model, id, content_hash, status, turns, kept_turns, note.

    A transcript that leaves no room for the note in the model's context is counted as "too long",
    or, with `too_long="truncate"`, loses turns from its start; `kept_turns` says how many were
    read. Every note goes to `journal` as it comes.
    """
    rows = []
    for name, llm in llms.items():
        fitted = {
            c.id: fit(llm, c, sections, llm.max_length - max_new_tokens, too_long)
            for c in consultations
        }
        asked = [c.id for c in consultations if fitted[c.id]]
        prompts = [
            models.render_chat(llm.tokenizer, build_messages(fitted[i], sections)) for i in asked
        ]
        skip = {k for k, i in enumerate(asked) if f"{name}/{i}" in journal.done}
        written = models.generate(
            llm,
            prompts,
            max_new_tokens=max_new_tokens,
            token_budget=token_budget,
            seed=seed,
            skip=skip,
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
            repetition_penalty=repetition_penalty,
        )
        for index, text, ended in tqdm(
            written,
            total=len(asked),
            initial=len(skip),
            desc=f"notes by {name}",
            unit="note",
            file=sys.stdout,
        ):
            journal.append(f"{name}/{asked[index]}", {"note": text, "ended": ended})
        for c in consultations:
            kept = fitted[c.id]
            done = journal.done.get(f"{name}/{c.id}", {"note": "", "ended": True}) if kept else None
            rows.append(
                {
                    "model": name,
                    "id": c.id,
                    "content_hash": data.content_hash(c),
                    "status": status(done, sections),
                    "turns": len(c.turns),
                    "kept_turns": len(kept.turns) if kept else 0,
                    "note": done["note"] if done else "",
                }
            )
    return pd.DataFrame(rows)


def fit(
    llm: LLM, consultation: Consultation, sections: Sequence[str], room: int, too_long: str
) -> Consultation | None:
    """The consultation if its prompt has at most `room` tokens, else its last turns, or nothing."""

    def tokens(turns) -> int:
        shorter = Consultation(id=consultation.id, turns=turns, note=consultation.note)
        prompt = models.render_chat(llm.tokenizer, build_messages(shorter, sections))
        return len(models.encode(llm.tokenizer, prompt))

    turns = list(consultation.turns)
    if too_long == "skip":
        return consultation if tokens(turns) <= room else None
    low, high = 0, len(turns)  # the fewest turns to leave out, by bisection
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if tokens(turns[middle:]) <= room else (middle + 1, high)
    kept = turns[low:]
    return Consultation(id=consultation.id, turns=kept, note=consultation.note) if kept else None


def status(done: Mapping | None, sections: Sequence[str]) -> str:
    """Which of STATUSES a written note has; the broken ones are counted apart from the scores."""
    if done is None:
        return "too long"
    if not done["note"].strip():
        return "empty"
    if not set(parse_note(done["note"])) & set(sections):
        return "no sections"
    return "ok" if done["ended"] else "unfinished"


def lead_copies(consultations: Sequence[Consultation]) -> pd.DataFrame:
    """The baseline: the start of the transcript, as many words as the reference note has."""
    return pd.DataFrame(
        {
            "model": "lead copy",
            "id": c.id,
            "content_hash": data.content_hash(c),
            "status": "ok",
            "turns": len(c.turns),
            "kept_turns": len(c.turns),
            "note": " ".join(" ".join(t.text for t in c.turns).split()[: len(c.note.split())]),
        }
        for c in consultations
    )


ROUGE = ("rouge1", "rouge2", "rougeL")


def score_notes(
    notes: pd.DataFrame, consultations: Sequence[Consultation], sections: Sequence[str]
) -> pd.DataFrame:
    """ROUGE F1 (rouge-score, with stemming) and sections present, for each note against its own.

    Columns: model, id, status, truncated (the transcript lost turns), rouge1, rouge2, rougeL (0 to
    1), sections_present (0 to 1), words.
    A note that is empty or too long has no ROUGE, not a zero.
    """
    references = {c.id: c.note for c in consultations}
    scorer = RougeScorer(list(ROUGE), use_stemmer=True)
    rows = []
    for row in notes.itertuples():
        scores = dict.fromkeys(ROUGE, float("nan"))
        if row.note.strip():
            found = scorer.score(references[row.id], row.note)
            scores = {name: found[name].fmeasure for name in ROUGE}
        present = set(parse_note(row.note)) & set(sections)
        rows.append(
            {
                "model": row.model,
                "id": row.id,
                "status": row.status,
                "truncated": 0 < row.kept_turns < row.turns,
                **scores,
                "sections_present": len(present) / len(sections),
                "words": len(row.note.split()),
            }
        )
    return pd.DataFrame(rows)


def summarise(scored: pd.DataFrame, seed: int) -> pd.DataFrame:
    """A row a model: n notes scored, each status and the truncated transcripts counted, mean ROUGE.

    ROUGE has its 95 % bootstrap interval over consultations.
    """
    rows = []
    for model, group in scored.groupby("model", sort=False):
        row = {"model": model, "n": int(group["rouge1"].notna().sum())}
        row |= {name: int((group["status"] == name).sum()) for name in STATUSES}
        row["truncated"] = int(group["truncated"].sum())
        for name in ROUGE:
            values = group[name].dropna().to_numpy()
            mean, low, high = (
                stats.paired_bootstrap(values, np.zeros_like(values), seed)
                if len(values)
                else (float("nan"),) * 3
            )
            row |= {name: mean, f"{name}_low": low, f"{name}_high": high}
        row["sections_present"] = group["sections_present"].mean()
        rows.append(row)
    return pd.DataFrame(rows)


def missing_sections(notes: pd.DataFrame, sections: Sequence[str]) -> pd.DataFrame:
    """How many notes of each model lack each section."""
    rows = []
    for model, group in notes.groupby("model", sort=False):
        parsed = [parse_note(text) for text in group["note"]]
        rows.append(
            {"model": model, "notes": len(group)}
            | {name: sum(name not in note for note in parsed) for name in sections}
        )
    return pd.DataFrame(rows)


def plot_rouge(summary: pd.DataFrame) -> Figure:
    """Mean ROUGE F1 of each model with its interval."""
    figure, axes = plt.subplots(figsize=(7, 3.2))
    for k, row in enumerate(summary.itertuples()):
        means = [getattr(row, name) for name in ROUGE]
        spread = [
            [m - getattr(row, f"{name}_low") for m, name in zip(means, ROUGE, strict=True)],
            [getattr(row, f"{name}_high") - m for m, name in zip(means, ROUGE, strict=True)],
        ]
        places = [i + 0.15 * (k - (len(summary) - 1) / 2) for i in range(len(ROUGE))]
        axes.errorbar(places, means, yerr=spread, fmt="os^Dv"[k % 5], capsize=3, label=row.model)
    axes.set_xticks(range(len(ROUGE)), ["ROUGE-1", "ROUGE-2", "ROUGE-L"])
    axes.set(ylabel="F1 against the reference note", ylim=(0, 1), xlim=(-0.5, len(ROUGE) - 0.5))
    axes.legend(fontsize=8)
    sns.despine(figure)
    return figure


def beside(consultation: Consultation, notes: Mapping[str, str]) -> str:
    """A transcript, its reference note and the written ones, one below the other, as plain text."""
    parts = {"transcript": transcript(consultation), "reference note": consultation.note} | notes
    return "\n\n".join(f"--- {name} ---\n{text or '(nothing)'}" for name, text in parts.items())
