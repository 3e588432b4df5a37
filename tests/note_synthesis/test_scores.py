"""Step 04: the scores, checked against a computation of our own, and their uncertainty."""

import dataclasses
import math
import re
from collections import Counter

import pandas as pd
import pytest
from nltk.stem.porter import PorterStemmer

from clinical_camel import data, note_synthesis
from clinical_camel.note_synthesis import METRICS, Request, score, scores, structure

VISITS = {"mini": data.load_consultations("mini_consultations", 6)}
REQUEST = Request()


# ------------------------------------------------------- ROUGE, BLEU and chrF once more, by hand


def tokens(text: str) -> list[str]:
    """What rouge-score calls tokens: a to z and digits, words above three letters stemmed."""
    stem = PorterStemmer().stem
    return [stem(w) if len(w) > 3 else w for w in re.findall("[a-z0-9]+", text.lower())]


def f1(shared: int, mine: int, theirs: int) -> float:
    return 2 * shared / (mine + theirs) if shared else 0.0


def ngrams(items, n: int) -> Counter:
    return Counter(tuple(items[i : i + n]) for i in range(len(items) - n + 1))


def rouge_n(note: str, reference: str, n: int) -> float:
    mine, theirs = ngrams(tokens(note), n), ngrams(tokens(reference), n)
    return f1((mine & theirs).total(), mine.total(), theirs.total())


def common(a: list, b: list) -> list[int]:
    """The places in b of a longest common subsequence, by the table of Wagner and Fischer."""
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            longer = max(table[i][j + 1], table[i + 1][j])
            table[i + 1][j + 1] = table[i][j] + 1 if x == y else longer
    places, i, j = [], len(a), len(b)
    while i and j:
        if a[i - 1] == b[j - 1]:
            places.append(j - 1)
            i, j = i - 1, j - 1
        elif table[i][j - 1] > table[i - 1][j]:
            j -= 1
        else:
            i -= 1
    return places


def rouge_l(note: str, reference: str) -> float:
    mine, theirs = tokens(note), tokens(reference)
    return f1(len(common(mine, theirs)), len(mine), len(theirs))


def bleu(note: str, reference: str) -> float:
    """Sentence BLEU, exponential smoothing (Chen and Cherry 2014), on words without punctuation."""
    mine, theirs = note.split(), reference.split()
    logs, misses = [], 1.0
    for n in range(1, min(4, len(mine)) + 1):
        have = ngrams(mine, n)
        shared = (have & ngrams(theirs, n)).total()
        if not shared:
            misses *= 2
        logs.append(math.log((shared or 1 / misses) / have.total()))
    penalty = min(0.0, 1 - len(theirs) / len(mine))
    return math.exp(penalty + sum(logs) / len(logs))


def chrf(note: str, reference: str) -> float:
    """chrF2 (Popovic 2015): F of character 1- to 6-grams, recall counting four times."""
    shares = []
    for n in range(1, 7):
        mine, theirs = (ngrams("".join(t.split()), n) for t in (note, reference))
        if mine and theirs:
            shared = (mine & theirs).total()
            shares.append((shared / mine.total(), shared / theirs.total()))
    precision, recall = (sum(each) / len(shares) for each in zip(*shares, strict=True))
    return 5 * precision * recall / (4 * precision + recall) if precision + recall else 0.0


def every_baseline():
    notes = note_synthesis.baseline_notes(VISITS, REQUEST)
    references = {row.id: row.note for row in VISITS["mini"]}
    return [(note.note, references[note.id]) for note in notes.itertuples()]


def test_rouge_of_every_baseline_is_what_an_independent_computation_gives():
    pairs = every_baseline()
    assert len(pairs) == 12
    for note, reference in pairs:
        found = score(note, reference)
        assert found["rouge1"] == pytest.approx(rouge_n(note, reference, 1), abs=1e-12)
        assert found["rouge2"] == pytest.approx(rouge_n(note, reference, 2), abs=1e-12)
        assert found["rougeL"] == pytest.approx(rouge_l(note, reference), abs=1e-12)


def test_chrf_of_every_baseline_is_what_an_independent_computation_gives():
    for note, reference in every_baseline():
        assert score(note, reference)["chrf"] == pytest.approx(chrf(note, reference), abs=1e-9)


@pytest.mark.parametrize(
    ("note", "reference"),
    [
        ("the toe hurts and is red", "the left toe hurts and is red today"),
        ("gout", "gout"),
        ("rest and fluids and rest", "fluids and rest at home"),
    ],
)
def test_bleu_is_what_an_independent_computation_gives(note, reference):
    assert score(note, reference)["bleu"] == pytest.approx(bleu(note, reference), abs=1e-9)


def test_rouge_lsum_is_the_union_of_what_each_sentence_of_the_reference_shares():
    note, reference = "Rest now. Fluids and gout pills.", "Gout pills and fluids. He may rest now."
    # of each sentence of the reference the union of its subsequences with both of the note:
    # "gout pills and fluids": {gout, pills} (or {and}); "he may rest now": {rest, now}
    assert score(note, reference)["rougeLsum"] == pytest.approx(f1(4, 6, 8))
    assert score(note, reference)["rougeL"] == pytest.approx(f1(2, 6, 8))


def test_a_reference_against_itself_scores_one_in_everything():
    for row in VISITS["mini"]:
        assert list(score(row.note, row.note).values()) == pytest.approx([1.0] * 6)


def test_the_same_pair_is_scored_once_and_its_scores_are_the_callers_own(monkeypatch):
    first = score("Rest at home, then fluids.", "Rest and fluids.")
    monkeypatch.setattr(scores, "_scorers", lambda: pytest.fail("scored twice"))
    again = score("Rest at home, then fluids.", "Rest and fluids.")
    assert again == first
    assert again is not first


def test_a_text_without_a_word_has_no_score_instead_of_a_zero():
    assert all(math.isnan(value) for value in score("...", "Gout.").values())
    assert all(math.isnan(value) for value in score("Gout.", "").values())


def test_rouge_is_missing_in_a_script_it_cannot_read_and_chrf_is_not():
    found = score("患者咳嗽三天", "患者咳嗽三天")
    assert math.isnan(found["rouge1"])
    assert found["chrf"] == pytest.approx(1.0)
    mixed = score("Cough for three days", "患者咳嗽三天")
    assert math.isnan(mixed["rougeL"])
    assert mixed["chrf"] == 0


def test_the_settings_of_bleu_and_chrf_are_named_with_the_version():
    found = note_synthesis.signatures()
    assert found["bleu"].startswith("nrefs:1|case:mixed|eff:yes|tok:13a|smooth:exp|version:")
    assert found["chrf"].startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:")


# ------------------------------------------------------------------------ tables and intervals


def rows(model: str, values, encounters=None, part: str = "whole") -> pd.DataFrame:
    values = list(values)
    table = pd.DataFrame({"id": [str(i) for i in range(len(values))]})
    table["encounter"] = encounters or table["id"]
    known = [not math.isnan(value) for value in values]
    facts = {"corpus": "c", "model": model, "part": part, "wanted": True, "present": known}
    return table.assign(**facts, **dict.fromkeys(METRICS, values))


def test_each_division_is_scored_apart_and_without_its_headings():
    visit = VISITS["mini"][0]
    notes = note_synthesis.baseline_notes({"mini": [visit]}, REQUEST).head(1)
    plan = structure.parse_note(visit.note)["Plan"]
    notes["note"] = f"Plan:\n{plan}"
    scored = note_synthesis.score_notes(notes, {"mini": [visit]}).set_index("part")
    expected = "\n".join(structure.parse_note(visit.note)[name] for name in ("Assessment", "Plan"))
    found = scored.loc["assessment and plan"]
    assert found["rougeL"] == pytest.approx(rouge_l(plan, expected))
    assert (found["wanted"], found["present"]) == (True, True)
    assert (scored.loc["objective", "wanted"], scored.loc["objective", "present"]) == (True, False)
    assert math.isnan(scored.loc["objective", "rouge1"])


def test_a_consultation_without_a_reference_is_counted_and_has_no_score():
    visit = dataclasses.replace(VISITS["mini"][0], note="")
    notes = note_synthesis.baseline_notes({"mini": [visit]}, REQUEST).assign(note="Plan:\nRest.")
    scored = note_synthesis.score_notes(notes, {"mini": [visit]})
    assert scored["rouge1"].isna().all()
    assert not scored["wanted"].any()
    assert note_synthesis.summarise(scored, 0)["n"].sum() == 0


def test_the_summary_leaves_missing_scores_out_and_says_how_many():
    row = note_synthesis.summarise(rows("m", [0.5, 0.7, math.nan]), 0).iloc[0]
    assert (row["wanted"], row["n"], row["missing"]) == (3, 2, 1)
    assert row["rougeL"] == pytest.approx(0.6)


def test_an_interval_over_two_encounters_is_wider_than_over_twenty_notes():
    values = [0.2] * 10 + [0.8] * 10
    free = note_synthesis.summarise(rows("m", values), 0).iloc[0]
    tied = note_synthesis.summarise(rows("m", values, ["a"] * 10 + ["b"] * 10), 0).iloc[0]
    assert (free["encounters"], tied["encounters"]) == (20, 2)
    assert tied["rougeL"] == free["rougeL"]
    assert tied["rougeL_high"] - tied["rougeL_low"] > free["rougeL_high"] - free["rougeL_low"]


def test_models_are_compared_on_the_same_visits_with_a_score_each():
    both = [rows("base", [0.1, 0.2, math.nan, 0.4]), rows("tuned", [0.3, 0.4, 0.9, 0.6])]
    table = note_synthesis.compare(pd.concat(both), "base", "tuned", 0).set_index("metric")
    assert (table["n"] == 3).all()
    assert table.loc["rougeL", "difference"] == pytest.approx(0.2)
    assert table.loc["rougeL", "p"] == 0.25  # of eight exchanges the two extreme ones
    assert table.loc["rougeL", "p_holm"] == 1.0
    with pytest.raises(KeyError, match="no notes by other; there are base, tuned"):
        note_synthesis.compare(pd.concat(both), "base", "other", 0)


def test_every_status_is_counted_with_what_was_cut_and_merged():
    notes = pd.DataFrame(
        {
            "corpus": "c",
            "model": "m",
            "status": ["ok", "looping", "too long"],
            "asked": "Plan; Assessment",
            "note": ["Plan: x", "Plan: y\nAssessment: z", ""],
            "turns": 4,
            "kept_turns": [4, 2, 0],
            "windows": [3, 1, 0],
        }
    )
    row = note_synthesis.count_statuses(notes).iloc[0]
    assert (row["ok"], row["looping"], row["too long"], row["empty"]) == (1, 1, 1, 0)
    assert (row["truncated"], row["windows"]) == (1, 1)
    assert row["sections_present"] == pytest.approx(0.5)


def test_latin_letters_are_told_from_others_by_the_half():
    assert scores.latin("120/80")
    assert not scores.latin("Боль в груди, BP")


def test_ways_of_decoding_stand_below_one_another_with_their_statuses():
    notes = note_synthesis.baseline_notes(VISITS, REQUEST).query("model == 'lead copy'")
    same = {"as set": notes, "warm": notes.assign(status="looping")}
    table = note_synthesis.by_decoding(same, VISITS, 0)
    assert table["decoding"].tolist() == ["as set", "warm"]
    assert table["ok"].tolist() == [6, 0]
    assert table["looping"].tolist() == [0, 6]
    assert table["rougeL"][0] == table["rougeL"][1]
