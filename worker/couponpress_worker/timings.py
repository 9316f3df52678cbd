"""How long the fleet waits and looks for things: one value with every span, which the process is wired with.

The defaults are what the product promises with. Tests against a sandbox run with a share of them, `scaled`, so that
they need not wait for minutes; the setting COUPONPRESS_TIMING_SCALE says which share. Spans that the platform or the
network gives (its limit's second, the lateness budget, the wait that a `Retry-After` names) are no part of it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

from couponpress.ledger.leases import LEASE_MS
from couponpress.ledger.moves import TAKE_UP_MS
from couponpress.ledger.presence import SILENT_SECONDS, TELL_EVERY_SECONDS


@dataclass(frozen=True, slots=True)
class Timings:
    """Spans in seconds.

    Attributes:
        lease: how long a chunk belongs to a process that does not renew its lease.
        renew: between two renewals of a lease: a third of it, so two may fail before it is lost.
        take_up: within this time somebody must have taken up a chunk that was published; else it is published again.
        hand_on: a chunk that would hold its worker longer hands its rest on, so that no slow limit blocks a lane.
        lead: after this time without a sign of life of the leader another process leads.
        recovery_look: how often the leader looks for chunks to publish; due retries are released with this precision.
        stray_look: how often a process looks for leases in its name of chunks that it has not in hand.
        hold_look: how often a process looks at the holds when no message says that one was set or released.
        unhinted_quiet: without a hint for so long, a process looks for work itself. A busy fleet has hints more often.
        unhinted_look: how often it then looks: a process's chunks last longer at any limit that the platform has.
        breaker_window: the breaker looks at the share of failed calls over this time.
        breaker_failing: for so long that share must be too high before the breaker opens.
        breaker_silence: after a longer silence the breaker begins anew, for it does not know whether calls failed all
            along. An unanswered call takes `connect` and `answer` together.
        breaker_probe: how often a probe goes while the breaker is open.
        breaker_free: for so long from its opening a failed call spends no try. Longer would keep specs that the
            platform never answers, and that are all that is left, from ever ending.
        tell_present: how often a process says that it runs.
        silent: one that has not said so for this long, and is missed for two more times, is told as lost.
        stuck: a process that could send and does not for so long is ended.
        connect: how long the name, TCP and TLS of a connection to the platform may take together.
        answer: from the moment when a request leaves to the end of its answer.
        shutdown: a process that was told to stop ends hard after so long. Requests in flight take `connect` and
            `answer`, writing their answers down a moment; `deploy/compose.yaml` kills after 30 s.
    """

    lease: float = LEASE_MS / 1000
    renew: float = 10.0
    take_up: float = TAKE_UP_MS / 1000
    hand_on: float = 5.0
    lead: float = 5.0
    recovery_look: float = 1.0
    stray_look: float = 10.0
    hold_look: float = 0.5
    unhinted_quiet: float = 2.0
    unhinted_look: float = 0.5
    breaker_window: float = 2.0
    breaker_failing: float = 2.0
    breaker_silence: float = 20.0
    breaker_probe: float = 1.0
    breaker_free: float = 600.0
    tell_present: float = TELL_EVERY_SECONDS
    silent: float = float(SILENT_SECONDS)
    stuck: float = 30.0
    connect: float = 5.0
    answer: float = 10.0
    shutdown: float = 25.0

    def scaled(self, factor: float) -> Self:
        """Return the same spans, each times `factor`."""
        return type(self)(**{one.name: getattr(self, one.name) * factor for one in fields(self)})


#: The spans that the product promises with.
REAL = Timings()
