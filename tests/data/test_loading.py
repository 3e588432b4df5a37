"""Tests of data.loading: specs, damaged files, training data, run records."""

import gzip
import json

import pytest
from tests.support.rows import ARTICLE, LETTERED, QUESTION, SHAPES, number_rows, write_rows

from clinical_camel import data
from clinical_camel.data import registry


@pytest.mark.parametrize(
    ("spec", "label"),
    [
        ("mini_exam", "mini_exam"),
        ("medqa_us@data/public/medqa_us/medqa_us_dev.jsonl", "medqa_us"),
        ("outputs/mini_camel/01_dbke/dialogues.jsonl", "dialogues"),
        ("questions.jsonl.gz", "questions"),
    ],
)
def test_a_label_is_the_name_or_the_stem_of_the_file(spec, label):
    assert data.label(spec) == label


def test_a_name_of_another_shape_is_rejected_with_the_names_that_fit():
    with pytest.raises(data.DataError, match=r"Question rows, not Article rows.*mini_articles"):
        data.load_articles("mini_exam")


def test_a_file_in_our_shape_is_read_completely_or_not_at_all(root):
    write_rows(root / "my.jsonl", [QUESTION, QUESTION | {"id": "q2", "answer": 9}, {"id": "q3"}])
    with pytest.raises(data.DataError) as caught:
        data.load_questions("my.jsonl")
    message = str(caught.value)
    assert "2 bad lines" in message
    assert "line 2: answer 9 is not an index" in message
    assert "line 3: field answer is missing; field options is missing" in message


def test_a_repeated_id_is_rejected(root):
    write_rows(root / "my.jsonl", [QUESTION, QUESTION | {"id": "q2"}, QUESTION])
    with pytest.raises(data.DataError, match="line 3: id 'q1' is also that of line 1"):
        data.load_questions("my.jsonl")


# ------------------------------------------------------------------- damaged files of every shape

LOADERS = {
    data.Question: data.load_questions,
    data.Dialogue: data.load_dialogues,
    data.Article: data.load_articles,
    data.Consultation: data.load_consultations,
}


def change_line(line, **more):
    """Return the line with other values; None removes the field."""
    values = {**json.loads(line), **more}
    return json.dumps({k: v for k, v in values.items() if v is not None}).encode()


DAMAGED_LINES = {  # a damage, and the reported problem
    "torn": (lambda line: line[:-9], "broken JSON"),
    "blank": (lambda line: b"", "blank line"),
    "not UTF-8": (lambda line: line.replace(b'"id"', b'"\xe9d"'), "not UTF-8 at byte 3"),
    "NUL bytes": (lambda line: line + b"\0\0", "NUL byte"),
    "two objects": (lambda line: line + line, "more than one value on the line"),
    "an array": (lambda line: b"[" + line + b"]", "not a JSON object but list"),
    "a bare text": (lambda line: b'"q"', "not a JSON object but str"),
    "a bare number": (lambda line: b"7", "not a JSON object but int"),
    "a comma at the end": (lambda line: line + b",", "more than one value on the line"),
    "a comma inside": (lambda line: line[:-1] + b",}", "broken JSON"),
    "single quotes": (lambda line: line.replace(b'"', b"'"), "broken JSON at column 2"),
    "NaN": (lambda line: line[:-1] + b', "more": NaN}', "NaN is not JSON"),
    "a repeated key": (lambda line: line[:-1] + b', "id": "x"}', "key 'id' occurs twice"),
    "a missing field": (lambda line: change_line(line, id=None), "field id is missing"),
    "an extra field": (lambda line: change_line(line, more="x"), "field more is not part of"),
    "a wrong type": (lambda line: change_line(line, id=7), "id should be text, is 7"),
    "an empty id": (lambda line: change_line(line, id=" "), "id is empty"),
    "a repeated id": (
        lambda line: change_line(line, id="row 1"),
        "id 'row 1' is also that of line 1",
    ),
    "a mark inside": (lambda line: b"\xef\xbb\xbf" + line, "a byte order mark inside the file"),
}


def six_lines(values):
    return [json.dumps(values | {"id": f"row {n}"}).encode() for n in range(1, 7)]


@pytest.mark.parametrize(("shape", "values"), SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("kind", DAMAGED_LINES)
def test_every_damaged_line_is_reported_and_nothing_is_read(kind, shape, values, root):
    damage, problem = DAMAGED_LINES[kind]
    lines = six_lines(values)
    lines[2], lines[4] = damage(lines[2]), damage(lines[4])
    (root / "my.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(data.DataError) as caught:
        LOADERS[shape]("my.jsonl")
    message = str(caught.value)
    assert "my.jsonl: 2 bad lines, nothing was read" in message
    assert [n for n in range(1, 7) if f"  line {n}: " in message] == [3, 5]
    assert message.count(problem) == 2


def test_torn_lines_and_unusable_rows_are_reported_together_in_order(root):
    lines = six_lines(QUESTION)
    lines[1], lines[3], lines[5] = change_line(lines[1], answer=9), b"{", lines[5][:-5]
    (root / "my.jsonl").write_bytes(b"\n".join(lines))
    with pytest.raises(data.DataError) as caught:
        data.load_questions("my.jsonl")
    report = str(caught.value).splitlines()
    assert [line.split(":")[0].strip() for line in report[1:]] == ["line 2", "line 4", "line 6"]
    assert report[3].endswith("truncated file?)")


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
NOT_JSON_LINES = {
    "a git-lfs pointer": (lambda content: LFS, "is a git-lfs pointer.*git lfs pull"),
    "an HTML page": (
        lambda content: b"\n<!DOCTYPE html>\n<html>404</html>\n",
        "is a web page.*download the file itself",
    ),
    "an XML error": (lambda content: b"<?xml version='1.0'?><Error/>", "is a web page"),
    "UTF-16": (
        lambda content: content.decode().encode("utf-16"),
        "is UTF-16 text; save it as UTF-8",
    ),
    "nothing": (lambda content: b"", "is empty"),
}


@pytest.mark.parametrize(("shape", "values"), SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("kind", NOT_JSON_LINES)
def test_files_of_another_format_are_rejected_with_the_remedy(kind, shape, values, root):
    make, problem = NOT_JSON_LINES[kind]
    (root / "my.jsonl").write_bytes(make(b"\n".join(six_lines(values))))
    with pytest.raises(data.DataError, match=problem):
        LOADERS[shape]("my.jsonl")


@pytest.mark.parametrize(("shape", "values"), SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("cut", [1, 20])
def test_a_truncated_gzip_file_is_rejected(cut, shape, values, root):
    content = gzip.compress(b"\n".join(six_lines(values) * 50))
    (root / "my.jsonl.gz").write_bytes(content[:-cut])
    with pytest.raises(data.DataError, match="my.jsonl.gz is not a complete gzip file"):
        LOADERS[shape]("my.jsonl.gz")


def test_a_null_answer_is_rejected(root):
    write_rows(root / "my.jsonl", [QUESTION, QUESTION | {"id": "q2", "answer": None}])
    with pytest.raises(data.DataError, match="line 2: answer should be a whole number, is null"):
        data.load_questions("my.jsonl")


def test_an_article_with_blank_sections_only_is_rejected(root):
    blank = ARTICLE | {"id": "a2", "sections": [{"heading": "Signs", "text": " \n"}]}
    write_rows(root / "my.jsonl", [ARTICLE, blank])
    with pytest.raises(data.DataError, match="line 2: no section has text"):
        data.load_articles("my.jsonl")


# ---------------------------------------------------------------------------- quick check of specs


def test_check_spec_reads_the_first_row_only(root):
    lines = six_lines(QUESTION)
    (root / "my.jsonl").write_bytes(b"\n".join([*lines[:3], b"{", b""]))
    assert data.check_spec("my.jsonl", ("Question",), for_training=False) == []
    (root / "my.jsonl").write_bytes(b"\n".join([change_line(lines[0], answer=9), *lines[1:]]))
    problems = data.check_spec("my.jsonl", ("Question",), for_training=False)
    assert problems == ["my.jsonl: line 1: answer 9 is not an index of the 2 options"]


@pytest.mark.parametrize("place", ["data/public/x.jsonl", "outputs/toy/01_dbke/x.jsonl"])
def test_check_spec_accepts_a_missing_file_that_a_step_or_download_creates(place, root):
    assert data.check_spec(place, ("Dialogue",), for_training=True) == []


def test_check_spec_reads_gzip_files_and_rejects_pointers(root):
    (root / "my.jsonl.gz").write_bytes(gzip.compress(six_lines(ARTICLE)[0] + b"\n"))
    assert data.check_spec("my.jsonl.gz", ("Article",), for_training=True) == []
    (root / "my.jsonl.gz").write_bytes(LFS)
    (problem,) = data.check_spec("my.jsonl.gz", ("Article",), for_training=True)
    assert "git-lfs pointer" in problem


# ------------------------------------------------------------------------------------ training data


@pytest.mark.parametrize("name", ["mini_exam", "medqa_us", "pubmedqa", "medqa_mcmle"])
def test_an_evaluation_set_is_no_training_set(name):
    with pytest.raises(data.DataError, match=rf"{name} is an evaluation set.*mini_exam_train"):
        data.load_training_questions(name)


def test_a_file_under_an_evaluation_name_is_no_training_set(root):
    write_rows(root / "my.jsonl", [LETTERED | {"split": "train"}])
    with pytest.raises(data.DataError, match="is an evaluation set"):
        data.load_training_questions("medqa_us@my.jsonl")


def test_a_copy_of_the_shipped_exam_is_no_training_set(root, monkeypatch):
    write_rows(root / "my.jsonl", number_rows(QUESTION, 3))
    write_rows(root / "other.jsonl", number_rows(QUESTION, 2))
    monkeypatch.setattr(registry, "locate_shipped_file", lambda source: root / "my.jsonl")
    with pytest.raises(data.DataError, match=r"my\.jsonl is the evaluation set mini_exam"):
        data.load_training_questions("my.jsonl")
    assert len(data.load_training_questions("other.jsonl")) == 2


@pytest.mark.parametrize("split", ["test", "test1", "valid", "validation_shared"])
def test_rows_of_a_held_out_split_are_no_training_rows(root, split):
    write_rows(root / "my.jsonl", [LETTERED | {"split": "dev"}, LETTERED | {"split": split}])
    with pytest.raises(data.DataError, match=rf"1 of 2 rows are of the split {split}"):
        data.load_training_questions("medqa_us_train@my.jsonl")


def test_development_rows_may_be_training_rows(root):
    write_rows(root / "my.jsonl", [LETTERED | {"split": "dev"}])
    assert len(data.load_training_questions("medqa_us_train@my.jsonl")) == 1


def test_image_questions_can_be_removed_before_sampling(root):
    rows = [QUESTION | {"id": str(i), "image_suspected": i % 2 == 0} for i in range(10)]
    write_rows(root / "q.jsonl", rows)
    assert len(data.load_questions("q.jsonl")) == 10
    rest = data.load_questions("q.jsonl", 3, "out")
    assert [int(row.id) % 2 for row in rest] == [1, 1, 1]
    with pytest.raises(data.DataError, match="'none' is not one of in, out"):
        data.load_questions("q.jsonl", 0, "none")
    write_rows(root / "q.jsonl", rows[:1])
    with pytest.raises(data.DataError, match="every question seems to refer to an image"):
        data.load_questions("q.jsonl", 0, "out")


def test_training_sources_may_have_any_shape_but_are_never_exams():
    kinds = {spec: type(data.load_sources(spec)[0]) for spec in ("mini_chat", "mini_articles")}
    assert kinds == {"mini_chat": data.Dialogue, "mini_articles": data.Article}
    assert isinstance(data.load_sources("mini_exam_train")[0], data.Question)
    with pytest.raises(data.DataError, match="evaluation set"):
        data.load_sources("mini_exam")


def test_an_evaluation_set_of_the_hub_is_never_shortened(hub):
    good = {"id": "1", "question": "Q", "opa": "a", "opb": "b", "opc": "c", "opd": "d", "cop": 0}
    hub["", "validation"] = [good, good | {"id": "2", "cop": -1}]
    with pytest.raises(data.DataError, match="line 2: answer -1 is not an index"):
        data.load_questions("medmcqa")


def test_unusable_training_rows_of_the_hub_are_dropped_and_counted(hub):
    exchange = [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]
    hub["", "train"] = [
        {"id": "1", "conversations": exchange[1:]},
        {"id": "2", "conversations": exchange},
    ]
    with pytest.warns(UserWarning, match="1 rows of the hub are unusable.*1 remain.*row 1: roles"):
        rows = data.load_dialogues("sharegpt")
    assert [row.id for row in rows] == ["2"]


# -------------------------------------------------------------------------------------- run records


def test_describe_returns_the_sha256_of_a_file(root):
    (root / "my.jsonl").write_bytes(b"abc")  # the first example of FIPS 180-2
    facts = data.describe("medqa_us@my.jsonl")
    assert facts["sha256"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert (facts["rows_from"], facts["label"], facts["path"]) == ("file", "medqa_us", "my.jsonl")


def test_describe_returns_whether_a_revision_is_pinned(monkeypatch):
    monkeypatch.setattr(registry, "resolve_revision", lambda source: "c0ffee")
    facts = data.describe("medmcqa")
    assert (facts["revision"], facts["pinned"], facts["commit"]) == ("main", False, "c0ffee")
    assert data.describe("medqa_us")["pinned"] is True


def test_describe_returns_no_path_of_this_machine():
    assert data.describe("mini_exam")["path"] == "exam.jsonl"
