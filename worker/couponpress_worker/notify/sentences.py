"""Says an occurrence in the language of a target: a paragraph with a heading, what to know, and the cure (pure).

Times are told in the time zone of the process that tells, with its offset.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any
from urllib.parse import quote

from couponpress.language import gettext
from couponpress.nightly.night_sentences import in_words as night_words
from couponpress.stored_sentences import in_words
from couponpress_worker.notify.message import Message, Paragraph, harmless
from couponpress_worker.notify.occurrences import Occurrence


def message_of(
    occurrences: Sequence[Occurrence], mchid: str, console_url: str = "", time_zone: tzinfo | None = None
) -> Message:
    """Return what is told of these occurrences at once, in the current language.

    Args:
        occurrences: at least one.
        mchid: whose fleet it is.
        console_url: where the gateway is that has the console; empty for none.
        time_zone: in which moments are told; None for this machine's.
    """
    paragraphs = tuple(paragraph_of(one, console_url, time_zone) for one in occurrences)
    told = paragraphs[0].heading
    if len(paragraphs) > 1:
        told = gettext("%(count)s events") % {"count": len(paragraphs)}
    # The word couponpress stands in every message: robots may ask for a keyword.
    return Message(f"couponpress {mchid}", told, paragraphs)


def paragraph_of(occurrence: Occurrence, console_url: str = "", time_zone: tzinfo | None = None) -> Paragraph:
    """Return what is told of one occurrence, in the current language; arguments as of `message_of`."""
    about = occurrence.about

    def moment(seconds: float) -> str:
        return _moment(seconds, time_zone)

    match occurrence.event:
        case "run.finished":
            made = _run_finished(about)
        case "hold.begun":
            made = _hold_begun(about, moment(occurrence.at), "" if about["until"] is None else moment(about["until"]))
        case "hold.lifted":
            heading = gettext("%(scope)s goes on: its hold is lifted") % {"scope": _scope(about)}
            made = Paragraph(heading, (gettext("held since %(moment)s") % {"moment": moment(about["since"])},), "good")
        case "process.lost" | "process.back":
            made = _process(occurrence.event, about, moment(about["heard"]))
        case "test":
            lines = (
                gettext("Nothing happened. Whoever reads this is told of: %(events)s") % {"events": about["events"]},
            )
            made = Paragraph(gettext("a test message"), lines)
        case "night.late" | "night.missed" | "night.failed" | "night.skipped":
            made = _night(occurrence.event, about, moment(about["at"]))
        case unknown:  # found by a process of a newer version, told by this one
            told = tuple(f"{name}: {harmless(value)}" for name, value in about.items())
            made = Paragraph(gettext("%(event)s; a newer version knows more of it") % {"event": unknown}, told)
    place = _place(occurrence)
    link = f"{console_url}/console/{place}" if console_url and place is not None else ""
    return Paragraph(made.heading, made.lines, made.level, link)


def _run_finished(about: dict[str, Any]) -> Paragraph:
    run, total, succeeded = harmless(about["run"]), about["total"], about["succeeded"]
    values = {"run": run, "succeeded": f"{succeeded:,}", "total": f"{total:,}"}
    heading = gettext("run %(run)s finished: %(succeeded)s of %(total)s succeeded") % values
    named = {
        "failed": gettext("failed"),
        "rejected": gettext("rejected"),
        "expired": gettext("expired"),
        "cancelled": gettext("cancelled"),
    }
    lines = [f"{words} {about[name]:,}" for name, words in named.items() if about[name]]
    lines += [
        gettext("%(count)s ended so: %(reason)s")
        % {"count": f"{count:,}", "reason": harmless(in_words(f"{outcome} {code}") if code else gettext(outcome))}
        for outcome, code, count in about["reasons"]
    ]
    lines.append(gettext("took %(time)s") % {"time": _length(about["seconds"])})
    return Paragraph(heading, tuple(lines), "good" if total == succeeded else "bad")


def _hold_begun(about: dict[str, Any], moment: str, until: str) -> Paragraph:
    heading = gettext("%(scope)s is held: nothing of it is sent") % {"scope": _scope(about)}
    reason = harmless(in_words(about["reason"]))
    lines = [
        gettext("reason: %(reason)s") % {"reason": f"{reason}: {harmless(about['why'])}" if about["why"] else reason}
    ]
    if about["cure"]:
        lines.append(gettext("cure: %(cure)s") % {"cure": harmless(in_words(about["cure"]))})
    by = gettext(", by %(person)s") % {"person": harmless(about["by"])} if about["by"] else ""
    lines.append(gettext("since %(moment)s%(by)s") % {"moment": moment, "by": by})
    if until:
        lines.append(gettext("ends by itself at %(moment)s") % {"moment": until})
    return Paragraph(heading, tuple(lines), "bad")


def _scope(about: dict[str, Any]) -> str:
    name = harmless(about["scope"])
    if about["kind"] == "run":
        return gettext("run %(run)s") % {"run": name}
    if about["kind"] == "brand":
        return gettext("brand %(brand)s") % {"brand": name}
    return gettext("the whole fleet")


def _night(event: str, about: dict[str, Any], moment: str) -> Paragraph:
    headings = {
        "night.late": gettext("night %(run)s has not started in time"),
        "night.missed": gettext("night %(run)s was missed: it is not started any more"),
        "night.failed": gettext("night %(run)s failed"),
        "night.skipped": gettext("night %(run)s was left out"),
    }
    lines = [gettext("due at %(moment)s") % {"moment": moment}]
    if about["told"]:
        lines.insert(0, harmless(night_words(about["told"])))
    if event == "night.late" and about["started"] is not None:
        lines.append(gettext("started %(time)s late") % {"time": _length(about["started"] - about["at"])})
    elif event == "night.late":
        lines.append(gettext("cure: see whether `couponpress scheduler` runs, and what its log says"))
    elif event in {"night.missed", "night.failed"}:
        schedule = harmless(about["schedule"])
        lines.append(
            gettext("cure: `couponpress schedule run %(schedule)s` starts it by hand") % {"schedule": schedule}
        )
    return Paragraph(headings[event] % {"run": harmless(about["run"])}, tuple(lines), "bad")


def _process(event: str, about: dict[str, Any], heard: str) -> Paragraph:
    values = {"role": gettext(about["role"]), "host": harmless(about["host"]), "pid": about["pid"]}
    if event == "process.back":
        heading = gettext("%(role)s runs again on %(host)s (pid %(pid)s)") % values
        return Paragraph(heading, (_running(about),), "good")
    heading = gettext("%(role)s on %(host)s (pid %(pid)s) is gone and did not say goodbye") % values
    lines = [gettext("last heard of at %(moment)s") % {"moment": heard}, _running(about)]
    lines.append(gettext("cure: see the log of its service; what it had in hand is sent by others, nothing is lost"))
    return Paragraph(heading, tuple(lines), "bad")


def _running(about: dict[str, Any]) -> str:
    return gettext("%(role)s processes that run now: %(count)s") % {
        "role": gettext(about["role"]),
        "count": about["running"],
    }


def _place(occurrence: Occurrence) -> str | None:
    """Return the console's page for an occurrence; None for none."""
    if number := occurrence.about.get("number"):
        return f"runs/{quote(number)}"
    return {"hold": "holds", "night": "schedules", "process": ""}.get(occurrence.event.partition(".")[0])


def _moment(seconds: float, time_zone: tzinfo | None) -> str:
    at = datetime.fromtimestamp(seconds, UTC).astimezone(time_zone)
    offset = f"{at:%z}"
    return f"{at:%Y-%m-%d %H:%M:%S} {offset[:3]}:{offset[3:5]}"


def _length(seconds: float) -> str:
    """Return a length of time.

    >>> _length(3725)
    '1:02:05'
    """
    minutes, rest = divmod(max(round(seconds), 0), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
