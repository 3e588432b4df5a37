"""Dataset specs as types for settings: which row shape, and whether the rows are trained on."""

from functools import partial
from typing import Annotated

from clinical_camel import data
from clinical_camel.core.settings import Text, valid_by


def _problem(spec: str, shapes: tuple[str, ...], learn: bool, may_be_empty: bool = False) -> str:
    if not isinstance(spec, str) or not spec:
        return "" if may_be_empty or not isinstance(spec, str) else "is empty; write a name"
    return data.spec_problem(spec, shapes, learn)


def _valid(*shapes: str, learn: bool, may_be_empty: bool = False):
    return valid_by(partial(_problem, shapes=shapes, learn=learn, may_be_empty=may_be_empty))


ArticleSpec = Annotated[Text, _valid("Article", learn=True)]
TrainingQuestionSpec = Annotated[Text, _valid("Question", learn=True)]
OptionalTrainingQuestionSpec = Annotated[str, _valid("Question", learn=True, may_be_empty=True)]
EvaluationSpec = Annotated[Text, _valid("Question", learn=False)]
MixtureSpec = Annotated[Text, _valid("Dialogue", "Article", learn=True)]
TrainingSourceSpec = Annotated[Text, _valid("Dialogue", "Article", "Question", learn=True)]
ConsultationSpec = Annotated[Text, _valid("Consultation", learn=False)]
TrainingConsultationSpec = Annotated[Text, _valid("Consultation", learn=True)]
