"""Tests of grounding.quantities: forms of numbers, units, doses, times; what is the same."""

import pytest

from clinical_camel.grounding.quantities import (
    extract_quantities,
    is_same_quantity,
    normalize_text,
)


def read(text: str) -> set[str]:
    """Return the quantities of a text, each as "kind value"."""
    return {f"{q.kind} {q.value}" for q in extract_quantities(normalize_text(text))}


FORMS = """
# decimal marks
0.25 mg = dose 0.25 mg
0·25 mg = dose 0.25 mg
0. 25 mg = dose 0.25 mg
0 , 25 mg = dose 0.25 mg
0'25 mg = dose 0.25 mg
0⸱25 mg = dose 0.25 mg
0．25 mg = dose 0.25 mg
10. 25 mg = dose 25 mg
0∙25 mg = dose 0.25 mg
0•25 mg = dose 0.25 mg
0,25 mg = dose 0.25 mg
.25 mg = dose 0.25 mg
0,125 mg = dose 0.125 mg
37,2 °C = number 37.2 c
37·2 degrees = number 37.2 degree
1.234,5 ml = dose 1234.5 ml
# thousands
1,000 mg = dose 1000 mg
12,500 units = dose 12500 unit
1,000,000 units = dose 1000000 unit
1.000.000 units = dose 1000000 unit
1 000 mg = dose 1000 mg
10 000 units = dose 10000 unit
1\u2009500 mg = dose 1500 mg
1\u202f500 mg = dose 1500 mg
1\u00a0500 mg = dose 1500 mg
1'000 mg = dose 1000 mg
1’000 mg = dose 1000 mg
2.4 million units = dose 2400000 unit
# signs and comparatives
T-score −2.5 = number -2.5
T-score -2.5 = number -2.5
minus 2.5 dioptres = number -2.5
5 ± 2 mg = dose 5±2 mg
<5 mg = dose <5 mg
≤ 5 mg = dose <5 mg
at least 2 hours = duration >2 hour
no more than 4 tablets = dose <4 tablet
- 5 mg of morphine = dose 5 mg
# fractions
½ tablet = dose 0.5 tablet
1½ tablets = dose 1.5 tablet
1 ½ tablets = dose 1.5 tablet
1/2 tablet = dose 0.5 tablet
1 1/2 tablets = dose 1.5 tablet
half a tablet = dose 0.5 tablet
a quarter of a tablet = dose 0.25 tablet
two and a half tablets = dose 2.5 tablet
half an hour = duration 0.5 hour
an hour and a half = duration 1.5 hour
half a 10 mg tablet = dose 0.5x10 mg
blood pressure 120/80 = number 120/80
120 over 80 = number 120/80
one twenty over eighty = number 120/80
120/80 mmHg = number 120/80 mmhg
4/7 = duration 4 day
2/52 = duration 2 week
3/12 = duration 3 month
pain 7/10 = number 7/10
seven out of ten = number 7/10
5/325 mg = dose 5/325 mg
epinephrine 1:1000 = number 1:1000
# times
2 x 500 mg = dose 2x500 mg
500 mg × 2 = dose 2x500 mg
two 500 mg tablets = dose 2x500 mg
2 tablets of 500 mg = dose 2x500 mg
one twenty milligram tablet = dose 20 mg
1 500 mg tablet = dose 500 mg
500 mg x 2 days = dose 500 mg, duration 2 day
x3 days = duration 3 day
3.2 x 2.1 cm = number 3.2x2.1 cm
# powers
12.3 x10^9/L = number 12.3 10^9/l
12.3 × 10⁹/L = number 12.3 10^9/l
12.3 x 10(9)/L = number 12.3 10^9/l
12.3 K/µL = number 12.3 10^3/ul
12,300/µL = number 12300/ul
3 x 10^6 = number 3000000
# ranges and changes
10–20 mg = dose 10-20 mg
10-20 mg = dose 10-20 mg
10 to 20 mg = dose 10-20 mg
10 mg to 20 mg = dose 10-20 mg
between 10 and 20 mg = dose 10-20 mg
500 mg to 1 g = dose 0.5-1 g
one or two tablets = dose 1-2 tablet
2-3 weeks = duration 2-3 week
from 10 mg to 20 mg = dose 10→20 mg
increased lisinopril 10 to 20 mg = dose 10→20 mg
# units
500mg = dose 500 mg
twenty M G = dose 20 mg
5mg/kg = dose 5 mg/kg
75 mg/m² = dose 75 mg/m2
38.5°C = number 38.5 c
98.6F = number 98.6 f
98.6 degrees Fahrenheit = number 98.6 f
250 mcg = dose 250 mcg
250 µg = dose 250 mcg
250 μg = dose 250 mcg
250 micrograms = dose 250 mcg
5,000 IU = dose 5000 unit
10 U insulin = dose 10 unit
100 units/mL = number 100 unit/ml
8.5 g/dL = number 8.5 g/dl
106 µmol/L = number 106 umol/l
200 mg/5 ml = number 200 mg/5ml
98% = number 98%
30 per cent = number 30%
72 bpm = number 72/minute
2 puffs = dose 2 puff
one teaspoon = dose 1 teaspoon
70 kg = number 70 kg
20\u00a0mg = dose 20 mg
# doses per time
500 mg/day = dose 500 mg, frequency 1/day
15 mg/kg/day = dose 15 mg/kg, frequency 1/day
1 g every 6 hours = dose 1 g, frequency 4/day
20 units/hour = dose 20 unit/hour
0.1 mcg/kg/min = dose 0.1 mcg/kg/minute
every six hours = frequency 4/day
q4-6h = frequency 4-6/day
q.6h. = frequency 4/day
b.i.d. = frequency 2/day
q.h.s. = frequency 1/day, time night
every other day = frequency 0.5/day
every 2 weeks = frequency 0.5/week
x6/day = frequency 6/day
three times a week = frequency 3/week
1 ppd = number 1, frequency 1/day
# words
one hundred and one = number 101
a hundred and one = number 101
two thousand five hundred = number 2500
six hundred fifty milligrams = dose 650 mg
one point five grams = dose 1.5 g
zero point two five milligrams = dose 0.25 mg
point five milligrams = dose 0.5 mg
one oh one point two = number 101.2
a couple of weeks = duration 2 week
an hour prior = duration 1 hour
12-2019 = date december 2019
140 over over 70 = number 140/70
a scale from zero to ten = number 0-10
the past couple weeks = duration 2 week
A1c was 7 . 5 = number 7.5
anywhere from 3 to 5 drinks = number 3-5
ranges from 80 to 90 = number 80-90
several weeks = duration some week
# dates, times, ages
March 5, 2021 = date 5 march 2021
03/05/2021 = date 5 march 2021
2021-03-05 = date 5 march 2021
the fifth of March 2021 = date 5 march 2021
3/2021 = date march 2021
at 8:30 am = time 8:30 am
8 pm = time 8:00 pm
20:30 = time 8:30 pm
at bedtime = time night
43 y/o = age 43 year
a 43-year-old man = age 43 year
6-month-old = age 6 month
# no quantities
vitamin B12 =
the 2nd dose =
L4-L5 =
COVID-19 =
Once this is complete =
"""
ROWS = [line.partition(" =")[::2] for line in FORMS.splitlines() if " =" in line]


@pytest.mark.parametrize(("text", "expected"), ROWS)
def test_each_form_of_a_quantity_is_read(text, expected):
    assert read(text) == set(filter(None, expected.strip().split(", ")))


SAME = """
0.25 mg = 250 mcg
0.25 mg = 0,25 mg
1 g = 1000 mg
1.5 g = 1,500 mg
2 x 500 mg = 1 g
two 500 mg tablets = 500 mg x 2
half a 10 mg tablet = 5 mg
5 ml = one teaspoon
2 l = 2000 ml
1 l = 1,000 ml
8.5 g/dl = 85 mg/ml
200 mg/5 ml = 40 mg/ml
12.3 x10^9/L = 12,300/µL
12.3 K/µL = 12.3 x 10^9/L
14 days = two weeks
48 hours = 2 days
18 months = a year and a half
90 minutes = an hour and a half
every 8 hours = t.i.d.
once a day = 7 times a week
100.4 F = 38 C
38.5 degrees = 38.5 C
20 = 20 mg
2.5 cm = 25 mm
several weeks = 3 weeks
2 weeks = 2-3 weeks
from 10 to 20 mg = 20 mg
10-20 mg = 10 to 20 mg
March 5 = March 5, 2021
8:30 = 8:30 pm
less than 5 mg = 5 mg
60 ml/hour = 1 ml/min
72 beats per minute = 72 bpm
a rate of 122 = 122 bpm
pain is a six = pain 6/10
5000 IU = 5,000 units
"""
DIFFERENT = """
0.25 mg = 25 mg
0,25 mg = 25 mg
0·25 mg = 25 mg
0.25 mg = 2.5 mg
1,000 mg = 1 mg
10 mg = 100 mg
10 mg = 1 mg
25 mg = 25 mcg
500 mg = 500 g
1 g = 100 mg
5 mg = 5 ml
10 units = 10 mg
10 units = 10 ml
2 tablets = 2 mg
2 x 500 mg = 500 mg
two 500 mg tablets = 500 mg
half a 10 mg tablet = 10 mg
½ tablet = 2 tablets
1½ tablets = 1 tablet
10-20 mg = 20 mg
10-20 mg = 5-10 mg
from 10 to 20 mg = from 20 to 10 mg
5 mg/kg = 5 mg
5 mg/kg = 5 mg/m2
20 units/hour = 20 units
20 units/hour = 20 units/min
8.5 g/dl = 8.5 mg/dl
5.5 mmol/l = 5.5 mg/dl
12.3 x10^9/L = 12.3 x10^6/L
200 mg/5 ml = 200 mg/ml
37·2 degrees = 2 degrees
38.2 C = 38.2 F
98.6 F = 98.6 C
T-score −2.5 = T-score 2.5
5 ± 2 mg = 2 mg
<5 mg = >5 mg
120/80 = 80/120
120/80 = 140/80
7/10 = 10
7/10 = 8
120/80 = 120
5/325 mg = 325 mg
1:1000 = 1:10000
3 days = 3 weeks
4/7 = 4 weeks
12 months = 12 weeks
twice a day = 2
twice a day = twice a week
every 4 hours = 4 times a day
every other day = every day
b.i.d. = t.i.d.
3.2 x 2.1 cm = 2.1 x 3.2 cm
3.2 x 2.1 cm = 3.2 cm
March 5, 2021 = May 5, 2021
March 5, 2021 = March 6, 2021
8:30 am = 8:30 pm
in the morning = at night
50% = 50 mg
70 kg = 70 lb
43 years = 43 months
several weeks = 3 days
"""


def pairs(text: str) -> list[tuple[str, str]]:
    return [tuple(line.split(" = ")) for line in text.strip().splitlines()]


def one(text: str) -> str:
    """Return the value of the last quantity read in a text."""
    return list(extract_quantities(normalize_text(text)))[-1].value


@pytest.mark.parametrize(("first", "second"), pairs(SAME))
def test_equal_quantities_are_the_same_in_any_unit_and_form(first, second):
    assert is_same_quantity(one(first), one(second))
    assert is_same_quantity(one(second), one(first))


@pytest.mark.parametrize(("first", "second"), pairs(DIFFERENT))
def test_an_error_of_size_unit_or_form_is_never_the_same(first, second):
    assert not is_same_quantity(one(first), one(second))
    assert not is_same_quantity(one(second), one(first))


@pytest.mark.parametrize("factor", [10, 100, 1000])
@pytest.mark.parametrize(
    "unit", ["mg", "mcg", "g", "ml", "unit", "mg/kg", "unit/hour", "g/dl", "%"]
)
def test_a_power_of_ten_is_never_the_same(unit, factor):
    space = "" if unit == "%" else " "
    for number in (0.25, 1, 2.5, 40):
        assert not is_same_quantity(f"{number}{space}{unit}", f"{number * factor:g}{space}{unit}")


def test_a_quantity_has_its_place_in_the_text():
    text = normalize_text("Takes metformin five hundred mg b.i.d.")
    assert {text[q.start : q.end] for q in extract_quantities(text)} == {"500 mg", "bid"}


@pytest.mark.parametrize(
    "piece", ["one hundred ", "1 ", "1/", "one point ", "a b ", "1 000 ", "x 10^9 "]
)
def test_a_long_odd_text_is_read_without_error(piece):
    list(extract_quantities(normalize_text(piece * 2000)))


@pytest.mark.parametrize(
    "text", ["every 0 hours", "q0h", "1e400 mg", "3 x 10^400", "13/45/2020", "\x00"]
)
def test_an_impossible_quantity_is_no_error(text):
    assert all(is_same_quantity(q.value, q.value) for q in extract_quantities(normalize_text(text)))
