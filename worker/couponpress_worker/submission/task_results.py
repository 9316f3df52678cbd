"""Keeps summaries of chunk tasks in Celery's result backend, where COUPONPRESS_CELERY_RESULTS asks for them.

The ledger knows what became of each spec, so nothing of couponpress reads a summary. It is for programs that follow
Celery tasks. The backend takes its connections from a `RedisAddress`, as everything else does.
"""

from __future__ import annotations

from typing import Any

from celery.backends.redis import RedisBackend
from redis import ConnectionPool

from couponpress.keys import Keys
from couponpress.transport.redis_address import RedisAddress

#: How long Celery keeps a summary.
SUMMARY_SECONDS = 3600


class TaskResults(RedisBackend):
    """Celery's Redis backend over connections of the address in its transport options."""

    def _get_pool(self, **_: object) -> ConnectionPool:
        address: RedisAddress = self.app.conf.result_backend_transport_options["address"]  # type: ignore[attr-defined]  # its types leave `app` out
        return address.pool(socket_timeout=5, socket_connect_timeout=5)


def result_settings(address: RedisAddress, keys: Keys) -> dict[str, Any]:
    """Return Celery's settings for a result backend at an address."""
    return {
        "result_backend": f"{TaskResults.__module__}:{TaskResults.__qualname__}",
        "result_expires": SUMMARY_SECONDS,
        "result_backend_transport_options": {
            "address": address,
            "global_keyprefix": keys.prefix,
            # Writing a summary is tried twice, not for 20 s.
            "retry_policy": {"max_retries": 1},
        },
    }
