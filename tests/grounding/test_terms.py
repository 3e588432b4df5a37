"""Tests of grounding.terms: synonyms, brands, names that must stay apart, known words."""

import re
from pathlib import Path

import pytest

from clinical_camel.grounding import lexicons
from clinical_camel.grounding.normalization import normalize_text
from clinical_camel.grounding.terms import find_terms, is_drug_name, is_word, stem_words


def read(text: str) -> list[tuple[str, str]]:
    """Return kind and meaning of each term in a text."""
    words = normalize_text(text).replace(",", " ,").split()
    return [(term.kind, term.meaning) for _, _, term in find_terms(words, stem_words(words))]


def mean(text: str) -> set[str]:
    return {meaning for _, meaning in read(text)}


BRANDS = """
Tylenol=acetaminophen Panadol=acetaminophen paracetamol=acetaminophen Advil=ibuprofen
Motrin=ibuprofen Aleve=naproxen Lasix=furosemide Bumex=bumetanide Zestril=lisinopril
Prinivil=lisinopril Norvasc=amlodipine Toprol=metoprolol Lopressor=metoprolol Lipitor=atorvastatin
Crestor=rosuvastatin Zocor=simvastatin Plavix=clopidogrel Coumadin=warfarin Eliquis=apixaban
Xarelto=rivaroxaban Glucophage=metformin Januvia=sitagliptin Jardiance=empagliflozin
Ozempic=semaglutide Synthroid=levothyroxine Zoloft=sertraline Prozac=fluoxetine Paxil=paroxetine
Lexapro=escitalopram Celexa=citalopram Cymbalta=duloxetine Wellbutrin=bupropion Xanax=alprazolam
Ativan=lorazepam Klonopin=clonazepam Ambien=zolpidem Neurontin=gabapentin Lyrica=pregabalin
Keppra=levetiracetam Lamictal=lamotrigine Dilantin=phenytoin Tegretol=carbamazepine
Seroquel=quetiapine Zyprexa=olanzapine Abilify=aripiprazole Ventolin=albuterol
salbutamol=albuterol Singulair=montelukast Flonase=fluticasone Spiriva=tiotropium
Nexium=esomeprazole Prilosec=omeprazole Losec=omeprazole Pepcid=famotidine Zofran=ondansetron
Zithromax=azithromycin Cipro=ciprofloxacin Levaquin=levofloxacin Keflex=cephalexin
Flagyl=metronidazole Zyrtec=cetirizine Claritin=loratadine Benadryl=diphenhydramine
Celebrex=celecoxib Mobic=meloxicam Voltaren=diclofenac Ultram=tramadol OxyContin=oxycodone
Lantus=insulin-glargine Humalog=insulin-lispro adrenaline=epinephrine frusemide=furosemide
Nurofen=ibuprofen Calpol=acetaminophen Piriton=chlorpheniramine Lixiana=edoxaban Oramorph=morphine
"""
LAY = """
shortness of breath=dyspnea
trouble breathing=dyspnea
throwing up=vomiting
passed out=syncope
heart attack=myocardial infarction
high blood pressure=hypertension
low blood pressure=hypotension
high blood sugar=hyperglycemia
low blood sugar=hypoglycemia
high cholesterol=hyperlipidemia
kidney stones=nephrolithiasis
gallstones=cholelithiasis
nosebleed=epistaxis
runny nose=rhinorrhea
stuffy nose=nasal congestion
itchy=pruritus
hives=urticaria
hair loss=alopecia
ringing in my ears=tinnitus
double vision=diplopia
trouble swallowing=dysphagia
coughing up blood=hemoptysis
blood in my urine=hematuria
black stools=melena
pins and needles=paresthesia
muscle aches=myalgia
joint pain=arthralgia
stomach ache=abdominal pain
heartburn=gastroesophageal reflux
acid reflux=gastroesophageal reflux
pink eye=conjunctivitis
chickenpox=varicella
shingles=herpes zoster
piles=hemorrhoids
hay fever=allergic rhinitis
underactive thyroid=hypothyroidism
overactive thyroid=hyperthyroidism
enlarged prostate=benign prostatic hyperplasia
slipped disc=herniated disc
mini stroke=transient ischemic attack
bladder infection=urinary tract infection
sinus infection=sinusitis
ear infection=otitis media
painful periods=dysmenorrhea
swollen glands=lymphadenopathy
dry mouth=xerostomia
lightheaded=dizziness
tired=fatigue
bruising=ecchymosis
redness=erythema
yellow eyes=jaundice
earache=otalgia
forgetful=memory loss
sweaty=diaphoresis
HTN=hypertension
COPD=chronic obstructive pulmonary disease
MI=myocardial infarction
DM=diabetes mellitus
TB=tuberculosis
UTI=urinary tract infection
CHF=congestive heart failure
SOB=dyspnea
a-fib=atrial fibrillation
GERD=gastroesophageal reflux
diarrhoea=diarrhea
anaemia=anemia
oedema=edema
"""


@pytest.mark.parametrize("pair", BRANDS.split())
def test_a_brand_is_its_drug(pair):
    brand, drug = pair.split("=")
    assert read(brand) == [("medication", drug.replace("-", " "))]


@pytest.mark.parametrize("line", LAY.strip().splitlines())
def test_lay_words_and_clinical_words_of_one_meaning_are_one_term(line):
    lay, clinical = line.split("=")
    assert mean(lay) == mean(clinical) == {clinical}


@pytest.mark.parametrize(
    "names",
    [
        "Celebrex Celexa Cerebyx",
        "Lamictal Lamisil",
        "Zyrtec Zantac Zyprexa",
        "hydroxyzine hydralazine",
        "prednisone prednisolone",
        "clonidine clonazepam",
        "Losec Lasix",
        "Klonopin clonidine",
        "tramadol trazodone",
        "metformin metronidazole",
        "bupropion buspirone",
        "Humalog Humulin",
        "epinephrine ephedrine",
        "vinblastine vincristine",
        "glipizide glyburide",
        "hypertension hypotension",
        "hyperglycemia hypoglycemia",
        "hyperthyroidism hypothyroidism",
        "hyperkalemia hypokalemia",
        "tachycardia bradycardia",
        "hemoptysis hematemesis",
        "dysphagia dysphasia",
        "hematuria hematochezia melena",
        "arthralgia myalgia neuralgia",
        "osteoarthritis osteoporosis osteomyelitis",
        "constipation diarrhea",
        "syncope vertigo dizziness",
        "stroke seizure",
        "asthma bronchitis pneumonia",
        "hepatitis nephritis",
        "dysuria polyuria anuria",
        "angina asthma",
        "insomnia hypersomnia",
    ],
)
def test_names_that_look_alike_stay_apart(names):
    meanings = [frozenset(mean(name)) for name in names.split()]
    assert all(meanings)
    assert len(set(meanings)) == len(meanings)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("pneumonia", "condition"),
        ("appendicitis", "condition"),
        ("breast cancer", "condition"),
        ("Frinkia disease", "condition"),
        ("hypertension", "condition"),
        ("cystic fibrosis", "condition"),
        ("knee pain", "finding"),
        ("dyspnea", "finding"),
        ("palpitations", "finding"),
        ("Ozempic", "medication"),
        ("bexmarilimab", "medication"),
    ],
)
def test_a_term_has_its_kind(text, kind):
    assert [k for k, _ in read(text)] == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "vaginal delivery",
        "the aid of a walker",
        "alcohol",
        "problems including",
        "change in seasons",
    ],
)
def test_another_word_of_the_same_stem_is_no_condition(text):
    assert [k for k, _ in read(text) if k != "shorthand"] == []


@pytest.mark.parametrize(
    "text", ["shows tenderness", "experience numbness", "defer pain", "he falls asleep", "a corn"]
)
def test_other_words_are_no_part_of_a_finding(text):
    assert not [
        m
        for _, m in read(text)
        if set(m.split()) & {"shows", "experience", "defer", "falls", "corn"}
    ]


def test_a_brand_of_two_drugs_is_both():
    assert read("Norco") == [("medication", "acetaminophen hydrocodone")]
    assert read("Augmentin") == [("medication", "amoxicillin clavulanate")]


@pytest.mark.parametrize(
    "word",
    """coughing arthroplasty nonsmoker echocardiogram lisinopril haemorrhage prescribed whilst gonna
    cholecystectomy bloodwork hospitalised tuberculosis radiculopathy intubated dialysed travelled
    colonoscopic statins discussed""".split(),  # noqa: SIM905
)
def test_words_of_english_and_medicine_are_words(word):
    assert is_word(word)


@pytest.mark.parametrize(
    "word",
    ["frinkia", "zorblatt", "quexil", "mellonosis", "blenk", "wallness", "chesting", "swellinged"],
)
def test_an_invented_word_is_none(word):
    assert not is_word(word)


@pytest.mark.parametrize("word", ["water", "relief", "glucose", "potassium", "history"])
def test_an_everyday_word_is_no_drug(word):
    assert not is_drug_name(word)


def test_the_readme_of_the_lexicons_states_their_rows_and_version():
    folder = Path(lexicons.__file__).parent
    text = (folder / "README.md").read_text(encoding="utf-8")
    rows = {
        name: int(n.replace(",", ""))
        for name, n in re.findall(r"`([a-z.]+\.gz)` \| ([\d,]+)", text)
    }
    assert rows == {
        "drugs.csv.gz": len(lexicons.read_drugs()),
        "findings.csv.gz": len(lexicons.read_findings()),
        "conditions.txt.gz": len(lexicons.read_conditions()),
        "words.txt.gz": len(lexicons.read_words()),
    }
    assert set(rows) == {file.name for file in folder.glob("*.gz")}
    assert "Human Phenotype Ontology (release 2025-01-16)" in text
    assert sum(file.stat().st_size for file in folder.glob("*.gz")) < 1_000_000
