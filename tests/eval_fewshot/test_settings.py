"""The settings of step 03: what they reject. The runner's checks of params files are elsewhere."""

import pytest

from clinical_camel.eval_fewshot import Design


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"protocols": ["leter"]}, 'protocols[0]: "leter" is no protocol; did you mean letter?'),
        ({"protocols": ["letter@"]}, 'protocols[0]: "letter@" ends with @; name an exam after it'),
        ({"protocols": [5]}, "protocols[0]: 5 is no text"),
        (
            {"protocols": ["letter", "chat@mini_exm"]},
            "protocols: chat@mini_exm: no benchmark of this name; did you mean mini_exam?",
        ),
        (
            {"protocols": ["letter", "cloze@mini_exam"]},
            "protocols: cloze@mini_exam: cloze does not fit this exam",
        ),
        (
            {"protocols": ["letter@mini_exam", "chat"]},
            "protocols: the first is for every exam; write letter without its exam",
        ),
        (
            {"protocols": ["letter", "letter@mini_exam"]},
            "protocols: letter is named twice for mini_exam",
        ),
        ({"variants": ["mixed"]}, "variants[0]: "),
        ({"exemplar_choice": "random"}, "exemplar_choice: "),
        ({"num_shots": [9]}, "num_shots[0]: "),
        (
            {"protocols": ["cloze"]},
            "protocols: none fits the exam mini_exam; add one of option_text",
        ),
        (
            {"protocols": ["option_text", "cloze"]},
            "protocols: cloze fits none of the benchmarks; add one of mini_exam_cloze",
        ),
        (
            {"protocols": ["plain_reply"], "variants": ["as_given", "shuffled"]},
            "variants: shuffled changes options, which plain_reply does not show",
        ),
        ({"variants": ["open_book"]}, "open_book: is empty, but variants has open_book"),
        ({"open_book": "mini_exam"}, "open_book: mini_exam holds Question rows"),
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
