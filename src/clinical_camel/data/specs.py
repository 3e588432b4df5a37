"""Dataset specs as types for settings: which row shape, and whether a model trains on the rows."""

from functools import partial
from typing import Annotated

from pydantic import BeforeValidator

from clinical_camel import data
from clinical_camel.core.settings import Text, valid_by


def _problem(spec: str, shapes: tuple[str, ...], for_training: bool, may_be_empty: bool) -> str:
    if not isinstance(spec, str) or not spec:
        return "" if may_be_empty or not isinstance(spec, str) else "is empty; write a name"
    return "; ".join(data.check_spec(spec, shapes, for_training))


def _valid(*shapes: str, for_training: bool, may_be_empty: bool = False) -> BeforeValidator:
    return valid_by(
        partial(_problem, shapes=shapes, for_training=for_training, may_be_empty=may_be_empty)
    )


ArticleSpec = Annotated[Text, _valid("Article", for_training=True)]
OptionalArticleSpec = Annotated[str, _valid("Article", for_training=True, may_be_empty=True)]
TrainingQuestionSpec = Annotated[Text, _valid("Question", for_training=True)]
OptionalTrainingQuestionSpec = Annotated[
    str, _valid("Question", for_training=True, may_be_empty=True)
]
EvaluationSpec = Annotated[Text, _valid("Question", for_training=False)]
OptionalEvaluationSpec = Annotated[str, _valid("Question", for_training=False, may_be_empty=True)]
MixtureSpec = Annotated[Text, _valid("TrainingText", for_training=True)]
TrainingSourceSpec = Annotated[Text, _valid("TrainingText", "Question", for_training=True)]
ConsultationSpec = Annotated[Text, _valid("Consultation", for_training=False)]
TrainingConsultationSpec = Annotated[Text, _valid("Consultation", for_training=True)]
ConversationSpec = Annotated[Text, _valid("Dialogue", "Consultation", for_training=False)]
