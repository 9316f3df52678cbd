"""Which services of the fleet run, and the command that starts what is missing.

A service that does not run is a failure only when open runs wait for it: a set-up may be checked before it is started.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import redis

from couponpress.cli.missing import missing
from couponpress.keys import Keys
from couponpress.language import gettext, gettext_noop, joined
from couponpress.ledger.presence import Role, read_present
from couponpress.ledger.progress import ReadingLedger
from couponpress.plurals import counted
from couponpress_worker.doctor.finding import Finding
from couponpress_worker.settings import Settings

_NAMES: dict[Role, str] = {
    "worker": gettext_noop("worker"),
    "scheduler": gettext_noop("scheduler"),
    "callback": gettext_noop("callback receiver"),
    "gateway": gettext_noop("gateway"),
}
#: What submits rows and brings their pictures back; the others are needed by some set-ups only.
_NEEDED: tuple[Role, ...] = ("worker", "callback")


def check_services(client: redis.Redis, settings: Settings) -> Iterator[Finding]:
    """Say who runs; then, for each thing that open runs wait for in vain, what is missing."""
    keys = Keys(settings.mchid)
    present = read_present(client, keys)
    counts = Counter(one.role for one in present)
    running = [counted(counts[role], name) for role, name in _NAMES.items() if counts[role]]
    needed = (*_NEEDED, "scheduler") if settings.schedule_file else _NEEDED
    told = [gettext("%(services)s running") % {"services": joined(running) or gettext("none")}]
    told += [
        gettext("no %(service)s: `couponpress %(command)s` starts one")
        % {"service": gettext(_NAMES[role]), "command": role}
        for role in needed
        if not counts[role]
    ]
    yield Finding("services", good=True, seen=joined(told, "; "))
    ledger = ReadingLedger(client, keys)
    runs = [ledger.status(number) for number in ledger.run_numbers()]
    for sentence in missing(runs, present, None, settings.redis_url_shown):
        seen, _, cure = sentence.replace("：", ": ", 1).partition(": ")
        yield Finding("open runs", good=False, seen=seen, cure=cure)
