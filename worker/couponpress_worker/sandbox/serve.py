"""Runs the sandbox as a service in the foreground: keys, socket, one event loop, and shutdown.

`SandboxOptions` holds every setting.
"""

from __future__ import annotations

import datetime as dt
import gc
import logging
import shlex
import socket
import sys
import time
from contextlib import ExitStack
from urllib.parse import urlsplit

import uvicorn

from couponpress.language import gettext, serve_in_english
from couponpress.settings import redis_setting
from couponpress.transport.listening import listen, url_of
from couponpress.transport.signals import ends_by
from couponpress_worker.sandbox import tls
from couponpress_worker.sandbox.app import App
from couponpress_worker.sandbox.courier import Courier
from couponpress_worker.sandbox.credentials import Credentials, write_env
from couponpress_worker.sandbox.options import SandboxOptions
from couponpress_worker.sandbox.platform import Platform
from couponpress_worker.sandbox.protocol import StampingProtocol
from couponpress_worker.sandbox.signatures import Signatures
from couponpress_worker.wechatpay.signing import BRAND_SCHEME, SCHEME

log = logging.getLogger(__name__)

#: The platform closes an idle connection after 8 s.
KEEP_ALIVE_SECONDS = 8
#: How long requests on their way may take after TERM.
SHUTDOWN_SECONDS = 3
#: The event loop accepts one connection per listener and turn. A fleet that opens hundreds at once while the loop is
#: busy would wait seconds for a single one, and its requests with it.
ACCEPTS_AT_ONCE = 64


def run(options: SandboxOptions) -> None:
    """Serve until TERM or INT, then return; to be called in a process's main thread.

    Writes the keys and the file `env` into the directory, and one line to stderr when it is ready.

    Raises:
        ServiceError: the directory cannot be used.
        ListenError: a port is taken.
    """
    credentials = Credentials.prepare(options.directory)
    with ExitStack() as listening:
        listeners = [
            listening.enter_context(listener)
            for port in (options.port, *options.more_ports)
            for listener in listen(options.host, port)
        ]
        base_url = (options.public_url or url_of(listeners[0], "https" if options.tls else "http")).rstrip("/")
        files = None
        if options.tls:
            hosts = tuple(filter(None, (urlsplit(base_url).hostname,)))
            files = tls.prepare(credentials.directory, hosts, dt.datetime.now(dt.UTC))
        environment = credentials.environment(base_url, files.authority if files else None, brand=options.brand)
        environment |= redis_setting()  # so that whoever sources the file meets the fleet of this terminal
        env_file = write_env(credentials.directory, environment)
        scheme = BRAND_SCHEME if options.brand else SCHEME
        signatures = Signatures(credentials.public_key_id, credentials.platform_key, time.time, scheme)
        courier = Courier(signatures)
        platform = Platform(
            credentials,
            options.behaviour,
            courier,
            base_url=base_url,
            brand=options.brand,
            strict=options.strict,
            seed=options.seed,
        )
        app = App(platform, courier, signatures)
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http=StampingProtocol,
            ws="none",
            lifespan="on",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            ssl_certfile=files.certificate if files else None,
            ssl_keyfile=files.key if files else None,
        )
        told = {"url": base_url, "file": shlex.quote(str(env_file))}
        ready = gettext("sandbox: %(url)s is ready; for a client: source %(file)s") % told
        serve_in_english()
        server = _Server(config, app, ready)
        _spare_the_collector()

        def end(*_: object) -> None:
            server.should_exit = True

        with ends_by(end):  # uvicorn raises the signal again once it has stopped
            server.run([*listeners, *(one.dup() for one in listeners for _ in range(ACCEPTS_AT_ONCE - 1))])


class _Server(uvicorn.Server):
    """Says when it is ready, and lets the application end what it keeps waiting before connections are counted."""

    def __init__(self, config: uvicorn.Config, app: App, ready: str) -> None:
        super().__init__(config)
        self._app = app
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        sys.stderr.write(self._ready + "\n")
        sys.stderr.flush()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.stop()
        await super().shutdown(sockets)


def _spare_the_collector() -> None:
    """Keep the cyclic collector away from what lives for ever: a pass over it would hold up arrivals for long."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 1_000_000)
