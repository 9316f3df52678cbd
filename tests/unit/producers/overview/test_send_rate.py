"""The requests of ten minutes by the second, and the most in any 1 s."""

import random

import pytest

from couponpress.ledger.send_log import in_last_second
from couponpress.overview.send_rate import NOW_SECONDS, SETTLE_SECONDS, SPAN_SECONDS, SendRate

NOW = 1_700_000_000
SECOND = 1_000_000


def moment(seconds_ago, micros=0):
    return (NOW - seconds_ago) * SECOND + micros


def test_nothing_was_sent():
    told = SendRate().sending(NOW)
    assert (told.now, told.most, told.most_at, told.total) == (0.0, 0, None, 0)
    assert told.per_second == (0,) * SPAN_SECONDS
    assert told.first_second + SPAN_SECONDS - 1 == NOW - SETTLE_SECONDS


def test_each_second_has_its_requests():
    rate = SendRate()
    rate.add([[moment(4), moment(4, 999_999), moment(3)], [moment(4, 5)]])
    told = rate.sending(NOW)
    by_second = {told.first_second + at: count for at, count in enumerate(told.per_second) if count}
    assert by_second == {NOW - 4: 3, NOW - 3: 1}
    assert told.now == 4 / NOW_SECONDS


def test_the_most_lies_across_seconds_and_processes():
    rate = SendRate()
    rate.add([[moment(10, 900_000), moment(9, 100_000)]])
    rate.add([[moment(10, 950_000), moment(9, 899_999), moment(9, 950_001)]])
    told = rate.sending(NOW)
    assert (told.most, told.most_at) == (4, (moment(9, 899_999)) / SECOND)


@pytest.mark.parametrize("seed", range(5))
def test_in_whatever_parts_and_order_it_comes_the_most_is_that_of_the_whole(seed):
    chance = random.Random(seed)
    moments = sorted(moment(60, chance.randrange(20 * SECOND)) for _ in range(3000))
    parts = [[] for _ in range(40)]
    for one in moments:
        parts[chance.randrange(40)].append(one)
    chance.shuffle(parts)
    rate = SendRate()
    for part in parts:
        rate.add([part])
    told = rate.sending(NOW)
    assert told.most == max(in_last_second(moments))
    assert told.total == 3000


def test_what_is_older_than_ten_minutes_is_forgotten():
    rate = SendRate()
    rate.add([[moment(SPAN_SECONDS + 5, at) for at in range(50)]])
    rate.add([[moment(3)]])
    told = rate.sending(NOW)
    assert (told.most, told.total) == (1, 1)
    later = rate.sending(NOW + 2 * SPAN_SECONDS)
    assert (later.most, later.total) == (0, 0)


@pytest.mark.parametrize(
    ("limit", "seconds_between", "fills"),
    [
        (500, 1 / 490, True),
        (500, 1 / 400, False),
        (10, 1 / 9.6, True),
        (10, 1 / 5, False),
        (0.1, 10, True),  # six a minute
        (0.1, 30, False),
    ],
)
def test_a_limit_is_filled_by_about_as_many_as_it_allows(limit, seconds_between, fills):
    rate, count = SendRate(), int(120 / seconds_between)
    rate.add([[moment(125, round(at * seconds_between * SECOND)) for at in range(count + int(4 / seconds_between))]])
    assert rate.sending(NOW).fills(limit) is fills


def test_nothing_fills_no_limit():
    assert not SendRate().sending(NOW).fills(500)
    assert not SendRate().sending(NOW).fills(0.1)
