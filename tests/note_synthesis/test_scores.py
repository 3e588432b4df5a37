"""ROUGE, BLEU and chrF against an independent computation, and their intervals."""

import dataclasses
import math
import re
from collections import Counter

import pandas as pd
import pytest
from nltk.stem.porter import PorterStemmer

from clinical_camel import data, note_synthesis
from clinical_camel.note_synthesis import NoteTask, scores, structure
from clinical_camel.note_synthesis.scores import METRICS, score_note

CORPORA = {"mini": data.load_consultations("mini_consultations", 6)}
TASK = NoteTask()


# -------------------------------------------------- an independent computation of the metrics


def tokenize(text: str) -> list[str]:
    """The tokens of rouge-score: a to z and digits, words above three letters stemmed."""
    stem = PorterStemmer().stem
    return [stem(w) if len(w) > 3 else w for w in re.findall("[a-z0-9]+", text.lower())]


def f1(shared: int, candidate: int, reference: int) -> float:
    return 2 * shared / (candidate + reference) if shared else 0.0


def ngrams(items, n: int) -> Counter:
    return Counter(tuple(items[i : i + n]) for i in range(len(items) - n + 1))


def rouge_n(note: str, reference: str, n: int) -> float:
    ours, theirs = ngrams(tokenize(note), n), ngrams(tokenize(reference), n)
    return f1((ours & theirs).total(), ours.total(), theirs.total())


def align(a: list, b: list) -> list[int]:
    """The indices in b of a longest common subsequence, by the table of Wagner and Fischer."""
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            longer = max(table[i][j + 1], table[i + 1][j])
            table[i + 1][j + 1] = table[i][j] + 1 if x == y else longer
    indices, i, j = [], len(a), len(b)
    while i and j:
        if a[i - 1] == b[j - 1]:
            indices.append(j - 1)
            i, j = i - 1, j - 1
        elif table[i][j - 1] > table[i - 1][j]:
            j -= 1
        else:
            i -= 1
    return indices


def rouge_l(note: str, reference: str) -> float:
    ours, theirs = tokenize(note), tokenize(reference)
    return f1(len(align(ours, theirs)), len(ours), len(theirs))


def bleu(note: str, reference: str) -> float:
    """Sentence BLEU, exponential smoothing (Chen and Cherry 2014), on words without punctuation."""
    ours, theirs = note.split(), reference.split()
    logs, misses = [], 1.0
    for n in range(1, min(4, len(ours)) + 1):
        grams = ngrams(ours, n)
        shared = (grams & ngrams(theirs, n)).total()
        if not shared:
            misses *= 2
        logs.append(math.log((shared or 1 / misses) / grams.total()))
    penalty = min(0.0, 1 - len(theirs) / len(ours))
    return math.exp(penalty + sum(logs) / len(logs))


def chrf(note: str, reference: str) -> float:
    """chrF2 (Popovic 2015): F of character 1- to 6-grams, recall counting four times."""
    shares = []
    for n in range(1, 7):
        ours, theirs = (ngrams("".join(t.split()), n) for t in (note, reference))
        if ours and theirs:
            shared = (ours & theirs).total()
            shares.append((shared / ours.total(), shared / theirs.total()))
    precision, recall = (sum(values) / len(shares) for values in zip(*shares, strict=True))
    return 5 * precision * recall / (4 * precision + recall) if precision + recall else 0.0


def pair_baselines():
    notes = note_synthesis.write_baselines(CORPORA, TASK)
    references = {row.id: row.note for row in CORPORA["mini"]}
    return [(note.note, references[note.id]) for note in notes.itertuples()]


def test_rouge_of_every_baseline_agrees_with_an_independent_computation():
    pairs = pair_baselines()
    assert len(pairs) == 12
    for note, reference in pairs:
        result = score_note(note, reference)
        assert result["rouge1"] == pytest.approx(rouge_n(note, reference, 1), abs=1e-12)
        assert result["rouge2"] == pytest.approx(rouge_n(note, reference, 2), abs=1e-12)
        assert result["rougeL"] == pytest.approx(rouge_l(note, reference), abs=1e-12)


def test_chrf_of_every_baseline_agrees_with_an_independent_computation():
    for note, reference in pair_baselines():
        assert score_note(note, reference)["chrf"] == pytest.approx(chrf(note, reference), abs=1e-9)


@pytest.mark.parametrize(
    ("note", "reference"),
    [
        ("the toe hurts and is red", "the left toe hurts and is red today"),
        ("gout", "gout"),
        ("rest and fluids and rest", "fluids and rest at home"),
    ],
)
def test_bleu_agrees_with_an_independent_computation(note, reference):
    assert score_note(note, reference)["bleu"] == pytest.approx(bleu(note, reference), abs=1e-9)


def test_rouge_lsum_is_the_union_of_the_subsequences_of_each_reference_sentence():
    note, reference = "Rest now. Fluids and gout pills.", "Gout pills and fluids. He may rest now."
    # of each sentence of the reference the union of its subsequences with both of the note:
    # "gout pills and fluids": {gout, pills} (or {and}); "he may rest now": {rest, now}
    assert score_note(note, reference)["rougeLsum"] == pytest.approx(f1(4, 6, 8))
    assert score_note(note, reference)["rougeL"] == pytest.approx(f1(2, 6, 8))


def test_a_reference_against_itself_scores_one_in_every_metric():
    for row in CORPORA["mini"]:
        assert list(score_note(row.note, row.note).values()) == pytest.approx([1.0] * 6)


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


def make_scores(model: str, values, encounters=None, part: str = "whole") -> pd.DataFrame:
    values = list(values)
    table = pd.DataFrame({"id": [str(i) for i in range(len(values))]})
    table["encounter"] = encounters or table["id"]
    table["in_note"] = [not math.isnan(value) for value in values]
    columns = {"corpus": "c", "model": model, "part": part, "in_reference": True}
    return table.assign(**columns, **dict.fromkeys(METRICS, values))


def test_each_division_is_scored_without_its_headings():
    row = CORPORA["mini"][0]
    notes = note_synthesis.write_baselines({"mini": [row]}, TASK).head(1)
    plan = structure.parse_note(row.note)["Plan"]
    notes["note"] = f"Plan:\n{plan}"
    scored = note_synthesis.score_notes(notes, {"mini": [row]}).set_index("part")
    expected = "\n".join(structure.parse_note(row.note)[name] for name in ("Assessment", "Plan"))
    result, missing = scored.loc["assessment and plan"], scored.loc["objective"]
    assert result["rougeL"] == pytest.approx(rouge_l(plan, expected))
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
    independent = note_synthesis.summarise_scores(make_scores("m", values), 0).iloc[0]
    clustered = note_synthesis.summarise_scores(
        make_scores("m", values, ["a"] * 10 + ["b"] * 10), 0
    ).iloc[0]
    assert (independent["encounters"], clustered["encounters"]) == (20, 2)
    assert clustered["rougeL"] == independent["rougeL"]
    narrow, wide = (t["rougeL_high"] - t["rougeL_low"] for t in (independent, clustered))
    assert wide > narrow


def test_models_are_compared_on_consultations_that_both_have_scores_for():
    both = [
        make_scores("base", [0.1, 0.2, math.nan, 0.4]),
        make_scores("tuned", [0.3, 0.4, 0.9, 0.6]),
    ]
    table = note_synthesis.compare_models(pd.concat(both), "base", "tuned", 0).set_index("metric")
    assert (table["n"] == 3).all()
    assert table.loc["rougeL", "difference"] == pytest.approx(0.2)
    assert table.loc["rougeL", "p"] == 0.25  # two of the eight permutations are as extreme
    assert table.loc["rougeL", "p_holm"] == 1.0
    with pytest.raises(KeyError, match="no notes by other; there are base, tuned"):
        note_synthesis.compare_models(pd.concat(both), "base", "other", 0)


def test_every_status_is_counted_with_truncated_and_merged_notes():
    notes = pd.DataFrame(
        {
            "corpus": "c",
            "model": "m",
            "status": ["ok", "looping", "too long"],
            "headings": "Plan; Assessment",
            "note": ["Plan: x", "Plan: y\nAssessment: z", ""],
            "turns": 4,
            "included_turns": [4, 2, 0],
            "windows": [3, 1, 0],
        }
    )
    row = note_synthesis.count_statuses(notes).iloc[0]
    assert (row["ok"], row["looping"], row["too long"], row["empty"]) == (1, 1, 1, 0)
    assert (row["truncated"], row["windowed"]) == (1, 1)
    assert row["sections_present"] == pytest.approx(0.5)


def test_a_text_is_latin_if_half_of_its_letters_are():
    assert scores.is_latin("120/80")
    assert not scores.is_latin("Боль в груди, BP")


def test_decodings_are_listed_with_statuses_and_scores():
    notes = note_synthesis.write_baselines(CORPORA, TASK).query("model == 'lead copy'")
    same = {"as set": notes, "warm": notes.assign(status="looping")}
    table = note_synthesis.score_decodings(same, CORPORA, 0)
    assert table["decoding"].tolist() == ["as set", "warm"]
    assert table["ok"].tolist() == [6, 0]
    assert table["looping"].tolist() == [0, 6]
    assert table["rougeL"][0] == table["rougeL"][1]


def test_missing_sections_are_counted():
    table = pd.DataFrame({"corpus": "c", "model": "m", "note": ["Plan: x", "Assessment: y"]})
    counts = note_synthesis.count_missing_sections(table.assign(headings="Plan; Assessment"))
    assert counts[["section", "requested", "missing"]].to_numpy().tolist() == [
        ["Plan", 2, 1],
        ["Assessment", 2, 1],
    ]
