"""What step 08 reads before it loads a model: the cases, and every file of a user.

Models take hours to reply and a judge may cost money, so a wrong file must be an error before both.
"""

import dataclasses

import pandas as pd

from clinical_camel import data
from clinical_camel.core.paths import root
from clinical_camel.eval_replies.cases import Case, make_cases
from clinical_camel.eval_replies.diagnoses import read_references
from clinical_camel.eval_replies.icd import read_diagnoses
from clinical_camel.eval_replies.other_systems import read_replies
from clinical_camel.eval_replies.preference_sheet import read_choices
from clinical_camel.eval_replies.settings import DIAGNOSIS, EvalReplies
from clinical_camel.teachers.judge import load_judge


def load_cases(settings: EvalReplies) -> list[Case]:
    """Return the cases of all three tasks (`make_cases`), if every file of the settings is usable.

    Raises what they raise: `read_replies` for replies of other systems, `read_diagnoses` and
    `read_references` for the records, `read_choices` for sheets of people, `load_judge` for a judge
    that is not available or may not read the questions.
    """
    cases = make_cases(settings)
    for file in settings.other_replies.values():
        read_replies(root() / file, cases)
    records = [dataclasses.asdict(case) for case in cases if case.task == DIAGNOSIS]
    if records or settings.diagnosis_names:
        diagnoses = read_diagnoses(settings.diagnosis_names)
        read_references(diagnoses, pd.DataFrame(records, columns=["corpus", "id", "reference"]))
    read_choices([root() / file for file in settings.human_sheets])
    licences = [data.describe(spec)["licence"] for spec in settings.questions]
    load_judge(settings.judge, None, licences, seed=settings.seed)
    return cases
