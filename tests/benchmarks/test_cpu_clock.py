import subprocess
import sys

GRANDCHILD = "import time; end_s = time.process_time() + 1.5\nwhile time.process_time() < end_s: pass\ntime.sleep(1.5)"
CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {GRANDCHILD!r}])"
# In a process of its own, for the tests have other descendants.
MEASURED = f"""
import subprocess, sys, time
from benchmarks.cpu_clock import CpuClock
before_s = time.process_time()
while time.process_time() < before_s + 2: pass  # before the clock runs
with CpuClock() as clock:
    subprocess.run([sys.executable, "-c", {CHILD!r}], check=True)
print(clock.seconds)
"""


def test_what_descendants_used_counts_and_waiting_does_not():
    seconds = float(subprocess.run([sys.executable, "-c", MEASURED], check=True, capture_output=True, text=True).stdout)
    assert 1.4 < seconds < 2.9
