import io
import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
import torch
import transformers

from drugasr.acoustic.facts import read_facts
from drugasr.acoustic.folder import load_model
from drugasr.corpus.manifest import Manifest
from drugasr.errors import TrainingError
from drugasr.training.loop import train
from drugasr.training.workers import Workers


class Killed(Exception):
    pass


class Recorder:
    """Keeps what is reported, and can be killed after an epoch as a spot node is."""

    def __init__(self, folder, die_after=None):
        self.folder, self.die_after = folder, die_after
        self.metrics, self.repeated = [], []

    def __call__(self, metrics, folder):
        if folder is None:  # a resumed training tells its history again
            self.repeated.append(metrics)
            return
        self.metrics.append(metrics)
        shutil.copytree(folder, self.epoch_folder(metrics["epoch"]))
        if metrics["epoch"] == self.die_after:
            raise Killed

    def epoch_folder(self, epoch):
        return self.folder / f"epoch{epoch}"


@pytest.fixture(scope="module")
def trained(tmp_path_factory, training_config, tiny_corpus, six_names):
    """Two epochs with dropout and SpecAugment."""
    report = Recorder(tmp_path_factory.mktemp("trained"))
    train(training_config(mask_time_prob=0.2, dropout=0.1), str(tiny_corpus), six_names, Workers(), report)
    return report


def weights(folder):
    return load_model(str(folder))[0].state_dict()


def test_the_loss_falls(trained):
    first, second = trained.metrics
    assert (first["epoch"], second["epoch"]) == (1, 2)
    assert second["train_loss"] < 0.9 * first["train_loss"]
    assert second["loss"] < first["loss"]


def test_the_metrics_are_what_the_saved_model_gives(trained, tiny_corpus, six_names):
    """The validation loss again, by transformers alone: the folder is the model that was measured."""
    model, processor, vocabulary = load_model(str(trained.epoch_folder(2)))
    model.eval()
    (path,) = (tiny_corpus / "validation").iterdir()
    losses, blanks, frames = [], 0, 0
    for row in pq.read_table(path).to_pylist():
        wave_S, _ = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="float32")
        inputs = processor(wave_S, sampling_rate=16_000, return_tensors="pt")
        with torch.no_grad():
            logits_TV = model(**inputs).logits[0]
        logp_T1V = torch.log_softmax(logits_TV, dim=-1)[:, None]
        label = vocabulary.encode(row["text"])
        loss = torch.nn.functional.ctc_loss(logp_T1V, torch.tensor([label]), torch.tensor([len(logp_T1V)]), torch.tensor([len(label)]), reduction="sum")
        losses.append(loss.item() / len(label))
        blanks += (logits_TV.argmax(dim=-1) == 0).sum().item()
        frames += len(logits_TV)
    assert len(losses) == len(six_names)
    assert trained.metrics[-1]["loss"] == pytest.approx(np.mean(losses), rel=1e-3)
    assert trained.metrics[-1]["blank_fraction"] == pytest.approx(blanks / frames, abs=0.02)


def test_the_metrics_are_complete_and_finite(trained):
    for metrics in trained.metrics:
        assert metrics.keys() >= {
            "epoch", "train_loss", "loss", "cer", "wer", "top1", "top5", "blank_fraction", "clips_per_s", "padding_fraction", "memory_mb", "epoch_s",
        }  # fmt: skip
        assert all(np.isfinite(value) for value in metrics.values())
        assert 0 <= metrics["top1"] <= metrics["top5"] <= 1
        assert 0 <= metrics["padding_fraction"] < 0.3
        assert metrics["memory_mb"] > 50


def test_a_killed_training_goes_on_as_if_nothing_had_happened(trained, tmp_path, training_config, tiny_corpus, six_names):
    config = training_config(mask_time_prob=0.2, dropout=0.1)
    report = Recorder(tmp_path, die_after=1)
    with pytest.raises(Killed):
        train(config, str(tiny_corpus), six_names, Workers(), report)
    report.die_after = None
    torch.manual_seed(1234)  # another process has other random states
    np.random.seed(1234)
    train(config, str(tiny_corpus), six_names, Workers(), report, resume_from=report.epoch_folder(1))
    assert [metrics["epoch"] for metrics in report.metrics] == [1, 2]
    for epoch in (1, 2):
        straight, resumed = weights(trained.epoch_folder(epoch)), weights(report.epoch_folder(epoch))
        assert straight.keys() == resumed.keys()
        for name in straight:
            assert torch.equal(straight[name], resumed[name]), (epoch, name)
    for name in ("train_loss", "loss", "cer", "top1"):
        assert report.metrics[1][name] == trained.metrics[1][name]
    history = [read_facts(str(recorder.epoch_folder(2)))["history"] for recorder in (trained, report)]
    assert [[epoch["train_loss"] for epoch in h] for h in history] == [[m["train_loss"] for m in trained.metrics]] * 2


def test_without_masking_a_killed_training_goes_on_too(tmp_path, training_config, tiny_corpus, six_names):
    """The mini preset; a checkpoint of it must hold the mask embedding all the same."""
    config = training_config(mask_time_prob=0.0)
    report = Recorder(tmp_path, die_after=1)
    with pytest.raises(Killed):
        train(config, str(tiny_corpus), six_names, Workers(), report)
    report.die_after = None
    train(config, str(tiny_corpus), six_names, Workers(), report, resume_from=report.epoch_folder(1))
    assert report.metrics[1]["train_loss"] < report.metrics[0]["train_loss"]
    # And a training with masking can start from it.
    masked = Recorder(tmp_path / "masked")
    config = training_config(num_epochs=1, base=str(report.epoch_folder(2)), mask_time_prob=0.2)
    train(config, str(tiny_corpus), six_names, Workers(), masked)
    assert np.isfinite(masked.metrics[0]["loss"])


def test_a_finished_training_has_nothing_left_to_do(trained, tmp_path, training_config, tiny_corpus, six_names):
    report = Recorder(tmp_path)
    config = training_config(mask_time_prob=0.2, dropout=0.1)
    train(config, str(tiny_corpus), six_names, Workers(), report, resume_from=trained.epoch_folder(2))
    assert report.metrics == []
    assert [metrics["epoch"] for metrics in report.repeated] == [1, 2]  # in case nobody heard the first time


def test_the_folder_holds_everything(trained, tiny_corpus):
    folder = trained.epoch_folder(2)
    names = {path.name for path in folder.iterdir()}
    assert names >= {"config.json", "model.safetensors", "vocab.json", "README.md", "drugasr.json", "training_state.pt"}
    assert names & {"preprocessor_config.json", "processor_config.json"}
    facts = json.loads((folder / "drugasr.json").read_text())
    assert facts["data_hash"] == Manifest.read(str(tiny_corpus)).data_hash
    assert facts["lexicon"] == "six"
    assert facts["config"]["training"]["num_epochs"] == 2
    assert facts["metrics"] == trained.metrics[-1]
    assert facts["history"] == trained.metrics
    asr = transformers.pipeline("automatic-speech-recognition", model=str(folder), device="cpu")
    assert isinstance(asr({"raw": np.zeros(16_000, np.float32), "sampling_rate": 16_000})["text"], str)


def test_a_training_starts_from_the_folder_of_another(trained, tmp_path, training_config, tiny_corpus, six_names):
    """With everything but the head frozen, all under it is the base's, bit for bit."""
    base = str(trained.epoch_folder(2))
    report = Recorder(tmp_path)
    config = training_config(num_epochs=1, base=base, frozen_layers=4, mask_time_prob=0.1, learning_rate=0.01)
    train(config, str(tiny_corpus), six_names, Workers(), report)
    before, after = weights(base), weights(report.epoch_folder(1))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"lm_head.weight", "lm_head.bias", "hubert.encoder.layer_norm.weight", "hubert.encoder.layer_norm.bias"}


def test_the_same_settings_give_the_same_weights_and_another_seed_others(trained, tmp_path, training_config, tiny_corpus, six_names):
    for seed in (0, 5):
        report = Recorder(tmp_path / str(seed), die_after=1)
        with pytest.raises(Killed):
            train(training_config(mask_time_prob=0.2, dropout=0.1, seed=seed), str(tiny_corpus), six_names, Workers(), report)
        same = all(torch.equal(a, b) for a, b in zip(weights(trained.epoch_folder(1)).values(), weights(report.epoch_folder(1)).values(), strict=True))
        assert same == (seed == 0)


def test_a_training_that_diverges_says_so(training_config, tiny_corpus, six_names, tmp_path):
    config = training_config(learning_rate=1e20, warmup_fraction=0.0, num_epochs=3)
    with pytest.raises(TrainingError, match=r"no longer a number at step \d+ of \d+: lower training\.learning_rate.*1e\+20"):
        train(config, str(tiny_corpus), six_names, Workers(), Recorder(tmp_path))


def test_a_training_killed_within_an_epoch_goes_on_at_its_last_checkpoint(trained, tmp_path, training_config, tiny_corpus, six_names):
    """With checkpoints after every step: what was drawn and learnt is what it would have been without."""
    config = training_config(mask_time_prob=0.2, dropout=0.1, checkpoint_steps=1)
    kept = []

    def report(metrics, folder):
        if folder is not None:
            kept.append((metrics, shutil.copytree(folder, tmp_path / str(len(kept)))))
            if len(kept) == 2:
                raise Killed

    with pytest.raises(Killed):
        train(config, str(tiny_corpus), six_names, Workers(), report)
    (first, _), (second, folder) = kept
    assert (first["epoch"], first["step"], second["step"]) == (0, 1, 2)
    resumed = Recorder(tmp_path / "resumed")
    train(training_config(mask_time_prob=0.2, dropout=0.1, checkpoint_steps=0), str(tiny_corpus), six_names, Workers(), resumed, resume_from=folder)
    for epoch in (1, 2):
        straight, again = weights(trained.epoch_folder(epoch)), weights(resumed.epoch_folder(epoch))
        assert all(torch.equal(straight[name], again[name]) for name in straight)
    assert [metrics["train_loss"] for metrics in resumed.metrics] == pytest.approx([metrics["train_loss"] for metrics in trained.metrics], rel=1e-9)


def test_gradients_added_up_piece_by_piece_are_those_of_the_whole_step(tmp_path, training_config, tiny_corpus, six_names):
    histories = {}
    for name, settings in {"whole": {}, "pieces": {"micro_batch_s": 1.2}, "again": {"gradient_checkpointing": True}}.items():
        report = Recorder(tmp_path / name)
        train(training_config(mask_time_prob=0.0, dropout=0.0, **settings), str(tiny_corpus), six_names, Workers(), report)
        histories[name] = [metrics["train_loss"] for metrics in report.metrics]
    assert histories["pieces"] == pytest.approx(histories["whole"], abs=1e-4)
    assert histories["again"] == pytest.approx(histories["whole"], abs=1e-4)


def test_the_last_report_is_the_mean_of_the_best_epochs(tmp_path, training_config, tiny_corpus, six_names):
    reports = []

    def report(metrics, folder):
        if folder is not None:
            reports.append((metrics, weights(shutil.copytree(folder, tmp_path / str(len(reports))))))

    config = training_config(num_epochs=3, num_averaged=2)
    train(config, str(tiny_corpus), six_names, Workers(), report)
    *epochs, (metrics, averaged) = reports
    assert len(epochs) == 3
    best = sorted(epochs, key=lambda entry: -entry[0]["score"])[:2]
    for name, tensor in averaged.items():
        assert torch.allclose(tensor, (best[0][1][name] + best[1][1][name]) / 2, atol=1e-7), name
    assert metrics["epoch"] == 3
    # Killed after it, there is nothing left to do.
    again = Recorder(tmp_path / "again")
    train(config, str(tiny_corpus), six_names, Workers(), again, resume_from=tmp_path / "3")
    assert again.metrics == []


def test_it_ends_when_epochs_bring_nothing_better(tmp_path, training_config, tiny_corpus, six_names):
    """At a learning rate of next to nothing, top-1 and CER stay where they are."""
    report = Recorder(tmp_path)
    train(training_config(num_epochs=9, learning_rate=1e-12, patience=2), str(tiny_corpus), six_names, Workers(), report)
    assert [metrics["epoch"] for metrics in report.metrics] == [1, 2, 3]
