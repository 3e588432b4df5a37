"""The command: refused options, time for each step, and the decision."""

import json
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from clinical_camel import cli, rehearse
from clinical_camel.note_synthesis import NoteTask
from clinical_camel.rehearse import command, forecast
from clinical_camel.runner.jobs import Job, PlanError, load_job


@pytest.mark.parametrize("minutes", [0.5, 500.0])
def test_minutes_outside_the_range_are_refused_with_the_range(minutes, capsys):
    assert cli.main(["rehearse", "mini_camel", "--minutes", str(minutes)]) == 2
    expected = f"--minutes: {minutes:g} is not allowed; write 1 to 240"
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize("steps", [[], ["02"]])
def test_a_sweep_is_refused_with_the_name_of_a_run(steps, capsys):
    assert cli.main(["rehearse", "dbke_effect", *steps]) == 2
    assert "dbke_effect is a sweep; name one of its runs" in capsys.readouterr().err


def test_an_unknown_study_is_refused_with_the_nearest_name(capsys):
    assert cli.main(["rehearse", "mini_camle"]) == 2
    assert "mini_camel" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["02"], ["02", "--minutes", "1"], ["--minutes", "1", "02"]])
def test_only_the_named_steps_are_rehearsed(words, monkeypatch):
    steps = []

    def note(study, jobs, minutes, rate):
        steps.extend(job.step for job in jobs)
        return 0

    monkeypatch.setattr(rehearse, "rehearse_study", note)
    assert cli.main(["rehearse", "mini_camel", *words]) == 0
    assert steps == ["02_sft_qlora"]


def test_a_stopped_rehearsal_names_the_file_with_the_finished_steps(monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(rehearse, "rehearse_study", stop)
    assert cli.main(["rehearse", "mini_camel"]) == 130
    expected = "stopped; steps that ended are in outputs/mini_camel/rehearsal.json"
    assert expected in capsys.readouterr().err


def test_several_processes_are_refused(monkeypatch):
    monkeypatch.setattr(command.launch, "world_size", lambda: 2)
    with pytest.raises(PlanError, match="leave the launcher out"):
        command.require_options("mini_camel", 10.0)


def test_steps_share_the_seconds_that_remain(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(command.time, "monotonic", lambda: now[0])
    clock = command._Clock(600.0, 0.0, ["02_sft_qlora", "03_eval_fewshot"])
    measured = (1 - command.FIXED) * 600
    assert clock.allot("02_sft_qlora") == pytest.approx(measured * 0.5 / 0.75)
    now[0] = 500.0
    assert clock.allot("03_eval_fewshot") == pytest.approx((1 - command.FIXED) * 100)
    late = command._Clock(60.0, -1000.0, ["02_sft_qlora"])
    assert late.allot("02_sft_qlora") == 5.0


@pytest.mark.parametrize(
    ("needed", "on_gpu", "is_tried"),
    [(8, False, True), (10, False, False), (10, True, True), (14, True, True), (16, True, False)],
)
def test_a_step_that_would_exhaust_the_memory_is_not_tried(needed, on_gpu, is_tried, monkeypatch):
    monkeypatch.setattr(command, "suggest_smaller", lambda job, room, profile: f"set x: {room:.0f}")
    cost = SimpleNamespace(memory={"base": needed * 10**9}, machine="cpu")
    problem = command.check_room(None, cost, 10 * 10**9, on_gpu)
    assert (problem == "") == is_tried
    assert (
        is_tried
        or f"needs about {needed}.0 GB (plan), 10.0 are free here; set x: 9000000000" in problem
    )


@pytest.fixture
def plan_memory(monkeypatch):
    """Let `plan` say this many bytes of the settings of a step."""

    def replace(count) -> None:
        monkeypatch.setattr(
            command.estimate,
            "estimate_step",
            lambda job, profile: SimpleNamespace(memory={"all": count(job.settings)}),
        )

    return replace


def change(study: str, step: str, **changes) -> Job:
    job = load_job(study, step)
    return Job(study, step, job.params | changes, job.inputs)


def test_a_training_that_cannot_fit_gets_the_first_settings_with_which_it_fits(plan_memory):
    job = change("mini_camel", "02_sft_qlora", quantize="", batch_size=4)
    plan_memory(lambda s: s.batch_size * (2 if s.gradient_checkpointing_layers == -1 else 4))
    layers = "gradient_checkpointing_layers: -1"
    assert command.suggest_smaller(job, 8, "cpu") == f"set {layers}"
    smaller = "gradient_accumulation_steps: 4, batch_size: 1"
    assert command.suggest_smaller(job, 2, "cpu") == f"set {layers}, {smaller}"
    plan_memory(lambda s: 10 if s.quantize == "nf4" else 20)
    assert command.suggest_smaller(job, 10, "cpu") == f"set {layers}, {smaller}, quantize: nf4"
    plan_memory(lambda s: s.max_length)
    assert command.suggest_smaller(job, 256, "cpu").endswith("quantize: nf4, max_length: 256")
    assert command.suggest_smaller(job, 1, "cpu").endswith("a smaller model: no setting is enough")


def test_an_evaluation_or_a_teacher_that_cannot_fit_gets_a_token_budget(plan_memory):
    job = change("mini_camel", "03_eval_fewshot", token_budget=4096)
    plan_memory(lambda s: s.token_budget)
    assert command.suggest_smaller(job, 1024, "cpu") == "set token_budget: 1024"
    teacher = {"kind": "local", "model": "mini", "terms": "own", "token_budget": 4096}
    job = change("mini_camel", "01_dbke", teacher=teacher | {"quantize": "int8"})
    plan_memory(lambda s: s.teacher.token_budget + (s.teacher.quantize == "int8"))
    expected = "set teacher.quantize: nf4, teacher.token_budget: 2048"
    assert command.suggest_smaller(job, 2048, "cpu") == expected


def test_a_length_that_other_settings_refuse_is_not_suggested(plan_memory):
    lengths = {"max_prompt_tokens": 352, "max_new_tokens": 48, "reward_max_length": 512}
    job = change("clinicalgpt_mini", "07_reward_and_rl", token_budget=600, **lengths)
    plan_memory(lambda s: s.token_budget)
    assert command.suggest_smaller(job, 1, "cpu").endswith("a smaller model: no setting is enough")


def test_each_step_is_on_disk_before_the_next_one_and_a_stopped_rehearsal_is_no_go(
    project, monkeypatch, forecast_of
):
    names = ["02_sft_qlora", "07_reward_and_rl"]
    jobs = [SimpleNamespace(step=name, settings=None, params={}) for name in names]
    costs = [
        SimpleNamespace(step=name, base=None, disk={}, money=0.0, money_cap=0.0) for name in names
    ]
    monkeypatch.setattr(command, "sort_jobs", list)
    monkeypatch.setattr(command.estimate, "estimate_study", lambda jobs, machine: costs)
    monkeypatch.setattr(command, "open_stage", lambda *_: nullcontext())

    def rehearse(step):
        if step.job.step != names[0]:
            raise KeyboardInterrupt
        return forecast_of()

    monkeypatch.setattr(command._Step, "rehearse", rehearse)
    clock = iter(range(0, 6000, 30))  # half a minute more at every look
    monkeypatch.setattr(command, "time", SimpleNamespace(monotonic=clock.__next__))
    with pytest.raises(KeyboardInterrupt):
        command.rehearse_study("a_study", jobs, 10.0, 0.0)
    values = json.loads((project.root / "outputs/a_study/rehearsal.json").read_text())
    assert [step["step"] for step in values["steps"]] == names[:1]
    assert not values["go"]
    assert values["elapsed"] >= 0.5
    assert values["reasons"] == ["stopped before 07_reward_and_rl; rehearse the study again"]


@pytest.mark.parametrize(
    ("name", "base", "remark"),
    [
        ("05_loss_curves", None, command.TABLES),
        ("07_reward_and_rl", object(), forecast.UNMEASURED),
        ("08_eval_replies", object(), forecast.UNMEASURED),
    ],
)
def test_a_step_with_a_model_that_is_not_rehearsed_is_not_called_tables(name, base, remark):
    values = {"memory": {}, "seconds": {}, "money": 0.0, "step": name, "base": base}
    job, cost = SimpleNamespace(step=name), SimpleNamespace(**values)
    assert command._Step(None, job, cost, None, None).rehearse().remarks == [remark]


def test_notes_of_a_server_are_not_rehearsed_and_leave_their_time_to_others(monkeypatch):
    monkeypatch.setattr(command, "check_room", lambda *_: "")
    name = "04_note_synthesis"
    job = SimpleNamespace(step=name, settings=NoteTask(server="http://127.0.0.1:8000/v1"))
    values = {"memory": {}, "seconds": {"work": 9.0}, "money": 0.0, "step": name}
    clock = command._Clock(60.0, 0.0, ["03_eval_fewshot", name])
    cost = SimpleNamespace(**values, base=object())
    step = command._Step(None, job, cost, clock, None).rehearse()
    assert step.remarks == [command.SERVER, forecast.UNMEASURED]
    assert (step.rehearsed, step.failed, step.seconds) == (False, "", 9.0)
    assert clock.remaining == ["03_eval_fewshot"]


@pytest.mark.parametrize(("needed", "fits"), [(8, True), (10, False)])
def test_a_step_that_is_only_planned_must_fit_too(needed, fits, monkeypatch):
    monkeypatch.setattr(command, "measure_available", lambda: 10 * 10**9)
    monkeypatch.setattr(command, "has_gpu", lambda: True)  # nothing is tried on it
    monkeypatch.setattr(command, "suggest_smaller", lambda *_: "set x: 1")
    values = {"seconds": {}, "money": 0.0, "step": "07_reward_and_rl", "base": object()}
    cost = SimpleNamespace(memory={"base": needed * 10**9}, machine="h100", **values)
    job = SimpleNamespace(step="07_reward_and_rl")
    step = command._Step(None, job, cost, None, None).rehearse()
    reason = "needs about 10.0 GB (plan), 10.0 are free here; set x: 1"
    assert step.failed == ("" if fits else reason)


def test_a_step_that_cannot_be_prepared_fails_and_the_others_run(monkeypatch, capsys):
    def fail(_):
        raise FileNotFoundError("model: nobody/nothing: no config.json")

    monkeypatch.setattr(command._Step, "run", fail)
    values = {"memory": {}, "seconds": {"work": 5.0}, "money": 0.0, "step": "02_sft_qlora"}
    job, cost = SimpleNamespace(step="02_sft_qlora"), SimpleNamespace(**values)
    step = command._Step(None, job, cost, None, None).rehearse()
    assert step.failed == "model: nobody/nothing: no config.json"
    assert not step.rehearsed
    assert "02_sft_qlora  failed: model: nobody/nothing" in capsys.readouterr().out


def test_the_decision_has_reasons_code_machine_and_speeds(forecast_of):
    cost = SimpleNamespace(
        step="02_sft_qlora", base=None, disk={"tables": 1}, money=0.0, money_cap=0.0
    )
    failed = forecast_of(failed="In [6]: KeyError: 'x'", facts={"device": {"threads": 1}})
    rehearsal = command.conclude("a", [cost], [failed], 2.5, 10.0, 9.0)
    assert not rehearsal.go
    assert rehearsal.reasons == ["02_sft_qlora: In [6]: KeyError: 'x'"]
    assert rehearsal.machine["threads"] == 1
    assert rehearsal.machine["memory"] > 0
    assert rehearsal.code["source_hash"]
    assert command.conclude("a", [cost], [forecast_of()], 2.5, 10.0, 9.0).go
    named = command.conclude("mini_camel", [cost], [forecast_of()], 2.5, 10.0, 9.0)
    others = ["01_dbke", "03_eval_fewshot", "04_note_synthesis"]
    others += ["05_loss_curves", "09_score_checks"]
    assert (rehearsal.omitted, named.omitted) == ([], others)


def test_the_machine_is_that_of_a_step_with_a_model(forecast_of):
    """A step without one records neither the GPU nor the threads."""
    names = ("01_dbke", "02_sft_qlora")
    costs = [
        SimpleNamespace(step=name, base=None, disk={}, money=0.0, money_cap=0.0) for name in names
    ]
    for device in ({"threads": 2}, {"threads": 1, "gpu": ["NVIDIA H200"]}):
        devices = [{"threads": 1}, device]
        steps = [
            forecast_of(name, facts={"device": one})
            for name, one in zip(names, devices, strict=True)
        ]
        rehearsal = command.conclude("a", costs, steps, 2.5, 10.0, 9.0)
        assert {key: rehearsal.machine[key] for key in device} == device
    assert command.choose_machine([]) == {}


@pytest.mark.parametrize(
    ("gpu", "profile", "text"),
    [
        ("", "cpu", "this CPU"),
        ("NVIDIA H200", "h200", "NVIDIA H200 (profile h200)"),
        ("Tesla T4", "a100", "Tesla T4 (profile a100, the nearest by its memory)"),
    ],
)
def test_a_rehearsal_is_compared_with_the_profile_of_this_machine(
    gpu, profile, text, project, monkeypatch, capsys
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: bool(gpu))
    monkeypatch.setattr("torch.cuda.get_device_name", lambda _: gpu)
    monkeypatch.setattr(
        "torch.cuda.get_device_properties", lambda _: SimpleNamespace(total_memory=16 * 10**9)
    )
    machines = []

    def estimate_study(jobs, machine):
        machines.append(machine)
        raise PlanError("enough")

    monkeypatch.setattr(command.estimate, "estimate_study", estimate_study)
    with pytest.raises(PlanError, match="enough"):
        command.rehearse_study("a_study", [], 10.0, 0.0)
    assert machines == [profile]
    assert f"what `plan` estimates for {text}, then 10 minutes" in capsys.readouterr().out


def test_the_work_of_missing_sets_is_counted_for_the_same_profile(monkeypatch):
    machines = []

    def estimate_step(job, machine):
        machines.append(machine)
        return SimpleNamespace(seconds={"work": 6.0 if job.params["whole"] else 2.0})

    monkeypatch.setattr(command.estimate, "estimate_step", estimate_step)
    all_sets, part = (Job("a", "03_eval_fewshot", {"whole": whole}, []) for whole in (True, False))
    step = command._Step(None, all_sets, SimpleNamespace(machine="h200"), None, None)
    assert step.find_ratio(part) == 3.0
    assert machines == ["h200", "h200"]
