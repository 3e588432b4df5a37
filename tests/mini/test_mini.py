"""The embedded study's material: what it promises to hold, and a base that fits it."""

import csv
import itertools
import json
import os
import re
import subprocess
import sys
from collections import Counter
from importlib import resources
from pathlib import Path

import pytest
import yaml
from experiments import mini_effect

from clinical_camel import data, models, note_synthesis, sft_qlora
from clinical_camel.data import Dialogue
from clinical_camel.mini import build, material, primer

ROOT = Path(__file__).parents[2]
EXAMS = {"exam": "mini_exam", "dev": "mini_exam_dev", "train": "mini_exam_train"}


def load_exam(split):
    load = data.load_training_questions if split == "train" else data.load_questions
    return load(EXAMS[split])


def articles_of_both_halves():
    return data.load_articles("mini_articles") + data.load_articles("mini_articles_dev")


def grams(text, length=8):
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + length]) for i in range(len(words) - length + 1)}


def readings():
    with (resources.files("clinical_camel") / "mini" / "readings.csv").open() as file:
        return list(csv.DictReader(file))


def test_there_are_120_conditions_of_ten_specialties_with_six_facts_each():
    facts = material.read_facts()
    assert len(facts) >= 120
    assert len({fact.specialty for fact in facts}) >= 10
    for fact in facts:
        assert tuple(fact.values) == material.ATTRIBUTES
        assert all([*fact.values.values(), *fact.details.values()])


def test_every_fact_was_read_twice_and_the_readings_agreed():
    verdicts = {(r["condition"], r["attribute"]): r["verdict"] for r in readings()}
    for fact in material.read_facts():
        assert {verdicts[fact.condition, a] for a in material.ATTRIBUTES} == {"agree"}


def test_a_fact_is_the_one_that_was_read():
    read = {(r["condition"], r["attribute"]): r["value"] for r in readings()}
    for fact in material.read_facts():
        for attribute, value in fact.values.items():
            assert read[fact.condition, attribute] == value


def test_no_value_gives_the_name_of_its_condition_away():
    for fact in material.read_facts():
        name = {w for w in re.findall(r"\w+", fact.condition.lower()) if len(w) > 4}
        for value in fact.values.values():
            assert not (name - {"disease", "syndrome", "acute"}) & set(value.lower().split())


@pytest.mark.parametrize("split", EXAMS)
def test_each_fact_has_one_question_with_four_options(split):
    facts = {fact.condition: fact for fact in material.read_facts(split)}
    questions = load_exam(split)
    assert len(questions) == len(facts) * len(material.ATTRIBUTES) > 0
    for q in questions:
        assert q.options[q.answer] == facts[q.group].values[q.subset]
        assert len(set(q.options)) == 4


def test_exam_and_development_half_hold_200_questions_each():
    assert min(len(load_exam("exam")), len(load_exam("dev"))) >= 200


def test_the_articles_of_a_half_say_nothing_of_the_other_half():
    for name, splits in {"mini_articles": "exam", "mini_articles_dev": "dev"}.items():
        titles = {article.title for article in data.load_articles(name)}
        assert titles == {fact.condition for fact in material.read_facts(splits, "train")}


def test_no_condition_stands_in_two_splits():
    groups = [{q.group for q in load_exam(split)} for split in EXAMS]
    assert all(a.isdisjoint(b) for a, b in itertools.combinations(groups, 2))


@pytest.mark.parametrize("split", EXAMS)
def test_answer_positions_are_balanced(split):
    counts = Counter(q.answer for q in load_exam(split))
    assert max(counts.values()) - min(counts.values()) <= 1
    assert len(counts) == 4


def test_the_place_of_the_answer_cannot_be_told_from_the_one_before():
    answers = [q.answer for q in load_exam("exam")]
    steps = Counter((b - a) % 4 for a, b in itertools.pairwise(answers))
    assert max(steps.values()) < len(answers) / 2


@pytest.mark.parametrize("split", EXAMS)
def test_wrong_options_are_of_the_same_kind_and_none_is_also_right(split):
    facts = material.read_facts(split)
    kinds = {a: {f.values[a] for f in facts} for a in material.ATTRIBUTES}
    for q in load_exam(split):
        assert set(q.options) <= kinds[q.subset]
        wrong = [o for i, o in enumerate(q.options) if i != q.answer]
        assert not {(q.group, q.subset, o) for o in wrong} & material.read_also_right()


def test_exam_and_articles_share_no_run_of_eight_words():
    articles = set()
    for article in articles_of_both_halves():
        articles |= grams(data.article_text(article))
    for question in load_exam("exam") + load_exam("dev"):
        assert not grams(question.question) & articles
        assert max(len(option.split()) for option in question.options) < 8


def test_every_section_of_an_article_has_several_sentences():
    articles = articles_of_both_halves()
    assert all(len(a.sections) == 6 for a in articles)
    assert all(s.text.count(".") >= 2 for a in articles for s in a.sections)


def test_the_wording_of_articles_varies():
    first = {material.SECTIONS[a][1][0].split("{")[0] for a in material.ATTRIBUTES}
    texts = [data.article_text(a) for a in articles_of_both_halves()]
    shares = [sum(start in text for text in texts) / len(texts) for start in first if start]
    assert max(shares) < 0.5  # five wordings a section: no opening stands in half of them


def test_there_are_24_visits_of_15_to_40_turns():
    visits = data.load_consultations("mini_consultations")
    assert len(visits) >= 24
    assert all(15 <= len(visit.turns) <= 40 for visit in visits)
    assert len({len(visit.turns) for visit in visits}) > 5


def test_a_visit_and_its_note_fit_the_length_that_the_base_was_trained_on():
    tokenizer = models.load_tokenizer("mini")
    longest = max(length for length, _ in build.PHASES["copy"]["stages"].values())
    for visit in data.load_consultations("mini_consultations"):
        note = {"role": "assistant", "content": visit.note}
        messages = [*note_synthesis.build_messages(visit), note]
        row = Dialogue(id=visit.id, source="", messages=messages)
        encoded, lost = sft_qlora.encode_within(tokenizer, row, "assistant", longest)
        assert encoded
        assert lost == 0


def test_every_fact_of_a_note_was_said_in_the_visit():
    facts = {fact.condition: fact for fact in material.read_facts()}
    for visit in data.load_consultations("mini_consultations"):
        said = " ".join(turn.text for turn in visit.turns).lower()
        numbers = re.findall(r"\d+(?:\.\d)?", visit.note)
        assert numbers
        assert [n for n in numbers if n not in said] == []
        for attribute in ("presentation", "cause", "investigation", "treatment"):
            value = facts[visit.group].values[attribute]
            assert value in visit.note
            assert value.lower() in said
        assert list(note_synthesis.parse_note(visit.note)) == list(note_synthesis.SECTIONS)


def test_the_material_files_are_what_the_script_writes(tmp_path, monkeypatch):
    shipped = {file.name: file.read_bytes() for file in build.HERE.glob("*.jsonl")}
    monkeypatch.setattr(build, "HERE", tmp_path)
    build.write_material()
    assert {file.name: file.read_bytes() for file in tmp_path.glob("*.jsonl")} == shipped != {}


def test_the_base_was_built_from_the_recipe_and_primer_as_they_are_now():
    record = json.loads((build.HERE / "build.json").read_text())
    tokenizer = models.load_tokenizer("mini")
    assert record["ingredients"] == build.ingredients(tokenizer)
    assert record["weights_sha256"] == models.file_hash(build.HERE / "base")


def test_the_base_is_small_and_reads_4096_tokens():
    record = json.loads((build.HERE / "build.json").read_text())
    config = json.loads((build.HERE / "base" / "config.json").read_text())
    assert 1e6 <= record["parameters"] <= 3e6
    assert config["max_position_embeddings"] == 4096


def test_the_model_card_says_what_the_base_is_for():
    card = (build.HERE / "base" / "README.md").read_text()
    record = json.loads((build.HERE / "build.json").read_text())
    assert "not for use in care" in card
    assert f"{record['parameters']:,} parameters" in card


def test_the_tokenizer_is_the_same_under_two_hash_seeds():
    script = (
        "from clinical_camel.mini import build;"
        "t = build.build_tokenizer(build.tokenizer_texts());"
        "print(build.ingredients(t))"
    )
    found = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert found[0] == found[1] != ""
    record = json.loads((build.HERE / "build.json").read_text())
    assert found[0].strip() == str(record["ingredients"])


def test_no_condition_of_the_primer_bears_the_name_of_a_real_one():
    real = {fact.condition.lower() for fact in material.read_facts()}
    invented = {fact.condition.lower() for fact in primer.known_facts(build.SEED, 20_000)}
    assert real.isdisjoint(invented)


def test_the_primer_exam_is_about_conditions_that_the_base_has_read():
    known = primer.known_facts(build.SEED, build.PHASES["recall"]["primer"]["fixed"])
    asked = {q.group for q in data.load_questions("mini_exam_primer")}
    assert len(asked) == build.ASKED_AGAIN
    assert asked <= {fact.condition for fact in known}


def test_the_control_is_trained_on_as_many_tokens_as_the_study():
    def trained(study):
        asked = yaml.safe_load((ROOT / "params" / study / "02_sft_qlora.yaml").read_text())
        rows = {
            spec: written.get(spec) or data.load_training_rows(spec, share)
            for spec, share in asked["mixture"].items()
        }
        encoded = sft_qlora.encode_mixture(tokenizer, rows, asked["loss_on"], asked["max_length"])
        return encoded.counts["trained_tokens"].sum() * asked["num_epochs"]

    tokenizer = models.load_tokenizer("mini")
    written = mini_effect.write_dialogues(0, "mini_articles")
    assert trained("mini_camel_raw") == pytest.approx(trained("mini_camel"), rel=0.01)


def test_the_control_differs_from_the_study_in_its_texts_only():
    read = [
        yaml.safe_load((ROOT / "params" / study / "02_sft_qlora.yaml").read_text())
        for study in ("mini_camel", "mini_camel_raw")
    ]
    assert {key for key in read[0] if read[0][key] != read[1][key]} == {"study", "mixture"}


def test_the_difference_of_the_seeds_is_paired_by_condition():
    questions = data.load_questions("mini_exam")
    first = questions[0].group
    rows = [
        {
            "study": study,
            "seed": seed,
            "benchmark": "mini_exam",
            "protocol": "option_text",
            "correct": "".join("1" if right and q.group == first else "0" for q in questions),
        }
        for study, right in (("mini_camel", True), ("mini_camel_raw", False))
        for seed in (0, 1)
    ]
    found = mini_effect.differences(mini_effect.pd.DataFrame(rows))
    assert list(found["seed"]) == ["0", "1", "all"]
    assert set(found["conditions"]) == {52}
    assert found["difference"].tolist() == pytest.approx([1 / 52] * 3, abs=1e-4)
    assert (found["low"] == 0).all()  # one condition alone: a resample may miss it
