"""Pure: does a process get on? Alive means progressing, not only answering.

Decides when a process that runs is stuck: it could send and does not. Refuses to know where the counts come from, and
what follows. It counts looks and reads no clock, so a process that was stopped for a minute is not taken for stuck.
"""

from __future__ import annotations

from dataclasses import dataclass

#: How often a process is looked at.
LOOK_EVERY_SECONDS = 1.0
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
    """

    sent: int
    work_waits: bool
    excuse: str = ""
    slot_open: bool | None = None
    held_back: int = 0


class Progress:
    """What the looks at one process tell, one after the other."""

    def __init__(self) -> None:
        self._sent = 0
        self._held_back = 0
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
        sending, self._sent = sight.sent != self._sent, sight.sent
        # Who goes through chunks that are held gets on: each leaves the queues, and when all have, nothing waits.
        holding, self._held_back = sight.held_back != self._held_back, sight.held_back
        if sending or holding or sight.excuse or not sight.work_waits:
            self._still = 0
            return sight.excuse or ("sending" if sending else "held" if holding else "idle")
        if sight.slot_open is False:  # others use the limit up, or the platform has the fleet pause
            self._still = STUCK_LOOKS - SLOT_LOOKS
        else:
            self._still += 1
        return "stuck" if self.stuck else "waiting"
