"""Notes by a vLLM server on this machine: token ids go there, and token ids come back.

The server batches requests as they come, so it suits a GPU and a large model. Prompts are rendered
and tokenized here and replies are decoded here, as without a server: its chat template, its
sampling defaults and its end tokens have no influence. Sampled notes differ from those without a
server, because it draws other random numbers; so does rounding. vLLM 0.32.0 has answered on a CPU
(benchmarks/results/server_notes.csv), not yet on a GPU.
"""

import asyncio
import contextlib
import json
import queue
import shlex
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pydantic import BaseModel, ValidationError
from tqdm import tqdm

from clinical_camel import models
from clinical_camel.core.base_models import find_folder
from clinical_camel.core.files import read_json
from clinical_camel.core.paths import root
from clinical_camel.models import LLM, ModelError
from clinical_camel.note_synthesis.settings import NoteTask
from clinical_camel.teachers import errors
from clinical_camel.teachers.client import BODY_BYTES, Answer, Client

CONCURRENCY = 64  # requests at a time
ATTEMPTS = 5  # times a request is sent while the server fails
BACKOFF_SECONDS = 1.0  # before the second attempt; then doubled
REQUEST_SECONDS = 3600.0  # longest wait for a note: the server may have many others to write
LIST_SECONDS = 30.0  # longest wait for the list of models
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # of LoRA, of which vLLM takes the largest as a limit
TOKEN_BYTES = 32  # most bytes of a reply for each token
HASH = 8  # characters of the hash in the name of a model


class ServedModel(BaseModel):
    """A model in the server's list: its name, and its context in tokens."""

    id: str
    max_model_len: int | None = None


class Completion(BaseModel):
    """The reply to one prompt; `finish_reason`: stop after an end token, length at the limit."""

    token_ids: list[int]
    prompt_token_ids: list[int]
    finish_reason: str


def connect(task: NoteTask) -> dict[str, LLM]:
    """Return an LLM without weights for each entry of `adapters`; the server has the weights.

    Its `source` has the version and context of the server. Raises ModelError if no server can be
    reached, or if it lacks one of the models; and as `models.load_without_weights`.
    """
    llms = models.load_without_weights(task.model, task.adapters, task.quantize, task.chat_template)
    by_name = list_models(task, llms)
    contexts = [model.max_model_len for model in by_name.values() if model.max_model_len]
    version = _read_version(task.server)
    for llm in llms.values():
        llm.max_length = min([*contexts, llm.max_length])
        llm.source |= {"server": version, "context": str(llm.max_length), "dtype": "the server's"}
    return llms


def list_models(task: NoteTask, llms: Mapping[str, LLM]) -> dict[str, ServedModel]:
    """Return the models of the server by name.

    Raises ModelError if it cannot be reached, or lacks one of the `llms`; the message ends with the
    command that starts it.
    """
    command = f"start it: {format_command(task, llms)}"
    answer = _get(f"{task.server}/models")
    if answer.status in (401, 403):
        raise ModelError(
            f"server: {task.server} wants a key; without --api-key and VLLM_API_KEY, {command}"
        )
    try:
        entries = json.loads(answer.body)["data"]
        by_name = {model.id: model for model in map(ServedModel.model_validate, entries)}
    except (ValueError, TypeError, LookupError):
        reason = answer.cause or f"HTTP {answer.status}: {errors.read_error(answer.body)}"
        raise ModelError(f"server: {task.server} lists no models ({reason}); {command}") from None
    for llm in llms.values():
        if (name := name_model(llm)) not in by_name:
            listed = ", ".join(by_name) or "nothing"
            raise ModelError(
                f"server: {task.server} serves {listed}, but not {name}, which are the weights of "
                f"now; {command}"
            )
    return by_name


def name_model(llm: LLM) -> str:
    """Return the name of a model on the server: its own, and a hash of its weights.

    A server that was started before the last training lacks this name.
    """
    source = llm.source
    names = ("adapter_sha256", "model_sha256", "model_revision")
    return f"{llm.name}-{next(source[name] for name in names if source.get(name))[:HASH]}"


def format_command(task: NoteTask, llms: Mapping[str, LLM]) -> str:
    """Return the command that starts the server of a task.

    `--generation-config vllm` ignores the sampling defaults in the model's folder. NaN raises an
    error, as in `models.generate`. Raises ModelError for an adapter of a higher rank than vLLM
    takes.
    """
    address = urllib.parse.urlsplit(task.server)
    folder = find_folder(task.model)
    words = ["vllm", "serve", str(folder) if folder.is_dir() else task.model]
    words += ["--host", address.hostname, "--port", str(address.port or 80)]
    names = [name_model(llm) for llm in llms.values() if not task.adapters[llm.name]]
    words += ["--served-model-name", *(names or ["base"]), "--generation-config", "vllm"]
    words += ["--quantization", "bitsandbytes"] * (task.quantize == "nf4")
    words += ["--dtype", task.compute_dtype] * (task.compute_dtype != "auto")
    if adapters := {name: folder for name, folder in task.adapters.items() if folder}:
        rank = max(_read_rank(name, folder) for name, folder in adapters.items())
        limit = next(limit for limit in RANKS if limit >= rank)
        words += ["--enable-lora", "--max-lora-rank", str(limit), "--lora-modules"]
        words += [f"{name_model(llms[name])}={root() / path}" for name, path in adapters.items()]
    return f"VLLM_NO_USAGE_STATS=1 VLLM_RAISE_ON_LOGIT_NANS=1 {shlex.join(words)}"


def generate_to_journal(
    llm: LLM,
    prompts: Mapping[str, str],
    task: NoteTask,
    journal: Any,
    *,
    description: str,
    unit: str,
) -> None:
    """Let the server generate the text after each prompt, as `models.generate_to_journal` does.

    A text is in the journal as soon as it comes. Raises ModelError for a refused request, and for a
    server that fails ATTEMPTS times, after all open requests have returned; run again, and only the
    missing texts are requested.
    """
    missing = {key: text for key, text in prompts.items() if key not in journal.done}
    keys, end = list(missing), llm.tokenizer.eos_token_id
    bar = {"total": len(prompts), "initial": len(prompts) - len(missing), "unit": unit}
    with contextlib.closing(complete(task, llm, list(missing.values()))) as replies:
        for i, tokens in tqdm(replies, file=sys.stdout, desc=description, **bar):
            text = llm.tokenizer.decode(tokens, skip_special_tokens=True).strip()
            journal.append(keys[i], {"text": text, "ended": end in tokens})


def complete(task: NoteTask, llm: LLM, texts: Sequence[str]) -> Iterator[tuple[int, list[int]]]:
    """Yield (index of the prompt, new token ids), as the server returns them; errors as above.

    The requests run in a thread of their own: a notebook has its own event loop. Close the iterator
    to cancel them.
    """
    bodies = [build_body(task, llm, text) for text in texts]
    replies: queue.SimpleQueue = queue.SimpleQueue()
    loop = asyncio.new_event_loop()
    work = loop.create_task(_send_all(task.server, bodies, replies.put))

    def run() -> None:
        try:
            loop.run_until_complete(work)
        except BaseException as error:  # also a cancellation: nobody may wait forever
            replies.put(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while (reply := replies.get()) is not None:
            if isinstance(reply, BaseException):
                raise reply
            yield reply
    finally:
        loop.call_soon_threadsafe(work.cancel)
        thread.join()
        loop.close()


def build_body(task: NoteTask, llm: LLM, text: str) -> dict[str, Any]:
    """Return the request for a prompt.

    It names what a model's folder could set otherwise (vLLM 0.32.0: `CompletionRequest`).
    """
    return {
        "model": name_model(llm),
        "prompt": models.tokenize_text(llm.tokenizer, text),
        "max_tokens": task.max_new_tokens,
        "temperature": task.temperature,
        "top_p": task.top_p,
        "top_k": task.top_k or -1,  # all; older versions refuse 0
        "min_p": 0.0,
        "repetition_penalty": task.repetition_penalty,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "seed": models.compute_seed(text, task.seed),
        "ignore_eos": True,  # the model's own; ours follows
        "stop_token_ids": [llm.tokenizer.eos_token_id],
        "return_token_ids": True,
    }


async def _send_all(
    server: str, bodies: Sequence[dict[str, Any]], put: Callable[[Any], None]
) -> None:
    """Send all requests, CONCURRENCY at a time; put each (index, token ids), last None or an error.

    After an error no request leaves, and the open ones are awaited.
    """
    remaining, failures = iter(enumerate(bodies)), []

    async def work(client: Client) -> None:
        for i, body in remaining:
            try:
                put((i, await _send(client, server, body, failures)))
            except Exception as error:
                failures.append(error)
            if failures:
                return

    async with Client("", REQUEST_SECONDS, CONCURRENCY) as client:
        await asyncio.gather(*(work(client) for _ in range(CONCURRENCY)))
    put(failures[0] if failures else None)


async def _send(
    client: Client, server: str, body: dict[str, Any], failures: Sequence[Exception]
) -> list[int]:
    """Return the new token ids of one prompt. Raises ModelError, see `generate_to_journal`.

    No second attempt after REQUEST_SECONDS, or after one of the `failures` of other requests.
    """
    data, begin = json.dumps(body).encode(), time.monotonic()
    limit = BODY_BYTES + TOKEN_BYTES * (len(body["prompt"]) + body["max_tokens"])
    for attempt in range(ATTEMPTS):
        answer = await client.send("POST", f"{server}/completions", data, limit)
        if answer.status == 200 and not answer.cause:
            completion = _read_completion(answer, server)
            if completion.prompt_token_ids != body["prompt"]:
                raise ModelError(f"server: {server} computed other tokens than those of the prompt")
            if completion.finish_reason in ("stop", "length"):
                return completion.token_ids
            cause = f"a reply ended by {completion.finish_reason}"
        else:
            cause = answer.cause or f"HTTP {answer.status}: {errors.read_error(answer.body)}"
            if answer.status and not answer.cause and not errors.is_temporary(answer.status):
                raise ModelError(f"server: {server} refused a request ({cause})")
        if failures or time.monotonic() - begin >= REQUEST_SECONDS:
            break
        if attempt + 1 < ATTEMPTS:
            await asyncio.sleep(BACKOFF_SECONDS * 2**attempt)
    raise ModelError(
        f"server: {server} brought no reply in {attempt + 1} attempts ({cause}); the notes so far "
        "are saved: run again when it answers"
    )


def _read_completion(answer: Answer, server: str) -> Completion:
    try:
        return Completion.model_validate(json.loads(answer.body)["choices"][0])
    except (ValidationError, ValueError, TypeError, LookupError):
        raise ModelError(
            f"server: {server} returned no token_ids; use a vLLM that knows return_token_ids"
        ) from None


def _get(url: str) -> Answer:
    """Return the answer to a GET request; in a thread, because a notebook has its own loop."""

    async def send() -> Answer:
        async with Client("", LIST_SECONDS) as client:
            return await client.send("GET", url)

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(send())).result()


def _read_version(server: str) -> str:
    """Return the server's version from vLLM's /version; other servers are "unknown"."""
    answer = _get(f"{server.removesuffix('/v1')}/version")
    with contextlib.suppress(ValueError, TypeError, LookupError):
        return f"vLLM {json.loads(answer.body)['version']}"
    return "unknown"


def _read_rank(name: str, adapter: str) -> int:
    """Return the highest rank of an adapter. Raises ModelError for one that vLLM cannot serve."""
    config = read_json(root() / adapter / "adapter_config.json")
    rank = max([config["r"], *(config.get("rank_pattern") or {}).values()])
    if rank > RANKS[-1]:
        raise ModelError(
            f"adapters: {name}: has rank {rank}; vLLM serves at most {RANKS[-1]}: delete server"
        )
    return rank
