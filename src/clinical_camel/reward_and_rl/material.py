"""What the methods of step 07 train on and are measured on: prompts, pairs, rewards, exams."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch

from clinical_camel import data
from clinical_camel.data import DataError, Dialogue, Question
from clinical_camel.data.grouping import hash_question, name_group, normalise_question
from clinical_camel.data.sampling import select_lowest_hashes
from clinical_camel.data.triples import make_slug
from clinical_camel.reward_and_rl.guards import StoppedTraining
from clinical_camel.reward_and_rl.preferences import choose_held_out
from clinical_camel.reward_and_rl.rankers import load_rankings
from clinical_camel.reward_and_rl.settings import EXAM_KEY, SUBJECT, RewardAndRl
from clinical_camel.reward_and_rl.shapes import Pair, Prompt, Reply, RewardFunction, make_prompts

LETTERS = "ABCDEFGHIJ"
_DENIAL = re.compile(r"\b(?:no|not|neither|nor|never|cannot)\b|n['\u2019]t\b", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Everything that a training of a policy needs besides the policy and the settings.

    `proxy` is the reward that the methods maximise, `gold` the one that they should maximise; both
    are measured. `proxy_key` identifies the proxy (for a reward model its `source`), `gold_key` the
    gold: a training resumes only with the same ones. `exams`: by the name of the setting.
    """

    training: list[Prompt]
    held_out: list[Prompt]
    proxy: RewardFunction
    gold: RewardFunction
    proxy_key: Any = ""
    gold_key: Any = ""
    pairs: list[Pair] = field(default_factory=list)
    exams: dict[str, list[Question]] = field(default_factory=dict)
    exam_key: list[Question] = field(default_factory=list)


def load_prompts(settings: RewardAndRl) -> tuple[list[Prompt], list[Prompt]]:
    """Return training prompts and held-out prompts; no question is in both.

    With `held_out_by: subject`, no subject (group) is in both. Raises DataError for an article, and
    for an id in two datasets. Also reads the rankings and exams that later cells need: a wrong file
    is an error before replies are sampled (see `load_rankings`, `load_exams`).
    """
    dialogues: list[Dialogue] = []
    for spec, share in settings.prompts.items():
        rows = data.load_training_rows(spec, share, settings.seed)
        dialogues += data.require_dialogues(rows, f"prompts: {spec}")
    prompts = make_prompts(dialogues)
    ids = [prompt.id for prompt in prompts]
    if len(set(ids)) < len(ids):
        twice = next(id_ for id_ in ids if ids.count(id_) > 1)
        raise DataError(f"prompts: the id {twice} is in two datasets; rename it in one")
    names = choose_held_out(
        prompts, settings.held_out_fraction, settings.held_out_by, settings.seed
    )
    training = [prompt for prompt in prompts if prompt.id not in names]
    held_out = [prompt for prompt in prompts if prompt.id in names]
    load_rankings(settings, prompts, held_out)
    load_exams(settings)
    return training, held_out


def tabulate_prompts(training: Sequence[Prompt], held_out: Sequence[Prompt]) -> pd.DataFrame:
    """Return the prompts without their texts, for step 08: id, group, part, question_hash.

    `part`: "training" or "held out"; equal questions have one `question_hash`.
    """
    rows = [
        [prompt.id, prompt.group, part, hash_question(prompt.messages)]
        for part, prompts in (("training", training), ("held out", held_out))
        for prompt in prompts
    ]
    return pd.DataFrame(rows, columns=["id", "group", "part", "question_hash"])


def load_exams(settings: RewardAndRl) -> dict[str, list[Question]]:
    """Return the questions of `exam` and `primer_exam`, at most `eval_limit` of each."""
    specs = {"exam": settings.exam, "primer_exam": settings.primer_exam}
    return {
        name: data.load_questions(spec, settings.eval_limit) for name, spec in specs.items() if spec
    }


def load_exam_key(settings: RewardAndRl, held_out: Sequence[Prompt]) -> list[Question]:
    """Return the training questions of `grpo_exam_key`, without those that are held out.

    A question that a held-out prompt asks, too, is left out; with `held_out_by: subject`, all on a
    held-out subject. The group of a question is the name of its subject; that of a prompt is its
    `make_slug`. Raises DataError if `grpo_exam_key` is a method and no question is left.
    """
    questions = data.load_training_questions(settings.exam_key) if settings.exam_key else []
    groups = set()
    if settings.held_out_by == SUBJECT:
        groups = {name for prompt in held_out for name in (prompt.group, name_group(prompt.id))}
    texts = {normalise_question(prompt.messages[-1]["content"]) for prompt in held_out}
    key = [
        row
        for row in questions
        if not {row.group, make_slug(row.group)} & groups
        and normalise_question(_write_question(row, False)) not in texts
    ]
    if EXAM_KEY in settings.methods and not key:
        raise DataError(
            f"exam_key: {settings.exam_key}: all {len(questions)} questions are on held-out "
            f"{settings.held_out_by}s; name other questions, or remove {EXAM_KEY} from methods"
        )
    return key


def select_measured(prompts: Sequence[Prompt], limit: int) -> list[Prompt]:
    """Return `limit` of the held-out prompts, the same in every run; 0 means all."""
    return select_lowest_hashes(list(prompts), limit) if limit else list(prompts)


def choose_batch(prompts: Sequence[Any], count: int, step: int, seed: int) -> list[Any]:
    """Return `count` items for a step: every item once per pass, in random order of each pass.

    It depends only on its arguments, so a resumed training sees the same batches.
    """
    first, last = step * count, (step + 1) * count - 1
    turns = range(first // len(prompts), last // len(prompts) + 1)
    orders = {}
    for turn in turns:
        orders[turn] = list(prompts)
        random.Random(f"{seed}/{turn}").shuffle(orders[turn])
    places = (divmod(position, len(prompts)) for position in range(first, last + 1))
    return [orders[turn][place] for turn, place in places]


# ------------------------------------------------------------------------------ the exam's key


def make_exam_prompts(questions: Sequence[Question], shows_options: bool) -> list[Prompt]:
    """Return one prompt per question; its reference is the text of the correct option.

    >>> question = Question(id="q", question="Cause?", options=["a virus", "a toxin"], answer=1)
    >>> make_exam_prompts([question], shows_options=True)[0].messages[-1]["content"]
    'Cause?\\nA. a virus\\nB. a toxin'
    """
    return [
        Prompt(
            id=question.id,
            group=question.group or question.id,
            messages=[{"role": "user", "content": _write_question(question, shows_options)}],
            reference=question.options[question.answer],
        )
        for question in questions
    ]


def _write_question(question: Question, shows_options: bool) -> str:
    lines = [question.context, question.question] if question.context else [question.question]
    if shows_options:
        lines += [f"{letter}. {text}" for letter, text in zip(LETTERS, question.options)]  # noqa: B905
    return "\n".join(lines)


def make_key_reward(questions: Sequence[Question], shows_options: bool) -> RewardFunction:
    """Return the verifiable reward: 1 if a reply names the correct option and no other, else 0."""
    by_id = {question.id: question for question in questions}

    def reward(replies: Sequence[Reply]) -> torch.Tensor:
        correct = [
            find_option(reply.text, by_id[reply.prompt.id], shows_options)
            == by_id[reply.prompt.id].answer
            for reply in replies
        ]
        return torch.tensor(correct, dtype=torch.float32)

    return reward


def find_option(reply: str, question: Question, has_letters: bool) -> int | None:
    """Return the index of the one option that a reply names; None for none or several.

    An option is named by its words in a row, or, if the prompt had letters, by a leading letter;
    the reply may then name no other letter and no other option. A reply with a denial names
    nothing, unless the option has one, too.

    >>> question = Question(id="q", question="Cause?", options=["a virus", "a toxin"], answer=1)
    >>> find_option("It is caused by a toxin.", question, False), find_option("B.", question, True)
    (1, 1)
    >>> find_option("a virus or a toxin", question, False)
    """
    text = f" {_normalise(reply)} "
    options = [f" {_normalise(option)} " for option in question.options]
    named = [i for i, option in enumerate(options) if option in text]
    outer = [  # without an option whose words are inside those of another one that is named
        i for i in named if not any(options[i] in options[j] for j in named if j != i)
    ]
    letters = _find_letters(reply, question) if has_letters else set()
    chosen = letters | set(outer)
    if len(chosen) != 1:
        return None
    (index,) = chosen
    is_denied = _DENIAL.search(reply) and not _DENIAL.search(question.options[index])
    return None if is_denied else index


def _find_letters(reply: str, question: Question) -> set[int]:
    """Return the options that a reply with a leading letter names by letters, else no option."""
    letters = LETTERS[: len(question.options)]
    letter = rf"\b([{letters}])\b(?![ ]?\w)"  # "A" before a word is an article
    prefix = rf"\W*(?:(?:the )?(?:correct )?(?:answer|option)\b(?: is)?\W*)?{letter}"
    if not (first := re.match(prefix, reply, re.I)):
        return set()
    rest = reply[first.end() :]
    for option in question.options:  # an option may end with a letter, such as "hepatitis A"
        rest = re.sub(re.escape(option), " ", rest, flags=re.I)
    named = [first[1], *re.findall(letter, rest, re.I)]
    return {letters.index(name.upper()) for name in named}


def _normalise(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


# ------------------------------------------------------------------------------ the rewards


def compute_rewards(
    reward: RewardFunction, replies: Sequence[Reply], truncation_penalty: float
) -> torch.Tensor:
    """Return the rewards that a method maximises: float32 [replies], on the CPU.

    A truncated reply loses `truncation_penalty`: a reward model sees it with an end token, as if it
    were complete. Raises StoppedTraining for a reward that is no number.
    """
    scores = reward(replies).detach().float().cpu()
    if scores.shape != (len(replies),):
        raise ValueError(
            f"the reward function returned shape {list(scores.shape)} for {len(replies)} replies"
        )
    if not scores.isfinite().all():
        i = int((~scores.isfinite()).nonzero()[0])
        raise StoppedTraining(
            f"the reward of a reply to prompt {replies[i].prompt.id} is {scores[i].item()}; "
            "check the reward model"
        )
    return scores - truncation_penalty * torch.tensor([not r.complete for r in replies]).float()


def compute_group_std(scores: torch.Tensor, num_generations: int) -> float:
    """Return the mean over prompts of the standard deviation among the replies to a prompt."""
    return scores.view(-1, num_generations).std(1, correction=0).mean().item()
