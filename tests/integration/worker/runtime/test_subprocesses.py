"""Processes that one process runs, and what is left of them when it is stopped."""

import re
import subprocess

import pytest

from couponpress_worker.errors import ServiceError
from couponpress_worker.runtime.subprocesses import Services
from couponpress_worker.up.services import LabelledServices
from tests import processes


def test_a_second_ctrl_c_leaves_no_process_behind(tmp_path, monkeypatch):
    services = Services(tmp_path)
    started = [services.start("sandbox", "--port", "0", "--dir", str(tmp_path / name), env={}) for name in "ab"]

    def interrupted(_seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(started[1], "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        services.stop()
    assert [subprocess.Popen.wait(one, 20) < 0 for one in started] == [True, True]


def test_a_service_that_ends_at_once_is_told_with_its_own_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(Services, "launch", staticmethod(processes.start))
    for services in (Services(tmp_path), LabelledServices(tmp_path, lambda _: None)):
        services.start("callback", "--port", "80000", env={})
        with pytest.raises(ServiceError, match=re.escape("the callback ended with exit code 2; the end of ")) as told:
            services.wait_for(lambda: (_ for _ in ()).throw(FileNotFoundError), "callback")
        services.stop()
        assert "80000" in str(told.value) or "65535" in str(told.value)
