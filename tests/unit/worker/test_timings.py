"""The spans of the fleet: how they hang together, and their share for tests."""

from dataclasses import fields

import pytest

from couponpress_worker.errors import CouponpressError
from couponpress_worker.timings import REAL
from tests.builders import fleet_settings


@pytest.mark.parametrize("spans", [REAL, REAL.scaled(0.2)])
def test_they_hang_together(spans):
    assert 3 * spans.renew <= spans.lease
    assert spans.hand_on + spans.connect + spans.answer < spans.lease  # a chunk ends before one renewal is needed twice
    assert 3 * spans.recovery_look < spans.lead
    assert spans.connect + spans.answer < spans.breaker_silence
    assert spans.connect + spans.answer < spans.shutdown
    assert spans.connect + spans.answer < spans.stuck
    assert 4 * spans.tell_present < spans.silent


def test_all_of_them_are_scaled():
    fifth = REAL.scaled(0.2)
    assert [getattr(fifth, one.name) for one in fields(fifth)] == pytest.approx(
        [getattr(REAL, one.name) / 5 for one in fields(REAL)]
    )


def test_the_fleet_runs_with_the_real_spans_unless_told_otherwise():
    assert fleet_settings().timings == REAL


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:8900", "http://localhost:1", "https://[::1]:8900"])
def test_a_sandbox_may_have_a_share(base_url):
    assert fleet_settings(base_url=base_url, timing_scale=0.2).timings == REAL.scaled(0.2)


def test_the_platform_may_not():
    with pytest.raises(CouponpressError, match="must be loopback"):
        fleet_settings(base_url="https://api.mch.weixin.qq.com", timing_scale=0.2)


@pytest.mark.parametrize("scale", [0, -1, 1.5, "nan", "inf", "much"])
def test_a_share_is_a_share(scale):
    with pytest.raises(CouponpressError, match="TIMING_SCALE"):
        fleet_settings(base_url="http://127.0.0.1:1", timing_scale=scale)
