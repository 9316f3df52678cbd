"""What happened to one spec, event by event, as `note_event.lua` packs it (pure).

A chunk keeps one list for all of its specs; each event is written by the script that made it happen, so none is missing
and none is told twice. Every Request-ID of the platform is kept. Of a spec whose first try was accepted and whose
callback brought the picture, it is packed, and of the callback's id the last digits are kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

from couponpress.outcome import STATE_OF_LETTER

#: The last events of a spec that are shown.
EVENTS_SHOWN: Final = 20

#: Who moved a spec, or learned what moved it; the place of each is its number in transitions.lua.
MovedBy = Literal["fleet", "submit", "callback", "query", "person"]
MOVED_BY: Final[tuple[MovedBy, ...]] = get_args(MovedBy)
EventBy = MovedBy | Literal["producer"]
EventName = Literal[
    "enqueued", "waiting", "retrying", "looking", "paused", "accepted", "succeeded", "failed", "rejected", "expired",
    "cancelled", "asked", "redriven",
]  # fmt: skip

# As note_event.lua has them.
_LETTERS: Final = "wylpasfrxcqd"
_OLDER: Final = len(_LETTERS)
_FIRST_CODE: Final = 32
_NAMES: Final[dict[str, EventName]] = {"q": "asked", "d": "redriven"}
#: So many bytes of a callback's id are kept where everything went plainly.
_DIGITS: Final = 4


@dataclass(frozen=True, slots=True)
class SpecEvent:
    """Something that happened to a spec.

    Attributes:
        at: when, seconds since 1970 on Redis's clock.
        event: the state that it came to; `asked` for a query that changed nothing, `redriven` when a person sent it
            again, `enqueued` for the beginning.
        by: who learned or did it.
        code: what was answered, as a code; empty when there is none.
        request_id: the platform's id of the answer; empty when none came.
        notice_id: the id of the callback, or its last digits behind an ellipsis; empty when none was it.
    """

    at: float
    event: EventName
    by: EventBy
    code: str = ""
    request_id: str = ""
    notice_id: str = ""


@dataclass(frozen=True, slots=True)
class Events:
    """The last events of one spec, the oldest first, and how many older ones there were."""

    shown: tuple[SpecEvent, ...]
    older: int = 0


def read_events(stored: Iterable[bytes], position: int, made: bytes, accepted_by: str = "") -> Events:
    """Return the events of the spec at a position of a chunk.

    Args:
        stored: the elements of the chunk's history, the oldest first.
        position: which spec.
        made: when the chunk was made, as its record says: seconds, a dot, microseconds.
        accepted_by: the Request-ID of the answer that accepted a spec which is still open: in an event of version 0.2.0
            it is missing.
    """
    made_ms = made_at_ms(made)
    found: list[SpecEvent] = []
    older = 0
    for element in stored:
        if element[0] != position:
            continue
        letter, by = divmod(element[1] - _FIRST_CODE, 6)
        ms, told = _moment(element[2:])
        if letter == _OLDER:
            older += int(told)
            continue
        event = _event(letter, MOVED_BY[by], (made_ms + ms) / 1000, told)
        if event.event != "succeeded" and (accepted_id := _parts(told)[2]):
            _give_accepted_id(found, accepted_id)
        found.append(event)
    if accepted_by:
        _give_accepted_id(found, accepted_by)
    hidden = max(0, len(found) - EVENTS_SHOWN)
    return Events(tuple(found[hidden:]), older + hidden)


def _event(letter: int, by: MovedBy, at: float, told: bytes) -> SpecEvent:
    state = STATE_OF_LETTER.get(_LETTERS[letter])
    name: EventName = _NAMES[_LETTERS[letter]] if state is None else state.value
    if name == "succeeded" and by == "callback" and len(told) == _DIGITS:
        return SpecEvent(at, name, by, notice_id=f"…{told.hex()}")
    code, said_by, _ = _parts(told)
    if by == "callback":
        return SpecEvent(at, name, by, code, notice_id=said_by)
    return SpecEvent(at, name, by, code, request_id=said_by)


def _give_accepted_id(found: list[SpecEvent], request_id: str) -> None:
    """Add to the latest event that accepted the spec the Request-ID that was kept elsewhere while it was open."""
    for at in range(len(found) - 1, -1, -1):
        if found[at].event == "accepted":
            if not found[at].request_id and found[at].by == "submit":
                found[at] = replace(found[at], request_id=request_id)
            return


def _parts(told: bytes) -> tuple[str, str, str]:
    *parts, packed = [*told.split(b"\x1f", 3), b"", b"", b"", b""][:4]
    code, said_by, accepted_by = (part.decode(errors="replace") for part in parts)
    return code, said_by or _unpacked(packed), accepted_by


def _unpacked(packed: bytes) -> str:
    """Return a Request-ID from a count of bytes, as many bytes that stand for two hex digits each, and its rest."""
    if not packed:
        return ""
    end = 1 + packed[0]
    return packed[1:end].hex().upper() + packed[end:].decode(errors="replace")


def _moment(packed: bytes) -> tuple[int, bytes]:
    """Return the milliseconds at the beginning of packed bytes, 7 bits in each, and the rest."""
    ms = 0
    for at, byte in enumerate(packed):
        ms |= (byte & 127) << (7 * at)
        if byte < 128:
            return ms, packed[at + 1 :]
    raise ValueError(packed)


def made_at_ms(made: bytes) -> int:
    """Return when a chunk was made, ms since 1970, from its record: seconds, a dot, microseconds without zeros."""
    seconds, _, micros = made.partition(b".")
    return int(seconds or 0) * 1000 + int(micros or 0) // 1000
