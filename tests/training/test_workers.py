"""Two processes against one: the averaged, weighted loss of the ranks is the loss of one process."""

import json
import os
import socket
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing

from drugasr.acoustic.folder import load_model
from drugasr.acoustic.vocabulary import LIBRISPEECH, Vocabulary
from drugasr.training.batches import plan_steps
from drugasr.training.clips import read_clips
from drugasr.training.loop import train
from drugasr.training.workers import Workers

# Fifty steps, two an epoch, which leave no rank without a clip.
MANY_STEPS = {"num_epochs": 25, "batch_s": 4.0}
# Several steps an epoch, of which some are too small for two ranks.
SMALL_STEPS = {"num_epochs": 2, "batch_s": 1.9}


def run_rank(rank, size, port, folder, configs, corpus_uri, lexicon):
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=size)
    workers, answers = Workers(rank=rank, size=size), []
    try:
        sums = workers.sum([1.0, rank])
        for number, config in enumerate(configs):
            history, saved = [], []

            def report(metrics, model_folder, number=number, config=config, history=history, saved=saved):
                history.append(metrics)
                saved.append(model_folder is not None)
                if model_folder is not None and metrics["epoch"] == config.training.num_epochs:
                    torch.save(load_model(str(model_folder))[0].state_dict(), Path(folder) / f"weights{number}.pt")

            train(config, corpus_uri, lexicon, workers, report)
            answers.append({"history": history, "saved": saved, "sums": sums})
        (Path(folder) / f"rank{rank}.json").write_text(json.dumps(answers))
    finally:
        dist.destroy_process_group()


@pytest.fixture(scope="module")
def run(tmp_path_factory, training_config, tiny_corpus, six_names):
    """What every rank reported and the weights of the last epoch, by number of processes and number of the configuration."""
    configs = [training_config(**steps, dropout=0.0, mask_time_prob=0.0, learning_rate=3e-4) for steps in (MANY_STEPS, SMALL_STEPS)]
    answers = {}
    for size in (1, 2):
        folder = tmp_path_factory.mktemp("ranks")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        arguments = (size, port, str(folder), configs, str(tiny_corpus), six_names)
        if size == 1:
            run_rank(0, *arguments)
        else:
            multiprocessing.spawn(run_rank, arguments, nprocs=size)
        ranks = [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(size)]
        for number in range(len(configs)):
            answers[size, number] = [rank[number] for rank in ranks], torch.load(folder / f"weights{number}.pt")
    return answers


@pytest.mark.parametrize("number", [0, 1], ids=["fifty steps", "steps smaller than the ranks"])
def test_two_processes_learn_what_one_does(run, number):
    (alone,), weights = run[1, number]
    pair, shared_weights = run[2, number]
    assert len(alone["history"]) == (MANY_STEPS, SMALL_STEPS)[number]["num_epochs"]
    for rank in pair:
        for one, two in zip(alone["history"], rank["history"], strict=True):
            assert two["train_loss"] == pytest.approx(one["train_loss"], abs=1e-4)
            assert two["loss"] == pytest.approx(one["loss"], abs=1e-4)
            assert two["cer"] == one["cer"]
            assert two["padding_fraction"] == one["padding_fraction"]
    losses = [epoch["train_loss"] for epoch in alone["history"]]
    assert losses[-1] < losses[0]
    assert len(set(losses)) == len(losses)
    distance = sum((weights[name] - shared_weights[name]).square().sum() for name in weights).sqrt()
    length = sum(weights[name].square().sum() for name in weights).sqrt()
    assert distance < 1e-3 * length


def test_rank_0_alone_writes_and_sums_run_over_both(run):
    pair, _ = run[2, 0]
    assert [set(rank["saved"]) for rank in pair] == [{True}, {False}]
    assert [rank["sums"] for rank in pair] == [[2.0, 1.0]] * 2


def test_the_steps_are_as_many_and_as_small_as_they_are_meant_to_be(training_config, tiny_corpus):
    """Else the configurations would test nothing."""
    sizes = []
    for settings in (MANY_STEPS, SMALL_STEPS):
        config = training_config(**settings).training
        clips = read_clips(str(tiny_corpus), "train", Vocabulary(LIBRISPEECH), config, frame_s=0.02)
        plans = [plan_steps(clips.durations_s, config.batch_s, seed=config.seed, epoch=epoch) for epoch in range(config.num_epochs)]
        sizes.append([len(step) for plan in plans for step in plan])
    many, small = sizes
    assert len(many) >= 50 and min(many) >= 2
    assert min(small) == 1 and max(small) > 2


def test_one_process_needs_no_group():
    assert Workers().sum([1.5, 2.0]) == [1.5, 2.0]
    model = torch.nn.Linear(2, 2)
    assert Workers().wrap(model) is model
