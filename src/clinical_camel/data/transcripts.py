"""Read a user's transcript of a visit: plain lines, WebVTT, SRT, exports of meeting software.

A line that looks like a speaker, a time or a cue number is read as one or rejected with its number,
never joined to what somebody said: "4 00:00:12.100" in a turn would become a finding.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby

from clinical_camel.data.shapes import Turn
from clinical_camel.data.texts import INVISIBLE

# first words of a speaker's name, in lower case
_PEOPLE = """
    d dr doc doctor docteur arzt ärztin gp physician clinician consultant surgeon registrar
    resident intern student nurse midwife pharmacist therapist physiotherapist psychologist
    paramedic p pt patient client caller mr mrs ms miss mx prof professor mother father mum mom
    dad parent guardian carer caregiver husband wife partner spouse son daughter brother sister
    aunt uncle grandmother grandfather grandma grandpa friend relative family visitor guest
    interpreter translator chaperone receptionist speaker spk person unknown interviewer
    interviewee other
"""
PEOPLE = frozenset(_PEOPLE.split())
_PARTICLES = """
    of the and med de del der di du la le van von den ten bin al el & s
"""
PARTICLES = frozenset(_PARTICLES.split())
SHORT_NAMES = {"d": "Doctor", "p": "Patient", "pt": "Patient"}
# words before a colon that are a heading or begin a sentence
_NO_SPEAKERS = """
    yes no well so ok okay right and but also then now first second third finally note notes nb
    ps date time place location subject title topic duration recorded recording transcript
    summary medication medications meds allergy allergies history assessment plan diagnosis exam
    examination findings impression vitals bp hr rr temp temperature pulse weight height labs
    results symptoms problem problems question answer example reason address phone http https
"""
NO_SPEAKERS = frozenset(_NO_SPEAKERS.split())
# first words of a remark in brackets
_SOUNDS = """
    laugh laughs laughing laughter cough coughs coughing sigh sighs sighing cry cries crying sob
    sobs pause pauses silence inaudible unclear unintelligible crosstalk overlapping noise music
    applause door phone nod nods nodding sneeze sneezes breathing breathes whisper whispers
    typing background foreign long short points pointing shakes looks sound
"""
SOUNDS = frozenset(_SOUNDS.split())

_DAY = r"(?:\d{1,4}[./-]\d{1,2}[./-]\d{1,4},?[T\s]\s*)?"
_HALF = r"(?:\s?[AaPp]\.?[Mm]\.?|Z)?"
_CLOCK = rf"{_DAY}\d{{1,2}}:\d{{2}}(?::\d{{2}}){{0,2}}(?:[.,]\d{{1,3}})?(?!:?\d){_HALF}"
_CUE_TIME = re.compile(rf"\s*{_CLOCK}\s*-->\s*{_CLOCK}(?:\s.*)?$")
_SPAN = rf"{_CLOCK}(?:\s*(?:-->|[-\u2013])\s*{_CLOCK})?"
_SECONDS = r"(?:\d+\s?m(?:in)?\s?)?\d+(?:\.\d+)?\s?s(?:ec)?"
_MARK = rf"(?:{_SPAN}|{_SECONDS}(?:\s*[-\u2013]\s*{_SECONDS})?)"
_BRACKETED_TIME = re.compile(rf"\s*(?:\[\s*{_MARK}\s*\]|\(\s*{_MARK}\s*\)|<\s*{_MARK}\s*>)")
_LATER_TIME = re.compile(rf"\s*[\[<]\s*{_MARK}\s*[\]>]")
_BARE_TIME = re.compile(rf"\s*{_SPAN}(?=[\s,;-]|$)")
_SEPARATOR = re.compile(r"\s*[-:\u2013|,;]*\s*")
_LIST_MARK = re.compile(r"\s*(?:\d{1,4}[.)]\s+|[-\u2022>*#~\"'\u201c]+\s*)?")
_WORD = r"[^\W\d_][\w.'\u2019/-]*"
_NOTE = r"(?P<note>\s*[(\[][^()\[\]\n:]{1,60}[)\]])?"
_SPELLED = r"\d+ (?:hours?|minutes?|seconds?)"  # of Teams: 1 minute 3 seconds
_NAME = rf"(?P<name>{_WORD}(?:,? +(?!\d+:\d|{_SPELLED})(?:[\w.'\u2019/-]+|&)){{0,4}}){_NOTE}"
_TIME_NOTE = (
    rf"(?:\**[\s,|\u2013\u2014-]*(?:[(\[]?\s*{_CLOCK}\s*[)\]]?|{_SPELLED}(?: {_SPELLED}){{0,2}}))"
)
_COLON = re.compile(rf"\**{_NAME}{_TIME_NOTE}?\s*\**\s*[:\uff1a]\**(?!//)")
_BRACKETS = re.compile(rf"[\[<({{]{_NAME}[\])>}}](?P<colon>\s*[:\uff1a])?")
_DASH = re.compile(rf"{_NAME}(?:\s+[-\u2013\u2014>=|]|[>|]|\t)")
_ALONE = re.compile(rf"{_NAME}\s*$")
_NAME_AND_TIME = re.compile(rf"\**{_NAME}{_TIME_NOTE}\s*$")
_VOICE = re.compile(r"<v(?:\.[\w.-]+)?\s+(?P<name>[^<>]+)>", re.IGNORECASE)
_CUE_TAG = re.compile(
    rf"</?(?:v|c|i|b|u|ruby|rt|lang)(?:[.\s][^<>]*)?>|<{_CLOCK}>|</?font[^<>]*>|\{{\\an\d\}}",
    re.IGNORECASE,
)
_CHAT = re.compile(r"^From\s+(.+?)(?:\s+to\s+[^:]+)?\s*:", re.IGNORECASE)  # of Zoom
_NUMBER = re.compile(r"\s*#?\d{1,5}[.)]?\s*$")
_BRACKETED_NUMBER = re.compile(r"\s*[\[(]\s*#?\d+(?:\.\d+)?\s*[\])]")
_CAPTION_BLOCK = re.compile(r"(?:WEBVTT|NOTE|STYLE|REGION)(?:\s|$)")
_NO_SPEECH = re.compile(  # of a page or of the software: "- 2 -", "Page 2 of 3"
    r"\W*page\s\d+\W*(?:(?:of|/)\s*\d+\W*)?$|\s*[-\u2013\u2014]\s*\d+\s*[-\u2013\u2014]\s*$"
    rf"|\s*[\[(][^\])]*{_CLOCK}[^\])]*[\])]\W*$"
    r"|\W*(?:transcribed|transcript|transcription|recorded)\s(?:by|with|of)\b",
    re.IGNORECASE,
)
_END_TAG = re.compile(r"</[^<>\s]+>\s*$")
_FULL_NAME = re.compile(_NAME)

Part = tuple[str, str]  # speaker ("" continues the last one) and what is said


def read_turns(transcript: str) -> list[Turn]:
    """Return the turns of a transcript; each begins with its speaker.

    Read are `Doctor: ...`, `Dr. Smith: ...`, `D: ...`, `Mother (Anna Holt): ...`, `[doctor] ...`,
    `DOCTOR - ...`, times before or after the name, a name with its time on a line of its own, and
    the cues of WebVTT and SRT with `<v Name>` or `Name:`. A line without a speaker continues the
    turn, so does a remark such as [coughs]. The speaker is the name as written; D and P become
    Doctor and Patient.

    Raises ValueError with the line of the transcript: nobody speaks yet, a name that may be none, a
    time or a number that is no part of a cue, a cue before that above it; and if one person speaks
    more than once, but nobody else does.

    >>> read_turns("Doctor: Any fever?\\nMother (Anna Holt): No,\\nnot now.")[1]
    Turn(speaker='Mother (Anna Holt)', text='No, not now.')
    """
    lines = INVISIBLE.sub("", transcript).splitlines()
    has_cues = any(_CUE_TIME.match(line) for line in lines)
    read = list(_read_cues(lines) if has_cues else _read_lines(lines))
    if not any(speaker for _, _, parts in read for speaker, _ in parts):
        raise ValueError('transcript has no line that begins with a speaker, as in "Doctor: ..."')
    spoken: list[tuple[str, list[str]]] = []
    for number, line, parts in read:
        for speaker, text in parts:
            if speaker:
                spoken.append((speaker, [text]))
            elif spoken:
                spoken[-1][1].append(text)
            elif text.strip():
                raise _problem(number, line, 'comes before any speaker; begin it as in "Doctor:"')
    if not has_cues:
        _require_no_headings(read)
    else:  # a cue is as long as a line on a screen: cues of one speaker are one turn
        spoken = [
            (speaker, [text for _, texts in group for text in texts])
            for speaker, group in groupby(spoken, key=lambda pair: pair[0])
        ]
    turns = join_turns(spoken)
    if len(turns) > 1 and len({turn.speaker for turn in turns}) == 1:
        name = turns[0].speaker
        raise ValueError(f"only {name} speaks; begin each line of somebody else with the name")
    return turns


def join_turns(spoken: Iterable[tuple[str, list[str]]]) -> list[Turn]:
    """Return (speaker, lines) as turns with single spaces; those without a word are left out."""
    turns = [Turn(speaker=who, text=" ".join(" ".join(lines).split())) for who, lines in spoken]
    return [turn for turn in turns if re.search(r"\w", turn.text)]


def _problem(number: int, line: str, what: str) -> ValueError:
    shown = line.strip() if len(line.strip()) <= 50 else f"{line.strip()[:47]}..."
    return ValueError(f"transcript line {number} ({shown!r}) {what}")


def _unclear(number: int, line: str, name: str) -> ValueError:
    remedy = "join it to the line before, or write the speaker as in 'Doctor:' or 'Anna (patient):'"
    return _problem(number, line, f"begins with {name!r}, which may be a speaker or not; {remedy}")


def _require_no_headings(read: list[tuple[int, str, list[Part]]]) -> None:
    """Raise ValueError for one word that speaks once, as in "Fever: none", among sure speakers."""
    counts = Counter(speaker for _, _, parts in read for speaker, _ in parts if speaker)
    sure = {name for name, count in counts.items() if count > 1 or _is_person(name)}
    for number, line, parts in read if len(sure) > 1 else ():
        for name in {speaker for speaker, _ in parts} - sure:
            if re.fullmatch(r"[A-Z][a-z]+", name):
                raise _unclear(number, line, name)


def _read_cues(lines: list[str]) -> Iterator[tuple[int, str, list[Part]]]:
    """Yield each line of the cues with its parts; headers, numbers and times are left out."""
    in_cue = skipping = in_voice = False
    closes, start = any("</v>" in line for line in lines), 0.0
    repeated = _find_repeated(lines)
    for number, line in enumerate(lines, 1):
        following = lines[number] if number < len(lines) else ""
        if not line.strip():
            in_cue = skipping = False
        elif _CUE_TIME.match(line):
            in_cue, skipping = True, False
            before, start = start, _read_seconds(line)
            if start < before:
                raise _problem(number, line, "is earlier than the cue above; put the cues in order")
        elif skipping or (not in_cue and _CAPTION_BLOCK.match(line)):
            skipping = True
        elif _CUE_TIME.match(following) and (not in_cue or _NUMBER.match(line)):
            in_cue = False  # this line is the name of the cue that follows
        elif not in_cue:
            raise _problem(number, line, "is no part of a cue; delete it")
        else:
            parts = list(_split_cue_line(number, line, repeated))
            first, text = parts[0] if parts else ("", "")
            if closes and not in_voice and not first and re.search(r"\w", text):
                raise _problem(number, line, "has no speaker, but other cues have <v Name>")
            in_voice = line.rfind("<v") > line.rfind("</v>") or (in_voice and "</v>" not in line)
            yield number, line, parts


def _read_seconds(line: str) -> float:
    """Return the first time of a cue."""
    clock = re.search(r"(\d+(?::\d+)+)(?:[.,](\d+))?", line)
    seconds = float(f"0.{clock[2] or 0}")
    return seconds + sum(60**i * int(n) for i, n in enumerate(reversed(clock[1].split(":"))))


def _split_cue_line(number: int, line: str, repeated: frozenset[str]) -> Iterator[Part]:
    if "-->" in line:
        raise _problem(number, line, "has the arrow of a cue, but no times that can be read")
    *pieces, first = reversed(_VOICE.split(line))  # text, name, text, name, ..., text
    if text := _CUE_TAG.sub("", first).strip():
        yield from _split_line(number, text, repeated)
    for name, text in zip(pieces[1::2][::-1], pieces[::2][::-1], strict=True):
        yield _write_name(name), _CUE_TAG.sub("", text)


def _read_lines(lines: list[str]) -> Iterator[tuple[int, str, list[Part]]]:
    """Yield each line of a plain transcript with its parts, without times."""
    repeated = _find_repeated(lines)
    for number, line in enumerate(lines, 1):
        text, had_time = _remove_time(line)
        if "-->" in re.sub(_SPAN, "", line):
            raise _problem(number, line, "has the arrow of a cue, but no times that can be read")
        if not re.search(r"\w", text):
            continue
        if _NO_SPEECH.match(text) and not had_time:
            raise _problem(number, line, "is no speech; delete it")
        if _NUMBER.match(text) and not had_time:
            remedy = "is only a number, as of a cue; delete it or join it to its line"
            raise _problem(number, line, remedy)
        if _BRACKETED_NUMBER.match(text):
            raise _problem(number, line, "begins with a number in brackets; delete it")
        parts = list(_split_line(number, text, repeated))
        if _BARE_TIME.match(line) and not parts[0][0]:
            remedy = "begins with a time; write [10:30] for a mark, or join a spoken time to a line"
            raise _problem(number, line, remedy)
        yield number, line, parts


def _remove_time(line: str) -> tuple[str, bool]:
    """Return the line without times at its start and in square brackets, and whether it had one."""
    match = _BRACKETED_TIME.match(line) or _BARE_TIME.match(line)
    text = line[_SEPARATOR.match(line, match.end()).end() :] if match else line
    text = _CHAT.sub(r"\1:", text) if match else text
    return _LATER_TIME.sub("", text), match is not None


def _split_line(number: int, line: str, repeated: frozenset[str]) -> Iterator[Part]:
    """Yield (speaker, text) for each speaker on a line; "" for words before the first."""
    if line.lstrip().startswith("<"):
        line = _END_TAG.sub("", line)  # <doctor>...</doctor>
    speaker, rest = _find_speaker(number, line, repeated)
    if speaker:
        match = _BRACKETED_TIME.match(rest)
        rest = rest[match.end() :] if match else rest
        if line.lstrip().startswith(("[", "<", "(")) and _BARE_TIME.fullmatch(rest):
            rest = ""  # [Dr Lane] 10:02:03
    place = 0
    for start, end, name in _find_inline(number, rest, repeated):
        yield speaker, rest[place:start]
        speaker, place = name, end
    yield speaker, rest[place:]


def _find_inline(
    number: int, text: str, repeated: frozenset[str]
) -> Iterator[tuple[int, int, str]]:
    """Yield (start, end, speaker) for each further `Name:` in the text of a line.

    Raises ValueError if no sentence ends before it, so that the name may belong to the sentence.
    """
    for colon in re.finditer(r"[:\uff1a](?!\d|//)", text):
        words = list(re.compile(r"\S+").finditer(text, max(0, colon.start() - 80), colon.start()))[
            -6:
        ]
        for word in words:
            match = _FULL_NAME.fullmatch(text[word.start() : colon.start()].rstrip())
            if not match or not _is_inline_name(match["name"], repeated):
                continue
            end = text[: word.start()].rstrip()[-1:]
            if end and end not in ".?!\u2026\"'\u201d)]>\u3002\uff1f\uff01":
                raise _problem(number, text, "has a second speaker; begin a new line there")
            yield word.start(), colon.end(), _write_name(match["name"], match["note"])
            break


def _is_inline_name(name: str, repeated: frozenset[str]) -> bool:
    return name in repeated or (_is_person(name) and name[0] == name[0].upper())


def _find_speaker(number: int, line: str, repeated: frozenset[str]) -> Part:
    """Return the speaker at the start of a line ("" for none) and the rest of the line.

    Raises ValueError for words that may be a name or not.
    """
    start = _LIST_MARK.match(line).end()
    for pattern, judge in _JUDGES:
        match = pattern.match(line, start)
        if not match:
            continue
        verdict = judge(match, line[match.end() :], repeated)
        if verdict is None:
            raise _unclear(number, line, match["name"])
        if verdict:
            return _write_name(match["name"], match["note"]), line[match.end() :]
    return "", line


def _judge_colon(match: re.Match[str], rest: str, repeated: frozenset[str]) -> bool | None:
    """Return whether `Name:` is a speaker; None if that is not clear."""
    name = match["name"]
    if name[-1:].isdigit() and rest[:1].isdigit():
        return False  # a ratio or a time
    if _is_person(name):
        return True
    if _first_word(name) in NO_SPEAKERS:
        return None
    if _is_capitalized(name) or match["note"] or name in repeated:
        return True
    return None if len(name.split()) <= 3 else False


def _judge_brackets(match: re.Match[str], rest: str, repeated: frozenset[str]) -> bool | None:
    """Return whether `[name] ...` is a speaker; [coughs] is none, [Anna] may be one."""
    name = match["name"]
    if _is_person(name) or match["colon"]:
        return True
    if _first_word(name) in SOUNDS:
        return False
    if name in repeated and rest.strip():
        return True
    return None if _is_capitalized(name) and rest.strip() else False


def _judge_dash(match: re.Match[str], rest: str, repeated: frozenset[str]) -> bool | None:
    """Return whether `NAME - ...` is a speaker."""
    name = match["name"]
    is_sure = name.isupper() or name in repeated or match[0][-1] in ">\t"
    if _is_person(name):
        return True if is_sure else None
    return is_sure and name in repeated


def _judge_name_and_time(match: re.Match[str], rest: str, repeated: frozenset[str]) -> bool | None:
    """Return whether a line of a name and a time begins a turn."""
    name = match["name"]
    if _is_person(name) or name in repeated:
        return True
    return None if _is_capitalized(name) else False


def _judge_alone(match: re.Match[str], rest: str, repeated: frozenset[str]) -> bool | None:
    """Return whether a line that is only a name begins a turn, as in a play."""
    name = match["name"]
    if _is_person(name):
        return True if name.isupper() or name in repeated else None
    return name in repeated and _is_capitalized(name) and len(name.split()) > 1


_JUDGES = (
    (_COLON, _judge_colon),
    (_BRACKETS, _judge_brackets),
    (_NAME_AND_TIME, _judge_name_and_time),
    (_DASH, _judge_dash),
    (_ALONE, _judge_alone),
)


def _find_repeated(lines: list[str]) -> frozenset[str]:
    """Return the names, as written, that begin at least two lines in one form."""
    counts: Counter[tuple[int, str]] = Counter()
    for line in lines:
        text, _ = _remove_time(_CUE_TAG.sub("", line))
        start = _LIST_MARK.match(text).end()
        for form, (pattern, _) in enumerate(_JUDGES):
            if match := pattern.match(text, start):
                counts[form, match["name"]] += 1
    common = {name for (_, name), count in counts.items() if count > 1}
    return frozenset(name for name in common if _first_word(name) not in NO_SPEAKERS | SOUNDS)


def _first_word(name: str) -> str:
    """Return the first word of a name in lower case, without number and full stop."""
    return re.split(r"[\s_.,'\u2019/\d-]", name.casefold())[0]


def _is_person(name: str) -> bool:
    """Return whether a name begins with a person (Dr, mother) and continues as a name."""
    words = [word for word in re.split(r"[\s_.,'\u2019/\d-]+", name)[1:] if word]
    return _first_word(name) in PEOPLE and all(
        word in PARTICLES or word.casefold() in PEOPLE or word != word.casefold() for word in words
    )


def _is_capitalized(name: str) -> bool:
    words = [word for word in name.split() if word[0].isalpha()]
    return all(word[0] == word[0].upper() or word in PARTICLES for word in words)


def _write_name(name: str, note: str | None = "") -> str:
    """Return a speaker's name with its note, D and P written out."""
    name = " ".join(name.strip(" *,|\u2013\u2014-").split())
    return SHORT_NAMES.get(name.casefold().rstrip("."), name) + f" {(note or '').strip()}".rstrip()
