"""docs/scale.md against its simulation, and the simulation against what is known of a queue with one server."""

from math import log
from pathlib import Path

import pytest

from tests.benchmarks.scale import Costs, Fleet, carried, most_carried, tables

PAGE = Path(__file__).resolve().parent.parent / "docs" / "scale.md"
#: Every command takes 1 ms on average, and none is long.
SHORT = Costs(redis_ms=1, commands=1, long_share=0)


def test_the_tables_of_the_page_are_what_the_simulation_says():
    text = PAGE.read_text("utf-8")
    for lines in tables():
        assert "\n".join(lines) in text


@pytest.mark.parametrize("busy", [0.3, 0.6, 0.8])
def test_waits_are_those_of_theory(busy):
    """With exponential arrivals and services the chance to wait for more than t is busy × e^(-(1 - busy) t / mean)."""
    one = carried(1, busy * 1000, SHORT, commands=400_000)
    assert one.busy == pytest.approx(busy)
    if busy > 0.5:
        assert one.median_ms == pytest.approx(_quantile(busy, 0.5), rel=0.1)
    assert one.p999_ms == pytest.approx(_quantile(busy, 0.999), rel=0.25)


def _quantile(busy, share):
    return log(busy / (1 - share)) / (1 - busy)


def test_a_cheaper_submission_lets_a_server_carry_more():
    assert (
        most_carried(500, Costs(redis_ms=0.04)) > most_carried(500, Costs()) > most_carried(500, Costs(redis_ms=0.16))
    )


def test_a_fleet_grows_with_its_partners_and_its_memory_with_what_is_kept():
    small, large = (Fleet(number, 500, 24, 86400, Costs()) for number in (1, 10))
    assert large.gigabytes == pytest.approx(10 * small.gigabytes)
    assert large.workers == 10 * small.workers
    assert Fleet(1, 500, 24, 7 * 86400, Costs()).gigabytes == pytest.approx(74, abs=0.5)
