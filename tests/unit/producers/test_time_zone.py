"""The time zone that is told beside moments."""

import time

import pytest

from couponpress.language import speaking
from couponpress.time_zone import offset, offset_seconds, told_zone


@pytest.mark.parametrize(
    ("zone", "told"), [("Asia/Shanghai", "UTC+08:00"), ("UTC", "UTC+00:00"), ("<-0330>3:30", "UTC-03:30")]
)
def test_the_offset_of_this_process_is_told(monkeypatch, zone, told):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert offset() == told
        hours, minutes = (int(part) for part in told[4:].split(":"))
        assert offset_seconds() == (-1 if "-" in told else 1) * (hours * 3600 + minutes * 60)
        with speaking("zh_CN"):
            assert told_zone() == f"时间为 {told}。"
    finally:
        monkeypatch.undo()
        time.tzset()
