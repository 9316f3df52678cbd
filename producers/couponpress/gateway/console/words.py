"""Names of roles, states and pages, and what a page says after an act, in the viewer's language."""

from __future__ import annotations

from couponpress.gateway.console.viewer import Viewer
from couponpress.language import gettext


def role_name(role: str) -> str:
    """Return a role's name for people."""
    return {"viewer": gettext("viewer"), "operator": gettext("operator"), "admin": gettext("administrator")}[role]


def states() -> dict[str, str]:
    """Return the name of each state of a spec, for people."""
    return {
        "waiting": gettext("waiting"),
        "retrying": gettext("waits for another try"),
        "looking": gettext("being asked for"),
        "accepted": gettext("accepted"),
        "succeeded": gettext("succeeded"),
        "failed": gettext("failed"),
        "rejected": gettext("rejected"),
        "expired": gettext("expired"),
        "cancelled": gettext("cancelled"),
    }


def navigation(viewer: Viewer) -> list[tuple[str, str]]:
    """Return the pages that a person may see: path and name."""
    every = [
        ("", gettext("Now"), viewer.sees_all),
        ("runs", gettext("Runs"), True),
        ("upload", gettext("Upload"), viewer.may("operator")),
        ("schedules", gettext("Schedules"), viewer.sees_all),
        ("holds", gettext("Holds"), viewer.sees_all),
        ("audit", gettext("Audit"), viewer.may("admin") and viewer.sees_all),
        ("dead-letters", gettext("Dead letters"), viewer.sees_all),
    ]
    return [(path, name) for path, name, seen in every if seen]


def told_messages() -> dict[str, str]:
    """Return what a page says after an act, by the act's word in the address."""
    return {
        "paused": gettext("Paused. Requests in flight end."),
        "held-before": gettext("It was held already."),
        "resumed": gettext("It goes on."),
        "not-held": gettext("It was not held."),
        "cancelled": gettext("Taken back what the platform had not accepted."),
        "redriven": gettext("What ended badly is sent again."),
        "limit": gettext("The limit is changed."),
        "skipped": gettext("The next night is skipped."),
        "started": gettext("The schedule is started now."),
    }


def process_roles() -> dict[str, str]:
    """Return the name of each role of a process."""
    return {
        "worker": gettext("worker"),
        "scheduler": gettext("scheduler"),
        "callback": gettext("callback receiver"),
        "gateway": gettext("gateway"),
    }


def selection_states() -> dict[str, str]:
    """Return how far an act on a selection is, for people."""
    return {
        "counting": gettext("being counted"),
        "counted": gettext("counted; nothing is done yet"),
        "acting": gettext("under way"),
        "done": gettext("done"),
        "stopped": gettext("stopped"),
        "failed": gettext("failed"),
    }
