"""Batches at once: the same numbers, each once, also after a batch that ran out of memory."""

import threading
import time

import pytest
import torch
from tests.models.test_scoring import make_pairs

from clinical_camel import models
from clinical_camel.models import workers

CPU = torch.device("cpu")
ROWS = [[i] * (20 - i) for i in range(20)]


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def run(compute, skip=(), budget=40, device=CPU):
    """The first numbers of the rows of each batch."""
    return [*workers.compute_batches(ROWS, 0, budget, compute, lambda r: r[0] in skip, device)]


def firsts(batch):
    return [row[0] for row in batch]


@pytest.mark.usefixtures("two_threads")
def test_threads_compute_every_row_once_and_in_order():
    threads = set()

    def compute(batch):
        threads.add((threading.get_ident(), torch.get_num_threads()))
        time.sleep(0.01)
        return firsts(batch)

    results = run(compute)
    assert [number for batch in results for number in batch] == [*range(20)]
    assert len({name for name, _ in threads}) == 2
    assert {count for _, count in threads} == {1}
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_the_first_batch_is_alone():
    active, most = [], []

    def compute(batch):
        active.append(batch)
        time.sleep(0.01)
        most.append((batch[0][0], len(active)))
        active.remove(batch)
        return firsts(batch)

    run(compute)
    assert most[0] == (0, 1)
    assert max(count for _, count in most) == 2


@pytest.mark.usefixtures("two_threads")
def test_a_result_is_yielded_while_the_next_batch_is_computed():
    received = threading.Event()

    def compute(batch):
        return firsts(batch), batch[0][0] != 2 or received.wait(5)

    for batch, is_in_time in workers.compute_batches(ROWS, 0, 1, compute, lambda row: False, CPU):
        assert is_in_time
        if batch == [1]:  # computed together with 2
            received.set()


@pytest.mark.usefixtures("two_threads")
def test_results_before_a_batch_that_fails_are_yielded():
    def compute(batch):
        if batch[0][0] == 2:
            raise RuntimeError("NaN")
        return firsts(batch)

    results = []
    with pytest.raises(RuntimeError, match="NaN"):
        results.extend(workers.compute_batches(ROWS, 0, 1, compute, lambda row: False, CPU))
    assert results == [[0], [1]]


@pytest.mark.usefixtures("two_threads")
def test_after_out_of_memory_no_other_batch_is_still_computed():
    failed, active, together = [], [], []

    def compute(batch):
        if batch[0][0] == 1 and not failed:
            failed.append(batch)
            raise MemoryError
        active.append(batch)
        time.sleep(0.05)
        together.append(len(active))
        active.remove(batch)
        return firsts(batch)

    assert [number for batch in run(compute, budget=1) for number in batch] == [*range(20)]
    assert max(together) == 1


@pytest.mark.parametrize("threads", [1, 2])
def test_a_batch_of_done_rows_is_not_computed(two_threads, threads):
    torch.set_num_threads(threads)
    everything, computed = run(firsts), []
    rest = run(lambda batch: computed.append(batch) or firsts(batch), skip=everything[1])
    assert rest == [everything[0], *everything[2:]]
    assert len(computed) == len(rest)


@pytest.mark.usefixtures("two_threads")
def test_out_of_memory_first_ends_computing_at_once_then_halves(caplog):
    sizes = []

    def compute(batch):
        sizes.append(len(batch))
        if len(batch) > 2:
            raise MemoryError
        return firsts(batch)

    assert [number for batch in run(compute) for number in batch] == [*range(20)]
    assert "out of memory with 2 batches at once: continuing with one" in caplog.text
    assert "out of memory with 3 rows: continuing with token_budget" in caplog.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", True),
        ("CUDA error: out of memory\nCUDA kernel errors might be reported later", True),
        ("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes", True),
        ("CUDA error: an illegal memory access was encountered", False),
    ],
)
def test_errors_of_libraries_without_memory_are_recognized(text, expected):
    assert workers.is_out_of_memory(RuntimeError(text)) == expected


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("error", [RuntimeError("shapes"), MemoryError("one row")])
def test_other_errors_and_a_single_row_that_does_not_fit_end_the_run(error):
    def fail(batch):
        if batch[0][0] > 5:
            raise error
        return firsts(batch)

    with pytest.raises(type(error), match=str(error)):
        run(fail, budget=1)
    assert torch.get_num_threads() == 2


def test_a_gpu_and_few_batches_have_one_worker(two_threads):
    assert workers.count_at_once(3, CPU) == 1
    assert workers.count_at_once(4, CPU) == 2
    assert workers.count_at_once(100, torch.device("cuda")) == 1
    assert workers.count_at_once(100, None) == 1


@pytest.mark.usefixtures("two_threads")
def test_scores_and_texts_are_those_of_one_worker(llm, monkeypatch):
    pairs = make_pairs(llm, names=[f"condition {i}" for i in range(8)])
    prompts = [f"What treats condition {i}?" for i in range(8)]
    decoding = models.Decoding(5, temperature=1.0)

    def compute_all():
        llm.counts.clear()
        scores = dict(models.score_pairs(llm, pairs, 80))
        texts = {i: text for i, text, _ in models.generate(llm, prompts, decoding, **budget)}
        return scores, texts, dict(llm.counts)

    budget = {"token_budget": 40, "seed": 0}
    at_once = compute_all()
    monkeypatch.setattr(workers, "count_at_once", lambda *_: 1)
    scores, texts, counts = compute_all()
    assert at_once[0] == pytest.approx(scores, abs=1e-4)
    assert at_once[1:] == (texts, counts)


@pytest.mark.usefixtures("two_threads")
def test_a_model_is_usable_between_two_scores(llm):
    pairs = make_pairs(llm, names=[f"condition {i}" for i in range(8)])
    ids = torch.tensor([[5, 6, 7]])
    scores = models.score_pairs(llm, pairs, 80)
    next(scores)
    assert llm.model(ids).logits.shape[:2] == (1, 3)
    assert dict(scores)


def test_a_rehearsal_chooses_how_many_batches_are_computed_at_once():
    """Two batches at once wait for each other; one after another, the first would wait forever."""
    both = threading.Barrier(2, timeout=30)

    def compute(batch):
        both.wait()
        return firsts(batch)

    with workers.compute_at_once(2):
        results = [*workers.compute_batches(ROWS[:2], 0, 1, compute, lambda row: False, CPU)]
    assert results == [[0], [1]]
    assert workers.count_at_once(2, CPU) == 1
