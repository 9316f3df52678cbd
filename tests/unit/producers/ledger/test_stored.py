"""Records of a newer version are read, as far as this version knows them."""

import json

import pytest

from couponpress.ledger.outage import PlatformDown, down_of
from couponpress.ledger.presence import Present, present_of
from couponpress.ledger.progress import Hold
from couponpress.ledger.stored import from_stored


def test_a_field_that_a_newer_version_added_is_left_out():
    told = {"since": 1.5, "reason": "HTTP 503", "region": "south"}
    assert from_stored(PlatformDown, told) == PlatformDown(1.5, "HTTP 503")


def test_a_field_without_a_default_must_be_there():
    with pytest.raises(TypeError, match="reason"):
        from_stored(PlatformDown, {"since": 1.5})


def test_processes_of_a_newer_version_are_seen():
    told = {"role": "worker", "host": "one", "pid": 7, "state": "sending", "in_hand": 3, "release": "9.0"}
    assert present_of({b"x": b"100 " + json.dumps(told).encode()}, 101) == [Present("worker", "one", 7, "sending", 3)]


def test_an_outage_that_a_newer_version_noted_is_read():
    assert down_of(b'{"since":2.0,"reason":"down","region":"south"}') == PlatformDown(2.0, "down")


def test_a_hold_that_a_newer_version_set_is_read():
    told = json.dumps({"reason": "paused", "cure": "resume", "since": 3.0, "why": "", "ticket": "A-1"})
    assert Hold.from_json("partner", told).reason == "paused"
