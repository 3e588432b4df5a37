"""Specs of the files in data/public, with their numbers of rows as the READMEs state them."""

PUBLIC = "data/public"
EXAMS = {
    f"medqa_us@{PUBLIC}/medqa_us/medqa_us_test_shared.jsonl": 638,
    f"medmcqa@{PUBLIC}/medmcqa/medmcqa_validation_shared.jsonl": 2060,
    f"mmlu_medical@{PUBLIC}/mmlu_med/mmlu_med_test_shared.jsonl": 552,
    f"pubmedqa@{PUBLIC}/pubmedqa/pubmedqa_test_shared.jsonl": 249,
    f"medqa_mcmle@{PUBLIC}/medqa_mcmle/medqa_mcmle_test_shared.jsonl": 1693,
}
TRAINING = {
    f"medqa_us_train@{PUBLIC}/medqa_us/medqa_us_dev.jsonl": 1272,
    f"medmcqa_train@{PUBLIC}/medmcqa/medmcqa_train_first5.jsonl": 5,
    f"mmlu_medical_dev@{PUBLIC}/mmlu_med/mmlu_med_dev.jsonl": 30,
    f"pubmedqa_train@{PUBLIC}/pubmedqa/pubmedqa_train.jsonl": 500,
}
ARTICLES = {
    f"medquad@{PUBLIC}/medquad/medquad_answered.jsonl.gz": 5486,
    f"openstax_anatomy@{PUBLIC}/openstax_anatomy/openstax_anatomy_modules.jsonl": 197,
    f"plos_medical@{PUBLIC}/plos_medical/plos_medical_articles.jsonl": 35,
}
VISITS = {  # of MTS-Dialog without the dropped rows
    f"aci_bench@{PUBLIC}/aci_bench/aci_bench_train.jsonl": 67,
    f"aci_bench@{PUBLIC}/aci_bench/aci_bench_valid.jsonl": 20,
    f"aci_bench@{PUBLIC}/aci_bench/aci_bench_test_shared.jsonl": 67,
    f"mts_dialog@{PUBLIC}/mts_dialog/mts_dialog_train.jsonl": 1201 - 11 - 2,
    f"mts_dialog@{PUBLIC}/mts_dialog/mts_dialog_valid.jsonl": 100,
    f"mts_dialog@{PUBLIC}/mts_dialog/mts_dialog_test_shared.jsonl": 204,
    f"primock57@{PUBLIC}/primock57/primock57.jsonl": 57,
}
MEDQUAD, OPENSTAX, PLOS = ARTICLES
ACI_TRAIN, ACI_VALID, ACI_TEST, MTS_TRAIN, MTS_VALID, MTS_TEST, PRIMOCK = VISITS
SHAREGPT = f"sharegpt@{PUBLIC}/sharegpt_format/dummy_conversation.jsonl"
