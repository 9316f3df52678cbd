"""`couponpress up`: every service of couponpress on this machine, in one terminal, until Ctrl-C.

It starts what the settings do not name: a Redis without COUPONPRESS_REDIS_URL, a sandbox in place of the platform
without COUPONPRESS_MCH_PRIVATE_KEY_FILE. Callback receiver, worker, scheduler and gateway are always started. Each line
of their output is shown with the service's name in front and kept in `DIR/up.log`. A service that ends by itself is
started again. If it keeps ending, everything is stopped.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

import httpx
import redis

from couponpress.errors import system_error
from couponpress.gateway.tokens import add_token
from couponpress.keys import Keys
from couponpress.language import gettext
from couponpress.ledger.presence import read_present
from couponpress.setting_names import ENV_PREFIX
from couponpress.transport.redis_address import RedisAddress
from couponpress.transport.signals import ends_by
from couponpress_worker.completion.callback import CALLBACK_PATH
from couponpress_worker.errors import ServiceError
from couponpress_worker.runtime.subprocesses import NotReadyError
from couponpress_worker.sandbox.credentials import ENV_FILE, read_env, write_env
from couponpress_worker.up.services import LabelledServices, Ports

#: A service that ended by itself is started again after this time.
AGAIN_SECONDS = 1.0
#: A service that ends by itself more often than this within a minute stops everything.
ENDS_PER_MINUTE = 5
TOKENS_FILE = "tokens.toml"
#: Holds the token that is made here. Only its owner may read it.
GATEWAY_ACCESS_FILE: Final = "gateway-token"


def run_up(
    directory: Path,
    show: Callable[[str], None],
    *,
    configured: Mapping[str, str],
    callback_port: int | None = None,
    sandbox_options: tuple[str, ...] = (),
) -> None:
    """Run everything until TERM or INT.

    Args:
        directory: where logs, the Redis's data, the sandbox's keys and the file `env` go.
        show: takes each line for the terminal.
        configured: the settings of the environment, by their names there.
        callback_port: where callbacks are received; without it 8800, or a free port when that is taken.
        sandbox_options: further options of the sandbox.

    Raises:
        ServiceError: the directory cannot be made, or a service did not start or kept ending; everything was stopped.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ServiceError(
            gettext("%(directory)s cannot be used (%(reason)s); choose another folder (--dir).")
            % {"directory": directory, "reason": system_error(error)}
        ) from None
    ports = Ports.free(callback_port)
    services = LabelledServices(directory, show)
    with _stopping() as stopped:
        try:
            commands, env = _start(services, directory, ports, configured, sandbox_options, stopped)
            if not stopped.is_set():
                _tell(services, directory, ports, env, configured)
            _keep_up(services, commands, env, stopped)
        finally:
            services.say("up", gettext("stopping"))
            services.stop()


def is_configured(configured: Mapping[str, str], name: str) -> bool:
    """Whether the environment has a setting, by its name without the prefix."""
    return bool(configured.get(ENV_PREFIX + name))


Commands = dict[str, tuple[str, ...]]


def _start(
    services: LabelledServices,
    directory: Path,
    ports: Ports,
    configured: Mapping[str, str],
    sandbox_options: tuple[str, ...],
    stopped: threading.Event,
) -> tuple[Commands, dict[str, str]]:
    """Start every service; returns the command of each, and the settings that they and others need."""
    commands: Commands = {}
    env: dict[str, str] = {}

    def start(*words: str) -> None:
        commands[words[0]] = words
        services.start(*words, env=env)

    if not is_configured(configured, "REDIS_URL"):
        env[f"{ENV_PREFIX}REDIS_URL"] = f"redis://127.0.0.1:{ports.redis}/0"
        start("redis", "--port", str(ports.redis), "--dir", str(directory / "redis"))
    if not is_configured(configured, "MCH_PRIVATE_KEY_FILE"):
        notify_url = f"http://127.0.0.1:{ports.callback}{CALLBACK_PATH}"
        home = directory / "sandbox"
        (home / ENV_FILE).unlink(missing_ok=True)
        start("sandbox", "--port", str(ports.sandbox), "--dir", str(home), "--notify-url", notify_url, *sandbox_options)
        _wait_for(services, (home / ENV_FILE).read_text, "sandbox", stopped)
        env |= read_env(home / ENV_FILE)
    if not is_configured(configured, "GATEWAY_TOKENS_FILE"):
        env[f"{ENV_PREFIX}GATEWAY_TOKENS_FILE"] = str(_tokens(directory))
    start("callback", "--port", str(ports.callback))
    start("worker")
    start("scheduler")
    start("gateway", "--port", str(ports.gateway))
    for name, port in (("callback", ports.callback), ("gateway", ports.gateway)):
        _wait_for(services, partial(httpx.get, f"http://127.0.0.1:{port}/", trust_env=False), name, stopped)
    address = RedisAddress.parse(env.get(f"{ENV_PREFIX}REDIS_URL") or configured[f"{ENV_PREFIX}REDIS_URL"])
    keys = Keys(env.get(f"{ENV_PREFIX}MCHID") or configured[f"{ENV_PREFIX}MCHID"])
    with address.client(socket_timeout=2) as client:
        _wait_for(services, partial(_heard, client, keys), "worker", stopped)
    return commands, env


def _heard(client: redis.Redis, keys: Keys) -> None:
    """Wait until a worker has reported that it runs.

    Raises:
        NotReadyError: none has.
    """
    with suppress(redis.RedisError):
        if any(one.role == "worker" for one in read_present(client, keys)):
            return
    raise NotReadyError


def _wait_for(services: LabelledServices, ready: Callable[[], object], what: str, stopped: threading.Event) -> None:
    with suppress(_Stopped):
        services.wait_for(lambda: _unless(stopped, ready), what)


class _Stopped(Exception):  # noqa: N818 - no error: the person pressed Ctrl-C while services started
    """The services are being stopped while one of them was awaited."""


def _unless(stopped: threading.Event, ready: Callable[[], object]) -> object:
    if stopped.is_set():
        raise _Stopped
    return ready()


def _tell(
    services: LabelledServices, directory: Path, ports: Ports, env: Mapping[str, str], configured: Mapping[str, str]
) -> None:
    """Print where each service runs, and the commands for another terminal."""
    real = is_configured(configured, "MCH_PRIVATE_KEY_FILE")
    platform = gettext("as the settings say") if real else gettext("a sandbox; nothing real is called")
    services.say("up", gettext("platform: %(platform)s") % {"platform": platform})
    services.say(
        "up",
        gettext("callbacks: http://127.0.0.1:%(callback)s%(callback_path)s")
        % {"callback": ports.callback, "callback_path": CALLBACK_PATH},
    )
    services.say("up", gettext("gateway: http://127.0.0.1:%(gateway)s/docs") % {"gateway": ports.gateway})
    if (token := directory / GATEWAY_ACCESS_FILE).exists():
        services.say("up", gettext("gateway token: in %(token)s") % {"token": token})
    path = write_env(directory, env)
    services.say("up", gettext("in another terminal, first: . %(path)s") % {"path": path})
    for name, value in env.items():
        services.say("up", f"  export {name}={value}")
    services.say("up", gettext("everything is up; Ctrl-C stops it all"))


def _keep_up(services: LabelledServices, commands: Commands, env: dict[str, str], stopped: threading.Event) -> None:
    """Restart services that end by themselves, until everything is stopped.

    Raises:
        ServiceError: a service keeps ending.
    """
    ends: dict[str, deque[float]] = {name: deque(maxlen=ENDS_PER_MINUTE) for name in commands}
    while not stopped.wait(AGAIN_SECONDS):
        for name, code in services.ended():
            now, before = time.monotonic(), ends[name]
            if len(before) == ENDS_PER_MINUTE and now - before[0] < 60:
                raise ServiceError(
                    gettext("the %(name)s keeps ending, last with exit code %(code)s; its lines above say why.")
                    % {"name": name, "code": code}
                )
            before.append(now)
            services.say(
                "up",
                gettext("the %(name)s ended with exit code %(code)s and is started again")
                % {"name": name, "code": code},
            )
            services.start(*commands[name], env=env)


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """Yield an event that TERM and INT set; a second INT is Ctrl-C as usual."""
    stopped = threading.Event()

    def stop(number: int, _: object) -> None:
        if stopped.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stopped.set()

    with ends_by(stop):
        yield stopped


def _tokens(directory: Path) -> Path:
    """Return the tokens file of the gateway. If there is none, make one with a token for all brands."""
    path = (directory / TOKENS_FILE).absolute()
    if not path.exists():
        token = add_token(path, "up", brands=None, quota=None, namespace=None)
        secret = directory / GATEWAY_ACCESS_FILE
        secret.touch(mode=0o600)
        secret.write_text(token + os.linesep, encoding="ascii")
    return path
