"""The services beside Celery's worker, in the foreground until TERM or INT: callback receiver and scheduler.

Decides how they are wired and how they stop. Refuses to know what they do.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

import httpx
import uvicorn
from httpx_aiohttp import AiohttpTransport
from starlette.applications import Starlette

from couponpress.keys import Keys
from couponpress.ledger.working import WorkLedger
from couponpress_worker.app import app as celery_app
from couponpress_worker.app import publish_again
from couponpress_worker.callback import CALLBACK_PATH, CallbackReceiver, Forward, callback_app
from couponpress_worker.completion import Completer
from couponpress_worker.process import Process, redis_for
from couponpress_worker.settings import Secrets, Settings
from couponpress_worker.shutdown import bound_shutdown
from couponpress_worker.signing import Verifier

log = logging.getLogger(__name__)

#: The platform waits 5 s for an answer; the passing on must leave time for ours.
FORWARD_SECONDS = 4.0
#: What a forwarded callback must keep so that its receiver can verify it.
_FORWARDED = ("content-type", "request-id")


def log_to_stderr() -> None:
    """Log as every service does: one line per event, to stderr."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)


def serve_callbacks(settings: Settings, *, host: str, port: int) -> None:
    """Receive callbacks until TERM or INT."""
    secret_keys = Secrets.read(settings)
    redis_client = redis_for(settings)
    ledger = WorkLedger(redis_client, Keys(settings.mchid))
    client = httpx.AsyncClient(transport=AiohttpTransport(), timeout=FORWARD_SECONDS)
    receiver = CallbackReceiver(
        verifier=Verifier(secret_keys.public_keys),
        apiv3_key=secret_keys.apiv3_key,
        completer=Completer(ledger),
        count=ledger.count_event,
        forward=_forward_to(settings.callback_forward_url, client) if settings.callback_forward_url else None,
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await redis_client.ping()
        log.info("receiving callbacks on http://%s:%d%s", host, port, CALLBACK_PATH)
        yield
        await client.aclose()
        await redis_client.aclose()

    serve(callback_app(receiver, lifespan), host=host, port=port)


def serve(asgi: Starlette, *, host: str, port: int) -> None:
    """Serve an ASGI application until TERM or INT, and end as a service should: quietly, with exit code 0."""
    server = uvicorn.Server(
        uvicorn.Config(
            asgi,
            host=host,
            port=port,
            loop="uvloop",
            http="httptools",
            ws="none",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # the signature counts, not the address
        )
    )
    with _ends_quietly():
        server.run()


def run_scheduler(settings: Settings) -> None:
    """Recover and query until TERM or INT; every worker can do the same, so this is for fleets that scale to none."""
    stop = threading.Event()

    def end(*_: object) -> None:
        bound_shutdown()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    process = Process.start(settings, Secrets.read(settings), publish_again, takes_hints=False)
    log.info("scheduler: recovering and querying for partner %s", settings.mchid)
    stop.wait()
    process.close()
    celery_app.close()


def _forward_to(url: str, client: httpx.AsyncClient) -> Forward:
    async def forward(headers: Mapping[str, str], body: bytes) -> int:
        kept = {k: v for k, v in headers.items() if k.lower().startswith("wechatpay-") or k.lower() in _FORWARDED}
        try:
            return (await client.post(url, content=body, headers=kept)).status_code
        except httpx.HTTPError as error:
            log.warning("a callback could not be passed on, the platform will repeat it: %s", error)
            return 502

    return forward


@contextmanager
def _ends_quietly() -> Iterator[None]:
    """Take the signal that uvicorn raises again once it has shut down."""

    def ignore(*_: object) -> None:
        return

    before: dict[int, Callable[..., object] | int | None] = {
        number: signal.signal(number, ignore) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
