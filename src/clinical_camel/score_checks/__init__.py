"""Step 09: can you trust the score? Checks on the answers of step 03, without a model.

settings       which answers, and in which training texts their exam is searched for
exam           what step 03 wrote, with its questions
variants       what a change of the questions does to the score
contamination  exam questions that occur in training data; scores without them
planted        the exercise: which copies of a question does the search find?
calibration    how often a model is correct when it is so sure
subgroups      scores by subject, length and suspected image
figures        the reliability diagram
summary        what was seen, in sentences
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "calibration": ["compute_calibration"],
        "contamination": [
            "compute_clean_scores",
            "count_overlaps",
            "format_clean_scores",
            "format_closest_pairs",
        ],
        "exam": ["Exam", "read_exam"],
        "figures": ["plot_calibration"],
        "planted": ["format_copies", "grade_predictions", "plant_copies"],
        "settings": ["ScoreChecks"],
        "subgroups": ["compute_subgroup_scores", "describe_images", "format_subgroups"],
        "summary": ["describe_checks", "format_headline"],
        "variants": ["describe_variants"],
    },
)
