"""Step 04: the sheet that two people fill, and how far they agree."""

import csv
import math

import pandas as pd
import pytest

from clinical_camel import data, note_synthesis
from clinical_camel.note_synthesis import agreement, rating_sheet

VISITS = {"mini": data.load_consultations("mini_consultations", 3)}
NOTES = pd.DataFrame(
    [
        {"corpus": "mini", "model": model, "id": row.id, "note": f"{text}{row.id}"}
        for model, text in {"base": "=1+", "tuned": "Plan: "}.items()
        for row in VISITS["mini"]
    ]
)


def filled(folder, name: str, ratings, column: str, delimiter: str = ","):
    """A sheet as a rater would save it."""
    file = folder / name
    with file.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream, delimiter=delimiter)
        writer.writerow(["item", "transcript", column])
        for number, rating in enumerate(ratings):
            writer.writerow([f"n{number}", f"said, {number};\nand more", rating])
    return file


def pair(folder, one, two):
    first = filled(folder, "one.csv", one, "rating_1")
    return first, filled(folder, "two.csv", two, "rating_2", ";")


# ------------------------------------------------------------------------------- the sheet


def test_the_sheet_hides_the_model_and_the_key_gives_it_back():
    drawn, key = note_synthesis.rating_sheet(NOTES, VISITS, seed=0)
    assert not {"model", "id", "corpus"} & set(drawn.columns)
    back = drawn.merge(key, on="item").merge(NOTES, on=["corpus", "model", "id"])
    assert (back["note_x"].str.removeprefix("'") == back["note_y"]).all()
    assert len(back) == 6
    assert drawn["transcript"].tolist() != sorted(drawn["transcript"])


def test_both_raters_have_blank_columns_and_flagged_sentences_stand_beside_the_note():
    where = ("mini", "tuned", VISITS["mini"][0].id)
    drawn, key = note_synthesis.rating_sheet(NOTES, VISITS, 0, {where: ["He has gout.", "- 5 mg"]})
    assert (drawn[["rating_1", "comment_1", "rating_2", "comment_2"]] == "").all(axis=None)
    item = key[(key["model"] == "tuned") & (key["id"] == where[2])]["item"].item()
    flagged = drawn.set_index("item")["flagged"]
    assert flagged[item] == "He has gout.\n- 5 mg"
    assert (flagged.drop(item) == "").all()


def test_an_empty_note_is_not_given_to_raters():
    drawn, _ = note_synthesis.rating_sheet(
        NOTES.assign(note=["x", "", " ", "y", "", "z"]), VISITS, 0
    )
    assert sorted(drawn["note"]) == ["x", "y", "z"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", " =", "\n@", "＝"])
def test_no_cell_is_a_formula(start):
    assert rating_sheet.safe_cell(f"{start}HYPERLINK(1)") == f"'{start}HYPERLINK(1)"


def test_no_cell_of_a_sheet_begins_like_a_formula():
    drawn, _ = note_synthesis.rating_sheet(NOTES, VISITS, 0)
    cells = [str(cell) for cell in drawn.to_numpy().ravel()]
    assert sum(cell.startswith("'=") for cell in cells) == 3
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)


# ----------------------------------------------------------------------------- agreement


def test_kappa_is_that_of_the_published_example(tmp_path):
    """Fleiss, Levin and Paik 2003, table 18.1: 100 cases, kappa 0.676 by hand."""
    counts = {(0, 0): 75, (0, 1): 1, (0, 2): 4, (1, 0): 5, (1, 1): 4, (1, 2): 1, (2, 2): 10}
    drawn = [key for key, count in counts.items() for _ in range(count)]
    named = [[rating_sheet.RATINGS[each[who]] for each in drawn] for who in (0, 1)]
    result, differ = agreement(*pair(tmp_path, *named))
    assert (result["n"], result["agreed"]) == (100, 0.89)
    expected = (0.80 * 0.80 + 0.10 * 0.05 + 0.10 * 0.15) / 1
    assert result["kappa"] == pytest.approx((0.89 - expected) / (1 - expected))
    assert result["low"] < result["kappa"] < result["high"] < 1
    assert len(differ) == 11


def test_raters_who_always_say_the_same_one_thing_have_no_kappa(tmp_path):
    result, _ = agreement(*pair(tmp_path, ["safe"] * 5, ["safe"] * 5))
    assert result["agreed"] == 1
    assert math.isnan(result["kappa"])


def test_case_white_space_and_the_delimiter_of_a_spreadsheet_do_not_count(tmp_path):
    one = ["Safe ", "MINOR error", "harmful  error"]
    result, _ = agreement(*pair(tmp_path, one, ["safe", "minor error", "safe"]))
    assert result["agreed"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("ratings", "message"),
    [
        (["safe", "", "safe"], r"one\.csv: not rated: n1\. rating_1 is one of safe, minor error"),
        (["safe", "good", "bad"], r"one\.csv: unknown rating: n1 'good', n2 'bad'"),
        ([], r"one\.csv: no item"),
        (["safe"] * 2, r"one\.csv, two\.csv: not the same items: n2"),
    ],
)
def test_a_sheet_that_is_not_filled_rightly_is_refused_by_file_and_item(tmp_path, ratings, message):
    with pytest.raises(ValueError, match=message):
        agreement(*pair(tmp_path, ratings, ["safe"] * 3))


def test_an_item_twice_another_column_and_another_encoding_are_refused(tmp_path):
    first, second = pair(tmp_path, ["safe"], ["safe"])
    with pytest.raises(ValueError, match=r"two\.csv: no column rating_1"):
        agreement(second, second)
    first.write_text("item,rating_1\na,safe\na,safe\n")
    with pytest.raises(ValueError, match="stands twice: a"):
        agreement(first, second)
    first.write_bytes("item,rating_1\na,sûr\n".encode("cp1252"))
    with pytest.raises(ValueError, match="not UTF-8; save it as CSV UTF-8"):
        agreement(first, second)
