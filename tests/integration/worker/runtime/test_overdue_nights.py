"""Nights that were due some minutes ago and that no scheduler has started."""

import asyncio

import pytest
from redis.asyncio import Redis

from couponpress.nightly.claims import NightLedger
from couponpress_worker.notify.watch import LATE_SECONDS
from couponpress_worker.runtime.overdue_nights import overdue_nights
from tests.builders import KEYS

DUE = 1_700_000_100  # 22:15 UTC
SCHEDULES = '[schedule.prices]\ncron = "15 22 * * *"\ntime_zone = "UTC"\nsource = "*.csv"\ngrace = "2h"\n'


@pytest.fixture
def found(redis_url, client, tmp_path):
    path = tmp_path / "schedules.toml"
    path.write_text(SCHEDULES)

    def find(now):
        async def once():
            async with Redis.from_url(redis_url) as server:
                return await overdue_nights(path, server, KEYS)(now)

        return [(one.run, one.schedule, one.at) for one in asyncio.run(once())]

    return find


@pytest.fixture
def nights(client):
    nights = NightLedger(client, KEYS)
    nights.see("prices", DUE - 3600)
    return nights


def test_a_night_is_overdue_after_some_minutes(found, nights):
    assert found(DUE + LATE_SECONDS - 1) == []
    assert found(DUE + LATE_SECONDS + 1) == [("prices-2023-11-14T22:15", "prices", DUE)]


@pytest.mark.parametrize("state", ["claimed", "skipped"])
def test_a_night_that_somebody_knows_of_is_not(found, nights, state):
    nights.claim("prices-2023-11-14T22:15", "prices", DUE, "one", state=state)
    assert found(DUE + LATE_SECONDS + 1) == []


def test_a_night_that_is_missed_for_good_is_the_scheduler_s_to_tell(found, nights):
    assert found(DUE + LATE_SECONDS + 3 * 3600) == []


def test_a_schedule_that_no_scheduler_ever_saw_has_no_nights(found):
    assert found(DUE + LATE_SECONDS + 1) == []


@pytest.mark.parametrize("text", [None, "[schedule.prices]\n", "[["])
def test_without_a_usable_file_there_is_nothing_to_find(tmp_path, text, caplog):
    path = tmp_path / "schedules.toml"
    if text is not None:
        path.write_text(text)
    assert overdue_nights(path, None, KEYS) is None
    assert ("nobody is told of nights that do not start" in caplog.text) == (text is not None)
    assert overdue_nights(None, None, KEYS) is None
