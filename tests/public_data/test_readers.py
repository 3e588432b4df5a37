"""Facts about the files in data/public; skipped if it is not filled."""

import collections
import json
import re

import pytest
from tests.support import public_data

from clinical_camel import data
from clinical_camel.core.paths import root
from clinical_camel.data import readers

PUBLIC = root() / "data" / "public"
pytestmark = pytest.mark.skipif(
    not PUBLIC.is_dir(), reason="data/public is not filled (docs/running.md, 'Real data')"
)

MEDQA, MEDMCQA, MMLU, PUBMEDQA, MCMLE = public_data.EXAMS
MEDQA_DEV, _, MMLU_DEV, PUBMED_TRAIN = public_data.TRAINING
LOADERS = (
    (data.load_questions, public_data.EXAMS),
    (data.load_training_questions, public_data.TRAINING),
    (data.load_articles, public_data.ARTICLES),
    (data.load_consultations, public_data.VISITS),
)


@pytest.mark.parametrize(
    ("load", "spec", "count"),
    [(load, spec, count) for load, specs in LOADERS for spec, count in specs.items()],
)
def test_rows_are_as_many_as_the_readme_states(load, spec, count):
    assert len(load(spec)) == count


@pytest.mark.parametrize("spec", public_data.EXAMS)
def test_an_exam_file_is_rejected_under_a_training_name(spec):
    path = spec.partition("@")[2]
    with pytest.raises(data.DataError, match="rows are of the split (test|validation)"):
        data.load_training_questions(f"medqa_us_train@{path}")


@pytest.mark.parametrize("spec", public_data.EXAMS)
def test_the_correct_answers_have_several_positions(spec):
    positions = collections.Counter(row.answer for row in data.load_questions(spec))
    assert max(positions.values()) < 0.6 * sum(positions.values())


def test_pubmedqa_labels_are_unbalanced():
    answers = collections.Counter(row.answer for row in data.load_training_questions(PUBMED_TRAIN))
    assert answers == {0: 276, 1: 169, 2: 55}  # yes, no, maybe


@pytest.mark.parametrize(("spec", "suspected"), [(MEDQA, 49), (MEDMCQA, 6), (MCMLE, 8), (MMLU, 0)])
def test_some_questions_refer_to_a_missing_image(spec, suspected):
    assert sum(row.image_suspected for row in data.load_questions(spec)) == suspected


def test_our_image_marks_agree_with_those_of_the_files():
    both = marked = ours = 0
    for spec in (MEDQA, MEDQA_DEV):
        for line in (root() / spec.partition("@")[2]).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            theirs = row.pop("image_suspected")
            own = readers.read_medqa(row).image_suspected
            both, marked, ours = both + (theirs and own), marked + theirs, ours + own
    assert (both, marked, ours) == (160, 162, 165)


def test_mmlu_has_six_subjects_and_five_examples_per_subject():
    subjects = collections.Counter(row.subset for row in data.load_questions(MMLU))
    assert sorted(subjects.values()) == [49, 66, 79, 86, 134, 138]
    examples = collections.Counter(row.subset for row in data.load_training_questions(MMLU_DEV))
    assert examples == dict.fromkeys(subjects, 5)


def test_mmlu_has_42_questions_of_the_shared_half_in_two_subjects():
    subjects = collections.defaultdict(set)
    for row in data.load_questions(MMLU):
        subjects[row.group].add(row.subset)
    shared = [pair for pair in subjects.values() if len(pair) > 1]
    assert shared == [{"clinical_knowledge", "college_medicine"}] * 42


def test_medquad_pages_have_all_answers_and_share_conditions():
    pages = data.load_articles(public_data.MEDQUAD)
    assert sum(len(page.sections) for page in pages) == 16407
    assert len({page.group for page in pages}) < len(pages)


def test_an_openstax_module_has_its_headings():
    modules = {module.id: module for module in data.load_articles(public_data.OPENSTAX)}
    headings = [section.heading for section in modules["m45986"].sections]
    assert headings[:2] == ["Introduction", "Organization"]
    assert headings[5:] == ["Development, growth and reproduction", "Chapter Review"]


def test_openstax_has_386_thousand_words_without_the_chapter_reviews():
    words = 0
    for module in data.load_articles(public_data.OPENSTAX):
        sections = [section for section in module.sections if section.heading != "Chapter Review"]
        words += sum(len(section.text.split()) for section in sections)
        words += sum(len(section.heading.split()) for section in sections[1:])  # lines of the text
    assert round(words, -3) == 386_000


def test_plos_articles_with_an_abstract_begin_with_it():
    firsts = [article.sections[0].heading for article in data.load_articles(public_data.PLOS)]
    assert firsts.count("Abstract") == 28


@pytest.mark.parametrize("spec", public_data.VISITS)
def test_speakers_are_doctor_patient_or_other(spec):
    speakers = {turn.speaker for visit in data.load_consultations(spec) for turn in visit.turns}
    assert {"doctor", "patient"} <= speakers <= {"doctor", "patient", "other"}


def test_aci_bench_has_three_parts():
    groups = collections.Counter(
        visit.group for visit in data.load_consultations(public_data.ACI_TEST)
    )
    assert set(groups) == {"virtassist", "virtscribe", "aci"}


def test_no_mts_training_dialogue_is_in_the_validation_or_test_set():
    training = {visit.group for visit in data.load_consultations(public_data.MTS_TRAIN)}
    held_out = data.load_consultations(public_data.MTS_VALID) + data.load_consultations(
        public_data.MTS_TEST
    )
    assert not training & {visit.group for visit in held_out}


def test_no_long_mts_training_note_is_in_the_test_set():
    def long_notes(spec):
        notes = (visit.note for visit in data.load_consultations(spec))
        return {" ".join(note.split()).lower() for note in notes if len(note.split()) > 15}

    assert not long_notes(public_data.MTS_TRAIN) & long_notes(public_data.MTS_TEST)


def test_mts_notes_begin_with_a_heading_in_words():
    for visit in data.load_consultations(public_data.MTS_VALID):
        assert re.match(r"[A-Z ]+:\n\S", visit.note), visit.id


def test_no_turn_starts_with_the_name_of_a_speaker():
    name = re.compile(r"\W*(doctor|patient|guest_\w+)(_\d)?[\]:]", re.I)
    for spec in (public_data.ACI_TEST, public_data.MTS_TRAIN, public_data.PRIMOCK):
        for visit in data.load_consultations(spec):
            assert [turn.text for turn in visit.turns if name.match(turn.text)] == []


def test_primock_has_no_transcriber_marks():
    texts = [
        turn.text for visit in data.load_consultations(public_data.PRIMOCK) for turn in visit.turns
    ]
    assert not [text for text in texts if re.search(r"<[A-Z_/]+>", text)]


def test_the_sharegpt_sample_has_one_two_or_three_exchanges():
    lengths = collections.Counter(
        len(row.messages) for row in data.load_dialogues(public_data.SHAREGPT)
    )
    assert lengths == {2: 167, 4: 166, 6: 167}


def test_describe_returns_the_sha256_of_the_manifest():
    facts = data.describe(MEDQA)
    assert facts["sha256"] == "075998b99ffbff5e113072b17768a9a61654d3317bbb4caf44222ec0cd01de4d"
