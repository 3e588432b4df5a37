"""Step 07: preference pairs, a reward model, policies trained by PPO and its successors.

    settings         the settings of the step, no torch
    shapes           prompts, replies, rankings, pairs; the type of every reward
    sampling         replies of the SFT model, several per prompt
    rule             the rule that scores a reply against its reference
    preferences      rankings by rule, judge or people; pairs; agreement of rankers
    rankers          every ranker of the settings applied to the same replies
    gold             the gold reward: the rule, or wins by a judge
    reward_model     a base with LoRA and a head; tokens and scores of replies
    reward_training  the reward model trained by TRL
    reward_checks    accuracy on held-out pairs, length bias, calibration
    material         prompts, exams and the exam's key; rewards with the truncation penalty
    rollouts         replies as tokens, and what policy and reference predict at each
    guards           when the training of a policy stops
    ppo              PPO with a value head, ours
    trl_methods      RLOO, GRPO and DPO by TRL
    training         every method with every seed: measured, saved, resumed
    measures         one measurement: held-out rewards, KL, length, entropy, exams
    changes          curves, changes and differences between methods, with intervals
    figures          every measure against steps; rewards against the KL
    summary          what was seen, in sentences

Unusual cases and their handling, each with a test:

    a truncated reply               its reward is lowered and its share reported
    NaN in reward, loss or logits   the training stops with the reason; an adapter with NaN is not
                                    saved
    a KL above its cap              the training stops with the reason
    replies that collapse           the training stops with the reason
    equal rewards of all replies    the training stops with the reason
    a killed run                    resumes from the newest complete checkpoint
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "figures": [
            "plot_measures",
            "plot_reward_log",
            "plot_rewards_against_kl",
            "plot_training_rewards",
        ],
        "gold": ["open_gold"],
        "changes": [
            "compare_methods",
            "compare_parts",
            "compare_with_start",
            "select_examples",
            "tabulate_curves",
        ],
        "material": [
            "Material",
            "load_exam_key",
            "load_exams",
            "load_prompts",
            "make_exam_prompts",
            "tabulate_prompts",
        ],
        "preferences": [
            "choose_held_out",
            "make_pairs",
            "make_ranking_sheet",
            "rank_by_rule",
            "split_pairs",
            "tabulate_agreement",
        ],
        "new_words": ["collect_words"],
        "ppo": ["shape_rewards"],
        "rankers": ["rank_replies"],
        "reward_checks": [
            "describe_scale",
            "measure_calibration_error",
            "measure_length_bias",
            "score_pairs",
            "tabulate_accuracy",
            "tabulate_calibration",
        ],
        "reward_model": [
            "build_reward_model",
            "load_reward_model",
            "make_reward_function",
            "save_reward_model",
        ],
        "reward_training": [
            "delete_checkpoints",
            "make_recipe",
            "tokenize_pairs",
            "train_reward_model",
        ],
        "sampling": [
            "choose_sampling",
            "make_sampling_key",
            "require_fitting_prompts",
            "sample_replies",
        ],
        "settings": ["RewardAndRl"],
        "shapes": ["Prompt", "Reply"],
        "summary": [
            "describe_judge",
            "describe_policies",
            "describe_reward_model",
            "format_agreement",
            "format_comparison",
            "format_methods",
            "format_headline",
        ],
        "training": ["train_policies"],
    },
)
