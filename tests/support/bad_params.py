"""Kinds of wrong params files, and the project in which they are tried.

A kind is a function: it takes the text of a good params file and returns the damaged text (lone
surrogates represent raw bytes) and what the message must contain, a key or a line.
"""

import csv
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).parents[2]
STUDY = "mini_camel"
STEPS = sorted(file.stem for file in (REPOSITORY / "params" / STUDY).glob("*.yaml"))
Damaged = tuple[str, str]
Kind = Callable[[str], Damaged]


def put(text: str, key: str, value: str) -> Damaged:
    """Replace the value of a key, which may be in block style."""
    pattern = rf"(?m)^{key}:.*\n(?:[ -].*\n)*"
    damaged, count = re.subn(pattern, lambda _: f"{key}: {value}\n", text)
    assert count == 1, key
    return damaged, key


def find_key(text: str, *types: type) -> str:
    """Return the first key with a value of the first of these types that the file has at all."""
    values = {name: value for name, value in yaml.safe_load(text).items() if name != "study"}
    return next(name for t in types for name, value in values.items() if type(value) is t)


def one_of(**values: str) -> Kind:
    """Set the first of these keys that the file has."""

    def damage(text: str) -> Damaged:
        key = next(name for name in values if re.search(rf"(?m)^{name}:", text))
        return put(text, key, values[key])

    return damage


def typed(value: str, *types: type, **exceptions: str) -> Kind:
    """Set the first key with a value of these types; `exceptions` are values of some keys."""

    def damage(text: str) -> Damaged:
        key = find_key(text, *types)
        return put(text, key, exceptions.get(key, value))

    return damage


def added(lines: str, message: str = "") -> Kind:
    """Append lines; without `message`, the error names the first of them."""
    return lambda text: (f"{text}{lines}\n", message or f"line {text.count(chr(10)) + 1}")


def replaced(before: str, after: str, message: str) -> Kind:
    """Replace a piece of the text."""
    return lambda text: (text.replace(before, after), message)


def input_path(path: str, table: str = "") -> Kind:
    """Set the first input of the notebook to a path; `table` is the path where it is a CSV."""
    table = table or path
    return one_of(
        articles=f"[{path!r}]",
        mixture=f"{{{path!r}: 1.0}}",
        exemplars=f"{{mini_exam: {path!r}, mini_exam_primer: mini_exam_train}}",
        consultations=f"[{path!r}]",
        logs=f"{{mini_camel: {table!r}}}",
        training_sources=f"[{path!r}]",
    )


def drop_first_number(text: str) -> Damaged:
    key = find_key(text, float, int)
    return re.sub(rf"(?m)^{key}:.*\n", "", text), f"{key}: missing"


def break_indent(text: str) -> Damaged:
    return put(text, find_key(text, dict, list, str), "\n\t- x")[0], "a tab"


def turn_into_list(text: str) -> Damaged:
    return re.sub(r"(?m)^(\w)", r"- \1", re.sub(r"(?m)^[ -].*\n", "", text)), "not a mapping"


KINDS: dict[str, Kind] = {
    # not YAML, or not a flat mapping
    "an empty file": lambda _: ("", "empty"),
    "comments only": lambda _: ("# study: mini_camel\n# seed: 0\n", "empty"),
    "a list at the top": turn_into_list,
    "a sentence": lambda _: ("the embedded study with its usual values\n", "not a mapping"),
    "two documents": added("---\nseed: 1"),
    "all keys under one heading": lambda text: (
        "parameters:\n" + re.sub(r"(?m)^", "  ", text),
        "parameters: not a parameter",
    ),
    "not UTF-8": added("# caf\udce9"),
    "UTF-16": lambda text: (text.encode("utf-16").decode("utf-8", "surrogateescape"), "line 1"),
    "a NUL byte": added("# \0"),
    "a tab as indent": break_indent,
    "an unclosed quote": added('more: "x'),
    "an unclosed bracket": added("more: [x", "line "),
    "no space after the colon": replaced("seed: 0", "seed:0", "line "),
    "a merge conflict": replaced(
        "seed: 0", "<<<<<<< HEAD\nseed: 0\n=======\nseed: 1\n>>>>>>> b", "line "
    ),
    "an HTML page": lambda _: (
        "<!DOCTYPE html>\n<html><body>404: Not Found</body></html>\n",
        "line ",
    ),
    "nested 1000 deep": added("more: " + "[" * 1000, "nested too deeply"),
    "an anchor and its alias": added("more: &a [x]\nless: *a", "less: an alias"),
    "a merge key": added("<<: {seed: 1}", "<<: a merge key"),
    "a Python tag": one_of(seed='!!python/object/apply:os.system ["true"]'),
    # the keys
    "an unknown key": added("flavour: sweet", "flavour"),
    "a misspelt key": replaced("seed:", "sede:", "sede: not a parameter"),
    "a missing key": drop_first_number,
    "a duplicate key": added("seed: 1", "seed: a duplicate key"),
    "a dash for an underscore": added(
        "question-limit: 5\nmax-length: 5", "question-limit: not a parameter"
    ),
    "a capital letter in a key": replaced("seed:", "SEED:", "did you mean seed?"),
    "a number as key": added("1: x"),
    "a space inside a quoted key": replaced("seed:", '"seed ":', "did you mean seed?"),
    "a letter that only looks Latin": replaced(
        "seed:", "s\u0435ed:", "only looks like a Latin one"
    ),
    "a key that names a secret": added("api_key: abc", "api_key: looks like a secret"),
    # the types
    "nothing after the colon": one_of(seed=""),
    "null": typed("null", str, dict),
    "a number in quotes": typed('"1"', float, int),
    "true for a number": typed("true", int),
    "a number for true": typed("1", bool, str, dict),
    "false in quotes": typed('"false"', bool, int),
    "a fraction for a whole number": typed("1.5", int),
    "a whole number for a fraction": typed("1", float, list),
    "an exponent that YAML reads as text": typed("2e-4", float, int),
    "a decimal comma": typed("0,5", float, int),
    "a unit after a number": typed("5 %", float, int),
    "a number for text": typed("13", str, dict),
    "no for text": typed("no", str, dict),
    "a date for text": typed("2023-05-19", str, dict),
    "a list for a single value": typed("[mini]", str, float),
    "a mapping for a single value": typed("{mini: 1}", str, float),
    "a single value for a list": typed("mini_exam", list, dict),
    "a list for a mapping": typed("[a, b]", dict, list, articles="[1, 2]"),
    "a mapping for a list": typed("{a: 1}", list, dict),
    "a list in a list": typed("[[x]]", list, dict, logs="{mini_camel: [x]}"),
    "an item of another type": typed("[mini, 3]", list, dict, logs="{mini_camel: 3}"),
    "an item that is null": typed("{mini: ~}", dict, list, articles="[~]"),
    "an octal with a letter": one_of(seed="0o17"),
    "an octal with a zero": one_of(seed="017"),
    "minutes and seconds": one_of(seed="1:30"),
    "not a number": typed(".nan", float, int),
    "infinity": typed(".inf", float, int),
    "a number of 5000 digits": one_of(seed="9" * 5000),
    # the values
    "a seed below zero": one_of(seed="-1"),
    "a seed that is too large": one_of(seed="4294967296"),
    "a count below zero": one_of(
        article_limits="{medquad: -1}",
        batch_size="-8",
        num_shots="[0, -5]",
        consultation_limit="-1",
        smoothing="-0.05",
        seed="-1",
    ),
    "zero where it must be positive": one_of(
        dialogues_per_article="0",
        save_steps="0",
        max_new_tokens="0",
        token_budget="0",
        smoothing="0.0",
        answers='""',
    ),
    "a share above one": one_of(
        near_duplicate_threshold="1.5",
        lora_dropout="1.5",
        top_p="95.0",
        smoothing="5.0",
        token_budget="-1",
        seed="-0.5",
    ),
    "an unknown choice": one_of(
        teacher="{kind: gpt-4}",
        loss_on="user",
        protocols="[essay]",
        too_long="cut",
        logs="{mini_camel: outputs/mini_camel/02_sft_qlora/train_log.xlsx}",
        answers="outputs/mini_camel/03_eval_fewshot/answers.xlsx",
    ),
    "a choice in capital letters": one_of(
        teacher="{kind: Extractive}",
        quantize="NF4",
        logs="{MINI_CAMEL: outputs/mini_camel/02_sft_qlora/train_log.csv}",
        answers="outputs/mini_camel/03_eval_fewshot/ANSWERS.csv",
    ),
    "an empty text as name": one_of(
        model='""', teacher='{kind: ""}', logs='{mini_camel: ""}', answers='""'
    ),
    "an empty list or mapping": one_of(
        articles="[]",
        mixture="{}",
        benchmarks="[]",
        consultations="[]",
        logs="{}",
        training_sources="{}",
    ),
    "a duplicate item": one_of(
        articles="[mini_articles, mini_articles]",
        mixture="{mini_chat: 1.0, mini_chat: 0.5}",
        num_shots="[5, 5]",
        sections="[Plan, Plan]",
        logs="{a: x.csv, a: y.csv}",
        training_sources="[mini_chat, mini_chat]",
    ),
    "white space around a name": one_of(
        model='" mini"',
        teacher='{kind: "extractive "}',
        logs='{mini_camel: "outputs/x.csv "}',
        answers='" outputs/x/answers.csv"',
    ),
    "an invisible character": one_of(
        model='"mi\u200bni"',
        teacher='{kind: "extr\u200bactive"}',
        logs='{"\ufeffa": outputs/x.csv}',
        answers='"out\u200bputs/answers.csv"',
    ),
    "half a surrogate pair": one_of(
        model='"\\ud800"',
        teacher='{kind: "\\ud800"}',
        logs='{"\\ud800": outputs/x.csv}',
        answers='"\\ud800"',
    ),
    "two contradictory values": one_of(
        min_exchanges="9",
        lora_targets="[all-linear, q_proj]",
        baseline="bases",
        scores="{other: outputs/mini_camel/03_eval_fewshot/scores.csv}",
        adapters='{"": ""}',
        exam_scores="outputs/mini_camel_raw/03_eval_fewshot/scores.csv",
    ),
    "another study": one_of(study="mini_camel_2"),
    # paths, datasets, models, secrets
    "an absolute path": input_path("/etc/passwd"),
    "a path from the home folder": input_path("~/data/x.jsonl"),
    "a path that leaves the project": input_path("data/../../x.jsonl"),
    "a path of another system": input_path("C:\\data\\x.jsonl"),
    "a web address": input_path("https://example.org/x.jsonl"),
    "a missing file": input_path("my/none.jsonl", "my/none.csv"),
    "public data that are not fetched": input_path("data/public/none.jsonl", "data/public/no.csv"),
    "an input that no step produces": input_path(
        "outputs/mini_camel/01_dbk/x.jsonl", "outputs/mini_camel/01_dbk/x.csv"
    ),
    "an input of an unknown study": input_path(
        "outputs/mini_camle/01_dbke/x.jsonl", "outputs/mini_camle/01_dbke/x.csv"
    ),
    "a dataset that is neither registered nor a path": input_path("mini_exams"),
    "a dataset of another shape": one_of(
        articles="[mini_exam]",
        mixture="{mini_exam_train: 1.0}",
        benchmarks="[mini_articles]",
        consultations="[mini_chat]",
        logs="{mini_camel: other/scores.csv}",  # a table with other columns; see `copy_project`
        training_sources="[mini_exam]",
    ),
    "a file of another shape": input_path("other/rows.jsonl", "other/scores.csv"),
    "an exam as training data": one_of(
        questions="[mini_exam]",
        mixture="{medqa_us: 1.0}",
        exemplars="{mini_exam: mini_exam, mini_exam_primer: mini_exam_train}",
        consultations="[mini_exam]",
        logs="{mini_camel: mini_exam}",
        training_sources="[mini_exam]",
    ),
    "a missing model": one_of(
        model="minni", teacher="minni", logs="{mini: minni}", training_sources="[minni]"
    ),
    "a model folder with pickled weights": one_of(
        model="other/pickled",
        teacher="other/pickled",
        logs="{a: other/pickled}",
        training_sources="[other/pickled]",
    ),
    "a missing adapter": one_of(
        adapters="{tuned: other/adapter}",
        chat_template="minni",
        questions="[other/adapter]",
        scores="{mini_camel: other/adapter}",
        training_sources="[other/adapter]",
    ),
    "a secret as value": one_of(
        model="hf_AbCdEfGhIjKlMnOp",
        teacher="sk-abc123def456",
        smoothing="sk-a1b2c3d4e5f6",
        answers="hf_AbCdEfGhIjKlMnOp",
    ),
}


def copy_project(root: Path) -> None:
    """Copy the notebooks and the embedded studies, and write files that params wrongly name."""
    shutil.copytree(REPOSITORY / "notebooks", root / "notebooks")
    for study in (STUDY, "mini_camel_raw"):
        shutil.copytree(REPOSITORY / "params" / study, root / "params" / study)
    (root / "other/pickled").mkdir(parents=True)
    (root / "other/pickled/pytorch_model.bin").write_bytes(b"")
    (root / "other/rows.jsonl").write_text('{"id": "1", "text": "neither"}\n', encoding="utf-8")
    (root / "other/scores.csv").write_text("name,points\n", encoding="utf-8")


def damage(file: Path, kind: Kind) -> str:
    """Damage a params file; return what the message must contain."""
    text, message = kind(file.read_text(encoding="utf-8"))
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    return message


# ------------------------------------------------------------------------------- of one step


def put_both(**values: str) -> Kind:
    """Set two keys that are wrong together; the error names the first."""

    def damage(text: str) -> Damaged:
        for key, value in values.items():
            text, _ = put(text, key, value)
        return text, f"{next(iter(values))}: "

    return damage


def exam(name: str) -> Kind:
    """Score another exam, with examples of the same set as before."""
    return put_both(benchmarks=f"[{name}]", exemplars=f"{{{name}: mini_exam_train}}")


# by step; a single wrong value: bad_values.tsv
STEP_KINDS: dict[str, dict[str, Kind]] = {
    STEPS[1]: {
        "packing with eager attention": put_both(packing="true", attn_implementation="eager"),
        "an order for packed rows": put_both(group_by_length="true", packing="true"),
        "5 MB of comment": added(f"#{'x' * 5_000_000}", "more than 100,000"),
        "5 MB in one value": added(f"more: {'x' * 5_000_000}", "more than 100,000"),
        "5 MB of keys": added("key: 1\n" * 700_000, "more than 100,000"),
        "5,000 keys": added("\n".join(f"key_{i}: 1" for i in range(5_000)), "keys, more than 100"),
        "mappings nested 300 deep": added(
            "more: " + "{a: " * 300 + "1" + "}" * 300, "more: nested too deeply"
        ),
        "a key without a name": added(": 1", "a key without a name"),
        "an empty key": added('"": 1', 'the key "" is no name'),
        "a key of two lines": added("? |\n  a\n  b\n: 1", 'the key "a\\nb\\n" is no name'),
        "text after the document": added("...\nseed: 1", "text after the end of the document"),
        "an alias of itself": added("more: &m [*m]", "more[0]: an alias"),
    },
    STEPS[2]: {
        "training questions as exam": exam("mini_exam_train"),
        "an exam that 01 does not protect": exam("mini_exam_dev"),
    },
}


def iter_step_cases() -> Iterator[tuple[str, str, Kind]]:
    """Yield the cases of single steps as (kind, step, function)."""
    with Path(__file__).with_name("bad_values.tsv").open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            key, value = row["key"], row["value"]
            yield row["kind"] or f"{key}: {value}", row["step"], set_to(key, value, row["message"])
    for step, kinds in STEP_KINDS.items():
        yield from ((name, step, kind) for name, kind in kinds.items())


def set_to(key: str, value: str, message: str) -> Kind:
    """Set a key; the error names it, or contains `message`."""
    return lambda text: (put(text, key, value)[0], message or f": {key}")
