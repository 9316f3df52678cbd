"""Names of roles, states and pages, and what a page says after an act, in the viewer's language."""

from __future__ import annotations

from couponpress.gateway.console.viewer import Viewer
from couponpress.language import gettext


def role_name(role: str) -> str:
    """Return a role's name for people."""
    return {"viewer": gettext("viewer"), "operator": gettext("operator"), "admin": gettext("administrator")}[role]


def told_role(viewer: Viewer) -> str:
    """Return what a person's token is for."""
    told = gettext("Your token %(name)s has the role %(role)s.")
    told %= {"name": viewer.name, "role": role_name(viewer.role)}
    return told if viewer.sees_all else f"{told} {gettext('It is for some brands only.')}"


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
        "dead-letters": gettext("The dead letters are deleted."),
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


def process_states() -> dict[str, str]:
    """Return what a process says of itself, for people; see `couponpress health`."""
    return {
        "sending": gettext("sending"),
        "waiting": gettext("waiting for slots"),
        "idle": gettext("idle"),
        "held": gettext("held"),
        "platform down": gettext("platform down"),
        "platform unreached": gettext("platform unreached"),
        "Redis away": gettext("Redis away"),
        "Redis full": gettext("Redis full"),
        "stopping": gettext("stopping"),
        "stuck": gettext("stuck"),
    }


def night_states() -> dict[str, str]:
    """Return where a night of a schedule is, for people."""
    return {
        "claimed": gettext("being read"),
        "sent": gettext("under way"),
        "done": gettext("done"),
        "skipped": gettext("skipped"),
        "failed": gettext("failed"),
        "missed": gettext("missed"),
    }


def act_names() -> dict[str, str]:
    """Return the name of each act in the audit log, for people."""
    return {
        "pause": gettext("pause"),
        "resume": gettext("resume"),
        "cancel": gettext("cancel"),
        "redrive": gettext("send again"),
        "limit": gettext("change the limit"),
        "share": gettext("set a brand's share"),
        "hook": gettext("set a hook"),
        "delete-dead-letters": gettext("delete dead letters"),
        "schedule-start": gettext("start a schedule"),
        "schedule-skip": gettext("skip a night"),
        "stop": gettext("stop an act"),
        "denied": gettext("denied"),
    }


def result_names() -> dict[str, str]:
    """Return what came of an act, for people, where it is a word."""
    return {"done": gettext("done"), "nothing": gettext("nothing to do"), "denied": gettext("denied")}


def selection_acts() -> dict[str, tuple[str, str]]:
    """Return what an act on a selection is called, and what its button says."""
    return {
        "pause": (gettext("Pause all that match"), gettext("Pause them")),
        "resume": (gettext("Resume all that match"), gettext("Resume them")),
        "cancel": (gettext("Cancel all that match"), gettext("Cancel them")),
        "redrive": (gettext("Send again all that match"), gettext("Send them again")),
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
