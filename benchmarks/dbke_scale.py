"""Does the endpoint teacher keep up with a bare client, in flat memory, over 20,000 articles?

    python benchmarks/dbke_scale.py             20,000 articles; two minutes on two free cores
    python benchmarks/dbke_scale.py 2000        fewer; dbke_scale.csv stays as it is

A server on loopback, in a process of its own, answers each request after 200 ms with a dialogue;
256 are in flight. The articles are those of the embedded study, over and over, each with a name of
its own. In turn, each in a fresh process: the bare client (aiohttp: posts the same bytes, reads the
bodies, drops them), ours (prompt, screen, ledger, checks, dialogues to a file), ours again on the
ledger that is now complete, and, on fewer requests, bare httpx and the openai SDK, to say why ours
uses neither.

Writes dbke_scale.csv: requests a second, also as a share of the bare client's, processor
milliseconds a request, and peak memory after a tenth of the articles and after all.
"""

import asyncio
import csv
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

TABLE = Path(__file__).with_name("dbke_scale.csv")
DELAY, IN_FLIGHT = 0.2, 256
FEWER = 40  # of so many requests one is sent by the slower clients
MODEL = {"model": "toy", "max_new_tokens": 1024, "temperature": 0.7}


@dataclass
class Row:
    """One client, one pass."""

    client: str
    requests: int
    dialogues: int
    per_second: float
    share_of_bare: float
    cpu_ms: float
    peak_mb_at_a_tenth: int
    peak_mb: int


def requests(count: int) -> Iterator:
    """One request an article, made as it is asked for."""
    from clinical_camel import data, dbke

    rows = data.load_articles("mini_articles")
    for i in range(count):
        row = rows[i % len(rows)]
        name = f"{row.title} {i}"
        sections = [
            data.Section(heading=s.heading, text=s.text.replace(row.title, name))
            for s in row.sections
        ]
        article = data.Article(
            id=f"{row.id}-{i}", title=name, sections=sections, licence=row.licence
        )
        yield from dbke.about(article, 1, 5, 0)


def peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def serve(ports: multiprocessing.Queue) -> None:
    import toy_teacher

    with toy_teacher.Server(delay=DELAY, record=False) as server:
        ports.put(server.base_url)
        time.sleep(3600)


async def bare(url: str, bodies: list[bytes], client: str) -> None:
    """Every body posted, every reply read, nothing done with it."""
    slots = asyncio.Semaphore(IN_FLIGHT)
    post = await _poster(client, url)

    async def one(body: bytes) -> None:
        async with slots:
            await post(body)

    await asyncio.gather(*(one(body) for body in bodies))


async def _poster(client: str, url: str):
    """A coroutine function that posts one body with this client library."""
    headers = {"Content-Type": "application/json"}
    if client == "bare aiohttp":
        import aiohttp

        connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
        session = aiohttp.ClientSession(headers=headers, connector=connector)

        async def post(body: bytes) -> None:
            async with session.post(f"{url}/chat/completions", data=body) as response:
                await response.read()

        return post
    if client == "bare httpx":
        import httpx

        limits = httpx.Limits(max_connections=IN_FLIGHT)
        session = httpx.AsyncClient(headers=headers, limits=limits, timeout=60)
        return lambda body: session.post(f"{url}/chat/completions", content=body)
    import openai

    sdk = openai.AsyncOpenAI(api_key="none", base_url=url, max_retries=0, timeout=60)
    return lambda body: sdk.chat.completions.create(**json.loads(body))


def run_bare(url: str, client: str, count: int, results: multiprocessing.Queue) -> None:
    from clinical_camel import dbke

    teacher = dbke.load_teacher("openai", dbke.Settings(base_url=url, **MODEL))
    desk = dbke.Desk(teacher, None, 2)
    bodies = [teacher._body(desk.ask(request, [])) for request in requests(count)]
    began, cpu = time.monotonic(), time.process_time()
    asyncio.run(bare(url, bodies, client))
    took, cpu = time.monotonic() - began, time.process_time() - cpu
    results.put(Row(client, count, 0, count / took, 0.0, cpu / count * 1e3, 0, peak_mb()))


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
    results.put(Row(name, count, kept, count / took, 0.0, cpu / count * 1e3, tenth, peak_mb()))
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


def main() -> None:
    """Bare, ours, bare again, and the others."""
    count = next((int(text) for text in sys.argv[1:] if text.isdecimal()), 20_000)
    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("spawn")
    ports = context.Queue()
    server = context.Process(target=serve, args=(ports,), daemon=True)
    server.start()
    url = ports.get()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before = apart(run_bare, url, "bare aiohttp", count)
        rows = [apart(run_ours, url, folder, count, "ours (aiohttp)")]
        rows.append(apart(run_ours, url, folder, count, "ours, ledger complete"))
        after = apart(run_bare, url, "bare aiohttp", count)
        few = count // FEWER
        rows += [apart(run_bare, url, client, few) for client in ("bare httpx", "openai SDK")]
    server.kill()
    mean = Row(**{**asdict(before), "per_second": (before.per_second + after.per_second) / 2})
    for row in (mean, *rows):
        row.share_of_bare = round(row.per_second / mean.per_second, 3)
        row.per_second, row.cpu_ms = round(row.per_second), round(row.cpu_ms, 2)
        print(*asdict(row).values(), sep=" | ", flush=True)
    print(f"bare before and after: {before.per_second:.0f}, {after.per_second:.0f} a second")
    if count == 20_000:
        with TABLE.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [f.name for f in fields(Row)], lineterminator="\n")
            writer.writeheader()
            writer.writerows(map(asdict, (mean, *rows)))


if __name__ == "__main__":
    main()
