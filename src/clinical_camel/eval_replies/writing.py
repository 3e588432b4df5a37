"""Write the replies: models in batches, baselines without a model, replies of other systems."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd

from clinical_camel import grounding, models
from clinical_camel.core.paths import root
from clinical_camel.data import Message
from clinical_camel.eval_replies.cases import Case
from clinical_camel.eval_replies.other_systems import read_replies
from clinical_camel.eval_replies.settings import BASELINES, EvalReplies
from clinical_camel.eval_replies.typical import find_typical_replies
from clinical_camel.models import LLM

STATUSES = (
    "ok",
    "unfinished",  # stopped at max_new_tokens
    "looping",  # repeats itself
    "empty",  # no words
    "too long",  # no prompt was sent: the last user turn does not fit into the context
)
KEYS = ("task", "corpus", "id")
COLUMNS = (*KEYS, "group", "part", "model", "status", "dropped_turns", "reply")


def write_replies(
    llms: Mapping[str, LLM], cases: Sequence[Case], settings: EvalReplies, *, journal
) -> pd.DataFrame:
    """Return the reply of each model to each case: COLUMNS, models in their order.

    If a conversation does not fit into the context with the reply, its oldest exchanges are
    dropped; `dropped_turns` counts these turns. Each reply is saved to `journal` at once; replies
    in the journal are not generated again. A sample depends on the seed and the prompt alone.
    """
    rows = []
    for name, llm in llms.items():
        prompts = [fit_prompt(llm, case.messages, settings.max_new_tokens) for case in cases]
        sent = {
            make_key(name, case): prompt
            for case, (prompt, _) in zip(cases, prompts, strict=True)
            if prompt
        }
        bar = {"description": f"replies of {name}", "unit": "reply"}
        models.generate_to_journal(llm, sent, settings, journal, **bar)
        for case, (prompt, dropped) in zip(cases, prompts, strict=True):
            output = journal.done[make_key(name, case)] if prompt else None
            text = output["text"] if output else ""
            status = classify_reply(text, output["ended"]) if output else "too long"
            rows.append(_make_row(case, name, status, text, dropped))
    return pd.DataFrame(rows, columns=COLUMNS)


def make_key(model: str, case: Case) -> str:
    """Return the id of a reply in the journal."""
    return f"{model}/{case.task}/{case.corpus}/{case.id}"


def make_journal_key(llms: Mapping[str, LLM], cases: Sequence[Case], settings: EvalReplies) -> dict:
    """Return everything that determines the outputs of `write_replies`."""
    names = ("max_new_tokens", "temperature", "top_p", "top_k", "repetition_penalty", "seed")
    return {
        "models": {name: llm.source for name, llm in llms.items()},
        "decoding": {name: getattr(settings, name) for name in names},
        "cases": [[case.task, case.corpus, case.id, case.messages] for case in cases],
    }


def fit_prompt(llm: LLM, messages: Sequence[Message], max_new_tokens: int) -> tuple[str, int]:
    """Return the prompt and the number of turns dropped from it; "" if no prompt fits.

    A system message stays. The last user turn is never shortened: a question without its beginning
    is another question.
    """
    system = [m for m in messages[:1] if m["role"] == "system"]
    turns = list(messages[len(system) :])
    for dropped in range(0, len(turns), 2):
        prompt = models.render_chat(llm.tokenizer, [*system, *turns[dropped:]])
        if len(models.tokenize_text(llm.tokenizer, prompt)) + max_new_tokens <= llm.max_length:
            return prompt, dropped
    return "", len(turns)


def classify_reply(text: str, ended: bool) -> str:
    """Return one of STATUSES; a loop that fills `max_new_tokens` is "looping".

    >>> classify_reply("It is gout.", True), classify_reply("gout " * 9, False)
    ('ok', 'looping')
    """
    if not any(map(str.isalnum, text)):
        return "empty"
    if grounding.is_looping(text):
        return "looping"
    return "ok" if ended else "unfinished"


def _make_row(case: Case, model: str, status: str, reply: str, dropped: int = 0) -> dict:
    place = {name: getattr(case, name) for name in (*KEYS, "group", "part")}
    return {
        **place,
        "model": model,
        "status": status,
        "dropped_turns": dropped,
        "reply": reply,
    }


def load_other_replies(cases: Sequence[Case], files: Mapping[str, str]) -> pd.DataFrame:
    """Return the replies of other systems (name: file) as rows of `write_replies`.

    Raises ValueError as `read_replies`.
    """
    rows = []
    for name, file in files.items():
        replies = read_replies(root() / file, cases)
        rows += [
            _make_row(case, name, classify_reply(text, True), text)
            for case, text in zip(cases, replies, strict=True)
        ]
    return pd.DataFrame(rows, columns=COLUMNS)


def write_baselines(cases: Sequence[Case]) -> pd.DataFrame:
    """Return two replies per case that need no model, as rows of `write_replies`.

    `typical reply`: the reference most similar to all others of the dataset, of another group.
    `copied question`: the last user turn.
    """
    replies = [find_typical_replies(cases), [case.question for case in cases]]
    rows = [
        _make_row(case, name, classify_reply(text, True), text)
        for name, texts in zip(BASELINES, replies, strict=True)
        for case, text in zip(cases, texts, strict=True)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def tabulate_cases(cases: Sequence[Case]) -> pd.DataFrame:
    """Return the cases as a table: KEYS, group, part, question (last user turn), reference."""
    columns = (*KEYS, "group", "part", "question", "reference")
    rows = [[getattr(case, name) for name in columns] for case in cases]
    return pd.DataFrame(rows, columns=columns)


def list_examples(replies: pd.DataFrame, cases: Sequence[Case], count: int = 2) -> pd.DataFrame:
    """Return the first cases of each task for reading: dataset, question, writer, reply.

    The first row of a case is the reference.
    """
    texts = replies.set_index([*KEYS, "model"])["reply"]
    models = list(dict.fromkeys(replies["model"]))
    rows, shown = [], Counter()
    for case in cases:
        if shown[case.task] < count:
            shown[case.task] += 1
            place = {"dataset": case.corpus, "question": case.question}
            rows.append(place | {"writer": "reference", "reply": case.reference})
            for model in models:
                text = texts[case.task, case.corpus, case.id, model]
                rows.append({"dataset": "", "question": "", "writer": model, "reply": text})
    return pd.DataFrame(rows)
