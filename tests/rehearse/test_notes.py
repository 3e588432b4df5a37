"""Notes rehearsed: batches timed, and a note for every consultation."""

import threading
from types import SimpleNamespace

import pytest

from clinical_camel import data, models, note_synthesis
from clinical_camel.rehearse import notes
from clinical_camel.rehearse.intervals import DRIFT
from clinical_camel.rehearse.notes import Timing
from clinical_camel.rehearse.record import Measured
from clinical_camel.rehearse.task import Task


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory):
    """The rehearsal of the notes of six visits, with batches of about two."""
    task = Task("04_note_synthesis", 0.0, str(tmp_path_factory.mktemp("run") / "measured.json"))
    task.measured = Measured("04_note_synthesis")
    settings = note_synthesis.NoteTask(
        adapters={"base": ""}, max_new_tokens=24, token_budget=1400, other_decodings=[]
    )
    corpora = {"mini_consultations": data.load_consultations("mini_consultations", 6)}
    llms = models.load("mini", {"base": ""})
    write_notes = notes.replace_notes(task, note_synthesis.write_notes)
    return task, write_notes(llms, corpora, settings, {}), llms["base"], settings, corpora


def test_every_batch_is_in_the_forecast(rehearsed):
    (part,) = rehearsed[0].measured.parts
    assert part.name == "notes by base, 8 of 24 tokens measured"
    assert (part.done, part.unit) == (2, "batches")  # the first and the last, without time as well
    assert part.total > 2
    assert part.high == pytest.approx((1 + notes.WIDER * DRIFT) * part.seconds)


def test_every_consultation_has_a_note(rehearsed):
    table, outputs = rehearsed[1]
    assert len(table) == len(outputs) == 6
    assert outputs["text"].str.len().gt(0).all()


def test_batches_are_those_of_the_generation(rehearsed, monkeypatch):
    _, _, llm, settings, corpora = rehearsed
    prompts = [
        prompt
        for row in corpora["mini_consultations"]
        for prompt in notes.plan_prompts(llm, "mini_consultations", row, settings, {})
    ]
    sizes = []
    generate = type(llm.model).generate

    def record(self, *arguments, input_ids, **options):
        sizes.append(len(input_ids))
        return generate(self, *arguments, input_ids=input_ids, **options)

    monkeypatch.setattr(type(llm.model), "generate", record)
    texts = [prompt.text for prompt in prompts]
    budget = {"token_budget": settings.token_budget, "seed": 0}
    list(models.generate(llm, texts, models.Decoding(24), **budget))
    planned = notes.plan_batches(llm, prompts, settings)
    assert [len(batch.prompts) for batch in planned] == sizes


def test_as_many_batches_are_measured_together_as_are_computed_at_once(rehearsed, monkeypatch):
    """With two threads and six batches, two; a batch of each group has its own thread.

    One, two, two and one: the first pair and the last batch are measured.
    """
    _, _, llm, settings, corpora = rehearsed
    monkeypatch.setattr(notes, "count_at_once", lambda batches, _: 2 if batches == 6 else 1)
    small = settings.model_copy(update={"token_budget": 64})  # a visit in each batch
    prompts = [
        prompt
        for row in corpora["mini_consultations"]
        for prompt in notes.plan_prompts(llm, "mini_consultations", row, small, {})
    ]
    threads, generate = [], type(llm.model).generate

    def record(self, *arguments, **options):
        threads.append(threading.get_ident())
        return generate(self, *arguments, **options)

    monkeypatch.setattr(type(llm.model), "generate", record)
    (part,), texts = notes._Measurement(llm, small).run(prompts, "base", seconds=60.0)
    assert (part.done, part.total, len(texts)) == (3, 6, 3)
    assert threading.get_ident() not in threads
    assert len(set(threads[-3:-1])) == 2  # the pair


def test_a_token_is_timed_without_the_prompts():
    """Two threads: the prompts take 40 s and 30 s, a token 2 s and 3 s, one of them once 9 s."""
    begun = [(0, 40, 42, 44, 53, 55), (0, 30, 33, 36, 39, 42)]
    assert notes.find_timing(57.0, begun, 6) == Timing(57 - 5 * 3, 3.0)
    assert notes.find_timing(57.0, begun, 24).ended == 5  # passes, although 23 were allowed
    assert notes.find_timing(40.0, [(0, 40)], 1) == Timing(40.0)
    assert notes.find_timing(40.0, [], 1) == Timing(40.0)


def test_the_passes_of_the_model_are_timed_and_the_hook_is_removed(rehearsed):
    llm = rehearsed[2]
    with notes.time_passes(llm) as begun:
        list(models.generate(llm, ["A visit."], models.Decoding(5), token_budget=64, seed=0))
    (times,) = begun.values()
    assert len(times) == 5
    assert times == sorted(times)
    list(models.generate(llm, ["A visit."], models.Decoding(5), token_budget=64, seed=0))
    assert len(times) == 5


def forecast(batches, at_once, first, last, new_tokens=101):
    """`batches`: (rows, width) of each."""
    batches = [notes.Batch(tuple([SimpleNamespace()] * n), width) for n, width in batches]
    groups = notes.join_batches(batches, at_once)
    return notes._forecast("notes", groups, groups[at_once > 1], new_tokens, first, last)


def test_many_short_prompts_take_less_time_than_a_few_long_ones_but_more_for_each_token():
    """Prompts of 4,000, 3,000 and 2,000 tokens take 40, 30 and 20 s; a token 0.1, 0.2 and 0.4 s."""
    batches = [(1, 4000), (2, 1500), (4, 500)]
    part = forecast(batches, 1, Timing(40.0, 0.1), Timing(20.0, 0.4))
    assert part.seconds == pytest.approx((40 + 10) + (30 + 20) + (20 + 40))
    assert part.high == pytest.approx((1 + notes.WIDER * DRIFT) * part.seconds)
    assert (part.done, part.total) == (2, 3)


def test_replies_that_end_early_are_not_counted_to_the_limit():
    part = forecast([(1, 4000), (4, 500)], 1, Timing(40.0, 0.1, 10), Timing(20.0, 0.1, 20))
    assert part.seconds == pytest.approx((40 + 2) + (20 + 2))


def test_batches_at_once_take_the_time_of_the_longest_of_their_group():
    """Eight rows alone, eight and six beside each other, then four and two."""
    batches = [(8, 100), (8, 100), (6, 100), (4, 100), (2, 100)]
    part = forecast(batches, 2, Timing(16.0), Timing(8.0))
    assert (part.done, part.total) == (4, 5)
    assert part.seconds == pytest.approx(16 + 16 + 8)
    planned = [notes.Batch((), 100)] * 4
    assert [len(group) for group in notes.join_batches(planned, 2)] == [1, 2, 1]


def test_with_one_group_all_take_its_time():
    part = forecast([(8, 100)], 1, Timing(10.0, 0.1), None)
    assert (part.seconds, part.low, part.high) == (20.0, 20 * (1 - DRIFT), 20 * (1 + DRIFT))
