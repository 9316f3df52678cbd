"""Notes in the audit log which requests the gateway refused for want of a token or a right.

Anybody can cause a refusal, so only so many are noted: some at once, then one every few seconds. The next entry says
how many were left out.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from couponpress.ledger.attribution import Actor, Attribution
from couponpress.ledger.audit import Act, AuditLog
from couponpress.ledger.scripts import REDIS_AWAY

log = logging.getLogger(__name__)

#: So many are noted at once, and after that one in so many seconds.
AT_ONCE = 20
SECONDS_EACH = 5.0
#: A path is noted up to so many characters.
PATH_LENGTH = 200


class Denials:
    """Notes refusals; for several threads."""

    def __init__(self, audit: AuditLog, clock: Callable[[], float] = time.monotonic) -> None:
        self._audit = audit
        self._clock = clock
        self._lock = threading.Lock()
        self._left = float(AT_ONCE)
        self._seen_at = clock()
        self._left_out = 0

    def note(self, actor: Actor, kind: str, method: str, path: str) -> None:
        """Note one refusal, or count it; a Redis that does not answer is told by the log and stops nothing."""
        with self._lock:
            now = self._clock()
            self._left = min(self._left + (now - self._seen_at) / SECONDS_EACH, AT_ONCE)
            self._seen_at = now
            if self._left < 1:
                self._left_out += 1
                return
            self._left -= 1
            left_out, self._left_out = self._left_out, 0
        more = f" ({left_out} more were not noted before)" if left_out else ""
        detail = f"{kind}: {method} {path[:PATH_LENGTH]}{more}"
        try:
            self._audit.add(Act("denied", Attribution(actor), detail=detail), "denied")
        except REDIS_AWAY as error:
            log.warning("a refusal could not be noted in the audit log: %s: %s", detail, error)
