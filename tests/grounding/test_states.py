"""Tests of states: start and stop of a drug, habits, high and low, offers, ordinals.

Each row: the visit, sentences that it supports, sentences that have its words but not its meaning.
"""

import pytest
from tests.support.visit import visit

from clinical_camel import grounding
from clinical_camel.grounding.facts import extract_clauses
from clinical_camel.grounding.states import find_states

TREATMENTS = [
    (
        ["P: I never started the citalopram you prescribed."],
        ["Citalopram was not started."],
        ["Started citalopram.", "Takes citalopram."],
    ),
    (
        ["D: The antibiotic isn't working, so we will change you from amoxicillin to doxycycline."],
        ["Amoxicillin changed to doxycycline."],
        ["Doxycycline changed to amoxicillin."],
    ),
    (
        ["D: We'll keep the lisinopril as it is, stop the HCTZ, and add amlodipine 5 mg."],
        ["Add amlodipine 5 mg.", "Continue lisinopril."],
        ["Stop lisinopril.", "Stop amlodipine 5 mg."],
    ),
    (
        ["D: Did they increase the dose of levothyroxine?", "P: No, they lowered it."],
        ["Levothyroxine was reduced."],
        ["Levothyroxine was increased."],
    ),
    (
        ["D: Did they stop the warfarin?", "P: Yes, on Monday."],
        ["Warfarin was stopped."],
        ["Warfarin was continued."],
    ),
    (
        ["D: You stopped the Lipitor?", "P: No, I'm still taking it."],
        ["Still takes atorvastatin."],
        ["Atorvastatin was stopped."],
    ),
    (
        ["D: So we begin metoprolol, and the diltiazem comes off."],
        ["Metoprolol started, diltiazem stopped."],
        ["Start diltiazem.", "Metoprolol was discontinued."],
    ),
    (
        ["D: Please keep taking the warfarin and discontinue the naproxen."],
        ["Continue warfarin.", "Naproxen discontinued."],
        ["Continue naproxen.", "Stop warfarin, continue naproxen."],
    ),
    (
        ["D: I'm going to raise your levothyroxine to 100 and halve the bisoprolol."],
        ["Levothyroxine increased to 100.", "Reduce bisoprolol."],
        ["Bisoprolol was increased.", "Decrease levothyroxine to 100."],
    ),
    (
        ["P: They put me on apixaban in hospital and took me off the aspirin."],
        ["Apixaban was started in hospital."],
        ["Apixaban was stopped in hospital.", "Aspirin was started in hospital."],
    ),
    (
        ["D: We'll go up on the gabapentin and come down on the oxycodone."],
        ["Increase gabapentin and decrease oxycodone."],
        ["Increase oxycodone and decrease gabapentin."],
    ),
    (
        ["D: Don't stop the prednisone, but we'll switch from omeprazole to famotidine."],
        ["Continue prednisone."],
        ["Stop prednisone.", "Omeprazole started."],
    ),
    (
        ["D: How is the sertraline?", "P: I came off it in May."],
        ["Stopped sertraline in May."],
        ["Continues sertraline."],
    ),
    (
        [
            "D: Are you on any blood thinners, warfarin?",
            "P: Not any more, they stopped it last year.",
        ],
        ["Warfarin was stopped last year."],
        ["Takes warfarin."],
    ),
    (
        ["P: I was on tramadol until last year but the new doctor cut it out."],
        ["Tramadol was stopped."],
        ["Takes tramadol."],
    ),
    (
        ["D: Let's hold the lisinopril for now and carry on with the amlodipine."],
        ["Hold lisinopril.", "Continue amlodipine."],
        ["Continue lisinopril.", "Hold amlodipine.", "Amlodipine was discontinued."],
    ),
    (
        ["D: I want you to double the metformin and taper the prednisone."],
        ["Metformin doubled.", "Taper prednisone."],
        ["Increase prednisone.", "Metformin was reduced.", "Taper metformin."],
    ),
    (
        ["P: I stopped taking naproxen and started meloxicam."],
        ["Stopped naproxen; started meloxicam."],
        ["Started naproxen.", "Continues naproxen.", "Stopped meloxicam."],
    ),
    (["D: We never started the insulin.", "P: Right."], [], ["Insulin was started."]),
    (
        ["D: I'm adding spironolactone and dropping your furosemide to 20."],
        ["Furosemide reduced to 20."],
        ["Furosemide increased to 20."],
    ),
    (
        ["P: I quit the Xanax but I still take Zoloft."],
        ["Takes sertraline.", "Discontinued alprazolam."],
        ["Takes alprazolam.", "Discontinued sertraline."],
    ),
    (
        ["D: Do you take ibuprofen?", "P: I stopped that two months ago."],
        ["Stopped ibuprofen 2 months ago."],
        ["Takes ibuprofen."],
    ),
    (
        ["D: Do you still use the inhaler, the albuterol?", "P: No."],
        ["No longer uses albuterol."],
        ["Uses albuterol."],
    ),
    (
        ["D: The plan is to stop methotrexate, start leflunomide 20 mg and carry on folate."],
        ["Leflunomide 20 mg started.", "Methotrexate was discontinued."],
        [
            "Methotrexate was continued.",
            "Leflunomide was stopped.",
            "Discontinue leflunomide, start methotrexate 20 mg.",
        ],
    ),
    (
        ["D: I'm going to take you off the glipizide and put you on semaglutide instead."],
        ["Glipizide was stopped and semaglutide was started."],
        ["Semaglutide was stopped and glipizide was started.", "Start glipizide."],
    ),
    (
        ["D: We'll bump your lisinopril up to 20 and cut back the hydrochlorothiazide."],
        ["Lisinopril increased to 20."],
        ["Lisinopril reduced to 20.", "Increase hydrochlorothiazide."],
    ),
    (
        ["P: My cardiologist stopped the digoxin in June.", "D: Good. Stay on the bisoprolol."],
        ["Digoxin was stopped in June.", "Continue bisoprolol."],
        ["Stop bisoprolol.", "Takes digoxin.", "Continue digoxin."],
    ),
    (
        [
            "D: Are you taking your statin, the simvastatin?",
            "P: I gave it up, it made my legs ache.",
        ],
        ["Simvastatin was stopped because of aching legs.", "Stopped simvastatin."],
        ["Takes simvastatin."],
    ),
]
SWITCHES = [
    (
        ["P: Prozac made me worse so I switched to Zoloft."],
        ["Fluoxetine was switched to sertraline.", "Takes sertraline."],
        ["Sertraline was switched to fluoxetine.", "Takes fluoxetine.", "Started fluoxetine."],
    ),
    (
        ["D: We will change from omeprazole to famotidine."],
        ["Omeprazole was switched to famotidine.", "Famotidine started.", "Stop omeprazole."],
        ["Switched from famotidine to omeprazole.", "Stop famotidine.", "Omeprazole was started."],
    ),
]
HABITS = [
    (["D: Do you use tobacco?", "P: I chew, but I don't smoke."], ["Does not smoke."], []),
    (["D: Alcohol?", "P: None."], ["No alcohol."], ["Drinks alcohol."]),
    (
        ["D: Do you drink alcohol?", "P: Two glasses of wine a week."],
        ["Drinks 2 glasses of wine a week."],
        ["Never drinks alcohol.", "Former drinker."],
    ),
    (["P: My father smoked all his life. I never did."], ["Never smoker."], ["Smoker."]),
    (["P: My wife gave up smoking but I still do."], [], ["Former smoker."]),
    (
        ["D: Do you smoke?", "P: I used to smoke forty a day. Now it's just five a day."],
        ["Current smoker."],
        ["Never smoker.", "Former smoker."],
    ),
    (
        ["D: Do you smoke?", "P: I quit ten years ago."],
        ["Former smoker, quit 10 years ago."],
        ["Current smoker.", "Never smoked."],
    ),
    (
        ["D: Have you ever smoked?", "P: No, never."],
        ["Never smoker."],
        ["Ex-smoker.", "Quit smoking."],
    ),
    (
        ["P: I smoke about five cigarettes a day."],
        ["Current smoker."],
        ["Former smoker.", "Never smoked."],
    ),
    (["P: I haven't smoked since my bypass."], ["Former smoker."], ["Smokes.", "Never smoker."]),
    (
        ["P: I packed in the cigarettes when my son was born."],
        ["Ex-smoker."],
        ["Smokes cigarettes."],
    ),
    (
        ["P: I used to drink heavily but I stopped drinking three years ago."],
        ["Stopped drinking alcohol 3 years ago."],
        ["Drinks alcohol.", "Never drank alcohol."],
    ),
    (["P: I've never touched a cigarette."], ["Has never smoked."], ["Former smoker."]),
    (
        ["D: And tobacco?", "P: Gave it up in 1999."],
        ["Gave up tobacco in 1999."],
        ["Current tobacco use."],
    ),
    (
        ["D: And alcohol?", "P: I haven't had a drink for six years."],
        ["No alcohol for 6 years."],
        ["Drinks alcohol."],
    ),
    (
        ["D: Do you smoke or drink?", "P: I used to smoke, I never drink."],
        ["Former smoker.", "Never drinks alcohol."],
        ["Never smoked.", "Former drinker."],
    ),
    (
        ["D: Do you smoke?", "P: Yes, a pack a day."],
        ["Smoker.", "Smokes one pack a day."],
        ["Former smoker.", "Nonsmoker."],
    ),
    (
        ["D: Do you smoke?", "P: No."],
        ["Nonsmoker.", "Denies smoking."],
        ["Current smoker.", "Quit smoking."],
    ),
    (["P: My husband smokes but I gave it up years ago."], ["Former smoker."], ["Smoker."]),
    (
        ["D: Are you a smoker?", "P: I was, until 2010."],
        ["Former smoker."],
        ["Current smoker.", "Never smoker."],
    ),
    (
        ["D: Any cigarettes?", "P: Not since 2003."],
        ["Former smoker."],
        ["Never smoker.", "Current smoker."],
    ),
    (["D: Do you smoke?", "P: Never in my life."], ["Never smoked."], ["Stopped smoking."]),
    (
        ["D: Do you smoke?", "P: Only at weekends."],
        ["Current smoker."],
        ["Former smoker.", "Never smoker."],
    ),
    (
        ["D: Do you drink alcohol?", "P: I did, but I've been sober for nine years."],
        [],
        ["Drinks alcohol.", "Never drank alcohol."],
    ),
    (["P: I'm an ex-smoker, stopped at fifty."], ["Former smoker."], ["Smoker.", "Never smoked."]),
    (
        ["P: I'm trying to quit smoking, I'm down to three a day."],
        ["Current smoker."],
        ["Former smoker."],
    ),
]
QUALITIES = [
    (["D: There's a mild murmur."], [], ["Severe murmur."]),
    (
        ["P: The pain is worse at night and better when I move."],
        ["Pain worse at night, better with movement."],
        [],
    ),
    (
        ["D: The potassium isn't high any more, it's normal."],
        ["Normal potassium."],
        ["High potassium."],
    ),
    (
        ["D: Your kidney function is normal and liver enzymes are elevated."],
        [],
        ["Normal liver enzymes.", "Abnormal kidney function."],
    ),
    (
        ["P: My breathing is better since the steroids but my sugars are higher."],
        ["Breathing improved."],
        ["Breathing worse.", "Sugars lower."],
    ),
    (
        ["D: Your ferritin is low, the B12 is normal and the glucose is raised."],
        ["Low ferritin, normal B12.", "Elevated glucose."],
        ["Normal ferritin.", "Low glucose.", "Glucose is normal."],
    ),
    (
        ["P: The rash has improved but the itching is getting worse."],
        ["Rash improved.", "Itching worse."],
        ["Rash is worse.", "Itching improved."],
    ),
    (
        ["P: I have a mild headache and severe nausea."],
        ["Severe nausea with mild headache."],
        ["Severe headache.", "Mild nausea."],
    ),
    (
        ["D: Your white count is elevated; the haemoglobin is normal."],
        ["White count elevated."],
        ["White count normal.", "Raised haemoglobin."],
    ),
    (["D: The ECG isn't normal."], [], ["Normal ECG.", "ECG was unremarkable."]),
    (
        ["D: Your calcium was high, and the vitamin D was on the low side."],
        ["High calcium, low vitamin D."],
        ["Low calcium.", "Calcium normal.", "High vitamin D."],
    ),
    (
        ["P: My appetite is better, but my tremor is worse."],
        ["Tremor worse, appetite improved."],
        ["Tremor improved.", "Worsening appetite."],
    ),
    (
        ["D: Liver tests normal, platelets low, ESR raised."],
        [],
        ["Normal platelets.", "ESR normal."],
    ),
    (
        ["D: You have mild stenosis of the aortic valve and severe regurgitation."],
        ["Mild aortic stenosis, severe regurgitation."],
        ["Severe stenosis."],
    ),
    (["D: The TSH is raised and the T4 is low."], ["TSH high."], ["TSH is low.", "Normal TSH."]),
    (
        ["D: Blood pressure is normal today, your pulse is a bit high."],
        ["Pulse elevated.", "Blood pressure normal."],
        ["Pulse normal.", "Elevated blood pressure."],
    ),
    (
        ["D: The creatinine has gone up, but the haemoglobin came back normal."],
        [],
        ["Low haemoglobin.", "Normal creatinine."],
    ),
    (
        ["P: The dizziness has eased but my hearing is worse."],
        ["Dizziness improved.", "Worsening hearing."],
        ["Hearing improved.", "Worsening dizziness."],
    ),
    (
        ["P: I have severe cramps and slight bleeding."],
        ["Severe cramps, slight bleeding."],
        ["Severe bleeding.", "Mild cramps."],
    ),
]
OFFERS = [
    (
        ["D: Have you thought about counselling?", "P: I tried that once, not for me."],
        ["Declined counselling."],
        ["Started counselling."],
    ),
    (
        ["D: I can offer you a steroid injection.", "P: Yes please."],
        ["Steroid injection accepted."],
        ["Steroid injection declined."],
    ),
    (
        ["D: I'd recommend a biopsy.", "P: I'd rather not."],
        ["Declined a biopsy."],
        ["Agreed to a biopsy."],
    ),
    (
        ["D: We could try amitriptyline.", "P: No, I don't want that."],
        ["Declined amitriptyline."],
        ["Amitriptyline was started.", "Takes amitriptyline."],
    ),
    (
        ["D: Would you like the flu vaccine?", "P: No thank you."],
        ["Declined the flu vaccine."],
        ["Accepted the flu vaccine."],
    ),
    (
        ["D: I'd suggest physiotherapy.", "P: Sounds good."],
        ["Agreed to physiotherapy."],
        ["Declined physiotherapy."],
    ),
    (
        ["D: I'd like to start you on ramipril.", "P: Okay."],
        ["Start ramipril."],
        ["Refused ramipril."],
    ),
    (["D: How about trying a spacer?", "P: Not interested."], [], ["Started a spacer."]),
    (
        ["D: I'd suggest gabapentin.", "P: Not for me, thanks."],
        ["Gabapentin was offered and declined.", "Gabapentin was offered."],
        ["Patient was started on gabapentin."],
    ),
    (
        ["D: I think we should put in a stent.", "P: I don't want that."],
        ["Declined a stent."],
        ["Stent placed."],
    ),
    (
        ["D: Would you consider an antidepressant?", "P: No, I'm not taking pills for that."],
        ["Antidepressant declined."],
        ["Antidepressant started.", "Takes an antidepressant."],
    ),
    (
        ["D: I'd advise a colonoscopy.", "P: Absolutely not."],
        ["Refused colonoscopy."],
        ["Agreed to colonoscopy."],
    ),
    (
        ["D: I suggest we start sumatriptan.", "P: No thanks."],
        ["Declined sumatriptan."],
        ["Started sumatriptan."],
    ),
    (
        ["D: I'd like to refer you to a psychologist.", "P: I don't want that."],
        ["Declined referral to a psychologist."],
        ["Agreed to see a psychologist."],
    ),
    (
        ["D: Shall we start you on insulin?", "P: No, I'd rather not."],
        ["Declined insulin."],
        ["Insulin was started."],
    ),
    (
        ["D: We recommend chemotherapy.", "P: I won't have it."],
        ["Declined chemotherapy."],
        ["Chemotherapy was started."],
    ),
    (
        ["D: I suggest a hip replacement.", "P: Okay, let's do it."],
        ["Agreed to a hip replacement."],
        ["Declined a hip replacement."],
    ),
]
ORDINALS = [
    (
        ["D: You have broken the third rib."],
        ["Fracture of the third rib.", "Third rib is broken."],
        ["Fourth rib is broken."],
    ),
    (
        ["P: My second toe is numb."],
        ["Numbness of the second toe.", "Second toe is numb."],
        ["Third toe is numb."],
    ),
    (["D: It is a second-degree burn."], ["Second-degree burn."], ["Third-degree burn."]),
    (["P: I am in the third trimester."], ["Third trimester."], ["First trimester."]),
    (
        ["D: The tear is at the fifth metacarpal."],
        ["Tear at the 5th metacarpal."],
        ["Tear at the 4th metacarpal."],
    ),
    (
        ["D: The second finger is dislocated, not the third."],
        ["Second finger is dislocated."],
        ["Third finger is dislocated."],
    ),
    (
        ["D: This is the first visit for your broken fourth toe."],
        ["Broken fourth toe."],
        ["Broken first toe."],
    ),
    (["D: It's in the fourth finger, and the third looks fine."], [], ["Fifth finger affected."]),
    (
        ["D: Fracture of the second metacarpal."],
        ["Second metacarpal fracture."],
        ["Fracture of the third metacarpal."],
    ),
]


def link(sentence: str, lines: list[str]) -> grounding.Link:
    return grounding.link_sentences([sentence], visit(*lines))[0]


ROWS = [*TREATMENTS, *SWITCHES, *HABITS, *QUALITIES, *OFFERS, *ORDINALS]


@pytest.mark.parametrize(
    ("lines", "sentence"), [(lines, s) for lines, true, _ in ROWS for s in true]
)
def test_what_is_done_and_how_it_is_are_supported(lines, sentence):
    actual = link(sentence, lines)
    assert actual.verdict == "supported", actual.reasons


@pytest.mark.parametrize(
    ("lines", "sentence"), [(lines, s) for lines, _, false in ROWS for s in false]
)
def test_the_value_of_another_thing_or_the_opposite_is_not_supported(lines, sentence):
    assert link(sentence, lines).verdict != "supported"


@pytest.mark.parametrize(
    ("lines", "sentence", "reason"),
    [
        (
            ["D: Discontinue the naproxen."],
            "Continue naproxen.",
            "use: continue naproxen, the source has stop",
        ),
        (["P: I gave up smoking in 2015."], "Smoker.", "use: take smoke, the source has former"),
        (["D: Your sodium is low."], "High sodium.", "level: high sodium, the source has low"),
    ],
)
def test_the_reason_names_the_claim_and_what_the_source_has(lines, sentence, reason):
    assert reason in link(sentence, lines).reasons


@pytest.mark.parametrize(
    "text",
    [
        "Low back pain and high blood pressure.",  # names of findings
        "He drinks plenty of water.",
        "The bleeding stopped when he sat.",
        "Ice took the swelling down.",
        "This is his first visit.",
    ],
)
def test_words_in_other_meanings_are_no_states_of_drugs_habits_or_parts(text):
    states = find_states(extract_clauses([text]))
    assert [s for s in states if s.group != "use" or s.owner & {"tobacco", "alcohol"}] == []


def test_a_stopped_habit_shows_the_question_and_its_answer():
    lines = ["D: Hello.", "D: Do you smoke?", "P: Not any more."]
    assert link("Former smoker.", lines).sources == (1, 2)
