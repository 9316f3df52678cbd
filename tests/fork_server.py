"""A process that has imported everything, and forks a child for each command that a test starts.

A new interpreter spends half a second to a second and a half of CPU on imports before a command begins; a child that is
forked here spends a few hundredths. What it runs is what `python -m MODULE` would: with the caller's arguments, folder,
environment and standard streams, in a session of its own where asked, and with the exit status that an interpreter
leaves. `tests/processes.py` speaks with it, and says which commands need an interpreter of their own all the same.

Its caller gives it a socket, and one that listens, to which others connect: the lanes of `make test` share a server. A
byte on one of them comes with four descriptors: a connection for this one child, and the child's standard input, output
and error. The child reads on that connection, as one line of JSON, what it is to run. Whoever asked reads on it the
child's process id, the same again from the child once it has its session and priority, and later its wait status:
integers of four bytes. The server ends when its caller's socket is closed; children that run then go on, as any process
does whose parent ends.

A child asks the server in its turn for the services that it starts, and its command line and environment stand in
/proc.
"""

import atexit
import ctypes
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import struct
import sys
import tempfile
import threading
import time
import warnings
from contextlib import suppress
from pathlib import Path

INTEGER = struct.Struct("!i")
#: What Celery and the servers import only when they start.
LATE = (
    "celery.__main__",
    "anyio._backends._asyncio",
    "celery.app.amqp",
    "celery.app.control",
    "celery.app.events",
    "celery.app.log",
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "celery.concurrency.thread",
    "celery.events.state",
    "celery.fixups.django",
    "celery.worker.autoscale",
    "celery.worker.components",
    "celery.worker.consumer",
    "celery.worker.consumer.delayed_delivery",
    "celery.worker.control",
    "celery.worker.strategy",
    "encodings.idna",
    "kombu.transport.redis",
    "openpyxl",
    "redis.asyncio",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
)


def import_all():
    """Import our own modules and with them nearly all that others give; none reads the environment meanwhile."""
    for package in map(importlib.import_module, ("couponpress", "couponpress_worker")):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(".__main__"):
                importlib.import_module(module.name)
    for name in LATE:
        importlib.import_module(name)
    platform_key = importlib.import_module("couponpress_worker.sandbox.platform_key")
    for prime in platform_key.primes_of_keys():  # what a sandbox works out when it starts
        platform_key.roots(prime)


class Server:
    """Forks for every byte on its socket, and tells the caller how each child ended."""

    def __init__(self, control, listener):
        self._control, self._listener = control, listener
        self._asking = [control]
        self._connections = {}
        self._woken, self._wake = socket.socketpair()
        for one in (self._woken, self._wake):
            one.setblocking(False)
        signal.set_wakeup_fd(self._wake.fileno())
        for number in (signal.SIGCHLD, signal.SIGINT):  # Ctrl-C is for the tests
            signal.signal(number, lambda *_: None)

    def serve(self):
        """Return in each child the connection that tells what it is to run; None when the socket is closed."""
        while True:
            ready, _, _ = select.select([*self._asking, self._listener, self._woken], [], [])
            if self._woken in ready:
                self._woken.recv(4096)
                self._tell_ends()
            if self._listener in ready:
                self._asking.append(self._listener.accept()[0])
            for one in set(ready) & set(self._asking):
                asked, descriptors, _, _ = socket.recv_fds(one, 1, 4)
                if asked and (connection := self._fork(*descriptors)) is not None:
                    return connection
                if not asked and one is self._control:
                    return None
                if not asked:
                    self._asking.remove(one)
                    one.close()

    def _fork(self, descriptor, *streams):
        connection = socket.socket(fileno=descriptor)
        if not (pid := os.fork()):
            self._leave()
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
                os.close(stream)
            return connection
        for stream in streams:
            os.close(stream)
        self._connections[pid] = connection
        connection.sendall(INTEGER.pack(pid))
        return None

    def _leave(self):
        """Give up in a child what is the server's."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for one in (*self._asking, self._listener, self._woken, self._wake, *self._connections.values()):
            one.close()

    def _tell_ends(self):
        while self._connections:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            with self._connections.pop(pid) as connection, suppress(ConnectionError):  # nobody may ask any more
                connection.sendall(INTEGER.pack(status))


def open_streams():
    """Open the standard streams as an interpreter does when it starts."""
    buffered = not os.environ.get("PYTHONUNBUFFERED")
    for number, (name, mode) in enumerate((("stdin", "rb"), ("stdout", "wb"), ("stderr", "wb"))):
        earlier = getattr(sys, name)
        raw = io.FileIO(number, mode, closefd=False)
        raw.name = f"<{name}>"
        kind = io.BufferedReader if mode == "rb" else io.BufferedWriter if buffered else lambda unbuffered: unbuffered
        stream = io.TextIOWrapper(
            kind(raw),
            earlier.encoding,
            earlier.errors,
            newline="\n",
            line_buffering=buffered and (name == "stderr" or raw.isatty()),
            write_through=not buffered,
        )
        stream.mode = mode[0]
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def show(command, environment):
    """Write a command line and an environment to where /proc and ps read those of this process."""
    _, _, told = Path("/proc/self/stat").read_text().rpartition(")")
    begin, middle, _, end = map(int, told.split()[45:49])
    for first, last, words in (
        (begin, middle, command),
        (middle, end, [f"{name}={text}" for name, text in environment.items()]),
    ):
        written = b"".join(os.fsencode(word) + b"\0" for word in words)
        assert len(written) <= last - first, f"{len(written)} bytes do not fit into {last - first}"
        ctypes.memset(first, 0, last - first)
        ctypes.memmove(first, written, len(written))


def become(module, arguments, folder, environment, new_session, niceness, ignored, strict):
    """Let this process be what `python -m MODULE ARGUMENTS` is before the module runs."""
    if new_session:
        os.setsid()
    os.setpriority(os.PRIO_PROCESS, 0, niceness)
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    if strict:
        sys.warnoptions.append("error")
        warnings.simplefilter("error")
    os.chdir(folder)
    show([sys.executable, "-m", module, *arguments], environment)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    tempfile.tempdir = None  # it may have been asked for during an import, in another environment
    sys.path[0] = os.getcwd()  # noqa: PTH109 - as text
    sys.argv = ["-m", *arguments]
    sys.orig_argv = [sys.executable, "-m", module, *arguments]
    open_streams()


def main():
    """Serve; in a child, run what was asked for, to the end of the interpreter."""
    control, listener = (socket.socket(fileno=int(number)) for number in sys.argv[1:3])
    import_all()
    services, processes = map(importlib.import_module, ("couponpress_worker.runtime.subprocesses", "tests.processes"))
    services.Services.launch = staticmethod(processes.start)
    processes.ADDRESS = listener.getsockname()
    threads = len(list(Path("/proc/self/task").iterdir()))
    assert threads == 1, f"an import started {threads - 1} threads: they would be missing in each child"
    gc.collect()
    gc.freeze()  # a child looks through none of this for garbage, and so copies none of it
    if (connection := Server(control, listener).serve()) is not None:
        with connection, connection.makefile("rb") as told:
            asked = json.loads(told.readline())
            become(**asked)
            connection.sendall(INTEGER.pack(os.getpid()))
        run(asked["module"])


def run(module):
    """Run a module and end the process, with the exit status that an interpreter gives it.

    After an ordinary end nothing is torn down: that would write to every page of what was imported, and so copy it.
    """
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as ended:
        if not isinstance(ended.code, int | None):
            raise
        code = ended.code or 0
    threading._shutdown()
    atexit._run_exitfuncs()
    try:
        for one in (sys.stdout, sys.stderr):
            one.flush()
    except (OSError, ValueError):  # the interpreter says what it makes of it
        sys.exit(code)
    os._exit(code & 0xFF)


if __name__ == "__main__":
    main()
