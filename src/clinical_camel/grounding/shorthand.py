"""Spell out the shorthand of notes: "pt c/o SOB, h/o HTN" is "patient complains of shortness …".

From the lists of abbreviations in US and UK teaching hospitals, from memory. Abbreviations with two
common meanings (MS, RA, PT, CP as cerebral palsy) are left as they are, or expanded only where the
text decides: "CVA" before "tenderness" is no stroke, "PE:" is a heading.
"""

import re

# Whatever the case
_ANY_CASE = {
    "c/o": "complains of", "s/p": "status post", "h/o": "history of", "w/o": "without",
    "r/o": "rule out", "y/o": "year old", "yo": "year old", "f/u": "follow up",
    "b/l": "bilateral", "n/v": "nausea, vomiting", "n/v/d": "nausea, vomiting, diarrhea",
    "w/": "with ", "f/h": "family history", "fhx": "family history", "fh": "family history",
    "pmh": "past medical history", "pmhx": "past medical history", "hx": "history",
    "sx": "symptoms", "dx": "diagnosis", "ddx": "differential diagnosis", "rx": "prescription",
    "abx": "antibiotics", "pts": "patients", "prn": "as needed", "abdo": "abdominal",
    "etoh": "alcohol",
    "htn": "hypertension", "copd": "chronic obstructive pulmonary disease",
    "chf": "congestive heart failure", "cad": "coronary artery disease",
    "ckd": "chronic kidney disease", "esrd": "end stage renal disease",
    "aki": "acute kidney injury", "dvt": "deep vein thrombosis", "afib": "atrial fibrillation",
    "a-fib": "atrial fibrillation", "tia": "transient ischemic attack",
    "uti": "urinary tract infection", "utis": "urinary tract infections",
    "gerd": "gastroesophageal reflux", "gord": "gastroesophageal reflux", "hld": "hyperlipidemia",
    "bph": "benign prostatic hyperplasia", "osa": "obstructive sleep apnea",
    "t2dm": "type 2 diabetes mellitus", "t1dm": "type 1 diabetes mellitus",
    "iddm": "diabetes mellitus", "niddm": "diabetes mellitus", "dm2": "type 2 diabetes mellitus",
    "ptsd": "post traumatic stress disorder", "adhd": "attention deficit hyperactivity disorder",
    "stemi": "myocardial infarction", "nstemi": "myocardial infarction",
    "djd": "degenerative joint disease", "sob": "shortness of breath", "brbpr": "rectal bleeding",
    "gi": "gastrointestinal", "gu": "genitourinary",
    "hiv": "human immunodeficiency virus", "ibs": "irritable bowel syndrome",
    "ibd": "inflammatory bowel disease", "pud": "peptic ulcer disease",
    "pcos": "polycystic ovary syndrome", "sle": "systemic lupus erythematosus",
    "rls": "restless legs syndrome", "svt": "supraventricular tachycardia",
    "pvd": "peripheral vascular disease", "lvh": "left ventricular hypertrophy",
    "nkda": "no known drug allergies",
}  # fmt: skip
# In capitals only
_CAPITALS = {
    "RHM": "right handed man", "RHF": "right handed woman", "STD": "sexually transmitted disease",
    "HCT": "head ct", "JVD": "jugular venous distention", "LMP": "last menstrual period",
    "CBC": "complete blood count",
    "AIDS": "acquired immunodeficiency syndrome", "GI": "gastrointestinal",
    "GU": "genitourinary", "IM": "intramuscular", "MI": "myocardial infarction",
    "DM": "diabetes mellitus", "TB": "tuberculosis",
    "PE": "pulmonary embolism", "CVA": "stroke", "HA": "headache", "CP": "chest pain",
    "LBP": "low back pain", "URI": "upper respiratory infection", "PNA": "pneumonia",
    "OA": "osteoarthritis", "AF": "atrial fibrillation", "CF": "cystic fibrosis",
    "BP": "blood pressure", "HR": "heart rate", "RR": "respiratory rate",
    "ICH": "intracranial hemorrhage", "SAH": "subarachnoid hemorrhage",
    "ASD": "atrial septal defect", "MDD": "major depressive disorder",
    "GAD": "generalized anxiety disorder", "NSAIDs": "nsaids", "RUQ": "right upper quadrant",
    "LUQ": "left upper quadrant", "RLQ": "right lower quadrant", "LLQ": "left lower quadrant",
    "RUE": "right upper extremity", "LUE": "left upper extremity", "RLE": "right lower extremity",
    "LLE": "left lower extremity", "BLE": "both lower extremities", "LE": "lower extremity",
    "DOE": "dyspnea on exertion",  # not Jane Doe
}  # fmt: skip
_WORD = re.compile(r"(?<![\w/-])(?:w/ ?(?!o\b)|[A-Za-z][\w/-]*)")
_DOTTED = re.compile(r"\b([A-Za-z])\.([A-Za-z])\.(?:([A-Za-z])\.)?(?:([A-Za-z])\.)?")
_SPELLED = re.compile(r"\b(?:[A-Za-z] ){1,3}[A-Za-z]\b")
_NOT = re.compile(r":|-? ?(?:tender|angle)")  # "PE:" is a heading, "CVA tenderness" is no stroke


def expand_shorthand(text: str) -> str:
    """Return the text with the shorthand of notes spelled out; the case matters for some.

    >>> expand_shorthand("76 y/o pt c/o CP, s/p MI, h/o HTN, q.h.s. PRN")
    '76 year old pt complains of chest pain, status post myocardial infarction, \
history of hypertension, qhs as needed'
    """
    if "." in text:
        text = _DOTTED.sub(lambda match: "".join(filter(None, match.groups())), text)
    return _WORD.sub(_expand, _SPELLED.sub(_join_letters, text))


def _expand(match: re.Match) -> str:
    word = match[0]
    if word.startswith(("w/ ", "W/ ")):
        return "with "
    long = _CAPITALS.get(word) or _CAPITALS.get(word.removesuffix("s"))  # "two CVAs"
    if long and not _NOT.match(match.string, match.end()):
        return long
    if "/" in word and word.lower() not in _ANY_CASE:
        parts = [_CAPITALS.get(w) or _ANY_CASE.get(w.lower()) for w in word.split("/")]
        return "/".join(parts) if all(parts) else word
    return _ANY_CASE.get(word.lower(), word)


def _join_letters(match: re.Match) -> str:
    """Return "copd" for "c o p d" as a transcript has it; other single letters stay apart."""
    word = match[0].replace(" ", "").lower()
    return word if word in _ANY_CASE else match[0]
