"""How many requests are in hand at a time."""

import pytest

from couponpress.gateway.ingest import InHand
from couponpress.gateway.problems import Refusal


def test_more_than_the_bound_are_refused_until_one_is_done():
    bound = InHand("streams", 2, retry_after_seconds=5)
    with bound:
        with bound, pytest.raises(Refusal) as caught, bound:
            pytest.fail("there was no room")
        assert (caught.value.kind, caught.value.retry_after_seconds) == ("busy", 5)
        with bound:
            pass


def test_one_that_fails_is_done_too():
    bound = InHand("streams", 1, retry_after_seconds=5)
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"), bound:
            raise ValueError("broken")
