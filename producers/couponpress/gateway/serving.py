"""Runs the gateway as a process: connections, threads and signals.

When it stops, requests that are being handled are answered and batched specs are stored.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from secrets import token_bytes
from tempfile import mkdtemp

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from couponpress.client import Client
from couponpress.errors import SettingsError, system_error
from couponpress.gateway.admission import Admission
from couponpress.gateway.app import Gateway
from couponpress.gateway.console.app import application
from couponpress.gateway.console.context import Console
from couponpress.gateway.console.session import Sessions
from couponpress.gateway.console.uploads import Uploads
from couponpress.gateway.control import Control
from couponpress.gateway.denials import Denials
from couponpress.gateway.ingest import Ingest
from couponpress.gateway.queries import Queries
from couponpress.gateway.quotas import AdmittingLedger
from couponpress.gateway.request_ids import RequestIds
from couponpress.gateway.selection_store import SelectionStore
from couponpress.gateway.selections import Selections
from couponpress.gateway.settings import GatewaySettings
from couponpress.gateway.single import SingleSpecs
from couponpress.gateway.stream import Streams
from couponpress.gateway.tokens import TokensFile
from couponpress.gateway.visibility import Visibility
from couponpress.keys import Keys
from couponpress.language import gettext, serve_in_english
from couponpress.ledger.audit import AuditLog
from couponpress.transport.announcer import Announcer
from couponpress.transport.listening import listen, url_of
from couponpress.transport.log_lines import log_to_stderr
from couponpress.transport.serve import serve as serve_app
from couponpress.transport.server_check import check_server

log = logging.getLogger(__name__)

#: How often Python's threads take turns. The thread that stores batches waits for Redis a few times for each batch,
#: and then for its turn beside the busy event loop; with Python's default of 5 ms that adds up to tens of milliseconds.
SWITCH_SECONDS = 0.0005
#: Long enough that an app which calls a few times a minute keeps its connection.
KEEP_ALIVE_SECONDS = 60
#: How long requests may take to end after TERM. `deploy/compose.yaml` kills after 30 s.
STOP_SECONDS = 20
#: What signs logins has so many bytes at least.
_KEY_BYTES = 32


def serve(settings: GatewaySettings, *, host: str, port: int) -> None:
    """Serve until TERM or INT.

    Raises:
        SettingsError: there is no tokens file, or it cannot be used.
        RedisUnavailableError: Redis does not answer.
        ListenError: the port is taken.
    """
    log_to_stderr(settings.log)
    if settings.gateway_tokens_file is None:
        raise SettingsError(
            gettext(
                "missing settings: COUPONPRESS_GATEWAY_TOKENS_FILE. Name the file; `couponpress gateway token NAME` "
                "fills it."
            )
        )
    tokens, keys = TokensFile(settings.gateway_tokens_file), Keys(settings.mchid)
    retry = Retry(ExponentialBackoff(cap=0.5, base=0.05), 3, supported_errors=(redis.ConnectionError,))
    redis_client = settings.redis_address.client(socket_timeout=5, socket_connect_timeout=2, retry=retry)
    announcer = Announcer(settings.redis_address, keys, "gateway")
    check_server(settings.redis_address, settings.redis_url_shown, keys, "gateway")
    with Client(settings) as client, redis_client:
        sockets = listen(host, port)
        serve_in_english()
        admission = Admission(AdmittingLedger(redis_client, keys), settings.gateway_backlog)
        singles, streams = SingleSpecs(client, admission), Streams(client, admission)
        visibility = Visibility(redis_client, keys)
        queries, control = Queries(client, redis_client, keys, visibility), Control(client, visibility)
        selections = Selections(client, visibility, SelectionStore(redis_client, keys))
        denials = Denials(AuditLog(redis_client, keys, settings.audit_ttl))
        ingest = Ingest(tokens, singles, streams, stream_limit=settings.gateway_stream_limit)

        @asynccontextmanager
        async def lifetime() -> AsyncIterator[None]:
            sys.setswitchinterval(SWITCH_SECONDS)
            gc.collect()
            gc.freeze()  # a full collection over all imported modules would delay requests
            log.info("taking requests on %s for %d tokens", url_of(sockets[0]), len(tokens.tokens()))
            yield
            await ingest.close()
            await asyncio.to_thread(selections.close)

        with (
            announcer,
            console_of(
                settings, tokens, client, redis_client, keys, visibility, control, selections, denials
            ) as console,
        ):
            gateway = Gateway(ingest, queries, control, denials, selections, lifetime, application(console))
            end_traces = _begin_traces(gateway) if settings.traced else None
            serve_app(
                RequestIds(gateway),
                sockets,
                on_stop=console.live.stop,
                keep_alive_seconds=KEEP_ALIVE_SECONDS,
                in_hand_seconds=STOP_SECONDS,
            )
            if end_traces is not None:
                end_traces()


def _begin_traces(gateway: Gateway) -> Callable[[], None]:
    try:
        from couponpress.gateway.traces import begin_traces  # noqa: PLC0415 - its packages are of an extra
    except ModuleNotFoundError as error:
        raise SettingsError(
            gettext("traces need the package %(name)s; install it with: pip install 'couponpress[otel]'")
            % {"name": error.name}
        ) from None
    return gateway.trace(begin_traces)


@contextmanager
def console_of(
    settings: GatewaySettings,
    tokens: TokensFile,
    client: Client,
    redis_client: redis.Redis,
    keys: Keys,
    visibility: Visibility,
    control: Control,
    selections: Selections,
    denials: Denials,
) -> Iterator[Console]:
    """Return the console of a gateway; its uploads are removed at the end.

    Raises:
        SettingsError: the file that signs logins cannot be used.
    """
    uploads = Uploads(Path(mkdtemp(prefix="couponpress-console-")), client)
    try:
        yield Console(
            settings=settings,
            tokens=tokens,
            client=client,
            redis=redis_client,
            keys=keys,
            sessions=Sessions(_signing_key(settings.console_secret_file)),
            visibility=visibility,
            control=control,
            selections=selections,
            denials=denials,
            uploads=uploads,
            overview=client.shared_overview,
        )
    finally:
        uploads.close()


def _signing_key(path: Path | None) -> bytes:
    if path is None:
        return token_bytes(_KEY_BYTES)
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise SettingsError(
            gettext("COUPONPRESS_CONSOLE_SECRET_FILE %(path)s cannot be read (%(reason)s).")
            % {"path": path, "reason": system_error(error)}
        ) from None
    if len(key) < _KEY_BYTES:
        raise SettingsError(
            gettext(
                "COUPONPRESS_CONSOLE_SECRET_FILE %(path)s has %(key)s bytes and needs %(key_bytes)s: `openssl rand "
                "-hex 32` makes such a secret."
            )
            % {"path": path, "key": len(key), "key_bytes": _KEY_BYTES}
        )
    return key
