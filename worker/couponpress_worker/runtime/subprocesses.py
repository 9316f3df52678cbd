"""Runs `couponpress` commands as processes of this one: starts them, watches that they run, stops them.

Each process has a session of its own, so Ctrl-C reaches only the parent, which then stops the others in order. Each
writes to a log file named after its command.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, ClassVar

import httpx

from couponpress.language import gettext
from couponpress_worker.errors import ServiceError

#: How much lower the priority of the fleet's processes is, as nice(1) counts.
NICENESS = 5
#: How long a service may take until it listens.
START_SECONDS = 30.0
#: How long a service may take until it has stopped.
STOP_SECONDS = 20.0


def stand_back(pid: int) -> None:
    """Let a process leave the cores to the platform and Redis, which are elsewhere in real life, when these want one.

    A platform that waits for a core stamps late, and sees bunches that nobody sent. Linux may share cores among
    sessions before it looks at processes (sched(7), autogroup), so both are told.
    """
    os.setpriority(os.PRIO_PROCESS, pid, NICENESS)
    with suppress(OSError):  # not everywhere, and not under every policy
        Path(f"/proc/{pid}/autogroup").write_text(str(NICENESS), encoding="ascii")


class NotReadyError(Exception):
    """A service is not ready yet; it is asked again."""


class Services:
    """Processes of the `couponpress` command, each in a session of its own, with a log file each.

    Attributes:
        launch: starts a process, as `subprocess.Popen` does.
    """

    launch: ClassVar[Callable[..., subprocess.Popen[bytes]]] = subprocess.Popen

    def __init__(self, directory: Path, *, stop_seconds: float = STOP_SECONDS) -> None:
        self._directory = directory
        self._stop_seconds = stop_seconds
        self._started: list[tuple[str, subprocess.Popen[bytes]]] = []

    def start(self, *words: str, env: dict[str, str]) -> subprocess.Popen[bytes]:
        """Start `couponpress WORDS`; its output goes to `NAME.log`. The fleet's own processes get a lower priority."""
        with self._log_of(words[0]).open("ab") as log:
            return self._started_with(words, env, log)

    def _started_with(
        self, words: tuple[str, ...], env: dict[str, str], output: IO[bytes] | int
    ) -> subprocess.Popen[bytes]:
        process = self.launch(
            [sys.executable, "-m", "couponpress", *words],
            env=os.environ | env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the parent, which then stops them in order
        )
        if words[0] not in {"sandbox", "redis"}:
            stand_back(process.pid)
        self._started.append((words[0], process))
        return process

    def _log_of(self, name: str) -> Path:
        return self._directory / f"{name}.log"

    def let_go(self, process: subprocess.Popen[bytes]) -> None:
        """Leave a process to the caller: it may end, and is not stopped with the others."""
        self._started = [(name, one) for name, one in self._started if one is not process]

    def check(self) -> None:
        """Make sure that all still run.

        Raises:
            ServiceError: one ended; the message holds the end of its log.
        """
        for name, process in self._started:
            if process.poll() is not None:
                log = self._log_of(name)
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
                raise ServiceError(
                    gettext("the %(name)s ended with exit code %(returncode)s; the end of %(log)s:\n%(tail)s")
                    % {"name": name, "returncode": process.returncode, "log": log, "tail": tail}
                )

    def wait_for(self, ready: Callable[[], object], what: str) -> None:
        """Wait until `ready` no longer fails to connect, and raises no NotReadyError.

        Raises:
            ServiceError: a service ended, or START_SECONDS passed.
        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            self.check()
            with suppress(httpx.TransportError, FileNotFoundError, NotReadyError):
                ready()
                return
            time.sleep(0.05)
        raise ServiceError(
            gettext("the %(what)s was not ready within %(start_seconds)s s; its log is in %(directory)s.")
            % {"what": what, "start_seconds": f"{START_SECONDS:g}", "directory": self._directory}
        )

    def stop(self) -> None:
        """Stop everything, the youngest first; a second Ctrl-C meanwhile kills what is left."""
        try:
            for name, process in reversed(self._started):
                self._end(name, process)
        finally:
            for _, process in self._started:
                if process.poll() is None:
                    process.kill()

    def _end(self, name: str, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(self._stop_seconds)
        except subprocess.TimeoutExpired:
            told = gettext("the %(name)s did not stop within %(seconds)s s and is killed")
            sys.stderr.write(told % {"name": name, "seconds": f"{self._stop_seconds:g}"} + "\n")
            process.kill()
            process.wait()
