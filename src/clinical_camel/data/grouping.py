"""Groups of conversations that may not be split, because they state the same facts.

Steps 07 and 08 group by the same rules, so both agree on the subjects that are held out.
"""

import re
from collections.abc import Hashable, Sequence

from clinical_camel.core.hashing import key_hash
from clinical_camel.data.shapes import Message


def name_group(id: str) -> str:
    """Return the group of a dialogue by its id: `<group>` of `<group>/<name>`, else the id.

    >>> name_group("gout/cause-1"), name_group("chat-7")
    ('gout', 'chat-7')
    """
    return id.rpartition("/")[0] or id


def normalise_question(text: str) -> str:
    """Return the words of a text in lower case, without punctuation and white space.

    A text without words is returned as it is.

    >>> normalise_question("What causes gout?") == normalise_question("what  causes gout")
    True
    """
    return " ".join(re.findall(r"\w+", text.casefold())) or text.strip()


def list_user_turns(messages: Sequence[Message]) -> tuple[str, ...]:
    """Return the user turns, normalised.

    All of them identify a conversation, the last one alone does not: many end with "And after
    that?".
    """
    return tuple(normalise_question(m["content"]) for m in messages if m["role"] == "user")


def hash_question(messages: Sequence[Message]) -> str:
    """Return a hash that two conversations share if their user turns are equal.

    >>> first, second = ([{"role": "user", "content": text}] for text in ("Gout?", "gout"))
    >>> hash_question(first) == hash_question(second)
    True
    """
    return key_hash(list_user_turns(messages))


def unite_groups(groups: Sequence[str], keys: Sequence[Hashable]) -> list[str]:
    """Return one group per item: groups with a key in common become one, named as the first.

    >>> unite_groups(["gout", "gout", "podagra", "scabies"], ["a", "b", "b", "c"])
    ['gout', 'gout', 'gout', 'scabies']
    """
    from scipy.cluster.hierarchy import DisjointSet  # slow to import; `plan` needs no groups

    united, first = DisjointSet(groups), {}
    for group, key in zip(groups, keys, strict=True):
        united.merge(group, first.setdefault(key, group))
    names: dict[str, str] = {}
    return [names.setdefault(united[group], group) for group in groups]
