"""The settings of each language model that writes or judges, and of the rule that judges.

The `teacher` mapping of step 01 and the `judge` mapping of later steps are of these kinds.
"""

import ipaddress
import re
import urllib.parse
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from clinical_camel.core.settings import Count, Float, Limit, Settings, Share, Text, valid_by
from clinical_camel.models.choices import Quantize
from clinical_camel.teachers.secrets import KEY_VARIABLE, read_key

# What a teacher's terms say about training other models.
TERMS = {
    "own": "the teacher is yours, or its owner has agreed",
    "open": "permits training other models, as Apache-2.0 and MIT do",
    "llama2": "only Llama 2 and its derivatives may be trained on its output",
    "llama3": "a model trained on its output must have Llama in its name",
    "acknowledged": (
        "the account holder has read the provider's terms and is responsible for this use"
    ),
}
# ends of addresses of Ollama, TGI, llama.cpp and Anthropic
OTHER_INTERFACES = ("/api/chat", "/api/generate", "/generate", "/generate_stream", "/completion")
OTHER_INTERFACES = (*OTHER_INTERFACES, "/messages")


def is_loopback(url: str) -> bool:
    """Return whether an address is this machine.

    A name that only begins with 127. may be any machine.

    >>> is_loopback("http://127.0.0.2:8000"), is_loopback("http://127.0.0.1.example.org")
    (True, False)
    """
    host = urllib.parse.urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # another name
        return False


def check_base_url(url: Any) -> str:
    """Return why a text is not the base address of an endpoint; "" if it is.

    >>> check_base_url("https://host/v1/chat/completions")
    'ends with /chat/completions, which the program adds; write https://host/v1'
    """
    if not isinstance(url, str):
        return ""  # its type is checked elsewhere
    try:
        parts = urllib.parse.urlsplit(url)
        is_address = bool(parts.scheme in ("http", "https") and parts.hostname)
        is_address = is_address and parts.port != 0 and not re.search(r"[\s\\]", url)
    except ValueError:  # a port or a bracket
        is_address = False
    if not is_address:
        return "is not an address; write https://host/v1"
    if "@" in parts.netloc:
        return "contains a user or a password; put the key into TEACHER_API_KEY"
    if parts.query or parts.fragment or url.endswith(("?", "#")):
        return "contains ? or #; write only https://host/v1, and the key into TEACHER_API_KEY"
    host, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    for ending in OTHER_INTERFACES:
        if path.endswith(ending):
            base = f"{host}{path.removesuffix(ending).removesuffix('/v1')}/v1"
            return f"ends with {ending}, which is not OpenAI's interface; write {base}"
    for ending in ("/chat/completions", "/completions", "/chat", "/models", "/responses"):
        if path.endswith(ending):
            base = f"{host}{path.removesuffix(ending)}"
            return f"ends with {ending}, which the program adds; write {base}"
    if parts.scheme == "http" and not is_loopback(url):
        return "is not encrypted and not on this machine; it needs https"
    return ""


class _Prompted(Settings):
    """Settings of every teacher that answers a prompt."""

    terms: Literal[tuple(TERMS)] = Field(
        description=f"what its terms say about training other models: {', '.join(TERMS)}"
    )
    max_new_tokens: Count = Field(1500, description="longest reply, in tokens")
    context: Count = Field(
        8192, description="context length for prompt and reply; longer articles are split"
    )
    dialogue_attempts: Annotated[Count, Field(le=100)] = Field(
        3, description="replies requested for a dialogue or a verdict until one passes the checks"
    )

    def check_together(self) -> Iterator[str]:
        if self.max_new_tokens >= self.context:
            yield (
                f"max_new_tokens: {self.max_new_tokens} leaves no room for a prompt in "
                f"context, {self.context}"
            )


class LanguageModel(_Prompted):
    """Settings of every language model that is run or called."""

    model: Text = Field(description="folder or hub id; for openai the endpoint's name of the model")
    temperature: Float = Field(0.7, ge=0, le=5, description="sampling temperature; 0.0 is greedy")

    def sampling(self, seed: int) -> dict[str, Any]:
        """Return what a reply depends on besides model and prompt; part of its ledger key."""
        names = ("temperature", "max_new_tokens")
        return {**{name: getattr(self, name) for name in names}, "seed": seed}


class Local(LanguageModel):
    """A language model on this machine."""

    kind: Literal["local"] = "local"
    quantize: Quantize = Field("", description="nf4, int8, or empty for none")
    token_budget: Count = Field(
        8192, description="maximum number of tokens per batch; limits memory use"
    )


class OpenAI(LanguageModel):
    """An endpoint with OpenAI's chat completions. Its key is read only from TEACHER_API_KEY.

    Prices are per million tokens, in the currency of `money_cap`.
    """

    kind: Literal["openai"] = "openai"
    base_url: Annotated[Text, valid_by(check_base_url)] = Field(
        description="address before /chat/completions, such as https://host/v1"
    )
    money_cap: Float = Field(
        ge=0, description="most money over all runs; it needs the prices: with both 0.0 it is free"
    )
    price_in: Float = Field(0.0, ge=0, description="price per million prompt tokens")
    price_out: Float = Field(0.0, ge=0, description="price per million reply tokens")
    token_cap: Limit = Field(
        0,
        description=(
            "most tokens over all runs; 0 means no cap, which an endpoint on another machine may"
            " have only if the prices are set"
        ),
    )
    concurrency: Annotated[Count, Field(le=4096)] = Field(16, description="requests at a time")
    requests_per_minute: Limit = Field(0, description="rate limit; 0 means none")
    tokens_per_minute: Limit = Field(0, description="rate limit; 0 means none")
    request_attempts: Annotated[Count, Field(le=100)] = Field(
        5, description="times one request is sent in a run while the endpoint fails"
    )
    timeout_seconds: Annotated[Count, Field(le=86_400)] = Field(
        600, description="longest wait for a complete reply, in seconds"
    )
    backoff: Float = Field(
        1.0, ge=0, le=3600, description="seconds before the first retry; then doubled"
    )

    def check_together(self) -> Iterator[str]:
        yield from super().check_together()
        is_priced = self.price_in or self.price_out
        if not is_loopback(self.base_url) and not is_priced and not self.token_cap:
            yield (
                "price_in, price_out: 0.0 for an endpoint on another machine, so "
                f"money_cap ({self.money_cap}) limits nothing; write its prices, or a token_cap "
                "above 0"
            )

    def check_key(self) -> Iterator[str]:
        """Yield that the environment has no key, or an unusable one, for this endpoint."""
        try:
            key = read_key()
        except ValueError as error:
            yield str(error)
            return
        if not key and not is_loopback(self.base_url):
            yield f"base_url: {self.base_url} needs a key in the environment as {KEY_VARIABLE}"


class Replay(_Prompted):
    """Replies from the ledger of an earlier run: no model, no network.

    `context`, `max_new_tokens` and `dialogue_attempts` must be those of the recorded run.
    """

    kind: Literal["replay"] = "replay"
    ledger: Text = Field(description="path of the ledger")


class Overlap(Settings):
    """A rule that judges offline: the reply that shares more words with the reference is better."""

    kind: Literal["overlap"] = "overlap"
    margin: Share = Field(
        0.02, description="the token F1 of two replies must differ by more than this; else a tie"
    )


JudgeSettings = Annotated[Overlap | Local | OpenAI | Replay, Field(discriminator="kind")]
