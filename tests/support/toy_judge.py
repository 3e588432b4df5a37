"""Pairs of replies on gout, and a server whose model judges them."""

import json
from collections.abc import Callable

from tests.support.toy_teacher import Response, Server, respond

from clinical_camel.teachers import Comparison, OpenAI

QUESTION = [{"role": "user", "content": "What prevents further attacks of gout?"}]
GOOD, BAD = "Allopurinol prevents further attacks.", "Nothing can prevent them."


def make_comparison(name: str = "gout", first: str = GOOD, second: str = BAD, **more) -> Comparison:
    values = {"reference": "Allopurinol prevents further attacks of gout.", **more}
    return Comparison(id=name, messages=QUESTION, first=first, second=second, **values)


def write_verdict(winner: str, reason: str = "It names the drug.") -> str:
    return json.dumps({"reason": reason, "winner": winner})


def find_good(prompt: str) -> str:
    """The verdict of a careful judge: the position of the reply GOOD."""
    return write_verdict("first" if f"\n{GOOD}\n\n----- reply 2" in prompt else "second")


class JudgeServer(Server):
    """Replies to each prompt as `judge` does with its last turn; `received` are the prompts."""

    def __init__(self, judge: Callable[[str], str] = find_good) -> None:
        super().__init__()
        self.judge, self.received = judge, []

    def respond(self, body: bytes) -> Response:
        prompt = json.loads(body)["messages"][-1]["content"]
        self.received.append(prompt)
        return respond(self.judge(prompt))


def make_settings(base_url: str, **more: object) -> OpenAI:
    values = {"model": "toy", "terms": "own", "money_cap": 10.0, "price_in": 1.0, "price_out": 2.0}
    values |= {"backoff": 0.02, "timeout_seconds": 2, "dialogue_attempts": 2, "request_attempts": 2}
    return OpenAI(**({"base_url": base_url, "temperature": 0.0, **values} | more))
