"""What a run of step 01 gave: sentences for the notebook, and whether enough dialogues came out."""

from collections.abc import Sequence

import pandas as pd

from clinical_camel import stats
from clinical_camel.data import Dialogue
from clinical_camel.dbke.checks import NO_PASSAGE, strip_quote
from clinical_camel.dbke.requests import Request
from clinical_camel.dbke.settings import SUPPORT
from clinical_camel.teachers.teacher import Teacher

MOST_UNANSWERED = 0.01  # share of dialogues without a reply; above it, the step is incomplete
NO_REPLY = "no reply after "
LOST = (NO_REPLY, "refused: ")
COPIES = (
    "Without inventing anything? This teacher only copies sentences, so it cannot invent. The run "
    "tests the checks; it does not show whether a language model would invent something."
)
RETRY = "python -m clinical_camel run {study} 01 --retry-failed"


def check_yield(
    dialogues: Sequence[Dialogue],
    rejected: pd.DataFrame,
    requests: Sequence[Request],
    min_acceptance_rate: float = 0.5,
) -> list[str]:
    """Return why the step is not complete; [] if enough dialogues were accepted.

    Of each source, a share of at least `min_acceptance_rate` of the requested dialogues must be
    accepted; questions without a supporting passage do not count as requested. Without a single
    dialogue, step 02 cannot train: that is complete only if the rate is 0, when the yield is the
    result. At most one in a hundred may have got no reply: such a dialogue is not decided, and the
    next run of an incomplete step requests it again.
    """
    if not dialogues and min_acceptance_rate:
        reason = f"no dialogue was accepted, of {len(requests)} requested"
        return [f"{reason}{_explain(rejected)}"]
    problems = []
    unanswered = rejected["reason"].str.startswith(NO_REPLY).sum()
    if unanswered > MOST_UNANSWERED * len(requests):
        problems.append(
            f"{unanswered} of {len(requests)} dialogues got no reply from the teacher; run this "
            "again to request them"
        )
    without_text = set(rejected.loc[rejected["reason"].eq(NO_PASSAGE), "id"])
    for source in dict.fromkeys(request.source for request in requests):
        possible = sum(r.source == source and r.id not in without_text for r in requests)
        accepted = sum(dialogue.source == source for dialogue in dialogues)
        if accepted < min_acceptance_rate * possible:
            reasons = rejected[rejected["source"].eq(source) & rejected["reason"].ne(NO_PASSAGE)]
            problems.append(
                f"only {accepted} of {possible} dialogues (source: {source}) were accepted"
                f"{_explain(reasons)}"
            )
    return problems


def _explain(rejected: pd.DataFrame) -> str:
    if rejected.empty:
        return ""
    counts = rejected["reason"].map(strip_quote).value_counts()
    return f"; the most frequent reason ({counts.iloc[0]} of {len(rejected)}): {counts.index[0]}"


def describe_dialogues(
    teacher: Teacher,
    summary: pd.DataFrame,
    rejected: pd.DataFrame,
    support: pd.DataFrame,
    planted: pd.DataFrame,
) -> list[str]:
    """Return what the tables show, one statement per item (Markdown).

    `summary`, `support` and `planted` are the tables of `tables.summarise`,
    `tables.tabulate_support` and `planted.tabulate_planted`.
    """
    requested, accepted = summary["requested"].sum(), summary["accepted"].sum()
    if not accepted:
        return [f"No dialogue was accepted, of {requested:,} requested{_explain(rejected)}."]
    texts = [f"**{accepted:,} of {requested:,} requested dialogues passed all checks**"]
    none = ": none was rejected."
    if teacher.prompted:
        low, high = stats.wilson_interval(int(accepted), int(requested))
        texts[0] += f": {accepted / requested:.1%}, 95 % interval [{low:.1%}, {high:.1%}]"
        none = "; none was rejected."
    texts[0] += f"{_explain(rejected)}." if len(rejected) else none
    if writer := teacher.describe().get("written_by"):
        texts.append(f"Recorded replies are the teacher. They were written by: {writer}.")
    for row in summary[summary["accepted"] > 0].itertuples():
        kind = {"article": "An article dialogue", "exam": "A dialogue on an exam question"}
        texts.append(
            f"{kind[row.source]} has {row.mean_exchanges:.1f} exchanges on average, with"
            f" {row.mean_assistant_words:.0f} words of the assistant."
        )
    texts += _describe_support(support)
    if not teacher.prompted:
        texts.append(COPIES)
    if len(planted):
        texts.append(_describe_planted(planted))
    return texts


def _describe_support(support: pd.DataFrame) -> list[str]:
    by_replies = {
        replies: rows.groupby("support", sort=False)[["unsupported", "sentences"]].sum()
        for replies, rows in support.groupby("replies", sort=False)
    }
    totals = by_replies.get("accepted")
    if totals is None or not totals["sentences"].iloc[0]:
        return []
    sentences, unsupported = totals["sentences"].iloc[0], totals["unsupported"]
    every = _describe_all_replies(by_replies["all"]) if "all" in by_replies else []
    if unsupported["verbatim"]:
        first = f"{unsupported['verbatim']:,} do not appear in their source word for word"
        return [
            f"Of {sentences:,} checked assistant sentences of accepted dialogues, {first}, and "
            f"{unsupported['linked']:,} are not supported by their source according to the "
            "`linked` check.",
            *every,
        ]
    texts = [
        f"All {sentences:,} checked assistant sentences appear in their source word for word. (The "
        "correct option of an exam question is not checked.)"
    ]
    if unsupported["linked"]:
        texts.append(
            f"The `linked` check flags {unsupported['linked']:,} of these copied sentences: false"
            " alarms."
        )
    return texts + every


def _describe_all_replies(totals: pd.DataFrame) -> list[str]:
    """Return the rates of unsupported sentences over all replies, by both definitions."""
    rates = {}
    for name, row in totals.iterrows():
        low, high = stats.wilson_interval(int(row["unsupported"]), int(row["sentences"]))
        share = row["unsupported"] / row["sentences"]
        rates[name] = f"{row['unsupported']:,} ({share:.1%} [{low:.1%}, {high:.1%}])"
    return [
        f"**Of {totals['sentences'].iloc[0]:,} checked sentences in all replies, accepted or "
        f"rejected, {rates['linked']} are not supported by their source** according to the "
        f"`linked` check; {rates['verbatim']} do not appear in it word for word. The first count "
        "includes false alarms of the check, the second every reworded sentence."
    ]


def _describe_planted(planted: pd.DataFrame) -> str:
    parts = []
    for name in SUPPORT:
        caught = planted[name].ne("")
        missed = ", ".join(planted.loc[~caught, "error"])
        parts.append(
            f"the `{name}` check rejects {caught.sum()} of {len(planted)}"
            + (f" (it accepts: {missed})" if missed else "")
        )
    return (
        f"Planted errors, one of each kind: {', '.join(parts)}. Any changed sentence fails the "
        "`verbatim` check. For `linked`, these are examples, not a rate; "
        "`benchmarks/results/grounding.csv` has the rates."
    )


def describe_similar(similar: pd.DataFrame) -> list[str]:
    """Return how many exam questions resemble a dialogue: the counts of `filter_dialogues`."""
    parts = [
        f"{row.questions:,} of {row.n:,} questions of `{row.benchmark}` ({row.kind} in "
        f"{row.dialogues:,} dialogues, {row.rejected:,} of them rejected)"
        for row in similar[similar["questions"] > 0].itertuples()
    ]
    if not parts:
        return ["No question of an evaluation set resembles a dialogue."] if len(similar) else []
    return [f"Questions that resemble a part of a dialogue: {'; '.join(parts)}."]


def describe_lost(rejected: pd.DataFrame, study: str) -> list[str]:
    """Return how many dialogues the teacher did not decide, and how to request them again."""
    lost = int(rejected["reason"].str.startswith(LOST).sum())
    if not lost:
        return []
    command = RETRY.format(study=study)
    return [f"{lost:,} dialogues got no reply. To request them again: `{command}`"]
