"""Starts the commands of couponpress as real processes, without the imports of a new interpreter where it can.

`start` and `run` take what `subprocess.Popen` and `subprocess.run` take. A `python -m couponpress …` or `python -m
celery …` is forked from a server that has imported everything (`tests/fork_server.py`): a process of its own, with its
own exit code, signals, pipes, folder and environment. Anything else, and what only a new interpreter can honour (PYTHON
variables, another encoding, an option that changes the process before it begins), is started as ever.

A test that proves that a command works as installed, or what it imports, uses `subprocess`.
"""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path

from tests.fork_server import INTEGER

ROOT = Path(__file__).parents[1]
MODULES = {"couponpress", "couponpress_worker.sandbox", "celery"}
#: What of the options a forked child honours; they are Popen's.
OPTIONS = {
    "stdin", "stdout", "stderr", "env", "cwd", "start_new_session", "text", "encoding", "errors", "bufsize"
}  # fmt: skip
#: Variables of an interpreter that a forked child honours, or finds so in any case.
HONOURED = {("PYTHONUTF8", "1"), ("PYTHONUNBUFFERED", "1")}
#: An interpreter takes its encoding from the first of these that is set.
LOCALE = ("LC_ALL", "LC_CTYPE", "LANG")
#: Every warning is an error.
STRICT = ["-W", "error"]
#: What a shell lets its background commands ignore, and nohup.
INTERRUPTS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
#: Names where the server listens that another process has started, when this one asks it.
SHARED = "TESTS_FORK_SERVER"
ADDRESS = "\0" + os.environ[SHARED] if SHARED in os.environ else None


def start(command, **options):
    """Start a command; returns a `subprocess.Popen`, or what behaves as one."""
    kind = Forked if _can_be_forked(command, options) else subprocess.Popen
    return kind(command, **options)


def run(command, *, input=None, timeout=None, check=False, capture_output=False, **options):  # noqa: A002 - as subprocess has it
    """Run a command to its end, as `subprocess.run` does."""
    if input is not None:
        options["stdin"] = subprocess.PIPE
    if capture_output:
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with start(command, **options) as process:
        try:
            out, err = process.communicate(input, timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
    if check:
        done.check_returncode()
    return done


def _module_of(command):
    """Return the module that a command runs and its arguments; None for the module of another command."""
    program, *words = map(str, command)
    if words[:2] in (["-X", "utf8"], STRICT):  # the server and all that it forks speak UTF-8
        words = words[2:]
    if program != sys.executable or words[:1] != ["-m"] or words[1] not in MODULES:
        return None, []
    return words[1], words[2:]


def _can_be_forked(command, options):
    env = options.get("env") or os.environ
    return (
        not isinstance(command, str)
        and _module_of(command)[0] is not None
        and options.keys() <= OPTIONS
        and _of_interpreter(env) == _of_interpreter(os.environ)
        and ("utf8" in command or env.get("PYTHONUTF8") == "1" or _locale(env) == _locale(os.environ) == "C.UTF-8")
    )


def _of_interpreter(env):
    """Return what only a new interpreter reads: an empty variable counts as none."""
    read = {name: text for name, text in env.items() if name.startswith(("PYTHON", "LD_")) and text}
    return {name: text for name, text in read.items() if (name, text) not in HONOURED}


def _locale(env):
    return next((env[name] for name in LOCALE if env.get(name)), "")


def share():
    """Start the server now, for the processes that this one starts as well."""
    _server()
    os.environ[SHARED] = _listener().getsockname()[1:].decode()


def write_command(path, module):
    """Write a program to a path that does what `python -m MODULE` does, as `be` does it."""
    _server()
    path.write_text(
        f"#!{sys.executable} -ISE\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        f"from tests import processes\nprocesses.be({module!r}, {ADDRESS or _listener().getsockname()!r})\n"
    )
    path.chmod(0o755)


def be(module, address):
    """Be a command that the server forks which listens at an address: pass signals on to it, and end as it ends."""
    global ADDRESS  # noqa: PLW0603 - one per process
    ADDRESS = address
    MODULES.add(module)
    passed_on = {number for number in (*INTERRUPTS, signal.SIGTERM) if signal.getsignal(number) != signal.SIG_IGN}
    signal.pthread_sigmask(signal.SIG_BLOCK, passed_on)
    process = Forked([sys.executable, "-m", module, *sys.argv[1:]])
    for number in passed_on:
        signal.signal(number, lambda number, _: os.kill(process.pid, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, passed_on)
    code = process.wait()
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


class Forked(subprocess.Popen):
    """A process that the server forked; it is no child of this one, so the server tells how it ended."""

    def __init__(self, command, **options):
        self._connection, self._lock = None, threading.Lock()
        super().__init__(command, **options)

    def _execute_child(
        self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo, creationflags, shell,
        p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, restore_signals, gid, gids, uid, umask,
        start_new_session, *_,
    ):  # fmt: skip
        module, arguments = _module_of(args)
        asked = {
            "module": module,
            "arguments": arguments,
            "folder": os.fspath(cwd or Path.cwd()),
            "environment": dict(os.environ if env is None else env),
            "new_session": start_new_session,
            "niceness": os.nice(0),
            "strict": args[1:3] == STRICT,
            "ignored": [number for number in INTERRUPTS if signal.getsignal(number) == signal.SIG_IGN],
        }
        streams = [given if given != -1 else usual for usual, given in enumerate((p2cread, c2pwrite, errwrite))]
        try:
            self._connection = _asked_for(asked, streams)
            (self.pid,), (begun,) = INTEGER.iter_unpack(self._connection.recv(2 * INTEGER.size, socket.MSG_WAITALL))
            assert begun == self.pid, "the child has ended before it was what it should be"
            self._child_created = True
        finally:
            self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)

    def poll(self):
        """Return the exit code; None while the process runs."""
        return self._ended(0)

    def wait(self, timeout=None):
        """Wait until the process has ended; returns its exit code."""
        if self._ended(timeout) is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.returncode

    def _ended(self, seconds):
        if self.returncode is None:
            readable = select.poll()
            readable.register(self._connection, select.POLLIN)
            if readable.poll(None if seconds is None else seconds * 1000):
                with self._lock:  # another thread may have asked as well
                    self._take_status()
        return self.returncode

    def _take_status(self):
        if self.returncode is None:
            told = self._connection.recv(INTEGER.size, socket.MSG_WAITALL)
            assert told, "the fork server has ended before its child"
            self.returncode = os.waitstatus_to_exitcode(*INTEGER.unpack(told))
            self._connection.close()


def _asked_for(asked, streams):
    """Ask the server for a child; returns the connection on which it tells of it."""
    ours, theirs = socket.socketpair()
    with theirs:
        socket.send_fds(_server(), [b"."], [theirs.fileno(), *streams])
    ours.sendall(json.dumps(asked).encode() + b"\n")
    return ours


@cache
def _listener():
    """Return a socket at which the server of this process listens, with an address that the system has chosen."""
    one = socket.socket(socket.AF_UNIX)
    one.bind(b"")
    one.listen()
    return one


@cache
def _server():
    """Return a socket of the server. One that is started here, with the first child, is stopped at the end."""
    if ADDRESS:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(ADDRESS)
        return connection
    ours, theirs = socket.socketpair()
    env = {name: text for name, text in os.environ.items() if not name.startswith("COUPONPRESS_")}
    with theirs:
        numbers = [theirs.fileno(), _listener().fileno()]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.fork_server", *map(str, numbers), " " * 10_000],
            cwd=ROOT,
            # A process of several threads must not fork. A child's own command line and environment need room.
            env=env | {"OPENBLAS_NUM_THREADS": "1", "ROOM": " " * 40_000},
            stdin=subprocess.DEVNULL,
            pass_fds=numbers,
        )
    atexit.register(_stop, ours, process)
    return ours


def _stop(ours, process):
    ours.close()
    process.wait(30)
