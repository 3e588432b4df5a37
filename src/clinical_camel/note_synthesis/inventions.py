"""Names to invent: drugs, diagnoses, findings, people.

Written for planting errors, from general knowledge and without a look at the terms of
`clinical_camel.grounding`: a check must not be measured on its own word lists.
"""

import random
from collections.abc import Sequence

GENERICS = (
    *("apixaban", "azathioprine", "baclofen", "bisoprolol", "budesonide", "buspirone"),
    *("candesartan", "carvedilol", "cetirizine", "clopidogrel", "colchicine", "dabigatran"),
    *("dapagliflozin", "donepezil", "doxazosin", "duloxetine", "empagliflozin", "escitalopram"),
    *("ezetimibe", "famotidine", "febuxostat", "finasteride", "fluconazole", "gliclazide"),
    *("hydroxychloroquine", "indapamide", "isotretinoin", "ivabradine", "lamotrigine"),
    *("leflunomide", "levetiracetam", "linagliptin", "lithium", "loperamide", "memantine"),
    *("methotrexate", "mirtazapine", "montelukast", "nitrofurantoin", "olanzapine"),
    *("oxybutynin", "pantoprazole", "pregabalin", "propranolol", "quetiapine", "rasagiline"),
    *("rivaroxaban", "ropinirole", "rosuvastatin", "sacubitril", "semaglutide", "sildenafil"),
    *("solifenacin", "spironolactone", "sulfasalazine", "sumatriptan", "tamsulosin"),
    *("ticagrelor", "tizanidine", "tofacitinib", "topiramate", "valproate", "verapamil"),
)
BRANDS = (
    *("Abilify", "Ativan", "Benicar", "Bystolic", "Celebrex", "Cialis", "Coumadin", "Cozaar"),
    *("Crestor", "Cymbalta", "Depakote", "Effexor", "Eliquis", "Entresto", "Farxiga", "Flexeril"),
    *("Flomax", "Humira", "Imitrex", "Januvia", "Jardiance", "Keppra", "Klonopin", "Lexapro"),
    *("Lunesta", "Lyrica", "Mobic", "Neurontin", "Otezla", "Ozempic", "Paxil", "Plavix"),
    *("Pradaxa", "Prozac", "Remeron", "Requip", "Risperdal", "Seroquel", "Singulair", "Symbicort"),
    *("Topamax", "Trulicity", "Valtrex", "Viagra", "Voltaren", "Wellbutrin", "Xanax", "Xarelto"),
)
COMMON_DRUGS = (  # to find a drug in a sentence, so that another can replace it
    *("albuterol", "allopurinol", "amlodipine", "amoxicillin", "aspirin", "atorvastatin"),
    *("azithromycin", "calcium", "ceftriaxone", "codeine", "cortisone", "digoxin", "doxycycline"),
    *("fluoxetine", "furosemide", "gabapentin", "hydrochlorothiazide", "hydrocodone", "ibuprofen"),
    *("insulin", "iron", "lasix", "levothyroxine", "lisinopril", "loratadine", "losartan"),
    *("meloxicam", "metformin", "metoprolol", "morphine", "motrin", "naproxen", "norvasc"),
    *("omeprazole", "oxycodone", "paracetamol", "penicillin", "percocet", "pravastatin"),
    *("prednisone", "protonix", "ramipril", "salbutamol", "sertraline", "simvastatin"),
    *("tramadol", "tylenol", "ultram", "ventolin", "vicodin", "warfarin", "zoloft", "zyrtec"),
)
DIAGNOSES = (
    *("acromegaly", "amyloidosis", "ankylosing spondylitis", "aortic stenosis", "appendicitis"),
    *("atrial flutter", "bronchiectasis", "cellulitis", "cholecystitis", "cirrhosis"),
    *("coeliac disease", "Crohn's disease", "Cushing's syndrome", "deep vein thrombosis"),
    *("dermatomyositis", "diverticulitis", "emphysema", "endocarditis", "endometriosis"),
    *("epilepsy", "giant cell arteritis", "glaucoma", "glomerulonephritis", "Graves' disease"),
    *("haemochromatosis", "hepatitis B", "Huntington's disease", "hyperparathyroidism"),
    *("leukaemia", "lupus", "lymphoma", "malaria", "Ménière's disease", "meningitis"),
    *("multiple sclerosis", "myasthenia gravis", "myeloma", "narcolepsy", "nephrotic syndrome"),
    *("osteomyelitis", "pancreatitis", "Parkinson's disease", "pericarditis", "pleurisy"),
    *("polycythaemia", "polymyalgia rheumatica", "psoriatic arthritis", "pulmonary embolism"),
    *("pyelonephritis", "rheumatic fever", "sarcoidosis", "schizophrenia", "scleroderma"),
    *("septic arthritis", "sickle cell disease", "spinal stenosis", "syphilis", "tetanus"),
    *("tuberculosis", "ulcerative colitis", "vasculitis", "Wilson's disease"),
)
SYMPTOMS = (
    *("night sweats", "palpitations", "double vision", "hoarseness", "nosebleeds", "dry mouth"),
    *("ankle swelling", "memory loss", "tinnitus", "tremor", "blood in the urine", "hair loss"),
    *("cold hands", "difficulty swallowing", "heartburn", "itching", "jaundice", "black stools"),
    *("slurred speech", "fainting", "muscle cramps", "mouth ulcers", "hot flushes", "a stiff neck"),
    *("burning feet", "excessive thirst", "a metallic taste", "vomiting blood", "weight loss"),
)
FINDINGS = (  # one or two words that are easily added to a sentence
    *("locking", "bruising", "clubbing", "crepitus", "cyanosis", "discharge", "drooling"),
    *("effusion", "fasciculations", "guarding", "induration", "instability", "joint noises"),
    *("nystagmus", "pallor", "photophobia", "pitting", "rigidity", "scaling", "stiffness"),
    *("tingling", "twitching", "wasting", "wheezing", "peeling"),
)
PEOPLE = ("Bruno", "Edith", "Gerald", "Ingrid", "Leopold", "Mabel", "Rosalind", "Wendell")
RELATIVES = ("mother", "father", "sister", "brother", "grandmother", "daughter")
_STARTS = ("Bra", "Cor", "Del", "Fri", "Glo", "Hes", "Jur", "Kal", "Mor", "Ner", "Pla", "Saes")
_MIDDLES = ("be", "do", "li", "ma", "no", "ra", "ti", "vo")
_ENDS = ("nkia", "rion", "staria", "llosis", "mpsia", "ndritis", "tosis", "quoria", "vea", "sma")
_WITH = ("", "", " disease", " syndrome", " abscess", " fever")


def invent_disease(rng: random.Random) -> str:
    """Return the name of a disease that does not exist.

    >>> invent_disease(random.Random(1))
    'Deldompsia'
    """
    return "".join(map(rng.choice, (_STARTS, _MIDDLES, _ENDS, _WITH)))


def choose_absent(names: Sequence[str], source: str, rng: random.Random) -> str:
    """Return a name of which the source (lower case) has no word of four letters; "" for none."""
    return rng.choice([name for name in names if not _has_word(name, source)] or [""])


def _has_word(name: str, source: str) -> bool:
    return any(word in source for word in name.lower().split() if len(word) > 3)
