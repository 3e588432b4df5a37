"""Whether a machine is fit: every kind of finding, without a GPU and without a network."""

import http.server
import threading

import pytest

from clinical_camel import models
from clinical_camel.dbke.teachers.openai import KEY
from clinical_camel.estimate import Cost, doctor, find_base
from clinical_camel.estimate.doctor import GB, Finding
from clinical_camel.estimate.work import Work
from clinical_camel.runner.jobs import load_job


def statuses(findings) -> list[str]:
    return [finding.status for finding in findings]


def test_a_finding_is_one_line_with_what_to_do():
    line = str(Finding("warning", "disk", "1 GB free", "free some"))
    assert line == "warning  disk         1 GB free; free some"


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("warning", 0), ("problem", 1)])
def test_only_a_problem_gives_exit_code_1(status, code, monkeypatch, capsys):
    found = [Finding(status, "disk", "found"), Finding("ok", "hub", "answers")]
    monkeypatch.setattr(doctor, "examine", lambda jobs, offline: iter(found))
    assert doctor.show([]) == code
    assert capsys.readouterr().out.splitlines() == [str(finding) for finding in found]


# -------------------------------------------------------------------------------- packages

LOCK = "# pinned\ntorch==2.13.0\nlm-eval[hf]==0.4.13\nRouge_Score==0.1.2\n"


def test_a_lock_file_is_read_with_extras_and_comments():
    assert doctor.pinned(LOCK) == {"torch": "2.13.0", "lm-eval": "0.4.13", "Rouge_Score": "0.1.2"}


def test_a_build_is_its_version_and_an_extra_may_be_absent(project):
    project.file("pyproject.toml", '[project]\ndependencies = ["torch==2.13.0", "rouge-score"]\n')
    wanted = doctor.pinned(LOCK)
    assert doctor.differences(wanted, {"torch": "2.13.0+cu130", "rouge-score": "0.1.2"}) == []
    found = doctor.differences(wanted, {"rouge-score": "0.1.1"})
    assert found == ["torch is not installed", "Rouge_Score 0.1.1, the lock has 0.1.2"]


def test_a_missing_package_is_a_problem_and_another_version_a_warning(project, monkeypatch):
    project.file("pyproject.toml", '[project]\ndependencies = ["torch==2.13.0"]\n')
    project.file("requirements.lock", LOCK)
    monkeypatch.setattr(doctor, "installed", lambda: {"rouge-score": "9.9"})
    assert statuses(doctor.packages()) == ["ok", "problem", "warning"]
    monkeypatch.setattr(doctor, "installed", lambda: {"torch": "2.13.0", "rouge-score": "0.1.2"})
    assert statuses(doctor.packages()) == ["ok", "ok"]


def test_threads_that_spin_are_warned_of():
    assert statuses(doctor.threads({"OMP_WAIT_POLICY": "passive"})) == ["ok"]
    (found,) = doctor.threads({"OMP_WAIT_POLICY": "active"})
    assert (found.status, "export OMP_WAIT_POLICY=passive" in found.remedy) == ("warning", True)


# ---------------------------------------------------------------------------- GPUs and room


def test_several_gpus_are_a_problem_with_the_way_to_pin_one():
    assert list(doctor.visible(1)) == []
    (found,) = doctor.visible(4)
    assert found.status == "problem"
    assert "CUDA_VISIBLE_DEVICES=0" in found.remedy


def test_a_machine_without_a_gpu_is_said_to_be_one(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert statuses(doctor.gpus()) == ["warning"]
    assert doctor.gpu_at_hand() == ("", 0)


def test_what_a_gpu_lacks_is_named(monkeypatch):
    for name, value in {
        "is_available": True,
        "device_count": 2,
        "mem_get_info": (40 * GB, 80 * GB),
        "get_device_capability": (7, 0),
        "get_device_name": "Tesla V100",
        "is_bf16_supported": False,
    }.items():
        monkeypatch.setattr(f"torch.cuda.{name}", lambda *_, value=value, **__: value)
    found = {finding.name: finding.status for finding in doctor.gpus()}
    assert found == {"GPUs": "problem", "GPU": "ok", "GPU memory": "warning", "bfloat16": "warning"}
    assert doctor.gpu_at_hand() == ("h100", 40 * GB)


@pytest.mark.parametrize(
    ("disk", "memory", "expected"),
    [
        (9, 9, ["ok", "ok"]),
        (4, 9, ["warning", "ok"]),
        (2, 9, ["problem", "ok"]),
        (9, 1, ["ok", "problem"]),
    ],
)
def test_disk_and_memory_are_held_against_the_plan(disk, memory, expected):
    cost = Cost("s", "02_a", "cpu", Work(), None, {"all": 2 * GB}, {"all": 3 * GB})
    found = {f.name: f.status for f in doctor.room([cost], disk * GB, memory * GB, 0)}
    assert [found["disk"], found["memory"]] == expected


def test_a_step_that_does_not_fit_the_gpu_is_a_problem():
    base = find_base("mini")
    cost = Cost("s", "02_a", "h100", Work(), base, {"all": 50 * GB})
    found = [f for f in doctor.room([cost], 9 * GB, 9 * GB, 40 * GB) if f.name == "GPU memory"]
    assert [f.found for f in found] == ["02_a needs 50.0 GB, 40.0 GB are free"]
    assert "GPU memory" not in {f.name for f in doctor.room([cost], 9 * GB, 9 * GB, 60 * GB)}


# -------------------------------------------------------------------------------- template


def test_the_shipped_template_is_right():
    assert statuses(doctor.template_of("mini", "")) == ["ok"]


def test_a_template_that_does_not_exist_is_a_problem_and_an_absent_tokenizer_is_not():
    assert statuses(doctor.template_of("mini", "none such")) == ["problem"]
    assert statuses(doctor.template_of("nobody/nothing-of-this-name", "mini")) == ["warning"]


@pytest.fixture(scope="module")
def encoded():
    tokenizer = models.load_tokenizer("mini")
    return tokenizer, models.encode_dialogue(tokenizer, doctor.ASKED, "assistant")


def test_two_begin_tokens_are_seen(encoded):
    tokenizer, row = encoded
    twice = {
        "input_ids": [tokenizer.bos_token_id, *row["input_ids"]],
        "labels": [models.IGNORE, *row["labels"]],
    }
    found = list(doctor.template_problems(tokenizer, twice))
    assert found == ["2 BOS tokens in a conversation, not one"]


def test_a_reply_without_its_end_token_is_seen(encoded):
    tokenizer, row = encoded
    end = tokenizer.eos_token_id
    cut = row | {"labels": [models.IGNORE if n == end else n for n in row["labels"]]}
    found = list(doctor.template_problems(tokenizer, cut))
    assert len(found) == 2
    assert all("not the end token" in text for text in found)


def test_trained_padding_and_trained_questions_are_seen(encoded):
    tokenizer, row = encoded
    padded = row | {"labels": [*row["labels"][:-1], tokenizer.pad_token_id]}
    found = list(doctor.template_problems(tokenizer, padded))
    assert any("the pad token" in text for text in found)
    everything = row | {"labels": list(row["input_ids"])}
    found = list(doctor.template_problems(tokenizer, everything))
    assert "1 stretches are trained, not the 2 replies" in found


# -------------------------------------------------------------------------------- teacher


def taught_by(**given) -> list[str]:
    params = load_job("mini_camel", "01_dbke").params | given
    return [str(finding) for finding in doctor.teacher_of(params, offline=True)]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"teacher": "extractive"}, "ok       teacher      extractive"),
        ({"teacher": "local", "teacher_model": "mini"}, "ok       teacher      local mini"),
        (
            {"teacher": "local", "teacher_model": "data/nowhere"},
            "problem  teacher      data/no",
        ),
        (
            {"teacher": "replay", "recorded": "data/no.sqlite"},
            "problem  teacher      recorded",
        ),
        ({"teacher": "openai"}, "problem  teacher      base_url, teacher_model: an address"),
    ],
)
def test_what_a_teacher_lacks_is_a_problem(given, said):
    (line,) = taught_by(**given)
    assert line.startswith(said)


def test_a_hosted_teacher_needs_its_key_and_is_not_asked_offline(monkeypatch):
    given = {"teacher": "openai", "teacher_model": "m", "base_url": "https://h.invalid/v1"}
    monkeypatch.delenv(KEY, raising=False)
    assert f"a key in the environment as {KEY}" in taught_by(**given)[0]
    monkeypatch.setenv(KEY, "a word")
    assert taught_by(**given)[0].endswith("endpoint not checked: HF_HUB_OFFLINE is set")


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b'{"data": [{"id": "m"}]}', "ok       teacher      http://h has m"),
        (
            200,
            b'{"data": [{"id": "n"}]}',
            "warning  teacher      http://h answers, and lists not m",
        ),
        (404, b"", "warning  teacher      http://h answers, and lists not m but none"),
        (401, b"", f"problem  teacher      http://h refuses the key in {KEY}"),
        (0, b"", "problem  teacher      http://h does not answer"),
    ],
)
def test_the_answer_of_an_endpoint_is_understood(status, body, said):
    assert str(doctor.endpoint("http://h", "m", status, body)).startswith(said)


def test_an_endpoint_gets_the_teachers_key_and_not_the_hubs(monkeypatch):
    asked = []

    class Endpoint(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers.get("Authorization")))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"data": [{"id": "m"}]}')

        def log_message(self, *_):
            pass

    monkeypatch.setenv(KEY, "a word")
    monkeypatch.setattr(doctor, "get_token", lambda: "another")
    server = http.server.HTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        (line,) = taught_by(teacher="openai", teacher_model="m", base_url=address)
    finally:
        server.shutdown()
        server.server_close()
    assert asked == [("/v1/models", "Bearer a word")]
    assert line == f"ok       teacher      {address} has m"


# ------------------------------------------------------------------------------------ hub


def test_without_a_network_the_hub_is_not_checked_and_said_so():
    assert [str(f) for f in doctor.hub([])] == [
        str(Finding("ok", "hub", "not checked: no network"))
    ]
    (found,) = doctor.hub(["meta-llama/Llama-2-7b-hf"])
    assert found.status == "warning"
    assert "needed for meta-llama/Llama-2-7b-hf" in found.remedy
    (found,) = doctor.hub(["meta-llama/Llama-2-7b-hf"], offline=True)
    assert found.found == "not checked: HF_HUB_OFFLINE is set"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, "ok"),
        (302, "ok"),
        (401, "problem"),
        (403, "problem"),
        (404, "problem"),
        (500, "warning"),
        (0, "warning"),
    ],
)
def test_the_answer_of_the_hub_is_understood(status, expected):
    assert doctor.access("a/b", status).status == expected


def test_a_stored_token_is_sent_to_the_hub_alone_and_never_shown(monkeypatch):
    asked = []

    class Hub(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            asked.append((self.path, self.headers.get("Authorization")))
            self.send_response(302 if self.path.endswith(".json") else 200)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    word = "a stored word"
    monkeypatch.setattr(doctor, "get_token", lambda: word)
    monkeypatch.setattr(doctor, "HUB", f"http://127.0.0.1:{server.server_port}")
    try:
        lines = [str(finding) for finding in doctor.hub(["a/b"])]
    finally:
        server.shutdown()
        server.server_close()
    assert [line.split()[0] for line in lines] == ["ok", "ok"]
    assert asked == [(path, f"Bearer {word}") for path in ("/", "/a/b/resolve/main/config.json")]
    assert not any(word in line for line in lines)


def test_a_study_is_examined_from_packages_to_hub():
    jobs = [load_job("mini_camel", step) for step in ("01_dbke", "02_sft_qlora")]
    names = [finding.name for finding in doctor.examine(jobs, offline=True)]
    assert names[0] == "Python"
    assert names[-3:] == ["template", "teacher", "hub"]
    assert {"disk", "memory", "hub cache"} < set(names)
