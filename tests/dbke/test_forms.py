"""The forms of step 01: the same content in each, and one difference."""

import itertools
import json
import random
from collections import Counter

import pytest
from tests.support.project import make_messages

from clinical_camel import data, dbke, grounding, models, score_checks, sft_qlora
from clinical_camel.core.paths import root
from clinical_camel.data import Article, Dialogue, Section
from clinical_camel.dbke import forms

GOUT = Article(
    id="gout",
    title="gout",
    licence="CC0",
    group="joints",
    sections=[
        Section(heading="Signs", text="It hurts. The toe swells."),
        Section(heading="Cause", text="Crystals cause it."),
        Section(heading="Drugs", text="Naproxen helps. Allopurinol prevents it."),
    ],
)
MUMPS = Article(id="mumps", title="mumps", sections=[Section(heading="", text="Cheeks swell.")])
ARTICLES = [GOUT, MUMPS]


def talk(name, *turns):
    return Dialogue(id=name, source="article", messages=make_messages(*turns))


FIRST = talk(
    *("gout/0", "Good morning, doctor. What hurts?", "It hurts. The toe swells."),
    *("Why?", "Crystals cause it.", "What helps?", "Naproxen helps."),
)
SECOND = talk(
    "gout/1", "What prevents it?", "Allopurinol prevents it.", "Where?", "The toe swells."
)
THIRD = talk("gout/3", "Why?", "Crystals cause it.", "Sure?", "Crystals cause it.")
LAST = talk("mumps/0", "And mumps?", "Cheeks swell.", "Really?", "Cheeks swell.")
TALKS = [FIRST, SECOND, THIRD, LAST]


def lay_out(form, dialogues=TALKS, seed=0):
    return dbke.lay_out(dialogues, ARTICLES, form, seed)


def list_turns(rows, start):
    return [m["content"] for row in rows for m in row.messages[start::2]]


def list_sentences(row):
    texts = (
        [section.text for section in row.sections]
        if isinstance(row, Article)
        else [m["content"] for m in row.messages[1::2]]
    )
    return [s for text in texts for s in grounding.split_sentences(text)]


def test_the_default_form_is_the_dialogues():
    assert dbke.Synthesis().form == "dialogue"
    assert lay_out("dialogue") == TALKS


def test_a_monologue_joins_the_answers_and_headings_adds_the_questions():
    monologue, headings = (lay_out(form)[0] for form in ("monologue", "headings"))
    assert data.format_article(monologue) == (
        "gout\n\nIt hurts. The toe swells. Crystals cause it. Naproxen helps."
    )
    assert data.format_article(headings) == (
        "gout\n\nGood morning, doctor. What hurts?\nIt hurts. The toe swells.\n\n"
        "Why?\nCrystals cause it.\n\nWhat helps?\nNaproxen helps."
    )
    assert (monologue.id, monologue.group, monologue.licence) == ("gout/0", "gout", "CC0")


def test_raw_reads_the_article_in_its_order_again_and_again():
    """FIRST has four sentences, SECOND two, THIRD two; the article has five."""
    pages = [data.format_article(row) for row in lay_out("raw")]
    assert pages == [
        "gout\n\nSigns\nIt hurts. The toe swells.\n\nCause\nCrystals cause it.\n\n"
        "Drugs\nNaproxen helps.",
        "gout\n\nDrugs\nAllopurinol prevents it.\n\nSigns\nIt hurts.",
        "gout\n\nSigns\nThe toe swells.\n\nCause\nCrystals cause it.",
        "mumps\n\nCheeks swell.\n\nCheeks swell.",  # two passes over one sentence
    ]


def test_raw_is_as_long_as_answers_that_a_language_model_worded():
    """Article: 2, 3, 3, 2 and 3 words. Eight words are three sentences; then seven of six."""
    reworded = [
        talk("gout/0", "Why?", "In gout there are crystals in a joint."),
        talk("gout/1", "And then?", "That makes the joint painful, usually."),
    ]
    first, second = lay_out("raw", reworded)
    assert list_sentences(first) == ["It hurts.", "The toe swells.", "Crystals cause it."]
    assert list_sentences(second) == ["Naproxen helps.", "Allopurinol prevents it."]
    short = talk("gout/0", "Why?", "Crystals.")  # fewer words than half a sentence: one sentence
    assert list_sentences(lay_out("raw", [short])[0]) == ["It hurts."]
    copied = talk("gout/0", "Why?", "Crystals cause it. The text does not say.")
    assert list_sentences(lay_out("raw", [copied])[0]) == GOUT_START


def test_raw_reads_only_what_the_dialogues_copy():
    """Of a long article, dialogues copy a part."""
    rows = lay_out("raw", [THIRD, SECOND])
    assert [list_sentences(row) for row in rows] == [
        ["The toe swells.", "Crystals cause it."],
        ["Allopurinol prevents it.", "The toe swells."],
    ]


GOUT_START = ["It hurts.", "The toe swells.", "Crystals cause it."]


def test_qa_has_a_row_for_each_exchange():
    rows = lay_out("qa")
    assert [row.id for row in rows[:4]] == ["gout/0-0", "gout/0-1", "gout/0-2", "gout/1-0"]
    assert all(len(row.messages) == 2 for row in rows)
    assert [m for row in rows for m in row.messages] == [m for d in TALKS for m in d.messages]


def test_qa_shuffled_keeps_pairs_lengths_and_greetings():
    rows = lay_out("qa_shuffled")
    assert [len(row.messages) for row in rows] == [len(d.messages) for d in TALKS]
    pairs = [list(zip(*[iter(texts)] * 2, strict=True)) for texts in map(list_texts, rows)]
    assert rows[0].messages[0]["content"].startswith("Good morning, doctor. ")
    assert Counter(itertools.chain(*pairs)) == Counter(
        pair for d in TALKS for pair in zip(*[iter(list_texts(d))] * 2, strict=True)
    )
    assert rows != lay_out("qa_shuffled", seed=1)
    assert rows == lay_out("qa_shuffled")


def list_texts(row):
    return [m["content"].removeprefix("Good morning, doctor. ") for m in row.messages]


def test_placebo_moves_every_question_to_another_section():
    (row,) = lay_out("placebo", [FIRST])
    assert list_turns([row], 1) == list_turns([FIRST], 1)
    assert sorted(list_texts(row)) == sorted(list_texts(FIRST))
    for before, after in zip(list_texts(FIRST)[::2], list_texts(row)[::2], strict=True):
        assert before != after
    assert row.messages[0]["content"].startswith("Good morning, doctor. ")


def test_placebo_counts_questions_that_cannot_move():
    """THIRD and LAST have one section each, the mumps article has no headings."""
    assert lay_out("placebo", [THIRD, LAST]) == [THIRD, LAST]
    assert dbke.count_unmoved(TALKS, ARTICLES, 0) == (4, 9)
    settings = dbke.Synthesis(form="placebo")
    text = dbke.describe_form(settings, TALKS, ARTICLES)
    assert text.startswith("Saved in the form placebo (the dialogues, each question moved")
    assert "4 rows. 4 of 9 questions still ask about the section of their answer." in text
    assert "questions still" not in dbke.describe_form(dbke.Synthesis(), TALKS, ARTICLES)


def test_the_section_of_a_reworded_answer_is_the_one_that_shares_most_words():
    source = forms._Source(GOUT, [])
    assert source.find_heading("Patients are helped by naproxen, or by allopurinol.") == "Drugs"
    assert source.find_heading("The toe swells. Crystals cause it.") == "Signs"
    assert source.find_heading("No.") == "Signs"


@pytest.mark.parametrize("labels", ["abc", "aab b", "abcabc", "aabb", "aaabbc", "ab"])
def test_a_derangement_has_no_fixed_point(labels):
    for seed in range(50):
        order = forms.derange(labels, random.Random(seed))
        assert sorted(order) == list(range(len(labels)))
        assert all(labels[k] != label for k, label in zip(order, labels, strict=True))


@pytest.mark.parametrize(("labels", "fixed"), [("a", 1), ("aa", 2), ("aab", 1), ("aaaab", 3)])
def test_as_few_as_possible_stay_if_one_label_has_more_than_half(labels, fixed):
    order = forms.derange(labels, random.Random(0))
    assert sum(labels[k] == label for k, label in zip(order, labels, strict=True)) == fixed


def test_halves_alternate_within_an_article_and_between_articles():
    rows = lay_out("half_raw_half_dialogue")
    assert [type(row) for row in rows] == [Article, Dialogue, Article, Dialogue]
    assert rows[1] == SECOND
    assert list_sentences(rows[2]) == ["Allopurinol prevents it.", "It hurts."]  # after rows[0]
    kinds = [type(row).__name__[0] for row in lay_out("half_raw_half_qa")]
    assert "".join(kinds) == "ADDADD"  # a dialogue of two exchanges is two rows


def test_a_dialogue_without_its_article_is_an_error():
    with pytest.raises(ValueError, match="no article has the id 'gout'"):
        dbke.lay_out(TALKS, [MUMPS], "raw", 0)


@pytest.fixture(scope="module")
def embedded():
    """Dialogues and articles of the embedded study, made by its step 01."""
    articles = data.load_articles("mini_articles")[:20]
    requests = dbke.plan_requests(articles, [], 5, 6, 0)
    teacher = dbke.ExtractiveTeacher()
    return [dbke.parse_reply(teacher.write_reply(r), r)[0] for r in requests], articles


def test_forms_of_the_embedded_study_differ_in_one_thing(embedded):
    dialogues, articles = embedded
    table = dbke.tabulate_forms(dialogues, articles, 0).set_index("form")
    assert list(table.index) == list(dbke.FORMS)
    base = table.loc["dialogue"]
    for form in ("placebo", "qa_shuffled"):
        assert table.loc[form].tolist() == base.tolist()
    for form in ("monologue", "headings", "qa"):
        assert table.loc[form, "assistant_words"] == base["assistant_words"]
    assert table.loc["raw", "rows"] == base["rows"] == 100
    assert table.loc["raw", "sentences"] == base["sentences"]
    assert table.loc["qa", "words"] == base["words"]
    for form in dbke.FORMS:
        assert abs(table.loc[form, "assistant_words"] / base["assistant_words"] - 1) < 0.02
        assert abs(table.loc[form, "sentences"] / base["sentences"] - 1) < 0.01
    unmoved, total = dbke.count_unmoved(dialogues, articles, 0)
    assert unmoved < 0.01 * total


def test_a_monologue_of_the_embedded_study_has_the_sentences_of_its_dialogue(embedded):
    dialogues, articles = embedded
    rows = dbke.lay_out(dialogues, articles, "monologue", 0)
    for dialogue, row in zip(dialogues, rows, strict=True):
        answers = " ".join(list_turns([dialogue], 1))
        assert row.sections == [Section(heading="", text=answers)]
    raw = dbke.lay_out(dialogues, articles, "raw", 0)
    assert [len(list_sentences(row)) for row in raw] == [len(list_sentences(d)) for d in dialogues]
    own = {s for a in articles for s in list_sentences(a)}
    assert own.issuperset(s for row in raw for s in list_sentences(row))


@pytest.mark.parametrize("form", list(dbke.FORMS))
def test_rows_of_every_form_have_own_ids_and_the_same_content_under_any_seed(form, embedded):
    dialogues, articles = embedded
    first, again, other = (dbke.lay_out(dialogues, articles, form, s) for s in (0, 0, 1))
    assert first == again
    assert len({row.id for row in first}) == len(first)
    seeded = form in ("placebo", "qa_shuffled")
    assert (first != other) == seeded


@pytest.mark.parametrize("form", list(dbke.FORMS))
def test_rows_of_every_form_pass_through_the_later_steps(form, embedded, project):
    """Loaded by path in steps 02 and 09, tokenized, grouped by article, searched for questions."""
    dialogues, articles = embedded
    rows = dbke.lay_out(dialogues, articles, form, 0)
    spec = "my/dialogues.jsonl"
    project.file(spec, "".join(json.dumps(data.to_dict(row)) + "\n" for row in rows))
    assert sft_qlora.Recipe.check({"mixture": {spec: 1.0}}) == []
    assert score_checks.ScoreChecks.check({"training_sources": [spec]}) == []
    assert data.load_training_rows(spec) == data.load_sources(spec) == rows
    tokenized = sft_qlora.tokenize_mixture(
        models.load_tokenizer("mini"), {spec: rows}, "assistant", 1024
    )
    assert tokenized.counts["rows"].tolist() == [len(tokenized.rows)] == [len(rows)]
    names = {"qa_shuffled"} if form == "qa_shuffled" else {article.id for article in articles}
    assert set(tokenized.groups) == names
    assert set(map(data.content_hash, data.load_training_rows(spec, 0.5))) <= set(
        map(data.content_hash, rows)
    )
    exam = {"mini_exam": data.load_questions("mini_exam")}
    overlaps = data.search_sources(exam, {spec: rows})
    assert overlaps["kind"].isin(["light edit"]).all()
    counts = data.count_exposures(rows, exam["mini_exam"])
    taught = [
        n for q, n in zip(exam["mini_exam"], counts.values(), strict=True) if q.group in TAUGHT
    ]
    assert min(taught) >= 3


TAUGHT = {article.title for article in data.load_articles("mini_articles")[:20]}


def test_recorded_dialogues_of_a_language_model_have_every_form():
    """Their answers are no sentences of the article: raw matches the words."""
    dialogues = data.load_dialogues("outputs/mini_camel_llm/01_dbke/dialogues.jsonl")
    table = dbke.tabulate_forms(dialogues, data.load_articles("mini_articles"), 0)
    words = table.set_index("form")["assistant_words"]
    assert abs(words["raw"] / words["dialogue"] - 1) < 0.02
    same = ["placebo", "monologue", "headings", "qa", "qa_shuffled"]
    assert words[same].eq(words["dialogue"]).all()


def test_no_dialogues_make_an_empty_table():
    assert dbke.tabulate_forms([], ARTICLES, 0).empty
    assert all(dbke.lay_out([], ARTICLES, form, 0) == [] for form in dbke.FORMS)


def test_the_table_of_forms_in_the_documentation_is_current():
    lines = (root() / "docs/teachers.md").read_text(encoding="utf-8").splitlines()
    start, end = (lines.index(f"<!-- forms:{name} -->") for name in ("begin", "end"))
    cells = [line.strip("| ").split(" | ") for line in lines[start + 3 : end]]
    assert {name.strip("`"): text for name, text, *_ in cells} == dbke.FORMS
