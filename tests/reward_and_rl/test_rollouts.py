"""Rollouts of four architectures: padding, the reference, the exact KL."""

import pytest
import torch
from tests.support.toy_policies import load_sft, make_prompt, random_sft, toy_settings
from tests.support.toy_training import BASES

from clinical_camel import models
from clinical_camel.models import Decoding, ModelError
from clinical_camel.reward_and_rl import ppo
from clinical_camel.reward_and_rl.measures import measure_divergence
from clinical_camel.reward_and_rl.rollouts import (
    make_rollouts,
    measure_kl,
    open_policy,
    predict,
    sample_rollouts,
    tokenize_prompt,
)
from clinical_camel.reward_and_rl.sampling import sample_replies

DECODING = Decoding(5, temperature=1.0)


def sample(llm, count=3, seeds=range(3), budget=16384):
    prompts = [make_prompt(i) for i in range(count)]
    return sample_rollouts(llm, prompts, DECODING, token_budget=budget, seeds=list(seeds))


@pytest.mark.parametrize("kind", BASES)
def test_left_padding_changes_no_log_probability_and_all_gradients_are_finite(kind):
    """BLOOM derives positions from the mask and runs with eager attention."""
    with open_policy(random_sft(kind)) as policy:
        together = sample(policy.llm)
        assert (together.mask[:, 0] == 0).any(), "no row is padded on the left"
        model = policy.llm.activate()
        batch = predict(model, together, 1.0).log_probs(together)
        assert batch.isfinite().all()
        for i in range(3):
            real = together.mask[i, : -together.reply_mask.shape[1]].bool()
            prompt = together.tokens[i, : len(real)][real].tolist()
            length = int(together.reply_mask[i].sum())
            reply = together.tokens[i, len(real) : len(real) + length].tolist()
            alone = make_rollouts(policy.llm, [make_prompt(i)], [prompt], [reply], [True])
            expected = predict(model, alone, 1.0).log_probs(alone)[0]
            torch.testing.assert_close(batch[i, :length], expected, rtol=0, atol=2e-5)
        (batch * together.reply_mask).sum().backward()
        gradients = [weight.grad for weight in policy.list_weights().values()]
        assert all(gradient.isfinite().all() for gradient in gradients)
        assert any(gradient.abs().sum() > 0 for gradient in gradients)


@pytest.mark.parametrize("kind", BASES)
def test_a_step_of_ppo_moves_every_architecture_and_the_reference_stays(kind):
    settings = toy_settings(ppo_epochs=2)
    with open_policy(random_sft(kind)) as policy:
        learner = ppo.make_learner(policy, settings)
        rollouts = sample(policy.llm, 2, range(2))
        assert measure_divergence(policy, rollouts, settings)[0] == [0.0, 0.0]
        with policy.use_reference() as reference, torch.no_grad():
            before = predict(reference, rollouts, 1.0).log_softmax
        scores = torch.tensor([1.0, 0.0])
        targets, _ = ppo.prepare_targets(learner, rollouts, scores, settings)
        figures = [ppo.update(learner, rollouts, targets, settings) for _ in range(2)]
        assert all(step["grad_norm"] > 0 for step in figures)
        with policy.use_reference() as reference, torch.no_grad():
            assert torch.equal(predict(reference, rollouts, 1.0).log_softmax, before)
        assert min(measure_divergence(policy, rollouts, settings)[0]) > 0


def test_parts_have_every_reply_once_and_no_column_of_padding(sft):
    prompts = [make_prompt(i) for i in range(4)]
    ids, new = [[5] * 9, [5] * 2, [5] * 3, [5] * 8], [[6] * 4, [6], [6] * 9, [6] * 2]
    rollouts = make_rollouts(sft, prompts, ids, new, [True] * 4)
    for budget in (1, 20, 40, 1000):
        parts = list(rollouts.split(budget))
        assert sorted(row for rows, _ in parts for row in rows) == [0, 1, 2, 3]
        for rows, part in parts:
            assert [reply.prompt.id for reply in part.replies] == [prompts[i].id for i in rows]
            assert len(rows) == 1 or part.tokens.numel() <= budget
            assert part.tokens.shape[1] == max(len(ids[i]) for i in rows) + part.reply_mask.shape[1]
            assert part.reply_mask.shape[1] == max(len(new[i]) for i in rows)
            assert part.tokens[part.mask.bool()].tolist() == [
                token for i in rows for token in (*ids[i], *new[i])
            ]
            assert part.reply_mask.sum(1).tolist() == [len(new[i]) for i in rows]
    assert len(list(rollouts.split(1))) == 4
    assert len(list(rollouts.split(1000))) == 1


def test_parts_change_neither_the_targets_nor_the_divergence():
    settings = toy_settings()
    with open_policy(random_sft("llama")) as policy:
        for weight in policy.list_weights().values():  # not the reference any more
            weight.data += 0.05
        rollouts = sample(policy.llm, 4, range(4))
        learner, scores = ppo.make_learner(policy, settings), torch.arange(4.0)
        torch.nn.init.normal_(learner.head.weight)
        results = []
        for budget in (16384, 40):
            changed = settings.model_copy(update={"token_budget": budget})
            targets, figures = ppo.prepare_targets(learner, rollouts, scores, changed)
            divergence = torch.tensor(measure_divergence(policy, rollouts, changed))
            mask = rollouts.reply_mask
            tensors = [targets.old_log_probs * mask, targets.returns, targets.advantages]
            results.append([divergence, *tensors, figures])
        assert len(list(rollouts.split(40))) > 1
        assert results[0][0].min() > 0
        for whole, parts in zip(*(result[:-1] for result in results), strict=True):
            torch.testing.assert_close(whole, parts, rtol=1e-4, atol=1e-5)
        assert results[0][-1] == pytest.approx(results[1][-1], rel=1e-4, abs=1e-5)


def test_the_sft_model_is_the_same_after_a_policy(sft):
    prompts = [models.render_chat(sft.tokenizer, make_prompt(0).messages)]

    def write():
        return list(models.generate(sft, prompts, DECODING, token_budget=512, seed=4))

    before, adapters = write(), set(sft.model.peft_config)
    with open_policy(sft) as policy:
        for weight in policy.list_weights().values():
            weight.data += 1.0
    assert write() == before
    assert set(sft.model.peft_config) == adapters


def test_a_policy_needs_an_sft_adapter():
    base = models.load("mini", {"base": ""})["base"]
    message = "adapter: base has no adapter; name the SFT adapter"
    with pytest.raises(ModelError, match=message), open_policy(base):
        pass


def test_a_reply_depends_on_its_prompt_and_seed_alone_and_is_that_of_generate(sft):
    together, halves = sample(sft), sample(sft, budget=32)
    assert [r.text for r in together.replies] == [r.text for r in halves.replies]
    other = sample(sft, seeds=[9, 1, 2])
    assert [r.text for r in other.replies[1:]] == [r.text for r in together.replies[1:]]
    assert other.replies[0].text != together.replies[0].text
    greedy = Decoding(5)
    prompts = [make_prompt(i) for i in range(3)]
    texts = [models.render_chat(sft.tokenizer, prompt.messages) for prompt in prompts]
    rollouts = sample_rollouts(sft, prompts, greedy, token_budget=512, seeds=[0, 0, 0])
    expected = dict(
        (i, (text, done))
        for i, text, done in models.generate(sft, texts, greedy, token_budget=512, seed=1)
    )
    assert [(r.text, r.complete) for r in rollouts.replies] == [expected[i] for i in range(3)]


def test_the_exact_kl_is_the_mean_log_ratio_over_many_replies():
    with open_policy(random_sft("llama")) as policy:
        for weight in policy.list_weights().values():
            weight.data *= 1.5
        rollouts = sample(policy.llm, 1, [0])
        rollouts = sample_rollouts(
            policy.llm,
            [make_prompt(0)] * 256,
            Decoding(1, temperature=1.0),
            token_budget=16384,
            seeds=list(range(256)),
        )
        with torch.no_grad():
            now = predict(policy.llm.activate(), rollouts, 1.0)
            with policy.use_reference() as reference:
                before = predict(reference, rollouts, 1.0)
        exact = measure_kl(now, before, rollouts.reply_mask)
        ratios = (now.log_probs(rollouts) - before.log_probs(rollouts)).squeeze(1)
        assert exact.std() < 1e-4  # one prompt, one token: the same number for every reply
        error = ratios.std() / 16
        assert abs(ratios.mean() - exact.mean()) < 3 * error
        assert exact.mean() > 3 * error, "the KL is not clear of zero"


def test_the_temperature_divides_the_logits():
    with open_policy(random_sft("llama")) as policy, torch.no_grad():
        rollouts = sample(policy.llm, 1, [0])
        model = policy.llm.activate()
        one, two = (predict(model, rollouts, t) for t in (1.0, 2.0))
        expected = (one.log_softmax / 2).log_softmax(-1)
        torch.testing.assert_close(two.log_softmax, expected, rtol=1e-4, atol=1e-4)
        assert (two.entropies() > one.entropies()).all()


def test_gradients_of_a_quantized_policy_pass_through_its_base(sft_folder):
    """The SFT model writes replies first, as in step 07: that must not repack its weights."""
    gradients = {}
    for quantize in ("nf4", "nf4_dequantized"):
        llm = load_sft(sft_folder, quantize)
        sample_replies(llm, [make_prompt(0)], 1, DECODING, token_budget=16384, seed=0)
        with open_policy(llm) as policy:
            prompt, reply = make_prompt(1), [40, 41, 42, 43]
            ids = [tokenize_prompt(policy.llm, prompt)]
            rollouts = make_rollouts(policy.llm, [prompt], ids, [reply], [True])
            model = policy.llm.activate()
            predict(model, rollouts, 1.0).log_probs(rollouts).sum().backward()
            gradients[quantize] = {n: w.grad.clone() for n, w in policy.list_weights().items()}
    for name, expected in gradients["nf4_dequantized"].items():
        assert torch.allclose(gradients["nf4"][name], expected, rtol=1e-3, atol=1e-5), name


def test_weights_that_an_evaluation_repacked_are_no_policy(sft_folder):
    llm = load_sft(sft_folder, "nf4")
    layer = next(m for m in llm.model.modules() if hasattr(m, "support_avx512bf16_for_cpu"))
    layer.weight.quant_state.packing_format_for_cpu = True
    with pytest.raises(ModelError, match="repacked by an evaluation"), open_policy(llm):
        pass


def test_the_head_gets_states_that_torch_multiplies_at_once(sft):
    prompts = [make_prompt(0), make_prompt(1)]
    inputs = []
    rollouts = sample_rollouts(sft, prompts, DECODING, token_budget=512, seeds=[0, 1])
    width = rollouts.reply_mask.shape[1]
    head = sft.model.get_output_embeddings()
    original = type(head).forward

    def record(self, states):
        inputs.append(states)
        return original(self, states)

    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(
            type(head),
            "forward",
            lambda self, x: record(self, x) if self is head else original(self, x),
        )
        predict(sft.activate(), rollouts, 1.0)
    (states,) = inputs
    assert states.shape[:2] == (2, width)
    assert states.is_contiguous()
