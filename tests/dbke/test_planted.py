"""Errors that are planted into accepted dialogues: each is refused with its reason."""

from tests.support.toy_dbke import plan_requests, write_json

from clinical_camel import dbke
from clinical_camel.data import Article, Section
from clinical_camel.dbke import planted, replies

TEXT = "Naproxen 500 mg twice daily helps gout. Allopurinol is not given in an attack."
ARTICLE = Article(
    id="gout", title="gout", licence="CC0", sections=[Section(heading="Treatment", text=TEXT)]
)


def test_numbers_negations_and_drugs_are_changed():
    changes = dict(planted.plant_errors("Give 5 mg and no more."))
    assert changes["changed number"] == "Give 50 mg and no more."
    assert changes["removed negation"] == "Give 5 mg and more."
    assert changes["invented drug"].endswith(planted.INVENTED)
    assert dict(planted.plant_errors("Gout is common."))["added negation"] == "Gout is not common."
    assert "changed number" not in dict(planted.plant_errors("The C282Y variant causes it."))
    assert dict(planted.plant_errors("Take 0 mg."))["changed number"] == "Take 10 mg."


def test_every_planted_error_is_refused_with_its_reason():
    requests = {r.id: r for r in dbke.plan_requests([ARTICLE], [], 1, 2, 0)}
    first, second = TEXT.split(". ")
    turns = ("What helps gout?", f"{first}.", "And allopurinol?", second)
    dialogue, reason = replies.parse_reply(write_json(*turns), next(iter(requests.values())))
    assert reason == ""
    settings = dbke.Synthesis(language="", min_exchanges=1)
    table = dbke.tabulate_planted([dialogue], requests, settings).set_index("error")
    assert set(table.index) == {"changed number", "removed negation", "invented drug"}
    assert table["verbatim"].str.startswith("an assistant sentence is not in the source").all()
    assert "5000 mg" in table.loc["changed number", "changed"]
    assert table.loc["changed number", "linked"].endswith("(dose)")  # the sentence is in `changed`


def test_without_an_accepted_article_dialogue_the_table_is_empty():
    requests = {r.id: r for r in plan_requests()}
    table = dbke.tabulate_planted([], requests, dbke.Synthesis())
    assert list(table.columns) == planted.COLUMNS
    assert len(table) == 0
