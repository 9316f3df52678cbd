"""The services that `couponpress up` runs: their ports, and their output in one place, line by line."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from couponpress_worker.runtime.redis_server import free_port
from couponpress_worker.runtime.subprocesses import Services

LOG_FILE = "up.log"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the services listen."""

    redis: int
    sandbox: int
    callback: int
    gateway: int

    @classmethod
    def free(cls, callback: int | None = None) -> Ports:
        """Return the usual ports where they are free, and other free ones where they are not.

        A `callback` port that is given is kept: the platform, or a proxy before it, may call back there.
        """
        return cls(_usual(6379), _usual(8900), callback or _usual(8800), _usual(8700))


class LabelledServices(Services):
    """Services whose output goes line by line to one place, each line with the service's name in front."""

    def __init__(self, directory: Path, show: Callable[[str], None]) -> None:
        super().__init__(directory)
        self._show = show
        self._lock = threading.Lock()
        self._log = (directory / LOG_FILE).open("a", encoding="utf-8")
        self._pumps: list[threading.Thread] = []

    def start(self, *words: str, env: dict[str, str]) -> subprocess.Popen[bytes]:
        """Start `couponpress WORDS`; its output is shown and kept."""
        process = self._started_with(words, env, subprocess.PIPE)
        output = cast(IO[bytes], process.stdout)
        pump = threading.Thread(target=self._pump, args=[words[0], output], daemon=True)
        pump.start()
        self._pumps.append(pump)
        return process

    def _log_of(self, name: str) -> Path:  # noqa: ARG002 - one file for all
        return self._directory / LOG_FILE

    def ended(self) -> list[tuple[str, int]]:
        """Remove the services that ended by themselves. Returns their names and exit codes."""
        gone = [(name, process) for name, process in self._started if process.poll() is not None]
        for _, process in gone:
            self.let_go(process)
        return [(name, process.returncode) for name, process in gone]

    def say(self, name: str, line: str) -> None:
        """Show and keep one line."""
        with self._lock:
            self._show(f"{name:<9} | {line}")
            self._log.write(f"{name:<9} | {line}\n")
            self._log.flush()

    def stop(self) -> None:
        """Stop everything, the newest first, and show the last lines of each."""
        super().stop()
        for pump in self._pumps:
            pump.join()
        self._log.close()

    def _pump(self, name: str, output: IO[bytes]) -> None:
        with output:
            for line in output:  # read on whatever happens: a service that nobody reads from would stand still
                with suppress(OSError):  # the terminal or the disk takes no more: the next words of `up` say so
                    self.say(name, line.decode("utf-8", errors="replace").rstrip())


def _usual(port: int) -> int:
    """Return the port if nothing listens on it, otherwise a free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return free_port()
    return port
