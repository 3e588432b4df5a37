"""Tests of what steps 07 and 08 are estimated to need."""

import dataclasses

import pytest

from clinical_camel import models
from clinical_camel.data import DataError
from clinical_camel.estimate import costs, memory, policies
from clinical_camel.estimate.shapes import find_base
from clinical_camel.estimate.speed import MACHINES
from clinical_camel.eval_replies.settings import EvalReplies
from clinical_camel.reward_and_rl.settings import METHODS, RewardAndRl
from clinical_camel.runner.jobs import Job, PlanError, load_job


@pytest.fixture(scope="module")
def tokenizer():
    return models.load_tokenizer("mini")


def count(tokenizer, **changes):
    fast = {"prompts": {"mini_triples": 0.05}, "seeds": [0], "eval_limit": 4, "exam": ""}
    fast |= {"rl_steps": 20, "eval_steps": 10, "prompts_per_step": 8, "max_new_tokens": 40}
    fast |= {"token_budget": 16384}
    return policies.count_policies(RewardAndRl(**fast | {"primer_exam": ""} | changes), tokenizer)


def test_each_method_adds_the_work_of_its_batches(tokenizer):
    """20 steps of 8 prompts with 4 replies; a measurement after 10 and 20 steps."""
    works = {name: count(tokenizer, methods=[name]) for name in METHODS}
    batches = {name: work.batches - works["dpo"].batches for name, work in works.items()}
    assert batches == {"ppo": 20, "rloo": 0, "grpo": 0, "dpo": 0, "grpo_exam_key": 0}
    written = {n: w.generated_tokens - works["dpo"].generated_tokens for n, w in works.items()}
    assert set(written.values()) == {0, 20 * 32 * 40}
    assert written["dpo"] == 0
    tokens = {name: work.tokens for name, work in works.items()}
    assert tokens["ppo"] > tokens["rloo"] == tokens["grpo"] > tokens["grpo_exam_key"]
    both = count(tokenizer, methods=["ppo", "dpo"])
    assert both.batches == works["ppo"].batches + 20


def test_twice_the_seeds_are_twice_the_trainings_with_one_reward_model(tokenizer):
    one, two, three = (count(tokenizer, seeds=list(range(n))) for n in (1, 2, 3))
    assert three.batches - two.batches == two.batches - one.batches == 20 * 6
    assert three.decode_steps - two.decode_steps == two.decode_steps - one.decode_steps > 0


def test_a_batch_above_the_token_budget_is_computed_in_parts():
    settings = RewardAndRl(token_budget=600)
    assert policies.count_part(settings) == 600 // (96 + 32)
    whole = RewardAndRl(token_budget=16384)
    assert policies.count_part(whole) == whole.prompts_per_step * whole.num_generations


def test_the_replies_of_a_step_are_sampled_in_their_own_budget_and_by_trl_at_once(tokenizer):
    """64 replies of 96 + 48 tokens: 16 at a time in 2,304 tokens, so four times the steps."""
    settings = {"prompts_per_step": 16, "num_generations": 4, "rl_steps": 20, "eval_steps": 20}
    steps = {
        (method, budget): count(
            tokenizer, methods=[method], sampling_token_budget=budget, max_new_tokens=48, **settings
        ).decode_steps
        - count(
            tokenizer, methods=["dpo"], sampling_token_budget=budget, max_new_tokens=48, **settings
        ).decode_steps
        for method in ("ppo", "rloo")
        for budget in (2304, 16384)
    }
    assert steps["ppo", 2304] == 4 * steps["ppo", 16384] == 4 * 20 * 48
    assert steps["rloo", 2304] == steps["rloo", 16384] == 20 * 48


def test_prompts_of_unknown_size_are_named_and_not_counted(tokenizer):
    work = count(tokenizer, prompts={"mini_triples": 0.05, "outputs/other/x.jsonl": 1.0})
    assert work.unknown == ("x: not on this machine, size unknown, not counted",)


def test_articles_are_no_prompts_and_the_plan_names_them(tokenizer):
    for prompts in ({"mini_articles": 1.0}, {"mini_triples": 0.05, "mini_articles": 1.0}):
        with pytest.raises(DataError, match="prompts: mini_articles: .* is an article; a prompt"):
            count(tokenizer, prompts=prompts)


def test_memory_has_a_base_for_the_policy_and_one_for_the_reward_model(tokenizer):
    settings, machine = RewardAndRl(), MACHINES["cpu"]
    base, work = find_base("mini"), count(tokenizer)
    parts = policies.estimate_policy_memory(base, settings, work, machine)
    weights = sum(memory.estimate_weights(base, "nf4", machine.number_size).values())
    assert parts["reward model"] > weights
    assert parts["reference adapter"] == parts["LoRA weights"]
    assert parts["value head"] > 0
    without = RewardAndRl(methods=["dpo"])
    assert policies.estimate_policy_memory(base, without, work, machine)["value head"] == 0


def test_memory_is_that_of_the_generation_where_it_needs_more(tokenizer):
    base, machine, work = find_base("mini"), MACHINES["cpu"], count(tokenizer)
    few, many = (
        policies.estimate_policy_memory(base, RewardAndRl(sampling_token_budget=n), work, machine)
        for n in (256, 400_000)
    )
    assert "key-value cache" not in few
    assert many["key-value cache"] == 400_000 * base.cache_values * machine.number_size
    assert sum(many.values()) > sum(few.values())


def test_the_memory_of_sampled_replies_counts_batches_at_once_and_steps_of_trl(tokenizer):
    base, work = find_base("mini"), count(tokenizer)
    machine = dataclasses.replace(MACHINES["cpu"], batches_at_once=1)
    twice = dataclasses.replace(machine, batches_at_once=2)

    def cache(on, **changed):
        settings = RewardAndRl(token_budget=256, **changed)
        return policies.estimate_policy_memory(base, settings, work, on)["key-value cache"]

    large = {"methods": ["ppo"], "sampling_token_budget": 400_000}
    assert cache(twice, **large) == 2 * cache(machine, **large)
    small = {"sampling_token_budget": 256, "prompts_per_step": 1000, "num_generations": 4}
    one = cache(machine, methods=["rloo"], **small)
    assert one == 4000 * work.longest_row * base.cache_values * machine.number_size
    assert cache(twice, methods=["rloo"], **small) == one


def test_a_judge_that_gives_the_gold_reward_stays_in_memory_and_its_requests_are_named(tokenizer):
    local = {"kind": "local", "model": "Qwen/Qwen2.5-7B-Instruct", "quantize": "nf4"}
    local |= {"terms": "open"}
    base, machine = find_base("mini"), MACHINES["h100"]
    ranks, gives = (
        RewardAndRl(rankers=["judge"], judge=local, gold=gold, seeds=[0, 1], methods=["ppo"])
        for gold in ("rule", "judge")
    )
    work = count(tokenizer)
    assert policies.estimate_policy_memory(base, ranks, work, machine)["judge"] == 0
    parts = policies.estimate_policy_memory(base, gives, work, machine)
    assert parts["judge"] > 7.0e9 / 2
    prompts, held_out = work.rows, round(0.2 * work.rows)
    for gold, wins in (("rule", 0), ("judge", 2 * 3 * min(4, held_out))):
        counted = count(
            tokenizer, rankers=["judge"], judge=local, gold=gold, seeds=[0, 1], methods=["ppo"]
        )
        requests = 2 * (6 * prompts + wins)
        assert f"judge: at most {requests:,} requests" in counted.estimates


def test_the_requests_to_a_judge_on_this_machine_are_counted_and_those_to_an_endpoint_named(
    tokenizer,
):
    local = {"kind": "local", "model": "mini", "terms": "own", "max_new_tokens": 200}
    settings = {"rankers": ["judge"], "methods": ["ppo"], "max_new_tokens": 40}
    settings |= {"prompts": {"mini_triples": 0.05}}
    done = count(tokenizer, judge=local, **settings)
    few, many = (
        policies.count_judge(RewardAndRl(judge=local | {"token_budget": budget}, **settings), done)
        for budget in (2000, 200_000)
    )
    requests = 2 * 6 * done.rows
    assert few.generated_tokens == many.generated_tokens == 200 * requests
    assert few.forward_tokens > requests * (2 * 40 + policies.JUDGE_TOKENS)
    assert few.decode_steps > 20 * many.decode_steps > 0
    assert policies.count_judge(RewardAndRl(), done).decode_steps == 0
    remote = {"kind": "openai", "model": "a", "base_url": "http://localhost/v1", "terms": "own"}
    named = count(tokenizer, judge=remote | {"money_cap": 0.0}, **settings)
    assert f"judge: at most {requests:,} requests, not counted in the time" in named.estimates


def test_the_time_of_a_judge_is_its_own():
    job = load_job("clinicalgpt_mini", "07_reward_and_rl")
    local = {"kind": "local", "model": "mini", "terms": "own"}
    judged = Job(job.study, job.step, job.params | {"judge": local}, job.inputs)
    assert costs.estimate_step(judged).seconds["judge"] > 0
    assert "judge" not in costs.estimate_step(job).seconds


def test_a_judge_writes_its_verdicts_while_no_policy_is_trained(tokenizer):
    local = {"kind": "local", "model": "Qwen/Qwen2.5-7B-Instruct", "quantize": "nf4"}
    base, machine, work = find_base("mini"), MACHINES["h100"], count(tokenizer)
    few, many = (
        policies.estimate_policy_memory(
            base,
            RewardAndRl(judge=local | {"terms": "open", "token_budget": n}, gold="judge"),
            work,
            machine,
        )
        for n in (4096, 262_144)
    )
    assert few["judge"] == many["judge"]
    size = find_base("Qwen/Qwen2.5-7B-Instruct").cache_values * machine.number_size
    assert many["key-value cache"] == 262_144 * size


def test_every_adapter_writes_every_reply(tokenizer):
    one, two = (
        policies.count_replies(
            EvalReplies(adapters=adapters, baseline="base", case_limit=5), tokenizer, 2048
        )
        for adapters in ({"base": ""}, {"base": "", "sft": "outputs/a/02_sft_qlora/adapter"})
    )
    assert one.rows == two.rows
    assert two.generated_tokens == 2 * one.generated_tokens == 2 * 96 * one.rows


def test_all_replies_of_a_consultation_are_more_than_its_last(tokenizer):
    last, every = (
        policies.count_replies(EvalReplies(case_limit=3, reply_turns=turns), tokenizer, 2048).rows
        for turns in ("last", "all")
    )
    assert every > last


def test_the_requests_of_a_language_model_as_judge_are_named(tokenizer):
    judge = {"kind": "local", "model": "mini", "terms": "own"}
    settings = EvalReplies(case_limit=3, judge=judge)
    work = policies.count_replies(settings, tokenizer, 2048)
    assert "judge: at most 12 requests, two for each pair of answers" in work.estimates


def test_a_policy_has_the_adapter_of_its_sft_model():
    base = find_base("mini")
    sft, policy = (
        costs.count_lora_weights({"tuned": f"outputs/clinicalgpt_mini/{place}/adapter"}, base)
        for place in ("02_sft_qlora", "07_reward_and_rl/policies/ppo_0")
    )
    assert sft == policy > 0


def test_a_judge_of_unknown_shape_is_named_by_its_own_setting():
    with pytest.raises(PlanError, match=r"judge\.model: the shape of nobody/nothing is unknown"):
        find_base("nobody/nothing", key="judge.model")


def test_the_judge_of_clinicalgpt_7b_fits_beside_the_policies_and_takes_less_than_a_day():
    cost = costs.estimate_step(load_job("clinicalgpt_7b", "07_reward_and_rl"))
    assert sum(cost.memory.values()) < 0.9 * MACHINES["h100"].memory
    assert 3600 < cost.seconds["judge"] < 24 * 3600
