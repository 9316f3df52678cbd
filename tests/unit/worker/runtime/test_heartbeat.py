"""The sign of life on disk: what is written, what is read, what is cleaned up."""

import json
import os
import stat
import subprocess
import sys

import pytest

from couponpress_worker.runtime.heartbeat import STALE_SECONDS, Beat, Heartbeat, directory, fleet_prefix, health, living
from tests.builders import producer_settings

PREFIX = "1900000001.abcd."


def beat(**changes):
    return Beat(
        **({"role": "worker", "pid": os.getpid(), "state": "sending", "sent": 7, "in_hand": 2, "at": 100.0} | changes)
    )


@pytest.fixture
def home(tmp_path):
    return tmp_path / "couponpress"


@pytest.fixture
def heartbeat(home):
    heartbeat = Heartbeat(home, PREFIX)
    yield heartbeat
    heartbeat.close()


def test_what_is_written_is_read(home, heartbeat):
    for one in (beat(state="platform down", sent=10**9), beat()):  # the shorter one leaves nothing of the longer
        heartbeat.write(one)
        assert list(living(home, PREFIX)) == [one]


def test_only_this_user_can_look_in(home, heartbeat):
    heartbeat.write(beat())
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()] == [0o600]


@pytest.mark.parametrize("trap", ["open", "link"])
def test_a_place_that_others_can_write_to_is_not_used(home, tmp_path, heartbeat, caplog, trap):
    if trap == "open":
        home.mkdir()
        home.chmod(0o777)
    else:
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        home.symlink_to(tmp_path / "elsewhere")
    heartbeat.write(beat())
    heartbeat.write(beat())
    assert list(home.iterdir()) == []
    assert [record.getMessage()[:34] for record in caplog.records] == ["no sign of life can be left for `c"]


def test_a_process_that_ended_in_order_leaves_nothing(home, heartbeat):
    heartbeat.write(beat())
    heartbeat.close()
    assert list(home.iterdir()) == []


def test_what_a_killed_process_left_is_removed(home):
    write = "from tests.unit.worker.runtime.test_heartbeat import *; import sys; from pathlib import Path; "
    write += "Heartbeat(Path(sys.argv[1]), PREFIX).write(beat()); os._exit(0)"
    subprocess.run([sys.executable, "-c", write, str(home)], check=True, timeout=60)
    assert len(list(home.iterdir())) == 1
    assert not health(home, PREFIX).healthy
    assert list(home.iterdir()) == []


def test_a_file_that_something_removed_is_made_again(home, heartbeat):
    heartbeat.write(beat())
    for path in home.iterdir():
        path.unlink()
    heartbeat.write(beat())
    assert list(living(home, PREFIX)) == [beat()]


def test_fleets_on_one_machine_are_told_apart(home, heartbeat):
    heartbeat.write(beat())
    assert list(living(home, "1900000001.ffff.")) == []
    names = {
        fleet_prefix(producer_settings(f"redis://:secret@h:6379/{n}", mchid=f"{m}")) for n in (0, 1) for m in (1, 2)
    }
    assert len(names) == 4
    same = {fleet_prefix(producer_settings(f"redis://:{password}@h:6379/0")) for password in ("a", "b")}
    assert len(same) == 1  # a name tells nothing about the password
    assert str(os.getuid()) in directory().name


@pytest.mark.parametrize(
    ("changes", "now", "ailment"),
    [
        ({}, 100.0, ""),
        ({}, 100 + STALE_SECONDS, ""),
        ({}, 131.0, "no sign of life for 31 s"),
        ({"state": "idle"}, 100.0, ""),
        ({"state": "held"}, 100.0, ""),
        ({"state": "stuck"}, 100.0, "work waits and slots are free, but nothing is sent"),
    ],
)
def test_a_process_is_well_or_it_is_said_why_not(home, heartbeat, changes, now, ailment):
    heartbeat.write(beat(**changes))
    found = health(home, PREFIX, now=now)
    assert found.healthy == (not ailment)
    assert [one["ailment"] for one in found.processes] == [ailment]
    assert json.loads(json.dumps(found.processes))


def test_where_no_process_runs_nothing_is_healthy(home, heartbeat):
    assert not health(home, PREFIX).healthy
    heartbeat.write(beat())
    assert health(home, PREFIX, pid=os.getpid(), now=100.0).healthy
    assert not health(home, PREFIX, pid=1, now=100.0).healthy
