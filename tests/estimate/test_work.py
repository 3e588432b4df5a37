"""Rows, tokens and steps before a run are those of the run."""

import pandas as pd
import pytest
from datasets import Dataset
from tests.contract import results
from trl import pack_dataset

from clinical_camel import dbke, models
from clinical_camel.core.paths import root
from clinical_camel.estimate import work
from clinical_camel.runner.jobs import load_job

ENDPOINT = dbke.OpenAI(
    model="m", base_url="https://h.invalid/v1", terms="own", money_cap=0.0, token_cap=9
)
LOCAL_ENDPOINT = {"base_url": "http://localhost/v1"}  # needs no key


def load_settings(step, study="mini_camel", **changed):
    return load_job(study, step).settings.model_copy(update=changed)


# ------------------------------------------------------------------------------- 01: dialogues


@pytest.mark.parametrize("context", [8192, 3000])
def test_prompts_of_a_language_model_are_those_that_would_be_sent(context):
    teacher = ENDPOINT.model_copy(update={"context": context})
    settings = load_settings("01_dbke", teacher=teacher)
    done = work.count_dialogues(settings, sample=0)
    local = settings.model_copy(update={"teacher": teacher.model_copy(update=LOCAL_ENDPOINT)})
    prompts = [dbke.build_messages(request) for request in dbke.prepare(local).requests]
    tokens = [sum(len(m["content"]) for m in messages) // 4 for messages in prompts]
    assert (done.rows, done.forward_tokens) == (len(prompts), sum(tokens))
    sampled = work.count_dialogues(settings, sample=50)
    assert sampled.forward_tokens == pytest.approx(sum(tokens), rel=0.05)
    assert sampled.rows == done.rows
    assert done.reply_tokens == len(prompts) * 6 * 54
    assert done.unknown == ("how fast the endpoint answers",)


def test_articles_on_the_hub_are_counted_from_their_limit():
    changed = {"questions": [], "articles": ["medquad"], "teacher": ENDPOINT}
    settings = load_settings("01_dbke", **changed, article_limits={"medquad": 10})
    done = work.count_dialogues(settings)
    assert done.forward_tokens == done.reply_tokens == 0
    assert done.rows == 50
    assert done.unknown[0] == "50 prompts: their texts are not on this machine"
    unlimited = work.count_dialogues(settings.model_copy(update={"article_limits": {}}))
    assert unlimited.rows == 5 * 5486  # the pages of sizes.csv
    assert "5,486 rows (measured)" in unlimited.estimates[0]


def test_rules_search_the_article_of_every_dialogue():
    settings = load_settings("01_dbke", questions=[])
    requests = dbke.prepare(settings).requests
    done = work.count_dialogues(settings)
    assert done.rows == len(requests)
    assert done.searched_tokens == sum(len(request.source_text) // 4 for request in requests)
    assert (done.forward_tokens, done.unknown) == (0, ())
    hub = settings.model_copy(update={"articles": ["medquad"], "article_limits": {"medquad": 10}})
    assert work.count_dialogues(hub).searched_tokens == 5 * 10 * 1200  # tokens of sizes.csv


# -------------------------------------------------------------------------------- 02: training


@pytest.mark.parametrize("study", ["mini_camel", "mini_camel_raw"])
def test_steps_and_tokens_of_training_are_those_of_the_committed_run(study):
    if f"{study}/02_sft_qlora" in results.stale_list(root()):
        pytest.skip("the committed run is listed in outputs/STALE.md")
    recipe = load_settings("02_sft_qlora", study)
    done = work.count_training(recipe, models.load_tokenizer("mini"))
    log = pd.read_csv(root() / f"outputs/{study}/02_sft_qlora/train_log.csv").iloc[-1]
    assert (done.optimizer_steps, done.tokens) == (log["step"], log["tokens"])
    assert not done.estimates
    assert not done.unknown


def test_dialogues_that_do_not_exist_yet_are_estimated_from_the_settings_of_01(fresh_project):
    done = work.count_training(load_settings("02_sft_qlora"), models.load_tokenizer("mini"))
    text = "dialogues: 345 rows of 324 tokens, estimated from the settings of 01_dbke"
    assert text in done.estimates
    assert done.optimizer_steps == 798  # 69 articles with five dialogues each
    assert done.longest_row == 1024


@pytest.mark.parametrize(
    ("form", "rows"),
    [
        ("qa", "2,070 rows of 54"),
        ("half_raw_half_qa", "1,208 rows of 93"),
        ("raw", "345 rows of 324"),
    ],
)
def test_a_form_with_a_row_per_exchange_has_more_and_shorter_rows(form, rows, fresh_project):
    file = fresh_project / "params/mini_camel/01_dbke.yaml"
    file.write_text(file.read_text().replace("form: dialogue", f"form: {form}"))
    done = work.count_training(load_settings("02_sft_qlora"), models.load_tokenizer("mini"))
    assert any(text.startswith(f"dialogues: {rows} tokens") for text in done.estimates)


def test_dialogues_from_the_hub_have_the_size_of_their_set_or_are_unknown(fresh_project):
    file = fresh_project / "params/mini_camel/01_dbke.yaml"
    own = file.read_text()
    file.write_text(own.replace("[mini_articles]", "[medquad]"))
    recipe = load_settings("02_sft_qlora", packing=True)
    done = work.count_training(recipe, None)
    assert not done.unknown
    assert work.NO_TOKENIZER in done.estimates
    assert any(text.startswith("dialogues: 27,430 rows of 324") for text in done.estimates)
    limited = file.read_text().replace("article_limits: {}", "article_limits: {medquad: 100}")
    file.write_text(limited)
    done = work.count_training(recipe, None)
    assert any(text.startswith("dialogues: 500 rows of 324") for text in done.estimates)


def test_the_published_mixture_is_counted_with_the_status_of_each_number(fresh_project):
    done = work.count_training(load_settings("02_sft_qlora", "clinical_camel_70b"), None)
    assert (done.rows, done.unknown) == (174_000, ())
    texts = " ".join(done.estimates)
    for part in ("70,000 rows (recalled)", "100,000 rows (published)", "4,000 rows (recalled)"):
        assert part in texts
    assert done.optimizer_steps > 1000


@pytest.mark.parametrize("longest", [60, 140])
def test_packed_rows_are_as_many_as_those_of_trl(longest):
    lengths = [1 + (7919 * i) % longest for i in range(1500)]  # more than TRL packs at a time
    rows = Dataset.from_dict({"input_ids": [[0] * n for n in lengths]})
    assert work.count_packed_rows(lengths, 100) == len(pack_dataset(rows, 100, "bfd"))


def test_replies_are_generated_in_batches_of_the_token_budget():
    done = work.count_generation([10, 30, 20], new_tokens=10, token_budget=60)
    assert (done.decode_steps, done.forward_tokens, done.longest_row) == (20, 60, 40)
