"""What each kind of teacher is given; the `teacher` mapping of step 01 is one of these."""

from typing import Annotated, Any, Literal

from pydantic import Field

from clinical_camel.core.settings import Count, Float, Limit, Settings, Text
from clinical_camel.models.choices import Quantize

Terms = Literal["own", "open", "llama2", "llama3", "acknowledged"]
_TERMS = "what its terms say about training other models: own, open, llama2, llama3, acknowledged"


class Extractive(Settings):
    """Rules, no language model: asks about headings and answers with sentences of the section."""

    kind: Literal["extractive"] = "extractive"


class _LanguageModel(Settings):
    """What every language model is given."""

    model: Text = Field(description="folder or hub id; for openai the endpoint's name of the model")
    terms: Terms = Field(description=_TERMS)
    temperature: Float = Field(0.7, ge=0, description="sampling temperature; 0.0 is greedy")
    max_new_tokens: Count = Field(1500, description="longest reply, in tokens")
    context: Count = Field(
        8192, description="context length for prompt and reply; longer articles are split"
    )
    dialogue_attempts: Count = Field(
        3, description="replies requested for a dialogue until one passes the checks"
    )

    @property
    def sampling(self) -> dict[str, Any]:
        """What a reply depends on beside model and prompt."""
        return {"temperature": self.temperature, "max_new_tokens": self.max_new_tokens}


class Local(_LanguageModel):
    """A language model on this machine."""

    kind: Literal["local"] = "local"
    quantize: Quantize = Field("", description="nf4, int8, or empty for none")
    token_budget: Count = Field(8192, description="most tokens in one batch; bounds the memory")


class OpenAI(_LanguageModel):
    """An endpoint that speaks OpenAI's chat completions. Its key comes from TEACHER_API_KEY only.

    Prices are per million tokens, in the currency of `money_cap`.
    """

    kind: Literal["openai"] = "openai"
    base_url: Text = Field(description="https://host/v1")
    money_cap: Float = Field(ge=0, description="most money over all runs; 0.0 spends nothing")
    price_in: Float = Field(0.0, ge=0, description="price per million prompt tokens")
    price_out: Float = Field(0.0, ge=0, description="price per million reply tokens")
    token_cap: Limit = Field(0, description="most tokens over all runs; 0 means no cap")
    concurrency: Count = Field(16, description="requests at a time")
    requests_per_minute: Limit = Field(0, description="rate limit; 0 means none")
    tokens_per_minute: Limit = Field(0, description="rate limit; 0 means none")
    request_attempts: Count = Field(
        5, description="times one request is sent over all runs while the endpoint fails"
    )
    timeout_seconds: Count = Field(600, description="wait for a reply; a slower one counts as paid")
    backoff: Float = Field(1.0, ge=0, description="seconds before the first retry; then doubled")


class Replay(Settings):
    """Replies from the ledger of an earlier run: no model, no network."""

    kind: Literal["replay"] = "replay"
    ledger: Text = Field(description="path of the ledger")
    terms: Terms = Field(description=_TERMS)
    context: Count = Field(8192, description="context length that the recorded run had")
    max_new_tokens: Count = Field(1500, description="longest reply that the recorded run had")
    dialogue_attempts: Count = Field(3, description="attempts per dialogue of the recorded run")


TeacherSettings = Annotated[Extractive | Local | OpenAI | Replay, Field(discriminator="kind")]
