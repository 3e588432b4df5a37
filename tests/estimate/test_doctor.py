"""Every kind of finding of `doctor`, without a GPU and without a network."""

import http.server
import threading

import pytest

from clinical_camel import dbke, models, teachers
from clinical_camel.estimate import Cost, doctor, find_base
from clinical_camel.estimate.disks import Disk
from clinical_camel.estimate.doctor import DIALOGUE, GB, Finding
from clinical_camel.estimate.work import Work
from clinical_camel.eval_replies.settings import EvalReplies
from clinical_camel.note_synthesis import NoteTask
from clinical_camel.reward_and_rl.settings import RewardAndRl
from clinical_camel.runner.jobs import load_job
from clinical_camel.teachers.secrets import KEY_VARIABLE


def list_statuses(findings) -> list[str]:
    return [finding.status for finding in findings]


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("warning", 0), ("problem", 1)])
def test_only_a_problem_gives_exit_code_1(status, code, monkeypatch, capsys):
    findings = [Finding(status, "disk", "1 GB free", "free some"), Finding("ok", "hub", "answers")]
    monkeypatch.setattr(doctor, "check_machine", lambda jobs, offline: iter(findings))
    assert doctor.print_findings([]) == code
    lines = [f"{status:<8} disk         1 GB free; free some", "ok       hub          answers"]
    assert capsys.readouterr().out.splitlines() == lines


def test_a_missing_package_is_a_problem_and_another_version_a_warning(project, monkeypatch):
    """A build counts as its version; a package that only extras need may be missing."""
    project.file("pyproject.toml", '[project]\ndependencies = ["torch==2.13.0", "rouge-score"]\n')
    lock = "# pinned\ntorch==2.13.0\nlm-eval[hf]==0.4.13\nRouge_Score==0.1.2\n"
    project.file("requirements.lock", lock)

    def check(**installed):
        versions = {name.replace("_", "-"): version for name, version in installed.items()}
        monkeypatch.setattr(doctor, "list_installed", lambda: versions)
        return [(finding.status, finding.text) for finding in doctor.check_packages()][1:]

    good = [("ok", "as in requirements.lock")]
    assert check(torch="2.13.0+cu130", rouge_score="0.1.2") == good
    assert check(rouge_score="0.1.1") == [
        ("problem", "torch is not installed"),
        ("warning", "Rouge_Score 0.1.1, the lock has 0.1.2"),
    ]


def test_threads_that_spin_give_a_warning():
    assert list_statuses(doctor.check_threads({"OMP_WAIT_POLICY": "passive"})) == ["ok"]
    (finding,) = doctor.check_threads({"OMP_WAIT_POLICY": "active"})
    assert (finding.status, "export OMP_WAIT_POLICY=passive" in finding.remedy) == ("warning", True)


def test_a_machine_without_a_gpu_gives_a_warning(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert list_statuses(doctor.check_gpus()) == ["warning"]
    assert doctor.find_gpu() == ("", 0)


def test_what_a_gpu_does_not_have_is_named(monkeypatch):
    for name, value in {
        "is_available": True,
        "device_count": 2,
        "mem_get_info": (40 * GB, 80 * GB),
        "get_device_capability": (7, 0),
        "get_device_name": "Tesla V100",
        "is_bf16_supported": False,
    }.items():
        monkeypatch.setattr(f"torch.cuda.{name}", lambda *_, value=value, **__: value)
    several, *others = doctor.check_gpus()
    assert (several.status, "CUDA_VISIBLE_DEVICES=0" in several.remedy) == ("problem", True)
    assert [(finding.name, finding.status) for finding in others] == [
        ("GPU", "ok"),
        ("GPU memory", "warning"),
        ("bfloat16", "warning"),
    ]
    assert doctor.find_gpu() == ("a100", 40 * GB)  # nearest to its 80 GB, the slowest


@pytest.mark.parametrize(
    ("disk", "memory", "expected"),
    [
        (9, 9, ["ok", "ok"]),
        (4, 9, ["warning", "ok"]),
        (2, 9, ["problem", "ok"]),
        (9, 1, ["ok", "problem"]),
    ],
)
def test_disk_and_memory_are_compared_with_the_estimate(disk, memory, expected):
    cost = Cost("s", "02_a", "cpu", Work(), None, {"all": 2 * GB})
    disks = [Disk("disk", 3 * GB, disk * GB, "free some")]
    findings = doctor.check_space([cost], disks, memory * GB, 0)
    statuses = {finding.name: finding.status for finding in findings}
    assert [statuses["disk"], statuses["memory"]] == expected


def test_the_memory_of_a_larger_model_on_a_cpu_is_that_of_the_machine():
    cost = Cost("s", "02_a", "cpu_large", Work(), find_base("mini"), {"all": 3 * GB})
    statuses = {f.name: f.status for f in doctor.check_space([cost], [], 2 * GB, 0)}
    assert statuses["memory"] == "problem"
    assert "GPU memory" not in statuses


def test_a_step_that_does_not_fit_the_gpu_is_a_problem():
    base = find_base("mini")
    cost = Cost("s", "02_a", "h100", Work(), base, {"all": 50 * GB})
    findings = doctor.check_space([cost], [], 9 * GB, 40 * GB)
    texts = [finding.text for finding in findings if finding.name == "GPU memory"]
    assert texts == ["02_a needs 50.0 GB, 40.0 GB are free"]
    findings = doctor.check_space([cost], [], 9 * GB, 60 * GB)
    assert "GPU memory" not in {finding.name for finding in findings}


@pytest.mark.parametrize(
    ("model", "template", "status"),
    [
        ("mini", "", "ok"),
        ("mini", "llama3", "problem"),  # no end token
        ("nobody/nothing-of-this-name", "mini", "warning"),
    ],
)
def test_a_template_is_checked_with_the_tokenizer(model, template, status):
    assert list_statuses(doctor.check_template(model, template)) == [status]


def test_a_model_that_is_not_fetched_is_a_problem_with_the_command(project):
    (finding,) = doctor.check_fetches(["mini", "owner/name", "smollm2_135m"])
    assert str(finding) == (
        "problem  base         smollm2_135m is not on this machine; "
        "run python -m clinical_camel fetch smollm2_135m"
    )
    (finding,) = doctor.check_fetches(["mini_4m"])
    assert str(finding).endswith("; run python -m clinical_camel.mini.build --size 4m")
    assert list_statuses(doctor.check_template("smollm2_135m", "chatml")) == ["warning"]
    project.file("data/models/smollm2_135m/config.json", "{}")
    assert list(doctor.check_fetches(["smollm2_135m"])) == []


def test_what_a_model_would_learn_wrongly_is_a_problem():
    tokenizer = models.load_tokenizer("mini")
    row = models.tokenize_dialogue(tokenizer, DIALOGUE, "assistant")
    ids, labels, end = row["input_ids"], row["labels"], tokenizer.eos_token_id

    def check(ids, labels):
        return list(doctor.check_loss_mask(tokenizer, {"input_ids": ids, "labels": labels}))

    twice = check([tokenizer.bos_token_id, *ids], [models.IGNORE_INDEX, *labels])
    assert twice == ["2 BOS tokens in a dialogue, not one"]
    without_end = check(ids, [models.IGNORE_INDEX if n == end else n for n in labels])
    assert ["not the end token" in problem for problem in without_end] == [True, True]
    padded = check(ids, [*labels[:-1], tokenizer.pad_token_id])
    assert any("the pad token" in problem for problem in padded)
    assert "1 spans have loss, not the 2 replies" in check(ids, ids)


def check_teacher(settings) -> str:
    return str(next(iter(doctor.check_teacher(settings, offline=True))))


def make_endpoint(base_url, **more):
    values = {"model": "m", "terms": "own", "money_cap": 0.0, "token_cap": 9000, **more}
    return dbke.OpenAI(base_url=base_url, **values)


@pytest.mark.parametrize(
    ("teacher", "text"),
    [
        (dbke.Extractive(), "ok       teacher      extractive"),
        (dbke.Local(model="mini", terms="own"), "ok       teacher      local mini"),
        (dbke.Local(model="data/nowhere", terms="own"), "problem  teacher      data/no"),
        (
            dbke.Replay(ledger="data/no.sqlite", terms="own"),
            "problem  teacher      teacher.ledger: data/no.sqlite is not a file",
        ),
    ],
)
def test_what_a_teacher_needs_and_does_not_have_is_a_problem(teacher, text):
    assert check_teacher(teacher).startswith(text)


def test_a_hosted_teacher_needs_its_key_and_gets_no_request_offline(monkeypatch):
    teacher = make_endpoint("https://h.invalid/v1")
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    assert f"a key in the environment as {KEY_VARIABLE}" in check_teacher(teacher)
    monkeypatch.setenv(KEY_VARIABLE, "a-word-1")
    assert check_teacher(teacher).endswith("endpoint not checked: HF_HUB_OFFLINE is set")


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (teachers.Overlap(), "ok       judge        overlap, a rule: no language model"),
        (teachers.Local(model="mini", terms="own"), "ok       judge        local mini"),
        (
            teachers.Replay(ledger="data/no.sqlite", terms="own"),
            "problem  judge        judge.ledger: data/no.sqlite is not a file",
        ),
        (make_endpoint("https://h.invalid/v1"), "ok       judge        endpoint not checked: HF"),
    ],
)
def test_a_judge_is_checked_like_a_teacher(settings, line, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "a-word-1")
    assert str(next(iter(doctor.check_judge(settings, offline=True)))).startswith(line)


@pytest.mark.parametrize(
    ("names", "count"),
    [
        ({"rankers": ["rule"]}, 0),
        ({"rankers": ["rule", "judge"]}, 1),
        ({"rankers": ["rule"], "gold": "judge"}, 1),
    ],
)
def test_a_judge_that_no_setting_names_gets_no_request(names, count):
    endpoint = make_endpoint("https://h.invalid/v1")
    listed = doctor.list_judges([RewardAndRl(judge=endpoint, **names), dbke.Synthesis()])
    assert listed == [endpoint] * count
    assert doctor.list_judges([EvalReplies(judge=endpoint)]) == [endpoint]


def test_the_caps_are_told_and_prices_of_zero_are_not_hidden():
    free, priced = make_endpoint("https://h/v1"), make_endpoint("https://h/v1", price_in=1.0)
    assert doctor.describe_limits(free) == (
        "no money is counted, because both prices are 0.0; token_cap 9,000"
    )
    assert doctor.describe_limits(priced) == "money_cap 0.0, token_cap 9,000"


@pytest.fixture
def server():
    """The address of a server, and its requests: path and authorization. It redirects for .json."""
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append((self.path, self.headers.get("Authorization")))
            self.send_response(302 if self.path.endswith(".json") else 200)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(b'{"data": [{"id": "m"}]}')

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", requests
    server.shutdown()
    server.server_close()


def test_an_endpoint_gets_the_teachers_key_and_not_the_hubs(server, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "a-word-1")
    monkeypatch.setattr(doctor, "get_token", lambda: "another")
    line = check_teacher(make_endpoint(f"{server[0]}/v1", price_in=1.0))  # it may spend nothing
    assert server[1] == [("/v1/models", "Bearer a-word-1")]
    assert line.startswith(f"ok       teacher      {server[0]}/v1 lists m")


def test_the_server_of_the_notes_is_checked(server, project, monkeypatch):
    task = NoteTask(server=f"{server[0]}/v1", adapters={"m": ""})
    monkeypatch.setattr("clinical_camel.note_synthesis.server.name_model", lambda llm: llm.name)
    finding = doctor.check_server(task)
    assert str(finding).split() == f"ok notes {server[0]}/v1 serves m".split()
    other = doctor.check_server(task.model_copy(update={"adapters": {"tuned": ""}}))
    assert str(other).startswith(f"problem  notes        server: {server[0]}/v1 serves m, but not")
    assert other.remedy.startswith("start it: VLLM_NO_USAGE_STATS=1")
    early = task.model_copy(update={"adapters": {"tuned": "outputs/later/02_sft_qlora/adapter"}})
    finding = doctor.check_server(early)
    assert finding.status == "warning"
    assert finding.text.endswith("not checked: step 04 has no models yet")
    monkeypatch.setattr(models, "load_without_weights", None)  # would download them
    assert doctor.check_server(task, must_download=True) == finding


def test_without_a_network_the_hub_is_not_checked():
    assert list(doctor.check_hub([])) == [Finding("ok", "hub", "not checked: no network")]
    (finding,) = doctor.check_hub(["meta-llama/Llama-2-7b-hf"])
    assert finding.status == "warning"
    assert "needed for meta-llama/Llama-2-7b-hf" in finding.remedy
    (finding,) = doctor.check_hub(["meta-llama/Llama-2-7b-hf"], offline=True)
    assert finding.text == "not checked: HF_HUB_OFFLINE is set"


@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, "ok"), (401, "problem"), (403, "problem"), (404, "problem"), (500, "warning")],
)
def test_the_answer_of_the_hub_gives_a_finding(status, expected):
    assert doctor.interpret_access("a/b", status).status == expected


def test_a_stored_token_is_sent_only_to_the_hub_and_never_printed(server, monkeypatch):
    monkeypatch.setattr(doctor, "get_token", lambda: "a stored word")
    monkeypatch.setattr(doctor, "HUB", server[0])
    lines = [str(finding) for finding in doctor.check_hub(["a/b"])]
    assert [line.split()[0] for line in lines] == ["ok", "ok"]
    paths = ("/", "/a/b/resolve/main/config.json")
    assert server[1] == [(path, "Bearer a stored word") for path in paths]
    assert not any("a stored word" in line for line in lines)


def test_all_checks_run_from_packages_to_hub():
    jobs = [load_job("mini_camel", step) for step in ("01_dbke", "02_sft_qlora")]
    names = [finding.name for finding in doctor.check_machine(jobs, offline=True)]
    assert names[0] == "Python"
    assert names[-3:] == ["template", "teacher", "hub"]
    assert {"disk", "memory", "hub cache"} < set(names)
