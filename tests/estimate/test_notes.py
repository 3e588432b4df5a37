"""Prompts and tokens of notes before a run are those of the run."""

import pytest

from clinical_camel import models
from clinical_camel.estimate import notes
from clinical_camel.estimate.notes import count_notes
from clinical_camel.runner.jobs import load_job


def test_a_sample_of_the_consultations_gives_nearly_the_tokens_of_all(monkeypatch):
    tokenizer = models.load_tokenizer("mini")
    task = load_job("mini_camel", "04_note_synthesis").settings
    complete = count_notes(task, tokenizer, 4096)
    monkeypatch.setattr(notes, "CONSULTATIONS", 7)
    sampled = count_notes(task, tokenizer, 4096)
    assert sampled.rows == complete.rows == 28
    assert sampled.longest_row == complete.longest_row
    assert sampled.generated_tokens == complete.generated_tokens
    assert sampled.forward_tokens == pytest.approx(complete.forward_tokens, rel=0.05)
    assert sampled.forward_tokens >= complete.forward_tokens


def test_windows_sections_and_other_decodings_add_prompts():
    tokenizer = models.load_tokenizer("mini")
    settings = load_job("mini_camel", "04_note_synthesis").settings

    def count(context=4096, **changed):
        task = settings.model_copy(update={"other_decodings": []} | changed)
        return count_notes(task, tokenizer, context)

    plain = count()
    served = count(server="http://127.0.0.1:8000/v1")
    assert (served.forward_tokens, served.decode_steps) == (
        plain.forward_tokens,
        plain.decode_steps,
    )
    assert served.estimates[-1].startswith("http://127.0.0.1:8000/v1: its memory is not counted")
    assert plain.decode_steps % 256 == 0
    assert not plain.unknown
    assert count(other_decodings=["greedy"]).forward_tokens == 2 * plain.forward_tokens
    sections = count(unit="section")
    assert sections.forward_tokens == 4 * plain.forward_tokens
    assert sections.rows == plain.rows == 28
    assert count(256 + 100).forward_tokens == 0
    assert count(256 + 100, too_long="windows").forward_tokens > plain.forward_tokens
