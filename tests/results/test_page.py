"""The page: findings with their sources, what has not run, meaning and limits."""

import re

from tests.support import toy_results

from clinical_camel import results
from clinical_camel.results.further import SAME_RATE


def test_without_a_result_the_page_lists_what_is_missing(settings):
    findings = results.collect_findings(settings)
    missing = f"{len(findings)} not run, or not finished"
    assert results.format_headline(findings) == f"nothing has been run; {missing}"
    text = results.format_readme(settings)
    assert text.startswith("1. **Not run, or not finished:** dialogues against raw articles, the q")
    assert "![" not in text
    assert results.list_numbers(findings).empty


def test_the_short_page_has_main_numbers_and_limits(project, settings):
    toy_results.save_control(project)
    toy_results.save_control(project, "smollm2_135m_raw")
    toy_results.save_writers(project)
    text = results.format_readme(settings)
    lines = text.splitlines()
    assert lines[0].startswith("Brackets are 95 % intervals")
    assert lines[4] == (
        "| SmolLM2-135M: dialogues minus raw articles | 25.0 [20.0, 30.0] | 50.0 [45.0, 55.0] | "
        "35.0 [30.0, 40.0] | 15.0 [10.0, 20.0] | 0.01 (2) | 1 of 2 ways |"
    )
    assert lines[7] == (
        "**Table 1.** Correct answers in % to 300 questions, asked in plain text without examples; "
        "guessing gives 25 %. One training of each model. p is adjusted for all comparisons of its "
        "study (their number in brackets)."
    )
    first, _, _, missing = [line for line in lines if re.match(r"\d\. \*", line)]
    assert first.endswith("ways of asking this exam (Table 1). " + SAME_RATE)
    assert missing.startswith("4. **Not run, or not finished:** dialogues against raw articles,")
    assert "One possible reason" not in text
    findings = results.collect_findings(settings)
    headline = results.format_headline(findings)
    missing = sum(not finding.is_run for finding in findings)
    assert headline.endswith(f"; 2 more findings; {missing} not run, or not finished")
    page = results.format_page(findings, settings.main_form)
    assert "One possible reason" in page
    assert "[scores](outputs/smollm2_135m_raw/03_eval_fewshot/scores.csv)" in page
    assert "[settings](params/smollm2_135m_raw/03_eval_fewshot.yaml))" in page
    assert "The cause of a difference is unknown" not in text
    assert "larger models may behave differently" in text
    assert text.endswith("[notebook 00](notebooks/00_results.ipynb).")
    project.file("outputs/results/00_results.ipynb", "{}")
    assert "[notebook 00](outputs/results/00_results.ipynb)" in results.format_readme(settings)
    assert "A score on the new texts alone hides what the model has forgotten." in text


def test_limits_and_meaning_follow_the_results(project, settings):
    toy_results.save_control(project, primer=0.58)
    toy_results.save_comparison(project, primer=0.58)
    assert "cause of a difference" not in " ".join(results.describe_limits(settings))
    meaning = " ".join(results.describe_meaning(results.collect_findings(settings)))
    assert "has forgotten" not in meaning


def test_the_figure_of_the_page_is_shown_once_it_is_drawn(project, settings):
    toy_results.save_control(project)
    assert "Figure 1" not in results.format_readme(settings)
    project.file("outputs/results/00_results/forms.png", "")
    text = results.format_readme(settings)
    assert f"![{results.ALT}](outputs/results/00_results/forms.png)\n**Figure 1.**" in text


def test_every_number_has_its_n_and_its_source(project, settings):
    toy_results.save_control(project)
    toy_results.save_comparison(project)
    toy_results.save_notes(project)
    toy_results.save_rewards(project)
    findings = results.collect_findings(settings)
    numbers = results.list_numbers(findings)
    assert (numbers["n"] > 0).all()
    assert numbers["table"].str.endswith(".csv").all()
    assert numbers["params"].str.startswith("params/").all()
    assert numbers[["low", "high"]].notna().all(axis=None)
    lines = results.format_numbers(findings, "../../").splitlines()
    assert len(lines) == len(numbers) + 2
    assert lines[2] == (
        "| effect | base model | 25.0 % [21.0, 29.0] | 260 questions | 25 % | 1 | "
        "[scores](../../outputs/dbke_effect/06_controlled_comparison/scores.csv), "
        "[settings](../../params/dbke_effect/06_controlled_comparison.yaml) |"
    )
    assert "../../outputs/dbke_effect" in results.format_page(findings, "plain text", "../../")
