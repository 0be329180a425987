"""Runs a command against a Ray of our own, started for it and stopped after it.

    python -m jobs.local -- ray job submit --working-dir . -- python -m jobs.pipeline --preset mini
"""

import argparse
import ctypes
import signal
import sys

from drugasr.errors import DrugasrError
from drugasr.local_ray import local_ray
from drugasr.progress import say


_PR_SET_PDEATHSIG = 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m jobs.local", description=__doc__.splitlines()[0])
    parser.add_argument("--num-cpus", type=int, default=4, help="logical CPUs of this Ray; 4 is right for 2 cores (default: 4)")
    parser.add_argument("command", nargs="+", help="what to run, after --")
    arguments = parser.parse_args()
    # Whoever stops us, Ray is stopped too: a signal becomes an exception, and the death of our parent (make) a signal.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    try:
        with local_ray(arguments.num_cpus) as run:
            return run(arguments.command)
    except DrugasrError as error:
        say(f"error: {error}")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
