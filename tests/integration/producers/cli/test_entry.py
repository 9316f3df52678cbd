"""The command's start: what it imports, and Ctrl-C in the middle of it."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from couponpress.cli.entry import importing
from tests.builders import MCHID

#: Runs the command, then says what it imported.
LOADED = """
import json, sys
from couponpress.cli.entry import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
print(json.dumps(sorted(sys.modules)))
"""
#: Runs the command in a process that interrupts itself when a module's import begins.
INTERRUPTED = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path, target=None):
        if name == {name!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
from couponpress.cli.entry import main
main()
raise SystemExit("the import was not interrupted")
"""


def loaded_by(redis_url, *words):
    env = os.environ | {"COUPONPRESS_REDIS_URL": redis_url, "COUPONPRESS_MCHID": MCHID}
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *words], env=env, capture_output=True, text=True, timeout=60, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_a_status_loads_no_library_that_it_does_not_use(redis_url):
    loaded = loaded_by(redis_url, "status")
    assert "couponpress.cli.status" in loaded
    assert not loaded & {"celery", "kombu", "rich", "httpx", "aiohttp", "openpyxl", "fastapi", "starlette", "limits"}
    assert not loaded & {"couponpress.asyncio_client", "couponpress.catalog", "couponpress.uploads.catalog_upload"}
    assert {name for name in loaded if name.startswith("couponpress_worker.")} <= {
        "couponpress_worker.cli",
        "couponpress_worker.notify",
        "couponpress_worker.notify.commands",
        "couponpress_worker.up",
        "couponpress_worker.up.command",
    }


def test_the_callback_receiver_loads_no_celery():
    program = "import couponpress_worker.runtime.services, json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=True)
    assert not set(json.loads(done.stdout)) & {"celery", "kombu", "couponpress_worker.runtime.process"}


def test_the_version_loads_no_client(redis_url):
    assert not loaded_by(redis_url, "--version") & {"celery", "redis", "pydantic", "rich"}


@pytest.mark.parametrize("name", ["typer", "couponpress.cli.main", "couponpress.cli.status", "redis", "pydantic"])
def test_ctrl_c_in_the_middle_of_an_import_leaves_no_trace(name):
    program = INTERRUPTED.format(name=name)
    done = subprocess.run(
        [sys.executable, "-c", program, "status"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 130
    assert done.stderr in {"", "couponpress: interrupted\n"}  # Typer, which loads some itself, says nothing


def test_an_interrupt_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with importing():
            os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_changes_nothing():
    seen = []

    def load():
        with importing():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=load)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]
