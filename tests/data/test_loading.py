"""Tests of data.loading: specs, damaged files, training data, run records."""

import gzip
import json

import pytest
from tests.support.rows import (
    ARTICLE,
    DIALOGUE,
    LETTERED,
    QUESTION,
    SHAPES,
    number_rows,
    write_rows,
)

from clinical_camel import data
from clinical_camel.data import loading, registry


def test_a_name_of_another_shape_is_rejected_with_the_names_that_fit():
    with pytest.raises(data.DataError, match=r"Question rows, not Article rows.*mini_articles"):
        data.load_articles("mini_exam")


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
    "a missing field": (lambda line: change_line(line, id=None), "field id is missing"),
    "an extra field": (lambda line: change_line(line, more="x"), "field more is not part of"),
    "a wrong type": (lambda line: change_line(line, id=7.5), "id should be text, is 7.5"),
    "an empty id": (lambda line: change_line(line, id=" "), "id is empty"),
    "a repeated id": (lambda line: change_line(line, id="row 1"), "is also that of line 1"),
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
    assert "my.jsonl: 2 bad lines, nothing was read:" in message
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


def test_check_spec_reads_a_small_file_and_the_first_row_of_a_large_one(root, monkeypatch):
    lines = six_lines(QUESTION)
    (root / "my.jsonl").write_bytes(b"\n".join([*lines[:3], b"{", b""]))
    (problem,) = data.check_spec("my.jsonl", ("Question",), for_training=False)
    assert "1 bad line, nothing was read: line 4: broken JSON" in problem
    monkeypatch.setattr(loading, "QUICK_BYTES", 10)
    assert data.check_spec("my.jsonl", ("Question",), for_training=False) == []
    (root / "my.jsonl").write_bytes(b"\n".join([change_line(lines[0], answer=9), *lines[1:]]))
    (problem,) = data.check_spec("my.jsonl", ("Question",), for_training=False)
    assert "line 1: answer 9 is not an index of the 2 options" in problem


@pytest.mark.parametrize("place", ["data/public/x.jsonl", "outputs/toy/01_dbke/x.jsonl"])
def test_check_spec_accepts_a_missing_file_that_a_step_or_download_creates(place, root):
    assert data.check_spec(place, ("Dialogue",), for_training=True) == []


def test_check_spec_reads_gzip_files(root):
    (root / "my.jsonl.gz").write_bytes(gzip.compress(six_lines(ARTICLE)[0] + b"\n"))
    assert data.check_spec("my.jsonl.gz", ("Article",), for_training=True) == []


def test_a_copy_of_the_shipped_exam_is_no_training_set(root, monkeypatch):
    write_rows(root / "my.jsonl", number_rows(QUESTION, 3))
    write_rows(root / "other.jsonl", number_rows(QUESTION, 2))
    monkeypatch.setattr(registry, "locate_shipped_file", lambda source: root / "my.jsonl")
    with pytest.raises(data.DataError, match=r"my\.jsonl is the evaluation set mini_exam"):
        data.load_training_questions("my.jsonl")
    assert len(data.load_training_questions("other.jsonl")) == 2


@pytest.mark.parametrize(
    ("load", "spec"),
    [
        (data.load_training_questions, "mini_exam"),
        (data.load_training_questions, "medqa_us"),
        (data.load_training_questions, "medqa_us@my.jsonl"),
        (data.load_dialogues, "medical_meadow_mmmlu"),  # the test set of MMLU
        (data.load_sources, "mini_exam"),
    ],
)
def test_an_evaluation_set_is_no_training_set(load, spec):
    with pytest.raises(data.DataError, match=f"{spec} is an evaluation set.*Choose one of mini_"):
        load(spec)


@pytest.mark.parametrize("split", ["test", "test1", "valid", "validation_shared"])
def test_rows_of_a_held_out_split_are_no_training_rows(root, split):
    write_rows(root / "my.jsonl", [LETTERED | {"split": "dev"}])
    assert len(data.load_training_questions("medqa_us_train@my.jsonl")) == 1
    write_rows(root / "my.jsonl", [LETTERED | {"split": "dev"}, LETTERED | {"split": split}])
    with pytest.raises(data.DataError, match=rf"1 of 2 rows are of the split {split}"):
        data.load_training_questions("medqa_us_train@my.jsonl")


def test_image_questions_can_be_removed_before_sampling(root):
    rows = [QUESTION | {"id": str(i), "image_suspected": i % 2 == 0} for i in range(10)]
    write_rows(root / "q.jsonl", rows)
    assert len(data.load_questions("q.jsonl")) == 10
    rest = data.load_questions("q.jsonl", 3, "out")
    assert [int(row.id) % 2 for row in rest] == [1, 1, 1]
    write_rows(root / "q.jsonl", rows[:1])
    with pytest.raises(data.DataError, match="every question seems to refer to an image"):
        data.load_questions("q.jsonl", 0, "out")


def test_training_sources_may_have_any_shape():
    specs = ("mini_chat", "mini_articles", "mini_exam_train")
    kinds = [type(data.load_sources(spec)[0]) for spec in specs]
    assert kinds == [data.Dialogue, data.Article, data.Question]
    articles = data.load_articles("mini_articles")
    assert data.load_training_rows("mini_articles", share=2.0) == articles * 2
    assert data.load_training_rows("mini_chat") == data.load_dialogues("mini_chat")


def test_a_training_file_may_mix_dialogues_and_articles(root):
    write_rows(root / "my.jsonl", [DIALOGUE, ARTICLE])
    rows = data.load_training_rows("my.jsonl")
    assert [type(row) for row in rows] == [data.Dialogue, data.Article]
    assert data.load_sources("my.jsonl") == rows
    assert data.check_spec("my.jsonl", ["TrainingText"], for_training=True) == []
    with pytest.raises(data.DataError, match="line 2: .*field sections is not part of Dialogue"):
        data.load_dialogues("my.jsonl")
    write_rows(root / "my.jsonl", [DIALOGUE, QUESTION])
    with pytest.raises(data.DataError, match="line 2: .*field messages is missing"):
        data.load_training_rows("my.jsonl")


def test_a_mixture_names_the_datasets_that_a_model_may_train_on():
    with pytest.raises(
        data.DataError, match="holds Question rows, not TrainingText rows"
    ) as caught:
        data.load_training_rows("mini_exam")
    names = str(caught.value).partition("Choose one of ")[2]
    assert {"mini_chat,", "mini_articles,", "mini_primer,"} <= set(names.split())
    assert "mmmlu" not in names  # an evaluation set of dialogues


def test_an_evaluation_set_of_the_hub_is_never_shortened(hub):
    good = {"id": "1", "question": "Q", "opa": "a", "opb": "b", "opc": "c", "opd": "d", "cop": 0}
    hub["", "validation"] = [good, good | {"id": "2", "cop": -1}]
    with pytest.raises(data.DataError, match="row 2: answer -1 is not an index"):
        data.load_questions("medmcqa")


def test_unusable_training_rows_of_the_hub_are_dropped_and_counted(hub):
    exchange = [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]
    turns = {"1": exchange[1:], "2": exchange}
    hub["", "train"] = [{"id": name, "conversations": value} for name, value in turns.items()]
    with pytest.warns(UserWarning, match="1 rows of the hub are unusable.*1 remain.*row 1: roles"):
        rows = data.load_dialogues("sharegpt")
    assert [row.id for row in rows] == ["2"]


def test_describe_returns_the_sha256_of_a_file(root):
    (root / "my.jsonl").write_bytes(b"abc")  # the first example of FIPS 180-2
    facts = data.describe("medqa_us@my.jsonl")
    assert facts["sha256"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert (facts["rows_from"], facts["label"], facts["path"]) == ("file", "medqa_us", "my.jsonl")
    assert data.describe("mini_exam")["path"] == "exam.jsonl"  # no path of this machine


def test_describe_returns_whether_a_revision_is_pinned(monkeypatch):
    monkeypatch.setattr(registry, "resolve_revision", lambda source: "c0ffee")
    facts = data.describe("medmcqa")
    assert (facts["revision"], facts["pinned"], facts["commit"]) == ("main", False, "c0ffee")
    assert data.describe("medqa_us")["pinned"] is True
