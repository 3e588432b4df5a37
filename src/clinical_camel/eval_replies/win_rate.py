"""Pairwise comparison of the answers of two models: verdicts, win rates with intervals."""

from collections.abc import Mapping, Sequence

import pandas as pd

from clinical_camel import stats
from clinical_camel.eval_replies.cases import Case
from clinical_camel.eval_replies.settings import QUESTION
from clinical_camel.eval_replies.wording import UNIT
from clinical_camel.teachers.comparisons import Comparison, Judge

MODEL, BASELINE, TIE = SIDES = ("model", "baseline", "tie")
VALUES = {MODEL: 1.0, TIE: 0.5, BASELINE: 0.0}
_SIDE_OF = {"first": MODEL, "second": BASELINE, "tie": TIE, "": ""}
PAIR_KEYS = [*UNIT, "id", "model"]
COLUMNS = (*PAIR_KEYS, "group", "judge", "winner", "decided_by", "orders_disagree")
COLUMNS += ("preferred_position", "reason")
POSITIONS = {("first", "second"): "first", ("second", "first"): "second"}  # by winner in each order


def make_pairs(
    replies: pd.DataFrame, cases: Sequence[Case], baseline: str, models: Sequence[str]
) -> pd.DataFrame:
    """Return one row per question and model other than the baseline, with both replies.

    Columns: UNIT, id, model, group, messages, question, reference, reply, baseline_reply.
    """
    texts = {
        (row.corpus, row.id, row.model): row.reply
        for row in replies[replies["task"] == QUESTION].itertuples()
    }
    rows = []
    for model in (name for name in models if name != baseline):
        for case in (case for case in cases if case.task == QUESTION):
            row = {name: getattr(case, name) for name in (*UNIT, "id", "group", "messages")}
            row |= {"model": model, "question": case.question, "reference": case.reference}
            row["reply"] = texts[case.corpus, case.id, model]
            rows.append(row | {"baseline_reply": texts[case.corpus, case.id, baseline]})
    columns = [*PAIR_KEYS, "group", "messages", "question", "reference", "reply", "baseline_reply"]
    return pd.DataFrame(rows, columns=columns)


def compare_pairs(pairs: pd.DataFrame, judge: Judge) -> pd.DataFrame:
    """Return the verdict on each pair: COLUMNS.

    `winner`: one of SIDES, or "" if the judge failed; `reason` then says why. `decided_by`:
    "judge", "rule" if the judge is one, or, without a question to it, "equal replies" (a tie) or
    "empty reply" (it loses). Filled sheets have "sheet" (see `preference_sheet`).
    `orders_disagree`: the judge preferred another reply when the two were shown in the other
    order, which is a tie. `preferred_position`: "first" or "second" if it preferred the reply that
    was shown there in both orders, else "".
    """
    rows, open_places = [], []
    for row in pairs.to_dict("records"):
        place = {name: row[name] for name in (*PAIR_KEYS, "group")} | {"judge": judge.name}
        place |= {"orders_disagree": False, "preferred_position": "", "reason": ""}
        place |= {"winner": "", "decided_by": "rule" if judge.is_rule else "judge"}
        decided = _decide_without_judge(row)
        rows.append(place | decided)
        if not decided:
            open_places.append(rows[-1])
    verdicts = judge.compare(list_comparisons(pairs))
    for place, verdict in zip(open_places, verdicts, strict=True):
        place["winner"] = _SIDE_OF[verdict.winner]
        place["orders_disagree"] = bool(verdict.winner) and not verdict.orders_agree
        place["preferred_position"] = POSITIONS.get(verdict.orders, "")
        place["reason"] = verdict.failure or verdict.reason
    return pd.DataFrame(rows, columns=COLUMNS)


def list_comparisons(pairs: pd.DataFrame) -> list[Comparison]:
    """Return the comparisons that a judge gets: pairs of different replies that are not empty."""
    rows = pairs.to_dict("records")
    return [_make_comparison(row) for row in rows if not _decide_without_judge(row)]


def count_positions(verdicts: pd.DataFrame) -> dict[str, int]:
    """Return how often the judge's verdicts depend on the order of the two replies.

    Of the pairs that the judge saw: n, no_verdict, orders_disagree, prefers_shown_first and
    prefers_shown_second (in both orders). A difference between the last two is position bias; the
    others of those that disagree are a tie in one order. All are 0 for a rule, which has no order.
    """
    seen = verdicts[verdicts["decided_by"] == "judge"]
    counts = {"n": len(seen), "no_verdict": int(seen["winner"].eq("").sum())}
    counts["orders_disagree"] = int(seen["orders_disagree"].sum())
    places = {f"prefers_shown_{name}": name for name in POSITIONS.values()}
    return counts | {
        name: int(seen["preferred_position"].eq(place).sum()) for name, place in places.items()
    }


def _decide_without_judge(row: Mapping) -> dict[str, str]:
    reply, other = (" ".join(row[name].split()) for name in ("reply", "baseline_reply"))
    if reply == other:
        return {"winner": TIE, "decided_by": "equal replies"}
    if not reply or not other:
        return {"winner": MODEL if reply else BASELINE, "decided_by": "empty reply"}
    return {}


def _make_comparison(row: Mapping) -> Comparison:
    return Comparison(
        id="/".join([row["model"], row["corpus"], row["id"]]),
        messages=row["messages"],
        first=row["reply"],
        second=row["baseline_reply"],
        reference=row["reference"],
    )


def summarise_wins(verdicts: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return the win rate of each model against the baseline, by dataset, part and judge.

    Columns: UNIT, model, judge, n (pairs), wins, ties, losses, no_verdict, orders_disagree (of the
    ties), win_rate (a tie counts half; pairs without a verdict do not count), low, high (95 %,
    clustered by group), win_rate_without_ties, p (permutation of groups: both equally good),
    p_holm (over all rows).
    """
    rows = []
    for key, group in verdicts.groupby([*UNIT, "model", "judge"], sort=False):
        row = dict(zip((*UNIT, "model", "judge"), key, strict=True)) | {"n": len(group)}
        counts = group["winner"].value_counts()
        row |= {"wins": counts.get(MODEL, 0), "ties": counts.get(TIE, 0)}
        row |= {"losses": counts.get(BASELINE, 0), "no_verdict": counts.get("", 0)}
        row["orders_disagree"] = int(group["orders_disagree"].sum())
        decided = row["wins"] + row["losses"]
        rates = _estimate_rate(group[group["winner"] != ""], seed)
        row |= rates | {"win_rate_without_ties": row["wins"] / decided if decided else float("nan")}
        rows.append(row)
    columns = [*UNIT, "model", "judge", "n", "wins", "ties", "losses", "no_verdict"]
    columns += ["orders_disagree", "win_rate", "low", "high", "win_rate_without_ties", "p"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(p_holm=stats.adjust_holm(table["p"].astype(float)))


def _estimate_rate(decided: pd.DataFrame, seed: int) -> dict[str, float]:
    if decided.empty:
        return {"win_rate": float("nan"), "low": 0.0, "high": 1.0, "p": 1.0}
    values, clusters = decided["winner"].map(VALUES).to_numpy(), decided["group"].to_numpy()
    low, high = stats.clustered_interval(values, clusters)
    p = stats.paired_permutation(values, 1 - values, clusters, seed)
    return {"win_rate": float(values.mean()), "low": low, "high": high, "p": p}
