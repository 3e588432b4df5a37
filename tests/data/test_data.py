"""Datasets: specs, strict reading, row shapes, the readers of both schemas, what may be learned."""

import gzip
import json

import pytest

from clinical_camel import data
from clinical_camel.data import files, readers, registry

QUESTION = {"id": "q1", "question": "Which?", "options": ["x", "y"], "answer": 1}
DIALOGUE = {
    "id": "d1",
    "source": "toy",
    "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}],
}
ARTICLE = {"id": "a1", "title": "T", "sections": [{"heading": "", "text": "Words."}]}
CONSULTATION = {
    "id": "c1",
    "turns": [{"speaker": "doctor", "text": "Hi"}, {"speaker": "patient", "text": "Ow"}],
    "note": "Pain.",
}
SHAPES = [
    (data.Question, QUESTION),
    (data.Dialogue, DIALOGUE),
    (data.Article, ARTICLE),
    (data.Consultation, CONSULTATION),
]


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A root of its own for relative paths."""
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(tmp_path))
    return tmp_path


@pytest.fixture
def hub(monkeypatch):
    """A hub that holds the rows put into the returned dict, by (config, split)."""
    shelves = {}
    calls = []

    def download(name, source, config, split):
        calls.append((source.hub, config, split, source.revision))
        return shelves[config, split]

    monkeypatch.setattr(registry, "_download", download)
    shelves["calls"] = calls
    return shelves


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def questions(count, **more):
    return [QUESTION | {"id": f"q{i}"} | more for i in range(count)]


def problem_of(content, tmp_path, name="x.jsonl"):
    """What read_jsonl says about this content."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(data.DataError) as caught:
        files.read_jsonl(tmp_path / name)
    return str(caught.value)


# --- specs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "label"),
    [
        ("mini_exam", "mini_exam"),
        ("medqa_us@data/public/medqa_us/medqa_us_dev.jsonl", "medqa_us"),
        ("outputs/mini_camel/01_dbke/dialogues.jsonl", "dialogues"),
        ("questions.jsonl.gz", "questions"),
    ],
)
def test_label_is_the_name_or_the_stem_of_the_file(spec, label):
    assert data.label(spec) == label


def test_unknown_name_is_answered_with_the_nearest_one():
    with pytest.raises(data.DataError, match=r"medqa_uk.*Did you mean medqa_us,.* or a path"):
        data.load_questions("medqa_uk")


def test_missing_public_file_names_the_section_that_says_how_to_get_it(root):
    with pytest.raises(data.DataError, match="'Real data' of the README"):
        data.load_questions("medqa_us@data/public/medqa_us/none.jsonl")


def test_missing_output_names_the_step_to_run(root):
    with pytest.raises(data.DataError, match="Run the step that writes it"):
        data.load_dialogues("outputs/mini_camel/01_dbke/dialogues.jsonl")


def test_hub_id_is_no_spec(root):
    with pytest.raises(data.DataError, match="A hub id is not a dataset spec"):
        data.load_questions("GBaker/MedQA-USMLE-4-options")


@pytest.mark.parametrize("path", ["/etc/x.jsonl", "a/../../x.jsonl", "a\\x.jsonl"])
def test_a_path_stays_under_the_root(root, path):
    with pytest.raises(data.DataError, match="relative to the root"):
        data.load_questions(path)


def test_a_folder_is_no_dataset(root):
    (root / "my").mkdir()
    with pytest.raises(data.DataError, match="my is a folder"):
        data.load_questions("medqa_us@my")


def test_name_of_another_shape_is_refused_with_the_names_that_fit():
    with pytest.raises(data.DataError, match=r"Question rows, not Article rows.*mini_articles"):
        data.load_articles("mini_exam")


def test_name_without_hub_id_asks_for_a_file():
    with pytest.raises(data.DataError, match="mts_dialog@data/public"):
        data.load_consultations("mts_dialog")


def test_every_registered_name_has_a_place_or_a_reader():
    for name, source in registry.SOURCES.items():
        assert source.shipped or source.read, name
        assert bool(source.hub) == bool(source.splits), name
        assert source.role in {"train", "eval", "material"}, name
        assert source.licence, name


# --- strict reading ------------------------------------------------------------------------------

GOOD = b'{"a": 1}\n'


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b'{"a": 1', "broken JSON at column 8"),
        (b'{"a": 1} {"b": 2}', "more than one value on the line"),
        (b"[1]", "not a JSON object but list"),
        (b"", "blank line"),
        (b"  ", "blank line"),
        (b'{"a": "\x00"}', "NUL byte at byte 8"),
        (b'{"a": "\\u0000"}', "NUL character"),
        (b'{"a": "\\ud800"}', "half of a surrogate pair"),
        (b'{"a": "\xff"}', "not UTF-8 at byte 8"),
        (b'{"a": 1, "a": 2}', "key 'a' stands twice"),
        (b'{"b": {"a": 1, "a": 2}}', "key 'a' stands twice"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b'{"a": 1e999}', "1e999 is too large"),
    ],
)
def test_a_bad_line_is_named_with_its_number(tmp_path, line, says):
    said = problem_of(GOOD + line + b"\n" + GOOD, tmp_path)
    assert "x.jsonl: 1 bad line, nothing was read" in said
    assert f"line 2: {says}" in said


def test_all_bad_lines_are_named_at_once(tmp_path):
    said = problem_of(b"{\n" + GOOD + b"[]\n" + GOOD + b"\n", tmp_path)
    assert "3 bad lines" in said
    assert [n for n in range(1, 6) if f"line {n}:" in said] == [1, 3, 5]


def test_at_most_twenty_bad_lines_are_shown_in_words_and_the_rest_by_number(tmp_path):
    said = problem_of(b"{\n" * 25, tmp_path)
    assert "25 bad lines" in said
    assert said.count("broken JSON") == 20
    assert said.endswith("and 5 more: lines 21, 22, 23, 24, 25")


def test_a_cut_off_last_line_is_called_that(tmp_path):
    assert "line 2: broken JSON at column 6: " in problem_of(GOOD + b'{"a":', tmp_path)
    assert "file cut off?" in problem_of(GOOD + b'{"a":', tmp_path)


@pytest.mark.parametrize("content", [b"", b"\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(tmp_path, content):
    assert problem_of(content, tmp_path) == "x.jsonl is empty"


def test_a_whole_last_line_needs_no_line_end(tmp_path):
    (tmp_path / "x.jsonl").write_bytes(GOOD + b'{"a": 2}')
    assert files.read_jsonl(tmp_path / "x.jsonl") == [{"a": 1}, {"a": 2}]


def test_a_byte_order_mark_and_dos_line_ends_are_read(tmp_path):
    (tmp_path / "x.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n{"a": 2}\r\n')
    assert files.read_jsonl(tmp_path / "x.jsonl") == [{"a": 1}, {"a": 2}]


def test_a_unicode_line_separator_does_not_end_a_line(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"a": "x\u2028y"}\n', encoding="utf-8")
    assert files.read_jsonl(tmp_path / "x.jsonl") == [{"a": "x\u2028y"}]


def test_a_gzip_file_is_read(tmp_path):
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(GOOD))
    assert files.read_jsonl(tmp_path / "x.jsonl.gz") == [{"a": 1}]


@pytest.mark.parametrize("content", [gzip.compress(GOOD * 100)[:-10], GOOD])
def test_a_broken_gzip_file_is_refused(tmp_path, content):
    assert "no whole gzip file" in problem_of(content, tmp_path, "x.jsonl.gz")


# --- row shapes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "values"), SHAPES)
def test_a_row_survives_the_way_to_a_dict_and_back(shape, values):
    row = data.from_dict(shape, values)
    assert data.from_dict(shape, json.loads(json.dumps(data.to_dict(row)))) == row


@pytest.mark.parametrize(("shape", "values"), SHAPES)
def test_a_missing_and_an_extra_field_are_both_named(shape, values):
    changed = {name: value for name, value in values.items() if name != "id"} | {"idd": "x"}
    with pytest.raises(data.DataError, match=r"field id is missing; field idd is not part of"):
        data.from_dict(shape, changed)


@pytest.mark.parametrize(
    ("shape", "values", "says"),
    [
        (data.Question, QUESTION | {"id": 7}, "id should be text, is 7"),
        (data.Question, QUESTION | {"answer": "B"}, 'answer should be a whole number, is "B"'),
        (data.Question, QUESTION | {"answer": True}, "answer should be a whole number, is true"),
        (data.Question, QUESTION | {"answer": 2}, "answer 2 is no index of the 2 options"),
        (data.Question, QUESTION | {"answer": -1}, "answer -1 is no index"),
        (data.Question, QUESTION | {"question": " "}, "question is empty"),
        (data.Question, QUESTION | {"options": ["x", ""]}, r"options\[1\] is empty"),
        (data.Question, QUESTION | {"options": ["x", None]}, r"options\[1\] should be text"),
        (data.Question, QUESTION | {"options": ["x"], "answer": 0}, "2 to 10 options"),
        (data.Question, QUESTION | {"options": list("abcdefghijk")}, "2 to 10 options"),
        (data.Article, ARTICLE | {"title": ""}, "title is empty"),
        (data.Article, ARTICLE | {"sections": []}, "no section has text"),
        (
            data.Article,
            ARTICLE | {"sections": [{"text": "x"}]},
            r"sections\[0\].heading is missing",
        ),
        (data.Consultation, CONSULTATION | {"note": "\n"}, "note is empty"),
        (
            data.Consultation,
            CONSULTATION | {"turns": CONSULTATION["turns"][:1]},
            "at least 2 turns",
        ),
        (data.Dialogue, DIALOGUE | {"messages": []}, "are none"),
        (data.Dialogue, DIALOGUE | {"messages": DIALOGUE["messages"][:1]}, "are user"),
        (data.Dialogue, DIALOGUE | {"messages": DIALOGUE["messages"][::-1]}, "assistant, user"),
        (
            data.Dialogue,
            DIALOGUE | {"messages": [{"role": "user"}]},
            "should have role and content",
        ),
        (
            data.Dialogue,
            DIALOGUE | {"messages": [{"role": "bot", "content": "x"}]},
            'should be one of system, user, assistant, is "bot"',
        ),
        (
            data.Dialogue,
            DIALOGUE
            | {"messages": [*DIALOGUE["messages"][:1], {"role": "assistant", "content": " "}]},
            r"messages\[1\] is empty",
        ),
    ],
)
def test_an_unusable_row_says_why(shape, values, says):
    with pytest.raises(data.DataError, match=says):
        data.from_dict(shape, values)


def test_a_system_message_may_come_first_and_only_first():
    system = {"role": "system", "content": "Be kind."}
    talk = DIALOGUE["messages"]
    assert data.from_dict(data.Dialogue, DIALOGUE | {"messages": [system, *talk]})
    with pytest.raises(data.DataError, match="after an optional system"):
        data.from_dict(data.Dialogue, DIALOGUE | {"messages": [*talk, system]})


def test_two_options_may_be_equal():
    # 21 rows of MedMCQA hold one option text twice; leaving them out would change the benchmark
    assert data.from_dict(data.Question, QUESTION | {"options": ["x", "x"]}).options == ["x", "x"]


def test_content_hash_sees_every_field():
    row = data.from_dict(data.Question, QUESTION)
    changed = [{"answer": 0}, {"options": ["y", "x"]}, {"context": "c"}, {"image_suspected": True}]
    hashes = {data.content_hash(data.from_dict(data.Question, QUESTION | new)) for new in changed}
    assert len(hashes | {data.content_hash(row)}) == 5


def test_a_file_in_our_shape_is_read_whole_or_not_at_all(root):
    write(root / "my.jsonl", [QUESTION, QUESTION | {"id": "q2", "answer": 9}, {"id": "q3"}])
    with pytest.raises(data.DataError) as caught:
        data.load_questions("my.jsonl")
    said = str(caught.value)
    assert "2 bad lines" in said
    assert "line 2: answer 9 is no index" in said
    assert "line 3: field answer is missing; field options is missing" in said


def test_a_repeated_id_is_refused(root):
    write(root / "my.jsonl", [QUESTION, QUESTION | {"id": "q2"}, QUESTION])
    with pytest.raises(data.DataError, match="line 3: id 'q1' is also that of line 1"):
        data.load_questions("my.jsonl")


# --- damaged files, in every shape ---------------------------------------------------------------

LOADERS = {
    data.Question: data.load_questions,
    data.Dialogue: data.load_dialogues,
    data.Article: data.load_articles,
    data.Consultation: data.load_consultations,
}


def changed(line, **more):
    """The line with other values; None takes the field away."""
    values = {**json.loads(line), **more}
    return json.dumps({k: v for k, v in values.items() if v is not None}).encode()


DAMAGED_LINES = {  # what is done to a line, and what is said about it
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
    "a repeated key": (lambda line: line[:-1] + b', "id": "x"}', "key 'id' stands twice"),
    "a missing field": (lambda line: changed(line, id=None), "field id is missing"),
    "an extra field": (lambda line: changed(line, more="x"), "field more is not part of"),
    "a wrong type": (lambda line: changed(line, id=7), "id should be text, is 7"),
    "an empty id": (lambda line: changed(line, id=" "), "id is empty"),
    "a repeated id": (lambda line: changed(line, id="row 1"), "id 'row 1' is also that of line 1"),
    "a mark inside": (lambda line: b"\xef\xbb\xbf" + line, "a byte order mark inside the file"),
}


def six_lines(values):
    return [json.dumps(values | {"id": f"row {n}"}).encode() for n in range(1, 7)]


@pytest.mark.parametrize(("shape", "values"), SHAPES, ids=[s.__name__ for s, _ in SHAPES])
@pytest.mark.parametrize("kind", DAMAGED_LINES)
def test_every_damaged_line_is_named_and_nothing_is_read(kind, shape, values, root):
    harm, says = DAMAGED_LINES[kind]
    lines = six_lines(values)
    lines[2], lines[4] = harm(lines[2]), harm(lines[4])
    (root / "my.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(data.DataError) as caught:
        LOADERS[shape]("my.jsonl")
    said = str(caught.value)
    assert "my.jsonl: 2 bad lines, nothing was read" in said
    assert [n for n in range(1, 7) if f"  line {n}: " in said] == [3, 5]
    assert said.count(says) == 2


def test_torn_lines_and_unusable_rows_come_in_one_message_in_order(root):
    lines = six_lines(QUESTION)
    lines[1], lines[3], lines[5] = changed(lines[1], answer=9), b"{", lines[5][:-5]
    (root / "my.jsonl").write_bytes(b"\n".join(lines))
    with pytest.raises(data.DataError) as caught:
        data.load_questions("my.jsonl")
    said = str(caught.value).splitlines()
    assert [line.split(":")[0].strip() for line in said[1:]] == ["line 2", "line 4", "line 6"]
    assert said[3].endswith("file cut off?)")


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
FOREIGN = {
    "a git-lfs pointer": (lambda whole: LFS, "is a git-lfs pointer.*git lfs pull"),
    "an HTML page": (
        lambda whole: b"\n<!DOCTYPE html>\n<html>404</html>\n",
        "is a web page.*again",
    ),
    "an XML error": (lambda whole: b"<?xml version='1.0'?><Error/>", "is a web page"),
    "UTF-16": (lambda whole: whole.decode().encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
    "nothing": (lambda whole: b"", "is empty"),
}


@pytest.mark.parametrize(("shape", "values"), SHAPES, ids=[s.__name__ for s, _ in SHAPES])
@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_no_json_lines_file_gets_its_own_sentence(kind, shape, values, root):
    make, says = FOREIGN[kind]
    content = make(b"\n".join(six_lines(values)))
    (root / "my.jsonl").write_bytes(content)
    with pytest.raises(data.DataError, match=says):
        LOADERS[shape]("my.jsonl")


@pytest.mark.parametrize(("shape", "values"), SHAPES, ids=[s.__name__ for s, _ in SHAPES])
@pytest.mark.parametrize("cut", [1, 20])
def test_a_truncated_gzip_file_is_refused_whole(cut, shape, values, root):
    whole = gzip.compress(b"\n".join(six_lines(values) * 50))
    (root / "my.jsonl.gz").write_bytes(whole[:-cut])
    with pytest.raises(data.DataError, match="my.jsonl.gz is no whole gzip file"):
        LOADERS[shape]("my.jsonl.gz")


def test_an_answer_that_is_null_is_no_answer(root):
    write(root / "my.jsonl", [QUESTION, QUESTION | {"id": "q2", "answer": None}])
    with pytest.raises(data.DataError, match="line 2: answer should be a whole number, is null"):
        data.load_questions("my.jsonl")


def test_an_article_whose_sections_are_all_blank_is_refused_by_line(root):
    blank = ARTICLE | {"id": "a2", "sections": [{"heading": "Signs", "text": " \n"}]}
    write(root / "my.jsonl", [ARTICLE, blank])
    with pytest.raises(data.DataError, match="line 2: no section has text"):
        data.load_articles("my.jsonl")


def test_a_glance_at_a_spec_reads_the_first_row_only(root):
    lines = six_lines(QUESTION)
    (root / "my.jsonl").write_bytes(b"\n".join([*lines[:3], b"{", b""]))
    assert data.spec_problem("my.jsonl", ("Question",), learn=False) == ""
    (root / "my.jsonl").write_bytes(b"\n".join([changed(lines[0], answer=9), *lines[1:]]))
    said = data.spec_problem("my.jsonl", ("Question",), learn=False)
    assert said == "my.jsonl: line 1: answer 9 is no index of the 2 options"


@pytest.mark.parametrize("place", ["data/public/x.jsonl", "outputs/toy/01_dbke/x.jsonl"])
def test_a_glance_passes_over_a_file_that_has_yet_to_be_made(place, root):
    assert data.spec_problem(place, ("Dialogue",), learn=True) == ""


def test_a_glance_at_a_gzip_file_and_at_a_pointer(root):
    (root / "my.jsonl.gz").write_bytes(gzip.compress(six_lines(ARTICLE)[0] + b"\n"))
    assert data.spec_problem("my.jsonl.gz", ("Article",), learn=True) == ""
    (root / "my.jsonl.gz").write_bytes(LFS)
    assert "git-lfs pointer" in data.spec_problem("my.jsonl.gz", ("Article",), learn=True)


# --- how many rows -------------------------------------------------------------------------------


def test_limit_keeps_file_order_and_spreads_over_the_file(root):
    write(root / "my.jsonl", questions(100))
    kept = [int(row.id[1:]) for row in data.load_questions("my.jsonl", limit=20)]
    assert kept == sorted(kept)
    assert kept != list(range(20))
    assert 5 <= sum(number < 50 for number in kept) <= 15


def test_limit_is_by_the_sha256_of_the_id(root):
    # sha256sum gives 341c0a3e.. for q0, c75de8c1.. for q1, bee98bf1.. for q2
    write(root / "my.jsonl", questions(3))
    assert [row.id for row in data.load_questions("my.jsonl", limit=1)] == ["q0"]


def test_a_small_limit_is_part_of_a_larger_one(root):
    write(root / "my.jsonl", questions(50))
    ten = {row.id for row in data.load_questions("my.jsonl", limit=10)}
    assert ten < {row.id for row in data.load_questions("my.jsonl", limit=20)}


@pytest.mark.parametrize("limit", [0, 7, 99])
def test_no_limit_and_a_large_limit_keep_all(root, limit):
    write(root / "my.jsonl", questions(7))
    assert len(data.load_questions("my.jsonl", limit=limit)) == 7


def test_a_negative_limit_is_refused(root):
    write(root / "my.jsonl", questions(7))
    with pytest.raises(data.DataError, match="limit is 0"):
        data.load_questions("my.jsonl", limit=-1)


def test_examples_and_training_questions_never_meet(root):
    write(root / "my.jsonl", questions(30))
    examples = {row.id for row in data.load_training_questions("my.jsonl", limit=5)}
    rest = {row.id for row in data.load_training_questions("my.jsonl", skip=5)}
    assert (len(examples), len(rest), examples & rest) == (5, 25, set())


def test_skip_beyond_the_file_is_refused(root):
    write(root / "my.jsonl", questions(3))
    with pytest.raises(data.DataError, match="skip is 0 to 3"):
        data.load_training_questions("my.jsonl", skip=4)


def dialogues(count):
    return [DIALOGUE | {"id": f"d{i}"} for i in range(count)]


def test_share_keeps_that_fraction_in_order(root):
    write(root / "my.jsonl", dialogues(40))
    kept = [int(row.id[1:]) for row in data.load_dialogues("my.jsonl", share=0.25, seed=1)]
    assert len(kept) == 10
    assert kept == sorted(kept)


def test_another_seed_draws_another_share(root):
    write(root / "my.jsonl", dialogues(40))
    first, second = (data.load_dialogues("my.jsonl", share=0.5, seed=seed) for seed in (1, 2))
    assert first != second
    assert first == data.load_dialogues("my.jsonl", share=0.5, seed=1)


def test_a_share_above_one_takes_rows_again(root):
    write(root / "my.jsonl", dialogues(4))
    ids = [row.id for row in data.load_dialogues("my.jsonl", share=2.5)]
    assert ids[:8] == ["d0", "d1", "d2", "d3"] * 2
    assert len(ids[8:]) == len(set(ids[8:])) == 2


@pytest.mark.parametrize("share", [-0.1, float("nan")])
def test_a_negative_share_is_refused(root, share):
    with pytest.raises(data.DataError, match=r"share is 0\.0 or more"):
        data.load_dialogues("my.jsonl", share=share)


# --- what may be learned from --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mini_exam", "medqa_us", "pubmedqa", "medqa_mcmle"])
def test_an_evaluation_set_cannot_be_learned_from(name):
    with pytest.raises(data.DataError, match=rf"{name} is an evaluation set.*mini_exam_train"):
        data.load_training_questions(name)


def test_an_evaluation_name_on_a_file_cannot_be_learned_from_either(root):
    write(root / "my.jsonl", [LOCAL_MCQ | {"split": "train"}])
    with pytest.raises(data.DataError, match="is an evaluation set"):
        data.load_training_questions("medqa_us@my.jsonl")


def test_the_shipped_exam_cannot_be_learned_from_as_a_file(root, monkeypatch):
    write(root / "my.jsonl", questions(3))
    write(root / "other.jsonl", questions(2))
    monkeypatch.setattr(registry, "shipped_path", lambda source: root / "my.jsonl")
    with pytest.raises(data.DataError, match=r"my\.jsonl is the evaluation set mini_exam"):
        data.load_training_questions("my.jsonl")
    assert len(data.load_training_questions("other.jsonl")) == 2


@pytest.mark.parametrize("split", ["test", "test1", "valid", "validation_shared"])
def test_a_row_that_says_it_is_a_test_row_cannot_be_learned_from(root, split):
    write(root / "my.jsonl", [LOCAL_MCQ | {"split": "dev"}, LOCAL_MCQ | {"split": split}])
    with pytest.raises(data.DataError, match=rf"1 of 2 rows say that their split is {split}"):
        data.load_training_questions("medqa_us_train@my.jsonl")


def test_a_development_row_may_stand_in_for_a_training_row(root):
    write(root / "my.jsonl", [LOCAL_MCQ | {"split": "dev"}])
    assert len(data.load_training_questions("medqa_us_train@my.jsonl")) == 1


# --- readers: both schemas -----------------------------------------------------------------------

LOCAL_MCQ = {
    "id": "m1",
    "question": "Which?",
    "options": {"A": "x", "B": "y", "C": "z"},
    "answer": "B",
    "subject": "anatomy",
    "image_suspected": True,
}


def test_medqa_of_the_hub_and_of_a_file_give_the_same_question():
    of_hub = {
        "id": "m1",
        "question": "Which?",
        "options": {"A": "x", "B": "y", "C": "z"},
        "answer_idx": "B",
        "answer": "y",
        "meta_info": "step1",
        "image_suspected": True,
    }
    assert readers.read_medqa(of_hub) == readers.read_medqa(LOCAL_MCQ | {"meta_info": "step1"})
    assert readers.read_medqa(of_hub).answer == 1


def test_medqa_with_five_options_is_read_from_the_file_of_its_authors(root):
    row = {
        "question": "Which?",
        "answer": "e",
        "options": dict(zip("ABCDE", "abcde", strict=True)),
        "meta_info": "step1",
        "answer_idx": "E",
    }
    write(root / "US/test.jsonl", [row, row | {"question": "Who?", "answer_idx": "A"}])
    first, second = data.load_questions("medqa_us_5_options@US/test.jsonl")
    assert (len(first.options), first.answer, second.answer) == (5, 4, 0)
    assert first.id == "medqa-us-5-test-0000"
    write(root / "US/train.jsonl", [row])
    (learned,) = data.load_training_questions("medqa_us_5_options_train@US/train.jsonl")
    assert learned.id == "medqa-us-5-train-00000"
    with pytest.raises(data.DataError, match="medqa_us_5_options is not on the hub"):
        data.load_questions("medqa_us_5_options")


@pytest.mark.parametrize(
    ("text", "suspected"),
    [
        ("Her ECG is shown below. What is it?", True),
        ("A rash is seen on the back (Figure A).", True),
        ("Refer to the exhibit.", True),
        ("患者心电图如图。", True),
        ("The cells are shown to be CD4 positive.", False),
        ("Which figure skater's injury is this?", False),
    ],
)
def test_a_row_without_a_mark_is_marked_by_its_words(text, suspected):
    row = LOCAL_MCQ | {"meta_info": "", "question": text}
    del row["image_suspected"]
    assert readers.read_medqa(row).image_suspected == suspected


def test_questions_that_speak_of_an_image_can_be_left_out_before_any_are_drawn(root):
    rows = [QUESTION | {"id": str(i), "image_suspected": i % 2 == 0} for i in range(10)]
    write(root / "q.jsonl", rows)
    assert len(data.load_questions("q.jsonl")) == 10
    kept = data.load_questions("q.jsonl", 3, "out")
    assert [int(row.id) % 2 for row in kept] == [1, 1, 1]
    with pytest.raises(data.DataError, match="'none' is not one of in, out"):
        data.load_questions("q.jsonl", 0, "none")
    write(root / "q.jsonl", rows[:1])
    with pytest.raises(data.DataError, match="every question seems to speak of an image"):
        data.load_questions("q.jsonl", 0, "out")


def test_a_training_source_may_have_any_shape_but_is_never_an_exam():
    kinds = {spec: type(data.load_sources(spec)[0]) for spec in ("mini_chat", "mini_articles")}
    assert kinds == {"mini_chat": data.Dialogue, "mini_articles": data.Article}
    assert isinstance(data.load_sources("mini_exam_train")[0], data.Question)
    with pytest.raises(data.DataError, match="evaluation set"):
        data.load_sources("mini_exam")


def test_medmcqa_counts_its_answers_from_zero():
    row = {"id": "1", "question": "Q", "opa": "a", "opb": "b", "opc": "c", "opd": "d", "cop": 0}
    read = readers.read_medmcqa(row | {"subject_name": "Anatomy", "exp": "Ans. B"})
    assert (read.options, read.answer, read.subset) == (["a", "b", "c", "d"], 0, "Anatomy")
    assert "Ans" not in json.dumps(data.to_dict(read))


def test_mmlu_of_the_hub_has_choices_and_an_index():
    row = {"id": "1", "question": "Q", "choices": ["a", "b"], "answer": 1, "subject": "anatomy"}
    read = readers.read_mmlu(row)
    assert (read.options, read.answer, read.subset) == (["a", "b"], 1, "anatomy")


def test_pubmedqa_joins_the_labelled_abstract_and_leaves_out_the_conclusion():
    row = {
        "pubid": 42,
        "question": "Q",
        "context": {"contexts": ["Why.", "How."], "labels": ["BACKGROUND", "METHODS"]},
        "long_answer": "SECRET",
        "final_decision": "maybe",
    }
    read = readers.read_pubmedqa(row)
    assert read.context == "BACKGROUND: Why.\nMETHODS: How."
    assert (read.id, read.options, read.answer) == ("42", ["yes", "no", "maybe"], 2)
    assert "SECRET" not in json.dumps(data.to_dict(read))


def test_the_labelled_rows_of_pubmedqa_are_500_to_test_on_and_500_to_learn_from(hub):
    known = sorted(readers.pubmedqa_train_ids())
    assert len(known) == 500
    parts = {"contexts": ["Why."], "labels": ["BACKGROUND"]}
    hub["pqa_labeled", "train"] = [
        {"pubid": int(i), "question": "Q", "context": parts, "final_decision": "yes"}
        for i in (known[0], 1, 2)
    ]
    assert [q.id for q in data.load_questions("pubmedqa_test")] == ["1", "2"]
    assert [q.id for q in data.load_training_questions("pubmedqa_labelled_train")] == [known[0]]
    assert len(data.load_questions("pubmedqa")) == 3  # all labelled rows, as in 2023


def test_options_that_a_usmle_item_lacks_are_left_out(hub):
    options = {"A": "x", "B": "y", "C": "z", "D": None, "E": None}
    hub["", "test"] = [{"question": "Q", "options": options, "answer_idx": "C", "answer": "z"}]
    (row,) = data.load_questions("usmle_self_eval_step1")
    assert (row.id, row.options, row.answer) == ("usmle_self_eval_step1-000", ["x", "y", "z"], 2)


def test_a_repeated_question_gets_the_same_group_whatever_the_order_of_its_options():
    swapped = LOCAL_MCQ | {"id": "m2", "options": {"A": "y", "B": "x", "C": "z"}, "answer": "A"}
    other = LOCAL_MCQ | {"id": "m3", "question": "Why?"}
    groups = [readers.read_mmlu(row).group for row in (LOCAL_MCQ, swapped, other)]
    assert groups[0] == groups[1] != groups[2]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"answer": "D"}, "answer 'D' is none of the options A, B, C"),
        ({"options": {"A": "x", "C": "y"}}, "options should be named A, B"),
        ({"options": ["x", "y"]}, "options should be an object, is list"),
        ({"question": None}, "question should be text, is NoneType"),
    ],
)
def test_a_public_row_with_a_fault_is_named(root, change, says):
    write(root / "my.jsonl", [LOCAL_MCQ, LOCAL_MCQ | {"id": "m2"} | change])
    with pytest.raises(data.DataError, match=f"line 2: {says}"):
        data.load_questions("medqa_us@my.jsonl")


def test_a_file_in_the_schema_of_the_hub_gets_ids(root):
    row = {"question": "Q", "choices": ["a", "b"], "answer": 1, "subject": "anatomy"}
    write(root / "my.jsonl", [row, row])
    ids = [question.id for question in data.load_questions("mmlu_medical@my.jsonl")]
    assert ids == ["anatomy-000", "anatomy-001"]


def test_sharegpt_names_become_roles():
    row = {
        "id": "1",
        "conversations": [
            {"from": "system", "value": "S"},
            {"from": "human", "value": "Q"},
            {"from": "gpt", "value": "A"},
        ],
    }
    roles = [message["role"] for message in readers.read_sharegpt(row).messages]
    assert roles == ["system", "user", "assistant"]


def test_an_instruction_becomes_an_exchange_and_its_template_puts_it_together_again(hub):
    rows = [
        {"instruction": "Answer this question truthfully", "input": "What is gout?", "output": "A"},
        {"instruction": "Name a bone.", "input": "", "output": "The tibia."},
        {"instruction": "Name a bone.", "input": "", "output": " "},
    ]
    hub["", "train"] = rows
    first, second = data.load_dialogues("medical_meadow_mediqa")
    assert [m["role"] for m in first.messages] == ["system", "user", "assistant"]
    assert [m["content"] for m in second.messages] == ["Name a bone.", "The tibia."]
    assert first.id == "mediqa-000000"


def test_the_part_of_medical_meadow_that_is_the_test_set_of_mmlu_cannot_be_learned_from():
    with pytest.raises(data.DataError, match="medical_meadow_mmmlu is an evaluation set"):
        data.load_dialogues("medical_meadow_mmmlu")


def test_a_broken_conversation_in_a_file_is_refused(root):
    write(root / "my.jsonl", [{"id": "1", "conversations": [{"from": "gpt", "value": "A"}]}])
    with pytest.raises(data.DataError, match="line 1: roles must be user, assistant"):
        data.load_dialogues("sharegpt@my.jsonl")


def medquad(number, question, answer="A", **more):
    return {
        "document_id": number,
        "document_source": "CDC",
        "document_url": "http://www.cdc.gov/a_b.html",
        "question_focus": "Measles",
        "question": question,
        "answer": answer,
    } | more


def test_medquad_pages_become_articles_and_withheld_answers_are_left_out(hub):
    hub["", "train"] = [medquad("1", "What?"), medquad("1", "Why?"), medquad("2", "How?", None)]
    (article,) = data.load_articles("medquad")
    assert (article.id, article.title, article.group) == ("CDC/1", "Measles", "measles")
    assert [section.heading for section in article.sections] == ["What?", "Why?"]


def test_a_medquad_page_without_a_focus_is_called_by_its_address():
    assert readers.read_medquad(medquad("1", "What?", question_focus="")).title == "a b"


def test_a_faulty_medquad_row_costs_no_other_page(hub):
    hub["", "train"] = [medquad("1", None), medquad("2", "Why?"), medquad("3", "How?")]
    with pytest.warns(UserWarning, match="row 1: question should be text"):
        articles = data.load_articles("medquad")
    assert [article.id for article in articles] == ["CDC/2", "CDC/3"]


def test_openstax_is_cut_at_its_headings():
    row = {
        "id": "1",
        "title": "T",
        "chapter": "C",
        "text": "Before.\nOne\nFirst.\nTwo\nSecond.",
        "sections": ["Introduction", "One", "Two"],
        "chapter_review": None,
    }
    pairs = [(section.heading, section.text) for section in readers.read_openstax(row).sections]
    assert pairs == [("Introduction", "Before."), ("One", "First."), ("Two", "Second.")]
    with pytest.raises(ValueError, match="heading 'Three' is no line"):
        readers.read_openstax(row | {"sections": ["Introduction", "One", "Two", "Three"]})


def test_aci_bench_lines_become_turns_and_a_line_without_a_speaker_goes_on():
    row = {
        "id": "1",
        "dataset": "aci",
        "dialogue": "[doctor] hi .\nstill here .\n[patient_guest] hello",
        "note": "N",
    }
    turns = [(turn.speaker, turn.text) for turn in readers.read_aci_bench(row).turns]
    assert turns == [("doctor", "hi . still here ."), ("other", "hello")]


@pytest.mark.parametrize(
    ("name", "speaker"),
    [
        ("Doctor", "doctor"),
        ("Docotr_2", "doctor"),
        ('"Doctor', "doctor"),
        ("Patient", "patient"),
        ("Guest_family", "other"),
        ("Gest_family", "other"),
        ("Guest_clinican", "other"),
        ("Guest_family2", "other"),
    ],
)
def test_mts_speakers_are_known_in_every_spelling_of_the_source(name, speaker):
    row = {"id": "1", "section_header": "CC", "section_text": "Cough.", "dialogue": f"{name}: Hi"}
    assert [(turn.speaker, turn.text) for turn in readers.read_mts_dialog(row).turns] == [
        (speaker, "Hi")
    ]


def test_mts_note_has_its_heading_in_words():
    row = {"id": "1", "section_header": "GENHX", "section_text": "Cough.", "dialogue": "Doctor: Hi"}
    assert readers.read_mts_dialog(row).note == "HISTORY OF PRESENT ILLNESS:\nCough."


def test_mts_rows_that_stand_in_a_test_set_are_never_used():
    row = {"section_header": "CC", "section_text": "Cough.", "dialogue": "Doctor: Hi"}
    assert readers.read_mts_dialog(row | {"id": "mts-train-901"}) is None
    assert readers.read_mts_dialog(row | {"id": "mts-test1-96"}) is not None


def test_primock_marks_are_taken_out_and_an_unheard_turn_with_them():
    row = {
        "id": "1",
        "dialogue": "[doctor] <UNSURE>Hello</UNSURE> you <UNIN/>.\n[patient] <INAUDIBLE_SPEECH/>.",
        "note": "N",
    }
    turns = [(turn.speaker, turn.text) for turn in readers.read_primock57(row).turns]
    assert turns == [("doctor", "Hello you .")]


# --- the hub -------------------------------------------------------------------------------------

MMLU_ROW = {"question": "Q", "choices": ["a", "b"], "answer": 1}


def test_mmlu_is_fetched_by_subject_and_numbered_like_the_files(hub):
    for subject in registry.MMLU_SUBJECTS:
        hub[subject, "test"] = [MMLU_ROW | {"subject": subject}]
    rows = data.load_questions("mmlu_medical")
    assert [row.id for row in rows[:2]] == ["anatomy-000", "clinical_knowledge-000"]
    assert len(hub["calls"]) == 6


def test_medqa_is_fetched_at_its_pinned_revision(hub):
    hub["", "test"] = [{"question": "Q", "options": {"A": "x", "B": "y"}, "answer_idx": "A"}]
    assert data.load_questions("medqa_us")[0].id == "medqa-us-test-0000"
    (call,) = hub["calls"]
    assert call[0] == "GBaker/MedQA-USMLE-4-options"
    assert len(call[3]) == 40


def test_an_evaluation_set_of_the_hub_is_never_shortened(hub):
    good = {"id": "1", "question": "Q", "opa": "a", "opb": "b", "opc": "c", "opd": "d", "cop": 0}
    hub["", "validation"] = [good, good | {"id": "2", "cop": -1}]
    with pytest.raises(data.DataError, match="line 2: answer -1 is no index"):
        data.load_questions("medmcqa")


def test_training_rows_of_the_hub_that_cannot_be_used_are_left_out_and_counted(hub):
    talk = [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]
    hub["", "train"] = [{"id": "1", "conversations": talk[1:]}, {"id": "2", "conversations": talk}]
    with pytest.warns(
        UserWarning, match="1 rows of the hub cannot be used.*1 are kept.*row 1: roles"
    ):
        rows = data.load_dialogues("sharegpt")
    assert [row.id for row in rows] == ["2"]


def test_an_unreachable_hub_says_what_to_do(monkeypatch):
    def refuse(*args, **kwargs):
        raise ConnectionError("no route")

    monkeypatch.setattr("datasets.load_dataset", refuse)
    with pytest.raises(data.DataError, match=r"medqa_us: GBaker.*no route.*medqa_us@data/public"):
        data.load_questions("medqa_us")


# --- for the record ------------------------------------------------------------------------------


def test_describe_of_a_file_has_its_sha256(root):
    (root / "my.jsonl").write_bytes(b"abc")  # the first example of FIPS 180-2
    facts = data.describe("medqa_us@my.jsonl")
    assert facts["sha256"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert (facts["rows_from"], facts["label"], facts["path"]) == ("file", "medqa_us", "my.jsonl")


def test_describe_of_the_hub_says_whether_it_is_pinned(monkeypatch):
    monkeypatch.setattr(registry, "resolved_revision", lambda source: "c0ffee")
    facts = data.describe("medmcqa")
    assert (facts["revision"], facts["pinned"], facts["commit"]) == ("main", False, "c0ffee")
    assert data.describe("medqa_us")["pinned"] is True


def test_describe_names_no_folder_of_this_machine():
    assert data.describe("mini_exam")["path"] == "exam.jsonl"


# --- published numbers ---------------------------------------------------------------------------


def published(system, size, benchmark, shots):
    table = data.load_published()
    rows = table[
        (table["system"] == system)
        & (table["size"] == size)
        & (table["benchmark"] == benchmark)
        & (table["shots"] == shots)
    ]
    return [(row.value, row.status) for row in rows.itertuples()]


@pytest.mark.parametrize(
    ("system", "size", "benchmark", "shots", "value", "status"),
    [
        ("clinical_camel", "70b", "medqa_us", 5, 60.7, "confirmed (primary)"),
        ("clinical_camel", "70b", "pubmedqa", 0, 74.3, "confirmed (secondary)"),
        ("clinical_camel", "13b", "mmlu_anatomy", 5, 48.2, "recalled, not found"),
        ("med-palm-2", "", "mmlu_professional_medicine", 5, 95.2, "confirmed (primary)"),
        ("medalpaca", "13b", "usmle_self_assessment_step_3", 0, 60.2, "confirmed (primary)"),
        ("clinicalgpt", "7b", "medqa_us", 0, 26.9, "confirmed (primary)"),
    ],
)
def test_published_number_is_the_one_of_the_source(system, size, benchmark, shots, value, status):
    assert published(system, size, benchmark, shots) == [(value, status)]


def test_published_status_is_one_of_three():
    assert set(data.load_published()["status"]) == {
        "confirmed (primary)",
        "confirmed (secondary)",
        "recalled, not found",
    }


def test_published_13b_scores_are_all_recalled():
    table = data.load_published()
    camel = table[(table["system"] == "clinical_camel") & (table["size"] == "13b")]
    assert len(camel) == 20
    assert set(camel["status"]) == {"recalled, not found"}


def test_published_values_are_percentages_with_a_source():
    table = data.load_published()
    assert table["value"].between(1, 100).all()
    assert (table["source"].str.len() > 10).all()


def test_published_benchmarks_are_called_as_ours():
    named = set(data.load_published()["benchmark"])
    ours = {f"mmlu_{subject}" for subject in registry.MMLU_SUBJECTS}
    assert ours | {"medqa_us", "medmcqa", "pubmedqa"} <= named


def test_published_accuracy_is_attainable_with_its_number_of_items():
    table = data.load_published().dropna(subset=["n"])
    right = (table["value"] * table["n"].astype(float) / 100).round()
    # 0.06, not 0.05: some tables round a number that was rounded before
    assert (100 * right / table["n"].astype(float) - table["value"]).abs().max() < 0.06


def test_the_question_text_holds_the_context_first():
    question = data.Question(id="1", question="Q?", options=["a", "b"], answer=0, context="Text.")
    assert data.question_text(question) == "Text.\nQ?\n(A) a\n(B) b"
