"""Whether a process may send: one small state that holds and shutdowns set, and every request asks.

Decides nothing; it is set by `process` and `submission`.
"""

from __future__ import annotations


class Halt:
    """Whether this process may send: set by holds and by a shutdown, asked before every request."""

    def __init__(self) -> None:
        self.stopping = False
        self.held: frozenset[str] = frozenset()

    def stops(self, run_number: str) -> bool:
        """Whether nothing of that run may be sent now."""
        return self.stopping or "partner" in self.held or f"run:{run_number}" in self.held
