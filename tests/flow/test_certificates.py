"""Whoever verifies what the platform signs keeps its certificates fresh: the receiver of callbacks, and each worker."""

import time

import pytest

from couponpress_worker.demo.fleet import statistics

pytestmark = pytest.mark.flow


def test_the_receiver_and_the_worker_both_ask_for_the_platform_s_certificates(plain_fleet):
    deadline = time.monotonic() + 60
    while statistics(plain_fleet["COUPONPRESS_BASE_URL"])["calls"]["certificates"]["received"] < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
