"""Load the language model of given settings: local, endpoint, or recorded replies."""

from clinical_camel.teachers.settings import Local, OpenAI, Replay
from clinical_camel.teachers.teacher import Teacher


def load_language_model(
    settings: Local | OpenAI | Replay, seed: int = 0, setting: str = "teacher"
) -> Teacher:
    """Load the teacher of these settings; each kind imports only what it needs.

    `setting` is the name of the setting, for messages. Raises ValueError if the teacher is not
    available: no key, no ledger, no such model.
    """
    if isinstance(settings, Local):
        from clinical_camel.teachers.local import LocalTeacher

        return LocalTeacher(settings, seed)
    if isinstance(settings, OpenAI):
        from clinical_camel.teachers.openai import OpenAITeacher

        return OpenAITeacher(settings, seed, setting)
    from clinical_camel.teachers.replay import ReplayTeacher

    return ReplayTeacher(settings, setting)
