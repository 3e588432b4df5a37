"""Wrong params files of every kind, for each of the real notebooks, in one process."""

import importlib
import subprocess
import sys

import pytest
from drills import bad_params

import clinical_camel.__main__  # noqa: F401  hands the dataset check over, as the command does
from clinical_camel import runs
from clinical_camel.runner import jobs, study
from clinical_camel.runs import rules

STEPS = sorted(p.stem for p in (bad_params.REPOSITORY / "notebooks").glob("[0-9]*.ipynb"))


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    root = tmp_path_factory.mktemp("copy")
    bad_params.copy_project(root)
    return root


@pytest.fixture
def study(copy, monkeypatch):
    """The params folder of a copy of the study, whole again after the test."""
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(copy))
    folder = copy / "params" / bad_params.STUDY
    good = {file: file.read_bytes() for file in folder.glob("*.yaml")}
    yield folder
    for file, content in good.items():
        file.write_bytes(content)


def test_the_undamaged_study_is_in_order(study):
    assert [job.step for job in jobs.sort_jobs(jobs.load_jobs(bad_params.STUDY))] == STEPS


def test_there_are_enough_kinds_and_notebooks():
    assert len(bad_params.KINDS) >= 40
    assert len(STEPS) == 5


@pytest.mark.parametrize("kind", bad_params.KINDS)
def test_a_wrong_params_file_is_refused_before_anything_starts(kind, study, capsys):
    """Five cases at once, since all problems of a study come in one message."""
    make = bad_params.KINDS[kind]
    named = {step: bad_params.damage(study / f"{step}.yaml", make) for step in STEPS}
    assert study.main(["run", bad_params.STUDY]) == 2
    lines = capsys.readouterr().err.splitlines()
    for step, name in named.items():
        file = f"params/{bad_params.STUDY}/{step}.yaml: "
        assert [line for line in lines if line.startswith(file) and name in line], (step, lines)
    assert not (study.parents[1] / "outputs").exists()


# ------------------------------------------------------------------------------- the rules


def declared() -> dict[str, str]:
    found = {}
    for step in STEPS:
        notebook = bad_params.REPOSITORY / "notebooks" / f"{step}.ipynb"
        found |= {name: param.annotation for name, param in runs.declared_params(notebook).items()}
    return found


def test_every_parameter_has_a_rule_or_is_declared_free():
    tables = (rules.RANGES, rules.CHOICES, rules.DATASETS, rules.TABLES, rules.FREE)
    assert {name for table in tables for name in table} == declared().keys()


def test_every_number_has_a_range():
    numbers = {name for name, kind in declared().items() if "int" in kind or "float" in kind}
    assert numbers == rules.RANGES.keys()


def test_what_may_be_empty_is_written_down():
    several = {name for name, kind in declared().items() if kind.startswith(("list", "dict"))}
    assert several - rules.NEEDED == {
        *("questions", "exemplars", "scores", "training_sources", "speedups"),
        *("note_exemplars", "other_decodings", "licences"),
        *("evaluation_sets", "article_limits"),
    }


@pytest.mark.parametrize("name", rules.CHOICES)
def test_a_closed_set_is_the_one_that_the_module_acts_on(name):
    module, _, constant = rules.CHOICES[name].rpartition(".")
    acts_on = getattr(importlib.import_module(f"clinical_camel.{module}"), constant)
    assert rules.constant(rules.CHOICES[name]) == tuple(acts_on)


def test_schedulers_and_optimizers_are_known_to_the_trainer():
    from transformers import SchedulerType
    from transformers.training_args import OptimizerNames

    from clinical_camel import sft_qlora

    assert set(sft_qlora.LR_SCHEDULERS) <= {member.value for member in SchedulerType}
    assert set(sft_qlora.OPTIMIZERS) <= {member.value for member in OptimizerNames}


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("seed", [0, 2**32 - 1], [-1, 2**32]),
        ("mixture", [{"a": 0.0, "b": 2.5}], [{"a": 1.0, "b": -0.01}]),
        ("warmup_steps", [0.0, 0.99, 100.0], [-1.0]),
        ("top_p", [0.01, 1.0], [0.0, 1.01]),
        ("max_grad_norm", [0.01], [0.0]),
        ("num_shots", [[0], [5]], [[-1]]),
    ],
)
def test_a_range_holds_its_ends_as_it_says(name, inside, outside):
    limits = rules.RANGES[name]
    assert [v for v in inside if list(rules._outside(name, v, limits))] == []
    assert [v for v in outside if not list(rules._outside(name, v, limits))] == []


EXAM = '{"id": "1", "question": "Q?", "options": ["a", "b"], "answer": 0}\n'
BASE = {"benchmarks": ["mini_exam"], "exemplars": {"mini_exam": "mini_exam_train"}}


@pytest.mark.parametrize(
    ("params", "says"),
    [
        (BASE | {"num_shots": [0, 5], "exemplars": {}}, "num_shots: 5 asked for, but exemplars"),
        (BASE | {"exemplars": {"mini_exams": "mini_exam_train"}}, "did you mean mini_exam?"),
        ({"benchmarks": ["a/x.jsonl", "b/x.jsonl"]}, "two are called x"),
        ({"published_system": "clinical_camel:71b"}, "did you mean clinical_camel:70b?"),
        ({"mixture": {"mini_chat": 0.0}}, "mixture: every share is 0.0"),
        ({"sections": []}, "sections: is empty"),
        ({"chat_template": "llama"}, 'chat_template: "llama" is not one of "", mini'),
        ({"adapters": {"": ""}}, "adapters (a key): is empty"),
        ({"benchmarks": ["mts_dialog"]}, "holds Consultation rows"),
        ({"training_sources": ["mini_exam"]}, "mini_exam is an evaluation set"),
        ({"training_sources": ["my/z.jsonl"]}, "my/z.jsonl"),
        ({"image_questions": "none"}, 'image_questions: "none" is not one of in, out'),
        ({"consultations": ["mts_dialog"]}, "mts_dialog@data/public"),
        (
            {"articles": ["mini_articles@my/x.jsonl"]},
            "x.jsonl: line 1: field answer is not part of Article",
        ),
    ],
)
def test_a_value_that_cannot_be_run_is_refused_by_name(params, says, project):
    for folder in ("a", "b", "my"):
        project.file(f"{folder}/x.jsonl", EXAM)
    assert says in "\n".join(rules.problems(params, project.root))


def test_an_exam_in_the_own_shape_fits_and_zero_shots_need_no_examples(project):
    project.file("my/exam.jsonl", EXAM)
    params = {"benchmarks": ["my/exam.jsonl"], "exemplars": {}, "num_shots": [0]}
    assert list(rules.problems(params, project.root)) == []


def model_folder(project, *names: str) -> None:
    for name in names:
        project.file(f"my/model/{name}", "{}")


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["config.json", "pytorch_model.bin"], "no .safetensors; other weight files are not"),
        (["x.safetensors"], "my/model has no config.json"),
        (["config.json", "x.safetensors"], "no chat template; set chat_template to one of mini"),
    ],
)
def test_a_model_folder_that_lacks_something_is_refused_before_it_is_loaded(names, says, project):
    model_folder(project, *names)
    params = {"model": "my/model", "chat_template": ""}
    assert says in "\n".join(rules.problems(params, project.root))


def test_a_model_folder_without_a_template_may_borrow_one_of_ours(project):
    model_folder(project, "config.json", "x.safetensors")
    params = {"model": "my/model", "chat_template": "mini"}
    assert list(rules.problems(params, project.root)) == []


def test_the_check_of_a_study_imports_no_torch():
    code = (
        "import sys, clinical_camel.__main__ as m; from clinical_camel.runs import plan\n"
        "plan.load_jobs('mini_camel'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"speedups": ["causal_mask"]}, "speedups: causal_mask keeps what trained_head reads"),
        ({"speedups": ["trained_tail", "fused_lora"]}, "speedups: trained_tail keeps"),
        ({"speedups": ["faster"]}, 'speedups[0]: "faster" is not one of trained_head,'),
        ({"report_to": "nowhere"}, 'report_to: "nowhere" is not one of none, tensorboard'),
        ({"report_to": "dvclive_of_tests"}, "report_to: dvclive_of_tests is not installed; pip"),
    ],
)
def test_shortcuts_and_trackers_are_checked_before_a_kernel_starts(changes, problem, monkeypatch):
    known = rules.constant
    monkeypatch.setattr(
        rules,
        "constant",
        lambda at: known(at) + (("dvclive_of_tests",) if "REPORT_TO" in at else ()),
    )
    params = runs.load_params("mini_camel", "02_sft_qlora")
    assert list(rules.problems(params, bad_params.REPOSITORY)) == []
    found = list(rules.problems(params | changes, bad_params.REPOSITORY))
    assert [line[: len(problem)] for line in found] == [problem]


@pytest.mark.parametrize(
    ("teacher", "given", "says"),
    [
        ("openai", {"teacher_model": "x", "base_url": ""}, "base_url: is empty"),
        ("openai", {"teacher_model": "", "base_url": "https://a.org"}, "teacher_model: is empty"),
        ("local", {"teacher_model": ""}, "teacher_model: is empty"),
        ("replay", {"recorded": ""}, "recorded: is empty"),
        ("local", {"teacher_model": "x", "teacher_terms": "none"}, "teacher_terms: none, but"),
    ],
)
def test_a_teacher_without_what_it_needs_is_refused(teacher, given, says, tmp_path):
    params = {"teacher": teacher, "teacher_terms": "own", **given}
    assert any(problem.startswith(says) for problem in rules.problems(params, tmp_path))
