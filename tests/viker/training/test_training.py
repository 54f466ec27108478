"""What the parameters of training do, on a small untrained model."""

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from components.sample.run import run as sample
from components.unlearn.run import run as unlearn
from components.unlearn.stage import Arguments
from tests.viker.methods.checks import settings_of
from viker.core.errors import UserError
from viker.data.records import read_records
from viker.data.samples import Sample, sample_of
from viker.methods.base.method import methods
from viker.models.entropy import entropy
from viker.models.logits import answer_logits
from viker.teacher.people import People
from viker.teacher.stand_ins import FrozenModel
from viker.teacher.teacher import TeacherInputs
from viker.teacher.visual import teacher_probabilities
from viker.training.divergence_guard import Diverged
from viker.training.length_batches import LengthGrouped
from viker.training.loss_curve import PARTS, loss_curve
from viker.training.make_trainer import make_trainer
from viker.training.settings import UnlearnParams
from viker.training.target import target_of

SHORT = {"epochs": 1, "retain_batch_size": 3, "batch_size": 2}
SPLITS = ("forget", "retain")
SCENES = ["scene-0", "scene-1"]


@pytest.fixture(scope="module")
def samples(prepared) -> dict[str, list[Sample]]:
    rows = {split: [sample_of(r) for r in read_records(prepared, split) if r.task == "qa"] for split in SPLITS}
    return {split: samples[:6] for split, samples in rows.items()}


@pytest.fixture(scope="module")
def teachers(small_model, samples) -> list[torch.Tensor]:
    model, encoder = small_model
    return teacher_probabilities(model, encoder, samples["forget"], [SCENES] * len(samples["forget"]), 3)


@pytest.fixture
def trainer_of(params, small_model, samples, teachers):
    """A trainer of a copy of the model, with some parameters changed."""

    def make(aim=None, **changes):
        settings = UnlearnParams(**params.unlearn.model_dump(by_alias=True) | SHORT | changes)
        model, encoder = small_model
        torch.manual_seed(0)
        forget, retain = (samples[split] for split in SPLITS)
        return make_trainer(settings, 7, copy.deepcopy(model), encoder, forget, retain, teachers, target=aim)

    return make


def adapter(trainer) -> dict[str, torch.Tensor]:
    trainer.train()
    return {name: p.detach().clone() for name, p in trainer.model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("method", methods().values(), ids=methods())
def test_each_method_trains_and_logs_its_parts_a_step(trainer_of, method):
    asked = {"retain": {"term": "nll"}} if method.unlearns else {}
    trainer = trainer_of(method=settings_of(method, **asked))
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    moved = [name for name, value in adapter(trainer).items() if not torch.equal(value, before[name])]
    curve = loss_curve(trainer)
    assert moved and all("lora" in name and "language_model" in name for name in moved)
    assert list(curve.columns[:6]) == ["step", "epoch", "loss", "ga", "kl", "retain"]
    assert list(curve.columns[-2:]) == ["lr", "grad_norm"]
    assert curve["step"].tolist() == [1, 2, 3] and curve["loss"].notna().all()
    assert set(curve.columns[6:-2]) == set(method.parts) - set(PARTS)
    assert curve["retain"].notna().all() == method.unlearns


def test_retrain_learns_the_retain_samples_and_nothing_of_forget(trainer_of, samples):
    trainer = trainer_of(method={"name": "retrain", "base_model": "base"}, epochs=6)
    assert [row[0] for row in trainer.train_dataset] == samples["retain"]
    trainer.train()
    nll = loss_curve(trainer)["nll"]
    assert nll[-3:].mean() < nll[:3].mean()
    assert "ga" not in trainer.parts


def test_accumulated_batches_are_the_mean_of_theirs(trainer_of):
    one = trainer_of(batch_size=1, gradient_accumulation=3, method="npo")
    three = trainer_of(batch_size=3, method="npo")  # npo is a mean over samples
    for name, value in adapter(three).items():
        torch.testing.assert_close(adapted(one)[name], value, rtol=1e-3, atol=1e-5)
    first, second = loss_curve(one), loss_curve(three)
    assert first["step"].tolist() == second["step"].tolist() == [1, 2]
    assert first["loss"].tolist() == pytest.approx(second["loss"].tolist(), rel=1e-4)
    assert first["ratio"].tolist() == pytest.approx(second["ratio"].tolist(), rel=1e-3, abs=1e-5)


def adapted(trainer) -> dict[str, torch.Tensor]:
    if trainer.state.global_step == 0:
        trainer.train()
    return {name: p.detach() for name, p in trainer.model.named_parameters() if p.requires_grad}


def test_the_rate_rises_in_the_warm_up_and_then_falls_or_stays(trainer_of):
    rates = {}
    for scheduler in ("constant", "linear", "cosine"):
        trainer = trainer_of(lr_scheduler=scheduler, warmup=0.5, epochs=4, lr=0.001)
        trainer.train()
        rates[scheduler] = loss_curve(trainer)["lr"].tolist()
    for rate in rates.values():
        assert rate[:7] == pytest.approx([0.001 * step / 6 for step in range(7)])
    assert rates["constant"][6:] == [0.001] * 6
    for name in ("linear", "cosine"):
        assert rates[name][6:] == sorted(rates[name][6:], reverse=True) and rates[name][-1] < 0.0005


def test_the_mode_is_set_at_first_and_after_a_measurement(trainer_of, monkeypatch):
    trainer, modes = trainer_of(), []
    set_mode, step = trainer.model.train, trainer.compute_loss

    def then_measured(model, inputs):
        modes.append(all(module.training for module in model.modules()))
        return step(model, inputs), set_mode(len(modes) > 2)

    monkeypatch.setattr(trainer.model, "train", lambda mode=True: modes.append("set") or set_mode(mode))
    monkeypatch.setattr(trainer, "compute_loss", lambda *given: then_measured(*given)[0])
    trainer.train()
    assert modes == ["set", True, "set", True, True]


def test_without_clipping_a_step_differs_and_the_norm_is_logged_all_the_same(trainer_of):
    clipped, free = trainer_of(max_grad_norm=1e-9), trainer_of(max_grad_norm=0.0)
    assert any(not torch.equal(a, b) for a, b in zip(adapter(clipped).values(), adapter(free).values(), strict=True))
    norms = [loss_curve(trainer)["grad_norm"][0] for trainer in (clipped, free)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-4) and norms[0] > 1e-9


def test_checkpointed_activations_give_the_same_adapter(trainer_of):
    plain, again = adapter(trainer_of()), adapter(trainer_of(gradient_checkpointing=True))
    for name, value in plain.items():
        torch.testing.assert_close(again[name], value, rtol=1e-4, atol=1e-6)


def test_plain_attention_gives_the_same_loss(trainer_of):
    fused, plain = trainer_of(), trainer_of(attention="eager")
    fused.train()
    plain.train()
    assert plain.model.config.text_config._attn_implementation == "eager"
    assert loss_curve(plain)["loss"].tolist() == pytest.approx(loss_curve(fused)["loss"].tolist(), rel=1e-3, abs=1e-4)


class TestLengths:
    def test_batches_hold_like_lengths_and_every_sample_once(self):
        lengths = torch.randint(1, 100, (64,), generator=torch.Generator().manual_seed(0)).tolist()

        def gap(order: list[int]) -> float:
            return sum(abs(lengths[a] - lengths[b]) for a, b in zip(order[::2], order[1::2], strict=True)) / 32

        order = list(LengthGrouped(lengths, 2, seed=1))
        assert sorted(order) == list(range(64))
        assert gap(order) < gap(list(range(64))) / 3

    def test_the_order_follows_from_seed_and_epoch_alone(self):
        orders = []
        for epoch in (0, 1, 1):
            torch.rand(epoch + 3)
            sampler = LengthGrouped(range(30), 2, seed=1)
            sampler.set_epoch(epoch)
            orders.append(list(sampler))
        assert orders[0] != orders[1] == orders[2]

    def test_the_trainer_draws_each_epoch_by_it(self, trainer_of, small_model):
        trainer = trainer_of(group_by_length=True, batch_size=1)
        samples = [one for one, _ in trainer.train_dataset]
        lengths = [len(small_model[1].ids(one.prompt, one.answer, True)[0]) for one in samples]
        loader = trainer.get_train_dataloader()
        for epoch in (0, 1):
            expected = LengthGrouped(lengths, 1, seed=7)
            expected.set_epoch(epoch)
            loader.set_epoch(epoch)
            assert [batch["forget"].samples[0] for batch in loader] == [samples[place] for place in expected]


class TestStop:
    def test_the_run_ends_after_the_first_epoch_that_reaches_the_bound(self, trainer_of):
        settings = {"method": "ga", "lr": 0.01, "epochs": 20, "key_token_entropy": 0.0}
        bound = 0.0018
        trainer = trainer_of(**settings, stop_when={"key_token_probability": bound})
        trainer.train()
        stop = callback(trainer)
        steps = trainer.state.global_step
        assert steps % 3 == 0 and 3 < steps < 60
        assert stop.measure(trainer.model) <= bound
        shorter = trainer_of(**settings | {"epochs": steps // 3 - 1})
        shorter.train()
        assert stop.measure(shorter.model) > bound

    def test_the_measure_is_the_mean_probability_of_the_key_tokens(self, trainer_of, small_model, samples, teachers):
        threshold = float(torch.cat([entropy(t) for t in teachers]).median())
        trainer = trainer_of(stop_when={"key_token_probability": 0.5}, key_token_entropy=threshold)
        model, encoder = small_model
        expected = []
        for one, teacher in zip(samples["forget"], teachers, strict=True):
            batch = encoder.batch([one])
            p = answer_logits(model, batch)[0].softmax(-1)
            expected += [
                p[t, batch.answers[0, t]].item() for t in range(len(teacher)) if entropy(teacher)[t] > threshold
            ]
        assert callback(trainer).measure(trainer.model) == pytest.approx(sum(expected) / len(expected), rel=1e-4)

    def test_without_a_key_token_there_is_nothing_to_measure(self, trainer_of):
        with pytest.raises(UserError, match=r"unlearn\.stop_when: no answer token .* above 99"):
            trainer_of(stop_when={"key_token_probability": 0.5}, key_token_entropy=99.0)


def callback(trainer):
    return next(c for c in trainer.callback_handler.callbacks if type(c).__name__ == "StopWhenForgotten")


class TestDivergence:
    @pytest.fixture(scope="class")
    def project(self, prepared, small_model, params, tmp_path_factory) -> Path:
        folder = tmp_path_factory.mktemp("project")
        model, encoder = small_model
        model.save_pretrained(folder / "vanilla")
        encoder.processor.save_pretrained(folder / "vanilla")
        sample(params.sample, 7, prepared, folder / "irrelevant")
        return folder

    def start(self, project, prepared, params, tmp_path, **changes):
        settings = UnlearnParams(**params.unlearn.model_dump(by_alias=True) | SHORT | changes)
        places = (prepared, project / "vanilla", project / "irrelevant", tmp_path / "adapter")
        return unlearn(settings, 7, 1, Arguments(*places, tmp_path / "records", tmp_path / "state"))

    def test_it_stops_names_the_samples_and_keeps_the_last_good_adapter(self, project, prepared, params, tmp_path):
        with pytest.raises(UserError, match=r"stopped at step [2-9]: its (loss|gradient's norm) is ") as caught:
            self.start(project, prepared, params, tmp_path, lr=1e18, epochs=4)
        forget = [r.id for r in read_records(prepared, "forget")]
        assert sum(name in str(caught.value) for name in forget) >= 2
        assert str(tmp_path / "adapter.last_good") in str(caught.value)
        assert (tmp_path / "adapter.last_good/adapter_model.safetensors").is_file()
        assert not (tmp_path / "adapter").exists() and not (tmp_path / "records").exists()

    def test_a_gradient_that_is_no_number_is_never_applied(self, trainer_of):
        trainer = trainer_of()
        before = {name: p.detach().clone() for name, p in trainer.model.named_parameters() if p.requires_grad}
        first = next(p for p in trainer.model.parameters() if p.requires_grad)
        first.register_hook(lambda gradient: gradient * float("nan"))
        with pytest.raises(Diverged, match="step 1: its gradient's norm is nan"):
            trainer.train()
        assert all(torch.equal(p, before[n]) for n, p in trainer.model.named_parameters() if p.requires_grad)

    def test_a_text_only_teacher_and_bfloat16_run_through(self, project, prepared, params, tmp_path):
        done = self.start(
            project, prepared, params, tmp_path, method={"name": "viker", "teacher": "text_only"}, precision="bfloat16"
        )
        weights = load_file(tmp_path / "adapter/adapter_model.safetensors")
        assert done["steps"] > 0 and done["method"] == "ViKeR"
        assert {w.dtype for w in weights.values()} == {torch.float32}
        assert all(w.isfinite().all() for w in weights.values())


def test_the_target_none_trains_as_without_one_and_the_others_do_not(trainer_of, small_model, samples, teachers):
    adapters = {}
    for target in ("none", "uncertain", "refuse"):
        settings = UnlearnParams(**trainer_of().params.model_dump(by_alias=True) | {"target": target})
        people = People.among([], [], 7)
        count = len(samples["forget"])
        inputs = TeacherInputs(samples["forget"], [SCENES] * count, [()] * count, people)
        aim = target_of(settings, FrozenModel(*small_model), inputs, teachers, [])
        adapters[target] = [adapter(trainer_of(target=target, aim=aim)) for _ in range(2)]
        assert all(torch.equal(one, two) for one, two in zip(*map(dict.values, adapters[target]), strict=True))
    plain = adapter(trainer_of())
    same = {t: all(torch.equal(v, plain[n]) for n, v in made[0].items()) for t, made in adapters.items()}
    assert same == {"none": True, "uncertain": False, "refuse": False}


def test_a_model_that_never_declines_learns_the_sentence_of_the_settings(
    trainer_of, small_model, samples, teachers, caplog
):
    count = len(samples["forget"])
    inputs = TeacherInputs(samples["forget"], [SCENES] * count, [()] * count, People.among([], [], 7))
    settings = UnlearnParams(**trainer_of().params.model_dump(by_alias=True) | {"target": "refuse", "refusal": "Pass."})
    aim = target_of(settings, FrozenModel(*small_model), inputs, teachers, [])
    assert aim.refusals == ("Pass.",) and aim.record["refusals_from"].startswith("unlearn.refusal")
    assert "never declines" in caplog.text and "learns unlearn.refusal, 'Pass.'" in caplog.text
    trainer = trainer_of(target="refuse", refusal="Pass.", aim=aim, epochs=4)
    trainer.train()
    nll = loss_curve(trainer)["refusal_nll"]
    assert nll[-3:].mean() < nll[:3].mean()


@pytest.mark.parametrize("method", ["ga", {"name": "viker", "lambda": 0}, {"name": "viker", "weighting": "hard_mask"}])
def test_a_loss_that_follows_no_teacher_takes_no_target(trainer_of, method):
    with pytest.raises(ValueError, match="follows no teacher"):
        trainer_of(method=method, target="refuse")
