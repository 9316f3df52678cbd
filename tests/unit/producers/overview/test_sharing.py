"""All viewers share one reading a second; nobody looks, nobody reads."""

import threading

import pytest

from couponpress.overview.sharing import FRESH_SECONDS, SharedOverview


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Readings:
    """Counts its readings, and gives each a value of its own; fails while it is told to."""

    def __init__(self):
        self.count = 0
        self.error = None

    def read(self):
        self.count += 1
        if self.error is not None:
            raise self.error
        return f"overview {self.count}"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def readings():
    return Readings()


def test_nothing_is_read_until_somebody_asks(readings, clock):
    SharedOverview(readings.read, clock)
    clock.now += 100
    assert readings.count == 0


def test_one_reading_serves_everybody_for_a_second(readings, clock):
    shared = SharedOverview(readings.read, clock)
    assert [shared.get() for _ in range(50)] == ["overview 1"] * 50
    clock.now += FRESH_SECONDS
    assert shared.get() == "overview 2"
    assert readings.count == 2


def test_threads_that_ask_at_once_wait_for_one_reading(clock):
    began, go_on, count = threading.Event(), threading.Event(), []

    def read():
        count.append(1)
        began.set()
        assert go_on.wait(5)
        return "overview"

    shared, found = SharedOverview(read, clock), []
    threads = [threading.Thread(target=lambda: found.append(shared.get())) for _ in range(10)]
    for thread in threads:
        thread.start()
    assert began.wait(5)
    go_on.set()
    for thread in threads:
        thread.join(5)
    assert (found, len(count)) == (["overview"] * 10, 1)


def test_a_failure_is_shared_for_a_second_and_then_tried_again(readings, clock):
    shared = SharedOverview(readings.read, clock)
    readings.error = ConnectionError("away")
    for _ in range(5):
        with pytest.raises(ConnectionError, match="away"):
            shared.get()
    assert readings.count == 1
    readings.error = None
    clock.now += FRESH_SECONDS
    assert shared.get() == "overview 2"


def test_after_a_change_the_next_viewer_gets_a_new_reading(readings, clock):
    shared = SharedOverview(readings.read, clock)
    assert shared.get() == "overview 1"
    shared.expire()
    assert [shared.get(), shared.get()] == ["overview 2"] * 2
