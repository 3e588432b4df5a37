"""Cases from dialogues and consultations."""

import json
from collections import Counter

import pytest

from clinical_camel import eval_replies
from clinical_camel.data import Consultation, Dialogue, Turn, from_dict
from clinical_camel.eval_replies import EvalReplies
from clinical_camel.eval_replies.cases import is_doctor, to_messages
from clinical_camel.eval_replies.parts import HELD_OUT, IN_TRAINING, NEW
from clinical_camel.eval_replies.settings import CONSULTATION, DIAGNOSIS, QUESTION
from clinical_camel.reward_and_rl.material import tabulate_prompts
from clinical_camel.reward_and_rl.shapes import make_prompts

ONE_MODEL = {"adapters": {"base": ""}, "baseline": "base", "trained_on": [], "rl_prompts": ""}


def make_line(name, *texts):
    roles = ("user", "assistant")
    messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)]
    return json.dumps({"id": name, "source": "toy", "messages": messages})


def load(project, lines, **values):
    project.file("data/toy.jsonl", "\n".join(lines) + "\n")
    empty = {"consultations": [], "records": [], "questions": []}
    settings = EvalReplies(**ONE_MODEL | empty | {"consultations": ["data/toy.jsonl"]} | values)
    return eval_replies.load_cases(settings)


def test_the_embedded_material_has_cases_of_all_three_tasks():
    cases = eval_replies.load_cases(EvalReplies(**ONE_MODEL, case_limit=3))
    assert Counter(case.task for case in cases) == {CONSULTATION: 3, DIAGNOSIS: 3, QUESTION: 3}
    assert all(case.messages[-1]["role"] == "user" and case.reference for case in cases)
    assert {case.part for case in cases} == {"all"}


def test_every_reply_of_a_conversation_is_a_case_with_the_turns_before_it(project):
    line = make_line("a", "My toe hurts.", "Since when?", "Monday.", "It is gout.")
    last = load(project, [line], reply_turns="last")
    assert [(c.id, len(c.messages), c.reference) for c in last] == [("a", 3, "It is gout.")]
    every = load(project, [line], reply_turns="all")
    assert [(c.id, c.question, c.reference) for c in every] == [
        ("a#1", "My toe hurts.", "Since when?"),
        ("a#3", "Monday.", "It is gout."),
    ]
    assert {case.group for case in every} == {"a"}


def test_questions_on_one_subject_and_equal_prompts_are_one_group(project):
    lines = [make_line(f"gout/{i}", f"Question {i}?", "Answer.") for i in range(2)]
    lines += [make_line(f"answer-{i}", "The same?", f"Answer {i}.") for i in range(2)]
    cases = load(project, lines, consultations=[], questions=["data/toy.jsonl"])
    groups = {case.id: case.group for case in cases}
    assert groups["gout/0"] == groups["gout/1"] == "gout"
    assert groups["answer-0"] == groups["answer-1"]
    assert len(set(groups.values())) == 2


def test_groups_that_share_a_prompt_become_one_with_all_their_cases(project):
    """gout - asthma - scabies are one chain, whatever the order; eczema is another group."""
    shared = ["Is it bad?", "No."], ["Will it pass?", "Yes."]
    lines = [
        make_line("gout/1", "Gout?", "Yes."),
        make_line("eczema/1", "Eczema?", "Yes."),
        make_line("scabies/1", *shared[1]),
        make_line("gout/2", *shared[0]),
        make_line("asthma/1", *shared[0]),
        make_line("asthma/2", *shared[1]),
        make_line("scabies/2", "Scabies?", "Yes."),
    ]
    for rows in (lines, lines[::-1]):
        cases = load(project, rows, consultations=[], questions=["data/toy.jsonl"])
        groups = {case.id: case.group for case in cases}
        united = {groups[name] for name in groups if not name.startswith("eczema")}
        assert len(united) == 1
        assert groups["eczema/1"] not in united


def test_speakers_become_roles_and_a_greeting_is_left_out():
    turns = ["doctor: Hello.", "patient: It hurts.", "nurse: He fell.", "doctor: Where?"]
    turns += ["doctor: Here?", "patient: Yes."]
    rows = [Turn(speaker=s, text=t) for s, t in (turn.split(": ") for turn in turns)]
    assert to_messages(Consultation(id="v", turns=rows)) == [
        {"role": "user", "content": "It hurts.\nNurse: He fell."},
        {"role": "assistant", "content": "Where?\nHere?"},
        {"role": "user", "content": "Yes."},
    ]


def test_a_question_of_a_training_set_is_marked_whatever_its_punctuation(project):
    project.file("data/train.jsonl", make_line("t", "what causes  gout", "Uric acid.") + "\n")
    lines = [make_line("a", "What causes gout?", "Acid."), make_line("b", "What is it?", "Gout.")]
    cases = load(project, lines, trained_on=["data/train.jsonl"])
    assert [case.part for case in cases] == [IN_TRAINING, NEW]


@pytest.mark.parametrize(
    ("turns", "part"),
    [
        (["My toe hurts.", "Since when?", "And after that?", "Rest."], IN_TRAINING),
        (["my toe hurts", "Where?", "And after that", "Rest."], IN_TRAINING),
        (["My eye hurts.", "Since when?", "And after that?", "Rest."], NEW),
        (["And after that?", "Rest."], NEW),
        (["My toe hurts.", "Since when?"], IN_TRAINING),
    ],
)
def test_all_user_turns_decide_whether_a_case_was_in_training(project, turns, part):
    training = make_line("t", "My toe hurts.", "Since when?", "And after that?", "Rest.")
    project.file("data/train.jsonl", training + "\n")
    (case,) = load(project, [make_line("a", *turns)], trained_on=["data/train.jsonl"])
    assert case.part == part


def test_a_question_on_a_held_out_subject_is_apart_from_those_that_rl_trained_on(project):
    """SFT trained on all but new/1; prompts of step 07 are not about eczema."""
    ids = ["gout/1", "gout/2", "scabies/1", "eczema/1"]
    lines = [make_line(id_, f"Question {id_}?", "Yes.") for id_ in ids]
    project.file("data/train.jsonl", "\n".join(lines) + "\n")
    prompts = make_prompts([from_dict(Dialogue, json.loads(line)) for line in lines[1:3]])
    table = tabulate_prompts(prompts[:1], prompts[1:])
    project.file("data/prompts.csv", table.to_csv(index=False))
    settings = {"trained_on": ["data/train.jsonl"], "rl_prompts": "data/prompts.csv"}
    cases = load(project, [*lines, make_line("new/1", "Why?", "Yes.")], **settings)
    parts = {case.id: case.part for case in cases}
    trained = dict.fromkeys(["gout/1", "gout/2", "eczema/1"], IN_TRAINING)
    assert parts == {**trained, "scabies/1": HELD_OUT, "new/1": NEW}


def test_two_datasets_of_one_label_cannot_have_one_id(make_case, monkeypatch):
    from clinical_camel.eval_replies.cases import _require_distinct

    with pytest.raises(ValueError, match=r"question: two conversations of toy have the id 'gout"):
        _require_distinct([make_case(), make_case()])


@pytest.mark.parametrize(
    ("speaker", "expected"),
    [
        *(
            (name, True)
            for name in ("doctor", "DOCTOR", "Doctor_2", "Dr.Smith", "Dr. van der Berg")
        ),
        *((name, True) for name in ("Clinician", "Holt, Anna (GP)", "Mr Lane (surgeon)", "医生")),
        *((name, False) for name in ("patient", "other", "Nurse", "Anna Holt", "Daughter", "Drew")),
        *((name, False) for name in ("Mother (of the doctor)", "Patient (GP referral)")),
    ],
)
def test_a_doctor_is_known_by_the_first_word_or_that_in_brackets(speaker, expected):
    assert is_doctor(speaker) == expected


def load_visits(project, *transcripts, **values):
    rows = [{"id": f"v{i}", "transcript": text} for i, text in enumerate(transcripts, 1)]
    project.file("data/visits.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    line = make_line("a", "Hi.", "Hello.")
    return load(project, [line], consultations=["transcripts@data/visits.jsonl"], **values)


@pytest.mark.parametrize("name", ["Dr. Smith", "GP", "Doctor (Anna)", "Anna (doctor)", "D"])
def test_the_doctor_of_a_user_s_own_visit_may_have_a_name(name, project):
    (case,) = load_visits(project, f"{name}: Hello.\nPatient: My toe hurts.\n{name}: It is gout.")
    assert (case.question, case.reference) == ("My toe hurts.", "It is gout.")


def test_a_visit_without_a_doctor_is_an_error_and_one_without_a_reply_is_counted(project):
    visit = "Doctor: Any fever?\nPatient: No.\nDoctor: Rest."
    problem = (
        "transcripts@data/visits.jsonl: v2: none of the speakers is a doctor: Anna, Ben; write"
    )
    with pytest.raises(ValueError, match=problem):
        load_visits(project, visit, "Anna: Any fever?\nBen: No.")
    short = "Doctor: Any fever?\nPatient: No."
    with pytest.warns(UserWarning, match="1 of 2 consultations have no reply .* first v2"):
        assert [case.id for case in load_visits(project, visit, short)] == ["v1"]
    with pytest.raises(ValueError, match="1 of 1 consultations have no reply of a doctor"):
        load_visits(project, short)
