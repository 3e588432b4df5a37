"""Hallucinations and omissions: the tables and their summary."""

import dataclasses

import pandas as pd
import pytest
from tests.support.consultations import KNEE, KNEE_AGAIN, WRONG_NOTE

from clinical_camel import grounding, note_synthesis
from clinical_camel.data import Turn

CORPORA = {"toy": [KNEE, KNEE_AGAIN]}


def make_notes(status: str = "ok", id_: str = "v1", **texts: str) -> pd.DataFrame:
    """The note of each model about one consultation."""
    shared = {"corpus": "toy", "id": id_, "status": status}
    rows = [shared | {"model": name, "note": text} for name, text in texts.items()]
    return pd.DataFrame(rows, columns=["corpus", "model", "id", "status", "note"])


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


@pytest.mark.parametrize(
    ("note", "flagged"),
    [
        ("A 45-year-old man. He does not smoke. His knee hurts.", ["A 45-year-old man."]),
        ("Knee pain. He is well. He does not smoke.", ["He is well."]),
        ("A 45-year-old man. He smokes. Takes it.", ["A 45-year-old man.", "He smokes."]),
        ("A 45-year-old woman. He does not smoke.", ["He does not smoke."]),
        ("A 45-year-old woman. She does not smoke.", []),
    ],
)
def test_a_wrong_sex_counts_once_in_a_note(note, flagged):
    spoken = ["I am a woman of 45. My knee hurts. I take it. I am well.", "Do you smoke?", "No."]
    turns = [Turn(speaker=s, text=t) for s, t in zip(("patient", "doctor", "patient"), spoken,
                                                     strict=True)]  # fmt: skip
    notes = make_notes(base=note, tuned=note)
    sentences, _ = note_synthesis.measure_faithfulness(
        notes, {"toy": [dataclasses.replace(KNEE, turns=turns)]}
    )
    for model in ("base", "tuned"):
        rows = sentences[(sentences["model"] == model) & (sentences["verdict"] != "supported")]
        assert rows["sentence"].tolist() == flagged
        assert rows["reasons"].str.contains("sex:").tolist() == [True, False][: len(flagged)]


def test_a_disease_is_called_a_finding_or_disease_everywhere():
    turns = [Turn(speaker="patient", text="I have gout."), Turn(speaker="doctor", text="Yes.")]
    visit = dataclasses.replace(KNEE, turns=turns, note="Gout.")
    sentences, facts = note_synthesis.measure_faithfulness(
        make_notes(base="Sarcoidosis."), {"toy": [visit]}
    )
    assert set(facts["kind"]) == {"finding or disease"}
    reasons = sentences.set_index("sentence").loc["Sarcoidosis.", "reasons"]
    assert reasons.startswith("finding or disease: sarcoidosis is not in the source")


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
    assert (wrong["n"], wrong["items"], wrong["share"], wrong["encounters"]) == (1, 2, 0.5, 1)
    assert (wrong["low"], wrong["high"]) == (0, 1)  # one encounter says nothing about others
    complete = table.loc[("reference", "facts covered", "all")]
    assert (complete["n"], complete["share"]) == (2, 1.0)
    assert complete["items"] == len(tables[1][tables[1]["model"] == "reference"])
    assert 0 < complete["low"] < 0.5
    assert complete["high"] == 1


LOOP = "Plan:\n" + "Morphine. " * 56


def test_a_sentence_counts_once_in_a_note_however_often_it_is_repeated():
    tables = note_synthesis.measure_faithfulness(make_notes(base=f"{KNEE.note}\n{LOOP}"), CORPORA)
    rows = tables[0][tables[0]["model"] == "base"]
    assert dict(zip(rows["sentence"], rows["times"], strict=True))["Morphine."] == 56
    summary = note_synthesis.summarise_faithfulness(*tables, seed=0)
    shares = summary.set_index(["model", "kind"])
    assert shares.loc[("base", "supported"), "share"] == pytest.approx(3 / 4)
    assert shares.loc[("base", "supported"), "items"] == 4


def test_a_looping_note_is_a_row_of_its_own_and_changes_no_other():
    notes = [make_notes(tuned=KNEE.note), make_notes("looping", "v2", tuned=LOOP)]
    tables = note_synthesis.measure_faithfulness(pd.concat(notes), CORPORA)
    table = note_synthesis.format_faithfulness(
        note_synthesis.summarise_faithfulness(*tables, seed=0)
    )
    assert list(table["writer"]) == ["reference", "tuned", "tuned, looping"]
    assert list(table["n"]) == [2, 1, 1]
    assert table.loc[1, "% supported"] == "100 [0, 100]"
    assert table.loc[2, "% supported"] == "0 [0, 100]"
    assert table.loc[0, "% facts covered"].startswith("100 [")
    assert "…" not in table.to_string()


def test_every_note_weighs_the_same_however_long_it_is():
    long = KNEE.note + " Left knee hurts a lot. The knee hurts."
    notes = [make_notes(m=long), make_notes(id_="v2", m="Plan:\nMorphine.")]
    tables = note_synthesis.measure_faithfulness(pd.concat(notes), CORPORA)
    summary = note_synthesis.summarise_faithfulness(*tables, seed=0)
    rows = summary[(summary["model"] == "m") & (summary["kind"] == "supported")]
    assert rows["share"].tolist() == [0.5]


def test_models_are_compared_on_the_visits_of_which_both_wrote_a_note():
    notes = [
        make_notes(base="Plan:\nMorphine.", tuned=KNEE.note),
        make_notes(id_="v2", base=KNEE.note),
        make_notes("looping", "v2", tuned=LOOP),
    ]
    sentences, _ = note_synthesis.measure_faithfulness(pd.concat(notes), CORPORA)
    result = note_synthesis.compare_support(sentences, "base", "tuned", 0)["toy"]
    assert (result["n"], result["difference"]) == (1, 1.0)


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
    assert worst[["corpus", "model", "id", "turns"]].to_numpy().tolist() == [
        ["toy", "base", "v1", "1, 2, 3"]
    ]
    omitted = worst.loc[0, "omitted"].split(", ")
    assert {"no fever", "left knee", "naproxen 500 mg"} <= set(omitted)
    assert "naproxen" not in omitted
    others = tables[1][tables[1]["model"] != "reference"]
    assert note_synthesis.rank_omissions(others, ["base", "tuned"]).empty


def test_annotations_are_by_sentence_and_by_turn(tables):
    annotations = note_synthesis.annotate_notes(*tables, "toy", "v1", "base")
    assert annotations["note_annotations"]["No fever."] == ("supported", "turn 1, 2")
    assert annotations["note_annotations"]["Morphine."][0] == "unsupported"
    turns = annotations["turn_annotations"]
    assert turns[1] == ("omitted", "omitted: no fever")
    assert turns[2][0] == "omitted"
    assert turns[2][1].endswith("left knee")
    assert turns[3] == ("partly covered", "omitted: naproxen 500 mg")
    sentences = tables[0].assign(turns="")
    without = note_synthesis.annotate_notes(sentences, tables[1], "toy", "v1", "base")
    assert "No fever." not in without["note_annotations"]  # no tick without a turn
