"""Write the terms that `clinical_camel.grounding` knows: src/clinical_camel/grounding/terms.csv.

    python -m benchmarks.grounding_terms

Ten seconds. Each row has a term's kind, its meaning (the preferred name), and its source:

list      findings of the Human Phenotype Ontology that the GARD pages of MedQuAD list for two or
          more conditions and that other pages use in prose
brackets  pairs in MedQuAD such as "low blood sugar (hypoglycemia)" and "naproxen (Aleve)"
dose      the word before "20 mg" in the development notes of ACI-Bench and MTS-Dialog
ours      everyday words and shorthand, added by hand after reading those development notes
The published lists that go beyond these are in lexicons/ (benchmarks/grounding_lexicons.py).

Only the development half of MedQuAD's pages is read (`in_development`), and no consultation that
benchmarks/grounding.py evaluates. Needs data/public (docs/running.md). MedQuAD, ACI-Bench and
MTS-Dialog are CC BY 4.0; only single terms are taken.
"""

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.support.public_data import ACI_TRAIN, ACI_VALID, MEDQUAD, MTS_TRAIN

from clinical_camel import data

VISITS = (ACI_TRAIN, ACI_VALID, MTS_TRAIN)
TABLE = Path(__file__).parents[1] / "src/clinical_camel/grounding/terms.csv"
LISTED = "Approximate number of patients (when available)"

# Rejected after reading: not a finding, or only the last words of the bracketed expression.
NO_FINDING = re.compile(
    r"onset|inheritance|penetrance|mutation|progressive$|sporadic|heterogen|aspiration|lewy"
    r"|^(?:full|narrow|round|wide|triangular|pointed|high|short|split|prominent) |neoplasm|rigidity"
)
NO_NAME = re.compile(
    r"^(?:red blood cells|white blood cells|lens of the eye|whites of the eyes|set eyes"
    r"|same direction|heart rhythm|lymph nodes|liver and spleen|eyes and skin|skin or lips"
    r"|lower limbs|skull bones|bones of the spine|brain and spinal cord|fingers or toes"
    r"|(?:underside|certain|control|eye) .*"
    r"|.* in the (?:blood|eyes?)|blood and other tissues|released in .*|curves to .*|amount of .*"
    r"|buildup of fluid|new bone formation|not inherited|abnormally small|s normal rhythm"
    r"|.* have .*"
    r"|(?:movement|coordination|balance) and .*|muscle weakness|swelling|joint deformities|small"
    r"|muscle tone|large head|movements of .*|shaped .*|thinking .*|tensing .*|loss of fluids)$"
)
_REJECTED = """
    than from dose sulfate taking about cholesterol exercises were cypionate triglycerides take
    already total with being received acetate carbonate anesthetics bromide hydrochloride mesylate
    patches thyroid toxin vaccine aminobenzoate diseaseriluzole amphetamines
    hyperuricosuriaallopurinol galactosidase collagenase"""
NO_DRUG = set(_REJECTED.split())
LEADING = re.compile(
    r"^(?:the|an?|and|or|of|in|to|with|from|have|has|includes?|including|causes?|by|be|is|are|may"
    r"|also|some|their|his|develop|experience|for|severe|unusually|extreme|problems|that|called"
    r"|often|such as|excessive|abnormally|increased) "
)

OURS = {
    "finding": """dyspnea=shortness of breath,short of breath,trouble breathing,difficulty breathing
        ,breathless,breathlessness,sob,winded,out of breath,hard to breathe,catch my breath
        ,catching my breath,catch your breath,breathing difficulty
        vomiting=threw up,throw up,throwing up,thrown up,emesis,vomit,puking,puke
        abdominal pain=stomach pain,belly pain,tummy pain,stomach ache,bellyache,stomachache
        ,tummy ache,stomach hurts,belly hurts
        syncope=passed out,pass out,passing out,blackout,faint,fainting,fainted,lost consciousness
        ,loss of consciousness
        dizziness=dizzy,lightheaded,lightheadedness,light headed,light headedness,woozy
        vertigo=room spinning,spinning sensation,room is spinning
        nausea=nauseous,nauseated,sick to your stomach,sick to my stomach,queasy
        pruritus=itch,itchy,itching,itchiness
        edema=swelling,swollen,swell
        numbness=numb
        paresthesia=tingling,tingle,pins and needles
        fever=temperature,feverish,febrile,fevers,pyrexia
        constipation=constipated
        anxiety=anxious
        fatigue=tired,tiredness,exhausted,exhaustion,worn out
        palpitations=heart racing,racing heart,heart fluttering,heart pounding,pounding heart
        dysuria=pain while urinating,burning when you pee,painful urination,burning with urination
        ,burning when i pee,pain when urinating,hurts to pee,burning urination
        rhinorrhea=runny nose
        headache=headaches,head hurts,head pain
        blurred vision=blurry vision,blurriness,vision is blurry
        diplopia=double vision,seeing double
        myalgia=muscle aches,muscle ache,muscle pain,body aches,aching muscles
        arthralgia=joint pain,achy joints,joints hurt,joint aches
        hematochezia=blood in your stools,blood in stool,bloody stool,blood in my stool
        ,blood in the stool
        hematuria=blood in your urine,blood in urine,blood in my urine,blood in the urine
        hematemesis=vomiting blood,throwing up blood
        melena=black stools,tarry stools,black tarry stools
        chills=rigors,shivering
        weight loss=lost weight,losing weight
        weight gain=gained weight,gaining weight,put on weight
        chest pain=chest pains,chest hurts
        back pain=back hurts,backache
        sore throat=throat hurts,throat pain
        insomnia=trouble sleeping,difficulty sleeping,sleeplessness
        diarrhea=loose stools,loose stool,diarrhoea,watery stools,the runs
        hemoptysis=coughing up blood,cough up blood
        productive cough=cough up phlegm,coughing up phlegm,bringing up phlegm,coughing up mucus
        sputum=phlegm
        erythema=redness
        ecchymosis=bruising,bruise,bruises
        suicidal ideation=hurt yourself,harming yourself,suicidal,thoughts of suicide
        ,suicidal thoughts
        cough=coughing
        weakness=weak
        rash=rashes
        urticaria=hives
        wheezing=wheeze
        night sweats=sweating at night
        diaphoresis=sweating,sweaty,sweats
        chest tightness=tightness in your chest,tightness in my chest,tight chest
        neck pain=neck hurts
        nasal congestion=stuffy nose,congested nose,blocked nose
        seizures=seizure,convulsion,convulsions
        tenderness=tender
        allergies=allergic,allergy
        dysphagia=trouble swallowing,difficulty swallowing,hard to swallow,swallowing difficulty
        epistaxis=nosebleed,nosebleeds,nose bleed,nose bleeds
        tinnitus=ringing in your ears,ringing in my ears,ringing in the ears,ringing in ears
        photophobia=light sensitivity,sensitive to light,sensitivity to light
        nocturia=pee at night,urinating at night,urination at night
        urinary frequency=frequent urination,peeing a lot,urinating a lot,urinating frequently
        ,urinate frequently,peeing frequently
        urinary incontinence=leaking urine,loss of bladder control,wetting yourself
        poor appetite=loss of appetite,decreased appetite,lack of appetite,anorexia
        alopecia=hair loss,losing hair,losing your hair,losing my hair,baldness
        otalgia=ear pain,earache,ear ache,ear hurts
        dysmenorrhea=painful periods,period pain,menstrual cramps,painful menstruation
        menorrhagia=heavy periods,heavy menstrual bleeding
        dyspareunia=pain with intercourse,pain during sex,painful intercourse,painful sex
        erectile dysfunction=impotence,trouble getting an erection
        bloating=bloated,abdominal distension
        jaundice=yellow skin,yellow eyes,yellowing of the skin,icterus
        anosmia=loss of smell,lost sense of smell,lost your sense of smell
        ageusia=loss of taste,lost sense of taste
        malaise=feeling unwell,generally unwell
        memory loss=forgetful,forgetfulness,memory problems,trouble remembering,amnesia
        confusion=confused,disoriented,disorientation
        tremor=shaking,shaky,tremors,shakes
        xerostomia=dry mouth
        hearing loss=hard of hearing,trouble hearing,difficulty hearing,deafness
        snoring=snore,snores
        limp=limping
        lymphadenopathy=swollen glands,swollen lymph nodes,enlarged lymph nodes,swollen lymph glands
        bradycardia=slow heart rate,slow heartbeat
        tachycardia=fast heart rate,rapid heart rate,fast heartbeat
        hypotension=low blood pressure
        hypoglycemia=low blood sugar,low sugar,low blood glucose
        hyperglycemia=high blood sugar,high sugar,elevated blood sugar,high blood glucose
        mass=lump,lumps
        nodule=nodules
        murmur=heart murmur
        polyp=polyps
        congestion=congested
        burning sensation=burning feeling
        hypoxia=low oxygen,low oxygen level
        dysuria=pain with urination,pain on urination,pain when i urine,burning when i urine
        ,burning on urination,hurting when i urine,hurts when i urine
        hematuria=haematuria
        trouble urinating=trouble with urination,trouble voiding
        trouble walking=hardly walk,hard to walk,difficult to walk
        dyspnea=difficult breathing
        chest tightness=chest is tight,chest feels tight
        odynophagia=swallowing hurts,hurts to swallow
        visual disturbance=vision changes,visual changes,vision changed,visual disturbances
        tingling=tingly
        oral cancer=mouth cancer
        thyromegaly=enlarged thyroid""",
    "condition": """hypertension=high blood pressure,htn,elevated blood pressure,hypertensive
        hyperlipidemia=high cholesterol,elevated cholesterol,hypercholesterolemia,dyslipidemia
        diabetes mellitus=diabetes,diabetic,diabetics
        myocardial infarction=heart attack,heart attacks
        stroke=cerebrovascular accident,strokes
        transient ischemic attack=mini stroke,ministroke
        coronary artery disease=coronary disease,ischemic heart disease,coronary heart disease
        congestive heart failure=heart failure,cardiac failure
        atrial fibrillation=a fib,atrial fib
        chronic obstructive pulmonary disease=copd
        chronic kidney disease=chronic renal disease,chronic renal insufficiency
        renal failure=kidney failure
        gastroesophageal reflux=acid reflux,reflux,gerd,heartburn,gastroesophageal reflux disease
        ,reflux disease
        deep vein thrombosis=deep venous thrombosis,blood clot in the leg,clot in your leg
        ,clot in my leg
        pulmonary embolism=blood clot in the lung,clot in the lung,pulmonary embolus
        urinary tract infection=uti,bladder infection,water infection,urine infection
        upper respiratory infection=common cold,head cold
        influenza=flu
        cancer=malignancy
        osteoarthritis=degenerative joint disease,degenerative arthritis
        hypothyroidism=underactive thyroid,low thyroid
        hyperthyroidism=overactive thyroid
        nephrolithiasis=kidney stones,kidney stone,renal stone,renal stones,renal calculi
        cholelithiasis=gallstones,gallstone
        anemia=low blood count,anemic
        asthma=asthmatic
        obstructive sleep apnea=sleep apnea
        depression=depressed,depressive disorder,major depressive disorder
        migraine=migraines,migraine headache,migraine headaches
        epilepsy=seizure disorder,epileptic
        benign prostatic hyperplasia=enlarged prostate,prostatic hypertrophy
        peptic ulcer disease=peptic ulcer,stomach ulcer,stomach ulcers
        allergic rhinitis=hay fever,hayfever,seasonal allergies
        sinusitis=sinus infection
        otitis media=ear infection,middle ear infection,ear infections
        conjunctivitis=pink eye
        varicella=chickenpox,chicken pox
        herpes zoster=shingles,zoster
        tuberculosis=tb
        hemorrhoids=piles
        herniated disc=slipped disc,disc herniation,disk herniation,herniated disk
        eczema=atopic dermatitis
        sprain=sprained
        pneumonia=
        gout=gouty arthritis
        infection=infected
        dementia=
        angina=angina pectoris
        lupus=systemic lupus erythematosus
        concussion=
        whiplash=whiplash injury
        uterine fibroids=fibroids,fibroid,leiomyoma
        preeclampsia=
        miscarriage=spontaneous abortion,miscarried
        covid=coronavirus,covid-19
        strep throat=streptococcal pharyngitis,strep
        chlamydia=
        herpes=
        ringworm=tinea
        sickle cell disease=sickle cell anemia,sickle cell
        plantar fasciitis=
        iron deficiency anemia=iron deficiency
        post traumatic stress disorder=post-traumatic stress disorder,posttraumatic stress disorder
        autism=autism spectrum disorder,autistic
        polycystic ovary syndrome=polycystic ovarian syndrome,polycystic ovaries
        psoriasis=psoriatic
        bipolar disorder=bipolar,manic depression
        parkinson's disease=parkinsons,parkinson's,parkinson disease
        alzheimer's disease=alzheimers,alzheimer's,alzheimer disease
        meniscal tear=torn meniscus,meniscus tear
        ligament tear=torn ligament
        rotator cuff tear=torn rotator cuff
        neuropathy=nerve damage
        mononucleosis=mono,glandular fever
        pertussis=whooping cough
        athlete's foot=tinea pedis
        tennis elbow=lateral epicondylitis
        frozen shoulder=adhesive capsulitis
        carpal tunnel syndrome=carpal tunnel
        cushing's syndrome=cushing's disease,cushings
        addison's disease=addisons,adrenal insufficiency
        graves disease=graves,graves' disease
        hashimoto's thyroiditis=hashimoto's,hashimotos
        crohn's disease=crohn's,crohns,crohn disease
        celiac disease=celiac
        lyme disease=lyme
        multiple sclerosis=
        amyotrophic lateral sclerosis=als
        obsessive compulsive disorder=ocd
        temporomandibular joint disorder=tmj
        human papillomavirus=hpv
        respiratory syncytial virus=rsv
        alcoholism=alcoholic,alcohol use disorder,alcohol abuse
        warts=wart,verruca,verrucae
        cavity=cavities,dental caries
        ulcer=ulcers
        malnutrition=malnourished
        anaphylaxis=anaphylactic reaction,anaphylactic shock
        arrhythmia=abnormal heart rhythm,irregular heartbeat,arrhythmias
        typhoid=typhoid fever
        dislocation=dislocated
        cirrhosis=
        acromegaly=
        goiter=
        gonorrhea=
        hemophilia=
        menopause=menopausal
        claudication=
        scleroderma=
        colic=
        lice=
        thrush=
        polio=
        fissure=
        otitis=
        dengue=
        ebola=
        zika=
        giardia=
        mrsa=
        norovirus=
        heel spur=
        non small cell lung cancer=
        low back pain=lower back pain,lumbago,lumbar pain
        scurvy=
        stye=
        deviated septum=
        meniere's disease=
        retinopathy=
        obesity=obese
        diabetes mellitus=type ii diabetes,type ii diabetes mellitus,diabetes mellitus type ii""",
    "medication": """furosemide=lasix,frusemide
        amlodipine=norvasc
        metoprolol=toprol,lopressor
        olmesartan=benicar
        levothyroxine=synthroid,levothroid,thyroxine
        bumetanide=bumex
        acetaminophen=paracetamol,tylenol,apap
        hydrochlorothiazide=hctz
        esomeprazole=nexium
        gabapentin=neurontin
        levetiracetam=keppra
        torsemide=demadex
        calcium carbonate=tums
        bismuth subsalicylate=pepto bismol,pepto
        epinephrine=adrenaline
        lidocaine=lignocaine
        cephalexin=cefalexin
        beclomethasone=beclometasone
        aspirin=acetylsalicylic acid,asa
        penicillin=pcn
        insulin=
        ibuprofen=nurofen,brufen
        acetaminophen=calpol
        diclofenac=voltarol
        phenytoin=epanutin
        senna=senokot
        morphine=oramorph,zomorph
        edoxaban=lixiana
        bisoprolol=cardicor
        irbesartan=aprovel
        candesartan=amias
        lercanidipine=zanidip
        chlorpheniramine=piriton,chlorphenamine
        acetaminophen codeine=co-codamol,co codamol,cocodamol
        fluticasone salmeterol=seretide
        opioid=opioids,opiates,narcotics
        steroid=steroids,corticosteroid,corticosteroids
        nsaid=nsaids,anti inflammatories,anti inflammatory
        nsaid=antiinflammatories,antiinflammatory""",
    "shorthand": """patient=pt
        history=hx
        symptoms=sx,symptomatology
        diagnosis=dx
        treatment=treat,treated
        blood pressure=bp
        alcohol=etoh,drink,drinks,drinking
        tobacco=smoke,smoker,cigarettes,smoking
        antibiotics=abx,antibiotic
        surgery=operation
        pain=hurt,hurts,hurting,painful
        trouble=difficulty,difficulties
        hospital=hospitalized
        medication=meds,medicine,tablets,pills,medicines
        abdominal=abdomen,belly,tummy,stomach
        physical therapy=pt referral,physiotherapy
        doctor=physician,provider
        mother=mom,mum,mommy,mummy
        father=dad,daddy
        child=children,kid,kids
        stop=discontinue,discontinued,discontinuing,cease,quit
        decrease=reduce,reduced,cut down,cut back
        walk=ambulate,ambulating,ambulates,ambulation,walking
        urinate=pee,peeing,urination,urinating,void,voiding
        stool=poop,bowel movement,bowel movements
        kidney=renal,kidneys
        heart=cardiac
        lung=pulmonary,lungs
        liver=hepatic
        glucose=blood sugar,blood sugars,sugars,blood glucose
        heart rate=pulse
        injection=shot,shots,injections
        radiograph=xray,x ray,x rays,xrays,radiographs
        electrocardiogram=ekg,ecg
        laboratory=labs,bloodwork,blood work,blood test,blood tests
        emergency room=er,emergency department
        primary care physician=pcp,family doctor,general practitioner,gp
        fracture=broken,fractured,broke
        urine=urinary
        bone=bony,bones
        appendectomy=appendicectomy,appendix removed,appendix out,appendix taken out
        cholecystectomy=gallbladder removed,gallbladder out,gallbladder taken out
        tonsillectomy=tonsils removed,tonsils out,tonsils taken out
        hysterectomy=uterus removed
        childbirth=gave birth,giving birth,give birth
        substance abuse=drug use,illicit drugs,recreational drugs,street drugs,drug abuse
        stable=unchanged,about the same
        exercise=working out,work out,workout,exercising
        ultrasound=sonogram,ultrasonography
        vaccine=vaccination,vaccinated,immunization,immunized
        alcohol=alcohol use,alcohol consumption,alcohol intake""",
}


def in_development(identifier: str) -> bool:
    """Whether a page is in the development half, by the hash of its name."""
    return int(hashlib.sha256(identifier.encode()).hexdigest()[:8], 16) % 2 == 0


def load_answers() -> list[str]:
    pages = data.load_articles(MEDQUAD)
    return [s.text for page in pages if in_development(page.id) for s in page.sections]


def load_notes() -> list[str]:
    visits = [visit for spec in VISITS for visit in data.load_consultations(spec)]
    return [v.note + "\n" + "\n".join(turn.text for turn in v.turns) for v in visits]


def count_listed(texts: list[str]) -> Counter:
    """Count the pages that list each finding."""
    counts: Counter = Counter()
    for text in texts:
        if LISTED in text:
            part = text.split(LISTED)[1].split("The Human Phenotype Ontology (HPO)")[0].lower()
            names = {name.strip() for name in re.split(r" -(?: |$)|\d+%|\d+/\d+", part)}
            counts.update(n for n in names if re.fullmatch(r"[a-z][a-z '-]+", n))
    return counts


def select_findings(texts: list[str], listed: Counter) -> Iterator[str]:
    """Yield the listed findings that other pages use in prose."""
    prose = "\n".join(
        f" {' '.join(re.findall('[a-z]+', t.lower()))} " for t in texts if LISTED not in t
    )
    for name, count in listed.items():
        is_finding = count >= 2 and len(name.split()) <= 3 and not NO_FINDING.search(name)
        if is_finding and prose.count(f" {name} ") >= 4:
            yield name


def find_bracketed(texts: list[str], listed: Counter) -> Iterator[tuple[str, str]]:
    """Yield (everyday words, finding) of brackets in at least three pages."""
    counts: Counter = Counter()
    for text in texts:
        pairs = re.findall(r"\b([a-z]+(?: [a-z]+){1,3}|[a-z]{6,}) \(([a-z]{5,})\)", text)
        for words, name in set(pairs):
            while LEADING.match(words):
                words = LEADING.sub("", words)
            if name in listed and words not in listed and not NO_NAME.search(words):
                counts[words, name] += 1
    return (pair for pair, count in counts.items() if count >= 3)


def find_brands(texts: list[str]) -> Iterator[tuple[str, str]]:
    """Yield (brand, drug): a capitalised name in brackets after one in lower case."""
    pattern = r"\b([a-z]{5,}) ?\(([A-Z][a-z]{3,})[®™]?(?:, [A-Z][a-z]+[®™]?)*\)"
    pairs = {pair for text in texts for pair in re.findall(pattern, text)}
    for drug, brand in sorted(pairs):
        if drug not in NO_DRUG:
            yield brand.lower(), drug


def find_dosed(texts: list[str]) -> set[str]:
    """Return the words before a dose."""
    pattern = r"\b([a-z]{4,}),? (?:at |of )?\d[\d.,/]* ?(?:mg|mcg|milligrams?|micrograms?)\b"
    return {word for text in texts for word in re.findall(pattern, text.lower())} - NO_DRUG


def read_ours() -> Iterator[tuple[str, str, str, str]]:
    """Yield the rows of OURS: kind, term, meaning, source."""
    for kind, text in OURS.items():
        for line in re.sub(r"\s*\n\s*,", ",", text).splitlines():
            meaning, _, terms = line.strip().partition("=")
            yield kind, meaning, meaning, "ours"
            yield from ((kind, term, meaning, "ours") for term in terms.split(",") if term)


def main() -> None:
    pages, visits = load_answers(), load_notes()
    listed, brands = count_listed(pages), list(find_brands(pages))
    rows = list(read_ours())
    rows += [("finding", name, name, "list") for name in select_findings(pages, listed)]
    rows += [("finding", words, name, "brackets") for words, name in find_bracketed(pages, listed)]
    rows += [("medication", brand, drug, "brackets") for brand, drug in brands]
    rows += [("medication", drug, drug, "brackets") for _, drug in brands]
    rows += [("medication", word, word, "dose") for word in sorted(find_dosed(visits))]
    first: dict[tuple[str, str], tuple] = {}
    for row in rows:
        first.setdefault(row[:2], row)
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["kind", "term", "meaning", "source"])
        writer.writerows(sorted(first.values()))


if __name__ == "__main__":
    main()
