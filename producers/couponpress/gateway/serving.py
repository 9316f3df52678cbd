"""Runs the gateway as a process: connections, threads and signals.

When it stops, requests that are being handled are answered and batched specs are stored.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from pathlib import Path
from secrets import token_bytes
from tempfile import mkdtemp

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from couponpress.client import Client
from couponpress.errors import CouponpressError, SettingsError, system_error
from couponpress.gateway.admission import Admission
from couponpress.gateway.app import Gateway
from couponpress.gateway.console.app import application
from couponpress.gateway.console.session import Session, Sessions
from couponpress.gateway.console.uploads import Uploads
from couponpress.gateway.console.wiring import Console
from couponpress.gateway.control import Control
from couponpress.gateway.denials import Denials
from couponpress.gateway.ingest import Ingest
from couponpress.gateway.partners import PartnerGateway, PartnerGateways, prefix_of
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
from couponpress.partners_watch import PartnersWatch
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


def serve(
    partners: Sequence[GatewaySettings],
    *,
    host: str,
    port: int,
    watch: PartnersWatch[GatewaySettings] | None = None,
) -> None:
    """Serve until TERM or INT: one partner, or those of a file, each below a prefix of its own.

    Of several partners none stops another: neither by its tokens file nor by its Redis.

    Args:
        partners: their settings.
        host: where to listen.
        port: where to listen.
        watch: of the file of partners, which begins and ends partners; None for a gateway of one partner alone.

    Raises:
        SettingsError: there is no tokens file, or that of a partner that is alone cannot be used.
        RedisUnavailableError: the Redis of a partner that is alone does not answer.
        ListenError: the port is taken.
    """
    alone = watch is None
    log_to_stderr(partners[0].log)
    sessions = Sessions(_signing_key(partners[0].console_secret_file))
    served: dict[str, PartnerGateway] = {}

    def known_to(session: Session) -> dict[str, str]:
        return {mchid: one.console.home for mchid, one in served.items() if one.console.knows(session)}

    def opened(settings: GatewaySettings) -> PartnerGateway:
        _check(settings, alone=alone)
        return gateway_of(settings, sessions, known_to, lifetime, alone=alone)

    @asynccontextmanager
    async def lifetime() -> AsyncIterator[None]:
        sys.setswitchinterval(SWITCH_SECONDS)
        gc.collect()
        gc.freeze()  # a full collection over all imported modules would delay requests
        stopped, now = asyncio.Event(), {mchid: one.settings for mchid, one in served.items()}
        watching = [watch.run(stopped, now, gateways.begin, gateways.end)] if watch is not None else []
        watched = asyncio.gather(*watching)
        count = sum(len(one.console.tokens.tokens()) for one in served.values())
        log.info("taking requests on %s for %d tokens", url_of(sockets[0]), count)
        yield
        stopped.set()
        await watched
        await gateways.stop()

    def stop_streams() -> None:
        for one in served.values():
            one.console.live.stop()

    gateways = PartnerGateways(served, opened, lifetime, linger_seconds=STOP_SECONDS)
    with ExitStack() as last:
        last.callback(gateways.close)
        for settings in partners:
            served[settings.mchid] = opened(settings)
        sockets = listen(host, port)
        serve_in_english()
        serve_app(
            RequestIds(served[partners[0].mchid].asgi if alone else gateways),
            sockets,
            on_stop=stop_streams,
            keep_alive_seconds=KEEP_ALIVE_SECONDS,
            in_hand_seconds=STOP_SECONDS,
        )


def _check(settings: GatewaySettings, *, alone: bool) -> None:
    """Make sure that the partner has a tokens file, and that its Redis can be used; what is of one stops one alone."""
    if settings.gateway_tokens_file is None:
        missing = gettext(
            "missing settings: COUPONPRESS_GATEWAY_TOKENS_FILE. Name the file; `couponpress gateway token NAME` "
            "fills it."
        )
        raise SettingsError(missing if alone else f"{settings.mchid}: {missing}")
    try:
        check_server(settings.redis_address, settings.redis_url_shown, Keys(settings.mchid), "gateway")
    except CouponpressError as error:
        if alone:
            raise
        log.error("partner %s is served when its Redis can be used: %s", settings.mchid, error)  # noqa: TRY400 - a sentence


def gateway_of(
    settings: GatewaySettings,
    sessions: Sessions,
    known_to: Callable[[Session], Mapping[str, str]],
    lifetime: Callable[[], AbstractAsyncContextManager[None]],
    *,
    alone: bool,
) -> PartnerGateway:
    """Open what the gateway of one partner needs; to be closed by the caller.

    Args:
        settings: the partner's.
        sessions: the logins, which all partners of a gateway share; each of them has tokens of its own.
        known_to: says to which partners' consoles a login leads.
        lifetime: of the process.
        alone: whether the process serves this partner only.

    Raises:
        SettingsError: the tokens file cannot be used, and the partner is alone.
    """
    assert settings.gateway_tokens_file is not None  # noqa: S101 - checked before
    prefix = "" if alone else prefix_of(settings.mchid)
    tokens, keys = TokensFile(settings.gateway_tokens_file, patient=not alone), Keys(settings.mchid)
    retry = Retry(ExponentialBackoff(cap=0.5, base=0.05), 3, supported_errors=(redis.ConnectionError,))
    redis_client = settings.redis_address.client(socket_timeout=5, socket_connect_timeout=2, retry=retry)
    with ExitStack() as stack:
        client = stack.enter_context(Client(settings))
        stack.enter_context(redis_client)
        stack.enter_context(Announcer(settings.redis_address, keys, "gateway"))
        admission = Admission(AdmittingLedger(redis_client, keys), settings.gateway_backlog)
        singles, streams = SingleSpecs(client, admission), Streams(client, admission)
        visibility = Visibility(redis_client, keys)
        queries, control = Queries(client, redis_client, keys, visibility), Control(client, visibility)
        selections = Selections(client, visibility, SelectionStore(redis_client, keys))
        denials = Denials(AuditLog(redis_client, keys, settings.audit_ttl))
        ingest = Ingest(tokens, singles, streams, stream_limit=settings.gateway_stream_limit)

        async def end() -> None:
            await ingest.close()
            await asyncio.to_thread(selections.close)

        uploads = Uploads(Path(mkdtemp(prefix="couponpress-console-")), client)
        stack.callback(uploads.close)
        console = Console(
            settings=settings,
            tokens=tokens,
            client=client,
            redis=redis_client,
            keys=keys,
            sessions=sessions,
            visibility=visibility,
            control=control,
            selections=selections,
            denials=denials,
            uploads=uploads,
            overview=client.shared_overview,
            prefix=prefix,
            others=known_to,
        )
        gateway = Gateway(ingest, queries, control, denials, selections, lifetime, application(console), prefix)
        if settings.traced:
            stack.callback(_begin_traces(gateway))
        return PartnerGateway(settings, gateway, console, end, stack.pop_all().close)


def _begin_traces(gateway: Gateway) -> Callable[[], None]:
    try:
        from couponpress.gateway.traces import begin_traces  # noqa: PLC0415 - its packages are of an extra
    except ModuleNotFoundError as error:
        raise SettingsError(
            gettext("traces need the package %(name)s; install it with: pip install 'couponpress[otel]'")
            % {"name": error.name}
        ) from None
    return gateway.trace(begin_traces)


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
