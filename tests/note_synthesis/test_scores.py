"""ROUGE, BLEU and chrF against hand counts, and their intervals."""

import dataclasses
import math

import pandas as pd
import pytest

from clinical_camel import data, note_synthesis
from clinical_camel.core.settings import Incomplete
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


@pytest.mark.parametrize("note", ["", "...", " \n"])
def test_a_note_without_a_word_scores_zero_and_without_a_reference_there_is_no_score(note):
    assert set(score_note(note, "Gout.").values()) == {0}
    assert all(math.isnan(value) for value in score_note("Gout.", note).values())


def test_in_another_script_rouge_is_missing_and_chrf_is_not():
    same = score_note("患者咳嗽三天", "患者咳嗽三天")
    assert math.isnan(same["rouge1"])
    assert same["chrf"] == pytest.approx(1.0)
    mixed = score_note("Cough for three days", "患者咳嗽三天")
    assert math.isnan(mixed["rougeL"])
    assert mixed["chrf"] == 0
    assert score_note("患者咳嗽三天", "Cough for three days")["rougeL"] == 0  # no word is shared


def test_the_signatures_of_bleu_and_chrf_have_their_version():
    signatures = note_synthesis.describe_metrics()
    assert signatures["bleu"].startswith("nrefs:1|case:mixed|eff:yes|tok:13a|smooth:exp|version:")
    assert signatures["chrf"].startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:")


# ------------------------------------------------------------------------ tables and intervals


def make_scores(model: str, values: list[float], encounters=None, missing=()) -> pd.DataFrame:
    table = pd.DataFrame({"id": [str(i) for i in range(len(values))]})
    table["encounter"] = encounters or table["id"]
    table["in_note"] = ~table.index.isin(missing)
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
    assert missing["rouge1"] == 0


def test_a_consultation_without_a_reference_is_counted_and_has_no_score():
    row = dataclasses.replace(CORPORA["mini"][0], note="")
    notes = note_synthesis.write_baselines({"mini": [row]}, TASK).assign(note="Plan:\nRest.")
    scored = note_synthesis.score_notes(notes, {"mini": [row]})
    assert scored["rouge1"].isna().all()
    assert not scored["in_reference"].any()
    assert note_synthesis.summarise_scores(scored, 0)["n"].sum() == 0
    assert note_synthesis.format_scores(note_synthesis.summarise_scores(scored, 0)).size


def test_a_missing_part_counts_zero_and_the_mean_of_the_others_is_shown_next_to_it():
    summary = note_synthesis.summarise_scores(make_scores("m", [0.5, 0.7, 0.0], missing=[2]), 0)
    row = summary.iloc[0]
    assert (row["n"], row["missing"]) == (3, 1)
    assert row["rougeL"] == pytest.approx(0.4)
    assert row["rougeL_if_present"] == pytest.approx(0.6)
    table = note_synthesis.format_scores(summary).iloc[0]
    assert table["ROUGE-L, missing = 0"].startswith("0.400 [")
    assert table["ROUGE-L, written parts only"] == "0.600"


def test_a_long_table_of_scores_has_the_complete_notes_alone():
    summary = note_synthesis.summarise_scores(make_scores("m", [0.5, 0.7]), 0)
    few, many = (
        pd.concat([summary.assign(part=part) for part in ("whole", "subjective")] * times)
        for times in (1, 40)
    )
    assert set(note_synthesis.format_scores(few)["part"]) == {"whole", "subjective"}
    assert set(note_synthesis.format_scores(many)["part"]) == {"whole"}


def test_who_leaves_out_what_it_cannot_write_does_not_win():
    complete = make_scores("complete", [0.7, 0.7, 0.7])
    selective = make_scores("selective", [0.8, 0.8, 0.0], missing=[2])
    both = pd.concat([complete, selective])
    means = note_synthesis.summarise_scores(both, 0).set_index("model")
    assert means.loc["selective", "rougeL_if_present"] > means.loc["complete", "rougeL"]
    assert means.loc["selective", "rougeL"] < means.loc["complete", "rougeL"]
    table = note_synthesis.compare_models(both, "complete", "selective", 0)
    assert (table["difference"] < 0).all()
    assert set(table["n"]) == {3}


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
    values = {"base": [0.1, 0.2, math.nan, 0.4], "tuned": [0.3, 0.4, 0.9, 0.6]}  # NaN: undefined
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


def make_statuses(*statuses: str) -> pd.DataFrame:
    return pd.DataFrame({"status": statuses}).assign(corpus="c", model="m")


@pytest.mark.parametrize("statuses", [["ok", "empty"], ["looping"], ["ok", "ok", "too long"]])
def test_bad_notes_are_a_result_as_long_as_half_of_them_have_words(statuses):
    scores.require_notes(make_statuses(*statuses))


@pytest.mark.parametrize(
    ("statuses", "reason"),
    [
        (["empty"] * 3, "m on c: of 3 notes, 3 have no words .*max_new_tokens"),
        (["ok", "too long", "too long"], "2 had no room in the context .*windows"),
        (["ok", "empty", "too long"], "1 have no words .* and 1 had no room"),
    ],
)
def test_a_step_with_hardly_a_note_fails_with_the_reason(statuses, reason):
    with pytest.raises(Incomplete, match=reason):
        scores.require_notes(make_statuses(*statuses))
    mixed = pd.concat([make_statuses(*statuses), make_statuses("ok", "ok").assign(model="other")])
    with pytest.raises(Incomplete, match=reason):
        scores.require_notes(mixed)


def test_decodings_are_listed_with_statuses_and_scores():
    notes = note_synthesis.write_baselines(CORPORA, TASK).query("model == 'lead copy'")
    same = {"as set": notes, "warm": notes.assign(status="looping")}
    table = note_synthesis.score_decodings(same, CORPORA, 0)
    assert table["decoding"].tolist() == ["as set", "warm"]
    assert table["ok"].tolist() == [6, 0]
    assert table["looping"].tolist() == [0, 6]
    assert table["rougeL"][0] == table["rougeL"][1]
