"""A settled process gives back what it held for a while."""

import subprocess
import sys

import pytest

HELD = """
import resource, sys
from couponpress_worker.runtime.memory import settle

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6

def burst():
    large, small = [], []
    for number in range(200):
        large.append(b"x" * 256 * 1024)
        small.append(bytes([number]) * 2000)
    return small

if sys.argv[1] == "settled":
    settle()
before = resident()
burst()
kept = burst()
print(resident() - before)
"""


def grown_by(kind):
    """MB that a process holds more after two bursts of large blocks. It keeps the small ones of the second burst."""
    done = subprocess.run([sys.executable, "-c", HELD, kind], check=True, capture_output=True, text=True)
    return float(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_burst_of_large_blocks_leaves_nothing_behind():
    assert grown_by("settled") < 2
    assert grown_by("as it is") > 20  # else the test says nothing
