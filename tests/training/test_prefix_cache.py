"""A training that reads the frozen prefix from disk against one that computes it in every step."""

import numpy as np
import pytest
import torch

from drugasr import audio, storage
from drugasr.acoustic.folder import load_model, make_processor, save_model
from drugasr.acoustic.prefix_cost import PrefixCost, prefix_names
from drugasr.acoustic.small import build_small, small_config
from drugasr.acoustic.split import Split
from drugasr.acoustic.vocabulary import LIBRISPEECH, Vocabulary
from drugasr.corpus.reading import read_split
from drugasr.errors import StorageError, TrainingError
from drugasr.training import prefix_cache
from drugasr.training.loop import train
from drugasr.training.prefix_cache import PrefixBuilder, open_states, plan_files
from drugasr.training.workers import Workers


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A small model with random weights, as a folder."""
    folder = tmp_path_factory.mktemp("base")
    vocabulary = Vocabulary(LIBRISPEECH)
    save_model(folder, build_small(vocabulary, seed=3), make_processor(vocabulary), {})
    return str(folder)


def build(base, corpus, cache, depths, fraction=1.0):
    """The folders of the depths, and the number of states computed."""
    builder = PrefixBuilder(base, 0, depths, str(corpus), str(cache))
    return builder.folders, sum(builder.build(file) for file in plan_files(str(corpus), fraction))


@pytest.mark.parametrize("depth", [0, 2, 4])
def test_the_cache_holds_what_the_prefix_computes(base, tiny_corpus, tmp_path, depth):
    (folder,), num_computed = build(base, tiny_corpus, tmp_path, [depth])
    states = open_states(folder, str(tiny_corpus), 1.0)
    model, processor, _ = load_model(base)
    split = Split(model.eval(), processor, depth)
    rows = [row for name in ("train", "validation") for row in read_split(str(tiny_corpus), name).to_pylist()]
    assert num_computed == len(rows)
    for row in rows:
        (expected_TC,) = split.prefix([audio.decode(row["audio"]["bytes"])])
        assert states[row["id"]].dtype == np.float16
        assert np.allclose(states[row["id"]], expected_TC.numpy(), rtol=2e-3, atol=2e-3)


def test_a_prefix_in_bf16_has_a_folder_of_its_own_and_is_as_far_off_as_bf16_is(base, tiny_corpus, tmp_path):
    folders = {}
    for precision in ("fp32", "bf16"):
        builder = PrefixBuilder(base, 0, [2], str(tiny_corpus), str(tmp_path), precision)
        (folders[precision],) = builder.folders
        for file in plan_files(str(tiny_corpus), 1.0):
            builder.build(file)
    assert folders["fp32"] != folders["bf16"]
    exact, rough = (open_states(folder, str(tiny_corpus), 1.0) for folder in folders.values())
    for row in read_split(str(tiny_corpus), "train", ["id"]).to_pylist():
        exact_TC, rough_TC = exact[row["id"]].astype(np.float32), rough[row["id"]].astype(np.float32)
        assert 1e-5 < np.sqrt(np.mean((rough_TC - exact_TC) ** 2)) / exact_TC.std() < 0.03


def test_what_is_there_is_not_computed_again(base, tiny_corpus, tmp_path):
    folders, num_first = build(base, tiny_corpus, tmp_path, [1, 2])
    assert build(base, tiny_corpus, tmp_path, [1, 2]) == (folders, 0)
    assert build(base, tiny_corpus, tmp_path, [2, 3])[1] == num_first / 2
    name = storage.list_files(folders[1])[0]
    storage.delete_file(storage.join(folders[1], name))
    with pytest.raises(StorageError, match="cannot read the cached prefix .* it is made again"):
        open_states(folders[1], str(tiny_corpus), 1.0)
    assert 0 < build(base, tiny_corpus, tmp_path, [2])[1] < num_first / 2


def test_a_deeper_prefix_is_reached_from_a_shallower_one(base, tiny_corpus, tmp_path, monkeypatch):
    build(base, tiny_corpus, tmp_path, [1])
    (straight,), _ = build(base, tiny_corpus, tmp_path / "other", [3])

    def no_audio(*_):
        raise AssertionError("the audio was read")

    monkeypatch.setattr(prefix_cache.audio, "decode", no_audio)
    (extended,), _ = build(base, tiny_corpus, tmp_path, [3])
    states, again = (open_states(folder, str(tiny_corpus), 1.0) for folder in (straight, extended))
    for row in read_split(str(tiny_corpus), "train", ["id"]).to_pylist():
        assert np.allclose(again[row["id"]], states[row["id"]], rtol=1e-2, atol=1e-2)


def test_names_tell_weights_and_depth_apart():
    vocabulary = Vocabulary(LIBRISPEECH)
    processor = make_processor(vocabulary)
    one, same, other = (prefix_names(build_small(vocabulary, seed=seed), processor, 4) for seed in (0, 0, 1))
    assert one == same
    assert len({*one, *other}) == 10
    model = build_small(vocabulary, seed=0)
    with torch.no_grad():
        model.hubert.encoder.layers[2].feed_forward.output_dense.bias[0] += 1
    changed = prefix_names(model, processor, 4)
    assert changed[:3] == one[:3]
    assert not {*changed[3:]} & {*one[3:]}
    # What stands above the cut does not count.
    model.lm_head.bias.data += 1
    assert prefix_names(model, processor, 4) == changed


def test_states_beyond_float16_are_refused(base, tiny_corpus, tmp_path, monkeypatch):
    builder = PrefixBuilder(base, 0, [2], str(tiny_corpus), str(tmp_path))
    monkeypatch.setattr(Split, "prefix", lambda self, waves: [torch.full((3, 192), 1e6) for _ in waves])
    with pytest.raises(TrainingError, match="behind 2 layers do not fit float16: set training.cache_prefix to off"):
        builder.build(next(plan_files(str(tiny_corpus), 1.0)))


@pytest.mark.parametrize("depth", [0, 2, 4])
def test_a_cached_training_is_the_recomputed_one(base, tiny_corpus, six_names, training_config, tmp_path, depth):
    (folder,), _ = build(base, tiny_corpus, tmp_path, [depth])
    config = training_config(base=base, frozen_layers=depth, freeze_convolution=True, mask_time_prob=0.0, dropout=0.0, num_epochs=3, batch_s=100.0)
    histories = []
    for prefix_uri in (None, folder):
        history = []
        train(config, str(tiny_corpus), six_names, Workers(), lambda metrics, _, history=history: history.append(metrics), prefix_uri=prefix_uri)
        histories.append(history)
    recomputed, cached = histories
    # One step an epoch: the first loss is that of untouched weights.
    assert cached[0]["train_loss"] == pytest.approx(recomputed[0]["train_loss"], rel=1e-5)
    for name in ("train_loss", "loss"):
        assert [metrics[name] for metrics in cached] == pytest.approx([metrics[name] for metrics in recomputed], rel=1e-3)


def test_a_fraction_of_the_clips_needs_a_fraction_of_the_cache(base, tiny_corpus, six_names, training_config, tmp_path):
    (folder,), num_computed = build(base, tiny_corpus, tmp_path, [1], fraction=0.5)
    assert num_computed < build(base, tiny_corpus, tmp_path / "all", [1])[1]
    config = training_config(base=base, frozen_layers=1, clip_fraction=0.5, num_epochs=1)
    seen = []
    train(config, str(tiny_corpus), six_names, Workers(), lambda metrics, _: seen.append(metrics), prefix_uri=folder)
    assert np.isfinite(seen[0]["train_loss"])


def test_the_speed_up_is_that_of_the_formula():
    """TRAINING.md: E(c+p+Nl+3(L-N)l) / ((c+p+Nl) + 3E(L-N)l)."""
    cost = PrefixCost(convolution=5.0, projection=2.0, layer=3.0, num_layers=4)
    assert cost.speed_up(2, 1) == pytest.approx(1)
    assert cost.speed_up(2, 5) == pytest.approx(5 * (5 + 2 + 6 + 18) / (13 + 5 * 18))
    assert cost.speed_up(0, 5) == pytest.approx(5 * (5 + 3 * (2 + 12)) / (5 + 5 * 3 * (2 + 12)))
    assert cost.speed_up(4, 10) == pytest.approx(10)


def test_the_cost_counts_what_torch_multiplies():
    """Against torch's own counter of floating-point operations, on a clip of the length that the estimate assumes."""
    from torch.utils.flop_counter import FlopCounterMode

    model = build_small(Vocabulary(LIBRISPEECH), seed=0).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 24_000))
    cost = PrefixCost.of(small_config(Vocabulary(LIBRISPEECH)))
    estimated = 1.5 * (cost.convolution + cost.projection + 4 * cost.layer)
    head = 2 * 75 * 192 * 32
    assert estimated + head == pytest.approx(counter.get_total_flops(), rel=0.03)
