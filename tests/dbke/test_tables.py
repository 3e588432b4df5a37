"""Tables of notebook 01: counts by source and reason, rates with intervals."""

import pandas as pd
from tests.support.project import make_dialogue, make_messages
from tests.support.toy_dbke import QUESTION, ScriptedTeacher, plan_requests, synthesise

from clinical_camel import data, dbke
from clinical_camel.data import Dialogue


def test_the_summary_counts_by_source():
    requests = plan_requests([QUESTION])
    dialogues, rejected = synthesise(requests)
    table = dbke.tabulate_dialogues(dialogues)
    assert list(table["content_hash"]) == [data.content_hash(d) for d in dialogues]
    summary = dbke.summarise(table, rejected, requests)
    assert summary[["source", "requested", "accepted", "rejected"]].to_numpy().tolist() == [
        ["article", 2, 2, 0],
        ["exam", 1, 1, 0],
    ]


def test_a_run_without_accepted_dialogues_has_the_same_tables():
    requests = plan_requests(dialogues=1)
    dialogues, rejected = synthesise(requests, ScriptedTeacher("not json"))
    table = dbke.tabulate_dialogues(dialogues)
    assert list(table) == list(dbke.tabulate_dialogues([make_dialogue("x")]))
    assert dbke.summarise(table, rejected, requests)["rejected"].sum() == 1
    assert dbke.plot_lengths(table)


def test_the_figure_of_lengths_counts_each_source_and_shows_a_single_dialogue():
    requests = plan_requests([QUESTION])
    figure = dbke.plot_lengths(dbke.tabulate_dialogues(synthesise(requests)[0]))
    words = figure.axes[0]
    labels = [text.get_text() for text in words.get_legend().get_texts()]
    assert labels == ["article (n = 2)", "exam (n = 1)"]
    assert words.get_yscale() == "log"
    assert words.get_ylim()[0] < 1


def test_reasons_are_counted_without_the_sentences_that_they_quote():
    rows = [("a", "exam", 'not in it: "x"'), ("b", "exam", 'not in it: "y"'), ("c", "exam", "cut")]
    table = dbke.tabulate_reasons(pd.DataFrame(rows, columns=["id", "source", "reason"]))
    assert table.to_numpy().tolist() == [
        ["exam", "not in it", 2, 'not in it: "x"'],
        ["exam", "cut", 1, ""],
    ]


def test_the_rate_of_unsupported_sentences_has_its_interval():
    request = plan_requests(dialogues=1)[0]
    answer = "Gout hurts. In an attack, naproxen is a drug that helps. Cats have rashes. Any pain?"
    chat = Dialogue(id=request.id, source="article", messages=make_messages("Well?", answer))
    table = dbke.tabulate_support([chat], [request]).set_index("support")
    assert table.loc["verbatim", ["sentences", "unsupported"]].tolist() == [3, 2]
    assert table.loc["linked", ["sentences", "unsupported"]].tolist() == [3, 1]
    assert table.loc["linked", "low"] < 1 / 3 < table.loc["linked", "high"]
    assert set(table["replies"]) == {"accepted"}


def test_rejected_replies_count_in_the_rate_of_all_replies():
    request = plan_requests(dialogues=1)[0]
    accepted, rejected = (
        Dialogue(id=request.id, source="article", messages=make_messages("Well?", answer))
        for answer in ("Gout hurts.", "Cats have rashes. Gout hurts.")
    )
    table = dbke.tabulate_support([accepted], [request], [accepted, rejected])
    rows = table.set_index(["replies", "support"])[["dialogues", "sentences", "unsupported"]]
    assert rows.loc[("accepted", "linked")].tolist() == [1, 1, 0]
    assert rows.loc[("all", "linked")].tolist() == [2, 3, 1]
    assert rows.loc[("all", "verbatim")].tolist() == [2, 3, 1]
    same = dbke.tabulate_support([accepted], [request], [accepted])
    assert set(same["replies"]) == {"accepted"}  # none was rejected: the rows would be the same
