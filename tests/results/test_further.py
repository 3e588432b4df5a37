"""Notes, a real language model, rewards and published systems: absent, then with results."""

import json

import pytest
from tests.support import toy_results

from clinical_camel.exam_results.answers import NO_STUDY
from clinical_camel.results import further, notes


def test_what_has_not_run_is_named(settings):
    missing = [
        notes.assess_notes(settings),
        *further.assess_real_model(settings),
        further.assess_published(settings),
    ]
    assert [finding.headline for finding in missing] == [
        "clinical notes",
        "a real language model (smollm2_135m)",
        "the published systems (notebook 10 checks their numbers without running them)",
    ]
    assert not any(finding.is_run for finding in missing)


def test_a_real_model_has_its_exams_its_control_and_its_notes(project, settings):
    scores = [
        toy_results.score(model, value, exam=exam, most_chosen=0.95)
        for exam, pair in (("medqa_us", (0.24, 0.26)), ("pubmedqa", (0.4, 0.6)))
        for model, value in zip(("base", "tuned"), pair, strict=True)
    ]
    rows = [
        toy_results.difference("tuned", "base", 0.02, 1.0, exam="medqa_us"),
        toy_results.difference("tuned", "base", 0.2, 0.001, exam="pubmedqa"),
    ]
    adapters = {"base": "", "tuned": "outputs/dialogues/02_sft_qlora/adapter"}
    params = toy_results.EXAM_PARAMS | {"model": "smollm2_135m", "adapters": adapters}
    tables = {"scores": scores, "comparison": rows}
    toy_results.save(project, "smollm2_135m", "03_eval_fewshot", params, **tables)
    toy_results.save_control(project, "smollm2_135m_raw", p_holm=0.5)
    toy_results.save_notes(project, "smollm2_135m")
    exams, control, own_notes = further.assess_real_model(settings)
    assert exams.headline == (
        "SmolLM2-135M: asked in the format option_text, 0-shot, tuning changes 1 of 2 exam scores "
        "significantly (one training)"
    )
    assert "In 1 of 2 exams, neither model is clearly better than both guessing" in exams.lead
    assert "1 of 2 comparisons are significant: 1 up, 0 down; in 1, each" in exams.lead
    assert exams.lead.endswith(
        "The form decides: asked in plain text, the same tuned model answers 50.0 % of `mini_exam` "
        "correctly (Table 1)."
    )
    assert control.lead.endswith(
        "the trainings in steps, which this comparison cannot separate. " + further.SAME_RATE
    )
    rows = [
        toy_results.contrast("dialogue", "raw", 0.06, "secondary"),
        toy_results.contrast("dialogue", "raw", 0.035, "", outcome="plain, all questions", n=312),
    ]
    rows[1]["seeds"] = 3
    params = {"outcomes": {"plain": "mini_exam/option_text"}}
    toy_results.save(project, "dbke_smollm2", "06_controlled_comparison", params, contrasts=rows)
    control = further.assess_real_model(settings)[1]
    assert control.brief.endswith(
        "Over 3 pairs of seeds, tuned on the embedded articles alone (`dbke_smollm2`), the "
        "difference on these 312 questions is 3.5 points [0.5, 6.5]."
    )
    assert exams.sentences[1] == (
        "Significant: `pubmedqa`, option_text, 0-shot (+20.0 points, where both models give nearly "
        "one answer to all questions)."
    )
    assert (
        "`pubmedqa` 40.0 % [35.0, 45.0] before and 60.0 % [55.0, 65.0] after (n = 300"
        in (exams.sentences[0])
    )
    assert control.headline.startswith("SmolLM2-135M: we cannot tell whether dialogues")
    assert control.pair.base == "SmolLM2-135M"
    assert own_notes.headline.startswith("SmolLM2-135M: we found no significant improvement")


def test_the_score_of_another_model_is_not_named(project, settings):
    toy_results.save_control(project, "smollm2_135m_raw")
    scores = [toy_results.score(model, 0.3) for model in ("base", "tuned")]
    rows = [toy_results.difference("tuned", "base", 0.0, 1.0)]
    params = toy_results.EXAM_PARAMS
    toy_results.save(
        project, "smollm2_135m", "03_eval_fewshot", params, scores=scores, comparison=rows
    )
    exams, _ = further.assess_real_model(settings)
    assert "the same tuned model" not in exams.lead


@pytest.mark.parametrize(
    ("changes", "headline"),
    [
        ({}, "tuned on dialogues by a language model scores lower than the one tuned on dialogues"),
        ({"gain": 0.1}, "tuned on dialogues by a language model scores higher than the one tuned"),
        ({"p_holm": 0.2}, "We cannot tell whether it matters if rules or a language model write"),
    ],
)
def test_who_wrote_the_dialogues_is_a_finding(project, settings, changes, headline):
    assert not further.assess_writer(settings).is_run
    toy_results.save_writers(project, **changes)
    finding = further.assess_writer(settings)
    assert headline in finding.headline
    significant = 0 if "p_holm" in changes else 1
    assert f"significant in {significant} of 2 ways of asking this exam" in finding.lead
    assert finding.pair.names == ("dialogues by a language model", "dialogues by rules")
    assert "The checks rejected" not in finding.lead
    assert "different dialogues" not in finding.lead
    toy_results.save_coverage(project)
    finding = further.assess_writer(settings)
    assert (
        "diseases with both (258 questions), the differences are -9.0 points [-17.0, -2.0] (plain"
        in (finding.lead)
    )
    assert finding.numbers[-1].table == "experiments/results/llm_coverage.csv"


def test_a_writer_with_fewer_different_dialogues_is_named(project, settings):
    toy_results.save_writers(project)
    shares = {"llm": (4.9, 270), "dialogues": (1.0, 345)}
    for model, (share, rows) in shares.items():
        spec = f"outputs/{model}/01_dbke/dialogues.jsonl"
        record = json.dumps({"params": {"mixture": {spec: share, "mini_chat": 1.0}}})
        project.file(f"outputs/{model}/02_sft_qlora/run.json", record)
        project.file(f"outputs/{model}/02_sft_qlora/mixture.csv", f"source,rows\n{spec},{rows}\n")
    adapters = {"base": ""} | {name: f"outputs/{name}/02_sft_qlora/adapter" for name in shares}
    record = project.root / "outputs/mini_camel_llm/03_eval_fewshot/run.json"
    values = json.loads(record.read_text())
    values["params"]["adapters"] = adapters
    record.write_text(json.dumps(values))
    assert (
        "wrote 55 different dialogues, each repeated about 5 times, the rules 345: less variety"
        in further.assess_writer(settings).lead
    )


def test_published_systems_have_their_verdicts(project, settings):
    verdicts = [{"verdict": "not run", "reason": NO_STUDY}, {"verdict": "reproduced"}]
    verdicts += [{"verdict": "not run", "reason": "our study of this system has not run"}] * 3
    toy_results.save(project, "published", "10_published", audit=verdicts)
    finding = further.assess_published(settings)
    assert finding.headline == "We reproduced 1 of 4 published accuracies"
    assert finding.lead == "Verdicts: 3 not run and 1 reproduced."
