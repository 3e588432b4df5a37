"""Tests of the support check on articles: what is no denial, no owner and no number there.

Each row: sentences of an article, sentences that they support, sentences that they do not support.
"""

import pytest

from clinical_camel import grounding
from clinical_camel.grounding.article_scopes import is_condition

CASES = {
    "a denial ends at its condition": (
        ["If gout is suspected, aspiration of the joint should not be delayed.",
         "Gout typically presents with a hot swollen toe."],
        ["Aspiration should not be delayed if gout is suspected.",
         "It should not be delayed when gout is suspected.",
         "No, aspiration of the joint should not be delayed if gout is suspected."],
        ["Aspiration should be delayed if gout is suspected.",
         "Gout does not typically present with a hot swollen toe."],
    ),
    "what is said after without": (
        ["What makes osteoporosis likelier is early menopause without oestrogen replacement."],
        ["Early menopause without oestrogen replacement also makes osteoporosis likelier.",
         "Early menopause without oestrogen replacement makes osteoporosis likelier."],
        ["Early menopause with oestrogen replacement makes osteoporosis likelier.",
         "Early menopause without oestrogen replacement does not make osteoporosis likelier."],
    ),
    "an opening condition": (
        ["Without its anchor, the fibre membrane tears during contraction and dies."],
        ["It then tears during contraction and dies.",
         "Without its anchor, the fibre membrane tears during contraction.",
         "The fibre membrane is left without its anchor."],
        ["With its anchor, the fibre membrane tears during contraction and dies.",
         "It does not tear during contraction."],
    ),
    "an opening condition without a comma": (
        ["Without a deep socket the femoral head slides out easily."],
        ["Without a deep socket, the femoral head slides out easily.",
         "The femoral head slides out easily without a deep socket."],
        ["With a deep socket, the femoral head slides out easily.",
         "The femoral head does not slide out easily."],
    ),
    "an opening condition of any words": (
        ["Without treatment, most people with lymphoma survive only into childhood."],
        ["In short, without treatment, most people with lymphoma survive only into childhood."],
        ["With treatment, most people with lymphoma survive only into childhood."],
    ),
    "an opening condition assumes what it names": (
        ["Pernicious anaemia comes from destruction of gastric parietal cells.",
         "Without their secreted carrier protein, vitamin B12 cannot be absorbed in the ileum."],
        ["The gastric parietal cells secrete a carrier protein."],
        ["With their secreted carrier protein, vitamin B12 cannot be absorbed in the ileum."],
    ),
    "negative is no denial": (
        ["Hormone release is regulated by negative feedback.",
         "Negative pressure sucks the soft walls together.",
         "The antibody test is negative in the first week."],
        ["Negative feedback regulates hormone release.",
         "No, negative feedback is how hormone release is regulated.",
         "Negative pressure then sucks the soft walls together.",
         "In the first week, the antibody test is negative."],
        ["Negative feedback does not regulate hormone release.",
         "Negative pressure does not suck the soft walls together.",
         "The antibody test is not negative in the first week."],
    ),
    "a denial ends at a relative clause": (
        ["Endocrine glands are not to be confused with the exocrine system, whose glands release"
         " their secretions through ducts."],
        ["Exocrine glands release their secretions through ducts."],
        ["Exocrine glands do not release their secretions through ducts."],
    ),
    "a denial ends at a result": (
        ["The muscles do not cover this bone, thus producing a dimple on the lower back."],
        ["This produces a dimple on the lower back."],
        ["This produces no dimple on the lower back.", "The muscles cover this bone."],
    ),
    "something does not happen without something else": (
        ["Neurones cannot burn glucose without this cofactor.",
         "The change does not occur with resistance training."],
        ["Neurones cannot burn glucose without this cofactor.",
         "Without this cofactor, neurones cannot burn glucose."],
        ["Neurones can burn glucose without this cofactor.",
         "The change does not occur without resistance training."],
    ),
    "a risk is no condition": (
        ["The risk of achalasia is raised by infection with Trypanosoma cruzi.",
         "To foresee gout, look for obesity.", "Beer may cause gout."],
        ["Infection with Trypanosoma cruzi raises the risk of achalasia.", "Look for obesity."],
        ["Infection with Trypanosoma cruzi lowers no risk of achalasia.", "This may be achalasia."],
    ),
    "relatives": (
        ["Moreover, the parents' endocrine systems induce the release of gametes, reproductive"
         " cells containing genetic material.",
         "Gametes fuse.",
         "What makes phenylketonuria likelier is having two healthy heterozygous parents.",
         "Phenylketonuria presents with eczema."],
        ["Gametes are reproductive cells.",
         "Having two healthy heterozygous parents makes phenylketonuria likelier."],
        ["Having two healthy heterozygous grandmothers makes phenylketonuria likelier.",
         "Gametes are not reproductive cells."],
    ),
    "friends": (
        ["You send a message to two friends.", "They are some distance away."],
        ["Your friends are some distance away."],
        ["Your friends are not some distance away."],
    ),
    "a family history": (
        ["Acromegaly is linked to a family history of pituitary gigantism."],
        ["Acromegaly is also linked to a family history of pituitary gigantism."],
        ["Acromegaly is linked to a history of pituitary gigantism."],
    ),
    "the past": (
        ["Among the risks for nasopharyngeal carcinoma, a childhood diet rich in salted fish stands"
         " out.",
         "Some drugs used to treat hypertension cause oedema.",
         "X-rays can be used to rule out the possibility of a bone injury."],
        ["A childhood diet rich in salted fish stands out among the risks for nasopharyngeal"
         " carcinoma.",
         "They are used to rule out the possibility of a bone injury."],
        ["Previously, a bone injury was ruled out by a diet rich in salted fish.",
         "Some drugs cause possible oedema."],
    ),
    "a letter that ends a name": (
        ["Haemophilia A is shown by a low factor VIII assay.", "Liver is rich in vitamin A."],
        ["A low factor VIII assay shows haemophilia A.", "Liver is rich in vitamin A."],
        ["A low factor VIII assay shows a.", "Liver is rich in a", "A low factor VIII assay and."],
    ),
    "these three": (
        ["Few findings suggest Addison disease as strongly as tiredness, low blood pressure and"
         " skin darkening.", "The vessel wall has three layers.", "Give 5 mg."],
        ["Few findings suggest Addison disease as strongly as these three.",
         "Few findings suggest Addison disease as strongly as those three together.",
         "Tiredness is one of these findings."],
        ["The vessel wall has two layers.", "The vessel wall has these two layers.",
         "Give these 3 mg.", "Few findings in 4 people suggest Addison disease."],
    ),
    "one of": (
        ["Gout is caused by changes in two genes.", "Gout is a condition of the joints."],
        ["Gout is one condition of the joints."],
        ["Gout is caused by changes in one gene.", "Gout is caused by changes in 1 of 5 genes."],
    ),
    "a part of a longer name": (
        ["Phaeochromocytoma arises from an adrenal medullary tumour.",
         "Its cells arise from the neural crest."],
        ["The tumour's cells arise from the neural crest.", "The tumour arises from the adrenal."],
        ["The ulcer's cells arise from the neural crest.",
         "The tumour's cells do not arise from the neural crest."],
    ),
    "the unit of a table": (
        ["Organ | Resting (mL/min) | Exercise (mL/min) Skeletal muscle | 1200 | 12,500 Brain"
         " | 750."],
        ["Skeletal muscle receives 1200 mL/min at rest.", "The brain receives 750 mL/min."],
        ["Skeletal muscle receives 1300 mL/min at rest.", "The brain receives 750 mg.",
         "The brain receives 750 g/min."],
    ),
    "synonyms side by side": (
        ["Attacks are triggered by tobacco smoke, mold and dust."],
        ["Dust, mold and tobacco smoke trigger attacks."],
        ["Dust, mold and smoke smoke trigger attacks."],
    ),
    "a noun that refers back": (
        ["Follow-up of anorexia nervosa looks for fatal arrhythmia.",
         "Anorexia nervosa can end in fatal arrhythmia."],
        ["Follow-up of anorexia nervosa looks for this complication."],
        ["Follow-up of anorexia nervosa looks for this fracture.", "Complications are painless."],
    ),
}  # fmt: skip
ROWS = [
    pytest.param(lines, sentence, is_true, id=f"{name}: {sentence}")
    for name, (lines, true, false) in CASES.items()
    for sentence, is_true in [*((s, True) for s in true), *((s, False) for s in false)]
]


@pytest.mark.parametrize(("lines", "sentence", "is_true"), ROWS)
def test_a_sentence_is_supported_only_if_the_article_states_it(lines, sentence, is_true):
    link = grounding.link_sentences([sentence], lines)[0]
    assert (link.verdict == "supported") == is_true, link.reasons


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("without insulin, glucose rises", True),
        ("glucose rises without insulin", False),
        ("not without insulin", False),
    ],
)
def test_only_an_opening_without_is_a_condition(text, expected):
    assert is_condition(text, text.index("without")) == expected
