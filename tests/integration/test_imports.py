"""Importing a module of the project does nothing: no setting is read, no connection is opened."""

import subprocess
import sys

import pytest

from tests.test_layout import SOURCES

QUIET_IMPORT = """
import os, sys
import wsgiref.handlers  # of the standard library: it copies the whole environment, and prometheus-client imports it

read, opened = [], []
getitem = os._Environ.__getitem__

def noted(self, name):
    if str(name).startswith("COUPONPRESS_"):
        read.append(name)
    return getitem(self, name)

os._Environ.__getitem__ = noted
sys.addaudithook(lambda event, _: opened.append(event) if event in {"socket.connect", "socket.bind"} else None)
import importlib
for name in sys.argv[1:]:
    importlib.import_module(name)
assert not read, read
assert not opened, opened
"""


def import_quietly(*names, path=""):
    """Import in a fresh process in which one setting is there to be read, and it is a wrong one."""
    env = {"COUPONPRESS_MCHID": "no id at all", "PATH": "", "PYTHONPATH": str(path)}
    command = [sys.executable, "-W", "error", "-c", QUIET_IMPORT, *names]
    return subprocess.run(command, env=env, check=False, timeout=60, capture_output=True, text=True)


def test_importing_opens_nothing_and_reads_no_setting():
    imported = import_quietly(*sorted(name for name in SOURCES if not name.endswith("__main__")))
    assert imported.returncode == 0, imported.stderr


@pytest.mark.parametrize(
    "line",
    [
        "import os; os.environ.get('COUPONPRESS_MCHID')",
        "from couponpress import Client; Client()",
        "import socket; socket.create_server(('127.0.0.1', 0)).close()",
    ],
)
def test_a_module_that_does_something_would_be_found(tmp_path, line):
    (tmp_path / "busy.py").write_text(line)
    assert import_quietly("busy", path=tmp_path).returncode != 0
