"""Where a spec is and what happened to it, in words of the reader's language."""

from __future__ import annotations

from typing import Final

from couponpress.language import gettext, gettext_noop
from couponpress.ledger.history import SpecEvent
from couponpress.outcome import State

#: Who learned or did it, what it led to -> how that is told. Without an entry, the state's name alone is told.
_SENTENCES: Final = {
    ("producer", "enqueued"): gettext_noop("enqueued"),
    ("submit", "accepted"): gettext_noop("sent: the platform accepted it"),
    ("submit", "retrying"): gettext_noop("sent: no usable answer; it is sent again"),
    ("submit", "looking"): gettext_noop("sent: what became of it is open; the platform is asked first"),
    ("submit", "rejected"): gettext_noop("sent: the platform rejected it"),
    ("callback", "accepted"): gettext_noop("callback: the platform draws the picture"),
    ("callback", "succeeded"): gettext_noop("callback: the picture is there"),
    ("callback", "failed"): gettext_noop("callback: the platform could not make the picture"),
    ("query", "accepted"): gettext_noop("asked the platform: it draws the picture"),
    ("query", "succeeded"): gettext_noop("asked the platform: the picture is there"),
    ("query", "failed"): gettext_noop("asked the platform: it could not make the picture"),
    ("query", "retrying"): gettext_noop("asked the platform: it does not know the task; it is sent again"),
    ("query", "rejected"): gettext_noop("asked the platform: it ends as rejected"),
    ("query", "expired"): gettext_noop("asked the platform: nothing came for too long; it ends as expired"),
    ("query", "cancelled"): gettext_noop("asked the platform: it does not know the task; the run was cancelled"),
    ("query", "asked"): gettext_noop("asked the platform: nothing new"),
    ("person", "paused"): gettext_noop("paused by a person"),
    ("person", "waiting"): gettext_noop("resumed by a person"),
    ("person", "cancelled"): gettext_noop("cancelled by a person"),
    ("person", "redriven"): gettext_noop("sent again by a person; the tries start anew"),
    ("fleet", "waiting"): gettext_noop("its pause was over; it goes on"),
    ("fleet", "rejected"): gettext_noop("rejected without a request"),
    ("fleet", "expired"): gettext_noop("given up; it ends as expired"),
}


def state_name(state: State) -> str:
    """Return the name of a state, for people."""
    return state_names()[state.value]


def state_names() -> dict[str, str]:
    """Return the name of each state of a spec, for people."""
    return {
        "waiting": gettext("waiting"),
        "retrying": gettext("waits for another try"),
        "looking": gettext("being asked for"),
        "paused": gettext("paused"),
        "accepted": gettext("accepted"),
        "succeeded": gettext("succeeded"),
        "failed": gettext("failed"),
        "rejected": gettext("rejected"),
        "expired": gettext("expired"),
        "cancelled": gettext("cancelled"),
    }


def event_sentence(event: SpecEvent) -> str:
    """Return what happened, in words."""
    told = _SENTENCES.get((event.by, event.event))
    if told is None:
        return state_names().get(event.event, event.event)
    return gettext(told)
