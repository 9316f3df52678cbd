"""Which nights are due: daylight saving time, clock steps and restarts give exactly one start per night."""

from datetime import UTC, datetime, time, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from couponpress.nightly.nights import TOLD_SECONDS, Due, Night, deadline_of, due_nights, moments, this_minute

BERLIN, NEW_YORK, SHANGHAI = (ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "Asia/Shanghai"))
HOUR = 3600


def moment(text, zone=UTC):
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def shown(found):
    return [f"{at:%d %H:%M %z}" for at in found]


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        # An ordinary zone: nothing happens.
        ("0 2 * * *", SHANGHAI, "2026-03-29T00:00", ["29 02:00 +0800", "30 02:00 +0800"]),
        # Spring: 02:30 is left out, so the night begins when the hour would have ended.
        ("30 2 * * *", BERLIN, "2026-03-28T03:00", ["29 03:00 +0200", "30 02:30 +0200"]),
        ("30 2 * * *", NEW_YORK, "2026-03-07T03:00", ["08 03:00 -0400", "09 02:30 -0400"]),
        # Two times of the hour that is left out are one night, and one that follows it is not doubled.
        ("0,30 2,3 * * *", BERLIN, "2026-03-29T00:00", ["29 03:00 +0200", "29 03:30 +0200", "30 02:00 +0200"]),
        # By real time: the hour that is left out has no nights.
        ("*/30 * * * *", BERLIN, "2026-03-29T01:00", ["29 01:30 +0100", "29 03:00 +0200", "29 03:30 +0200"]),
        # Autumn: a fixed time is once, in the first of the two hours.
        ("30 2 * * *", BERLIN, "2026-10-24T03:00", ["25 02:30 +0200", "26 02:30 +0100"]),
        ("30 1 * * *", NEW_YORK, "2026-10-31T03:00", ["01 01:30 -0400", "02 01:30 -0500"]),
        # By real time: both hours have nights.
        ("30 * * * *", BERLIN, "2026-10-25T01:00", ["25 01:30 +0200", "25 02:30 +0200", "25 02:30 +0100"]),
    ],
)
def test_daylight_saving_time(cron, zone, after, expected):
    assert shown(islice(moments(cron, zone, moment(after, zone)), len(expected))) == expected


def test_asked_within_the_second_of_the_double_hours_a_fixed_time_is_over():
    within = datetime(2026, 10, 25, 2, 10, fold=1, tzinfo=BERLIN).timestamp()
    assert shown(islice(moments("30 2 * * *", BERLIN, within), 1)) == ["26 02:30 +0100"]


def test_the_double_hour_gives_two_names():
    runs = [Night("n", at).run for at in islice(moments("30 * * * *", BERLIN, moment("2026-10-25T01:40", BERLIN)), 3)]
    assert runs == ["n-2026-10-25T02:30", "n-2026-10-25T02:30+0100", "n-2026-10-25T03:30"]


def due(seen, now, cron="0 2 * * *", grace=HOUR, zone=SHANGHAI):
    found = due_nights("n", cron, zone, seen=seen, now=now, grace_seconds=grace)
    return Due(
        tuple(night.run.removeprefix("n-") for night in found.starts),
        tuple(night.run.removeprefix("n-") for night in found.missed),
        found.seen,
    )


def at(text):
    return moment(text, SHANGHAI)


@pytest.mark.parametrize(
    ("seen", "now", "expected"),
    [
        (None, "2026-05-02T02:00:00", Due(seen=at("2026-05-02T02:00:00"))),
        ("2026-05-01T12:00:00", "2026-05-02T01:59:59", Due()),
        ("2026-05-01T12:00:00", "2026-05-02T02:00:00", Due(("2026-05-02T02:00",))),
        ("2026-05-02T02:00:00", "2026-05-02T02:00:00", Due()),
        ("2026-05-02T02:00:00", "2026-05-02T02:00:59", Due()),
        # Late, within the grace and at its very end.
        ("2026-05-01T12:00:00", "2026-05-02T03:00:00", Due(("2026-05-02T02:00",))),
        ("2026-05-01T12:00:00", "2026-05-02T03:00:01", Due((), ("2026-05-02T02:00",))),
        ("2026-05-01T12:00:00", "2026-05-03T02:10:00", Due(("2026-05-03T02:00",), ("2026-05-02T02:00",))),
        # The clock went back: from now on.
        ("2026-05-02T02:00:00", "2026-05-02T01:00:00", Due(seen=at("2026-05-02T01:00:00"))),
    ],
)
def test_what_is_due(seen, now, expected):
    assert due(seen and at(seen), at(now)) == expected


def test_a_scheduler_that_was_off_for_a_year_tells_of_a_week():
    found = due(at("2025-05-02T12:00:00"), at("2026-05-02T12:00:00"), grace=60)
    assert (len(found.starts), len(found.missed)) == (0, TOLD_SECONDS / 86400)


ZONES = st.sampled_from([BERLIN, NEW_YORK, SHANGHAI])
CRONS = st.sampled_from(["30 2 * * *", "0 2 * * *", "*/20 * * * *", "5 */3 * * *", "0,30 1,2,3 * * *", "15 2 * * 0"])
#: The days around which Berlin's and New York's clocks change.
CHANGES = st.sampled_from([(2026, 3, 8), (2026, 3, 29), (2026, 10, 25), (2026, 11, 1), (2026, 6, 1)])
STEPS = st.lists(
    st.one_of(
        st.integers(1, 120),  # a scheduler's ticks
        st.integers(120, 3500),  # a restart, within the grace
        st.integers(-7200, -1),  # the clock goes back
    ),
    min_size=5,
    max_size=60,
)


def ends_by(now):
    return lambda at: at.timestamp() <= now


@settings(max_examples=80, deadline=None)
@given(zone=ZONES, cron=CRONS, day=CHANGES, begins=st.integers(0, 86400), steps=STEPS)
@example(BERLIN, "30 2 * * *", (2026, 10, 25), 9000, [1800, 1800, -3600, 1800, 1800, 1800, -7200, 3000, 3000, 3000])
def test_however_time_goes_every_night_that_passes_starts_once(zone, cron, day, begins, steps):
    """Two schedulers ask in turn; the claim by the run's name is the ledger's, here a set."""
    now = datetime(*day, tzinfo=zone).timestamp() - 40_000 + begins
    seen = None
    claimed, names, passed = [], set(), set()
    for step in [0, *steps]:
        passed |= {int(at.timestamp()) for at in takewhile(ends_by(now + step), moments(cron, zone, now))}
        now += step
        for _ in range(2):
            found = due_nights("n", cron, zone, seen=seen, now=now, grace_seconds=HOUR)
            assert not found.missed
            seen = seen if found.seen is None else found.seen
            for night in found.starts:
                seen = max(seen, night.moment)
                if night.run not in names:
                    names.add(night.run)
                    claimed.append(night.moment)
    assert sorted(claimed) == sorted(passed)


@settings(max_examples=50, deadline=None)
@given(zone=ZONES, cron=CRONS, day=CHANGES, cuts=st.lists(st.integers(0, 86400 * 3), max_size=30))
def test_where_time_is_cut_changes_nothing(zone, cron, day, cuts):
    start = int(datetime(*day, tzinfo=zone).timestamp()) - 86400
    edges = sorted({start, *(start + cut for cut in cuts), start + 86400 * 3})
    whole = due_nights("n", cron, zone, seen=start, now=edges[-1], grace_seconds=86400 * 7).starts
    pieces = [
        night
        for seen, now in pairwise(edges)
        for night in due_nights("n", cron, zone, seen=seen, now=now, grace_seconds=86400 * 7).starts
    ]
    assert [night.run for night in pieces] == [night.run for night in whole]
    assert len({night.run for night in whole}) == len(whole)


@pytest.mark.parametrize(
    ("night", "deadline", "expected"),
    [
        ("2026-05-02T02:00", None, None),
        ("2026-05-02T02:00", time(6), "2026-05-02T06:00:00+02:00"),
        ("2026-05-02T22:00", time(6), "2026-05-03T06:00:00+02:00"),
        ("2026-05-02T02:00", time(2), "2026-05-03T02:00:00+02:00"),
        ("2026-05-02T02:00", timedelta(hours=4), "2026-05-02T06:00:00+02:00"),
        # Real hours: one is left out, one is there twice.
        ("2026-03-29T01:00", timedelta(hours=2), "2026-03-29T04:00:00+02:00"),
        ("2026-10-25T01:00", timedelta(hours=2), "2026-10-25T02:00:00+01:00"),
    ],
)
def test_deadlines(night, deadline, expected):
    found = deadline_of(Night("n", datetime.fromisoformat(night).replace(tzinfo=BERLIN)), deadline)
    assert (found and found.isoformat()) == expected


def test_a_start_by_hand_is_the_night_of_its_minute():
    now = moment("2026-05-02T02:00:59.9", SHANGHAI)
    assert this_minute("n", SHANGHAI, now).run == "n-2026-05-02T02:00"
