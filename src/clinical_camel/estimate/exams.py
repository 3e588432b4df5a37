"""The tokens of step 03, counted before it runs, with the functions that score the exams."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from clinical_camel import data, eval_fewshot, models
from clinical_camel.data import Question
from clinical_camel.estimate.sizes import find_size
from clinical_camel.estimate.work import Work, count_generation, is_local, sample_evenly

QUESTIONS = 24  # of each exam that are tokenized; the others are extrapolated


def count_scoring(
    design: eval_fewshot.Design, tokenizer: Any, context: int, sample: int = QUESTIONS
) -> Work:
    """Count the tokens of all models, every shared prefix once, and upper bounds of replies."""
    total = Work()
    for spec in design.benchmarks:
        exemplars = design.exemplars.get(data.label(spec), "") if max(design.num_shots) else ""
        if tokenizer is not None and all(map(is_local, filter(None, (spec, exemplars)))):
            total += _count_benchmark(spec, design, tokenizer, sample)
        else:
            total += _predict_benchmark(spec, design)
    return total.repeat(len(design.adapters), longest_row=min(total.longest_row, context))


def _count_benchmark(spec: str, design: eval_fewshot.Design, tokenizer: Any, sample: int) -> Work:
    """Count one benchmark in all its evaluations, from its own prompts."""
    name = data.label(spec)
    questions, pool = eval_fewshot.load_benchmark(spec, design)
    read = sample_evenly(questions, sample)
    scale = len(questions) / len(read)
    book = eval_fewshot.read_book(design.open_book) if "open_book" in design.variants else {}
    total = Work()
    if scale > 1:
        message = f"{name}: estimated from {len(read)} of {len(questions):,} questions"
        total = Work(estimates=(message,))
    for shots in design.num_shots:
        exemplars = eval_fewshot.choose_exemplars(name, read, pool, shots, design)
        for variant in design.variants:
            varied = [eval_fewshot.make_variant(q, variant, design.seed, book) for q in read]
            for protocol in _list_protocols(name, design):
                total += _count_evaluation(
                    varied, exemplars, protocol, tokenizer, scale, design.token_budget
                )
    return dataclasses.replace(total, rows=len(questions))


def _list_protocols(name: str, design: eval_fewshot.Design) -> list[eval_fewshot.Protocol]:
    """Return the protocols of a benchmark without those that ask like an earlier one."""
    protocols = eval_fewshot.list_protocols(design.protocols, name)
    names = [eval_fewshot.find_alike(protocols, p, name) for p in protocols]
    return [eval_fewshot.PROTOCOLS[p].for_benchmark(name) for p in dict.fromkeys(names)]


def _count_evaluation(
    questions: Sequence[Question],
    exemplars: Mapping[str, Sequence[Question]],
    protocol: eval_fewshot.Protocol,
    tokenizer: Any,
    scale: float,
    token_budget: int,
) -> Work:
    """Count a sample of questions in one protocol; `scale` is the number of questions for each."""
    if protocol.answer_type == "reply":
        prompts = [
            eval_fewshot.build_prompt(q, exemplars[q.id], protocol, tokenizer) for q in questions
        ]
        lengths = [len(models.tokenize_text(tokenizer, prompt)) for prompt in prompts]
        new = int(protocol.decoding.get("max_new_tokens", 64))
        return count_generation(lengths, new, token_budget, scale)
    reply_prefix = models.find_reply_prefix(tokenizer) if protocol.chat else ""
    prefixes = row_tokens = attended = logits = longest_row = longest_prefix = 0
    for group in eval_fewshot.group_by_prefix(questions, exemplars, protocol):
        pairs = [
            pair
            for q in group
            for pair in _tokenize_options(tokenizer, q, exemplars[q.id], protocol, reply_prefix)
        ]
        shared, rows = models.plan_batches(pairs)
        prefixes += shared
        row_tokens += sum(map(len, rows))
        attended += sum(len(row) * (shared + (len(row) + 1) / 2) for row in rows)
        logits += sum(len({at for _, steps in row.targets for at, _ in steps}) for row in rows)
        longest_row = max(longest_row, shared + len(rows[0]))
        longest_prefix = max(longest_prefix, shared)
    tokens = row_tokens * scale + prefixes
    return Work(
        forward_tokens=tokens,
        attended=attended * scale,
        longest_row=longest_row,
        shared_prefix=longest_prefix,
        logit_share=logits * scale / tokens,
    )


def _tokenize_options(
    tokenizer: Any,
    question: Question,
    exemplars: Sequence[Question],
    protocol: eval_fewshot.Protocol,
    reply_prefix: str,
) -> list[models.Pair]:
    """Return what `eval_fewshot.tokenize_options` does, with each option tokenized alone.

    The prompt is long, and tokenizing it again with each option takes most of the time of `plan`.
    Where a tokenizer joins the end of a prompt and an option, the count is off by a token.
    """
    prompt = eval_fewshot.build_prompt(question, exemplars, protocol, tokenizer) + reply_prefix
    context, space = prompt.rstrip(), prompt[len(prompt.rstrip()) :]
    ids = tuple(models.tokenize_text(tokenizer, context))
    texts = eval_fewshot.list_continuations(question, protocol)
    return [
        models.Pair(ids, tuple(tokenizer.encode(space + text, add_special_tokens=False)))
        for text in texts
    ]


def _predict_benchmark(spec: str, design: eval_fewshot.Design) -> Work:
    """Estimate a benchmark that is not local, or has no tokenizer, from its size in sizes.csv."""
    name = data.label(spec)
    if not (size := find_size(spec) or find_size(name)):
        return Work(unknown=(f"{name}: number of questions unknown",))
    count, tokens = min(design.question_limit or size.rows, size.rows), size.tokens
    variants, protocols = len(design.variants), _list_protocols(name, design)
    total = Work(estimates=(f"{name}: {size.describe(count)}",))
    for shots in design.num_shots:
        row, prefix = tokens * (1 + shots), tokens * shots
        for protocol in protocols:
            if protocol.answer_type == "reply":
                new = int(protocol.decoding.get("max_new_tokens", 64))
                total += count_generation([row] * (count * variants), new, design.token_budget)
            else:
                total += Work(
                    forward_tokens=variants * (count * tokens + prefix),
                    attended=variants * count * tokens * (prefix + tokens / 2),
                    longest_row=row,
                    shared_prefix=prefix,
                    logit_share=0.1,
                )
    return dataclasses.replace(total, rows=count)
