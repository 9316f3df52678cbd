"""A process that is forked is held against one that is really started: what it finds, and how it ends."""

import json
import os
import random
import signal
import subprocess
import sys
from functools import partial

import pytest

from tests import processes
from tests.processes import Forked, run, start

FOUND = """
import json, locale, os, random, signal, sys, tempfile, threading, time, warnings
from pathlib import Path

streams = (sys.stdin, sys.stdout, sys.stderr)
told = [(one.encoding, one.errors, one.line_buffering, one.write_through, one.name, one.mode) for one in streams]
# A pipe's other end, and what lists them, are files too.
files = [name for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")]
shown = [Path(f"/proc/self/{name}").read_bytes().rstrip(b"\\0").split(b"\\0") for name in ("cmdline", "environ")]
print(json.dumps({
    "argv": sys.argv, "orig_argv": sys.orig_argv[1:], "path": sys.path[0], "folder": os.getcwd(), "name": __name__,
    "environment": dict(os.environ), "streams": told, "files": files, "zone": time.tzname,
    "temp": tempfile.gettempdir(), "shown": [list(map(os.fsdecode, one)) for one in shown],
    "encoding": locale.getpreferredencoding(False).lower(), "threads": threading.active_count(),
    "handlers": [str(signal.getsignal(number)) for number in signal.valid_signals()],
    "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, [])), "leads": os.getsid(0) == os.getpid(),
    "nice": os.nice(0), "read": sys.stdin.read(), "strict": [sys.warnoptions, warnings.filters[0][0] == "error"],
}))
"""
ENDS = {
    "none": "print('done')",
    "zero": "import sys; sys.exit()",
    "number": "import sys; print('x'); sys.exit(3)",
    "large": "import sys; sys.exit(259)",
    "text": "import sys; sys.exit('a sentence')",
    "exec": "import os; os.execvp('sh', ['sh', '-c', 'exit 7'])",
    "killed": "import os; os.kill(os.getpid(), 9)",
    "term": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "late": "import atexit, threading, time\n"
    "atexit.register(print, 'last')\n"
    "threading.Thread(target=lambda: (time.sleep(0.1), print('thread'))).start()",
}


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Give the command of a program."""
    monkeypatch.setattr(processes, "MODULES", {"program"})

    def written(text, *arguments, options=()):
        (tmp_path / "program.py").write_text(text)
        return [sys.executable, *options, "-m", "program", *arguments]

    return written


def both(command, folder, **options):
    """What a started and a forked process leave."""
    given = {"cwd": folder, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    told = given.pop("input", None)
    for kind in (subprocess.Popen, Forked):
        with kind(command, **given) as process:
            out, err = process.communicate(told, timeout=60)
        yield process.returncode, out, err


@pytest.mark.parametrize(
    ("leads", "options", "unbuffered"), [(False, [], ""), (True, ["-X", "utf8"], "1"), (False, ["-W", "error"], "")]
)
def test_a_forked_process_finds_what_a_started_one_finds(program, tmp_path, request, leads, options, unbuffered):
    request.addfinalizer(partial(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT)))
    if leads:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    env = {name: text for name, text in os.environ.items() if name != "HOME"}
    env |= {"TZ": "Asia/Shanghai", "TMPDIR": str(tmp_path), "WORD": "\udce4 ü", "PYTHONUNBUFFERED": unbuffered}
    command = program(FOUND, "a b", "ü", options=options)
    found = []
    for code, out, err in both(command, tmp_path, env=env, input=b"read \xff", start_new_session=leads, stdin=-1):
        assert (code, err) == (0, b"")
        found.append(json.loads(out))
    started, forked = found
    # An interpreter tells this option; nothing asks it.
    assert started.pop("orig_argv")[len(options) :] == forked.pop("orig_argv")
    del started["shown"][0][1 : 1 + len(options)]
    assert forked == started
    assert started["leads"] == leads


@pytest.mark.parametrize("end", ENDS)
def test_a_forked_process_ends_as_a_started_one(program, tmp_path, end):
    started, forked = both(program(ENDS[end]), tmp_path)
    assert forked == started


def test_an_error_leaves_a_trace_and_an_interrupt_its_signal(program, tmp_path):
    for text, code, told in (("1 / 0", 1, b"ZeroDivisionError"), ("raise KeyboardInterrupt", -2, b"KeyboardInterrupt")):
        for returned, _, err in both(program(text), tmp_path):
            assert returned == code
            assert err.startswith(b"Traceback")
            assert err.splitlines()[-1].startswith(told)


def test_an_output_that_cannot_be_written_at_the_end_has_its_own_code(program, tmp_path):
    env = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        started, forked = both(program("print('x')"), tmp_path, stdout=full, env=env)
    assert started[0] == forked[0] == 120
    assert b"No space left on device" in started[2]
    assert b"No space left on device" in forked[2]


def test_a_signal_reaches_a_forked_process_and_waiting_has_an_end(program, tmp_path):
    text = "import time; print('up', flush=True); time.sleep(60)"
    with start(program(text), cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert isinstance(process, Forked)
        assert os.getsid(process.pid) == process.pid
        assert process.stdout.readline() == "up\n"
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        process.terminate()
        assert process.wait(60) == -signal.SIGTERM
    process.kill()  # ended already: nothing happens
    assert process.poll() == -signal.SIGTERM
    with pytest.raises(subprocess.TimeoutExpired):
        run(program(text), cwd=tmp_path, timeout=0.1)


def test_two_forked_processes_do_not_draw_the_same_numbers(program, tmp_path):
    state = random.getstate()
    command = program("import random, uuid; print(random.random(), uuid.uuid4())")
    drawn = {run(command, cwd=tmp_path, capture_output=True).stdout for _ in range(3)}
    assert len(drawn) == 3
    assert random.getstate() == state


def test_a_forked_process_forks_the_services_that_it_starts(program, tmp_path):
    text = """
import sys
from tests import processes
from couponpress_worker.runtime.subprocesses import Services
processes.MODULES = {"inner"}
for text in ("print('inner', flush=True); exit(3)", "import time; time.sleep(60)"):
    with open("inner.py", "w") as file:
        file.write(text)
    process = Services.launch([sys.executable, "-m", "inner"])
    if "sleep" in text:
        process.terminate()
    print(type(process).__name__, process.wait(60), flush=True)
"""
    command = program(text)
    assert run(command, cwd=tmp_path, capture_output=True, text=True).stdout == "inner\nForked 3\nForked -15\n"


def test_a_written_command_is_as_the_one_that_it_stands_for(program, tmp_path):
    text = """
import signal, sys
print(sys.argv[1:], sys.stdin.readline().strip(), signal.getsignal(signal.SIGINT) == signal.SIG_IGN, flush=True)
if sys.argv[1:] == ["wait"]:
    signal.pause()
sys.exit(7)
"""
    program(text)
    (tmp_path / "more").write_text("more")
    path = tmp_path / "written"
    processes.write_command(path, "program")
    script = f"""
echo told | {path} 'a b'; echo $?
{path} wait < more & until grep -q more said; do sleep 0.01; done; kill %1; wait %1; echo $?
echo last | {path} 'c d'
"""
    with (tmp_path / "said").open("w") as said:
        done = subprocess.run(["bash", "-c", script], cwd=tmp_path, stdout=said, timeout=60, check=False)
    assert (tmp_path / "said").read_text().splitlines() == [
        "['a b'] told False",
        "7",
        "['wait'] more True",
        "143",
        "['c d'] last False",
    ]
    assert done.returncode == 7


def test_run_checks_as_subprocess_does(program, tmp_path):
    assert run(program("print(input())"), cwd=tmp_path, capture_output=True, text=True, input="ü").stdout == "ü\n"
    with pytest.raises(subprocess.CalledProcessError):
        run(program("import sys; sys.exit(3)"), cwd=tmp_path, check=True)


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["-c", "pass"], {}),
        (["-X", "importtime", "-m", "program"], {}),
        (["-m", "another"], {}),
        (["-m", "program"], {"env": os.environ | {"PYTHONIOENCODING": "latin-1"}}),
        (["-m", "program"], {"env": os.environ | {"LC_ALL": "C"}}),
        (["-m", "program"], {"env": {"LANG": "zh_CN.UTF-8"}}),
        (["-m", "program"], {"preexec_fn": partial(os.nice, 0)}),
    ],
)
def test_what_needs_an_interpreter_of_its_own_is_started(program, tmp_path, words, options):
    program("")
    (tmp_path / "another.py").write_text("")
    with start([sys.executable, *words], cwd=tmp_path, stderr=subprocess.DEVNULL, **options) as process:
        assert type(process) is subprocess.Popen
    assert process.returncode == 0
