"""Tables for reading."""

import pytest

from clinical_camel import eval_replies
from clinical_camel.eval_replies.diagnoses import MIN_RECORDS
from clinical_camel.eval_replies.overlap import METRICS
from clinical_camel.eval_replies.settings import BASELINES, CONSULTATION
from clinical_camel.eval_replies.tables import list_clear_changes
from clinical_camel.teachers.judge import OverlapJudge

MODELS = ["base", "sft", "ppo"]  # of the embedded study
WIDEST = 7  # columns of a table on a page


@pytest.fixture
def replies(cases, make_replies):
    texts = {"base": "Is it gout?", "sft": "It is {name}.", "ppo": "It is gout."}
    return make_replies(cases, **texts, **dict.fromkeys(BASELINES, "Not at all."))


@pytest.fixture
def scored(replies, table):
    return eval_replies.score_replies(replies, table)


@pytest.fixture
def diagnoses(replies, table):
    return eval_replies.score_diagnoses(replies, table, eval_replies.read_diagnoses(), "chapter")


@pytest.fixture
def comparison(scored):
    return eval_replies.compare_overlap(scored, "sft", MODELS, 0)


@pytest.fixture
def wins(cases, replies):
    pairs = eval_replies.make_pairs(replies, cases, "sft", MODELS)
    return eval_replies.summarise_wins(eval_replies.compare_pairs(pairs, OverlapJudge(0.02)), 0)


def test_tables_of_the_embedded_study_have_at_most_seven_columns(
    cases, replies, scored, diagnoses, comparison, wins
):
    compared = eval_replies.compare_diagnoses(diagnoses, "sft", MODELS, 0)
    tables = [
        eval_replies.format_statuses(eval_replies.count_statuses(replies, cases)),
        eval_replies.format_overlap(eval_replies.summarise_overlap(scored, 0)),
        eval_replies.format_comparison(comparison, "sft", MODELS),
        eval_replies.format_diagnoses(eval_replies.summarise_diagnoses(diagnoses)),
        eval_replies.format_diagnosis_comparison(compared, "sft", MODELS),
        eval_replies.format_wins(wins),
    ]
    assert all(len(table) for table in tables)
    assert max(len(table.columns) for table in tables) <= WIDEST


def test_statuses_name_what_is_not_complete(cases, replies):
    replies.loc[0, "status"] = "looping"
    shown = eval_replies.format_statuses(eval_replies.count_statuses(replies, cases))
    row = shown.set_index(["dataset", "model"]).loc[f"toy ({CONSULTATION})", "base"]
    assert (row["complete"], row["other statuses"]) == ("1 of 2", "1 looping")
    assert (row["truncated"], row["distinct"], row["words"]) == (0, 1, "3.0")


def test_overlap_has_a_row_per_score_and_a_column_per_writer(scored):
    shown = eval_replies.format_overlap(eval_replies.summarise_overlap(scored, 0))
    assert list(shown.columns) == ["dataset", "score", *MODELS, *BASELINES]
    assert len(shown) == 3 * len(METRICS)
    assert shown.loc[0, "dataset"] == "toy (n = 2)"


def test_comparisons_are_later_minus_earlier_model(comparison):
    changed = comparison.assign(difference=0.25, low=0.125, high=0.5)  # model minus sft
    shown = eval_replies.format_comparison(changed, "sft", MODELS)
    assert set(shown["comparison"]) == {"sft \u2212 base", "ppo \u2212 sft"}
    signs = shown.groupby("comparison")["ROUGE-L"].unique().map(list).to_dict()
    assert signs == {
        "sft \u2212 base": ["-0.250 [-0.500, -0.125]"],
        "ppo \u2212 sft": ["0.250 [0.125, 0.500]"],
    }


def test_clear_changes_of_the_other_scores_are_listed_with_their_sign(comparison):
    changed = comparison.assign(difference=0.0, p_holm=1.0)
    place = changed["task"].eq(CONSULTATION)
    for model, metric, difference, p in [
        ("ppo", "gleu", -0.061, 0.01),
        ("ppo", "bleu1", 0.02, 0.01),
        ("ppo", "bleu2", -0.5, 0.05),  # not clear
        ("ppo", "rougeL", -0.5, 0.01),  # the primary score has a column
        ("base", "rouge1", -0.1, 0.01),  # of base minus sft
    ]:
        row = place & changed["model"].eq(model) & changed["metric"].eq(metric)
        changed.loc[row, ["difference", "p_holm"]] = difference, p
    shown = eval_replies.format_comparison(changed, "sft", MODELS)
    rows = shown.groupby("comparison").first()[["clearly higher", "clearly lower"]]
    assert rows.loc["ppo \u2212 sft"].tolist() == ["BLEU-1 (+0.020)", "GLEU (-0.061)"]
    assert rows.loc["sft \u2212 base"].tolist() == ["ROUGE-1 (+0.100)", ""]
    own = changed[place & changed["model"].eq("ppo")]
    assert list_clear_changes(own, "sft", MODELS)[1] == ["ROUGE-L (-0.500)", "GLEU (-0.061)"]


def test_diagnoses_have_every_outcome_and_no_small_group(diagnoses):
    summary = eval_replies.summarise_diagnoses(diagnoses)
    shown = eval_replies.format_diagnoses(summary)
    assert set(shown["ICD group"]) == {"all records"}
    row = shown.set_index("model").loc["ppo"]
    assert (row["n"], row["correct, %"][:4], row["other outcomes"]) == (2, "50 [", "1 wrong")
    many = eval_replies.format_diagnoses(summary.assign(n=MIN_RECORDS))
    assert many["ICD group"].str.startswith("M00-M99 Diseases of").sum() == 5


def test_a_small_p_of_a_win_rate_is_no_number(wins):
    shown = eval_replies.format_wins(wins.assign(p_holm=0.0008))
    assert set(shown["p (Holm)"]) == {"< 0.001"}
    assert set(shown["wins / ties / losses"].str.count(" / ")) == {2}


def test_without_results_every_table_is_empty(comparison, diagnoses, wins):
    summary = eval_replies.summarise_diagnoses(diagnoses)
    compared = eval_replies.compare_diagnoses(diagnoses, "sft", ["sft"], 0)
    assert eval_replies.format_comparison(comparison.iloc[:0], "sft", ["sft"]).empty
    assert eval_replies.format_diagnoses(summary.iloc[:0]).empty
    assert eval_replies.format_diagnosis_comparison(compared, "sft", ["sft"]).empty
    assert eval_replies.format_wins(wins.iloc[:0]).empty
