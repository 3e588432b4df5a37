"""Step 03 in the formats of lm-evaluation-harness; benchmarks/harness_agreement.py runs it."""

import json

import pandas as pd
import pytest
import yaml
from tests.support.project import Memory

from clinical_camel import eval_fewshot
from clinical_camel.core.paths import root
from clinical_camel.data import Question
from clinical_camel.eval_fewshot import PROTOCOLS

SAME = {"options": ["x", "yy"], "answer": 0}
QUESTIONS, EXEMPLARS = (
    [
        Question(id=f"{name}{i}", question=f"Is it {name}{i}?", subset="st"[i % 2], **SAME)
        for i in range(4)
    ]
    for name in "qe"
)


def exported(protocol, benchmark="toy", num_shots=2, choice="fixed"):
    exemplars = choose(benchmark, num_shots, choice)
    protocol = PROTOCOLS[protocol].for_benchmark(benchmark)
    return eval_fewshot.export_tasks(benchmark, QUESTIONS, exemplars, protocol)


def choose(benchmark, num_shots, choice="fixed"):
    design = eval_fewshot.Design(exemplar_choice=choice)
    return eval_fewshot.choose_exemplars(benchmark, QUESTIONS, EXEMPLARS, num_shots, design)


def test_a_task_file_gives_our_prompt():
    files = exported("letter")
    task = yaml.safe_load(files["toy.yaml"])
    rows = [json.loads(line) for line in files["toy.jsonl"].splitlines()]
    exemplars = [json.loads(line) for line in files["toy_fewshot.jsonl"].splitlines()]
    solved = [e["query"] + task["target_delimiter"] + e["choices"][e["gold"]] for e in exemplars]
    prompt = task["description"] + task["fewshot_delimiter"].join([*solved, rows[0]["query"]])
    expected = eval_fewshot.build_prompt(QUESTIONS[0], choose("toy", 2)["q0"], PROTOCOLS["letter"])
    assert prompt == expected
    assert [task["target_delimiter"] + c for c in rows[0]["choices"]] == [" A", " B"]
    assert [row["gold"] for row in rows] == [0, 0, 0, 0]


def test_in_mmlu_each_subject_is_a_task_with_its_own_description():
    files = exported("harness_now", "mmlu_medical", num_shots=1)
    tasks = [yaml.safe_load(text) for name, text in files.items() if name.endswith(".yaml")]
    assert [task["task"] for task in tasks] == ["mmlu_medical_s", "mmlu_medical_t"]
    assert "about t." in tasks[1]["description"]
    assert json.loads(files["mmlu_medical_t_fewshot.jsonl"])["id"] in ("e1", "e3")


def test_a_zero_shot_task_has_no_fewshot_file():
    task = yaml.safe_load(exported("letter", num_shots=0)["toy.yaml"])
    assert task["num_fewshot"] == 0
    assert "fewshot" not in task["dataset_kwargs"]["data_files"]


@pytest.mark.parametrize(
    ("protocol", "choice", "message"),
    [
        ("medalpaca", "fixed", "no task for a protocol that generates replies"),
        ("letter", "per_question", "toy.*: exemplars differ between questions"),
    ],
)
def test_what_the_harness_cannot_evaluate_is_rejected(protocol, choice, message):
    with pytest.raises(ValueError, match=message):
        exported(protocol, choice=choice, num_shots=1)


@pytest.fixture(scope="module")
def answers(llm):
    """Those to four questions, and to one that is longer than the context."""
    long = Question(id="long", question="word " * 5000, options=["x", "y"], answer=0)
    design = eval_fewshot.Design(protocols=["letter"], num_shots=[0])
    return eval_fewshot.answer_all({"base": llm}, {"toy": [*QUESTIONS, long]}, {}, design, Memory())


def test_results_have_the_format_of_the_harness(answers):
    (results,), samples = eval_fewshot.export_results(answers)
    name = "toy_as_given_letter_0"
    assert results["n-samples"][name] == {"original": 5, "effective": 4}
    assert results["results"][name]["acc,none"] == answers["correct"][:4].mean()
    assert {(sample["model"], sample["task"]) for sample in samples} == {("base", name)}
    scores = [reply[0] for reply in samples[0]["filtered_resps"]]
    assert (scores[0] > scores[1]) == (answers["predicted"][0] == 0)
    json.dumps([results, samples], allow_nan=False)  # plain values only


RESULTS = root() / "benchmarks" / "results"


def test_the_readme_of_the_benchmarks_states_the_measured_speed():
    table = pd.read_csv(RESULTS / "eval_speed.csv")
    ratios = table[table["scorer"] != "ours"].groupby(["vocabulary", "scorer"])["cpu_ratio"].min()
    modes = ("harness, best mode", "harness, four forwards")
    best, four = (int(ratios[32_000, mode]) for mode in modes)
    small = [int(ratios[1024, mode]) for mode in modes]
    readme = (RESULTS.parent / "README.md").read_text(encoding="utf-8")
    assert f"{best} and {four} times less processor time" in readme
    assert f"{small[0]} and {small[1]} times at 1,024" in readme
    assert (table["same_choice"] == table["questions"]).all()


def test_the_harness_agrees_on_every_choice_except_a_tie():
    table = pd.read_csv(RESULTS / "harness_agreement.csv")
    single = table[table["dtype"] == "float32"]
    assert (single["same_choice"] == single["n"]).sum() == len(single) - 1  # a tie
    assert (table.loc[table["dtype"] == "float64", "max_difference"] < 1e-4).all()
    assert single["n"].min() >= 300
