"""The service beside the bare Recognizer, and beside a plain FastAPI endpoint with the same model.

    python -m benchmarks.serving [--model MODEL] [--requests N] [--rounds N]

Ours is `serve deploy serve/config.yaml` with one replica, over HTTP from a client in another process. The bare Recognizer answers the
same clips in this process, already decoded, in batches as large as the service makes them. The plain endpoint is
`benchmarks.serving_peer`. Each computes on one thread; they take turns, and the median of the rounds is shown. At a concurrency of
1, the limit is on what the service adds to the time that the bare Recognizer takes for the clip.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.harness import Comparison, show, within_limit
from benchmarks.load import Load, ask
from benchmarks.service import http_server, service
from benchmarks.spoken_names import speak
from drugasr import audio
from drugasr.acoustic.shipped import SHIPPED, located
from drugasr.errors import DrugasrError, ModelError
from drugasr.lexicon.reading import read_lexicon
from drugasr.recognition import Recognizer

TIER = "top500"
BATCH_CLIPS = 16
"""The service's most, in `serve.deployment`."""
_NUM_CLIPS, _CONCURRENCY, _ONE_BY_ONE = 64, 32, 48
_MOST_ADDED_MS = 40.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=SHIPPED, help="model folder (default: %(default)s)")
    parser.add_argument("--requests", type=int, default=320, help="requests of a round at the concurrency of 32 (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    try:
        show(_measure(located(arguments.model), arguments.requests, arguments.rounds))
        return 0
    except DrugasrError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def _measure(model: str, num_requests: int, num_rounds: int) -> list[Comparison]:
    lexicon = read_lexicon(TIER)
    torch.set_num_threads(1)
    bare = Recognizer.from_dir(model, lexicon=lexicon)
    waves = [wave_S for _, wave_S in speak(lexicon, _NUM_CLIPS)]
    rates: dict[str, list[float]] = {"ours": [], "bare": [], "plain": []}
    added_ms: list[float] = []
    with tempfile.TemporaryDirectory() as folder, service(model=model, lexicon=TIER) as ours, http_server("benchmarks.serving_peer", model, TIER) as plain:
        clips = Path(folder)
        for index, wave_S in enumerate(waves):
            (clips / f"{index:03d}.wav").write_bytes(audio.encode_wav(wave_S))
        urls = {"ours": f"{ours.url}/v1/recognize", "plain": f"{plain}/v1/recognize"}
        for url in urls.values():
            _answered(ask(url, clips, concurrency=_CONCURRENCY, num_requests=_NUM_CLIPS))
        _bare_rate(bare, waves, _NUM_CLIPS)
        for number in range(num_rounds):
            # Who comes first changes: the machine may be busier at one time than at another.
            for name in ("ours", "bare", "plain") if number % 2 == 0 else ("plain", "bare", "ours"):
                if name == "bare":
                    rates[name].append(_bare_rate(bare, waves, num_requests))
                else:
                    rates[name].append(_answered(ask(urls[name], clips, concurrency=_CONCURRENCY, num_requests=num_requests)).requests_per_s)
            one_by_one = _answered(ask(urls["ours"], clips, concurrency=1, num_requests=_ONE_BY_ONE))
            added_ms.append(statistics.median(one_by_one.times_ms) - _bare_time_ms(bare, waves[:_ONE_BY_ONE]))
            print(f"round {number + 1}: " + ", ".join(f"{name} {rate[-1]:.1f}/s" for name, rate in rates.items()) + f", adds {added_ms[-1]:.1f} ms", flush=True)
    at = f"at concurrency {_CONCURRENCY}"
    return [
        _rate(f"requests {at}, beside the bare Recognizer in batches of {BATCH_CLIPS}", rates["ours"], rates["bare"]),
        _rate(f"requests {at}, beside FastAPI + pipeline + Levenshtein", rates["ours"], rates["plain"]),
        within_limit("p50 at concurrency 1, less the bare Recognizer's, beside its limit", added_ms, _MOST_ADDED_MS, 0.5),
    ]


def _bare_rate(bare: Recognizer, waves: Sequence[np.ndarray], num_clips: int) -> float:
    """Clips per second."""
    sent = [waves[index % len(waves)] for index in range(num_clips)]
    start_s = time.perf_counter()
    for first in range(0, len(sent), BATCH_CLIPS):
        bare.recognize(sent[first : first + BATCH_CLIPS])
    return num_clips / (time.perf_counter() - start_s)


def _bare_time_ms(bare: Recognizer, waves: Sequence[np.ndarray]) -> float:
    """Median of one clip after the other."""
    times_s = []
    for wave_S in waves:
        start_s = time.perf_counter()
        bare.recognize([wave_S])
        times_s.append(time.perf_counter() - start_s)
    return 1000 * statistics.median(times_s)


def _answered(load: Load) -> Load:
    """Raises ModelError where a request was refused: what is left would be too fast."""
    if set(load.statuses) != {"200"}:
        raise ModelError(f"not every request was answered: {load.statuses}")
    return load


def _rate(name: str, ours: Sequence[float], peer: Sequence[float]) -> Comparison:
    # The median of the ratios: a round's two sides saw the same machine.
    ratio = statistics.median(one / other for one, other in zip(ours, peer, strict=True))
    return Comparison(name=name, ours=statistics.median(ours), peer=statistics.median(peer), ratio=ratio, unit="/s", runs=len(ours))


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.exit(main())
