"""Table 1: the planned contrasts, each with its verdict and what else differs."""

from tests.support import toy_results

from clinical_camel.results import contrasts
from clinical_camel.results.sources import find_result

STEP = "06_controlled_comparison"


def test_the_table_has_scores_verdicts_and_what_differs(project):
    toy_results.save_comparison(project)
    listed = contrasts.list_contrasts(find_result("dbke_effect", STEP))
    lines = contrasts.format_contrasts(listed, "plain text").splitlines()
    assert lines[0].endswith("| verdict | A minus B on all 312 questions | training of A had |")
    assert lines[2] == (
        "| dialogues minus raw articles | 49.0 [45.0, 53.0] | 37.0 [33.0, 41.0] | 12.0 [9.0, 15.0] "
        "| 0.004 | more correct answers by more than 5 points |  | learning rate 0.008 (B: 0.004) "
        "and format chat (B: plain text with raw title) |"
    )
    assert lines[3] == (
        "| dialogues minus the same sentences without questions | 49.0 [45.0, 53.0] | "
        "40.0 [36.0, 44.0] | 1.0 [-2.0, 4.0] | 0.004 | no effect larger than 5 points |  | "
        "31 % more tokens with loss, learning rate 0.008 (B: 0.004) and format chat (B: plain "
        "text with monologue title) |"
    )
    assert lines[4].endswith(
        "| 0.30 | we cannot tell | -8.0 [-11.0, -5.0] | learning rate 0.008 (B: 0.004) and rows "
        "per step 4 (B: 17) |"
    )
    assert lines[6].startswith(
        "**Table 1.** Correct answers in % to 260 questions worded unlike any training dialogue,"
    )
    assert "10 pairs of seeds." in lines[6]
    assert "p is adjusted for 3 comparisons" in lines[6]
    assert "which of tokens, steps, exposures, learning rate and rows per step differ" in lines[6]
    assert contrasts.format_contrasts([], "plain text") == ""


def test_a_contrast_without_verdict_is_not_listed(project, settings):
    toy_results.save_comparison(project, "preliminary")
    listed = contrasts.list_contrasts(find_result("dbke_effect", STEP))
    assert [contrast.names[1] for contrast in listed] == [
        "the same sentences without questions",
        "single questions with answers",
    ]
    assert contrasts.name_pairs_table(settings) == "Table 1"
    toy_results.save_comparison(project)
    assert contrasts.name_pairs_table(settings) == "Table 2"
