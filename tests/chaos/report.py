"""The table that a person reads: each promise, what was found, and whether it was kept."""

import json
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from tests.chaos import audit as rules
from tests.chaos.audit import ON_THE_WIRE_SECONDS, Audit
from tests.chaos.run import Outcome

#: Beyond this, moments say more about the machine than about the fleet.
LAG_MS = 100.0
_SHOWN = 20


def table(found: Audit, outcome: Outcome) -> Table:
    """Return the table."""
    shown = Table(
        "what", "found", "promised", "", width=118, title="What was enqueued, received and told, spec by spec"
    )

    def line(what: str, value: object, promised: str = "", promise: str | None = None) -> None:
        kept = "" if promise is None else "BROKEN" if found.broken(promise) else "kept"
        shown.add_row(what, str(value), promised, kept)

    line("specs enqueued", found.specs)
    line("outcomes", _told(found.outcomes))
    line("dead letters, and why", _told(found.dead_letters))
    for promise in rules.PROMISES[:6]:
        line(promise, found.broken(promise), "0", promise)
    line("submits received", found.calls)
    line("again, after a call that was not taken", found.again)
    line("reset before they were read", found.unread)
    line("doubled: taken before", found.doubled)
    line("of these unavoidable", f"{found.unavoidable.total()}: {_told(found.unavoidable)}")
    line("most doubled for one killed worker", max(found.doubled_by_kill.values(), default=0))
    line(rules.AVOIDABLE, found.broken(rules.AVOIDABLE), "0", rules.AVOIDABLE)
    line("most in any 1 s window, as stamped", found.most_in_any_second)
    line("of these surely", found.surely_in_any_second, f"<= {outcome.evidence.limit}", rules.TOO_FAST)
    gap = found.longest_gap
    line("longest gap while work waited", f"{gap.ended - gap.began:.1f} s", "<= 60 s", rules.STOOD_STILL)
    slowest = max(found.on_the_wire.values(), default=0.0)
    known = f"{slowest:.1f} s, of {len(found.on_the_wire)} kills"
    line("killed worker's specs on the wire again", known, f"<= {ON_THE_WIRE_SECONDS:g} s", rules.TOO_LATE)
    line("forgotten by Redis, healed by submit again", outcome.healed)
    line("what was done", _told(outcome.acts))
    line("faults of the platform", _told(outcome.faults))
    line("callbacks", _told(outcome.callbacks))
    line("lag of the sandbox's loop", f"{outcome.lag_ms:.0f} ms" + (" (!)" if outcome.lag_ms > LAG_MS else ""))
    line("took", f"{outcome.seconds:.0f} s")
    return shown


def sentences(found: Audit, outcome: Outcome) -> list[str]:
    """Return what stands below the table: notes, what did not end, and the first breaches of each promise."""
    told = [*outcome.notes, *(f"UNFINISHED: {one}" for one in outcome.unfinished)]
    for promise in rules.PROMISES:
        of_one = [finding for finding in found.findings if finding.promise == promise]
        told += map(str, of_one[:_SHOWN])
        if len(of_one) > _SHOWN:
            told.append(f"{promise}: and {len(of_one) - _SHOWN} more")
    return told


def write(path: Path, found: Audit, outcome: Outcome) -> None:
    """Write everything down that the audit looked at, and what it found."""
    record = {"evidence": asdict(outcome.evidence), "findings": found.findings, "told": sentences(found, outcome)}
    with path.open("w", encoding="utf-8") as stream:
        json.dump(record, stream, ensure_ascii=False, default=sorted)


def _told(counts) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()) if count) or "none"
