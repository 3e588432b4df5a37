"""Synthesis by many workers: the dialogues of one process, nothing lost, nothing paid twice."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from tests.support.teacher_runs import PRICES, audit
from tests.support.toy_teacher import KEY, Server

from clinical_camel import cli, data, dbke, runs, teachers

pipeline = pytest.importorskip("clinical_camel.dbke.pipeline", reason="pip install -e '.[scale]'")

ROOT = Path(__file__).parents[2]
RESOURCES = pipeline.Resources(tasks=4, workers=2)
REQUESTED, SENT = 34, 32  # 6 articles, 5 dialogues each; 4 questions, two without a passage
MONEY_CAP, REQUEST_ATTEMPTS = 10.0, 5
TEACHER = {
    **{"kind": "openai", "model": "toy", "terms": "own", "money_cap": MONEY_CAP, **PRICES},
    **{"dialogue_attempts": 2, "concurrency": 4, "base_url": "http://127.0.0.1:9/v1"},
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(ROOT))


def make_params(articles: int = 6, questions: int = 4, **teacher) -> dict:
    """The committed params with few texts and the toy endpoint."""
    params = runs.load_params("mini_camel", "01_dbke")
    limits = {"article_limits": {"mini_articles": articles}, "question_limit": questions}
    return {**params, **limits, "teacher": {**TEACHER, **teacher}}


def make_settings(server: Server, **teacher) -> dbke.Synthesis:
    return dbke.Synthesis.require(make_params(base_url=server.base_url, **teacher))


def run_notebook(settings: dbke.Synthesis, file: Path) -> tuple[list[str], int]:
    """The dialogues as lines that notebook 01 makes of this ledger, and the number rejected."""
    plan, ledger = dbke.prepare(settings), teachers.Ledger(file)
    dialogues, rejected, _ = dbke.synthesise(plan.requests, plan.teacher, ledger, settings)
    ledger.close()
    return [json.dumps(data.to_dict(d), ensure_ascii=False) for d in dialogues], len(rejected)


def run_plain(folder: Path) -> tuple[list[str], int]:
    """What notebook 01 makes without workers."""
    with Server() as server:
        return run_notebook(make_settings(server), folder / "plain.sqlite")


def open_notebook(settings: dbke.Synthesis, file: Path, server: Server) -> tuple[list[str], int]:
    """What notebook 01 makes of a ledger that lacks no reply and is within its limits."""
    requests = server.requests
    dialogues, rejected = run_notebook(settings, file)
    assert (len(dialogues) + rejected, server.requests) == (REQUESTED, requests)
    assert audit(file, server, MONEY_CAP, REQUEST_ATTEMPTS)[:2] == (0, 0)
    return dialogues, rejected


def run_workers(settings: dbke.Synthesis, file: Path) -> list[int]:
    """Run the workers; return the tasks that failed."""
    return pipeline.build_executor(settings, file, "local", RESOURCES).run()


def wait_for_requests(server: Server, count: int) -> None:
    while server.requests < count:
        time.sleep(0.005)


def test_two_workers_write_the_ledger_of_one_run_and_the_notebook_requests_nothing(tmp_path, file):
    with Server() as server:
        settings = make_settings(server)
        assert run_workers(settings, file) == []
        assert server.requests == SENT
        assert open_notebook(settings, file, server) == run_plain(tmp_path)
    assert not list((tmp_path / "ledger.shards").iterdir())


def test_a_killed_worker_loses_nothing_and_nothing_is_paid_twice(tmp_path, file):
    with Server(delay=0.15) as server:
        settings = make_settings(server, concurrency=2)  # one per worker
        killed = []
        killer = threading.Thread(target=kill_one_worker, args=(server, killed))
        killer.start()
        assert run_workers(settings, file) == []
        killer.join()
        assert len(killed) == 1
        outcome = open_notebook(settings, file, server)
        attempts = audit(file, server, MONEY_CAP, REQUEST_ATTEMPTS)[2]
        assert SENT <= server.requests <= attempts <= SENT + 1  # one was in flight at the kill
    assert outcome == run_plain(tmp_path)


def kill_one_worker(server: Server, killed: list[int]) -> None:
    wait_for_requests(server, 8)
    process = psutil.Process()
    direct = process.children()  # among them the fork server, whose children are the workers
    worker = next(c for c in process.children(recursive=True) if c not in direct)
    os.kill(worker.pid, signal.SIGKILL)
    killed.append(worker.pid)


def test_after_all_workers_were_killed_the_same_command_resumes(file):
    with Server(delay=0.15) as server:
        settings = make_settings(server, concurrency=2)
        code = (
            "import json, sys; from pathlib import Path; from clinical_camel import dbke;"
            "from clinical_camel.dbke import pipeline;"
            "settings = dbke.Synthesis.require(json.loads(sys.argv[1]));"
            f"pipeline.build_executor(settings, Path({str(file)!r}), 'local',"
            "pipeline.Resources(tasks=2, workers=2)).run()"
        )
        params = json.dumps(make_params(base_url=server.base_url, concurrency=2))
        process = subprocess.Popen([sys.executable, "-c", code, params], start_new_session=True)
        wait_for_requests(server, 9)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert run_workers(settings, file) == []  # other tasks, so other shards than before
        open_notebook(settings, file, server)
        assert server.requests <= SENT + 2  # one in flight per worker


LOCAL = {"kind": "local", "model": "mini", "terms": "own"}


def build_for_local_teacher(file: Path, executor: str, **changes) -> object:
    settings = dbke.Synthesis.require(make_params() | {"teacher": LOCAL})
    resources = pipeline.Resources(tasks=4, workers=0, partition="gpu", **changes)
    return pipeline.build_executor(settings, file, executor, resources)


@pytest.mark.parametrize(
    ("visible", "tasks", "per_task"), [("0", 1, 1), ("0,1", 2, 1), ("", 1, 0), ("-1", 1, 0)]
)
def test_each_task_of_a_teacher_on_this_machine_has_its_gpu(
    visible, tasks, per_task, file, monkeypatch
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    here = build_for_local_teacher(file, "local")
    assert (here.tasks, here.workers) == (tasks, tasks)
    assert here.devices == tuple(visible.split(",")) if per_task else here.devices == ()
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=lambda **_: None))
    for executor in ("slurm", "ray"):
        built = build_for_local_teacher(file, executor)
        assert (built.tasks, built.gpus_per_task) == (4, per_task)


def test_a_teacher_on_a_server_needs_no_gpu(file, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    resources = pipeline.Resources(tasks=4, workers=0, partition="cpu")
    settings = dbke.Synthesis.require(make_params())
    assert pipeline.build_executor(settings, file, "slurm", resources).gpus_per_task == 0
    here = pipeline.build_executor(settings, file, "local", resources)
    assert (here.tasks, here.workers, here.devices) == (4, 4, ())


class WriteDevice(pipeline.PipelineStep):
    """Writes which GPU a task may use."""

    name, type = "device", "test"

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = folder

    def run(self, data, rank: int = 0, world_size: int = 1):
        Path(self.folder, str(rank)).write_text(os.environ["CUDA_VISIBLE_DEVICES"])
        yield from ()


def test_tasks_at_the_same_time_use_different_gpus(tmp_path):
    places = tmp_path / "devices"
    places.mkdir()
    processes = pipeline.Processes([WriteDevice(str(places))], 3, 2, str(tmp_path / "logs"))
    processes.devices = ("4", "7")
    assert processes.run() == []
    assert [(places / rank).read_text() for rank in "01"] == ["4", "7"]
    assert (places / "2").read_text() in ("4", "7")


def test_workers_share_money_tokens_and_rate_limits():
    teacher = dbke.OpenAI(**TEACHER, token_cap=1000, requests_per_minute=60)
    settings = dbke.Synthesis(teacher=teacher)
    part = pipeline.share_limits(settings, teachers.Spending(1, 1, 200, 4.0), RESOURCES).teacher
    assert (part.money_cap, part.token_cap, part.requests_per_minute) == (1.5, 200, 30)
    assert part.concurrency == 2
    with pytest.raises(ValueError, match="teacher.token_cap: too little of 1000 remains"):
        pipeline.share_limits(settings, teachers.Spending(1, 1, 1000, 0.0), RESOURCES)


def test_no_number_of_workers_exceeds_a_cap(file):
    cap = 0.03
    with Server() as server:
        assert run_workers(make_settings(server, money_cap=cap), file)  # some tasks had to stop
        assert server.requests < SENT
        assert audit(file, server, cap, REQUEST_ATTEMPTS)[1] == 0


def test_a_slurm_array_is_submitted_and_its_tasks_fill_the_ledger(tmp_path, file, monkeypatch):
    """Our `sbatch` only stores the script; each task is then started as Slurm would start it."""
    script = tmp_path / "script"
    sbatch = (
        f'#!/bin/sh\nfor last; do :; done\ncp -n "$last" {script}\necho Submitted batch job 7\n'
    )
    for name, text in {"sbatch": sbatch, "scontrol": "#!/bin/sh\necho node1\n"}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    resources = pipeline.Resources(
        tasks=2, workers=1, time="01:00:00", partition="cpu", sbatch={"account": "ours"}
    )
    with Server() as server:
        settings = make_settings(server)
        executor = pipeline.build_executor(settings, file, "slurm", resources)
        executor.run()
        script = script.read_text()
        for line in ("partition=cpu", "time=01:00:00", "array=0-1%1", "account=ours", "requeue"):
            assert f"#SBATCH --{line}" in script
        assert "qos" not in script
        pickled = Path(executor.logging_dir.path, "executor.pik")
        assert f"launch_pickled_pipeline {pickled}" in script
        assert KEY.encode() not in pickled.read_bytes()
        command = [str(Path(sys.executable).with_name("launch_pickled_pipeline")), str(pickled)]
        environment = {**os.environ, "SLURM_NODELIST": "node1"}
        tasks = [
            subprocess.Popen(command, env=environment | {"SLURM_ARRAY_TASK_ID": rank})
            for rank in "01"
        ]
        assert [task.wait() for task in tasks] == [0, 0]
        assert server.requests == SENT
        open_notebook(settings, file, server)


@pytest.mark.parametrize(
    ("executor", "teacher", "message"),
    [
        ("slurm", TEACHER, "--partition"),
        ("ray", TEACHER, "Ray is not installed"),
        ("local", {"kind": "extractive"}, "extractive needs no workers"),
    ],
)
def test_workers_that_cannot_start_say_why(executor, teacher, message, file, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    settings = dbke.Synthesis.require(make_params() | {"teacher": teacher})
    assert pipeline.run_workers(settings, file, executor, RESOURCES) == 2
    assert message in capsys.readouterr().err
    assert not file.with_name("ledger.shards").joinpath("job.json").exists()


def test_the_command_fills_the_ledger_that_the_notebook_opens(tmp_path, monkeypatch, capsys):
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    with Server() as server:
        params = make_params(articles=1, questions=1, base_url=server.base_url) | {"study": "far"}
        monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(tmp_path))
        (tmp_path / "params/far").mkdir(parents=True)
        (tmp_path / "params/far/01_dbke.yaml").write_text(json.dumps(params))  # JSON is YAML
        assert cli.main(["synthesise", "far", "--tasks", "2"]) == 0
        assert "ledger.sqlite: 5 replies of 5 attempts" in capsys.readouterr().out
        run = runs.start("far", "01_dbke", 0, params)
        settings = run.settings(dbke.Synthesis)
        assert run_notebook(settings, run.persistent_file("ledger"))[0]
        assert server.requests == 5


def test_the_ledger_of_a_run_of_a_sweep_is_that_of_its_first_step(monkeypatch):
    ledgers = []
    monkeypatch.setattr(pipeline, "run_workers", lambda _, ledger, *rest: ledgers.append(ledger))
    cli.main(["synthesise", "dbke_effect/raw_d0_t0"])
    (ledger,) = ledgers
    folder = ROOT / "outputs/dbke_effect/raw_d0"
    assert ledger == folder / ".01_dbke.persistent/ledger.sqlite"


def test_without_datatrove_the_command_says_what_to_install(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "clinical_camel.dbke.pipeline")
    monkeypatch.delattr(dbke, "pipeline")
    for name in [name for name in sys.modules if name.partition(".")[0] == "datatrove"]:
        monkeypatch.setitem(sys.modules, name, None)
    assert cli.main(["synthesise", "mini_camel"]) == 2
    assert "pip install -e '.[scale]'" in capsys.readouterr().err


def test_an_sbatch_option_without_a_value_is_rejected(capsys):
    with pytest.raises(SystemExit):
        cli.main(["synthesise", "mini_camel", "--sbatch", "account"])
    assert "--sbatch: 'account' is not NAME=VALUE" in capsys.readouterr().err
