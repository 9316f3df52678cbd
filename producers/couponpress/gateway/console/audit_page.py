"""The page of the audit log: who did what, by which way, when and why; also as CSV."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from couponpress.gateway.console.context import Looking, TheConsole, render, require
from couponpress.ledger.audit import AuditEntry
from couponpress.ledger.moments import read_past
from couponpress.results import harmless

router = APIRouter(prefix="/audit")

#: Entries on the page, and in the file.
SHOWN = 200
MOST = 100_000


def _entries(console: TheConsole, since: str, who: str, act: str, most: int) -> list[AuditEntry]:
    moment = read_past(since, datetime.now(UTC).astimezone()) if since else None
    return list(islice(console.client.audit(since=moment, who=who or None, act=act or None), most))


@router.get("")
def show_audit(
    request: Request, console: TheConsole, viewer: Looking, since: str = "", who: str = "", act: str = ""
) -> Response:
    """Show the latest entries that fit."""
    require(viewer, "admin")
    wanted = {"since": since.strip(), "who": who.strip(), "act": act.strip()}
    entries = _entries(console, **wanted, most=SHOWN)
    values: dict[str, Any] = {"entries": entries, "wanted": wanted, "full": len(entries) == SHOWN}
    return render(request, "audit.html", page="audit", **values)


@router.get(".csv")
def download_audit(console: TheConsole, viewer: Looking, since: str = "", who: str = "", act: str = "") -> Response:
    """Send the entries that fit as CSV."""
    require(viewer, "admin")
    stream = io.StringIO(newline="")
    stream.write("\ufeff")
    writer = csv.writer(stream)
    writer.writerow(("at", "act", "result", "run", "brand", "detail", "door", "who", "address", "why"))
    for one in _entries(console, since.strip(), who.strip(), act.strip(), MOST):
        at = datetime.fromtimestamp(one.at, UTC).astimezone().isoformat(timespec="milliseconds")
        cells = (one.act, one.result, one.run, one.brand, one.detail, one.door, one.who, one.address, one.why)
        writer.writerow((at, *map(harmless, cells)))
    headers = {"Content-Disposition": 'attachment; filename="audit.csv"'}
    return Response(stream.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)
