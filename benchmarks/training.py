"""Fine-tuning with frozen lower layers: ours beside the Trainer of transformers and beside the loop of 2022.

    python -m benchmarks.training [--model FOLDER] [--clips N] [--runs N] [--size mini|base|all]

All start from the same model folder, hear the same clips of quick50's names for five epochs, in steps of as much audio, on one
thread of the same process, one after the other. Ours computes the frozen prefix within the time that is measured, keeps it on
disk, validates and writes a checkpoint after each epoch. The peers have their clips decoded and normalised in memory before the
clock runs, and neither validate nor save.

- ours: the cached prefix, bf16 where the CPU has it; and in float32
- ours, recomputed: without the cache, for the CER that it should have
- Trainer: `freeze_feature_encoder()`, grouped by length, fused AdamW, otherwise its defaults: all layers train
- Trainer, frozen: the same with `requires_grad=False` on the layers that ours freezes
- 2022: one utterance after another, losses summed over the step, everything in the graph, Adam on the unfrozen parameters

`mini` freezes 2 of 4 or 4 of 6 layers of the small model; `base` 10 of 12 layers of a HuBERT of the size of hubert-base, with
random weights (its CER says nothing).
"""

import argparse
import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import HubertConfig, HubertForCTC
from transformers.utils import logging as transformers_logging

from benchmarks.harness import Comparison, show
from benchmarks.training_corpus import make_corpus
from benchmarks.training_peers import loop_of_2022, prepare, trainer
from drugasr import presets
from drugasr.acoustic.folder import make_processor, save_model, start_model
from drugasr.acoustic.vocabulary import LIBRISPEECH, Vocabulary
from drugasr.config import Config
from drugasr.lexicon.drug import Lexicon
from drugasr.training.loop import train
from drugasr.training.prefix_cache import PrefixBuilder, plan_files
from drugasr.training.workers import Workers

NUM_EPOCHS = 5
BATCH_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Task:
    """What everybody does."""

    base: str
    frozen_layers: int
    corpus: str
    lexicon: Lexicon
    num_clips: int

    def config(self, **changes) -> Config:
        mini = presets.mini()
        training = dataclasses.replace(mini.training, num_epochs=NUM_EPOCHS, batch_s=BATCH_S, dropout=0.1, mask_time_prob=0.05, **changes)
        model = dataclasses.replace(mini.model, base=self.base, frozen_layers=self.frozen_layers, freeze_convolution=True)
        return dataclasses.replace(mini, training=training, model=model)


def ours(task: Task, *, precision: str = "auto", is_cached: bool = True) -> float:
    """Returns the CER of the validation clips after the last epoch."""
    history: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as cache:
        folder = None
        if is_cached:
            builder = PrefixBuilder(task.base, 0, [task.frozen_layers], task.corpus, cache, precision)
            for file in plan_files(task.corpus, 1.0):
                builder.build(file)
            (folder,) = builder.folders
        config = task.config(precision=precision)
        train(config, task.corpus, task.lexicon, Workers(), lambda metrics, _: history.append(metrics), prefix_uri=folder)
    return history[-1]["cer"]


def compare(name: str, task: Task, runs: int, without: list[str]) -> list[Comparison]:
    calls: dict[str, Callable[[Any], float | None]] = {
        "ours": lambda _: ours(task),
        "ours, float32": lambda _: ours(task, precision="fp32"),
        "ours, recomputed": lambda _: ours(task, is_cached=False),
        "Trainer": lambda prepared: trainer(task, is_frozen=False, prepared=prepared),
        "Trainer, frozen": lambda prepared: trainer(task, is_frozen=True, prepared=prepared),
        "2022": lambda prepared: loop_of_2022(task, prepared=prepared),
    }
    calls = {caller: call for caller, call in calls.items() if caller not in without}
    speeds: dict[str, list[float]] = {caller: [] for caller in calls}
    cers: dict[str, list[float]] = {caller: [] for caller in calls}
    for _ in range(runs):
        for caller, call in calls.items():
            prepared = None if caller.startswith("ours") else prepare(task)
            start_s = time.perf_counter()
            cer = call(prepared)
            speeds[caller].append(task.num_clips * NUM_EPOCHS / (time.perf_counter() - start_s))
            cers[caller] += [] if cer is None else [cer]
            print(f"{name}: {caller}: {speeds[caller][-1]:.1f} clips/s" + ("" if cer is None else f", CER {cer:.3f}"), flush=True)
    median = {caller: statistics.median(values) for caller, values in speeds.items()}
    against = [
        Comparison(name=f"{name}: {mine} beside {peer}", ours=median[mine], peer=median[peer], ratio=median[mine] / median[peer], unit="clips/s", runs=runs)
        for mine, peer in (
            ("ours", "Trainer"), ("ours", "Trainer, frozen"), ("ours", "2022"), ("ours, float32", "Trainer"), ("ours", "ours, recomputed"),
        )
        if mine in calls and peer in calls
    ]  # fmt: skip
    if "ours, recomputed" in without:
        return against
    cer, again = (100 * statistics.median(cers[caller]) for caller in ("ours", "ours, recomputed"))
    return [*against, Comparison(name=f"{name}: CER beside recomputed", ours=cer, peer=again, ratio=again / max(cer, 1e-9), unit="%", runs=runs)]


def hubert_base(folder: Path) -> str:
    """A HuBERT of the size of facebook/hubert-base-ls960 with random weights, as a folder."""
    vocabulary = Vocabulary(LIBRISPEECH)
    torch.manual_seed(0)
    save_model(folder, HubertForCTC(HubertConfig(vocab_size=len(vocabulary), pad_token_id=vocabulary.blank)), make_processor(vocabulary), {})
    return str(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=presets.mini().model.base, help="the small model to start from (default: that of the preset mini)")
    parser.add_argument("--clips", type=int, default=1000, help="training clips of the small model; the large one hears a sixth")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--without", action="append", default=[], metavar="CALLER", help="leave one out, such as 'Trainer, frozen'; may be repeated")
    parser.add_argument("--size", choices=("mini", "base", "all"), default="all")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    transformers_logging.set_verbosity_error()
    comparisons: list[Comparison] = []
    with tempfile.TemporaryDirectory() as scratch:
        if arguments.size in ("mini", "all"):
            corpus, lexicon, num_clips = make_corpus(Path(scratch) / "mini", arguments.clips)
            folder = Path(scratch) / "small"
            model, processor, _ = start_model(arguments.model, seed=0)
            save_model(folder, model, processor, {})
            layers = model.config.num_hidden_layers
            task = Task(base=str(folder), frozen_layers=layers - 2, corpus=corpus, lexicon=lexicon, num_clips=num_clips)
            comparisons += compare(f"mini, {layers - 2} of {layers} layers frozen", task, arguments.runs, arguments.without)
        if arguments.size in ("base", "all"):
            corpus, lexicon, num_clips = make_corpus(Path(scratch) / "base", max(8, arguments.clips // 6))
            task = Task(base=hubert_base(Path(scratch) / "hubert"), frozen_layers=10, corpus=corpus, lexicon=lexicon, num_clips=num_clips)
            comparisons += compare("hubert-base, 10 of 12 layers frozen", task, max(1, arguments.runs // 2), arguments.without)
    show(comparisons)


if __name__ == "__main__":
    main()
