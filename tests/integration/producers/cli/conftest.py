"""The `couponpress` command in the process of the tests: a process of its own takes half a second of CPU."""

import io
import sys
from dataclasses import dataclass

import pytest

from couponpress.cli.main import main
from tests.builders import MCHID
from tests.command_line import without_fleet


@dataclass
class Ran:
    """What a command left."""

    code: int
    out: str
    err: str


@pytest.fixture
def couponpress(redis_url, monkeypatch, capsys, tmp_path):
    """Run the command in this process, with settings for the server, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    set_up = {"COUPONPRESS_REDIS_URL": redis_url, "COUPONPRESS_MCHID": MCHID}

    def run(*words, stdin=None, **env):
        for name, value in {**set_up, **env}.items():
            monkeypatch.setenv(name, value) if value is not None else monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(sys, "argv", ["couponpress", *map(str, words)])
        without_fleet(monkeypatch)
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as caught:
            main()
        told = capsys.readouterr()
        assert "Traceback" not in told.out + told.err
        return Ran(caught.value.code or 0, told.out, told.err)

    return run
