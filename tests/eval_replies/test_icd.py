"""ICD-10-CM codes, groups, and tables of diagnoses."""

import csv
from pathlib import Path

import pytest
import simple_icd_10_cm

from clinical_camel.eval_replies import find_code, find_group, read_diagnoses
from clinical_camel.eval_replies.icd import find_by_description, normalise_name
from clinical_camel.mini import material


def test_the_shipped_table_has_every_disease_of_the_embedded_study():
    names = {diagnosis.name for diagnosis in read_diagnoses()}
    facts = Path(material.__file__).with_name("facts.csv")
    with facts.open(encoding="utf-8") as stream:
        assert names == {row["condition"] for row in csv.DictReader(stream)}


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("stable angina", "angina"),
        ("phenylketonuria", "phenylketonuria"),
        ("Goodpasture disease", "hypersensitivity angiitis"),
        ("shingles", "zoster"),
        ("nephroblastoma", "kidney"),
        ("lead poisoning", "lead"),
        ("giant cell arteritis", "giant cell arteritis"),
        ("systemic sclerosis", "systemic sclerosis"),
    ],
)
def test_the_code_of_a_shipped_name_describes_it(name, word):
    code = next(d.code for d in read_diagnoses() if d.name == name)
    assert word in simple_icd_10_cm.get_description(code).lower()


@pytest.mark.parametrize(
    ("code", "level", "group", "name"),
    [
        ("K25.9", "chapter", "K00-K95", "Diseases of the digestive system"),
        ("K25.9", "block", "K20-K31", "Diseases of esophagus, stomach and duodenum"),
        ("K25.9", "category", "K25", "Gastric ulcer"),
        ("N10", "chapter", "N00-N99", "Diseases of the genitourinary system"),
        ("N10", "category", "N10", "Acute pyelonephritis"),
        ("T40.2X1A", "category", "T40", None),
    ],
)
def test_a_code_belongs_to_its_chapter_block_and_category(code, level, group, name):
    result = find_group(code, level)
    assert result[0] == group
    assert name is None or result[1] == name


def test_every_shipped_code_has_a_group_of_each_level():
    for diagnosis in read_diagnoses():
        for level in ("chapter", "block", "category"):
            assert all(find_group(diagnosis.code, level))


@pytest.mark.parametrize(
    ("text", "code"),
    [("i20.9", "I20.9"), ("K259", "K25.9"), (" N10 ", "N10"), ("A00.95", "A00"), ("U99", ""),
     ("I00-I99", ""), ("12", ""), ("", "")],
)  # fmt: skip
def test_codes_are_read_with_and_without_dot_and_from_other_editions(text, code):
    assert find_code(text) == code


def test_descriptions_and_their_inclusion_terms_are_known():
    assert find_by_description("Acute pyelonephritis") == "N10"
    assert find_by_description("angina nos") == "I20.9"
    assert find_by_description("a pain in the neck") == ""


def test_spellings_and_apostrophes_are_equal():
    pairs = [("Haemophilia A", "hemophilia A"), ("Graves' disease", "Graves disease")]
    pairs += [("Wilms tumour", "Wilms’ tumor"), ("kala-azar", "Kala azar")]
    for one, two in pairs:
        assert normalise_name(one) == normalise_name(two)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,icd\ngout,M10.9\n", "names.csv: no column code; it needs name and code"),
        ("name,code\ngout,XYZ\n", "line 2: 'XYZ' is no ICD-10 code; write one such as I20.9"),
        ("name,code\ngout,M10.9\nGout,M10\n", "line 3: 'Gout' is in line 2 too"),
        ("name,code\n,M10.9\n", "line 2: a name is empty"),
        ("name,code,other_names\ngout,M10.9,podagra\npodagra,M10.0,\n", "'podagra' is in line 2"),
    ],
)
def test_a_wrong_table_is_rejected_by_line(project, text, message):
    project.file("data/names.csv", text)
    with pytest.raises(ValueError, match=message):
        read_diagnoses("data/names.csv")


def test_a_missing_table_is_an_error(project):
    with pytest.raises(ValueError, match=r"diagnosis_names: data/none\.csv: no such file"):
        read_diagnoses("data/none.csv")


def test_a_table_in_chinese_is_read(project):
    project.file("data/names.csv", "name;code;other_names\n痛风;M10.9;\n肺炎;J18.9;肺部感染\n")
    assert [d.code for d in read_diagnoses("data/names.csv")] == ["M10.9", "J18.9"]
