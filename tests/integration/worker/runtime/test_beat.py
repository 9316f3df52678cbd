"""Beat under redbeat's lock: of several one ticks, another follows, and none of it outlives trouble with Redis."""

import time
from contextlib import ExitStack

import pytest

from couponpress_worker.runtime.beat import LOCK_SECONDS, Beat
from tests.builders import KEYS, fleet_settings


@pytest.fixture
def beats(redis_url):
    """Start a beat that notes its name at each look; all are stopped in the end."""
    looks = []
    with ExitStack() as stack:

        def start(name):
            beat = Beat(fleet_settings(redis_url=redis_url), lambda: looks.append(name))
            beat.start()
            stack.callback(beat.stop)
            return beat

        yield start, looks


def wait_until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_one_of_two_looks_and_the_other_follows_when_it_stops(beats, client):
    start, looks = beats
    first = start("first")
    wait_until(lambda: len(looks) == 1)
    start("second")
    wait_until(lambda: len(looks) == 3)
    assert 0 < client.pttl(f"{KEYS.beat}:lock") <= LOCK_SECONDS * 1000
    first.stop()
    wait_until(lambda: "second" in looks)
    assert looks == sorted(looks)  # never again the first


def test_a_lock_that_is_lost_is_waited_for_again(beats, client, caplog):
    start, looks = beats
    start("only")
    wait_until(lambda: looks)
    client.set(f"{KEYS.beat}:lock", "somebody else", px=1500)
    wait_until(lambda: "does not look at the schedules now" in caplog.text)
    seen = len(looks)
    wait_until(lambda: len(looks) > seen)


def test_every_name_is_the_partner_s(beats, client):
    start, looks = beats
    start("only")
    wait_until(lambda: looks)
    assert all(name.startswith(KEYS.prefix.encode()) for name in client.scan_iter("*"))
