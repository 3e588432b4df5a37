"""The baseline that reads no question."""

from clinical_camel.eval_replies.typical import find_typical_replies

REFERENCES = ["Take rest and fluids.", "Take rest and tea.", "Take rest.", "Surgery today."]


def test_the_reply_that_shares_most_words_with_all_others_is_typical(make_case):
    cases = [make_case(name=f"g{i}", reference=text) for i, text in enumerate(REFERENCES)]
    typical = find_typical_replies(cases)
    assert typical[3] == "Take rest and fluids." or typical[3] == "Take rest and tea."
    assert all(text != case.reference for text, case in zip(typical, cases, strict=True))


def test_a_group_never_sees_its_own_references(make_case):
    cases = [make_case(name=f"a/{i}", reference="Take rest.") for i in range(3)]
    cases += [make_case(name="b/0", reference="Surgery."), make_case(name="c/0", reference="Tea.")]
    assert set(find_typical_replies(cases)[:3]) <= {"Surgery.", "Tea."}


def test_a_dataset_of_one_group_has_no_typical_reply_and_datasets_do_not_mix(make_case):
    assert find_typical_replies([make_case()]) == [""]
    cases = [make_case(name="a"), make_case(name="b", corpus="other", reference="Else.")]
    assert find_typical_replies(cases) == ["", ""]
