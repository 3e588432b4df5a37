"""The published tables beside ours."""

from tests.support.toy_scores import published_rows, scores

from clinical_camel import data, published


def test_the_paper_has_marks_and_says_what_has_not_run():
    table = data.load_published()
    audit = published.compare_with_published(table, {})
    page = published.format_paper(published.assess_published(table), audit)
    medqa = page[(page["exam"] == "medqa_us") & (page["shots"] == 5)].iloc[0].to_dict()
    assert medqa == {
        "exam": "medqa_us", "shots": 5, "paper 13B": "45.2 †", "paper 70B": "60.7",
        "GPT-3.5": "53.6", "GPT-4": "81.4", "ours": "not run",
    }  # fmt: skip
    assert len(page) == 20  # ten exams, 0 and 5 shots


def test_our_score_has_its_verdict_beside_the_paper():
    rows = published_rows({"system": "clinical_camel", "value": 60.7})
    audit = published.compare_with_published(rows, {"clinical_camel:70b": scores()})
    page = published.format_paper(published.assess_published(rows), audit)
    assert page["ours"].tolist() == ["clinical_camel:70b 60.7 [58.0, 63.4], reproduced"]


def test_the_other_systems_have_a_column_each_and_no_constant_number_of_shots():
    table = data.load_published()
    audit = published.compare_with_published(table, {})
    page = published.format_others(published.assess_published(table), audit)
    assert "shots" not in page
    assert len(page.columns) == 7
    steps = page.set_index("exam")
    assert steps.loc["usmle_self_assessment_step_1", "MedAlpaca 13B"] == "47.3"
    assert steps.loc["pubmedqa", "ClinicalGPT 7B"] == "63.4"
