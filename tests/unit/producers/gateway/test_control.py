"""When something ends that a request says."""

from datetime import UTC, datetime, timedelta

import pytest

from couponpress.errors import InputError
from couponpress.gateway.control import end_of
from couponpress.gateway.problems import Refusal

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


def test_an_end_is_a_length_or_a_moment_with_its_time_zone():
    assert end_of(None, None, NOW) is None
    assert end_of(None, "2h", NOW) == timedelta(hours=2)
    assert end_of("2026-11-30T06:00:00+08:00", None, NOW) == datetime(2026, 11, 29, 22, 0, tzinfo=UTC)


@pytest.mark.parametrize("until", ["23:00", "2026-11-30T06:00", "2020-01-01T00:00:00Z", "soon"])
def test_a_moment_that_callers_may_mean_otherwise_is_refused(until):
    with pytest.raises((Refusal, InputError)):
        end_of(until, None, NOW)
