"""The sheet for two raters, and their agreement."""

import csv
import math

import pandas as pd
import pytest

from clinical_camel import data
from clinical_camel.note_synthesis import make_rating_sheet, measure_agreement, rating_sheet

CORPORA = {"mini": data.load_consultations("mini_consultations", 3)}
NOTES = pd.DataFrame(
    [
        {"corpus": "mini", "model": model, "id": row.id, "note": f"{text}{row.id}"}
        for model, text in {"base": "=1+", "tuned": "Plan: "}.items()
        for row in CORPORA["mini"]
    ]
)


def fill_sheet(folder, name: str, ratings, column: str, delimiter: str = ","):
    """A sheet as a rater would save it."""
    file = folder / name
    with file.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream, delimiter=delimiter)
        writer.writerow(["item", "transcript", column])
        for number, rating in enumerate(ratings):
            writer.writerow([f"n{number}", f"one, {number};\nand more", rating])
    return file


def fill_both(folder, one, two):
    first = fill_sheet(folder, "one.csv", one, "rating_1")
    return first, fill_sheet(folder, "two.csv", two, "rating_2", ";")


# ------------------------------------------------------------------------------- the sheet


def test_the_sheet_hides_the_model_and_the_key_restores_it():
    sheet, key = make_rating_sheet(NOTES, CORPORA, seed=0)
    assert not {"model", "id", "corpus"} & set(sheet.columns)
    back = sheet.merge(key, on="item").merge(NOTES, on=["corpus", "model", "id"])
    assert (back["note_x"].str.removeprefix("'") == back["note_y"]).all()
    assert len(back) == 6
    assert sheet["transcript"].tolist() != sorted(sheet["transcript"])


def test_both_raters_have_blank_columns_and_see_the_flagged_sentences():
    where = ("mini", "tuned", CORPORA["mini"][0].id)
    sheet, key = make_rating_sheet(NOTES, CORPORA, 0, {where: ["- 5 mg", "He has gout."]})
    assert (sheet[["rating_1", "comment_1", "rating_2", "comment_2"]] == "").all(axis=None)
    item = key[(key["model"] == "tuned") & (key["id"] == where[2])]["item"].item()
    flagged = sheet.set_index("item")["flagged"]
    assert flagged[item] == "'- 5 mg\nHe has gout."
    assert (flagged.drop(item) == "").all()


def test_an_empty_note_is_not_rated():
    sheet, _ = make_rating_sheet(NOTES.assign(note=["x", "", " ", "y", "", "z"]), CORPORA, 0)
    assert sorted(sheet["note"]) == ["x", "y", "z"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", " =", "\n@", "＝"])
def test_no_cell_is_a_formula(start):
    sheet, _ = make_rating_sheet(NOTES.assign(note=f"{start}HYPERLINK(1)"), CORPORA, 0)
    assert set(sheet["note"]) == {f"'{start}HYPERLINK(1)".replace("\r", "\n")}


# ----------------------------------------------------------------------------- agreement


def test_kappa_agrees_with_the_published_example(tmp_path):
    """Fleiss, Levin and Paik 2003, table 18.1: 100 cases, kappa 0.676 by hand."""
    counts = {(0, 0): 75, (0, 1): 1, (0, 2): 4, (1, 0): 5, (1, 1): 4, (1, 2): 1, (2, 2): 10}
    cases = [key for key, count in counts.items() for _ in range(count)]
    ratings = [[rating_sheet.RATINGS[case[rater]] for case in cases] for rater in (0, 1)]
    result, differ = measure_agreement(*fill_both(tmp_path, *ratings))
    assert (result["n"], result["observed_agreement"]) == (100, 0.89)
    expected = (0.80 * 0.80 + 0.10 * 0.05 + 0.10 * 0.15) / 1
    assert result["kappa"] == pytest.approx((0.89 - expected) / (1 - expected))
    assert result["low"] < result["kappa"] < result["high"] < 1
    assert len(differ) == 11


def test_notes_on_one_visit_do_not_count_as_independent(tmp_path):
    """Each visit has four notes with the same two ratings, so it counts once."""
    pairs = [("safe", "safe"), ("safe", "minor error"), ("minor error", "minor error")] * 4
    widths = []
    for notes in (1, 4):
        ratings = [[pair[rater] for pair in pairs for _ in range(notes)] for rater in (0, 1)]
        files = fill_both(tmp_path, *ratings)
        for file in files:
            text = file.read_text(encoding="utf-8-sig")
            for number in range(notes * len(pairs)):
                text = text.replace(f"one, {number};\n", f"one, visit {number // notes};\n")
            file.write_text(text, encoding="utf-8")
        result, _ = measure_agreement(*files)
        widths.append((result["low"], result["high"]))
    assert widths[0] == pytest.approx(widths[1])


def test_raters_with_one_rating_for_all_items_have_no_kappa(tmp_path):
    result, _ = measure_agreement(*fill_both(tmp_path, ["safe"] * 5, ["safe"] * 5))
    assert result["observed_agreement"] == 1
    assert math.isnan(result["kappa"])


def test_case_white_space_and_delimiter_do_not_count(tmp_path):
    one = ["Safe ", "MINOR error", "harmful  error"]
    result, _ = measure_agreement(*fill_both(tmp_path, one, ["safe", "minor error", "safe"]))
    assert result["observed_agreement"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("ratings", "message"),
    [
        (["safe", "", "safe"], r"one\.csv: not rated: n1; write one of safe, minor error, harmful"),
        (["safe", "good", "bad"], r"one\.csv: unknown rating: n1 'good', n2 'bad'"),
        ([], r"one\.csv: no items"),
        (["safe"] * 2, r"one\.csv, two\.csv: different items: n2; use two copies"),
    ],
)
def test_a_wrongly_filled_sheet_is_rejected_by_file_and_item(tmp_path, ratings, message):
    with pytest.raises(ValueError, match=message):
        measure_agreement(*fill_both(tmp_path, ratings, ["safe"] * 3))


def test_a_duplicate_item_a_missing_column_and_another_encoding_are_rejected(tmp_path):
    sheet = tmp_path / "one.csv"
    for text, message in {
        "item,rating_2\na,safe\n": r"one\.csv: no column rating_1",
        "item,rating_1\na,safe\na,safe\n": "duplicate item: a",
        "item,rating_1\na,sûr\n": "not UTF-8; save it as CSV UTF-8",
    }.items():
        sheet.write_text(text, encoding="cp1252")
        with pytest.raises(ValueError, match=message):
            measure_agreement(sheet, sheet)
