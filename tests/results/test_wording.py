"""Numbers in words: units, and a p-value never without its adjustment."""

import numpy as np

from clinical_camel.results import Number
from clinical_camel.results.wording import judge, show_chance, show_value


def test_a_number_is_shown_in_its_unit():
    assert show_value(Number("x", 0.1, -0.004, 0.2, 10)) == "10.0 % [-0.4, 20.0]"
    assert show_value(Number("x", 0.1, np.nan, np.nan, 10)) == "10.0 %"
    assert show_value(Number("x", -0.05, -0.1, 0.0, 10, unit="difference")) == (
        "-5.0 points [-10.0, 0.0]"
    )
    assert show_value(Number("x", 0.114, -0.001, 0.2, 10, unit="ROUGE-L")) == "0.11 [0.00, 0.20]"


def test_chance_is_named_even_if_it_differs():
    numbers = [Number("x", 0.4, 0.3, 0.5, 10, chance=value) for value in (0.25, 1 / 3, 0.25)]
    assert show_chance(numbers) == "guessing gives 25 or 33.3 %"


def test_significance_is_by_the_adjusted_p():
    assert judge(0.0499, 24).startswith("significant (p = 0.05, adjusted for 24")
    assert judge(0.05, 24).startswith("not significant")
    assert judge(0.00001, 3) == "significant (p < 0.001, adjusted for 3 comparisons)"
