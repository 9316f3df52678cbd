"""Runs a sandbox in a process of its own for the length of a `with` block, for tests of this project and of its users.

>>> with running(directory, limit=10, faults={"errors": 5}) as sandbox:  # doctest: +SKIP
...     client_settings = sandbox.environment
...     assert sandbox.statistics()["most_in_any_second"] <= 10
"""

from __future__ import annotations

import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from pydantic import TypeAdapter

from couponpress.language import gettext
from couponpress_worker.errors import ServiceError
from couponpress_worker.runtime.redis_server import free_port
from couponpress_worker.sandbox import tls as tls_files
from couponpress_worker.sandbox.control import (
    ARRIVALS_PATH,
    CALLS_PATH,
    CONTROL_PATH,
    RESET_PATH,
    STATISTICS_PATH,
    TASKS_PATH,
)
from couponpress_worker.sandbox.credentials import ENV_FILE, read_env
from couponpress_worker.sandbox.options import Behaviour, SandboxOptions
from couponpress_worker.sandbox.routes import Kind

START_SECONDS = 60.0
STOP_SECONDS = 10.0
LOG_FILE = "sandbox.log"


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    """A sandbox that answers.

    Attributes:
        base_url: where it is.
        directory: its keys, its `env` and its log.
        environment: the settings that a client needs, by their names in the environment.
        process: the process, for tests that stop or kill it.
    """

    base_url: str
    directory: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes] = field(repr=False)
    _http: httpx.Client = field(repr=False)

    def statistics(self) -> dict[str, Any]:
        """Return what was counted since the start or the last reset."""
        return self._told(self._http.get(STATISTICS_PATH))

    def arrivals(self, kind: Kind = "submit", *, tasks: bool = False) -> dict[str, Any]:
        """Return the moment of every request of a kind, seconds after the first; with `tasks` ids and statuses too."""
        params = {"kind": kind} | ({"tasks": "1"} if tasks else {})
        return self._told(self._http.get(ARRIVALS_PATH, params=params))

    def calls(self) -> dict[str, Any]:
        """Return what is known of every submit, in columns, and when the loop was late; see `Control.calls`."""
        return self._told(self._http.get(CALLS_PATH))

    def tasks(self) -> dict[str, Any]:
        """Return the `states` of all tasks and the `image_urls` of those that succeeded, by task_id."""
        return self._told(self._http.get(TASKS_PATH))

    def control(self, **changes: object) -> dict[str, Any]:
        """Change how it behaves, by the names of `Behaviour`, and return the whole of it.

        Raises:
            ValueError: an unknown name or a value out of range.
        """
        answer = self._http.post(CONTROL_PATH, json=changes)
        if answer.status_code == httpx.codes.BAD_REQUEST:
            raise ValueError(answer.json()["error"])
        return self._told(answer)

    def reset(self) -> None:
        """Forget every task, arrival and count; what `control` set stays."""
        self._told(self._http.post(RESET_PATH))

    @staticmethod
    def _told(answer: httpx.Response) -> dict[str, Any]:
        content: dict[str, Any] = answer.raise_for_status().json()
        return content


@contextmanager
def running(
    directory: Path,
    *,
    more_ports: Sequence[int] = (),
    tls: bool = False,
    strict: bool = False,
    seed: int = 0,
    launch: Callable[..., subprocess.Popen[bytes]] = subprocess.Popen,
    **behaviour: object,
) -> Iterator[RunningSandbox]:
    """Run a sandbox on a free port; its log goes to `sandbox.log` in the directory.

    Args:
        directory: for its keys; used again when they are there, which saves half a second.
        more_ports: as `SandboxOptions` has them.
        tls: speak TLS.
        strict: refuse objects that a request's type does not use.
        seed: of its faults.
        launch: starts a process, as `subprocess.Popen` does.
        behaviour: the names and values of `Behaviour`.

    Raises:
        InputError: an unknown name or a value out of range.
        ServiceError: it did not answer within 20 s.
    """
    options = SandboxOptions(
        directory=directory.absolute(),
        port=free_port(),
        more_ports=tuple(more_ports),
        tls=tls,
        strict=strict,
        seed=seed,
        behaviour=Behaviour().changed(behaviour),
    )
    directory.mkdir(parents=True, exist_ok=True)
    words = TypeAdapter(SandboxOptions).dump_json(options).decode()
    command = [sys.executable, "-m", "couponpress_worker.sandbox", words]
    with (directory / LOG_FILE).open("ab") as output:
        process = launch(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        with closing(_client(options, process)) as http:
            environment = read_env(options.directory / ENV_FILE)
            yield RunningSandbox(str(http.base_url), options.directory, environment, process, http)
    finally:
        _stop(process)


def _client(options: SandboxOptions, process: subprocess.Popen[bytes]) -> httpx.Client:
    """Return a client of a sandbox that answers."""
    url = f"{'https' if options.tls else 'http'}://127.0.0.1:{options.port}"
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        with suppress(FileNotFoundError):
            context.load_verify_locations(options.directory / tls_files.AUTHORITY_FILE)
        http = httpx.Client(base_url=url, verify=context, trust_env=False, timeout=30)
        try:
            http.get(STATISTICS_PATH).raise_for_status()
        except httpx.TransportError:
            http.close()
            time.sleep(0.02)
        else:
            return http
    raise ServiceError(
        gettext("the sandbox did not start; its log %(value)s says why.") % {"value": options.directory / LOG_FILE}
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
