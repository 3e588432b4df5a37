"""The course's exercises: graders that explain a wrong answer. They need no server and no adapter.

A grader takes what a student wrote, a word, a number or a function, computes the right answer, and
returns a `Feedback`. The exercise sheets in docs/teaching/exercises call one grader per exercise.

    feedback     what a grader returns; how it treats an empty answer and a function that fails
    base_model   the shipped base model answers a few questions
    dialogues    step 01: the linked check, a planted contamination, an article of one's own
    loss_mask    step 02: the size of LoRA, a shifted mask, the BOS token
    exams        step 03: shuffled options, McNemar's test, a rule that reads no question
    notes        step 04: wrong ticks, shared words, a finder of planted errors
    curves       step 05: loss and exam score, the running mean, the drops between epochs
    comparison   step 06: the equivalence margin, the verdict, an interval over seeds
    rewards      step 07: beta, the clipped ratio, a reward that can be hacked
    replies      step 08: outcomes of a diagnosis, the win rate, a reply that fits everywhere
    trust        step 09: is it a leak, the calibration error, a rule that finds contamination
    printed      step 10: which k of n, a broken record, the mark of a value in a recipe
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "comparison": ["grade_margin", "grade_seed_interval", "grade_verdict"],
        "curves": ["grade_epoch_drops", "grade_loss_and_score", "grade_running_mean"],
        "dialogues": ["grade_article", "grade_linked_check", "grade_planted_question"],
        "exams": ["grade_blind_rule", "grade_mcnemar", "grade_shuffled_options"],
        "feedback": ["Feedback", "format_time"],
        "loss_mask": ["grade_bos", "grade_lora_size", "grade_shifted_mask"],
        "notes": ["grade_error_finder", "grade_shared_words", "grade_ticks"],
        "printed": ["grade_broken_records", "grade_counts", "grade_marks"],
        "replies": ["grade_one_reply", "grade_outcomes", "grade_win_rate"],
        "rewards": ["grade_beta", "grade_clipped_objective", "grade_repaired_reward"],
        "trust": ["grade_calibration_error", "grade_leak_rule", "grade_leaks", "list_pairs"],
    },
)
