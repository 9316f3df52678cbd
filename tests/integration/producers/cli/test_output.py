"""Standard output that cannot be written, met by real processes: a sentence or silence, never a trace."""

import os
import subprocess
import sys

import pytest

from tests import processes
from tests.builders import MCHID, stored

COUPONPRESS = [sys.executable, "-m", "couponpress"]


def ran(url, *words, stdout, unbuffered=""):
    """Run a command; returns its exit code and its standard error."""
    env = os.environ | {"COUPONPRESS_REDIS_URL": url, "COUPONPRESS_MCHID": MCHID, "PYTHONUNBUFFERED": unbuffered}
    done = processes.run(
        [*COUPONPRESS, *words], env=env, stdout=stdout, stderr=subprocess.PIPE, timeout=60, check=False, text=True
    )
    return done.returncode, done.stderr


@pytest.fixture
def full():
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        yield full


@pytest.fixture
def closed():
    """A pipe that nobody reads."""
    read, write = os.pipe()
    os.close(read)
    yield write
    os.close(write)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [["status"], ["status", "--json"], ["results", "may"], ["limit"], ["--help"]])
def test_a_full_disk_is_one_sentence(redis_url, full, words, unbuffered):
    stored(redis_url)
    code, told = ran(redis_url, *words, stdout=full, unbuffered=unbuffered)
    assert code == 2
    assert told.startswith("couponpress: standard output cannot be written (No space left on device)")
    assert told.count("\n") == 1


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [["status"], ["results", "may"], ["--help"]])
def test_a_pipe_that_nobody_reads_is_silent(redis_url, closed, words, unbuffered):
    stored(redis_url)
    assert ran(redis_url, *words, stdout=closed, unbuffered=unbuffered) == (1, "")


def test_an_output_that_was_closed_before_is_no_error(redis_url):
    done = processes.run(
        ["/bin/sh", "-c", '"$@" >&-', "sh", *COUPONPRESS, "status"],
        env=os.environ | {"COUPONPRESS_REDIS_URL": redis_url, "COUPONPRESS_MCHID": MCHID},
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
