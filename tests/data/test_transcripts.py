"""Tests of data.transcripts: speakers, times and cue numbers are read or refused."""

import pytest

from clinical_camel.data.transcripts import read_turns

ZOOM = """WEBVTT

1
00:00:01.000 --> 00:00:04.000
Dr Lane: What brings you in?

2
00:00:12.100 --> 00:00:13.000
Mrs Holt: My toe
"""
TEAMS = """WEBVTT

NOTE recorded on Monday
by nobody

8f-1
00:00:01.000 --> 00:00:04.000 align:start
<v Dr Lane>What brings</v>

8f-2
00:00:04.000 --> 00:00:05.000
<v Dr Lane>you in?</v> <v Mrs Holt>My <i>toe</i></v>
"""
SRT = """1
00:00:01,000 --> 00:00:04,000
Dr Lane: What brings
you in?
2
00:00:05,000 --> 00:00:06,000
- Mrs Holt: My toe
"""
OTTER = "Dr Lane  0:03\nWhat brings\nyou in?\n\nMrs Holt  1:00:07\nMy toe\n"
ZOOM_TEXT = "[Dr Lane] 10:02:03\nWhat brings you in?\n[Mrs Holt] 10:02:05\nMy toe\n"
STAMPED = "[00:01:02] Dr Lane: What brings\n[00:01:03] you in?\n00:01:04 Mrs Holt: My toe\n"
DATED = "[03/05/2024, 10:02:11] Dr Lane: What brings you in?\n03/05/24, 10:02 - Mrs Holt: My toe"
AFTER = "Dr Lane (10:02): What brings you in?\nMrs Holt [00:01:03]: My toe"
LINE = "Dr Lane: What brings you in? Mrs Holt: My toe"
ALONE = "0:00\nDr Lane: What brings you in?\n0:05\nMrs Holt: My toe"
NUMBERED = "1. Dr Lane: What brings you in?\n2. Mrs Holt: My toe"
QUOTED = '"Dr Lane: What brings you in?\n"Mrs Holt: My toe'
ARROWS = ">> Dr Lane: What brings\nyou in?\n>> Mrs Holt: My toe"
SECONDS = "[0.5s - 3s] Dr Lane: What brings you in?\n[4 s] Mrs Holt: My toe [9s]"
PLAY = "DR LANE\nWhat brings you in?\nMRS HOLT\nMy toe"
BOLD = "**Dr Lane:** What brings you in?\n**Mrs Holt:** My toe"
WHISPER = "[00:00.000 --> 00:04.000] Dr Lane: What brings you in?\n[00:04.000 --> 00:06.000] "
WHISPER += "Mrs Holt: My toe"
SPELLED = "Dr Lane   0 minutes 3 seconds\nWhat brings you in?\nMrs Holt   1 hour 7 seconds\nMy toe"
BOLD_TIME = "**Dr Lane** 0:03\nWhat brings you in?\n\n**Mrs Holt** 0:07\nMy toe"
DASH_TIME = "Dr Lane – 00:03\nWhat brings you in?\nMrs Holt – 00:07\nMy toe"
CHAT = "10:02:03 From Dr Lane to Everyone:\n\tWhat brings you in?\n10:02:10 From  Mrs Holt : My toe"
ISO = "2024-05-03T10:02:11Z Dr Lane: What brings you in?\n2024-05-03T10:02:15Z Mrs Holt: My toe"
FORMS = [WHISPER, SPELLED, BOLD_TIME, DASH_TIME, DASH_TIME.replace("–", "-")]
FORMS += ["\u200e" + AFTER + "\n***", "<Dr Lane>What brings you in?</Dr>\n<Mrs Holt>My toe</Mrs>"]
FORMS += [CHAT, ISO, ZOOM, TEAMS, SRT, OTTER, ZOOM_TEXT, STAMPED, DATED, AFTER, LINE, ALONE]
FORMS += [NUMBERED, BOLD, QUOTED, ARROWS, SECONDS]


def pairs(transcript):
    return [(turn.speaker, turn.text) for turn in read_turns(transcript)]


@pytest.mark.parametrize("transcript", FORMS)
def test_every_form_gives_the_same_turns(transcript):
    expected = [("Dr Lane", "What brings you in?"), ("Mrs Holt", "My toe")]
    assert pairs(transcript) == expected
    assert pairs(transcript.replace("\n", "\r\n")) == expected
    assert pairs("\ufeff" + transcript) == expected


NAMES = """
Doctor | DOCTOR | Dr. Smith | Dr. van der Berg | Dr. J. O'Neill-Smith | Patient 1 | SPEAKER_00
Mother (Anna Holt) | Interpreter (Polish) | Patient's mother | Nurse Kelly | Anna Holt
anna (patient) | Holt, Anna | Dr.Smith | Dr. med. Anna Holt
"""


@pytest.mark.parametrize(
    ("line", "speaker"),
    [
        *((f"{name}: x", name) for name in NAMES.strip().replace("\n", " | ").split(" | ")),
        ("doctor : x", "doctor"),
        ("D: x", "Doctor"),
        ("P: x", "Patient"),
        ("Pt.: x", "Patient"),
        ("[doctor] x", "doctor"),
        ("[patient_guest] x", "patient_guest"),
        ("[Anna]: x", "Anna"),
        ("DOCTOR - x", "DOCTOR"),
        ("PATIENT – x", "PATIENT"),
        ("Nurse\tx", "Nurse"),
        ("医生：x", "医生"),
        ("{doctor} x", "doctor"),
        ("NURSE | x", "NURSE"),
        ("-Doctor: x", "Doctor"),
    ],
)
def test_a_speaker_is_the_name_as_written(line, speaker):
    assert pairs(f"Guest: a\n{line}\n") == [("Guest", "a"), (speaker, "x")]


def test_a_name_alone_on_a_line_begins_a_turn_as_in_a_play():
    assert pairs(PLAY) == [("DR LANE", "What brings you in?"), ("MRS HOLT", "My toe")]
    names = "Anna Holt\na\nBen Lane\nb\nAnna Holt\nc\nBen Lane\nYes"
    assert pairs(names)[1] == ("Ben Lane", "b")


def test_a_name_in_lower_case_is_a_speaker_if_it_returns():
    assert pairs("anna: a\nben: b\nanna: c\nben: d")[0] == ("anna", "a")


@pytest.mark.parametrize(
    "line",
    [
        "and then it was gone.",
        "I took two things: aspirin and tea.",
        "[coughs]",
        "[laughs] sorry",
        "It began at 10:30 this morning.",
        "The ratio was 3:1.",
        "120/80",
        "2 of 3",
        "see https://example.org",
        "I told the patient: rest.",
    ],
)
def test_a_line_without_a_speaker_continues_the_turn(line):
    assert pairs(f"Doctor: a\nPatient: b\n{line}") == [("Doctor", "a"), ("Patient", f"b {line}")]


def test_a_time_after_a_name_with_a_colon_is_said():
    assert pairs("Doctor: 12:30?\nPatient: No.") == [("Doctor", "12:30?"), ("Patient", "No.")]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("4", "is only a number"),
        ("- 2 -", "is no speech; delete it"),
        ("Page 2 of 3", "is no speech; delete it"),
        ("[End of recording 00:12:33]", "is no speech; delete it"),
        ("Transcribed by https://otter.ai", "is no speech; delete it"),
        ("12:30 was when it began", "begins with a time"),
        ("00:01 -> 00:04", "begins with a time"),
        ("0:00:01.000,0:00:04.000", "begins with a time"),
        ("00:00:01 --> later", "has the arrow of a cue"),
        ("Fever: none", "begins with 'Fever', which may be a speaker or not"),
        ("Monday: rest", "begins with 'Monday', which may be a speaker or not"),
        ("Date: 3 May", "begins with 'Date', which may be a speaker or not"),
        ("Medications: aspirin", "begins with 'Medications', which may be a speaker or not"),
        ("my mother: she died", "begins with 'my mother', which may be a speaker or not"),
        ("Mother said: yes", "begins with 'Mother said', which may be a speaker or not"),
        ("[Anna] hello", "begins with 'Anna', which may be a speaker or not"),
        ("Mother - she died", "begins with 'Mother', which may be a speaker or not"),
        ("[3] tablets", "begins with a number in brackets"),
        ("00m12s Doctor: hi", "has a second speaker"),
        ("Mother", "begins with 'Mother', which may be a speaker or not"),
        ("Well, I mean: yes", "begins with 'Well, I mean', which may be a speaker or not"),
        ("Around 3:30", "begins with 'Around', which may be a speaker or not"),
        ("I said so Patient: no", "has a second speaker; begin a new line there"),
    ],
)
def test_a_line_that_may_be_more_than_speech_is_refused_with_its_number(line, problem):
    with pytest.raises(ValueError, match=r"transcript line 3 \(") as caught:
        read_turns(f"Doctor: a\nPatient: b\n{line}\nDoctor: c")
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("transcript", "problem"),
    [
        (
            "Visit of May\nDoctor: a\nPatient: b",
            r"line 1 \('Visit of May'\) comes before any speaker",
        ),
        (
            "Doctor: Any fever?\nNo.\nDoctor: Good.",
            "only Doctor speaks; begin each line of somebody",
        ),
        (
            "WEBVTT\n\n00:01.000 --> 00:02.000\n<v Dr Lane>Hi</v>\n\n00:03.000 --> 00:04.000\nNo.",
            r"line 7 \('No.'\) has no speaker, but other cues have <v Name>",
        ),
        (
            SRT.replace("00:00:05,000", "00:00:00,900"),
            r"line 6 \(.*\) is earlier than the cue above; put the cues in order",
        ),
        ("no speaker\nat all", 'no line that begins with a speaker, as in "Doctor: ..."'),
        ("WEBVTT\n\n00:01.000 --> 00:04.000\nHello", "no line that begins with a speaker"),
        (
            "WEBVTT\n\n00:01.000 --> 00:04.000\nDoctor: a\n\nPatient: b",
            r"line 6 \('Patient: b'\) is no part of a cue",
        ),
        (
            "WEBVTT\n\n00:01.000 --> 00:04.000\nHi\n\n00:05.000 --> 00:06.000\nDoctor: b",
            r"line 4 \('Hi'\) comes before any speaker",
        ),
    ],
)
def test_words_without_a_speaker_are_refused(transcript, problem):
    with pytest.raises(ValueError, match=problem):
        read_turns(transcript)
