"""Expressions of speech that notes put in another word: "about the same" is unchanged."""

import re

_EXPRESSIONS = {
    "unchanged": "about the same|the same as before|much the same|no change|not changed",
    "covid": "covid[ -]?19|coronavirus",
    "suddenly": "all at (?:once|1 times?)|all of a sudden|out of nowhere|out of the blue|sudden",
    "gradually": "bit by bit|little by little|slowly",
    "short of breath": "(?:cannot|can not|could not|not) catch (?:my|his|her|your) breath",
    "not smoke": "non[ -]?smok(?:er|ers|ing)|(?:stopped|quitting) smoking|(?:ex|former)[ -]smoker",
    "not work": "off work",
    "mother": "mom|mum|mam|mommy|mummy",
    "father": "dad|daddy",
    "grandmother": "grandma|gran|granny|nan",
    "grandfather": "grandpa|grandad|granddad",
    "child": "kids?|children",
    "family": "familial|relatives?",
    "doctor": "physician",
    "smoke": "smokers?|tobacco",
    "alcohol": "etoh",
    "stop": "discontinued?|cease[ds]?|quit",
    "walk": "ambulat(?:es?|ed|ing|ion|ory)|gait",
    "walking": "getting around",
    "urine": "pee|peeing|waterworks",
    "stool": "poop?|poo",
    "improve": "(?:get|gets|getting|got) better|(?:feel|feels|feeling|felt) better",
    "worse": "worsen(?:s|ed|ing)?|deteriorat(?:es?|ed|ing|ion)",
    "medicine": "medications?|meds|drugs?",
    "wake": "awak(?:e|en|ens|ening|ened)|awoke|woken|woke",
    "temperature": "temp",
    "appetite": "oral intake",
    "surgery": "operations?",
    "leg": "lower extremit(?:y|ies)",
    "arm": "upper extremit(?:y|ies)",
    "emergency room": "emergency department|er|emergency(?! room| contact)",
    "replacement": "arthroplasty",
    "low back": "lumbar spine",
    "bilateral": "both sides",
    "physical therapy": "physio|physiotherapy",
    "mri": "mr|magnetic resonance imaging",
    "ultrasound": "sonogram",
    "ekg": "ecg|electrocardiogram",
    "echocardiogram": "echo",
    "primary care": "pcp|gp|family doctor",
    "low": "lower(?= back| and mid)",
    "elevated": "too high|quite high|a bit high|a little high",
}

_NAMES = list(_EXPRESSIONS)
_ANY = re.compile(
    rf"(?<![\w'])(?:{'|'.join(f'({pattern})' for pattern in _EXPRESSIONS.values())})(?![\w'])"
)
_SPELLED = re.compile(r"\b(?:[a-z] ){1,4}[a-z]\b(?<!\b[ai] [ai])(?<!\b[ai] .)")  # "m b a"


def unify_speech(text: str) -> str:
    """Return a normalized text with one word for each expression, and spelled letters joined.

    >>> unify_speech("my mom had an m r i , all at once")
    'my mother had an mri , suddenly'
    """
    text = _SPELLED.sub(lambda match: match[0].replace(" ", ""), text)
    return _ANY.sub(lambda match: _NAMES[match.lastindex - 1], text)
