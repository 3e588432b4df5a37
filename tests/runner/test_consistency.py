"""Values that contradict another step; each kind of mistake: tests/support/bad_params.py."""

import pytest
import yaml

from clinical_camel.core.paths import root
from clinical_camel.runner import consistency
from clinical_camel.runner.jobs import Job

STUDY = "mini_camel"


def check(step: str, **changes) -> list[str]:
    """Check the step of mini_camel with these params."""
    text = (root() / f"params/{STUDY}/{step}.yaml").read_text(encoding="utf-8")
    params = yaml.safe_load(text) | changes
    inputs = [t for v in changes.values() if isinstance(v, dict) for t in v.values() if "/" in t]
    return list(consistency.check_study([Job(STUDY, step, params, inputs)]))


ADAPTER = "outputs/mini_camel/02_sft_qlora/adapter"


@pytest.mark.parametrize(
    "changes",
    [
        {"quantize": "nf4_dequantized"},  # the same values
        {"num_shots": [8], "exemplars": {"mini_exam": "my/others.jsonl"}},  # not asked in 01
        {"adapters": {"x": "my/adapter"}, "chat_template": "alpaca"},  # trained elsewhere
    ],
)
def test_what_contradicts_nothing_is_no_problem(changes):
    assert check("03_eval_fewshot", **changes) == []


MIXTURE = "params/mini_camel/02_sft_qlora.yaml"
RAW_EXAM = "outputs/mini_camel_raw/03_eval_fewshot/answers.csv"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"training_sources": ["mini_chat"]}, ""),  # a part of the mixture of 02
        ({"training_sources": ["mini_primer"]}, f"mini_primer is not in the mixture of {MIXTURE}"),
        ({"training_sources": []}, f"none is in the mixture of {MIXTURE}; name its texts"),
        # adapters of two studies: each source belongs to one of them
        ({"answers": RAW_EXAM, "training_sources": ["mini_articles", "mini_chat"]}, ""),
        ({"answers": RAW_EXAM, "training_sources": ["mini_primer"]}, "mini_primer is not in the"),
        ({"answers": "outputs/none/03_eval_fewshot/answers.csv"}, ""),  # reported elsewhere
    ],
)
def test_training_sources_are_those_of_the_adapters_of_the_exam(changes, problem):
    problems = check("09_score_checks", **changes)
    assert problem in "\n".join(problems)
    assert bool(problems) == bool(problem)


@pytest.mark.parametrize(
    ("name", "file", "problem"),
    [
        ("mini_camel_public", "scores.csv", ""),
        ("mini_camel_raw", "scores.csv", "compare_with.mini_camel_raw: outputs/mini_camel_public"),
        ("mini_camel_public", "comparison.csv", "is not a table of compare_with; name a scores"),
        ("mini_camel_public", "scroes.csv", "03_eval_fewshot makes no scroes.csv"),
    ],
)
def test_scores_to_compare_with_have_the_name_of_their_study(name, file, problem):
    scores = {name: f"outputs/mini_camel_public/03_eval_fewshot/{file}"}
    problems = check("03_eval_fewshot", compare_with=scores)
    assert problem in "\n".join(problems)
    assert bool(problems) == bool(problem)


@pytest.mark.parametrize(
    ("cell", "problems"),
    [
        ("run.save_rows(x, 'rows')", []),
        ("run.save_rows(x, 'row')", ["params/toy/02_b.yaml: rows: 01_a makes no rows.jsonl"]),
        ("run.save_rows(x, f'row{i}')", []),  # the name is computed
        ("run.save_rows(x, name)", []),
        ("run.save_rows(x, name='rows')", []),
        ("save_all(run)\nrun.save_rows(x, 'row')", []),
        ("open(run.dir / 'rows.jsonl')", []),
        ("%magic\nrun.save_rows(x, 'other')", []),  # cannot be read
    ],
)
def test_an_input_must_be_named_in_the_notebook_that_makes_it(cell, problems, project):
    project.notebook("01_a", "study: str = ''", cell)
    params = {"study": "toy", "rows": "outputs/toy/01_a/rows.jsonl"}
    texts = consistency.check_study([Job("toy", "02_b", params, [params["rows"]])])
    assert [text.partition(";")[0] for text in texts] == problems
