"""Which sentence stands in its source: word for word, or in other words with every fact."""

from types import SimpleNamespace

import pytest

from clinical_camel import grounding


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two.", ["One.", "Two."]),
        ("Give 0.5 mg. Stop!", ["Give 0.5 mg.", "Stop!"]),
        ("See Fig. 2 for it. Then go.", ["See Fig. 2 for it.", "Then go."]),
        ("Smith et al. Found it.", ["Smith et al. Found it."]),
        ('He said "stop." Then he left.', ['He said "stop."', "Then he left."]),
        ("", []),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text, sentences):
    assert grounding.split_sentences(text) == sentences


def test_a_note_is_split_without_headings_bullets_and_numbers():
    note = "PLAN\n\n1. Rest. Fluids.\n• Neck: Supple.\nFollow up:\nIn 2 weeks.\n3."
    assert grounding.split_note(note) == ["Rest.", "Fluids.", "Supple.", "In 2 weeks."]


def test_a_sentence_with_one_other_number_is_not_supported():
    assert grounding.unsupported("Give 50 mg.", "Give 5 mg. Give 50 ml.") == ["Give 50 mg."]


def test_line_breaks_in_the_source_do_not_hide_a_sentence():
    assert grounding.unsupported("Gout is painful.", "Gout is\n  painful.") == []


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("In gout, allopurinol lowers urate.", True),
        ("In gout, naproxen helps.", False),  # another answer
        ("The drug allopurinol is white.", False),  # nothing of the question
    ],
)
def test_a_passage_supports_an_answer_with_its_words_and_a_word_of_the_question(sentence, found):
    claims = [("What lowers urate in gout?", "allopurinol")]
    assert grounding.best_support(claims, [sentence]) == [sentence if found else ""]


# ------------------------------------------------------------------------------------- link


def visit(*lines: str) -> list[SimpleNamespace]:
    """Turns from lines "D: ..." and "P: ..."."""
    return [SimpleNamespace(speaker=line[0], text=line[3:]) for line in lines]


VISIT = visit(
    "D: Roger is a 62-year-old male. What brings you in, sir?",
    "P: I've had this cough for about two weeks, and my left knee hurts.",
    "D: Any fever, or trouble breathing?",
    "P: No, nothing like that.",
    "D: Are you taking anything?",
    "P: Just Tylenol, and the lisinopril.",
    "D: Okay, lisinopril, twenty M G once a day. Start naproxen 500 milligrams twice a day.",
    "P: Thank you.",
)  # fmt: skip


def verdict(sentence: str, source=VISIT) -> str:
    return grounding.link([sentence], source)[0].verdict


@pytest.mark.parametrize(
    "sentence",
    [
        "Cough x 2 weeks.",
        "Cough for 14 days.",
        "The patient denies fever and dyspnea.",
        "Left knee pain.",
        "Takes lisinopril 20 mg daily and acetaminophen.",
        "We will start naproxen 500 mg b.i.d.",
        "Roger is a 62-year-old male.",
        "He has a cough.",
    ],
)
def test_what_was_said_may_be_written_in_other_words(sentence):
    assert grounding.link([sentence], VISIT)[0].reasons == ()


@pytest.mark.parametrize(
    ("sentence", "expected", "kind"),
    [
        ("Cough x 3 weeks.", "contradicted", "duration"),
        ("Cough x 2 months.", "contradicted", "duration"),
        ("We will start naproxen 250 mg b.i.d.", "contradicted", "dose"),
        ("We will start naproxen 500 mcg b.i.d.", "contradicted", "dose"),
        ("We will start naproxen 500 mg daily.", "contradicted", "frequency"),
        ("Takes lisinopril 500 mg.", "contradicted", "dose"),  # the dose of the other drug
        ("Right knee pain.", "contradicted", "side"),
        ("The patient reports fever.", "contradicted", "symptom"),
        ("The patient denies cough.", "contradicted", "negation"),
        ("He has a cough and a rash.", "unsupported", "symptom"),
        ("He has a cough and takes warfarin.", "unsupported", "medication"),
        ("Roger is a 26-year-old male.", "contradicted", "age"),
        ("She has a cough.", "contradicted", "sex"),
        ("Edith is a 62-year-old male.", "unsupported", "name"),
    ],
)
def test_one_changed_fact_is_seen_and_named(sentence, expected, kind):
    link = grounding.link([sentence], VISIT)[0]
    assert link.verdict == expected
    assert any(reason.startswith(f"{kind}: ") for reason in link.reasons), link.reasons


def test_a_sentence_about_nothing_that_was_said_has_too_few_words():
    link = grounding.link(["A violin teacher recommended the mountains."], VISIT)[0]
    assert (link.verdict, link.sources) == ("unsupported", ())
    assert link.reasons[0].startswith("words: 0%")


def test_the_sources_are_the_sentences_that_hold_the_words_best_first():
    source = ["Rest helps.", "Naproxen relieves acute gout.", "Drink enough water."]
    sentence = "Naproxen relieves acute gout, and so does enough water."
    assert grounding.link([sentence], source)[0].sources == (1, 2)


@pytest.mark.parametrize(
    ("reply", "kind"), [("No.", ["negation"]), ("Yeah, a bit.", ["symptom"]), ("Since May.", [])]
)
def test_a_question_says_what_its_answer_says(reply, kind):
    asked = visit("D: Any fever?", f"P: {reply}")
    assert [fact.kind for fact in grounding.facts(asked) if fact.value == "fever"] == kind


def test_a_question_without_its_mark_is_a_question_too():
    asked = visit("D: okay and do you have any fever", "P: no")
    assert verdict("Denies fever.", asked) == "supported"
    assert verdict("Fever.", asked) == "contradicted"


def test_an_answer_belongs_to_the_last_question_only():
    asked = visit("D: Any fever? Okay. Any cough?", "P: No.")
    assert [(f.kind, f.value) for f in grounding.facts(asked)] == [("negation", "cough")]


def test_what_is_warned_of_is_neither_there_nor_denied():
    source = visit("D: Come back if you get a fever.")
    assert verdict("Come back if fever.", source) == verdict("No fever.", source) == "supported"


def test_a_number_elsewhere_in_an_article_does_not_support_another_sentence():
    source = ["The disease is caused by changes in any of 5 genes.", "It affects 10 people a year."]
    changed = "The disease is caused by changes in any of 10 genes."
    assert verdict(source[0], source) == "supported"
    assert verdict(changed, source) == "contradicted"


def test_a_verb_is_negated_by_one_word():
    source = ["Naproxen is recommended in acute gout of the foot."]
    assert verdict("In acute gout, naproxen is recommended.", source) == "supported"
    assert verdict("In acute gout, naproxen is not recommended.", source) == "contradicted"


def test_both_sides_are_left_and_right():
    source = ["The left knee is swollen.", "The right knee is swollen.", "The left hip is sore."]
    assert verdict("Both knees are swollen.", source) == "supported"
    assert verdict("The bilateral hip is sore.", source) == "contradicted"


def test_a_drug_that_no_list_has_is_known_by_its_dose():
    assert verdict("Start zorbexin 20 mg.", ["Start lisinopril 20 mg."]) == "unsupported"


# ------------------------------------------------------------------------------ the judge


def test_a_judge_decides_in_place_of_the_words():
    asked = []

    def judge(premise: str, hypothesis: str) -> str:
        asked.append((premise, hypothesis))
        return "unsupported"

    source = ["Rest helps.", "Gout hurts."]
    links = grounding.link(["Gout hurts."], source, judge)
    assert asked == [("Gout hurts.", "Gout hurts.")]
    assert (links[0].verdict, links[0].reasons) == ("unsupported", ("judge",))


def test_a_judge_is_not_asked_about_a_wrong_fact():
    def judge(premise: str, hypothesis: str) -> str:
        raise AssertionError("asked")

    assert grounding.link(["Give 50 mg."], ["Give 5 mg."], judge)[0].verdict != "supported"


def test_a_judge_with_another_answer_is_refused():
    with pytest.raises(ValueError, match="judge: 'maybe' is not one of supported"):
        grounding.link(["Gout hurts."], ["Gout hurts."], lambda premise, hypothesis: "maybe")


# ------------------------------------------------------------------------- facts and kept


def said(text: str) -> list[tuple[str, str]]:
    return [(fact.kind, fact.value) for fact in grounding.facts(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("twenty M G", ("dose", "20 mg")),
        ("0.5 g", ("dose", "500 mg")),
        ("every six hours", ("frequency", "4/day")),
        ("b.i.d.", ("frequency", "2/day")),
        ("x6/day", ("frequency", "6/day")),
        ("3/7 hx", ("duration", "3 day")),
        ("a couple of weeks", ("duration", "2 week")),
        ("one hundred and one", ("number", "101")),
        ("1,200", ("number", "1200")),
        ("30 percent", ("number", "30%")),
        ("43 y/o", ("age", "43 year")),
        ("threw up", ("symptom", "vomiting")),
        ("no chest pains", ("negation", "chest pain")),
        ("on Lasix", ("medication", "furosemide")),
        ("trouble seeing", ("symptom", "trouble seeing")),
        ("left hip", ("side", "left")),
    ],
)
def test_spoken_and_written_facts_have_one_form(text, expected):
    assert expected in said(text)


@pytest.mark.parametrize("text", ["all right, okay", "he left", "Everything is right."])
def test_a_word_for_a_side_is_none_by_itself(text):
    assert [kind for kind, _ in said(text) if kind == "side"] == []


def test_a_negation_ends_where_its_list_does():
    assert said("Denies fever, cough or nausea and reports headache.") == [
        ("negation", "fever"),
        ("negation", "cough"),
        ("negation", "nausea"),
        ("symptom", "headache"),
    ]


def test_a_fact_knows_its_turn():
    where = {fact.value: fact.where for fact in grounding.facts(VISIT)}
    assert (where["2 week"], where["500 mg"]) == (1, 6)


def test_what_a_note_leaves_out_is_not_kept():
    facts = grounding.facts(VISIT)
    note = ["Cough x 2 weeks, left knee pain.", "No fever.", "Naproxen 500 mg twice daily."]
    lost = {
        f.value for f, there in zip(facts, grounding.kept(facts, note), strict=True) if not there
    }
    assert {"lisinopril", "acetaminophen", "20 mg", "dyspnea", "62 year"} <= lost
    assert not {"naproxen", "500 mg", "2/day", "cough", "fever", "left", "2 week"} & lost


def test_a_fact_turned_round_is_not_kept():
    facts = grounding.facts("No fever. Left knee.")
    assert grounding.kept(facts, ["Fever. Right knee."]) == [False, False]


# ----------------------------------------------------------------- copies and languages

TEXT = "The doctor asked about the pain, and the patient said that it had begun two days before"


def test_a_copy_with_other_case_and_marks_is_found_under_its_first():
    texts = [TEXT, "Something else was said here entirely", TEXT.upper() + "!", TEXT + "?"]
    assert grounding.near_duplicates(texts) == {2: 0, 3: 0}


def test_a_text_that_shares_half_is_no_copy():
    half = " ".join(TEXT.split()[:10])
    other = f"{half} nothing of this kind had happened to her before"
    assert grounding.near_duplicates([TEXT, other]) == {}
    assert grounding.near_duplicates([TEXT, other], similarity=0.2) == {1: 0}


@pytest.mark.parametrize("similarity", [0, 1.1])
def test_a_similarity_that_is_no_share_is_refused(similarity):
    with pytest.raises(ValueError, match="similarity is above 0"):
        grounding.near_duplicates([TEXT], similarity)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (TEXT, "en"),
        ("Le patient a mal à la gorge depuis trois jours et il tousse.", "fr"),
        ("患者发热三天，咳嗽，伴有头痛。", "zh"),
        ("120/80, 37.5", ""),
    ],
)
def test_the_language_of_a_text(text, code):
    assert grounding.language(text) == code


# ------------------------------------------------------------------------ what it must bear


@pytest.mark.parametrize("text", ["", " ", "...", "?!", "120/80", "\x00<script>", "no " * 20_000])
def test_hostile_text_is_read_in_time(text):
    assert len(grounding.link([text, "Gout hurts."], visit(f"D: {text}", f"P: {text}"))) == 2
