"""Which runs a token sees: those of its namespace that hold a spec of its brands. Blocking, for threads.

A run's counts and reasons add up all of its brands, so a token sees them only when it is for every brand of the run.
"""

from __future__ import annotations

from typing import cast

import redis

from couponpress.errors import UnknownRunError
from couponpress.gateway.problems import Refusal
from couponpress.gateway.rights import Token
from couponpress.keys import Keys
from couponpress.ledger.progress import ReadingLedger


class Visibility:
    """Answers what a token sees of a stored run."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._reading = ReadingLedger(client, keys)

    def sees(self, token: Token, stored: str) -> bool:
        """Whether the token sees that there is such a run."""
        if token.shown_name(stored) is None:
            return False
        return token.brands is None or bool(self._brands(stored) & token.brands)

    def sees_whole(self, token: Token, stored: str) -> bool:
        """Whether the token is for every brand of the run, so that it may see its counts."""
        if token.shown_name(stored) is None:
            return False
        if token.brands is None:
            return True
        brands = self._brands(stored)
        return bool(brands) and brands <= token.brands

    def run(self, token: Token, run: str) -> str:
        """Return the stored name of a run that the token sees.

        Raises:
            UnknownRunError: it sees none of that name.
        """
        stored = token.stored_name(run)
        if not self.sees(token, stored):
            raise UnknownRunError(run)
        return stored

    def whole_run(self, token: Token, run: str) -> str:
        """Return the stored name of a run that the token may act on.

        Raises:
            UnknownRunError: it sees none of that name.
            Refusal: the run holds specs of other brands, too.
        """
        stored = self.run(token, run)
        if not self.sees_whole(token, stored):
            detail = f"run {run} holds specs of brands that token {token.name} is not for, and this would reach them"
            raise Refusal("brand-not-allowed", detail)
        return stored

    def _brands(self, stored: str) -> frozenset[str]:
        """Return the brands of a run's specs; none of a run that is not known."""
        try:
            number = self._reading.number_of(stored)
        except UnknownRunError:
            return frozenset()
        found = cast(set[bytes], self._client.smembers(self._keys.brands(number)))
        return frozenset(brand.decode() for brand in found)
