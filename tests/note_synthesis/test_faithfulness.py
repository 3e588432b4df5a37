"""Step 04: what of a note the transcript supports, what the note keeps, and the planted error."""

import dataclasses
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from tests.support.project import SCRIPT, Tags

from clinical_camel import data, grounding, note_synthesis
from clinical_camel.data import Consultation, Turn
from clinical_camel.note_synthesis import faithfulness, figures, planted

VISIT = Consultation(
    id="v1",
    turns=[
        Turn(speaker="doctor", text="Any fever?"),
        Turn(speaker="patient", text="No. My left knee hurts."),
        Turn(speaker="doctor", text="Take naproxen 500 mg for two weeks."),
    ],
    note="Subjective:\nLeft knee hurts. No fever.\n\nPlan:\nNaproxen 500 mg for two weeks.",
)
OTHER = dataclasses.replace(
    VISIT, id="v2", turns=[*VISIT.turns, Turn(speaker="patient", text="Thank you.")]
)
WRONG = "Plan:\nNaproxen 50 mg for two weeks. Morphine."
VISITS = {"toy": [VISIT, OTHER]}


def notes_of(**texts: str) -> pd.DataFrame:
    """Each model's note about the first visit."""
    rows = [{"corpus": "toy", "model": name, "id": "v1", "note": t} for name, t in texts.items()]
    return pd.DataFrame(rows, columns=["corpus", "model", "id", "note"])


@pytest.fixture(scope="module")
def checked():
    return note_synthesis.check_notes(notes_of(base=WRONG, tuned=VISIT.note), VISITS)


# -------------------------------------------------------------------------------- the two tables


def test_a_wrong_dose_is_contradicted_and_an_invented_drug_unsupported(checked):
    rows = checked[0][checked[0]["model"] == "base"].set_index("sentence")
    assert rows["verdict"].to_dict() == {
        "Naproxen 50 mg for two weeks.": "contradicted",
        "Morphine.": "unsupported",
    }
    assert rows.loc["Naproxen 50 mg for two weeks.", "reasons"].startswith("dose: 50 mg")
    assert rows.loc["Naproxen 50 mg for two weeks.", "turns"] == "3"


def test_what_the_note_leaves_out_is_omitted_with_its_turns(checked):
    rows = checked[1][(checked[1]["model"] == "base") & (checked[1]["id"] == "v1")]
    kept = {(row.kind, row.fact): (row.kept, row.turns) for row in rows.itertuples()}
    assert kept["medication", "naproxen"] == (True, "3")
    assert kept["dose", "naproxen 500 mg"] == (False, "3")
    assert kept["negation", "fever"] == (False, "1")
    assert kept["side", "left knee"] == (False, "2")


def test_the_reference_is_the_first_writer_and_read_like_the_others(checked):
    for table in checked:
        assert list(dict.fromkeys(table["model"])) == ["reference", "base", "tuned"]
    drop = ["model", "encounter"]
    mine, theirs = (
        checked[1][(checked[1]["model"] == name) & (checked[1]["id"] == "v1")]
        for name in ("reference", "tuned")
    )
    pd.testing.assert_frame_equal(
        *(t.drop(columns=drop).reset_index(drop=True) for t in (mine, theirs))
    )


@pytest.mark.parametrize("text", ["", "  \n", "...", "PLAN"])
def test_a_note_without_a_sentence_is_not_read_and_omits_nothing(text):
    bare = dataclasses.replace(VISIT, note="")
    for table in note_synthesis.check_notes(notes_of(base=text), {"toy": [bare]}):
        assert table.empty
        assert "model" in table


def test_a_visit_is_read_once_for_all_its_notes(monkeypatch):
    read = []
    link = grounding.link
    monkeypatch.setattr(
        grounding, "link", lambda *given: read.append(list(given[0])) or link(*given)
    )
    note_synthesis.check_notes(notes_of(base=VISIT.note, tuned=VISIT.note), {"toy": [VISIT]})
    assert read == [["Left knee hurts.", "No fever.", "Naproxen 500 mg for two weeks."]]


def test_a_judge_decides_where_the_facts_stand():
    table, _ = note_synthesis.check_notes(notes_of(), VISITS, lambda *texts: "unsupported")
    assert set(table["reasons"]) == {"judge"}


# -------------------------------------------------------------------------------- the summary


def test_the_summary_counts_sentences_and_facts_and_resamples_encounters(checked):
    table = note_synthesis.summarise_check(*checked, seed=0).set_index(["model", "of", "kind"])
    wrong = table.loc[("base", "sentences", "contradicted")]
    assert (wrong["n"], wrong["share"], wrong["encounters"]) == (2, 0.5, 1)
    assert pd.isna(wrong["low"])  # of one encounter nothing is known
    whole = table.loc[("reference", "facts kept", "all")]
    assert (whole["n"], whole["share"], whole["encounters"]) == (10, 1.0, 2)
    assert 0 < whole["low"] < 0.5
    assert whole["high"] == 1


def test_the_shown_table_has_a_row_for_each_writer(checked):
    shown = note_synthesis.show_check(note_synthesis.summarise_check(*checked, seed=0))
    assert list(shown["model"]) == ["reference", "base", "tuned"]
    assert shown.loc[1, "% contradicted"].startswith("50 [")


def test_without_any_fact_or_sentence_the_summary_and_figure_still_stand():
    quiet = dataclasses.replace(VISIT, turns=[Turn(speaker="doctor", text="Hello.")], note="Hi.")
    table = note_synthesis.summarise_check(
        *note_synthesis.check_notes(notes_of(), {"toy": [quiet]}), seed=0
    )
    assert set(table["of"]) == {"sentences"}
    assert len(note_synthesis.plot_check(table).axes) == 2
    assert len(note_synthesis.show_check(table)) == 1
    nothing = note_synthesis.check_notes(notes_of(), {"toy": [dataclasses.replace(quiet, note="")]})
    assert note_synthesis.summarise_check(*nothing, seed=0).empty
    note_synthesis.plot_check(note_synthesis.summarise_check(*nothing, seed=0))


# ------------------------------------------------------------------- what is said of the check

ROOT = Path(__file__).parents[2]


def noticed(*kinds: str) -> float:
    """The share over the notes of all three corpora in the committed table."""
    table = pd.read_csv(ROOT / "benchmarks/results/grounding.csv")
    rows = table[table["source"].str.endswith(" notes") & table["kind"].isin(kinds)]
    assert set(rows["kind"]) == set(kinds)
    return rows["noticed"].sum() / rows["n"].sum()


def test_the_numbers_in_the_prose_of_the_notebook_and_readme_are_those_of_the_table():
    cells = nbformat.read(ROOT / "notebooks/04_note_synthesis.ipynb", 4).cells
    prose = " ".join(cell.source for cell in cells if cell.cell_type == "markdown")
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert "it notices most changed doses, numbers and ages and invented drugs" in prose
    for kind in ("dose", "number", "patient's age", "invented medication"):
        assert noticed(kind) > 0.75
    assert "misses about four in ten turned denials" in prose
    assert round(10 * (1 - noticed("negated finding"))) == 4
    assert "at about every third sentence of the reference notes" in prose
    assert "it alarms at a third of the sentences of real reference notes" in readme
    assert round(1 / noticed("alarm: any")) == 3
    assert "calls about one in eleven contradicted" in prose
    assert round(1 / noticed("alarm: contradicted")) == 11


# -------------------------------------------------------------------------------- to be read


def test_the_raters_see_the_flagged_sentences(checked):
    notes = notes_of(base=WRONG, tuned=VISIT.note)
    flagged = note_synthesis.flagged(checked[0])
    sheet, key = note_synthesis.rating_sheet(notes, VISITS, 0, flagged)
    by_model = dict(zip(key["model"], sheet["flagged"], strict=True))
    assert by_model == {"base": "Naproxen 50 mg for two weeks.\nMorphine.", "tuned": ""}


def sentence(id_: str, verdict: str, reasons: str) -> dict:
    found = {"corpus": "toy", "model": "base", "id": id_, "encounter": id_, "sentence": reasons}
    return found | {"verdict": verdict, "reasons": reasons, "turns": "1"}


def test_the_worst_sentences_are_those_with_wrong_drugs_then_with_most_reasons():
    rows = [
        sentence("a", "unsupported", "words: 10 %"),
        sentence("b", "contradicted", "negation: cough"),
        sentence("c", "unsupported", "medication: morphine is not in the source"),
        sentence("c", "contradicted", "dose: 1 mg, the source has 2 mg"),
        sentence("d", "unsupported", "symptom: cough; symptom: fever"),
        sentence("e", "supported", ""),
        sentence("f", "contradicted", "dose: 5 mg, the source has 2 mg") | {"model": "lead copy"},
        sentence("g", "contradicted", "dose: 9 mg, the source has 2 mg"),
        sentence("g", "contradicted", "dose: 9 mg, the source has 2 mg") | {"model": "reference"},
    ]
    worst = note_synthesis.worst_sentences(pd.DataFrame(rows), ["base"])
    assert list(worst["id"]) == ["c", "d", "b"]
    assert worst.loc[0, "verdict"] == "contradicted"


def test_only_what_the_reference_keeps_can_be_omitted(checked):
    worst = note_synthesis.worst_omissions(checked[1], ["base", "tuned"])
    assert worst.to_dict("records") == [
        {"corpus": "toy", "model": "base", "id": "v1", "turns": "1, 2, 3"}
        | {"omitted": "no fever, left knee, naproxen 500 mg"}
    ]
    others = checked[1][checked[1]["model"] != "reference"]
    assert note_synthesis.worst_omissions(others, ["base", "tuned"]).empty


def test_marks_are_by_sentence_and_by_turn(checked):
    marks = note_synthesis.marks(*checked, "toy", "v1", "base")
    assert marks["note_marks"]["No fever."] == ("supported", "turn 1")
    assert marks["note_marks"]["Morphine."][0] == "unsupported"
    turns = {number: mark for number, (mark, _) in marks["turn_marks"].items()}
    assert turns == {1: "omitted", 2: "omitted", 3: "partly kept"}
    assert marks["turn_marks"][3][1] == "left out: naproxen 500 mg"


def test_marks_have_a_sign_and_a_fixed_legend_beside_their_colour(checked):
    marks = note_synthesis.marks(*checked, "toy", "v1", "base")
    page = figures.side_by_side(VISIT, {"base": WRONG}, **marks)
    text = Tags(page).text
    assert "✗ Naproxen 50 mg for two weeks. (dose: 50 mg, the source has 500 mg)" in text
    assert "◐ 3. Doctor: Take naproxen 500 mg" in text
    for name, (colour, sign) in figures.MARKS.items():
        assert f"{sign} {name}" in text
        assert colour in page
    assert len({sign for _, sign in figures.MARKS.values()}) == len(figures.MARKS)
    assert "✗" not in Tags(figures.side_by_side(VISIT, {"base": WRONG})).text


def test_html_in_a_marked_sentence_turn_remark_or_title_is_text():
    hostile = dataclasses.replace(
        VISIT, turns=[Turn(speaker=SCRIPT, text=SCRIPT)], note=f"Plan: Rest. {SCRIPT}"
    )
    sentences = grounding.split_note(hostile.note)
    marks = {s: ("unsupported", SCRIPT) for s in sentences}
    page = figures.side_by_side(hostile, {SCRIPT: hostile.note}, marks, {1: ("omitted", SCRIPT)})
    worst = pd.DataFrame([sentence("v1", "unsupported", SCRIPT) | {"sentence": sentences[0]}])
    lost = pd.DataFrame([{"corpus": "toy", "model": "base", "id": "v1", "omitted": SCRIPT}])
    notes = notes_of(base=hostile.note)
    visits = {"toy": [hostile]}
    read = figures.read_worst(worst, notes, visits)
    read += figures.read_worst(lost.assign(turns="1"), notes, visits)
    for each, times in ((page, 6), (read, 8)):
        tags = Tags(each)
        assert {tag for tag, _ in tags.found} <= {"div", "p", "b", "span"}
        assert {name for _, attrs in tags.found for name in attrs} <= {"class", "style", "title"}
        assert tags.text.count("<script>alert(1)</script>") == times
        assert "$$" not in each


def test_nothing_of_a_note_is_lost_by_marking_it():
    rows = data.load_consultations("mini_consultations")
    for row in rows:
        marks = {s: ("supported", "") for s in grounding.split_note(row.note)}
        shown = Tags(figures._note(row.note, marks)).text
        assert shown.replace("✓ ", "").split() == row.note.split()
        assert shown.count("✓") == len(grounding.split_note(row.note))


# ------------------------------------------------------------------------------ the planted error


@pytest.fixture(scope="module")
def visits():
    return data.load_consultations("mini_consultations")


def test_one_sentence_of_the_note_is_changed_and_the_same_one_again(visits):
    kinds = set()
    for seed in range(12):
        found = note_synthesis.plant_error(visits, seed)
        before, after = map(grounding.split_note, (found.visit.note, found.note))
        differ = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
        assert differ == [(found.original, found.changed)]
        kinds.add(found.kind)
    assert len(kinds) == 4  # no visit of the embedded study has a dose or a side
    assert note_synthesis.plant_error(visits, 11) == found


@pytest.mark.parametrize(
    ("kind", "sentence", "changed"),
    [
        ("another dose", "Naproxen 500 mg.", {"Naproxen 250 mg.", "Naproxen 1000 mg.",
                                              "Naproxen 5000 mg."}),
        ("another dose", "Digoxin 0.125 mg.", {""}),
        ("the other side", "Pain in the left knee.", {"Pain in the right knee."}),
        ("a negation turned", "Denies fever.", {"Does report fever."}),
        ("a negation turned", "No alcohol.", {"Alcohol."}),
        ("a dropped medication", "Start rifampicin and naproxen.", {"Start rifampicin."}),
        ("a dropped medication", "Start rifampicin.", {""}),
        ("an invented symptom", "Lives alone.", {""}),
        ("another patient's age", "A man.", {""}),
    ],
)  # fmt: skip
def test_each_kind_of_error_changes_what_it_is_called_for(kind, sentence, changed):
    assert planted.EDITS[kind](sentence, VISIT, planted.random.Random(0)) in changed


def test_an_invented_symptom_was_not_spoken_of():
    rng = planted.random.Random(0)
    spoken = [Turn(speaker="patient", text=" ".join(planted.SYMPTOMS[:-1]))]
    visit = dataclasses.replace(VISIT, turns=spoken)
    for _ in range(5):
        added = planted.EDITS["an invented symptom"]("Also cough.", visit, rng)
        assert added == f"Also cough and {planted.SYMPTOMS[-1]}."


def test_the_self_check_gives_nothing_away_and_knows_right_from_wrong(visits):
    found = note_synthesis.plant_error(visits, 1)
    assert found.kind == "a dropped medication"
    silent = note_synthesis.check_planted(found, " ")
    assert found.changed not in silent
    assert found.kind not in silent
    unchanged = next(s for s in grounding.split_note(found.note) if s != found.changed)
    assert note_synthesis.check_planted(found, unchanged).startswith("Wrong")
    assert "copy one" in note_synthesis.check_planted(found, "The moon is made of cheese.")
    right = note_synthesis.check_planted(found, f"  {found.changed.upper().rstrip('.')} ")
    assert right.startswith(f"Right: {found.kind}. The note had: {found.original}")
    assert "omitted: fludrocortisone" in right


def test_visits_without_a_place_for_an_error_are_refused():
    with pytest.raises(ValueError, match="no place|no note"):
        note_synthesis.plant_error([dataclasses.replace(VISIT, note="Well.")], 0)


def test_what_is_harmful_is_looked_for_and_what_is_looked_for_can_be_read():
    assert set(faithfulness.HARMFUL) < set(faithfulness.FACTS) < set(grounding.KINDS)
