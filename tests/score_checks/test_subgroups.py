"""Scores in subgroups of an exam."""

import dataclasses

import numpy as np
import pandas as pd
from tests.support.toy_scores import answers_of

from clinical_camel import score_checks, stats
from clinical_camel.data import Question

SAME = {"question": "?", "options": list("abcd"), "answer": 0}
TOY = {"toy": [Question(id=str(i), **SAME) for i in range(10)]}


def test_subgroups_of_a_benchmark_have_scores():
    questions = [
        dataclasses.replace(TOY["toy"][i], question="?" * (i + 1), subset="st"[i % 2])
        for i in range(6)
    ]
    answers = answers_of(base=[True, False] * 3)
    others = answers.assign(variant="options_only", correct=False)  # only the first variant counts
    both = pd.concat([answers, others])
    table = score_checks.compute_subgroup_scores(both, {"toy": questions})
    assert set(table["variant"]) == {"as_given"}
    table = table.set_index(["grouping", "subgroup"])
    assert table["accuracy"].loc["subset"].to_dict() == {"s": 1.0, "t": 0.0}
    assert table["n"].loc["length"].to_dict() == {"long": 2, "middle": 2, "short": 2}
    assert "image" not in table.index.get_level_values("grouping")  # no image is suspected


def test_questions_on_one_condition_are_not_counted_as_independent():
    """Two questions on each of three conditions: as wide as three questions."""
    questions = [
        dataclasses.replace(TOY["toy"][i], group="abcdef"[i // 2], subset="st"[i // 6])
        for i in range(10)
    ]
    answers = answers_of(base=[True] * 4 + [False] * 2 + [True, False] * 2)
    table = score_checks.compute_subgroup_scores(answers, {"toy": questions})
    row = table[table["grouping"] == "subset"].set_index("subgroup").loc["s"]
    interval = stats.clustered_interval([1, 1, 1, 1, 0, 0], list("aabbcc"))
    assert (row["low"], row["high"]) == interval
    assert row["high"] - row["low"] > np.ptp(stats.wilson_interval(4, 6))
