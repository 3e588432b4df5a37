"""A server writes the notes: the same notes as without one, errors, and nothing written twice."""

import dataclasses
import json
import threading
import time

import pandas as pd
import pytest
from tests.support.consultations import COUGH, GOUT
from tests.support.project import Memory
from tests.support.toy_vllm import Vllm

from clinical_camel import models, note_synthesis
from clinical_camel.note_synthesis import NoteTask, server

ADAPTER = "outputs/mini_camel/02_sft_qlora/adapter"
BOTH = {"base": "", "tuned": ADAPTER}
ROWS = {"toy": [GOUT, COUGH]}


@pytest.fixture(scope="module")
def llms():
    return models.load("mini", BOTH, "nf4", compute_dtype="float32")


@pytest.fixture(autouse=True)
def no_waits(monkeypatch):
    monkeypatch.setattr(server, "BACKOFF_SECONDS", 0.0)


def make_task(url="", **settings):
    defaults = {"adapters": BOTH, "max_new_tokens": 24, "compute_dtype": "float32"}
    return NoteTask(server=url, **defaults | settings)


def write(task, llms, journal=None):
    journal = Memory() if journal is None else journal
    return note_synthesis.write_notes(llms, ROWS, task, journal=journal)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"repetition_penalty": 1.3, "unit": "section"},
        {"temperature": 1.0, "top_p": 0.9, "top_k": 20},  # the toy server draws as we do
    ],
    ids=["greedy", "sections with a penalty", "sampled"],
)
def test_a_server_writes_the_notes_of_this_process(llms, settings):
    notes, outputs = write(make_task(**settings), llms)
    with Vllm(llms) as served:
        task = make_task(served.url, **settings)
        served_llms = note_synthesis.load_llms(task)
        assert all(llm.model is None for llm in served_llms.values())
        by_server = write(task, served_llms)
    pd.testing.assert_frame_equal(notes, by_server[0])
    pd.testing.assert_frame_equal(outputs, by_server[1])
    assert notes.loc[notes["model"] == "tuned", "note"].all()


def test_a_note_that_ends_has_ended(llms):
    with Vllm({"tuned": llms["tuned"]}) as served:
        task = make_task(served.url, adapters={"tuned": ADAPTER}, max_new_tokens=256)
        _, outputs = write(task, note_synthesis.load_llms(task))
    assert outputs["ended"].any()
    assert not outputs["text"].str.contains("<|end|>", regex=False).any()


def test_no_value_is_left_to_the_settings_of_the_server(llms):
    with Vllm(llms) as served:
        task = make_task(served.url)
        write(task, note_synthesis.load_llms(task))
    assert len(served.bodies) == 4
    for body in served.bodies:
        assert (body["temperature"], body["top_p"], body["top_k"]) == (0.0, 1.0, -1)
        assert body["min_p"] == body["presence_penalty"] == body["frequency_penalty"] == 0.0
        assert body["ignore_eos"]
        assert body["return_token_ids"]
        assert all(isinstance(token, int) for token in body["prompt"])
    assert len({body["seed"] for body in served.bodies}) == 2  # by prompt, as without a server


def test_the_record_names_the_server_and_the_adapter(llms):
    with Vllm(llms) as served:
        source = note_synthesis.load_llms(make_task(served.url))["tuned"].source
    assert source["server"] == "vLLM 0.0.1"
    assert source["context"] == "4096"
    own = {name: source[name] for name in ("server", "context", "dtype")}
    assert source == llms["tuned"].source | own
    key = note_synthesis.make_journal_key(llms, ROWS, make_task("http://127.0.0.1:1/v1"), {})
    assert key == note_synthesis.make_journal_key(llms, ROWS, make_task(), {})


def test_the_shorter_context_holds(llms):
    with Vllm(llms, context=300) as served:
        connected = note_synthesis.load_llms(make_task(served.url))
        assert {llm.max_length for llm in connected.values()} == {300}
        with pytest.raises(models.ModelError, match="no room for a prompt"):
            note_synthesis.load_llms(make_task(served.url, max_new_tokens=300))


def test_notes_of_another_context_are_not_taken_from_the_journal(llms):
    keys = []
    for context in (250, 4096):
        with Vllm(llms, context=context) as served:
            task = make_task(served.url, too_long="windows")
            connected = note_synthesis.load_llms(task)
        keys.append(note_synthesis.make_journal_key(connected, ROWS, task, {}))
    assert keys[0] != keys[1]


def test_after_a_failure_only_the_missing_notes_are_requested(llms, monkeypatch):
    monkeypatch.setattr(server, "ATTEMPTS", 1)
    monkeypatch.setattr(server, "CONCURRENCY", 1)
    faults = [None, lambda body: (503, {"error": "out of memory"})]
    journal = Memory()
    with Vllm(llms, faults=faults) as served:
        task = make_task(served.url)
        connected = note_synthesis.load_llms(task)
        message = "brought no reply in 1 attempts .HTTP 503: out of memory.; the notes so far are"
        with pytest.raises(models.ModelError, match=message):
            write(task, connected, journal)
        assert (len(journal.done), len(served.bodies)) == (1, 2)
        notes, _ = write(task, connected, journal)
        assert len(served.bodies) == 5  # four notes and the failure
    pd.testing.assert_frame_equal(notes, write(make_task(), llms)[0])


def test_open_requests_are_awaited_after_a_failure(llms, monkeypatch):
    monkeypatch.setattr(server, "ATTEMPTS", 1)
    monkeypatch.setattr(server, "CONCURRENCY", 2)
    journal = Memory()
    with Vllm(llms, faults=[lambda body: (400, {"message": "no"})]) as served:
        task = make_task(served.url)
        with pytest.raises(models.ModelError, match=r"refused a request \(HTTP 400: no\)"):
            write(task, note_synthesis.load_llms(task), journal)
    assert len(journal.done) == len(served.bodies) - 1 >= 1


def test_a_passing_failure_is_retried(llms):
    refused = [lambda body: (503, {}), lambda body: (500, {}), lambda body: (429, {})]
    with Vllm(llms, faults=refused) as served:
        task = make_task(served.url)
        notes, _ = write(task, note_synthesis.load_llms(task))
    assert len(served.bodies) == 7
    pd.testing.assert_frame_equal(notes, write(make_task(), llms)[0])


def answer(**changes):
    """Return a fault: HTTP 200 with a choice that differs from a correct one."""
    choice = {"token_ids": [5], "finish_reason": "length"} | changes

    def reply(body):
        return 200, {"choices": [{"prompt_token_ids": body["prompt"]} | choice]}

    return reply


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda body: (200, {"choices": [{"text": "x"}]}), "returned no token_ids; use a vLLM"),
        (lambda body: (200, {"choices": []}), "returned no token_ids"),
        (lambda body: (200, "nothing"), "returned no token_ids"),
        (answer(prompt_token_ids=[1, 2]), "computed other tokens than those of the"),
        (answer(finish_reason="abort"), "no reply in 1 attempts .a reply ended by abort"),
        (lambda body: (404, {"message": "no model tuned"}), "HTTP 404: no model tuned"),
        (lambda body: (400, {"detail": "prompt must be a string."}), "prompt must be a string"),
    ],
)
def test_an_unusable_reply_stops_with_the_reason(llms, fault, message, monkeypatch):
    monkeypatch.setattr(server, "ATTEMPTS", 1)
    with Vllm(llms, faults=[fault] * 4) as served:
        task = make_task(served.url)
        with pytest.raises(models.ModelError, match=message):
            write(task, note_synthesis.load_llms(task))


def test_a_server_that_is_not_there_is_named_with_its_command():
    url = "http://127.0.0.1:9/v1"
    with pytest.raises(
        models.ModelError, match="connection refused.*; start it: VLLM.* vllm serve "
    ):
        note_synthesis.load_llms(make_task(url))


def test_a_server_without_an_adapter_is_refused(llms):
    message = "serves base-........, but not tuned-........, which are the weights of now; start it"
    with Vllm({"base": llms["base"]}) as served, pytest.raises(models.ModelError, match=message):
        note_synthesis.load_llms(make_task(served.url))


def test_a_server_from_before_the_last_training_is_refused(llms):
    source = llms["tuned"].source | {"adapter_sha256": "0123456789abcdef"}
    before = llms | {"tuned": dataclasses.replace(llms["tuned"], source=source)}
    message = "serves base-........, tuned-01234567, but not tuned-"
    with Vllm(before) as served, pytest.raises(models.ModelError, match=message):
        note_synthesis.load_llms(make_task(served.url))


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ((401, {"error": "Unauthorized"}), "wants a key; without --api-key and VLLM_API_KEY, star"),
        (
            (404, {"detail": "Not Found"}),
            r"lists no models \(HTTP 404: Not Found\); start it: VLLM",
        ),
        ((200, {"object": "list"}), "lists no models"),
        ((200, {"data": [{"name": "base"}]}), "lists no models"),
    ],
)
def test_another_server_at_the_address_is_named(llms, listed, message):
    with (
        Vllm(llms, listed=listed) as served,
        pytest.raises(models.ModelError, match=message),
    ):
        note_synthesis.load_llms(make_task(served.url))


def test_the_command_serves_every_model_by_its_name(project, tmp_path):
    llms = {
        name: models.LLM(name, None, None, 100, source=source)
        for name, source in {
            "before": {"model_revision": "0123456789"},
            "tuned": {"model_revision": "0123456789", "adapter_sha256": "abcdefabcdef"},
        }.items()
    }
    config = {"r": 12, "rank_pattern": {"q_proj": 40}}
    project.file("outputs/a/02_sft_qlora/adapter/adapter_config.json", json.dumps(config))
    adapters = {"before": "", "tuned": "outputs/a/02_sft_qlora/adapter"}
    options = {"model": "org/model", "chat_template": "chatml", "adapters": adapters}
    task = make_task("http://127.0.0.1:8123/v1", quantize="nf4", **options)
    assert server.format_command(task, llms) == (
        "VLLM_NO_USAGE_STATS=1 VLLM_RAISE_ON_LOGIT_NANS=1 vllm serve org/model --host 127.0.0.1 "
        "--port 8123 --served-model-name before-01234567 --generation-config vllm --quantization "
        "bitsandbytes --dtype float32 --enable-lora --max-lora-rank 64 --lora-modules "
        f"tuned-abcdefab={tmp_path}/outputs/a/02_sft_qlora/adapter"
    )
    base = task.model_copy(
        update={"adapters": {"before": ""}, "quantize": "", "compute_dtype": "auto"}
    )
    assert server.format_command(base, {"before": llms["before"]}).endswith(
        "--port 8123 --served-model-name before-01234567 --generation-config vllm"
    )
    config = {"r": 1024}
    project.file("outputs/a/02_sft_qlora/adapter/adapter_config.json", json.dumps(config))
    with pytest.raises(
        models.ModelError, match="adapters: tuned: has rank 1024; vLLM serves at mo"
    ):
        server.format_command(task, llms)


def test_a_folder_with_a_space_is_quoted(project, llms):
    names = ("base-", "with a space")
    task = make_task("http://[::1]:8000/v1", adapters={names[1]: ""})
    llm = dataclasses.replace(llms["base"], name=names[1])
    command = server.format_command(task, {names[1]: llm})
    assert "--host ::1 --port 8000 --served-model-name 'with a space-" in command


def test_closing_ends_the_requests(llms, monkeypatch):
    monkeypatch.setattr(server, "CONCURRENCY", 2)
    threads = set(threading.enumerate())
    with Vllm(llms) as served:
        task = make_task(served.url, max_new_tokens=8)
        replies = server.complete(task, note_synthesis.load_llms(task)["base"], ["a prompt"] * 40)
        next(replies)
        replies.close()
        assert len(served.bodies) < 10
    assert not [thread for thread in set(threading.enumerate()) - threads if not thread.daemon]


def test_a_full_disk_ends_the_requests(llms, monkeypatch):
    monkeypatch.setattr(server, "CONCURRENCY", 1)
    journal = Memory()
    monkeypatch.setattr(journal, "append", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    release = threading.Event()
    faults = [None, lambda body: release.wait(30) and None]  # the second waits for the end
    with Vllm(llms, faults=faults) as served:
        task = make_task(served.url, max_new_tokens=8)
        llm = note_synthesis.load_llms(task)["base"]
        texts = {f"note {i}": "a prompt" for i in range(40)}
        options = {"description": "notes", "unit": "note"}
        with pytest.raises(OSError, match="disk full") as error:
            server.generate_to_journal(llm, texts, task, journal, **options)
        assert error.traceback  # its frames are alive, as in a notebook
        release.set()
        assert len(served.bodies) <= len(faults)


def test_replies_may_come_in_any_order(llms):
    faults = [lambda body: time.sleep(0.5)] * 2
    with Vllm(llms, faults=faults) as served:
        task = make_task(served.url)
        notes, _ = write(task, note_synthesis.load_llms(task))
    pd.testing.assert_frame_equal(notes, write(make_task(), llms)[0])


def test_after_a_refusal_no_failed_request_is_sent_again(llms, monkeypatch):
    monkeypatch.setattr(server, "CONCURRENCY", 2)

    def refuse(body):
        return 400, {"message": "no"}

    def fail_later(body):
        time.sleep(0.5)
        return 503, {}

    with Vllm(llms, faults=[fail_later, refuse, fail_later, fail_later]) as served:
        task = make_task(served.url)
        with pytest.raises(models.ModelError, match="refused a request"):
            write(task, note_synthesis.load_llms(task))
    assert len(served.bodies) == 2


def test_a_request_that_took_all_its_time_is_not_sent_again(llms, monkeypatch):
    monkeypatch.setattr(server, "REQUEST_SECONDS", 0.3)
    with Vllm(llms, faults=[lambda body: time.sleep(1.0)] * 4) as served:
        task = make_task(served.url)
        connected = note_synthesis.load_llms(task)
        message = "brought no reply in 1 attempts .no complete reply from .* in 0.3 s"
        with pytest.raises(models.ModelError, match=message):
            write(task, connected)
        assert len(served.bodies) <= 2


def test_an_unexpected_error_is_not_lost(llms, monkeypatch):
    def fail(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr(server, "_read_completion", fail)
    with Vllm(llms) as served:
        task = make_task(served.url)
        with pytest.raises(RuntimeError, match="broken"):
            write(task, note_synthesis.load_llms(task))


def test_nothing_is_requested_for_a_complete_journal(llms):
    journal = Memory()
    with Vllm(llms) as served:
        task = make_task(served.url)
        connected = note_synthesis.load_llms(task)
        write(task, connected, journal)
        count = len(served.bodies)
        write(task, connected, journal)
    assert len(served.bodies) == count


def test_transcripts_that_do_not_fit_need_no_request(llms):
    with Vllm(llms) as served:
        task = make_task(served.url)
        llm = dataclasses.replace(note_synthesis.load_llms(task)["base"], max_length=30)
        notes, _ = write(task, {"base": llm})
    assert notes["status"].eq("too long").all()
    assert not served.bodies
