"""Decides whether a process makes progress (pure).

A process is stuck when it could send and does not; an answer to a ping is not progress. The detector counts its own
looks and reads no clock, so a process that was stopped for a minute does not count as stuck.
"""

from __future__ import annotations

from dataclasses import dataclass

#: After so many looks without a request, although one could be sent, it is stuck.
STUCK_LOOKS = 30
#: At the last of them the bucket is asked as well, for each of these questions may cost a slot.
SLOT_LOOKS = 5


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look saw.

    Attributes:
        sent: how many requests the process has sent.
        work_waits: whether hints wait in the queues, or chunks are in hand.
        excuse: why nothing may be sent just now; empty when nothing stands in the way.
        slot_open: whether the bucket had a slot that nobody took; None when it was not asked.
        held_back: how many chunks the process took up of which nothing may be sent, for their run or brands are held.
        unreached: how many requests it gave up unsent, for the platform could not be reached.
        empty: how many hints it took out of the queues for which nothing was left to send.
    """

    sent: int
    work_waits: bool
    excuse: str = ""
    slot_open: bool | None = None
    held_back: int = 0
    unreached: int = 0
    empty: int = 0


class Progress:
    """What the looks at one process tell, one after the other."""

    def __init__(self) -> None:
        self._before = Sight(0, work_waits=False)
        self._still = 0

    @property
    def asks_for_slot(self) -> bool:
        """Whether the next look is to ask the bucket."""
        return self._still >= STUCK_LOOKS - SLOT_LOOKS

    @property
    def stuck(self) -> bool:
        """Whether work waited and slots were there, and for all the looks nothing was sent."""
        return self._still >= STUCK_LOOKS

    def look(self, sight: Sight) -> str:
        """Take in a look; returns the process's state in a word or two."""
        before, self._before = self._before, sight
        if gets_on := sight.excuse or _gets_on(before, sight):
            self._still = 0
            return gets_on
        if sight.slot_open is False:  # others use the limit up, or the platform has the fleet pause
            self._still = STUCK_LOOKS - SLOT_LOOKS
        else:
            self._still += 1
        return "stuck" if self.stuck else "waiting"


def _gets_on(before: Sight, sight: Sight) -> str:
    """Return what the process did since the look before, or that nothing waits; empty when it stands still."""
    if sight.sent != before.sent:
        return "sending"
    if sight.held_back != before.held_back:  # each of them leaves the queues, and when all have, nothing waits
        return "held"
    if sight.unreached != before.unreached:  # while it is on trial, too few fail for the breaker to open soon
        return "platform unreached"
    # A cancelled run leaves thousands of hints with nothing behind them.
    return "idle" if sight.empty != before.empty or not sight.work_waits else ""
