"""What a licence and a model's terms rule out before the first request to a language model.

This is not legal advice. The checks stop a run if a licence forbids it in words that a rule can
read.
"""

import re
from collections.abc import Iterable

from clinical_camel.teachers.teacher import Teacher

LLAMA_2 = re.compile(r"llama[-_ ]?2|codellama|vicuna.*1\.5|camel.?(?:13|70)b", re.IGNORECASE)
RESTRICTED = re.compile(
    r"\brestricted\b|credentialed|data use agreement|\bdua\b|physionet", re.IGNORECASE
)


def check_remote(teacher: Teacher, licences: Iterable[str], setting: str = "teacher") -> str:
    """Return why rows under these licences must not reach this teacher; "" if they may.

    Restricted rows (credentialed access, data use agreement) must not leave this machine.
    """
    restricted = sorted({text for text in licences if RESTRICTED.search(text)})
    if teacher.remote and restricted:
        return (
            f"{setting}: rows under {restricted[0]!r} are restricted and must not leave this "
            "machine; write kind: local"
        )
    return ""


def check_terms(teacher: str, terms: str, student: str, setting: str = "teacher") -> str:
    """Return why output of the model `teacher` must not train `student`; "" if it may.

    `setting` is the name of the teacher's setting, for messages.
    """
    end = f"but the student is {student}; choose another {setting} or student"
    if (LLAMA_2.search(teacher) or terms == "llama2") and not LLAMA_2.search(student):
        return (
            f"{setting}.terms: output of {teacher} may improve Llama 2 only (licence, 1.b.v), {end}"
        )
    if terms == "llama3" and "llama" not in student.lower():
        return (
            f"{setting}.terms: a model trained on output of {teacher} must have Llama in its name, "
            f"{end}"
        )
    return ""
