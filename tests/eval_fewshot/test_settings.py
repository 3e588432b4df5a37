"""The settings of step 03: what they reject. The runner's checks of params files are elsewhere."""

import pytest

from clinical_camel.eval_fewshot import Design


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"protocols": ["options"]}, "protocols[0]: "),
        ({"variants": ["mixed"]}, "variants[0]: "),
        ({"exemplar_choice": "random"}, "exemplar_choice: "),
        ({"num_shots": [9]}, "num_shots[0]: "),
        ({"published_system": "camel"}, 'published_system: "camel" is not in published.csv'),
        ({"baseline": "raw"}, 'baseline: "raw" is not in adapters'),
        ({"benchmarks": ["data/a/x.jsonl", "data/b/x.jsonl"]}, "two are called x"),
        ({"exemplars": {"mini_exma": ""}}, "exemplars.mini_exma: no benchmark of this name"),
        (
            {"exemplars": {"mini_exam": ""}},
            "exemplars.mini_exam_primer: missing, but num_shots is 5",
        ),
    ],
)
def test_each_problem_is_named_by_its_key(values, message):
    assert any(message in problem for problem in Design.check(values)), Design.check(values)
