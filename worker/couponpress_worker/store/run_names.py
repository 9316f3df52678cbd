"""Knows the names of the runs that this process works on; chunks and specs carry a run's number only."""

from __future__ import annotations

from couponpress.ledger.fleet_queries import FleetQueries
from couponpress.ledger.scripts import REDIS_AWAY

#: So many names are kept; then all are read again.
MOST_KEPT = 1000


class RunNames:
    """Reads each run's name once."""

    def __init__(self, queries: FleetQueries) -> None:
        self._queries = queries
        self._names: dict[str, str] = {}

    async def of(self, run_number: str) -> str:
        """Return a run's name, as its producer gave it; its number while Redis does not tell the name."""
        if (known := self._names.get(run_number)) is not None:
            return known
        try:
            name = await self._queries.run_name(run_number)
        except REDIS_AWAY:
            name = None
        if name is None:
            return run_number
        if len(self._names) >= MOST_KEPT:
            self._names.clear()
        self._names[run_number] = name
        return name
