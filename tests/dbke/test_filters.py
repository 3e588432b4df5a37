"""Filters over all dialogues: near-duplicates, and questions of evaluation sets."""

import pandas as pd
from tests.support.project import make_messages
from tests.support.toy_dbke import PREVENTION, PREVENTION_KEY

from clinical_camel import data, dbke
from clinical_camel.data import Dialogue, Question

LONG = Question(
    id="long",
    question="A 54-year-old man wakes at night with a hot swollen toe after a wedding feast and"
    " asks which drug keeps this from coming back. Which drug prevents further attacks?",
    options=["naproxen", "allopurinol"],
    answer=1,
)
NONE_REJECTED = pd.DataFrame(columns=["id", "source", "reason"])


def talk(name, *turns):
    return Dialogue(id=name, source="article", messages=make_messages(*turns))


PLAIN = talk("plain", "What helps gout?", PREVENTION_KEY)


def filter_exam(dialogues, question):
    return dbke.filter_dialogues(dialogues, NONE_REJECTED, 0.0, {"exam": [question]})


def test_a_dialogue_that_contains_a_question_of_an_evaluation_set_is_rejected():
    copy = talk("copy", data.format_question(LONG).upper(), "allopurinol.")
    accepted, rejected, counts = filter_exam([PLAIN, copy], LONG)
    assert accepted == [PLAIN]
    assert list(rejected["reason"]) == ['contains a question of exam (question and answer): "long"']
    assert counts["rejected"].sum() == 1


def test_a_light_edit_of_a_question_is_counted_and_accepted():
    dialogue = talk("a", "Which good drug prevents attacks of gout?", PREVENTION_KEY)
    accepted, rejected, counts = filter_exam([dialogue], PREVENTION)
    assert (len(accepted), len(rejected)) == (1, 0)
    row = counts.set_index("kind").loc["light edit", ["dialogues", "rejected"]]
    assert row.tolist() == [1, 0]


def test_of_near_duplicates_the_first_is_accepted_and_none_is_lost():
    words = [f"word{i}" for i in range(60)]
    first = talk("a", "Tell me.", " ".join(words))
    second = talk("b", "Tell me!", " ".join([*words, "more"]))
    earlier = pd.DataFrame([("z", "article", "empty turn")], columns=NONE_REJECTED.columns)
    accepted, rejected, _ = dbke.filter_dialogues([first, second, PLAIN], earlier, 0.9, {})
    assert accepted == [first, PLAIN]
    assert list(rejected["id"]) == ["z", "b"]
    assert rejected["reason"][1] == 'near-duplicate of an earlier dialogue: "a"'
    assert dbke.filter_dialogues([first, second], earlier, 0.0, {})[0] == [first, second]
