"""Whether a process may send: one small state that holds and shutdowns set, and that every request asks.

It is set by `hold_listener`, `auto_hold` and `process`.
"""

from __future__ import annotations

from couponpress.keys import PARTNER_SCOPE, brand_scope, run_scope


class Halt:
    """Whether this process may send: set by holds and by a shutdown, asked before every request.

    Attributes:
        stopping: the process is shutting down.
        held: the scopes of all holds, as the ledger told them last.
        settling: scopes that this process is just about to hold; the ledger need not know them yet.
    """

    def __init__(self) -> None:
        self.stopping = False
        self.held: frozenset[str] = frozenset()
        self.settling: frozenset[str] = frozenset()

    def holds(self, scope: str) -> bool:
        """Whether that very scope is held."""
        return scope in self.held or scope in self.settling

    def stops(self, run_number: str) -> bool:
        """Whether nothing of that run may be sent now."""
        if not (self.held or self.settling):  # as nearly always, and asked before every request
            return self.stopping
        return self.stopping or self.holds(PARTNER_SCOPE) or self.holds(run_scope(run_number))

    def keeps_back(self, brand_id: str) -> bool:
        """Whether nothing of that brand may be sent now, although its run may go on."""
        return bool(self.held or self.settling) and self.holds(brand_scope(brand_id))
