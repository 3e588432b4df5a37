"""Hallucinations and omissions: the tables, their summary, the prose about the check."""

import dataclasses
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from tests.support.consultations import KNEE, KNEE_AGAIN, WRONG_NOTE

from clinical_camel import grounding, note_synthesis
from clinical_camel.data import Turn

CORPORA = {"toy": [KNEE, KNEE_AGAIN]}
ROOT = Path(__file__).parents[2]


def make_notes(**texts: str) -> pd.DataFrame:
    """The note of each model about the first consultation."""
    rows = [{"corpus": "toy", "model": name, "id": "v1", "note": t} for name, t in texts.items()]
    return pd.DataFrame(rows, columns=["corpus", "model", "id", "note"])


@pytest.fixture(scope="module")
def tables():
    notes = make_notes(base=WRONG_NOTE, tuned=KNEE.note)
    return note_synthesis.measure_faithfulness(notes, CORPORA)


# -------------------------------------------------------------------------------- the two tables


def test_a_wrong_dose_is_contradicted_and_an_invented_drug_unsupported(tables):
    rows = tables[0][tables[0]["model"] == "base"].set_index("sentence")
    assert rows["verdict"].to_dict() == {
        "Naproxen 50 mg for two weeks.": "contradicted",
        "Morphine.": "unsupported",
    }
    assert rows.loc["Naproxen 50 mg for two weeks.", "reasons"].startswith("dose: 50 mg")
    assert rows.loc["Naproxen 50 mg for two weeks.", "turns"] == "3"


def test_omitted_facts_are_listed_with_their_turns(tables):
    rows = tables[1][(tables[1]["model"] == "base") & (tables[1]["id"] == "v1")]
    facts = {(row.kind, row.fact): (row.covered, row.turns) for row in rows.itertuples()}
    assert facts["medication", "naproxen"] == (True, "3")
    assert facts["dose", "naproxen 500 mg"] == (False, "3")
    assert facts["negation", "fever"] == (False, "1")
    assert facts["side", "left knee"] == (False, "2")


def test_the_reference_comes_first_and_is_checked_like_the_others(tables):
    for table in tables:
        assert list(dict.fromkeys(table["model"])) == ["reference", "base", "tuned"]
    facts = tables[1][tables[1]["id"] == "v1"].drop(columns="encounter")
    reference, tuned = (
        facts[facts["model"] == name].drop(columns="model").reset_index(drop=True)
        for name in ("reference", "tuned")
    )
    pd.testing.assert_frame_equal(reference, tuned)


@pytest.mark.parametrize("text", ["", "  \n", "...", "PLAN"])
def test_a_note_without_a_sentence_has_no_rows(text):
    bare = dataclasses.replace(KNEE, note="")
    for table in note_synthesis.measure_faithfulness(make_notes(base=text), {"toy": [bare]}):
        assert table.empty
        assert "model" in table


def test_a_consultation_is_parsed_once_for_all_its_notes(monkeypatch):
    calls = []
    link = grounding.link_sentences

    def record(sentences, turns):
        calls.append(sentences)
        return link(sentences, turns)

    monkeypatch.setattr(grounding, "link_sentences", record)
    notes = make_notes(base=KNEE.note, tuned=KNEE.note)
    note_synthesis.measure_faithfulness(notes, {"toy": [KNEE]})
    assert calls == [["Left knee hurts.", "No fever.", "Naproxen 500 mg for two weeks."]]


# -------------------------------------------------------------------------------- the summary


def test_the_summary_has_sentences_and_facts_with_intervals_over_encounters(tables):
    table = note_synthesis.summarise_faithfulness(*tables, seed=0)
    table = table.set_index(["model", "measure", "kind"])
    wrong = table.loc[("base", "sentences", "contradicted")]
    assert (wrong["n"], wrong["share"], wrong["encounters"]) == (2, 0.5, 1)
    assert pd.isna(wrong["low"])  # one encounter allows no interval
    complete = table.loc[("reference", "facts covered", "all")]
    assert (complete["n"], complete["share"], complete["encounters"]) == (10, 1.0, 2)
    assert 0 < complete["low"] < 0.5
    assert complete["high"] == 1


def test_the_formatted_table_has_a_row_for_each_model(tables):
    summary = note_synthesis.summarise_faithfulness(*tables, seed=0)
    table = note_synthesis.format_faithfulness(summary)
    assert list(table["model"]) == ["reference", "base", "tuned"]
    assert table.loc[1, "% contradicted"].startswith("50 [")
    assert table.loc[0, "% facts covered"].startswith("100 [")


def test_summary_and_figure_work_without_any_fact_or_sentence():
    hello = [Turn(speaker="doctor", text="Hello.")]
    quiet = dataclasses.replace(KNEE, turns=hello, note="Hi.")
    tables = note_synthesis.measure_faithfulness(make_notes(), {"toy": [quiet]})
    summary = note_synthesis.summarise_faithfulness(*tables, seed=0)
    assert set(summary["measure"]) == {"sentences"}
    assert len(note_synthesis.plot_faithfulness(summary).axes) == 2
    assert len(note_synthesis.format_faithfulness(summary)) == 1
    silent = {"toy": [dataclasses.replace(quiet, note="")]}
    tables = note_synthesis.measure_faithfulness(make_notes(), silent)
    summary = note_synthesis.summarise_faithfulness(*tables, seed=0)
    assert summary.empty
    note_synthesis.plot_faithfulness(summary)


# ------------------------------------------------------------------- the prose about the check


def share_detected(*kinds: str) -> float:
    """The share over the notes of all three corpora in the committed table."""
    table = pd.read_csv(ROOT / "benchmarks/results/grounding.csv")
    rows = table[table["source"].str.endswith(" notes") & table["kind"].isin(kinds)]
    assert set(rows["kind"]) == set(kinds)
    return rows["noticed"].sum() / rows["n"].sum()


def test_the_numbers_in_the_prose_are_those_of_the_benchmark():
    cells = nbformat.read(ROOT / "notebooks/04_note_synthesis.ipynb", 4).cells
    prose = " ".join(cell.source for cell in cells if cell.cell_type == "markdown")
    page = " ".join((ROOT / "docs/notes.md").read_text(encoding="utf-8").split())
    for phrase in (
        "most changed doses, numbers and ages and most invented drugs",
        "misses about four in ten flipped negations",
        "flags about one sentence in three",
        "about one in eleven is called contradicted",
    ):
        assert phrase in prose
    assert "misses about four in ten flipped negations" in page
    assert "it flags one sentence in three of real reference notes" in page
    for kind in ("dose", "number", "patient's age", "invented medication"):
        assert share_detected(kind) > 0.75
    assert round(10 * (1 - share_detected("negated finding"))) == 4
    assert round(1 / share_detected("alarm: any")) == 3
    assert round(1 / share_detected("alarm: contradicted")) == 11


# -------------------------------------------------------------------- hallucinations, omissions


def test_flagged_sentences_are_listed_by_note(tables):
    sentences = ["Naproxen 50 mg for two weeks.", "Morphine."]
    assert note_synthesis.list_flagged(tables[0]) == {("toy", "base", "v1"): sentences}


def make_sentence(id_: str, verdict: str, reasons: str, model: str = "base") -> dict:
    row = {"corpus": "toy", "model": model, "id": id_, "encounter": id_, "sentence": reasons}
    return row | {"verdict": verdict, "reasons": reasons, "turns": "1"}


def test_hallucinations_are_ranked_by_harmful_reasons_then_by_all_reasons():
    rows = [
        make_sentence("a", "unsupported", "words: 10 %"),
        make_sentence("b", "contradicted", "negation: cough"),
        make_sentence("c", "unsupported", "medication: morphine is not in the source"),
        make_sentence("c", "contradicted", "dose: 1 mg, the source has 2 mg"),
        make_sentence("d", "unsupported", "symptom: cough; symptom: fever"),
        make_sentence("e", "supported", ""),
        make_sentence("f", "contradicted", "dose: 5 mg, the source has 2 mg", "lead copy"),
        make_sentence("g", "contradicted", "dose: 9 mg, the source has 2 mg"),
        make_sentence("g", "contradicted", "dose: 9 mg, the source has 2 mg", "reference"),
    ]
    worst = note_synthesis.rank_hallucinations(pd.DataFrame(rows), ["base"])
    assert list(worst["id"]) == ["c", "d", "b"]
    assert worst.loc[0, "verdict"] == "contradicted"


def test_only_facts_that_the_reference_covers_can_be_omitted(tables):
    worst = note_synthesis.rank_omissions(tables[1], ["base", "tuned"])
    assert worst.to_dict("records") == [
        {"corpus": "toy", "model": "base", "id": "v1", "turns": "1, 2, 3"}
        | {"omitted": "no fever, left knee, naproxen 500 mg"}
    ]
    others = tables[1][tables[1]["model"] != "reference"]
    assert note_synthesis.rank_omissions(others, ["base", "tuned"]).empty


def test_annotations_are_by_sentence_and_by_turn(tables):
    annotations = note_synthesis.annotate_notes(*tables, "toy", "v1", "base")
    assert annotations["note_annotations"]["No fever."] == ("supported", "turn 1")
    assert annotations["note_annotations"]["Morphine."][0] == "unsupported"
    assert annotations["turn_annotations"] == {
        1: ("omitted", "omitted: no fever"),
        2: ("omitted", "omitted: left knee"),
        3: ("partly covered", "omitted: naproxen 500 mg"),
    }
