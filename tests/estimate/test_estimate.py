"""What a study will take: counted like the real thing, and compared with it."""

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from tests.support.project import Memory, skip_if_run_again
from transformers import Trainer, TrainingArguments

from clinical_camel import data, dbke, eval_fewshot, models, sft_qlora
from clinical_camel.dbke import retrieval
from clinical_camel.estimate import costs, memory, report, shapes, speed, work
from clinical_camel.estimate.costs import Cost, costs_of
from clinical_camel.estimate.shapes import find_base, lora_shapes
from clinical_camel.estimate.speed import MACHINES
from clinical_camel.estimate.work import Work
from clinical_camel.runner.jobs import Job, PlanError, load_job, load_jobs

REPOSITORY = Path(__file__).parents[2]
ALL = ("all-linear",)


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """The real notebooks and params in an empty project: no step has run."""
    for name in ("notebooks", "params"):
        shutil.copytree(REPOSITORY / name, tmp_path / name)
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(tmp_path))
    return tmp_path


# ------------------------------------------------------------------------------- the base


@pytest.mark.parametrize(
    ("model", "total"),
    [
        ("huggyllama/llama-7b", 6_738_415_616),
        ("huggyllama/llama-13b", 13_015_864_320),
        ("meta-llama/Llama-2-7b-hf", 6_738_415_616),
        ("meta-llama/Llama-2-13b-hf", 13_015_864_320),
        ("meta-llama/Llama-2-70b-hf", 68_976_648_192),
        ("meta-llama/Llama-3.1-8B-Instruct", 8_030_261_248),
        ("bigscience/bloom-7b1", 7_069_016_064),
        ("TinyLlama/TinyLlama-1.1B-Chat-v1.0", 1_100_048_384),
        ("Qwen/Qwen2.5-7B", 7_615_616_512),
        ("Qwen/Qwen3-8B", 8_190_735_360),
    ],
)
def test_a_known_base_has_the_published_number_of_parameters(model, total):
    assert find_base(model).parameters == total


def test_the_linear_weights_are_those_that_quantisation_takes():
    assert find_base("meta-llama/Llama-2-70b-hf").linear_weights == 68_451_041_280


def test_an_unknown_base_names_the_way_to_give_its_shape(tmp_path):
    with pytest.raises(PlanError, match=r"--config path/to/config.json.*Llama-2-7b-hf"):
        find_base("somebody/unknown")
    config = tmp_path / "config.json"
    config.write_text(json.dumps(shapes.SHAPES["Qwen/Qwen3-8B"]))
    assert find_base("somebody/unknown", str(config)).parameters == 8_190_735_360
    with pytest.raises(PlanError, match="--config: nowhere.json is not there"):
        find_base("somebody/unknown", "nowhere.json")
    config.write_text('{"model_type": "none such"}')
    with pytest.raises(PlanError, match="no model_type that transformers knows"):
        find_base("somebody/other", str(config))


def test_every_model_of_the_table_can_be_built():
    for model in shapes.SHAPES:
        assert find_base(model).context >= 2048


@pytest.mark.parametrize(
    ("model", "weights"),
    # PEFT on the whole model, once, by hand; mini: outputs/mini_camel/02_sft_qlora/parameters.csv
    [("mini", 655_360), ("meta-llama/Llama-2-70b-hf", 828_375_040), ("Qwen/Qwen3-8B", 174_587_904)],
)
def test_lora_is_counted_on_all_layers(model, weights):
    found = lora_shapes(find_base(model), 64, ALL)
    assert sum(rows * columns for rows, columns in found) == weights


def test_lora_on_layers_that_the_base_lacks_names_those_it_has():
    with pytest.raises(PlanError, match=r"lora_targets: query.*q_proj"):
        lora_shapes(find_base("mini"), 8, ("query",))


@pytest.mark.parametrize(
    ("model", "megabytes"),
    # calculated by hand from the layers: shared facts on performance, 2.3
    [("meta-llama/Llama-2-7b-hf", 5.7), ("meta-llama/Llama-2-70b-hf", 30.5)],
)
def test_saved_activations_agree_with_a_count_by_hand(model, megabytes):
    base = find_base(model)
    found = shapes.saved_bytes(base, 64, ALL, value=2) * base.layers / 1e6
    assert found == pytest.approx(megabytes, rel=0.1)


# --------------------------------------------------------------------------------- memory


@pytest.mark.parametrize("quantize", ["nf4", "int8", ""])
def test_weights_take_the_bytes_of_the_loaded_model(quantize):
    model = models.load_base("mini", quantize)
    held = sum(p.numel() * p.element_size() for p in model.parameters())
    for module in model.modules():
        state = getattr(getattr(module, "weight", None), "quant_state", None)
        if state is not None:
            inner = state.state2
            tensors = (state.absmax, state.code, state.offset, inner.absmax, inner.code)
            held += sum(t.numel() * t.element_size() for t in tensors)
        if quantize == "int8" and hasattr(module, "state"):
            held += 4 * module.out_features
    assert sum(memory.weights(find_base("mini"), quantize, 4).values()) == held


@pytest.mark.parametrize("optimizer", sft_qlora.OPTIMIZERS)
def test_an_optimiser_keeps_the_bytes_that_are_planned(optimizer, tmp_path):
    sizes = [(64, 256), (8, 16)]
    weights = [torch.nn.Parameter(torch.ones(size)) for size in sizes]
    arguments = TrainingArguments(output_dir=str(tmp_path), optim=optimizer, use_cpu=True)
    kind, settings = Trainer.get_optimizer_cls_and_kwargs(arguments)
    built = kind(weights, **settings)
    for weight in weights:
        weight.grad = torch.full_like(weight, 0.1)
    built.step()
    held = 0
    for state in built.state.values():
        kept = [t for name, t in state.items() if torch.is_tensor(t) and "qmap" not in name]
        held += sum(t.numel() * t.element_size() for t in kept if t.numel() > 1)
    assert memory.optimizer_states(optimizer, sizes) == held


def test_checkpointing_needs_less_and_a_longer_row_more():
    base, params = (
        find_base("meta-llama/Llama-2-13b-hf"),
        dict(load_job("mini_camel", "02_sft_qlora").params),
    )
    params |= {"checkpointed_layers": -1, "max_length": 4096, "batch_size": 1}

    def activations(longest: int, **changed) -> int:
        done = Work(longest=longest)
        return memory.training(base, params | changed, done, MACHINES["h100"])["activations"]

    assert activations(4096) < activations(4096, checkpointed_layers=0) / 5
    assert activations(4096) == 2 * activations(2048) == activations(0)


@pytest.mark.parametrize(("size", "machine"), [("13b", "h200"), ("70b", "h200"), ("70b", "h100")])
def test_the_plan_names_the_fewest_layers_to_compute_again_that_fit(size, machine, copy):
    job = load_job("mini_camel", "02_sft_qlora")
    params = job.params | {"model": f"meta-llama/Llama-2-{size}-hf", "checkpointed_layers": -1}
    params |= {"max_length": 4096, "batch_size": 1, "chat_template": "mini"}
    params["mixture"] = {"outputs/x/01_dbke/dialogues.jsonl": 1.0}
    asked = Job("x", "02_sft_qlora", params)
    advice = costs_of(asked, machine).advice
    least = int(re.match(r"checkpointed_layers: (\d+) of", advice)[1])
    room = 0.9 * MACHINES[machine].memory

    def held(layers: int) -> int:
        given = Job("x", "02_sft_qlora", params | {"checkpointed_layers": layers})
        return sum(costs_of(given, machine).memory.values())

    assert held(least) <= room
    assert least == 0 or held(least - 1) > room
    assert ("with fewer it does not fit" in advice) == (least > 0)
    assert "advice    checkpointed_layers" in "\n".join(report.step_lines(costs_of(asked, machine)))


# ----------------------------------------------------------------------------------- work


@pytest.mark.parametrize("study", ["mini_camel", "mini_camel_raw"])
def test_steps_and_tokens_of_training_are_those_of_the_committed_run(study):
    job = load_job(study, "02_sft_qlora")
    done = work.training(job.params, models.load_tokenizer("mini"))
    log = pd.read_csv(REPOSITORY / f"outputs/{study}/02_sft_qlora/train_log.csv").iloc[-1]
    assert (done.steps, done.tokens) == (log["step"], log["tokens"])
    assert not done.how
    assert not done.unknown


@pytest.mark.parametrize(
    ("rows", "changed", "steps"),
    [
        (10, {}, 5),  # 3 batches, 2 of them a step: 2 steps, the second not full
        (8, {}, 3),  # 1 step an epoch
        (1, {}, 3),
        (0, {}, 0),
        (10, {"num_epochs": 0.5}, 1),
        (100, {"gradient_accumulation_steps": 1, "num_epochs": 1.0}, 25),
    ],
)
def test_steps_are_counted_as_the_trainer_does(rows, changed, steps):
    params = {"batch_size": 4, "gradient_accumulation_steps": 2, "num_epochs": 2.5}
    assert work.trainer_steps(rows, params | changed) == steps


def test_the_trainer_agrees_about_steps_with_accumulation(tmp_path):
    settings = {"gradient_accumulation_steps": 2, "num_train_epochs": 2.5}
    arguments = TrainingArguments(
        output_dir=str(tmp_path), per_device_train_batch_size=4, use_cpu=True, **settings
    )
    rows = [{"x": torch.zeros(1), "labels": torch.zeros(1)}] * 10
    trainer = Trainer(torch.nn.Linear(1, 1), arguments, train_dataset=rows)
    loader = trainer.get_train_dataloader()
    found = trainer.set_initial_training_values(arguments, loader)
    params = {"batch_size": 4, "gradient_accumulation_steps": 2, "num_epochs": 2.5}
    assert work.trainer_steps(10, params) in found


def test_scoring_is_counted_as_the_scorer_computes_it():
    job = load_job("mini_camel", "03_eval_fewshot")
    params = job.params | {"adapters": {"base": ""}, "benchmarks": ["mini_exam"]}
    params |= {"question_limit": 12, "quantize": "", "protocols": ["letter", "chat"]}
    llm = models.load("mini", {"base": ""})["base"]
    asked = {"mini_exam": data.load_questions("mini_exam", 12)}
    pools = {"mini_exam": data.load_training_questions("mini_exam_train")}
    design = eval_fewshot.Design(params["protocols"], params["num_shots"])
    eval_fewshot.answer_all({"base": llm}, asked, pools, design, 16384, Memory())
    done = work.scoring(params, llm.tokenizer, llm.max_length, sample=0)
    assert done.tokens == llm.counts["row_tokens"] + llm.counts["prefix_tokens"]
    assert done.head_share * done.tokens == pytest.approx(llm.counts["head_rows"])
    assert done.rows == 12


def test_a_sample_of_the_questions_is_near_and_says_so():
    params = load_job("mini_camel_controls", "03_eval_fewshot").params
    tokenizer = models.load_tokenizer("mini")
    params = params | {"protocols": ["letter"], "variants": ["as_given"]}
    whole = work.scoring(params, tokenizer, 4096, sample=0)
    part = work.scoring(params, tokenizer, 4096, sample=30)
    assert part.tokens == pytest.approx(whole.tokens, rel=0.1)
    assert part.how == ("mini_exam: estimated from 29 of 312 questions",)
    assert not whole.how


def test_replies_are_written_in_batches_of_the_budget():
    done = work._written([10, 30, 20], new=10, budget=60, scale=1)
    assert (done.decode_steps, done.read_tokens, done.longest) == (20, 60, 40)


def test_dialogues_that_are_yet_to_be_written_are_estimated_from_the_params(copy):
    params = load_job("mini_camel", "02_sft_qlora").params
    done = work.training(params, models.load_tokenizer("mini"))
    said = "dialogues: 345 rows of 324 tokens, estimated from the params of 01_dbke"
    assert said in done.how
    assert done.steps == 798  # 69 articles give five dialogues each
    assert done.longest == 1024


def test_what_nothing_tells_is_unknown(copy):
    file = copy / "params/mini_camel/01_dbke.yaml"
    file.write_text(file.read_text().replace("[mini_articles]", "[medquad]"))
    params = load_job("mini_camel", "02_sft_qlora").params | {"packing": True}
    done = work.training(params, None)
    assert done.unknown == ("dialogues: unknown until 01_dbke has run",)
    assert "tokens estimated as characters / 4: no tokenizer at hand" in done.how
    limited = file.read_text().replace("article_limit: 0", "article_limit: 100")
    file.write_text(limited)
    assert not work.training(params, None).unknown


def planned(given: dict) -> list[dbke.Request]:
    """What step 01 would ask a language model for."""
    limit, room = given["question_limit"], dbke.prompt_room(dbke.settings_of(given))
    articles = [a for spec in given["articles"] for a in data.load_articles(spec)]
    skip = given["exemplar_count"]
    questions = [
        q for spec in given["questions"] for q in data.load_training_questions(spec, limit, skip)
    ]
    sizes = (given["dialogues_per_article"], given["exchanges_per_dialogue"])
    return dbke.plan_requests(articles, questions, *sizes, given["seed"], room)


ENDPOINT = {"teacher": "openai", "teacher_model": "m", "base_url": "https://h.invalid/v1"}


def test_the_prompts_to_a_language_model_are_those_that_would_be_sent(monkeypatch):
    given = load_job("mini_camel", "01_dbke").params | ENDPOINT | {"passages_per_question": 0}
    monkeypatch.setattr(retrieval, "support", lambda questions, _: [()] * len(questions))
    sent = [dbke.build_messages(request) for request in planned(given)]
    tokens = [sum(len(m["content"]) for m in messages) // 4 for messages in sent]
    done = work.dialogues(given, sample=0)
    assert (done.rows, done.read_tokens) == (len(sent), sum(tokens))
    assert done.written_tokens == 442 * 6 * 54
    assert done.unknown == ("how fast the endpoint answers",)


def test_a_long_article_is_more_requests_and_one_on_the_hub_is_unknown():
    given = load_job("mini_camel", "01_dbke").params | ENDPOINT | {"questions": []}
    given |= {"dialogues_per_article": 1, "teacher_context": 3000}
    assert work.dialogues(given, sample=0).rows == len(planned(given)) > 69
    given |= {"dialogues_per_article": 5}
    away = work.dialogues(given | {"articles": ["medquad"], "article_limit": 10})
    assert away.read_tokens == away.written_tokens == 0
    assert away.unknown[0] == "50 prompts: their texts are not on this machine"


def test_a_teacher_costs_what_its_prices_say_and_no_less_time_than_its_limits():
    prices = {"price_in": 2.0, "price_out": 8.0, "money_cap": 1.0, "requests_per_minute": 60}
    job = load_job("mini_camel", "01_dbke")
    job = dataclasses.replace(job, params=job.params | ENDPOINT | prices)
    cost = costs.costs_of(job)
    assert cost.money == (2 * cost.work.read_tokens + 8 * cost.work.written_tokens) / 1e6 > 1
    assert cost.seconds["limits"] == 442
    slow = dataclasses.replace(job, params=job.params | {"tokens_per_minute": 60_000})
    most = 4 * cost.work.read_tokens + 442 * job.params["max_new_tokens"]
    assert costs.costs_of(slow).seconds["limits"] == most / 1000
    lines = report.step_lines(cost)
    said = f"  teacher   {cost.money:.2f} at price_in and price_out; money_cap ends it at 1.00"
    assert said in lines
    assert report.total_lines([cost], rate=0.0)[-1].split()[-1] == f"{cost.money:.2f}"


def test_a_teacher_on_this_machine_is_planned_as_a_model_that_writes():
    job = load_job("mini_camel", "01_dbke")
    taught = {"teacher": "local", "teacher_model": "mini", "max_new_tokens": 100}
    cost = costs.costs_of(dataclasses.replace(job, params=job.params | taught))
    assert cost.base.model == "mini"
    assert cost.work.decode_steps % 100 == 0 < cost.work.decode_steps
    assert cost.memory["key-value cache"] > 0
    assert cost.seconds["work"] > cost.work.decode_steps * cost.base.layers * 7e-3
    assert cost.money == 0


def test_an_exam_on_the_hub_has_its_published_size():
    params = load_job("mini_camel", "03_eval_fewshot").params
    params = params | {"benchmarks": ["medqa_us"], "protocols": ["letter"], "num_shots": [0, 5]}
    done = work.scoring(params, None, 4096)
    assert done.rows == 1273
    assert done.tokens == 2 * (2 * 1273 * 245 + 5 * 245)  # two models; the examples once


def test_notes_are_counted_on_the_shipped_consultations():
    params = load_job("mini_camel", "04_note_synthesis").params
    done = work.notes(params, models.load_tokenizer("mini"), 4096)
    assert done.rows == 28
    assert done.decode_steps % 256 == 0
    assert not done.unknown


def test_windows_sections_and_other_decodings_are_more_prompts():
    params = load_job("mini_camel", "04_note_synthesis").params | {"other_decodings": []}
    tokenizer = models.load_tokenizer("mini")
    plain = work.notes(params, tokenizer, 4096)
    again = work.notes(params | {"other_decodings": ["greedy"]}, tokenizer, 4096)
    assert again.read_tokens == 2 * plain.read_tokens
    apart = work.notes(params | {"unit": "section"}, tokenizer, 4096)
    assert apart.read_tokens == 4 * plain.read_tokens
    assert apart.rows == plain.rows == 28
    skipped = work.notes(params, tokenizer, 256 + 100)
    windows = work.notes(params | {"too_long": "windows"}, tokenizer, 256 + 100)
    assert skipped.read_tokens == 0
    assert windows.read_tokens > plain.read_tokens


# ---------------------------------------------------------------------- the whole, and its error


def test_a_run_that_found_its_answers_in_a_journal_is_no_measurement(monkeypatch):
    record = {"status": "complete", "device": {}, "params": {}, "notes": {"computed": {"a": {}}}}
    monkeypatch.setattr(costs, "read_json", lambda _: record)
    monkeypatch.setattr(costs, "costs_of", lambda *_: pytest.fail("planned for nothing"))
    assert list(costs.measured_runs()) == []


def test_the_plan_of_training_is_near_what_was_measured():
    skip_if_run_again()
    measured = {run.cost.step: run for run in costs.measured_runs() if run.cost.study[-1] == "l"}
    run = measured["02_sft_qlora"]
    assert 0.75 < run.memory_ratio < 1.33
    assert 0.6 < run.seconds_ratio < 1.6
    assert 0.7 < measured["03_eval_fewshot"].memory_ratio < 1.4


def test_a_70b_base_is_planned_for_an_h100_that_can_hold_it_only_when_quantised(copy):
    job = load_job("mini_camel", "02_sft_qlora")
    params = job.params | {"model": "meta-llama/Llama-2-70b-hf", "checkpointed_layers": -1}
    params |= {"max_length": 4096, "batch_size": 1, "chat_template": "mini"}
    cost = costs_of(Job("x", "02_sft_qlora", params))
    assert cost.machine == "h100"
    assert cost.disk["download"] == 2 * 68_976_648_192
    assert cost.memory["base in NF4"] == 68_451_041_280 // 2
    assert not report.too_large(cost)
    whole = costs_of(Job("x", "02_sft_qlora", params | {"quantize": ""}))
    assert "MORE THAN THE H100 HAS" in " ".join(" ".join(report.step_lines(whole)).split())
    given = costs_of(Job("x", "02_sft_qlora", params), tokens_per_second=100.0)
    assert given.seconds["work"] == pytest.approx(given.work.tokens / 100)


def test_the_published_speed_comes_out_for_the_run_it_was_taken_from():
    base = find_base("meta-llama/Llama-2-70b-hf")
    lora = 828_375_040
    done = Work(trained_tokens=1e6)
    rate = 1e6 / speed.seconds(base, lora, True, done, MACHINES["h100"])
    assert rate == pytest.approx(786, rel=0.05)


def test_a_base_is_downloaded_once_a_study(copy, monkeypatch):
    for file in (copy / "params/mini_camel").glob("*.yaml"):
        text = file.read_text().replace("model: mini", "model: meta-llama/Llama-2-7b-hf")
        file.write_text(text.replace('chat_template: ""', "chat_template: mini"))
    jobs = [load_job("mini_camel", step) for step in ("02_sft_qlora", "04_note_synthesis")]
    first, second = costs.study_costs(jobs)
    assert "download" in first.disk
    assert "download" not in second.disk
    assert second.seconds["download"] == 0


def test_the_table_has_a_total_and_the_money():
    done = Work(trained_tokens=10, unknown=("x: not counted",))
    one = Cost("s", "02_a", "h100", done, memory={"a": 10**9}, seconds={"work": 7200.0})
    two = dataclasses.replace(one, step="03_b", work=Work(), seconds={"work": 3600.0})
    lines = report.total_lines([one, two], rate=2.5)
    assert lines[1].split() == ["02_a", "10", "1.00", "0.00", "at", "least", "2.00", "5.00"]
    assert lines[-1].split() == ["in", "all", "1.00", "0.00", "at", "least", "3.00", "7.50"]


def test_the_command_prints_each_step_the_total_the_error_and_the_sources(monkeypatch, capsys):
    measured = costs.Measured(Cost("s", "02_a", "cpu", Work(), seconds={"work": 5.0}), 10.0, 1)
    monkeypatch.setattr(report, "measured_runs", lambda: [measured])
    assert report.show(load_jobs("mini_camel_controls"), rate=2.0) == 0
    out = capsys.readouterr().out
    said = ("03_eval_fewshot  mini, 1,115,264", "base in NF4", "in all", "s 02_a, cpu", "0.50")
    assert [text for text in said if text not in out] == []
    assert "measured: the run.json files" in " ".join(out.split())


def test_what_a_step_would_refuse_is_said_with_its_file(copy):
    file = copy / "params/mini_camel_raw/02_sft_qlora.yaml"
    file.write_text(file.read_text().replace("[all-linear]", "[query]"))
    jobs = [load_job("mini_camel_raw", "02_sft_qlora")]
    with pytest.raises(PlanError, match="params/mini_camel_raw/02_sft_qlora.yaml: lora_targets"):
        costs.study_costs(jobs)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"machine": "h10"}, "--machine: no machine h10; did you mean h100?"),
        ({"rate": -1.0}, "--rate: -1.0 is not allowed"),
        ({"tokens_per_second": float("nan")}, "--tokens-per-second: nan is not allowed"),
    ],
)
def test_a_wrong_option_is_named(settings, message):
    with pytest.raises(PlanError) as caught:
        report.show(load_jobs("mini_camel_controls"), **settings)
    assert message in str(caught.value)


def test_both_commands_check_the_params_before_torch_is_imported(copy, capfd):
    file = copy / "params/mini_camel_raw/02_sft_qlora.yaml"
    file.write_text(file.read_text().replace("batch_size: 4", "batch_size: 0"))
    for command in ("plan", "doctor"):
        wrong = [sys.executable, "-X", "importtime", "-m", "clinical_camel", command]
        done = subprocess.run([*wrong, "mini_camel_raw"], timeout=300)
        said = capfd.readouterr().err
        assert done.returncode == 2
        assert "batch_size: 0 is not allowed" in said
        assert " torch\n" not in said
