"""The rule: how much of the right fact a reply states, and whether it states anything else.

It needs no model, only the reference reply. In the embedded study it is the *gold reward*: the
reward model imitates it, and it is measured on held-out prompts. It reads words, not meaning, so
it fits short replies that state one fact, such as those to questions on a knowledge graph.
"""

import functools
import re
from collections import Counter
from collections.abc import Sequence

import torch

from clinical_camel.data.triples import read_templates
from clinical_camel.grounding import link_sentences, split_sentences
from clinical_camel.grounding.terms import STOP, stem_words
from clinical_camel.reward_and_rl.shapes import Reply

COMMON = 3
_WORD = re.compile(r"[a-z0-9]+(?:['.,-][a-z0-9]+)*|[\u4e00-\u9fff]", re.IGNORECASE)


def score_by_rule(reply: Reply) -> float:
    """Return the score of a reply from 0 (wrong or empty) to 1 (the fact and nothing else).

    The fact is the words of the reference that are neither in the prompt nor words of form (stop
    words, words of the templates). The score is the F1 of the reply's words against them: recall
    for parts of the fact, precision against other claims. Words of the prompt and the reference are
    free as often as they occur there, each word of form once: repetition and padding do not pay.
    The score is 0 for a reply about another subject (words of its own, but none of the subject in
    the prompt), and if the grounding check finds that it contradicts the reference (a denial,
    another number or side). Raises ValueError for a prompt without a reference.
    """
    prompt = reply.prompt
    if not prompt.reference:
        raise ValueError(
            f"rankers: the rule needs a reference reply, and prompt {prompt.id} has none; use a "
            "judge or a ranking file"
        )
    return _score(prompt.messages[-1]["content"], prompt.reference, reply.text)


def rule_reward(replies: Sequence[Reply]) -> torch.Tensor:
    """Return the scores of `score_by_rule`, float32 [replies]: a `RewardFunction`."""
    return torch.tensor([score_by_rule(reply) for reply in replies], dtype=torch.float32)


@functools.lru_cache(maxsize=65_536)
def _score(question: str, reference: str, text: str) -> float:
    free = Counter(split_words(question)) | Counter(split_words(reference))
    free |= Counter(_list_form_words())
    written = Counter(split_words(text))
    fact = _select_fact(question, reference)
    stated, others = written & fact, (written - fact) - (free - fact)
    if not stated or _is_about_another(written, others, question, reference):
        return 0.0
    recall = stated.total() / fact.total()
    precision = stated.total() / (stated.total() + others.total())
    return 0.0 if _contradicts(text, reference) else 2 * recall * precision / (recall + precision)


def _is_about_another(
    written: Counter[str], others: Counter[str], question: str, reference: str
) -> bool:
    """Return whether a reply has words of its own, but none of the subject."""
    subject = set(split_words(question)) & set(split_words(reference)) - _list_form_words()
    return bool(subject and others.keys() - _list_form_words()) and not subject & written.keys()


def _select_fact(question: str, reference: str) -> Counter[str]:
    """Return the words of the fact; all of the reference if none is left."""
    words = Counter(split_words(reference))
    question_words = set(split_words(question))
    fact = {
        w: n for w, n in words.items() if w not in question_words and w not in _list_form_words()
    }
    return Counter(fact) or words


def split_words(text: str) -> list[str]:
    """Return the stems of the words in lower case; a Chinese character is a word."""
    return stem_words(_WORD.findall(text.lower()))


@functools.cache
def _list_form_words() -> frozenset[str]:
    """Return the stems of stop words and of the words in the templates of triples.

    A Chinese character is in many words, so only those of COMMON templates or more count.
    """
    templates = [text for rows in read_templates().values() for row in rows for text in row]
    plain = [set(split_words(re.sub(r"{[^}]*}", " ", text))) for text in templates]
    counts = Counter(word for words in plain for word in words)
    form = {word for word, n in counts.items() if word.isascii() or n >= COMMON}
    return frozenset(stem_words(sorted(STOP))) | form


def _contradicts(text: str, reference: str) -> bool:
    sentences = split_sentences(text)
    return any(link.verdict == "contradicted" for link in link_sentences(sentences, [reference]))
