"""How a process that is told to stop ends in any case, each in a process of its own."""

import signal
import subprocess
import sys
import time

import pytest

from couponpress_worker.runtime.shutdown import AT_ONCE_SECONDS, EXIT_HARD
from couponpress_worker.timings import REAL

#: Says that it is ready, takes the first signal, and would then wait for a minute.
LAGGARD = """
import signal, sys, threading, time
from couponpress_worker.runtime.shutdown import bound_shutdown
def first(*_):
    bound_shutdown(float(sys.argv[1]))
    print("told", flush=True)
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, first)
print("ready", flush=True)
end = time.monotonic() + 60
while time.monotonic() < end:
    time.sleep(1)
"""


def laggard(deadline_seconds):
    process = subprocess.Popen(
        [sys.executable, "-c", LAGGARD, str(deadline_seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(first, second):
    process = laggard(60)
    process.send_signal(first)
    assert process.stdout.readline() == "told\n"
    time.sleep(AT_ONCE_SECONDS + 0.1)
    process.send_signal(second)
    _, told = process.communicate(timeout=10)
    assert process.returncode == EXIT_HARD != 0
    assert "told to a second time" in told


def test_the_same_signal_twice_at_once_is_one():
    """As GNU timeout sends it."""
    process = laggard(60)
    process.terminate()
    assert process.stdout.readline() == "told\n"
    process.terminate()
    time.sleep(AT_ONCE_SECONDS + 0.2)
    assert process.poll() is None
    process.terminate()
    process.communicate(timeout=10)
    assert process.returncode == EXIT_HARD


def test_the_deadline_ends_it():
    process = laggard(0.3)
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=10)
    assert process.returncode == EXIT_HARD
    assert time.monotonic() - started >= 0.3
    assert "did not stop within 0.3 s" in told


def test_the_deadline_lies_behind_what_a_request_may_take_and_before_the_supervisor_s():
    compose_seconds = 30
    assert REAL.answer + REAL.connect < REAL.shutdown < compose_seconds
