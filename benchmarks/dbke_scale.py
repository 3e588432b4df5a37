"""Does the endpoint teacher keep up with a bare client, in flat memory, over 20,000 articles?

    python benchmarks/dbke_scale.py             20,000 articles; eight minutes on two free cores
    python benchmarks/dbke_scale.py 2000        fewer; dbke_scale.csv stays as it is

A server on loopback, in a process of its own, answers each request after 200 ms with a dialogue;
256 are in flight. The articles are those of the embedded study, over and over, each with a name of
its own, and five dialogues are asked for on each, as in the paper. In turn, each in a fresh
process: the bare client (aiohttp: posts the same bytes, reads the bodies, drops them; a fifth of
the requests) and ours (prompt, screen, ledger, checks, dialogues to a file), three times; then ours
again on a ledger that is complete, and, on fewer requests, bare httpx and the openai SDK, to say
why ours uses neither.

Writes dbke_scale.csv: requests a second, also as a share of the bare client's just before (medians
of the rounds, and the lowest and highest share), processor milliseconds a request, and peak memory
after a tenth of the articles and after all.
"""

import asyncio
import csv
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
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

TABLE = Path(__file__).with_name("results") / "dbke_scale.csv"
Post = Callable[[bytes], Awaitable[object]]
HEADERS = {"Content-Type": "application/json"}
DELAY, IN_FLIGHT = 0.2, 256
PER_ARTICLE = 5  # dialogues, as in the paper
ROUNDS = 3
FEWER = 10  # of so many articles the slower clients ask for one dialogue on one
MODEL = {"model": "toy", "max_new_tokens": 1024, "temperature": 0.7}


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


def requests(count: int) -> Iterator:
    """The first `count` requests on article after article, made as they are asked for."""
    return itertools.islice(_requests(), count)


def _requests() -> Iterator:
    from clinical_camel import data, dbke

    rows = data.load_articles("mini_articles")
    for i in itertools.count():
        row = rows[i % len(rows)]
        name = f"{row.title} {i}"
        sections = [
            data.Section(heading=s.heading, text=s.text.replace(row.title, name))
            for s in row.sections
        ]
        article = data.Article(
            id=f"{row.id}-{i}", title=name, sections=sections, licence=row.licence
        )
        yield from dbke.about(article, PER_ARTICLE, 5, 0)


def peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def serve(ports: multiprocessing.Queue) -> None:
    from tests.support import toy_teacher

    with toy_teacher.Server(delay=DELAY, record=False) as server:
        ports.put(server.base_url)
        time.sleep(3600)


async def bare(url: str, bodies: list[bytes], client: str) -> None:
    """Every body posted, every reply read, nothing done with it."""
    slots = asyncio.Semaphore(IN_FLIGHT)

    async def one(post: Post, body: bytes) -> None:
        async with slots:
            await post(body)

    async with CLIENTS[client](url) as post:
        await asyncio.gather(*(one(post, body) for body in bodies))


@asynccontextmanager
async def bare_aiohttp(url: str) -> AsyncIterator[Post]:
    import aiohttp

    connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
    async with aiohttp.ClientSession(headers=HEADERS, connector=connector) as session:

        async def post(body: bytes) -> None:
            async with session.post(f"{url}/chat/completions", data=body) as response:
                await response.read()

        yield post


@asynccontextmanager
async def bare_httpx(url: str) -> AsyncIterator[Post]:
    import httpx

    limits = httpx.Limits(max_connections=IN_FLIGHT)
    async with httpx.AsyncClient(headers=HEADERS, limits=limits, timeout=60) as session:
        yield lambda body: session.post(f"{url}/chat/completions", content=body)


@asynccontextmanager
async def openai_sdk(url: str) -> AsyncIterator[Post]:
    import openai

    given = {"api_key": "none", "base_url": url, "max_retries": 0, "timeout": 60}
    async with openai.AsyncOpenAI(**given) as sdk:
        yield lambda body: sdk.chat.completions.create(**json.loads(body))


CLIENTS = {"bare aiohttp": bare_aiohttp, "bare httpx": bare_httpx, "openai SDK": openai_sdk}


def run_bare(url: str, client: str, count: int, results: multiprocessing.Queue) -> None:
    from clinical_camel import dbke

    teacher = dbke.load_teacher("openai", dbke.Settings(base_url=url, **MODEL))
    desk = dbke.Desk(teacher, None, 2)
    bodies = [teacher._body(desk.ask(request, [])) for request in requests(count)]
    began, cpu = time.monotonic(), time.process_time()
    asyncio.run(bare(url, bodies, client))
    took, cpu = time.monotonic() - began, time.process_time() - cpu
    results.put(Row(client, count, 0, count / took, 0.0, 0.0, 0.0, cpu / count * 1e3, 0, peak_mb()))


def run_ours(url: str, folder: Path, count: int, name: str, results: multiprocessing.Queue) -> None:
    from clinical_camel import data, dbke

    given = dbke.Settings(base_url=url, in_flight=IN_FLIGHT, **MODEL)
    ledger, teacher = dbke.Ledger(folder / "l.sqlite"), dbke.load_teacher("openai", given)
    tenth = kept = 0
    began, cpu = time.monotonic(), time.process_time()
    with (folder / "dialogues.jsonl").open("w") as file:
        settled = dbke.verdicts(requests(count), dbke.Desk(teacher, ledger, 2))
        for i, verdict in enumerate(settled, start=1):
            if verdict.dialogue:
                kept += file.write(json.dumps(data.to_dict(verdict.dialogue)) + "\n") > 0
            tenth = peak_mb() if i == count // 10 else tenth
    took, cpu = time.monotonic() - began, time.process_time() - cpu
    row = Row(name, count, kept, count / took, 0.0, 0.0, 0.0, cpu / count * 1e3, tenth, peak_mb())
    results.put(row)
    ledger.close()


def apart(work, *arguments: object) -> Row:
    """`work` in a fresh process, and the row that it puts."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=work, args=(*arguments, results))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{arguments}: exit {process.exitcode}")
    row = results.get()
    print(f"{row.client}: {row.per_second:.0f} a second, {row.cpu_ms:.2f} ms", flush=True)
    return row


def middle(rows: Sequence[Row], bare: Sequence[Row]) -> Row:
    """The medians of the rounds, shares of the bare client's rate in the same round."""
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
    """Bare and ours in turn, then the others."""
    count = next((int(text) for text in sys.argv[1:] if text.isdecimal()), 20_000)
    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("spawn")
    ports = context.Queue()
    server = context.Process(target=serve, args=(ports,), daemon=True)
    server.start()
    url = ports.get()
    bare, ours = [], []
    with tempfile.TemporaryDirectory() as name:
        for k in range(ROUNDS):
            folder = Path(name, str(k))
            folder.mkdir()
            bare.append(apart(run_bare, url, "bare aiohttp", count))
            ours.append(apart(run_ours, url, folder, count * PER_ARTICLE, "ours (aiohttp)"))
        again = apart(run_ours, url, folder, count * PER_ARTICLE, "ours, ledger complete")
        few = [apart(run_bare, url, client, count // FEWER) for client in list(CLIENTS)[1:]]
    server.kill()
    rows = [middle(bare, bare), middle(ours, bare)]
    rows += [middle([row], bare[-1:]) for row in (again, *few)]
    for row in rows:
        print(*asdict(row).values(), sep=" | ", flush=True)
    if count == 20_000:
        with TABLE.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [f.name for f in fields(Row)], lineterminator="\n")
            writer.writeheader()
            writer.writerows(map(asdict, rows))


if __name__ == "__main__":
    main()
