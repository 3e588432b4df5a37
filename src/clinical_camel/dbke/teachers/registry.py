"""Load the teacher of given settings."""

from clinical_camel.dbke.synthesis import Teacher
from clinical_camel.dbke.teachers.settings import Local, OpenAI, Replay, TeacherSettings


def load_teacher(settings: TeacherSettings, seed: int = 0) -> Teacher:
    """Load the teacher of these settings; each kind imports only what it needs.

    Raises ValueError if the teacher is not available: no key, no ledger, no such model.
    """
    if isinstance(settings, Local):
        from clinical_camel.dbke.teachers.local import LocalTeacher

        return LocalTeacher(settings, seed)
    if isinstance(settings, OpenAI):
        from clinical_camel.dbke.teachers.openai import OpenAITeacher

        return OpenAITeacher(settings, seed)
    if isinstance(settings, Replay):
        from clinical_camel.dbke.teachers.replay import ReplayTeacher

        return ReplayTeacher(settings)
    from clinical_camel.dbke.teachers.extractive import ExtractiveTeacher

    return ExtractiveTeacher()
