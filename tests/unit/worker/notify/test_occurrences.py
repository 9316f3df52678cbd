"""Who wants to be told of what, and that nothing is lost in storing it."""

import dataclasses

import pytest

from couponpress.notify.kinds import KINDS
from couponpress.notify.target import Target
from couponpress_worker.notify.occurrences import Occurrence

RUN = Occurrence("run:b1:5", "run.finished", 5.5, {"run": "五月"}, brands=("120344",), schedule="")
NIGHT = dataclasses.replace(RUN, schedule="prices")
FLEET = Occurrence("hold:partner:1", "hold.begun", 1.0, {})


def target(**changes):
    return Target("t", KINDS["wecom"], "https://x.example", **changes)


@pytest.mark.parametrize("occurrence", [RUN, NIGHT, FLEET])
def test_what_is_stored_is_read_again(occurrence):
    assert Occurrence.read(occurrence.stored()) == occurrence
    assert Occurrence.read(occurrence.stored().encode()) == occurrence


@pytest.mark.parametrize(
    ("occurrence", "changes", "wanted"),
    [
        (RUN, {}, True),
        (RUN, {"events": ("hold.begun",)}, False),
        (RUN, {"brands": ("120344", "9")}, True),
        (RUN, {"brands": ("9",)}, False),
        (FLEET, {"brands": ("9",)}, True),
        (RUN, {"schedules": ("prices",)}, False),
        (NIGHT, {"schedules": ("prices",)}, True),
        (NIGHT, {"schedules": ("offers",)}, False),
        (FLEET, {"schedules": ("offers",)}, True),
    ],
)
def test_a_target_is_told_of_what_concerns_it(occurrence, changes, wanted):
    assert occurrence.concerns(target(**changes)) is wanted


def test_what_a_newer_version_stored_is_read():
    told = '{"id":"1","event":"moon.full","at":1.0,"about":{},"brands":null,"schedule":null,"tide":"high"}'
    assert Occurrence.read(told) == Occurrence("1", "moon.full", 1.0, {})
