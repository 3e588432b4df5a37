"""The settings of step 07: what is rejected, with key and remedy."""

import pytest
from tests.support.toy_policies import toy_settings

from clinical_camel.reward_and_rl.settings import RewardAndRl

PROBLEMS = {
    "methods": (
        {"methods": ["ppo", "reinforce"]},
        'methods[1]: "reinforce" is not one of ppo, rloo, grpo, dpo, grpo_exam_key',
    ),
    "twice": ({"methods": ["ppo", "ppo"]}, 'methods: "ppo" is listed twice; write it once'),
    "rate": (
        {"methods": ["dpo"], "learning_rates": {"ppo": 0.1}},
        "learning_rates.dpo: missing, but methods has dpo; write a number",
    ),
    "ranker": ({"rankers": ["ruel"]}, 'rankers: "ruel" is no ranker; did you mean rule?'),
    "file": (
        {"rankers": ["rule", "people.csv"]},
        'rankers: "people.csv": no such file; write a path from the project root',
    ),
    "adapter": (
        {"adapter": "my/adapter"},
        "adapter: no adapter_model.safetensors in my/adapter; name a folder",
    ),
    "adapter file": (
        {"adapter": "outputs/x/adapter_model.safetensors"},
        "adapter: outputs/x/adapter_model.safetensors is a file; name its folder",
    ),
    "evaluation": (
        {"eval_steps": 100, "rl_steps": 10},
        "eval_steps: 100 is above rl_steps, 10; write less",
    ),
    "reward length": (
        {"reward_max_length": 100},
        "reward_max_length: 100 is below max_prompt_tokens, max_new_tokens together, 144, so that "
        "pairs would be dropped; write a larger number",
    ),
    "budget": (
        {"token_budget": 100},
        "token_budget: 100 is below max_prompt_tokens, max_new_tokens together, 144",
    ),
    "sampling budget": (
        {"sampling_token_budget": 100},
        "sampling_token_budget: 100 is below max_prompt_tokens, max_new_tokens together, 144",
    ),
    "generations": (
        {"num_generations": 1},
        "num_generations: 1 is not allowed; write a number that is 2 or more and at most 1024 "
        "(replies to each prompt of a batch)",
    ),
    "key": (
        {"exam_key": ""},
        "exam_key: empty, but methods has grpo_exam_key; name a set of training questions",
    ),
    "key that is an exam": ({"exam_key": "mini_exam"}, "exam_key: mini_exam is an evaluation set"),
    "prompts": (
        {"prompts": {"mini_triples": 0.0}},
        "prompts: every fraction is 0.0; use a part of at least one dataset",
    ),
    "prompts twice": (
        {"prompts": {"mini_triples": 2.0}},
        "prompts.mini_triples: 2.0 is not allowed",
    ),
    "a file of this step": (
        {"rankers": ["outputs/clinicalgpt_mini/07_reward_and_rl/ranking_sheet.csv"]},
        'rankers: "outputs/clinicalgpt_mini/07_reward_and_rl/ranking_sheet.... is a result of '
        "this step, which replaces it; copy ranking_sheet.csv to a folder outside outputs/",
    ),
    "no KL": (
        {"methods": ["rloo", "dpo"], "kl_coefficient": 0.0},
        "kl_coefficient: 0.0 makes the loss of dpo constant, so that nothing is trained",
    ),
    "part of an epoch": ({"reward_epochs": 1.5}, "reward_epochs: 1.5 is float, not int"),
    "temperature": ({"temperature": 0.0}, "temperature: 0.0 is not allowed; write a number"),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_is_reported_with_key_and_remedy(name, project):
    values, message = PROBLEMS[name]
    problems = RewardAndRl.check(values)
    assert any(problem.startswith(message) for problem in problems), problems


def test_the_published_values_are_allowed():
    """ClinicalGPT: learning rates 2e-5 and 1e-5, 4,000 steps, 3 epochs."""
    values = {
        "model": "bigscience/bloom-7b1",
        "chat_template": "plain",
        "reward_learning_rate": 2.0e-5,
        "reward_epochs": 3,
        "methods": ["ppo"],
        "learning_rates": {"ppo": 1.0e-5},
        "rl_steps": 4000,
        "max_prompt_tokens": 512,
        "max_new_tokens": 512,
        "reward_max_length": 1024,
    }
    assert RewardAndRl.check(values) == []


def test_the_defaults_are_valid_and_the_toy_settings_too():
    assert RewardAndRl.check({}) == []
    assert toy_settings().rl_steps == 4


def test_rloo_may_be_trained_without_a_kl_and_a_file_of_another_step_may_rank():
    rankers = ["rule", "outputs/other/07_reward_and_rl/rankings.csv"]
    assert RewardAndRl.check({"methods": ["rloo"], "kl_coefficient": 0.0, "rankers": rankers}) == []


@pytest.mark.parametrize(
    ("files", "name"),
    [
        (["anna/ranks.csv", "ben/ranks.csv"], "ranks"),
        (["ranks.anna.csv", "ranks.ben.jsonl"], "ranks"),
        (["rule", "people/rule.csv"], "rule"),
    ],
)
def test_two_rankers_of_one_name_are_rejected(files, name, project):
    for file in files:
        project.file(file, "")
    (problem,) = RewardAndRl.check({"rankers": files})
    assert problem.startswith(f"rankers: two of them are called {name} in the tables; give a file")
