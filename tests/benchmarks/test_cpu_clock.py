import subprocess
import sys
import time

from benchmarks.cpu_clock import CpuClock

GRANDCHILD = "import time; end_s = time.process_time() + 1.5\nwhile time.process_time() < end_s: pass\ntime.sleep(1.5)"
CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {GRANDCHILD!r}])"


def test_what_descendants_used_counts_and_waiting_does_not():
    before_s = time.process_time()
    while time.process_time() < before_s + 0.3:  # before the clock runs
        pass
    with CpuClock() as clock:
        subprocess.run([sys.executable, "-c", CHILD], check=True)
    assert 1.4 < clock.seconds < 2.5
