"""Does the endpoint teacher keep up with a bare client, in constant memory, over 20,000 articles?

    python -m benchmarks.dbke_scale             20,000 articles; eight minutes on two free cores
    python -m benchmarks.dbke_scale 2000        fewer; results/dbke_scale.csv stays unchanged

A server on loopback, in its own process, answers each request after 200 ms with a dialogue; 256
requests are concurrent. The articles are those of the embedded study, repeated under new names.
Each has five dialogues, as in the paper. Each client runs in a fresh process:

- the bare client (aiohttp) posts a fifth of the bodies, reads the replies and drops them; ours also
  builds prompts, records replies, checks and writes dialogues. Three rounds;
- ours with a complete ledger;
- bare httpx and the openai SDK on fewer requests, to show why ours uses neither.

Writes requests per second, also as a share of the bare client's in the same round (medians of the
rounds, lowest and highest share), processor milliseconds per request, and peak memory after a tenth
of the articles and after all.
"""

import asyncio
import itertools
import json
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.tables import RESULTS

TABLE = RESULTS / "dbke_scale.csv"
Post = Callable[[bytes], Awaitable[object]]
HEADERS = {"Content-Type": "application/json"}
DELAY, CONCURRENCY = 0.2, 256
DIALOGUES_PER_ARTICLE = 5  # as in the paper
ROUNDS = 3
FEWER = 10  # the slower clients get one request per so many articles


@dataclass
class Row:
    """One client, one pass."""

    client: str
    requests: int
    dialogues: int
    per_second: float
    share_of_bare: float
    lowest: float
    highest: float
    cpu_ms: float
    peak_mb_at_a_tenth: int
    peak_mb: int


def make_settings(url: str):
    from clinical_camel import dbke

    teacher = dbke.OpenAI(
        model="toy",
        terms="own",
        base_url=url,
        max_new_tokens=1024,
        concurrency=CONCURRENCY,
        dialogue_attempts=1,
        money_cap=0.0,
    )
    return dbke.Synthesis(teacher=teacher, language="")


def iter_requests() -> Iterator:
    """Yield requests on article after article without end, each built when it is needed."""
    from clinical_camel import data, dbke

    for i, row in enumerate(itertools.cycle(data.load_articles("mini_articles"))):
        name = f"{row.title} {i}"
        sections = [replace(s, text=s.text.replace(row.title, name)) for s in row.sections]
        article = replace(row, id=f"{row.id}-{i}", title=name, sections=sections)
        yield from dbke.plan_article_requests(article, DIALOGUES_PER_ARTICLE, 5, 0)


def peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def make_row(
    client: str, count: int, started: float, cpu: float, dialogues: int = 0, peak: int = 0
) -> Row:
    """Return what was measured since `started`; `peak` is the memory after a tenth."""
    per_second, cpu = count / (time.monotonic() - started), time.process_time() - cpu
    measured = (per_second, 0.0, 0.0, 0.0, cpu / count * 1e3, peak, peak_mb())
    return Row(client, count, dialogues, *measured)


def serve(ports: multiprocessing.Queue) -> None:
    from tests.support import toy_teacher

    with toy_teacher.Server(delay=DELAY, record=False) as server:
        ports.put(server.base_url)
        time.sleep(3600)


async def post_all(url: str, bodies: list[bytes], client: str) -> None:
    """Post every body, read every reply, drop it."""
    slots = asyncio.Semaphore(CONCURRENCY)

    async def post_one(post: Post, body: bytes) -> None:
        async with slots:
            await post(body)

    async with CLIENTS[client](url) as post:
        await asyncio.gather(*(post_one(post, body) for body in bodies))


@asynccontextmanager
async def bare_aiohttp(url: str) -> AsyncIterator[Post]:
    import aiohttp

    connector = aiohttp.TCPConnector(limit=CONCURRENCY)
    async with aiohttp.ClientSession(headers=HEADERS, connector=connector) as session:

        async def post(body: bytes) -> None:
            async with session.post(f"{url}/chat/completions", data=body) as response:
                await response.read()

        yield post


@asynccontextmanager
async def bare_httpx(url: str) -> AsyncIterator[Post]:
    import httpx

    limits = httpx.Limits(max_connections=CONCURRENCY)
    async with httpx.AsyncClient(headers=HEADERS, limits=limits, timeout=60) as session:
        yield lambda body: session.post(f"{url}/chat/completions", content=body)


@asynccontextmanager
async def openai_sdk(url: str) -> AsyncIterator[Post]:
    import openai

    async with openai.AsyncOpenAI(
        api_key="none", base_url=url, max_retries=0, timeout=60
    ) as client:
        yield lambda body: client.chat.completions.create(**json.loads(body))


CLIENTS = {"bare aiohttp": bare_aiohttp, "bare httpx": bare_httpx, "openai SDK": openai_sdk}


def run_bare(url: str, client: str, count: int, results: multiprocessing.Queue) -> None:
    from clinical_camel import dbke

    settings = make_settings(url)
    teacher = dbke.load_teacher(settings.teacher)
    synthesizer = dbke.Synthesizer(teacher, None, settings)
    requests = itertools.islice(iter_requests(), count)
    bodies = [teacher.build_body(synthesizer.build_query(request, [])) for request in requests]
    started, cpu = time.monotonic(), time.process_time()
    asyncio.run(post_all(url, bodies, client))
    results.put(make_row(client, count, started, cpu))


def run_ours(url: str, folder: Path, count: int, name: str, results: multiprocessing.Queue) -> None:
    from clinical_camel import data, dbke, teachers

    settings = make_settings(url)
    ledger, teacher = teachers.Ledger(folder / "l.sqlite"), dbke.load_teacher(settings.teacher)
    requests = itertools.islice(iter_requests(), count)
    outcomes = dbke.Synthesizer(teacher, ledger, settings).run(requests)
    peak_at_a_tenth = accepted = 0
    started, cpu = time.monotonic(), time.process_time()
    with (folder / "dialogues.jsonl").open("w") as file:
        for i, outcome in enumerate(outcomes, start=1):
            if outcome.result:
                accepted += 1
                file.write(json.dumps(data.to_dict(outcome.result)) + "\n")
            peak_at_a_tenth = peak_mb() if i == count // 10 else peak_at_a_tenth
    results.put(make_row(name, count, started, cpu, accepted, peak_at_a_tenth))
    ledger.close()


def run_in_process(work: Callable, *arguments: object) -> Row:
    """Run `work` in a fresh process and return its row."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=work, args=(*arguments, results))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{arguments}: exit {process.exitcode}")
    row = results.get()
    print(f"{row.client}: {row.per_second:.0f} per second, {row.cpu_ms:.2f} ms", flush=True)
    return row


def summarise(rows: Sequence[Row], bare: Sequence[Row]) -> Row:
    """Return the medians of the rounds, and shares of the bare client's rate in the same round."""
    shares = [row.per_second / other.per_second for row, other in zip(rows, bare, strict=True)]
    return replace(
        rows[0],
        per_second=round(statistics.median(row.per_second for row in rows)),
        share_of_bare=round(statistics.median(shares), 3),
        lowest=round(min(shares), 3),
        highest=round(max(shares), 3),
        cpu_ms=round(statistics.median(row.cpu_ms for row in rows), 2),
        peak_mb_at_a_tenth=max(row.peak_mb_at_a_tenth for row in rows),
        peak_mb=max(row.peak_mb for row in rows),
    )


def main() -> None:
    """Run bare and ours in turn, then the others."""
    import pandas as pd  # not in the clients' processes, whose memory is measured

    count = next((int(text) for text in sys.argv[1:] if text.isdecimal()), 20_000)
    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("spawn")
    ports = context.Queue()
    server = context.Process(target=serve, args=(ports,), daemon=True)
    server.start()
    url = ports.get()
    bare, ours = [], []
    with tempfile.TemporaryDirectory() as name:
        requests = count * DIALOGUES_PER_ARTICLE
        for k in range(ROUNDS):
            folder = Path(name, str(k))
            folder.mkdir()
            bare.append(run_in_process(run_bare, url, "bare aiohttp", count))
            ours.append(run_in_process(run_ours, url, folder, requests, "ours (aiohttp)"))
        complete = run_in_process(run_ours, url, folder, requests, "ours, ledger complete")
        others = [
            run_in_process(run_bare, url, client, count // FEWER) for client in list(CLIENTS)[1:]
        ]
    server.kill()
    rows = [summarise(bare, bare), summarise(ours, bare)]
    rows += [summarise([row], bare[-1:]) for row in (complete, *others)]
    for row in rows:
        print(*asdict(row).values(), sep=" | ", flush=True)
    if count == 20_000:
        pd.DataFrame(rows).to_csv(TABLE, index=False)


if __name__ == "__main__":
    main()
