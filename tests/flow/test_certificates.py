"""Whoever verifies what the platform signs keeps its certificates fresh: the receiver of callbacks, and each worker."""

import time

import pytest

from couponpress_worker.demo.fleet import fleet, statistics

pytestmark = pytest.mark.flow


def test_the_receiver_and_the_worker_both_ask_for_the_platform_s_certificates(tmp_path):
    with fleet(tmp_path) as (_, env):
        deadline = time.monotonic() + 60
        while statistics(env["COUPONPRESS_BASE_URL"])["calls"]["certificates"]["received"] < 2:
            assert time.monotonic() < deadline
            time.sleep(0.1)
