"""Which holds stop what."""

import pytest

from couponpress_worker.safety.send_switch import Halt


@pytest.mark.parametrize(
    ("held", "stops", "keeps_back"),
    [
        ([], False, False),
        (["partner"], True, False),
        (["run:b1"], True, False),
        (["run:b11"], False, False),
        (["brand:7"], False, True),
        (["brand:77"], False, False),
        (["run:b1", "brand:7"], True, True),
    ],
    ids=repr,
)
def test_a_hold_stops_its_own_scope(held, stops, keeps_back):
    halt = Halt()
    for attribute in ("held", "settling"):
        setattr(halt, attribute, frozenset(held))
        assert (halt.stops("b1"), halt.keeps_back("7")) == (stops, keeps_back)
        setattr(halt, attribute, frozenset())


def test_a_shutdown_stops_every_run():
    halt = Halt()
    halt.stopping = True
    assert halt.stops("b1")
