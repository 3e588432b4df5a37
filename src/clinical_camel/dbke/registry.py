"""Load the teacher of step 01: rules, or a language model."""

from clinical_camel.dbke.settings import Extractive, TeacherSettings
from clinical_camel.teachers.registry import load_language_model
from clinical_camel.teachers.teacher import Teacher


def load_teacher(settings: TeacherSettings, seed: int = 0) -> Teacher:
    """Load the teacher of these settings; each kind imports only what it needs.

    Raises ValueError if the teacher is not available: no key, no ledger, no such model.
    """
    if isinstance(settings, Extractive):
        from clinical_camel.dbke.extractive import ExtractiveTeacher

        return ExtractiveTeacher()
    return load_language_model(settings, seed)
