"""Every kind of wrong params file, on every notebook, through the real command line.

`KINDS` is also what tests/test_bad_params.py runs in one process. Run as a script it writes
bad_params.csv beside it, prints the slowest refusal, and fails if one was not refused:

    python drills/bad_params.py
"""

import csv
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
STUDY = "mini_camel"

# A kind of damage takes the text of a good params file. It returns the damaged text (lone
# surrogates stand for raw bytes) and what the message must name: a key or a line.
Damaged = tuple[str, str]
KINDS: dict[str, Callable[[str], Damaged]] = {}


def kind(make: Callable[[str], Damaged]) -> Callable[[str], Damaged]:
    """Register a kind under its function's name, in words."""
    KINDS[make.__name__.replace("_", " ").strip()] = make
    return make


def put(text: str, key: str, value: str) -> Damaged:
    """The file with `key: value` in place of the value that stands there, block style included."""
    found, count = re.subn(rf"(?m)^{key}:.*\n(?:[ -].*\n)*", lambda _: f"{key}: {value}\n", text)
    assert count == 1, key
    return found, key


def first(text: str, *types: type) -> str:
    """The first parameter with a value of the first of these types that the file has at all."""
    values = {name: value for name, value in yaml.safe_load(text).items() if name != "study"}
    return next(name for t in types for name, value in values.items() if type(value) is t)


def any_of(text: str, **values: str) -> Damaged:
    """Put the value of the first of these parameters that the file has."""
    key = next(name for name in values if re.search(rf"(?m)^{name}:", text))
    return put(text, key, values[key])


def add(text: str, lines: str, names: str = "") -> Damaged:
    """More lines at the end; the message must name the first of them, unless told otherwise."""
    return f"{text}{lines}\n", names or f"line {text.count(chr(10)) + 1}"


# ---------------------------------------------------------------------------- not YAML, or not flat


@kind
def an_empty_file(text: str) -> Damaged:
    return "", "empty"


@kind
def comments_only(text: str) -> Damaged:
    return "# study: mini_camel\n# seed: 0\n", "empty"


@kind
def a_list_at_the_top(text: str) -> Damaged:
    return re.sub(r"(?m)^(\w)", r"- \1", re.sub(r"(?m)^[ -].*\n", "", text)), "not a mapping"


@kind
def a_sentence(text: str) -> Damaged:
    return "the embedded study with its usual values\n", "not a mapping"


@kind
def two_documents(text: str) -> Damaged:
    return add(text, "---\nseed: 1")


@kind
def all_keys_under_one_heading(text: str) -> Damaged:
    return "parameters:\n" + re.sub(r"(?m)^", "  ", text), "parameters: not a parameter"


@kind
def not_UTF_8(text: str) -> Damaged:
    return add(text, "# caf\udce9")


@kind
def UTF_16(text: str) -> Damaged:
    return text.encode("utf-16").decode("utf-8", "surrogateescape"), "line 1"


@kind
def a_NUL_byte(text: str) -> Damaged:
    return add(text, "# \0")


@kind
def a_tab_for_indent(text: str) -> Damaged:
    damaged, _ = put(text, first(text, dict, list, str), "\n\t- x")
    return damaged, "a tab"


@kind
def an_unclosed_quote(text: str) -> Damaged:
    return add(text, 'more: "x')


@kind
def an_unclosed_bracket(text: str) -> Damaged:
    return add(text, "more: [x", "line ")


@kind
def no_space_after_the_colon(text: str) -> Damaged:
    return text.replace("seed: 0", "seed:0"), "line "


@kind
def a_merge_conflict(text: str) -> Damaged:
    return text.replace("seed: 0", "<<<<<<< HEAD\nseed: 0\n=======\nseed: 1\n>>>>>>> b"), "line "


@kind
def an_HTML_page(text: str) -> Damaged:
    return "<!DOCTYPE html>\n<html><body>404: Not Found</body></html>\n", "line "


@kind
def nested_without_end(text: str) -> Damaged:
    return add(text, "more: " + "[" * 1000, "nested too deeply")


@kind
def an_anchor_and_its_alias(text: str) -> Damaged:
    return add(text, "more: &a [x]\nless: *a", "less: an alias")


@kind
def a_merge_key(text: str) -> Damaged:
    return add(text, "<<: {seed: 1}", "<<: a merge key")


@kind
def a_python_tag(text: str) -> Damaged:
    return put(text, "seed", '!!python/object/apply:os.system ["true"]')


# ----------------------------------------------------------------------------------------- the keys


@kind
def an_unknown_key(text: str) -> Damaged:
    return add(text, "flavour: sweet", "flavour")


@kind
def a_misspelt_key(text: str) -> Damaged:
    return text.replace("seed:", "sede:"), "sede: not a parameter"


@kind
def a_missing_key(text: str) -> Damaged:
    key = first(text, float, int)
    return re.sub(rf"(?m)^{key}:.*\n", "", text), f"{key}: missing"


@kind
def a_key_that_stands_twice(text: str) -> Damaged:
    return add(text, "seed: 1", "seed: a second time")


@kind
def a_dash_for_an_underscore(text: str) -> Damaged:
    return add(text, "question-limit: 5\nmax-length: 5", "question-limit: not a parameter")


@kind
def a_capital_letter_in_a_key(text: str) -> Damaged:
    return text.replace("seed:", "SEED:"), "did you mean seed?"


@kind
def a_key_that_is_a_number(text: str) -> Damaged:
    return add(text, "1: x")


@kind
def a_space_inside_a_quoted_key(text: str) -> Damaged:
    return text.replace("seed:", '"seed ":'), "did you mean seed?"


@kind
def a_letter_that_only_looks_Latin(text: str) -> Damaged:
    return text.replace("seed:", "s\u0435ed:"), "only looks like a Latin one"


@kind
def a_key_that_says_secret(text: str) -> Damaged:
    return add(text, "api_key: abc", "api_key: looks like a secret")


# ---------------------------------------------------------------------------------------- the types


@kind
def nothing_after_the_colon(text: str) -> Damaged:
    return put(text, "seed", "")


@kind
def null(text: str) -> Damaged:
    return put(text, first(text, str, dict), "null")


@kind
def a_number_in_quotes(text: str) -> Damaged:
    return put(text, first(text, float, int), '"1"')


@kind
def true_for_a_number(text: str) -> Damaged:
    return put(text, first(text, int), "true")


@kind
def a_number_for_true(text: str) -> Damaged:
    return put(text, first(text, bool, str, dict), "1")


@kind
def false_in_quotes(text: str) -> Damaged:
    return put(text, first(text, bool, int), '"false"')


@kind
def a_fraction_for_a_whole_number(text: str) -> Damaged:
    return put(text, first(text, int), "1.5")


@kind
def a_whole_number_for_a_fraction(text: str) -> Damaged:
    return put(text, first(text, float, list), "1")


@kind
def an_exponent_that_YAML_takes_for_text(text: str) -> Damaged:
    return put(text, first(text, float, int), "2e-4")


@kind
def a_decimal_comma(text: str) -> Damaged:
    return put(text, first(text, float, int), "0,5")


@kind
def a_unit_behind_a_number(text: str) -> Damaged:
    return put(text, first(text, float, int), "5 %")


@kind
def a_number_for_text(text: str) -> Damaged:
    return put(text, first(text, str, dict), "13")


@kind
def no_for_text(text: str) -> Damaged:
    return put(text, first(text, str, dict), "no")


@kind
def a_date_for_text(text: str) -> Damaged:
    return put(text, first(text, str, dict), "2023-05-19")


@kind
def a_list_for_a_single_value(text: str) -> Damaged:
    return put(text, first(text, str, float), "[mini]")


@kind
def a_mapping_for_a_single_value(text: str) -> Damaged:
    return put(text, first(text, str, float), "{mini: 1}")


@kind
def a_single_value_for_a_list(text: str) -> Damaged:
    return put(text, first(text, list, dict), "mini_exam")


@kind
def a_list_for_a_mapping(text: str) -> Damaged:
    key = first(text, dict, list)
    return put(text, key, "[1, 2]" if key == "articles" else "[a, b]")


@kind
def a_mapping_for_a_list(text: str) -> Damaged:
    key = first(text, list, dict)
    return put(text, key, "{a: 1}")


@kind
def a_list_in_a_list(text: str) -> Damaged:
    key = first(text, list, dict)
    return put(text, key, "{mini_camel: [x]}" if key == "logs" else "[[x]]")


@kind
def an_item_of_another_type(text: str) -> Damaged:
    key = first(text, list, dict)
    return put(text, key, "{mini_camel: 3}" if key == "logs" else "[mini, 3]")


@kind
def an_item_that_is_null(text: str) -> Damaged:
    key = first(text, dict, list)
    return put(text, key, "[~]" if key == "articles" else "{mini: ~}")


@kind
def an_octal_with_a_letter(text: str) -> Damaged:
    return put(text, "seed", "0o17")


@kind
def an_octal_with_a_zero(text: str) -> Damaged:
    return put(text, "seed", "017")


@kind
def minutes_and_seconds(text: str) -> Damaged:
    return put(text, "seed", "1:30")


@kind
def not_a_number(text: str) -> Damaged:
    return put(text, first(text, float, int), ".nan")


@kind
def infinity(text: str) -> Damaged:
    return put(text, first(text, float, int), ".inf")


@kind
def a_number_of_5000_digits(text: str) -> Damaged:
    return put(text, "seed", "9" * 5000)


# --------------------------------------------------------------------------------------- the values


@kind
def a_seed_below_zero(text: str) -> Damaged:
    return put(text, "seed", "-1")


@kind
def a_seed_that_is_too_large(text: str) -> Damaged:
    return put(text, "seed", "4294967296")


@kind
def a_count_below_zero(text: str) -> Damaged:
    return any_of(
        text,
        article_limit="-1",
        batch_size="-8",
        num_shots="[0, -5]",
        consultation_limit="-1",
        smoothing="-0.05",
    )


@kind
def zero_where_it_must_be_positive(text: str) -> Damaged:
    return any_of(
        text,
        dialogues_per_article="0",
        save_steps="0",
        max_new_tokens="0",
        token_budget="0",
        smoothing="0.0",
    )


@kind
def a_share_above_one(text: str) -> Damaged:
    return any_of(
        text,
        lora_dropout="1.5",
        top_p="95.0",
        smoothing="5.0",
        exchanges_per_dialogue="1",  # below min_exchanges: the share of a whole that 01 has
        token_budget="-1",
    )


@kind
def a_choice_that_there_is_not(text: str) -> Damaged:
    return any_of(
        text,
        teacher="gpt-4",
        loss_on="user",
        protocols="[essay]",
        too_long="cut",
        logs="{mini_camel: outputs/mini_camel/02_sft_qlora/train_log.xlsx}",
    )


@kind
def a_choice_in_capital_letters(text: str) -> Damaged:
    return any_of(
        text,
        teacher="Extractive",
        quantize="NF4",
        logs="{mini_camel: outputs/mini_camel/02_sft_qlora/train_log.CSV}",
    )


@kind
def an_empty_text_for_a_name(text: str) -> Damaged:
    return any_of(text, model='""', teacher='""', logs='{mini_camel: ""}')


@kind
def a_list_with_nothing_in_it(text: str) -> Damaged:
    return any_of(text, articles="[]", mixture="{}", benchmarks="[]", consultations="[]", logs="{}")


@kind
def an_item_that_stands_twice(text: str) -> Damaged:
    return any_of(
        text,
        articles="[mini_articles, mini_articles]",
        mixture="{mini_chat: 1.0, mini_chat: 0.5}",
        num_shots="[5, 5]",
        sections="[Plan, Plan]",
        logs="{a: x.csv, a: y.csv}",
    )


@kind
def white_space_around_a_name(text: str) -> Damaged:
    return any_of(
        text, model='" mini"', teacher='"extractive "', logs='{mini_camel: "outputs/x.csv "}'
    )


@kind
def an_invisible_character(text: str) -> Damaged:
    return any_of(
        text, model='"mi\u200bni"', teacher='"extr\u200bactive"', logs='{"\ufeffa": outputs/x.csv}'
    )


@kind
def half_a_surrogate_pair(text: str) -> Damaged:
    return any_of(text, model='"\\ud800"', teacher='"\\ud800"', logs='{"\\ud800": outputs/x.csv}')


@kind
def two_values_that_contradict_each_other(text: str) -> Damaged:
    return any_of(
        text,
        min_exchanges="9",
        lora_targets="[all-linear, q_proj]",
        baseline="bases",
        scores="{other: outputs/mini_camel/03_eval_fewshot/scores.csv}",
        adapters='{"": ""}',
    )


@kind
def another_study(text: str) -> Damaged:
    return put(text, "study", "mini_camel_2")


# ----------------------------------------------------------------- paths, datasets, models, secrets


def place(text: str, path: str) -> Damaged:
    """A path where the notebook takes its first input."""
    return any_of(
        text,
        articles=f"[{path!r}]",
        mixture=f"{{{path!r}: 1.0}}",
        exemplars=f"{{mini_exam: {path!r}, mini_exam_primer: mini_exam_train}}",
        consultations=f"[{path!r}]",
        logs=f"{{mini_camel: {path!r}}}",
    )


@kind
def an_absolute_path(text: str) -> Damaged:
    return place(text, "/etc/passwd")


@kind
def a_path_from_the_home_folder(text: str) -> Damaged:
    return place(text, "~/data/x.jsonl")


@kind
def a_path_that_leaves_the_project(text: str) -> Damaged:
    return place(text, "data/../../x.jsonl")


@kind
def a_path_of_another_system(text: str) -> Damaged:
    return place(text, "C:\\data\\x.jsonl")


@kind
def an_address_of_the_web(text: str) -> Damaged:
    return place(text, "https://example.org/x.jsonl")


@kind
def a_file_that_is_not_there(text: str) -> Damaged:
    key = place(text, "")[1]
    return place(text, "my/none.csv" if key == "logs" else "my/none.jsonl")


@kind
def public_data_that_were_not_fetched(text: str) -> Damaged:
    key = place(text, "")[1]
    return place(text, "data/public/none.csv" if key == "logs" else "data/public/none.jsonl")


@kind
def an_input_that_no_step_makes(text: str) -> Damaged:
    key = place(text, "")[1]
    return place(text, f"outputs/mini_camel/01_dbk/x.{'csv' if key == 'logs' else 'jsonl'}")


@kind
def an_input_of_an_unknown_study(text: str) -> Damaged:
    key = place(text, "")[1]
    return place(text, f"outputs/mini_camle/01_dbke/x.{'csv' if key == 'logs' else 'jsonl'}")


@kind
def a_dataset_that_is_neither_registered_nor_a_path(text: str) -> Damaged:
    return place(text, "mini_exams")


@kind
def a_dataset_of_another_shape(text: str) -> Damaged:
    return any_of(
        text,
        articles="[mini_exam]",
        mixture="{mini_exam_train: 1.0}",
        benchmarks="[mini_articles]",
        consultations="[mini_chat]",
        logs="{mini_camel: other/scores.csv}",  # a table of another shape; see `copy_project`
    )


@kind
def a_file_of_another_shape(text: str) -> Damaged:
    key = place(text, "")[1]
    return place(text, "other/scores.csv" if key == "logs" else "other/rows.jsonl")


@kind
def an_exam_to_learn_from(text: str) -> Damaged:
    return any_of(
        text,
        questions="[mini_exam]",
        mixture="{medqa_us: 1.0}",
        exemplars="{mini_exam: mini_exam, mini_exam_primer: mini_exam_train}",
        consultations="[mini_exam]",
        logs="{mini_camel: mini_exam}",
    )


@kind
def a_model_that_is_nowhere(text: str) -> Damaged:
    return any_of(text, model="minni", teacher="minni", logs="{mini: minni}")


@kind
def a_model_folder_with_pickled_weights(text: str) -> Damaged:
    return any_of(text, model="other/pickled", teacher="other/pickled", logs="{a: other/pickled}")


@kind
def an_adapter_that_is_nowhere(text: str) -> Damaged:
    return any_of(
        text,
        adapters="{tuned: other/adapter}",
        chat_template="minni",
        questions="[other/adapter]",
        scores="{mini_camel: other/adapter}",
    )


@kind
def a_secret_as_a_value(text: str) -> Damaged:
    return any_of(
        text, model="hf_AbCdEfGhIjKlMnOp", teacher="sk-abc123def456", smoothing="sk-a1b2c3d4e5f6"
    )


# ------------------------------------------------------------------------- through the command line


def copy_project(root: Path) -> None:
    """The notebooks and the embedded study, and some files to be pointed at wrongly."""
    shutil.copytree(REPOSITORY / "notebooks", root / "notebooks")
    shutil.copytree(REPOSITORY / "params" / STUDY, root / "params" / STUDY)
    (root / "other/pickled").mkdir(parents=True)
    (root / "other/pickled/pytorch_model.bin").write_bytes(b"")
    (root / "other/rows.jsonl").write_text('{"id": "1", "text": "neither"}\n', encoding="utf-8")
    (root / "other/scores.csv").write_text("name,points\n", encoding="utf-8")


def damage(file: Path, make: Callable[[str], Damaged]) -> str:
    """Damage a params file; returns what the message must name."""
    text, names = make(file.read_text(encoding="utf-8"))
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    return names


def sweep(root: Path) -> Iterator[tuple[dict[str, str | bool], float, float]]:
    """Damage, run, mend: each case as a row, with seconds on the clock and of the processor."""
    copy_project(root)
    environment = {**os.environ, "CLINICAL_CAMEL_ROOT": str(root)}
    environment["PYTHONPATH"] = str(REPOSITORY / "src")
    for name, make in KINDS.items():
        for file in sorted((root / "params" / STUDY).glob("*.yaml")):
            good = file.read_bytes()
            expected = damage(file, make)
            command = [sys.executable, "-m", "clinical_camel", "run", STUDY, file.stem]
            clock, before = time.monotonic(), os.times()
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=False
            )
            after = os.times()  # a busy machine lengthens the wait, not the work
            file.write_bytes(good)
            line = next((s for s in done.stderr.splitlines() if expected in s), "")
            row = {
                "kind": name,
                "notebook": file.stem,
                "refused": done.returncode == 2 and not (root / "outputs").exists(),
                "names_key": line.startswith(f"params/{STUDY}/{file.name}: "),
                "message": line or " ".join(done.stderr.split()[-30:]),
            }
            yield row, time.monotonic() - clock, sum(after[2:4]) - sum(before[2:4])


def main() -> int:
    """Write the table row by row, then say how many were refused and how long the slowest took."""
    table, wrong, cases, slowest, dearest = (
        Path(__file__).with_name("results") / "bad_params.csv",
        0,
        0,
        0.0,
        0.0,
    )
    with tempfile.TemporaryDirectory() as folder, table.open("w", encoding="utf-8") as stream:
        columns = ["kind", "notebook", "refused", "names_key", "message"]
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        for row, seconds, work in sweep(Path(folder)):
            writer.writerow(row)
            stream.flush()
            cases, slowest, dearest = cases + 1, max(slowest, seconds), max(dearest, work)
            if not (row["refused"] and row["names_key"]):
                wrong += 1
                print(f"{row['kind']}, {row['notebook']}: {row['message']}")
    print(f"{len(KINDS)} kinds, {cases} cases, {cases - wrong} refused by file and key")
    print(f"slowest: {slowest:.1f} s on the clock, {dearest:.1f} s of processor time")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
