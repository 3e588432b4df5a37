"""ROUGE, BLEU and chrF against hand counts, and their intervals."""

import dataclasses
import math

import pandas as pd
import pytest

from clinical_camel import data, note_synthesis
from clinical_camel.note_synthesis import NoteTask, scores, structure
from clinical_camel.note_synthesis.scores import METRICS, score_note

CORPORA = {"mini": data.load_consultations("mini_consultations", 6)}
TASK = NoteTask()


def f1(shared: int, candidate: int, reference: int) -> float:
    return 2 * shared / (candidate + reference)


def test_rouge_is_the_f1_of_the_hand_count_and_lsum_the_union_over_sentences():
    note, reference = "Resting now. Fluid and gout pills.", "Gout pill and fluids. He may rest now."
    scores = score_note(note, reference)  # stemmed: rest, fluid, pill
    assert scores["rouge1"] == pytest.approx(f1(6, 6, 8))
    assert scores["rouge2"] == pytest.approx(f1(2, 5, 7))  # rest now, gout pill
    assert scores["rougeL"] == pytest.approx(f1(2, 6, 8))
    # of each sentence of the reference the union of its subsequences with both of the note:
    # "gout pill and fluid": {gout, pill} (or {and}); "he may rest now": {rest, now}
    assert scores["rougeLsum"] == pytest.approx(f1(4, 6, 8))


def test_bleu_and_chrf_are_those_of_the_hand_count():
    # Chen and Cherry 2014: precisions of 1- to 3-grams are 1, brevity penalty exp(1 - 4/3)
    short, long = "the toe hurts", "the toe hurts now"
    assert score_note(short, long)["bleu"] == pytest.approx(math.exp(-1 / 3))
    # no 4-gram is shared: half of one, the exponential smoothing
    bleu = (3 / 4 * 2 / 3 * 1 / 2 * 1 / 2) ** (1 / 4)
    assert score_note(long, short)["bleu"] == pytest.approx(bleu)
    # chrF2 (Popovic 2015) of 1- and 2-grams: precision 1, recall (2/3 + 1/2) / 2 = 7/12
    assert score_note("ab", "abc")["chrf"] == pytest.approx(5 * 7 / 12 / (4 + 7 / 12))


def test_a_pair_is_scored_once_and_each_caller_gets_a_copy(monkeypatch):
    first = score_note("Rest at home, then fluids.", "Rest and fluids.")
    monkeypatch.setattr(scores, "_scorers", lambda: pytest.fail("scored twice"))
    second = score_note("Rest at home, then fluids.", "Rest and fluids.")
    assert second == first
    assert second is not first


def test_a_text_without_a_word_has_a_missing_score_not_zero():
    assert all(math.isnan(value) for value in score_note("...", "Gout.").values())
    assert all(math.isnan(value) for value in score_note("Gout.", "").values())


def test_in_another_script_rouge_is_missing_and_chrf_is_not():
    same = score_note("患者咳嗽三天", "患者咳嗽三天")
    assert math.isnan(same["rouge1"])
    assert same["chrf"] == pytest.approx(1.0)
    mixed = score_note("Cough for three days", "患者咳嗽三天")
    assert math.isnan(mixed["rougeL"])
    assert mixed["chrf"] == 0


def test_the_signatures_of_bleu_and_chrf_have_their_version():
    signatures = note_synthesis.describe_metrics()
    assert signatures["bleu"].startswith("nrefs:1|case:mixed|eff:yes|tok:13a|smooth:exp|version:")
    assert signatures["chrf"].startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:")


# ------------------------------------------------------------------------ tables and intervals


def make_scores(model: str, values: list[float], encounters=None) -> pd.DataFrame:
    table = pd.DataFrame({"id": [str(i) for i in range(len(values))]})
    table["encounter"] = encounters or table["id"]
    table["in_note"] = [not math.isnan(value) for value in values]
    columns = {"corpus": "c", "model": model, "part": "whole", "in_reference": True}
    return table.assign(**columns, **dict.fromkeys(METRICS, values))


def test_each_division_is_scored_without_its_headings():
    row = CORPORA["mini"][0]
    notes = note_synthesis.write_baselines({"mini": [row]}, TASK).head(1)
    plan = structure.parse_note(row.note)["Plan"]
    notes["note"] = f"Plan:\n{plan}"
    scored = note_synthesis.score_notes(notes, {"mini": [row]}).set_index("part")
    expected = "\n".join(structure.parse_note(row.note)[name] for name in ("Assessment", "Plan"))
    result, missing = scored.loc["assessment and plan"], scored.loc["objective"]
    assert result["rougeL"] == pytest.approx(score_note(plan, expected)["rougeL"])
    assert (result["in_reference"], result["in_note"]) == (True, True)
    assert (missing["in_reference"], missing["in_note"]) == (True, False)
    assert math.isnan(missing["rouge1"])


def test_a_consultation_without_a_reference_is_counted_and_has_no_score():
    row = dataclasses.replace(CORPORA["mini"][0], note="")
    notes = note_synthesis.write_baselines({"mini": [row]}, TASK).assign(note="Plan:\nRest.")
    scored = note_synthesis.score_notes(notes, {"mini": [row]})
    assert scored["rouge1"].isna().all()
    assert not scored["in_reference"].any()
    assert note_synthesis.summarise_scores(scored, 0)["n"].sum() == 0


def test_the_summary_counts_missing_scores_and_averages_the_others():
    row = note_synthesis.summarise_scores(make_scores("m", [0.5, 0.7, math.nan]), 0).iloc[0]
    assert (row["references"], row["n"], row["missing"]) == (3, 2, 1)
    assert row["rougeL"] == pytest.approx(0.6)


def test_an_interval_over_two_encounters_is_wider_than_over_twenty_notes():
    values = [0.2] * 10 + [0.8] * 10
    independent, clustered = (
        note_synthesis.summarise_scores(make_scores("m", values, encounters), 0).iloc[0]
        for encounters in (None, ["a"] * 10 + ["b"] * 10)
    )
    assert (independent["encounters"], clustered["encounters"]) == (20, 2)
    assert clustered["rougeL"] == independent["rougeL"]
    narrow, wide = (t["rougeL_high"] - t["rougeL_low"] for t in (independent, clustered))
    assert wide > narrow


def test_models_are_compared_on_consultations_that_both_have_scores_for():
    values = {"base": [0.1, 0.2, math.nan, 0.4], "tuned": [0.3, 0.4, 0.9, 0.6]}
    both = pd.concat([make_scores(model, scores) for model, scores in values.items()])
    table = note_synthesis.compare_models(both, "base", "tuned", 0).set_index("metric")
    assert (table["n"] == 3).all()
    assert table.loc["rougeL", "difference"] == pytest.approx(0.2)
    assert table.loc["rougeL", "p"] == 0.25  # two of the eight permutations are as extreme
    assert table.loc["rougeL", "p_holm"] == 1.0
    with pytest.raises(KeyError, match="no notes by other; there are base, tuned"):
        note_synthesis.compare_models(both, "base", "other", 0)


def test_statuses_truncated_and_merged_notes_and_missing_sections_are_counted():
    texts = {"status": ["ok", "looping", "too long"], "note": ["Plan: x", "Plan: y\nDiet: z", ""]}
    counts = {"turns": 4, "included_turns": [4, 2, 0], "windows": [3, 1, 0]}
    notes = pd.DataFrame(texts | counts).assign(corpus="c", model="m", headings="Plan; Diet")
    row = note_synthesis.count_statuses(notes).iloc[0]
    assert (row["ok"], row["looping"], row["too long"], row["empty"]) == (1, 1, 1, 0)
    assert (row["truncated"], row["windowed"]) == (1, 1)
    assert row["sections_present"] == pytest.approx(0.5)
    missing = note_synthesis.count_missing_sections(notes)
    rows = missing[["section", "requested", "missing"]].to_numpy().tolist()
    assert rows == [["Plan", 3, 1], ["Diet", 3, 2]]


def test_decodings_are_listed_with_statuses_and_scores():
    notes = note_synthesis.write_baselines(CORPORA, TASK).query("model == 'lead copy'")
    same = {"as set": notes, "warm": notes.assign(status="looping")}
    table = note_synthesis.score_decodings(same, CORPORA, 0)
    assert table["decoding"].tolist() == ["as set", "warm"]
    assert table["ok"].tolist() == [6, 0]
    assert table["looping"].tolist() == [0, 6]
    assert table["rougeL"][0] == table["rougeL"][1]
