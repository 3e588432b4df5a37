"""What the published numbers showed, in sentences."""

from tests.support.toy_scores import published_rows, scores

from clinical_camel import data, published


def describe(table, runs):
    audit = published.compare_with_published(table, runs)
    item_sets = published.match_item_sets(table)
    text = published.describe_published(published.assess_published(table), item_sets, audit, ["x"])
    return published.format_headline(audit), "\n".join(text)


def test_sources_sets_cases_and_verdicts_have_sentences():
    line, text = describe(data.load_published(), {})
    assert line.startswith("0 published accuracies of systems that our studies reproduce: none;")
    assert line.endswith("; 171 more of other systems")
    assert "We found a source for 148 of 171 published accuracies; the other 23 are re" in text
    assert "no public set of questions fits all percentages: `usmle_self_assessment_step_1`" in text
    assert "five-shot score on PubMedQA cannot come from the 500 test questions" in text
    assert "Most of MedAlpaca's scores fit 91, 109, 123 questions" in text
    assert "on Step 3 fit 122 questions." in text
    assert text.endswith("- x")


def test_a_reproduced_score_is_counted():
    line, text = describe(published_rows(), {"camel:70b": scores()})
    assert line == "1 published accuracies of systems that our studies reproduce: 1 reproduced"
    assert "For every benchmark, a public set of questions fits all percentages." in text
