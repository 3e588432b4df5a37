"""Are the replies complete, and does a model reply to different prompts with the same text?"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from clinical_camel.eval_replies.cases import Case
from clinical_camel.eval_replies.segmentation import split_words
from clinical_camel.eval_replies.writing import KEYS, STATUSES

PLACE = ("task", "corpus", "model")
SAME_SHARE = 0.25  # of the different prompts: so many with one reply are a collapse
SAME_MINIMUM = 3  # prompts; two of a few are no pattern


def count_statuses(
    replies: pd.DataFrame, cases: Sequence[Case], chinese_words: str = "jieba"
) -> pd.DataFrame:
    """Return statuses and equal replies, a row per task, dataset and model.

    Columns: PLACE, replies, how many have each of STATUSES, then

        truncated       prompts without their oldest turns, which exceeded the context
        words           mean number of `split_words`, as ROUGE counts them
        distinct        different replies; those without words do not count
        prompts         different prompts
        same_reply      different prompts with the most frequent reply
        same_reference  different prompts with the most frequent reference
        frequent_reply  the most frequent reply; the first of several

    White space makes no difference. `replies`: rows of `write_replies` to `cases`.
    """
    of_case = {(case.task, case.corpus, case.id): case for case in cases}
    rows = []
    for key, group in replies.groupby([*PLACE], sort=False):
        own = [of_case[place] for place in group[[*KEYS]].itertuples(index=False, name=None)]
        prompts = [_freeze_prompt(case) for case in own]
        row = dict(zip(PLACE, key, strict=True)) | {"replies": len(group)}
        row |= {name: int((group["status"] == name).sum()) for name in STATUSES}
        row["truncated"] = int((group["dropped_turns"] > 0).sum())
        lengths = [len(split_words(text, "", chinese_words)) for text in group["reply"]]
        row["words"] = sum(lengths) / len(lengths)
        prompts_of = _group_prompts(group["reply"], prompts)
        references = _group_prompts([case.reference for case in own], prompts)
        frequent = max(prompts_of, key=lambda text: len(prompts_of[text]), default="")
        row |= {"distinct": len(prompts_of), "prompts": len(set(prompts))}
        row["same_reply"] = len(prompts_of.get(frequent, ()))
        row["same_reference"] = max(map(len, references.values()), default=0)
        rows.append(row | {"frequent_reply": frequent})
    return pd.DataFrame(rows)


def _freeze_prompt(case: Case) -> tuple:
    return tuple((message["role"], message["content"]) for message in case.messages)


def _group_prompts(texts: Iterable[str], prompts: Sequence[tuple]) -> dict[str, set]:
    """Return the different prompts of each text that has words."""
    prompts_of = defaultdict(set)
    for text, prompt in zip(texts, prompts, strict=True):
        if any(map(str.isalnum, text)):
            prompts_of[" ".join(text.split())].add(prompt)
    return prompts_of


def is_collapsed(row: Mapping) -> bool:
    """Return whether a model replies to many different prompts with one text.

    `row`: of `count_statuses`. One text has at least SAME_SHARE of the different prompts and at
    least SAME_MINIMUM, and more than any reference: where most references are equal, equal replies
    may be right.
    """
    enough = max(SAME_MINIMUM, SAME_SHARE * row["prompts"])
    return row["same_reply"] >= enough and row["same_reply"] > row["same_reference"]
