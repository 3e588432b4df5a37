"""How much there is to do: rows, tokens and steps of one step, before it is run.

What is on disk is counted with the same functions that the step will call; many rows are sampled.
What is not there yet is taken from the params of the step that makes it, and said to be an
estimate; what nothing tells (a data set on the hub) is unknown.
"""

import dataclasses
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datasets import Dataset, disable_progress_bars
from trl import pack_dataset

from clinical_camel import data, dbke, eval_fewshot, models, note_synthesis, sft_qlora
from clinical_camel.core.paths import root
from clinical_camel.data import Article, registry
from clinical_camel.runner.jobs import load_job, owner_of

ROWS, QUESTIONS = 1000, 40  # of each source that are read with the tokenizer; the rest is scaled
CHARACTERS = 4  # a token, where no tokenizer is at hand
EXCHANGE, EXAM = 54, 135  # tokens of an exchange, of an exam dialogue: measured, mini_camel 01
# Tokens of a question, without examples: the characters of the public sets at 3.6 a token.
QUESTION = {"medqa_us": 245, "medmcqa": 62, "pubmedqa": 480, "pubmedqa_test": 480}
QUESTION |= {"mmlu_medical": 130, "": 250}


@dataclass(frozen=True, slots=True)
class Work:
    """What is computed: `trained_tokens` forward and backward, `read_tokens` forward only.

    `decode_steps` each write one token in every row of a batch. `steps` are the optimiser's,
    `passes` its batches. `longest` and `prefix` (shared by all prompts) are tokens of a row;
    `head_share` of the tokens are projected to the vocabulary. `written_tokens` are those of
    replies that somebody else's machine writes. `how`: what is an estimate, in words; `unknown`:
    what is not counted.
    """

    trained_tokens: float = 0
    read_tokens: float = 0
    decode_steps: int = 0
    steps: int = 0
    passes: int = 0
    rows: int = 0
    longest: int = 0
    prefix: int = 0
    head_share: float = 0.0
    written_tokens: int = 0
    how: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def tokens(self) -> int:
        return round(self.trained_tokens + self.read_tokens)


def at_hand(spec: str) -> bool:
    """Whether the rows of a spec can be read without a network and without another step."""
    place = spec.rpartition("@")[2]
    if "/" in place or place.endswith((".jsonl", ".jsonl.gz")):
        return (root() / place).is_file()
    return bool(registry.find(place).shipped)


def tokenizer_at_hand(model: str, chat_template: str) -> Any:
    """The tokenizer of a base, if it is on this machine; None otherwise."""
    try:
        tokenizer = models.load_tokenizer(model, chat_template)
    except OSError:  # not in the cache
        return None
    tokenizer.model_max_length = sys.maxsize  # texts are only counted: no warning that one is long
    return tokenizer


def _spread(rows: Sequence[Any], count: int) -> Sequence[Any]:
    """At most about `count` rows, evenly from the whole."""
    return rows[:: max(1, math.ceil(len(rows) / count))] if count else rows


def _characters(item: Any) -> int:
    if isinstance(item, Article):
        return len(data.article_text(item))
    return sum(len(message["content"]) for message in item.messages)


# ------------------------------------------------------------------------------- 01: dialogues


def dialogues(params: Mapping[str, Any], sample: int = QUESTIONS) -> Work:
    """Requests to the teacher; with a language model their tokens, if each is made once."""
    articles, questions = _articles(params), _questions(params)
    unknown = [] if articles is not None else ["articles: on the hub, not counted"]
    unknown += [] if questions is not None else ["questions: on the hub, not counted"]
    each = params["dialogues_per_article"]
    if params["teacher"] not in dbke.LANGUAGE_MODELS:
        return Work(rows=(articles or 0) * each + (questions or 0), unknown=tuple(unknown))
    found = _article_prompts(params, sample)
    each = sum(map(len, found)) / len(found) if found else each  # a long one is cut: more of them
    on_articles = round((articles or 0) * each)
    count = on_articles + (questions or 0)
    prompts = _stretched([n for lengths in found for n in lengths], on_articles)
    prompts += _stretched(_question_prompts(params, sample), questions or 0)
    if len(prompts) < count:
        unknown.append(f"{count - len(prompts):,} prompts: their texts are not on this machine")
    how = [
        f"prompts: characters / {CHARACTERS}, of at most {sample} articles and questions a set",
        "nothing set aside and asked for again",
    ]
    if params["teacher"] == "local":
        how.append(f"every reply {params['max_new_tokens']} tokens long: at most")
        done = _written(prompts, params["max_new_tokens"], params["token_budget"], 1)
    else:
        each = params["exchanges_per_dialogue"] * EXCHANGE
        how.append(f"every reply {each} tokens long, as in the embedded study")
        unknown.append("how fast the endpoint answers")
        done = Work(read_tokens=sum(prompts), written_tokens=each * len(prompts))
    return dataclasses.replace(done, rows=count, how=tuple(how), unknown=tuple(unknown))


def _article_prompts(params: Mapping[str, Any], sample: int) -> list[list[int]]:
    """Tokens of the first prompts on each of a sample of the articles that are at hand."""
    sizes = (params["dialogues_per_article"], params["exchanges_per_dialogue"], params["seed"])
    room = dbke.prompt_room(dbke.settings_of(params))
    return [
        [_prompt_tokens(request, params) for request in dbke.about(article, *sizes, room)]
        for spec in filter(at_hand, params["articles"])
        for article in _spread(data.load_articles(spec, _limit(spec, params)), sample)
    ]


def _question_prompts(params: Mapping[str, Any], sample: int) -> list[int]:
    """The same for exam questions, each with as many and as long passages as it may have."""
    passages = (" ".join(["passage"] * dbke.PASSAGE_WORDS),) * params["passages_per_question"]
    limit, skip = params["question_limit"], params["exemplar_count"]
    asked = [
        dbke.Request(id=q.id, question=q, passages=passages, exchanges=2, seed=params["seed"])
        for spec in filter(at_hand, params["questions"])
        for q in _spread(data.load_training_questions(spec, limit, skip=skip), sample)
    ]
    return [_prompt_tokens(request, params) for request in asked]


def _prompt_tokens(request: dbke.Request, params: Mapping[str, Any]) -> int:
    messages = dbke.build_messages(request, support=params["support"])
    return sum(len(message["content"]) for message in messages) // CHARACTERS


def _stretched(found: Sequence[int], count: int) -> list[int]:
    """So many values, spread as those of a sample are; none without any."""
    return [found[i * len(found) // count] for i in range(count)] if found else []


def _limit(spec: str, params: Mapping[str, Any]) -> int:
    return params["article_limits"].get(data.label(spec), params["article_limit"])


def _articles(params: Mapping[str, Any]) -> int | None:
    rows = [
        _counted([spec], lambda spec, limit=limit: len(data.load_articles(spec, limit)), limit)
        for spec, limit in ((spec, _limit(spec, params)) for spec in params["articles"])
    ]
    return None if None in rows else sum(rows)


def _questions(params: Mapping[str, Any]) -> int | None:
    limit, skip = params["question_limit"], params["exemplar_count"]

    def count(spec: str) -> int:
        return len(data.load_training_questions(spec, limit, skip=skip))

    return _counted(params["questions"], count, limit)


def _counted(specs: Iterable[str], count: Callable[[str], int], limit: int) -> int | None:
    """The rows of all specs; for one that is not at hand its limit, or None without one."""
    counts = [count(spec) if at_hand(spec) else limit or None for spec in specs]
    return None if None in counts else sum(counts)


# -------------------------------------------------------------------------------- 02: training


def training(params: Mapping[str, Any], tokenizer: Any, sample: int = ROWS) -> Work:
    """Rows, tokens and steps as the trainer will have them."""
    lengths: list[int] = []
    how, unknown = [], []
    for spec, share in params["mixture"].items():
        if at_hand(spec):
            found, said = _lengths(spec, share, params, tokenizer, sample)
        else:
            found, said = _expected(spec, share, params["max_length"])
        lengths += found or []
        (unknown if found is None else how).extend(said)
    rows = len(lengths)
    # only when every row was read is the longest known
    longest = params["max_length"] if how or unknown else max(lengths, default=0)
    held_out = math.ceil(params["validation_fraction"] * rows)
    tokens = sum(lengths) * (rows - held_out) / max(1, rows)
    in_rows = rows - held_out
    if params["packing"] and lengths:
        disable_progress_bars()
        ids = [[0] * n for n in lengths[:in_rows]]
        packed = pack_dataset(Dataset.from_dict({"input_ids": ids}), params["max_length"], "bfd")
        in_rows, longest = len(packed), params["max_length"]
    steps = trainer_steps(in_rows, params)
    checks = steps // params["save_steps"] if held_out else 0
    return Work(
        trained_tokens=tokens * params["num_epochs"],
        read_tokens=checks * sum(lengths) * held_out / max(1, rows),
        steps=steps,
        passes=steps * params["gradient_accumulation_steps"],
        rows=rows,
        longest=longest,
        how=tuple(dict.fromkeys(how)),
        unknown=tuple(unknown),
    )


def trainer_steps(rows: int, params: Mapping[str, Any]) -> int:
    """Steps of the optimiser, as transformers' Trainer counts them: a last batch that is not full
    is a step too."""
    batches = math.ceil(rows / params["batch_size"])
    an_epoch = max(1, math.ceil(batches / params["gradient_accumulation_steps"]))
    return math.ceil(params["num_epochs"] * an_epoch) if rows else 0


def _lengths(spec, share, params, tokenizer, sample) -> tuple[list[int], list[str]]:
    """Tokens of every row of a source that is on disk."""
    rows = data.load_training_rows(spec, share, params["seed"])
    read, limit = _spread(rows, sample), params["max_length"]
    if tokenizer is None:
        found = [min(limit, _characters(row) // CHARACTERS) for row in read]
        said = [f"tokens estimated as characters / {CHARACTERS}: no tokenizer at hand"]
    else:
        encoded = sft_qlora.encode_mixture(tokenizer, {spec: read}, params["loss_on"], limit)
        found, said = [len(row["input_ids"]) for row in encoded.rows], []
    if len(read) < len(rows):
        said.append(f"{data.label(spec)}: estimated from {len(read)} of {len(rows):,} rows")
    wanted = round(len(found) * len(rows) / max(1, len(read)))
    return _stretched(found, wanted), said


def _expected(spec: str, share: float, limit: int) -> tuple[list[int] | None, list[str]]:
    """Tokens of each row that a step has yet to write, from its params; None if they do not say."""
    study, step = owner_of(spec) or ("", "")
    file = root() / f"params/{study}/{step}.yaml"
    name = data.label(spec)
    if step != "01_dbke" or not file.is_file():
        return None, [f"{name}: not on this machine, not counted"]
    made = load_job(study, step).params
    exam = "exam" in spec.rpartition("/")[2]
    count = _questions(made) if exam else _articles(made)
    if count is None:
        return None, [f"{name}: unknown until {step} has run"]
    count = round(share * count * (1 if exam else made["dialogues_per_article"]))
    each = EXAM if exam else made["exchanges_per_dialogue"] * EXCHANGE
    said = f"{name}: {count:,} rows of {each} tokens, estimated from the params of {step}"
    return [min(limit, each)] * count, [said]


# --------------------------------------------------------------------------------- 03: scoring


def scoring(
    params: Mapping[str, Any], tokenizer: Any, context: int, sample: int = QUESTIONS
) -> Work:
    """Tokens that every model reads, each shared prefix once; replies are counted as written."""
    shots = max(params["num_shots"])
    total = Work()
    for spec in params["benchmarks"]:
        exemplars = params["exemplars"].get(data.label(spec), "") if shots else ""
        if tokenizer is not None and all(map(at_hand, filter(None, (spec, exemplars)))):
            total = _with(total, _counted_scoring(spec, exemplars, params, tokenizer, sample))
        else:
            total = _with(total, _expected_scoring(spec, params))
    count = len(params["adapters"])
    return dataclasses.replace(
        total,
        read_tokens=total.read_tokens * count,
        decode_steps=total.decode_steps * count,
        longest=min(total.longest, context),
    )


def _with(one: Work, other: Work) -> Work:
    tokens = one.read_tokens + other.read_tokens
    heads = one.head_share * one.read_tokens + other.head_share * other.read_tokens
    return Work(
        read_tokens=tokens,
        decode_steps=one.decode_steps + other.decode_steps,
        rows=one.rows + other.rows,
        longest=max(one.longest, other.longest),
        prefix=max(one.prefix, other.prefix),
        head_share=heads / tokens if tokens else 0.0,
        how=tuple(dict.fromkeys((*one.how, *other.how))),
        unknown=one.unknown + other.unknown,
    )


def _counted_scoring(spec, exemplars, params, tokenizer, sample) -> Work:
    """One benchmark in every setting, from its own prompts."""
    name, shots = data.label(spec), max(params["num_shots"])
    asked = data.load_questions(spec, params["question_limit"], params["image_questions"])
    pool = data.load_training_questions(exemplars) if exemplars and shots else []
    named = {name: pool} if name in params["exemplars"] else {}
    left, pools = eval_fewshot.take_exemplars({name: asked}, named, shots)
    asked, read = left[name], _spread(left[name], sample)
    scale = len(asked) / len(read)
    design = eval_fewshot.Design(
        params["protocols"],
        params["num_shots"],
        params["variants"],
        params["exemplar_choice"],
        params["seed"],
    )
    total = Work()
    if scale > 1:
        total = Work(how=(f"{name}: estimated from {len(read)} of {len(asked):,} questions",))
    for number in params["num_shots"]:
        shown = design.shown(name, pools, read, number)
        for variant in params["variants"]:
            varied = [eval_fewshot.vary(q, variant, params["seed"]) for q in read]
            for protocol in params["protocols"]:
                protocol = eval_fewshot.PROTOCOLS[protocol].on(name)
                total = _with(total, _setting(varied, shown, protocol, tokenizer, params, scale))
    return dataclasses.replace(total, rows=len(asked))


def _setting(questions, shown, protocol, tokenizer, params, scale: float) -> Work:
    """One protocol with one number of shots."""
    if protocol.scores == "reply":
        prompts = [
            eval_fewshot.build_prompt(q, shown[q.id], protocol, tokenizer) for q in questions
        ]
        new = int(protocol.decoding.get("max_new_tokens", 64))
        lengths = [len(models.encode(tokenizer, prompt)) for prompt in prompts]
        return _written(lengths, new, params["token_budget"], scale)
    lead = models.reply_lead(tokenizer) if protocol.chat else ""
    prefixes = rows = heads = longest = most = 0
    for group in eval_fewshot.sharing(questions, shown, protocol):
        encode = eval_fewshot.pairs_of
        pairs = [p for q in group for p in encode(tokenizer, q, shown[q.id], protocol, lead)]
        shared, laid = models.laid_out(pairs)
        prefixes += shared
        rows += sum(map(len, laid))
        heads += sum(len({place for _, reads in row.reads for place, _ in reads}) for row in laid)
        longest, most = max(longest, shared + len(laid[0])), max(most, shared)
    tokens = rows * scale + prefixes
    return Work(read_tokens=tokens, longest=longest, prefix=most, head_share=heads * scale / tokens)


def _written(lengths: Sequence[int], new: int, budget: int, scale: float) -> Work:
    """Replies of `new` tokens, at most: batches of as many as the budget allows, longest first."""
    ordered = [n for n in sorted(lengths, reverse=True) for _ in range(max(1, round(scale)))]
    batches = start = 0
    while start < len(ordered):
        start += max(1, budget // (new + ordered[start]))
        batches += 1
    longest = max(ordered, default=0) + new
    return Work(read_tokens=sum(ordered), decode_steps=batches * new, longest=longest)


def _expected_scoring(spec: str, params: Mapping[str, Any]) -> Work:
    """One benchmark that is not at hand: its published size, and tokens of a question like it."""
    name = data.label(spec)
    published = data.load_published()
    sizes = published.loc[published["benchmark"] == name, "n"].dropna()
    count = params["question_limit"] or (int(sizes.max()) if len(sizes) else 0)
    if not count:
        return Work(unknown=(f"{name}: its number of questions is not known here",))
    each, kinds = QUESTION.get(name, QUESTION[""]), len(params["variants"])
    scored = [eval_fewshot.PROTOCOLS[p].on(name) for p in params["protocols"]]
    total = Work(how=(f"{name}: {count:,} questions of {each} tokens (assumed)",))
    for number in params["num_shots"]:
        for protocol in scored:
            if protocol.scores == "reply":
                new = int(protocol.decoding.get("max_new_tokens", 64))
                lengths = [each * (1 + number)] * (count * kinds)
                part = _written(lengths, new, params["token_budget"], 1)
            else:
                whole, prefix = each * (1 + number), each * number
                tokens = kinds * (count * each + prefix)
                part = Work(read_tokens=tokens, longest=whole, prefix=prefix, head_share=0.1)
            total = _with(total, part)
    return dataclasses.replace(total, rows=count)


# ----------------------------------------------------------------------------------- 04: notes


def notes(params: Mapping[str, Any], tokenizer: Any, context: int) -> Work:
    """Every output as long as `max_new_tokens` allows: an upper bound."""
    new, prompts, unknown, how = params["max_new_tokens"], [], [], []
    rows, room = 0, context - params["max_new_tokens"]
    pools = {n: s for n, s in params["note_exemplars"].items() if at_hand(s)}
    asked = {name: params[name] for name in ("prompt", "headings", "unit", "too_long", "sections")}
    examples = {n: data.load_training_consultations(s) for n, s in pools.items()}
    request = note_synthesis.Request(examples=examples, **asked)
    for spec in params["consultations"]:
        if not at_hand(spec):
            unknown.append(f"{data.label(spec)}: not on this machine, not counted")
            continue
        corpus = note_synthesis.corpus_name(spec)
        for visit in data.load_consultations(spec, params["consultation_limit"]):
            rows += 1
            prompts += _note_prompts(request, corpus, visit, tokenizer, room)
    if tokenizer is None:
        how.append(f"tokens estimated as characters / {CHARACTERS}: no tokenizer at hand")
    how.append(f"every output {new} tokens long: at most")
    work = _written(prompts, new, params["token_budget"], 1)
    count = len(params["adapters"]) * (1 + len(params["other_decodings"]))
    return dataclasses.replace(
        work,
        read_tokens=work.read_tokens * count,
        decode_steps=work.decode_steps * count,
        rows=rows,
        how=tuple(how),
        unknown=tuple(unknown),
    )


def _note_prompts(request, corpus: str, visit, tokenizer: Any, room: int) -> list[int]:
    """The tokens of each prompt that one note takes; none for a transcript that is skipped."""
    headings = request.asked(visit)
    pool = request.examples.get(corpus)
    example = note_synthesis.choose_example(pool, headings) if pool else None
    messages = note_synthesis.build_messages(visit, headings, request.prompt, example)
    if tokenizer is None:
        tokens = sum(len(message["content"]) for message in messages) // CHARACTERS
    else:
        tokens = len(models.encode(tokenizer, models.render_chat(tokenizer, messages)))
    parts = [tokens]
    if tokens > room:
        windows = [room] * math.ceil(tokens / room) if room > 0 else []
        parts = {"skip": [], "truncate": [room], "windows": windows}[request.too_long]
    return parts * (len(headings) if request.unit == "section" else 1)
