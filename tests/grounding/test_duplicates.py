"""Tests of grounding.duplicates."""

from clinical_camel import grounding

TEXT = "The doctor asked about the pain, and the patient said that it had begun two days before"


def test_a_duplicate_with_other_case_and_punctuation_is_found():
    texts = [TEXT, "Something else was said here entirely", TEXT.upper() + "!", TEXT + "?"]
    assert grounding.find_near_duplicates(texts) == {2: 0, 3: 0}


def test_a_text_that_shares_half_is_no_duplicate():
    half = " ".join(TEXT.split()[:10])
    other = f"{half} nothing of this kind had happened to her before"
    assert grounding.find_near_duplicates([TEXT, other]) == {}
    assert grounding.find_near_duplicates([TEXT, other], similarity=0.2) == {1: 0}
