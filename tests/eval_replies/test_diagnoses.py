"""Which diagnosis a reply names, and accuracy by ICD group."""

import pytest

from clinical_camel import eval_replies
from clinical_camel.eval_replies.diagnoses import (
    ALL_GROUPS,
    MIN_RECORDS,
    Vocabulary,
    read_references,
    select_large_groups,
)
from clinical_camel.eval_replies.icd import Diagnosis
from clinical_camel.eval_replies.settings import DIAGNOSIS

DIAGNOSES = eval_replies.read_diagnoses()
VOCABULARY = Vocabulary([*DIAGNOSES, Diagnosis("痛风", "M10.9"), Diagnosis("肺炎", "J18.9")])


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("The diagnosis is gout.", ["gout"]),
        ("GOUT", ["gout"]),
        ("Pseudogout and gouty tophi.", []),
        ("It is Graves' disease.", ["Graves disease"]),
        ("Iron-deficiency anemia is likely.", ["iron deficiency anaemia"]),
        ("Hemophilia A", ["haemophilia A"]),
        ("Temporal arteritis.", ["giant cell arteritis"]),
        ("Rheumatic fever", ["rheumatic fever"]),
        ("Not gout but scabies.", ["scabies"]),
        ("It is gout, not scabies.", ["gout"]),
        ("No evidence of tuberculosis. This is sarcoidosis.", ["sarcoidosis"]),
        ("Gout rather than septic arthritis.", ["gout"]),
        ("There is no doubt that this is gout.", ["gout"]),
        ("Malaria is unlikely; I think of cholera.", ["cholera"]),
        ("It isn't gout.", []),
        ("It isn\u2019t gout, it is scabies.", ["scabies"]),
        ("It cannot be gout.", []),
        ("It can't be gout.", []),
        ("This doesn't look like gout.", []),
        ("It wasn't gout but scabies.", ["scabies"]),
        ("I couldn't rule anything in, but gout is likely.", ["gout"]),
        ("Gout (M10.00)", ["gout"]),
        ("Gout (M10.9)", ["gout"]),
        ("M10.00", ["M10.00"]),
        ("Gout (B86)", ["gout", "scabies"]),
        ("Gout or scabies.", ["gout", "scabies"]),
        ("gout, gout and gout", ["gout"]),
        ("ICD-10: B86", ["scabies"]),
        ("J18.9", ["肺炎"]),
        ("Code S72.001A.", []),
        ("Wear an N95 mask: it is tuberculosis.", ["tuberculosis"]),
        ("M10.00 or B86.0", ["M10.00", "scabies"]),
        ("诊断为B86。", ["scabies"]),
        ("not M10.9", []),
        ("It is not M10.9 or B86, it is A15.9", ["tuberculosis"]),
        ("M10.9 is unlikely.", []),
        ("It is not gout (M10.9).", []),
        ("Gout (M10.9) is unlikely.", []),
        ("Neither gout nor tuberculosis.", []),
        ("Neither gout, tuberculosis nor scabies; it is asthma or malaria.", ["malaria"]),
        ("It is not gout, nor tuberculosis, but malaria.", ["malaria"]),
        ("Neither M10.9, B86 nor A15.9", []),
        ("未见肺炎，考虑痛风。", ["痛风"]),
        ("MS", ["multiple sclerosis"]),
        ("It is MS.", ["multiple sclerosis"]),
        ("It is not MS (G35).", []),
        ("Ms. Jones has gout.", ["gout"]),
        ("The QT interval is 120 ms.", []),
        ("BMS, MSM, MS-1 and MS2", ["multiple sclerosis"]),
        ("诊断为MS。", ["multiple sclerosis"]),
        ("诊断为痛风。", ["痛风"]),
        ("不是痛风，考虑肺炎。", ["肺炎"]),
        ("肺炎可能性不大", []),
        ("", []),
        ("I do not know.", []),
    ],
)
def test_a_reply_names_the_diagnoses_that_it_does_not_deny(text, names):
    assert VOCABULARY.find(text) == names


def test_abbreviations_count_in_their_own_case_and_short_words_in_any():
    names = {"sclerosis": "MS", "amyotrophy": "ALS;als", "influenza": "flu;Pox", "nephritis": "IgA"}
    diagnoses = [Diagnosis(name, "B86", tuple(o.split(";"))) for name, o in names.items()]
    vocabulary = Vocabulary(diagnoses)
    for text in ("ms", "Ms", "IGA", "IgA1", "fluid", "FLUX", "mälsm"):
        assert vocabulary.find(text) == [], text
    for text in ("ALS", "als"):  # the table has both
        assert vocabulary.find(text) == ["amyotrophy"], text
    for text in ("flu", "Flu", "FLU", "pox", "Pox"):
        assert vocabulary.find(text) == ["influenza"], text
    assert vocabulary.find("IgA or MS") == ["nephritis", "sclerosis"]


def test_every_short_name_of_the_shipped_table_is_an_abbreviation():
    """A short word in lower case would be in many replies that do not mean the disease."""
    names = [name for d in DIAGNOSES for name in (d.name, *d.other_names) if len(name) <= 3]
    assert names
    assert all(name.isupper() for name in names)


def test_a_name_in_any_script_needs_borders_unless_it_is_chinese():
    vocabulary = Vocabulary([Diagnosis("Ménière", "H81.09"), Diagnosis("подагра", "M10.9")])
    assert vocabulary.find("préménière") == []
    assert vocabulary.find("Ménière, псевдоподагра") == ["Ménière"]
    assert vocabulary.find("это подагра.") == ["подагра"]


def test_a_reference_may_be_a_code_of_no_category_of_the_table(make_case):
    rows = [make_case(DIAGNOSIS, "a", "Which?", reference="S72.001A")]
    rows += [make_case(DIAGNOSIS, "b", "Which?", reference="Gout; wear an N95 mask.")]
    vocabulary, references = read_references(DIAGNOSES, eval_replies.tabulate_cases(rows))
    assert references == ["S72.001A", "gout"]
    assert vocabulary.find("It is S72.001A.") == ["S72.001A"]
    assert vocabulary.find("N95") == []


def score(cases, replies, level="chapter"):
    return eval_replies.score_diagnoses(
        replies, eval_replies.tabulate_cases(cases), DIAGNOSES, level
    )


def make_records(make_case, *names):
    texts = [f"The diagnosis is {name}." for name in names]
    return [
        make_case(DIAGNOSIS, f"{name}/record", "Which?", reference=text)
        for name, text in zip(names, texts, strict=True)
    ]


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        ("It is gout.", "correct"),
        ("It is osteoarthritis.", "same group"),
        ("It is scabies.", "wrong"),
        ("It is gout or scabies.", "several"),
        ("Rest.", "none"),
        ("", "none"),
        ("M10.9", "correct"),
        ("M10.0", "same group"),
        ("Gout (M10.00).", "correct"),
        ("It isn't gout.", "none"),
    ],
)
def test_a_reply_has_one_outcome(make_case, make_replies, reply, outcome):
    cases = make_records(make_case, "gout")
    row = score(cases, make_replies(cases, base=reply)).iloc[0]
    assert (row["outcome"], row["correct"]) == (outcome, int(outcome == "correct"))
    assert (row["code"], row["icd_group"]) == ("M10.9", "M00-M99")


def test_the_level_decides_what_the_same_group_is(make_case, make_replies):
    cases = make_records(make_case, "gout")
    replies = make_replies(cases, base="osteoarthritis")
    levels = {level: score(cases, replies, level) for level in ("chapter", "block", "category")}
    outcomes = {level: rows["outcome"].item() for level, rows in levels.items()}
    assert outcomes == {"chapter": "same group", "block": "wrong", "category": "wrong"}


def test_accuracy_is_counted_by_group_with_all_records_first(make_case, make_replies):
    cases = make_records(make_case, "gout", "osteoarthritis", "scabies")
    replies = make_replies(cases, base="It is {name}.", sft="It is gout.")
    summary = eval_replies.summarise_diagnoses(score(cases, replies))
    base = summary[summary["model"] == "base"].set_index("icd_group")
    assert base.index.tolist() == [ALL_GROUPS, "A00-B99", "M00-M99"]
    assert base["n"].tolist() == [3, 1, 2]
    assert base["accuracy"].tolist() == [1, 1, 1]
    sft = summary[summary["model"] == "sft"].set_index("icd_group")
    row = sft.loc[ALL_GROUPS]
    assert (row["correct"], row["same group"], row["wrong"]) == (1, 1, 1)
    assert row["low"] < 1 / 3 < row["high"]


def test_small_groups_are_counted_and_all_records_always_shown(make_case, make_replies):
    cases = make_records(make_case, "gout", "osteoarthritis", "scabies")
    replies = make_replies(cases, base="It is {name}.", sft="It is gout.")
    summary = eval_replies.summarise_diagnoses(score(cases, replies))
    shown, small = select_large_groups(summary)
    assert shown["icd_group"].tolist() == [ALL_GROUPS] * 2  # of both models
    assert small == {(DIAGNOSIS, "toy", "all"): 2}
    is_skin = summary["icd_group"] == "A00-B99"
    enough = summary.assign(n=summary["n"].mask(is_skin, MIN_RECORDS))
    shown, small = select_large_groups(enough)
    assert shown["icd_group"].tolist() == [ALL_GROUPS, "A00-B99"] * 2
    assert small == {(DIAGNOSIS, "toy", "all"): 1}
    _, small = select_large_groups(summary.assign(n=MIN_RECORDS))
    assert small == {}


def test_two_models_are_compared_on_the_same_records(make_case, make_replies):
    cases = make_records(make_case, "gout", "osteoarthritis", "scabies")
    scored = score(cases, make_replies(cases, base="It is {name}.", sft="It is gout."))
    row = eval_replies.compare_diagnoses(scored, "base", ["base", "sft"], 0).iloc[0]
    assert (row["model"], row["n"]) == ("sft", 3)
    assert row["difference"] == pytest.approx(-2 / 3)
    assert row["p_holm"] == row["p"] == 0.5  # of 8 exchanges, 2 and their mirror images


def test_a_reference_may_be_an_icd_description(make_case):
    rows = [make_case(DIAGNOSIS, "a", "Which?", reference="Acute bronchiolitis, unspecified.")]
    vocabulary, references = read_references(DIAGNOSES, eval_replies.tabulate_cases(rows))
    assert references == ["Acute bronchiolitis, unspecified"]
    assert vocabulary.get_code(references[0]) == "J21.9"
    assert vocabulary.find("I think of acute bronchiolitis, unspecified") == references


@pytest.mark.parametrize(
    ("text", "named"), [("Some illness.", "none"), ("Gout or scabies.", "gout, scabies")]
)
def test_a_reference_without_one_diagnosis_is_an_error_with_its_case(make_case, text, named):
    rows = [make_case(DIAGNOSIS, "a", "Which?", reference=text)]
    message = f"1 of 1 reference replies name not exactly one diagnosis, first toy a: {named}; add"
    with pytest.raises(ValueError, match=message):
        read_references(DIAGNOSES, eval_replies.tabulate_cases(rows))


def test_without_records_all_tables_are_empty_and_have_their_columns(make_case, make_replies):
    cases = [make_case()]
    scored = score(cases, make_replies(cases, base="x", sft="y"))
    summary = eval_replies.summarise_diagnoses(scored)
    assert scored.empty
    assert summary.empty
    assert "accuracy" in summary.columns
    assert eval_replies.compare_diagnoses(scored, "base", ["base", "sft"], 0).empty
