"""A sweep becomes runs; every mistake in sweep.yaml is named before one starts."""

import pytest
from tests.support import toy_sweep
from tests.support.toy_sweep import SWEEP

from clinical_camel import runs
from clinical_camel.runs import sweeps


@pytest.fixture
def toy(project):
    toy_sweep.build(project)
    return project


def read_problems(project, text: str) -> list[str]:
    project.file("params/many/sweep.yaml", text)
    with pytest.raises(runs.ParamsError) as error:
        runs.list_runs("many")
    return str(error.value).splitlines()


# ------------------------------------------------------------------------------- the expansion


def test_runs_come_by_seeds_then_by_arms(toy):
    names = ["raw_d0_t0", "slow_d0_t0", "qa_d0_t0", "raw_d0_t1", "slow_d0_t1", "qa_d0_t1"]
    assert [run.name for run in runs.list_runs("many")] == names


def test_a_notebook_00_changes_no_seed_of_a_run(toy):
    before = runs.list_runs("many")
    toy.notebook("00_results", "study: str = ''", "print(study)")
    assert [run.params for run in runs.list_runs("many")] == [run.params for run in before]


def test_an_arm_can_have_the_first_pairs_of_seeds_only_and_comes_last(toy):
    toy.file("params/many/sweep.yaml", SWEEP.replace("common:", "pairs: {slow: 1}\ncommon:"))
    names = ["raw_d0_t0", "qa_d0_t0", "raw_d0_t1", "qa_d0_t1", "slow_d0_t0"]
    assert [run.name for run in runs.list_runs("many")] == names


def test_a_run_has_the_parameters_of_the_base_with_its_changes_seeds_and_paths(toy):
    toy.file("params/many/sweep.yaml", SWEEP.replace("[[0, 0], [0, 1]]", "[[3, 4]]"))
    raw, slow, qa = runs.list_runs("many")
    first = {"study": "many/raw_d3", "form": "raw", "seed": 3}
    rows = "outputs/many/raw_d3/01_first/rows.jsonl"
    second = {"study": "many/raw_d3_t4", "rows": rows, "rate": 2.0, "seed": 4}
    assert raw.params == {"01_first": first, "02_second": second}
    # the first step is shared by arms that do not change it
    assert slow.params["01_first"] == first
    assert slow.params["02_second"] == second | {"study": "many/slow_d3_t4", "rate": 1.0}
    assert qa.params["01_first"] == {"study": "many/qa_d3", "form": "qa", "seed": 3}
    assert qa.params["02_second"]["rows"] == "outputs/many/qa_d3/01_first/rows.jsonl"
    assert (qa.arm, qa.data_seed, qa.training_seed) == ("qa", 3, 4)
    outputs = toy.root / "outputs/many"
    assert slow.folders == {
        "01_first": outputs / "raw_d3/01_first",
        "02_second": outputs / "slow_d3_t4/02_second",
    }
    assert sweeps.find_arms([slow, qa])["many/raw_d3"] == "raw"


def test_paths_in_keys_lists_and_behind_a_reader_are_those_of_the_run(toy):
    cell = "study: str = ''\nmixture: dict = {}\nothers: list[str] = []\nseed: int = 0"
    toy.notebook("02_second", cell, "print(study, mixture, others, seed)")
    toy.params(
        "toy",
        "02_second",
        "study: toy\nmixture: {outputs/toy/01_first/rows.jsonl: 1.0}\n"
        "others: [medqa@outputs/toy/01_first/x.jsonl, outputs/toy/01_firsts/x.jsonl,"
        " outputs/toy2/01_first/x.jsonl, outputs/toy/01_first]\nseed: 0\n",
    )
    toy.file("params/many/sweep.yaml", SWEEP.split("common")[0] + "arms: {raw: {}}\n")
    params = runs.list_runs("many")[1].params["02_second"]
    assert params["mixture"] == {"outputs/many/raw_d0/01_first/rows.jsonl": 1.0}
    assert params["others"] == [
        "medqa@outputs/many/raw_d0/01_first/x.jsonl",
        "outputs/toy/01_firsts/x.jsonl",
        "outputs/toy2/01_first/x.jsonl",
        "outputs/many/raw_d0/01_first",
    ]


def test_a_sweep_without_the_first_step_uses_that_of_the_base_study(toy):
    text = SWEEP.replace("[01_first, 02_second]", "[02_second]").replace("[0, 1]", "[0, 2]")
    toy.file("params/many/sweep.yaml", text.split("  qa:")[0])
    params = runs.list_runs("many")[0].params
    assert list(params) == ["02_second"]
    assert params["02_second"]["rows"] == "outputs/toy/01_first/rows.jsonl"


def test_a_changed_file_is_read_anew(toy):
    assert len(runs.list_runs("many")) == 6
    toy.file("params/many/sweep.yaml", SWEEP.replace(", [0, 1]", ""))
    assert len(runs.list_runs("many")) == 3
    toy.params("toy", "01_first", "study: toy\nform: raw\nseed: 7\nmore: 1\n")
    with pytest.raises(runs.ParamsError, match="params/toy/01_first.yaml: more: not a parameter"):
        runs.list_runs("many")


def test_the_parameters_of_a_run_are_found_by_its_name(toy):
    params = sweeps.load_run_params("many/slow_d0_t1", "02_second")
    assert (params["rate"], params["seed"]) == (1.0, 1)
    # the first step of a run whose arm shares it
    assert sweeps.load_run_params("many/slow_d0_t1", "01_first")["study"] == "many/raw_d0"
    assert sweeps.list_run_steps("many/slow_d0_t1") == ["02_second"]
    assert sweeps.list_run_steps("many/raw_d0") == ["01_first"]
    for study, step, message in (
        ("many/slow_d0_t7", "02_second", "many has no run slow_d0_t7; did you mean slow_d0_t"),
        ("many/raw_d0", "02_secnd", "many has no step 02_secnd; did you mean 02_second"),
        ("mani/raw_d0", "01_first", "params/mani: no such study; did you mean many"),
        (
            "toy/raw_d0",
            "01_first",
            "params/toy/sweep.yaml: no such file; (did you mean|known:) many",
        ),
    ):
        with pytest.raises(runs.ParamsError, match=message):
            sweeps.load_run_params(study, step)


def test_a_step_reads_every_run_of_the_sweeps_that_it_names(toy):
    inputs = sweeps.find_sweep_inputs({"sweep": "many", "rate_sweep": "", "other": "toy"})
    assert len(inputs) == 8
    assert "outputs/many/raw_d0/01_first" in inputs
    assert sweeps.find_sweep_inputs({"rate_sweep": "many"}) == inputs
    with pytest.raises(runs.ParamsError, match=r"^rate_sweep: params/mny: no such study"):
        sweeps.find_sweep_inputs({"rate_sweep": "mny"})


def test_a_step_reads_the_final_step_of_the_sweeps_of_its_points(toy):
    toy.params("many", "03_third", "study: many\n")
    points = {"other_points": {"large": "many/raw"}}
    assert sweeps.find_sweep_inputs(points) == ["outputs/many/03_third"]
    with pytest.raises(runs.ParamsError, match=r"^other_points.large: params/mny: no such study"):
        sweeps.find_sweep_inputs({"other_points": {"large": "mny/raw"}})


# ------------------------------------------------------------------------------------- mistakes

WRONG = {  # replaced text, its replacement, the message
    "no base": ("base: toy\n", "", "base: missing; a sweep needs it"),
    "an unknown base": (": toy", ": tou", 'base: "tou" is not an ordinary study; did you'),
    "a sweep as base": (": toy", ": many", 'base: "many" is not an ordinary study'),
    "an unknown key": ("seeds:", "sedes: 1\nseeds:", "sedes: not a parameter of a sweep; did you"),
    "an unknown step": (
        "02_second]",
        "02_secnd]",
        "steps: toy has no step 02_secnd; did you mean 02_second?",
    ),
    "no steps": ("[01_first, 02_second]", "[]", "steps: is empty; name at least one"),
    "a step listed twice": (
        "02_second]",
        "02_second, 02_second]",
        'steps: "02_second" is listed twice; write',
    ),
    "no seeds": ("[[0, 0], [0, 1]]", "[]", "seeds: is empty; name at least one"),
    "one seed": ("[0, 1]", "[1]", "seeds[1]: [1] is not a pair of seeds; write [data seed, t"),
    "a seed below zero": ("[0, 1]", "[0, -1]", "seeds[1]: [0, -1] is not a pair of seeds"),
    "equal seeds": ("[0, 1]", "[0, 0]", "seeds: [0, 0] is listed twice; write it once"),
    "pairs of no arm": ("common:", "pairs: {slo: 1}\ncommon:", "pairs.slo: no such arm; did you"),
    "more pairs than there are": (
        "common:",
        "pairs: {slow: 3}\ncommon:",
        "pairs.slow: 3, and seeds has 2 pairs; write 1 to 2",
    ),
    "half a pair": ("common:", "pairs: {slow: 0.5}\ncommon:", "pairs.slow: 0.5 is float, not int"),
    "a name that is none": ("qa:", "qa-1:", 'arms (a key): "qa-1" is not a valid arm name'),
    "capital letters": ("qa:", "QA:", 'arms (a key): "QA" is not a valid arm name; write small'),
    "an arm twice": ("slow:", "raw:", "line 8: arms.raw: a duplicate key (first in line 7)"),
    "an arm that is no mapping": ("raw: {}", "raw: 1", "arms.raw: 1 is not a mapping"),
    "an arm with an unknown step": (
        "{01_first: {form: qa}",
        "{01_frist: {form: qa}",
        "arms.qa.01_frist: not among the steps of this sweep; did you mean 01_first?",
    ),
    "a setting that does not exist": (
        "{form: qa}",
        "{from: qa}",
        "arms.qa.01_first.from: not a parameter of notebooks/01_first.ipynb; did you mean form?",
    ),
    "a wrong type": ("{rate: 1.0}", "{rate: 1}", "arms.slow.02_second.rate: 1 is int, not float"),
    "a wrong value for all": ("2.0", "fast", 'common.02_second.rate: "fast" is str, not float'),
    "the study": ("form: qa", "study: qa", "arms.qa.01_first.study: set by the sweep; delete it"),
    "a seed of an arm": ("form: qa", "seed: 1", "arms.qa.01_first.seed: set by the seeds of this"),
    "equal arms": ("raw: {}", "raw: {01_first: {form: qa}}", "arms.qa: the same parameters as raw"),
    "a useless seed": (
        "[01_first, 02_second]",
        "[01_first]",
        "seeds: [0, 1] repeats [0, 0]: these steps have no training seed; delete one",
    ),
    "a date": ("qa}", "2023-05-19}", "line 9: arms.qa.01_first.form: 2023-05-19 is read as a date"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_rejected_with_file_key_and_remedy(case, toy):
    before, after, message = WRONG[case]
    assert before in SWEEP
    text = SWEEP.replace(before, after)
    if case == "a useless seed":
        text = text.split("common")[0] + "arms: {raw: {}, qa: {01_first: {form: qa}}}\n"
    problems = read_problems(toy, text)
    assert [line for line in problems if line.startswith(f"params/many/sweep.yaml: {message}")], (
        problems
    )


def test_all_problems_come_in_one_message(toy):
    text = SWEEP.replace("[0, 1]", "[1]").replace("form: qa", "form: 3").replace("1.0", "1")
    toy.params("toy", "01_first", "study: toy\nform: raw\nseed: 7\nmore: 1\n")
    problems = read_problems(toy, text)
    assert len(problems) == 3, problems
    toy.params("toy", "01_first", "study: toy\nform: raw\nseed: 7\n")
    assert len(read_problems(toy, text)) == 3


def test_a_step_between_two_others_must_be_in_the_sweep(toy):
    toy.notebook("03_third", "study: str = ''\ncopy: str = ''", "print(study, copy)")
    copy = "outputs/toy/02_second/copy.jsonl"
    toy.params("toy", "03_third", f"study: toy\ncopy: {copy}\n")
    text = SWEEP.split("common")[0].replace("02_second]", "03_third]") + "arms: {raw: {}}\n"
    assert read_problems(toy, text.replace(", [0, 1]", "")) == [
        "params/many/sweep.yaml: steps: 02_second is missing: it reads 01_first, and 03_third "
        "reads it; add it"
    ]


def test_another_ending_is_named(toy):
    (toy.root / "params/many/sweep.yaml").rename(toy.root / "params/many/sweep.yml")
    with pytest.raises(runs.ParamsError, match=r"sweep.yml: rename it to sweep.yaml"):
        runs.list_runs("many")
