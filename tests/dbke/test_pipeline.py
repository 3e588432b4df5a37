"""Synthesis by many workers: the plain run's dialogues, nothing lost, nothing paid twice."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from drills import teacher as teacher_drill
from tests.support.toy_teacher import KEY, Server

from clinical_camel import __main__, data, dbke, models, runs
from clinical_camel.dbke.teachers import openai, shards
from clinical_camel.runs.notebooks import read_cells
from clinical_camel.runs.params_files import read_yaml

pipeline = pytest.importorskip("clinical_camel.dbke.pipeline", reason="pip install -e '.[scale]'")

ROOT = Path(__file__).parents[2]
SITE = pipeline.Site(tasks=4, workers=2)
PARAMS = read_yaml(ROOT / "params/mini_camel/01_dbke.yaml")
ASKED, SENT = 34, 32  # 6 articles, 5 dialogues each, and 4 questions, two without a passage


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    monkeypatch.setenv(openai.KEY, KEY)
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(ROOT))


def params(server: Server, **more) -> dict:
    given = {"teacher": "openai", "teacher_model": "toy", "teacher_terms": "own", "tries": 2}
    given |= {"base_url": server.base_url, "article_limit": 6, "question_limit": 4, "in_flight": 4}
    return {**PARAMS, **given, "price_in": 1.0, "price_out": 2.0, "money_cap": 10.0, **more}


def plain(given: dict, file: Path) -> tuple[list[str], int]:
    """What notebook 01 makes of this ledger: dialogues as lines, and how many are set aside."""
    teacher, ledger = dbke.load_teacher("openai", dbke.settings_of(given)), dbke.Ledger(file)
    told = pipeline.checks_of(given)
    dialogues, aside = dbke.synthesise(pipeline.plan(given), teacher, ledger, *told)
    ledger.close()
    return [json.dumps(data.to_dict(d), ensure_ascii=False) for d in dialogues], len(aside)


def workers(given: dict, file: Path) -> list[int]:
    return pipeline.prepare(given, file, "local", SITE).run()


def account(file: Path, server: Server) -> tuple[int, int, int]:
    return teacher_drill.account(file, server, 10.0, PARAMS["attempts"])


def test_the_plan_is_the_one_of_the_notebook(monkeypatch):
    """The cells of 01 up to its `synthesise`, with a run that writes nothing."""
    monkeypatch.setattr(dbke.Ledger, "__init__", lambda *_: None)
    run = SimpleNamespace(note=lambda **_: None, keep=lambda name: name, save_table=lambda *_: 0)
    monkeypatch.setattr(runs, "start", lambda *_: run)
    found = {}

    class Enough(Exception):
        pass

    def synthesise(requests, teacher, store, *checks):
        found.update(requests=requests, given=teacher.given, told=checks)
        raise Enough

    monkeypatch.setattr(dbke, "synthesise", synthesise)
    given = params(SimpleNamespace(base_url="http://127.0.0.1:9/v1"), teacher_context=4000)
    names = dict(given)
    cells = [c for c in read_cells(ROOT / "notebooks/01_dbke.ipynb") if c["cell_type"] == "code"]
    code = "\n".join(
        c["source"] for c in cells if "parameters" not in c["metadata"].get("tags", [])
    )
    with pytest.raises(Enough):
        exec(code, names)
    assert found["requests"] == pipeline.plan(given)
    assert found["given"] == dbke.settings_of(given)
    assert found["told"] == pipeline.checks_of(given)


def test_to_plan_a_model_on_this_machine_is_found_but_not_loaded(monkeypatch):
    monkeypatch.setattr(models, "load", lambda *_: pytest.fail("loaded"))
    given = params(SimpleNamespace(base_url=""), teacher="local", teacher_model="mini")
    assert len(pipeline.plan(given)) == ASKED
    given["teacher_model"] = "data/nowhere"
    with pytest.raises(models.ModelError, match="data/nowhere: no such folder"):
        pipeline.plan(given)


def test_two_workers_write_what_one_run_writes_and_the_notebook_asks_for_nothing(tmp_path):
    with Server() as server:
        given = params(server)
        expected, aside = plain(given, tmp_path / "plain.sqlite")
        assert (len(expected) + aside, server.requests) == (ASKED, SENT)
        assert workers(given, tmp_path / "ledger.sqlite") == []
        assert server.requests == 2 * SENT
        assert plain(given, tmp_path / "ledger.sqlite") == (expected, aside)
        assert server.requests == 2 * SENT
        assert account(tmp_path / "ledger.sqlite", server)[:1] == (0,)
    assert not list((tmp_path / "ledger.shards").iterdir())


def test_a_worker_that_is_killed_loses_nothing_and_pays_for_nothing_twice(tmp_path):
    file = tmp_path / "ledger.sqlite"
    with Server(delay=0.15) as server:
        given = params(server, in_flight=2)  # one each
        killed = threading.Thread(target=kill_a_worker, args=(server, 8, found := []))
        killed.start()
        assert workers(given, file) == []
        killed.join()
        assert len(found) == 1
        asked = server.requests
        dialogues, aside = plain(given, file)
        assert (len(dialogues) + aside, server.requests) == (ASKED, asked)
        twice, over, attempts = account(file, server)
    assert (twice, over) == (0, 0)
    assert SENT <= asked <= attempts <= SENT + 1  # what was in flight at the kill, and no more
    with Server() as server:
        assert plain(params(server), tmp_path / "plain.sqlite") == (dialogues, aside)


def kill_a_worker(server: Server, after: int, found: list[int]) -> None:
    while server.requests < after:
        time.sleep(0.005)
    process = psutil.Process()
    direct = process.children()  # the fork server among them; its children are the workers
    worker = next(c for c in process.children(recursive=True) if c not in direct)
    os.kill(worker.pid, signal.SIGKILL)
    found.append(worker.pid)


def test_workers_that_are_all_killed_go_on_when_the_command_is_given_again(tmp_path):
    file = tmp_path / "ledger.sqlite"
    with Server(delay=0.15) as server:
        given = params(server, in_flight=2)
        code = (
            "import json, sys; from pathlib import Path; from clinical_camel.dbke import pipeline;"
            f"pipeline.prepare(json.loads(sys.argv[1]), Path({str(file)!r}), 'local',"
            "pipeline.Site(tasks=2, workers=2)).run()"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code, json.dumps(given)], start_new_session=True
        )
        while server.requests < 9:
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert workers(given, file) == []  # other tasks, so other shards than before
        asked = server.requests
        dialogues, aside = plain(given, file)
        assert (len(dialogues) + aside, server.requests) == (ASKED, asked)
        assert account(file, server)[:2] == (0, 0)
    assert asked <= SENT + 2  # one in flight at each


def test_shards_are_taken_in_once_however_often_that_is_tried(tmp_path, monkeypatch):
    file = tmp_path / "ledger.sqlite"
    shards.announce(file, "job")
    shard = dbke.Ledger(tmp_path / "ledger.shards/00000_of_00001.sqlite")
    shard.append("k", {"raw": "{}"})
    shard.begin("j", {}, (10, 10), (1.0, 1.0))
    shard.close()
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)  # killed before it could delete
    dbke.Ledger(file).close()
    monkeypatch.undo()
    ledger = dbke.Ledger(file)
    assert (ledger.spent().attempts, ledger.spent().replies, ledger.spent().tokens) == (2, 1, 20)
    assert ledger.done["k"] == {"raw": "{}"}
    assert not list((tmp_path / "ledger.shards").glob("*.sqlite"))


def test_while_a_worker_writes_the_ledger_is_not_opened(tmp_path):
    file = tmp_path / "ledger.sqlite"
    shards.announce(file, "job")
    place = tmp_path / "ledger.shards/00000_of_00001.sqlite"
    dbke.Ledger(place).append("k", {"raw": "{}"})
    dbke.Ledger(place).close()
    code = (
        f"import sqlite3; db = sqlite3.connect({str(place)!r}, isolation_level=None);"
        "db.execute('BEGIN EXCLUSIVE'); print('held', flush=True); input()"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    worker.stdout.readline()
    with pytest.raises(RuntimeError, match="a worker still writes"):
        dbke.Ledger(file)
    shards.check(file, "job")  # it may go on
    worker.communicate("\n")
    assert "k" in dbke.Ledger(file)
    with pytest.raises(RuntimeError, match="withdrawn"):  # one that comes too late may not
        shards.check(file, "job")


def test_money_and_rates_are_shared_among_the_workers():
    given = params(SimpleNamespace(base_url=""), token_cap=1000, requests_per_minute=60)
    mine = pipeline.part(given, dbke.Spent(1, 1, 200, 4.0), SITE)
    shared = {name: mine[name] for name in ("money_cap", "token_cap", "requests_per_minute")}
    assert shared == {"money_cap": 1.5, "token_cap": 200, "requests_per_minute": 30}
    with pytest.raises(ValueError, match="token_cap: nothing of 1000 is left"):
        pipeline.part(given, dbke.Spent(1, 1, 1000, 0.0), SITE)


def test_no_number_of_workers_passes_a_cap(tmp_path):
    cap = 0.03
    with Server() as server:
        given = params(server, money_cap=cap)
        assert workers(given, tmp_path / "ledger.sqlite")  # not all of them could end
        assert server.requests < SENT
        assert teacher_drill.account(tmp_path / "ledger.sqlite", server, cap, 5)[1] == 0


SBATCH = """#!/bin/sh
for last; do :; done
cp "$last" "{place}/script_$(ls {place} | wc -l)"
echo Submitted batch job 7
"""


def test_a_slurm_array_is_submitted_and_its_tasks_do_the_work(tmp_path, monkeypatch):
    """`sbatch` is ours: it keeps the script. Then each task is started as Slurm would."""
    for name, text in {
        "sbatch": SBATCH.format(place=tmp_path / "sent"),
        "scontrol": "#!/bin/sh\necho node1\n",
    }.items():
        file = tmp_path / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)
    (tmp_path / "sent").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    site = pipeline.Site(
        tasks=2, workers=1, time="01:00:00", partition="cpu", sbatch={"account": "ours"}
    )
    with Server() as server:
        given = params(server)
        made = pipeline.prepare(given, tmp_path / "ledger.sqlite", "slurm", site)
        made.run()
        script = (tmp_path / "sent/script_0").read_text()
        for line in ("partition=cpu", "time=01:00:00", "array=0-1%1", "account=ours", "requeue"):
            assert f"#SBATCH --{line}" in script
        assert "qos" not in script
        launched = Path(made.logging_dir.path, "executor.pik")
        assert f"launch_pickled_pipeline {launched}" in script
        assert KEY.encode() not in launched.read_bytes()
        task = [str(Path(sys.executable).with_name("launch_pickled_pipeline")), str(launched)]
        inside = {**os.environ, "SLURM_NODELIST": "node1"}
        started = [
            subprocess.Popen(task, env=inside | {"SLURM_ARRAY_TASK_ID": rank}) for rank in "01"
        ]
        assert [process.wait() for process in started] == [0, 0]
        assert server.requests == SENT
        dialogues, aside = plain(given, tmp_path / "ledger.sqlite")
        assert (len(dialogues) + aside, server.requests) == (ASKED, SENT)


def test_slurm_without_a_partition_and_ray_without_ray_say_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    with Server() as server:
        for executor, says in (("slurm", "--partition"), ("ray", "Ray is not installed")):
            file = tmp_path / "ledger.sqlite"
            assert pipeline.show(params(server), file, executor, SITE) == 2
            assert says in capsys.readouterr().err
            assert not (tmp_path / "ledger.shards/job.json").exists()


def test_a_teacher_that_asks_nobody_needs_no_workers(tmp_path, capsys):
    assert pipeline.show(PARAMS, tmp_path / "ledger.sqlite", "local", SITE) == 2
    assert "run 01 as it is" in capsys.readouterr().err


def command(*words: str) -> int:
    return __main__.main(list(words), more=__main__.COMMANDS)


def test_the_command_fills_the_ledger_that_the_notebook_opens(tmp_path, monkeypatch, capsys):
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(tmp_path))
    file = tmp_path / "params/far/01_dbke.yaml"
    file.parent.mkdir(parents=True)
    with Server() as server:
        given = params(server, study="far", question_limit=1, article_limit=1)
        file.write_text(json.dumps(given))  # JSON is YAML
        assert command("synthesise", "far", "--tasks", "2") == 0
        assert "ledger.sqlite: 5 replies of 5 attempts" in capsys.readouterr().out
        run = runs.start("far", "01_dbke", 0, given)
        assert plain(given, run.persistent_file("ledger"))[0]
        assert server.requests == 5


def test_without_datatrove_the_command_says_what_to_install(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "clinical_camel.dbke.pipeline")
    monkeypatch.delattr(dbke, "pipeline")
    for name in [name for name in sys.modules if name.partition(".")[0] == "datatrove"]:
        monkeypatch.setitem(sys.modules, name, None)
    assert command("synthesise", "mini_camel") == 2
    assert "pip install -e '.[scale]'" in capsys.readouterr().err


def test_a_shard_is_an_ordinary_ledger(tmp_path):
    with Server() as server:
        made = pipeline.prepare(params(server), tmp_path / "ledger.sqlite", "local", SITE)
        made._run_for_rank(0, 1)
    place = tmp_path / "ledger.shards/00000_of_00004.sqlite"
    with sqlite3.connect(place) as db:
        assert db.execute("SELECT count(*) FROM replies").fetchone() == (9,)


def test_an_option_for_sbatch_without_a_value_is_told(capsys):
    with pytest.raises(SystemExit):
        command("synthesise", "mini_camel", "--sbatch", "account")
    assert "--sbatch: 'account' is not NAME=VALUE" in capsys.readouterr().err
