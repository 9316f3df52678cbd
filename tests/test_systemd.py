"""deploy/systemd: systemd's own checkers find nothing, and what the units name is there."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.command_line import check, commands, settings_by_name

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "deploy" / "systemd"
UNITS = sorted(path.name for path in HOME.glob("*.service"))
#: The score of `systemd-analyze security` that no unit may exceed, in tenths: 0 is shut, 100 is open.
MOST_EXPOSED = 30
HARDENED = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "PrivateUsers": "yes",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "SystemCallArchitectures": "native",
    "UMask": "0077",
}


def directives(name):
    """The lines of a unit: name and value, in their order."""
    return re.findall(r"^(\w+)=(.*)$", (HOME / name).read_text("utf-8"), re.MULTILINE)


def role_of(name):
    return name.removeprefix("couponpress-").removesuffix(".service").rstrip("@")


def analyze(*words, units):
    """Ask systemd-analyze, which knows no units but these and the system's own."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("NO SYSTEMD-ANALYZE: the units are checked by their directives alone; install Debian's `systemd`")
    return subprocess.run(
        ["systemd-analyze", *words],
        env={"PATH": "/usr/bin:/bin", "SYSTEMD_UNIT_PATH": f"{units}:", "LC_ALL": "C.UTF-8"},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def installed(tmp_path):
    """The units as they are installed, but with a program that is there."""
    for path in HOME.iterdir():
        text = path.read_text("utf-8").replace("/opt/couponpress/bin/couponpress", sys.executable)
        (tmp_path / path.name).write_text(text, "utf-8")
    return tmp_path


def test_there_is_a_unit_for_each_service_and_a_target_for_all():
    assert {role_of(name) for name in UNITS} == {"worker", "scheduler", "callback", "gateway", "metrics"}
    assert "couponpress-worker@.service" in UNITS
    assert (HOME / "couponpress.target").exists()


@pytest.mark.parametrize("name", UNITS)
def test_systemd_understands_a_unit(name, installed):
    answer = analyze("verify", "--man=no", name.replace("@.", "@1."), units=installed)
    assert (answer.returncode, answer.stderr) == (0, "")


def test_systemd_understands_the_target_and_would_say_what_is_wrong(installed):
    assert analyze("verify", "--man=no", "couponpress.target", units=installed).stderr == ""
    unit = installed / "couponpress-callback.service"
    unit.write_text(unit.read_text("utf-8").replace("ProtectHome=", "ProtectHouse="), "utf-8")
    assert "ProtectHouse" in analyze("verify", "--man=no", unit.name, units=installed).stderr


@pytest.mark.parametrize("name", UNITS)
def test_systemd_finds_a_unit_shut(name):
    answer = analyze(
        "security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", str(HOME / name), units=HOME
    )
    assert "Overall exposure level" in answer.stdout
    assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_runs_a_command_that_exists_as_nobody_special(name):
    stated = dict(directives(name))
    program, *words = shlex.split(stated["ExecStart"])
    assert program == "/opt/couponpress/bin/couponpress"
    assert words[0] == role_of(name)
    check(words, whole=True)
    if "--port" in words:
        (param,) = (param for param in commands()[words[0]].params if param.name == "port")
        assert words[words.index("--port") + 1] == str(param.default)
        assert words[words.index("--host") + 1] == "127.0.0.1"
    assert stated["User"] == stated["Group"] == "couponpress"
    assert f"u {stated['User']} " in (HOME / "couponpress.sysusers").read_text("utf-8")
    assert {key: stated.get(key) for key in HARDENED} == HARDENED
    assert stated["WantedBy"] == stated["PartOf"] == "couponpress.target"


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_reads_the_settings_and_only_who_signs_sees_the_keys(name):
    given = directives(name)
    assert [value for key, value in given if key == "EnvironmentFile"] == [
        "/etc/couponpress/env",
        f"-/etc/couponpress/{role_of(name)}.env",
    ]
    variables = {value.partition("=")[0] for key, value in given if key == "Environment"}
    assert variables - {"TMPDIR"} <= settings_by_name().keys()
    hidden = [value for key, value in given if key == "InaccessiblePaths"]
    assert hidden == (["-/etc/couponpress/secrets"] if role_of(name) in {"gateway", "metrics"} else [])


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_stops_as_gently_as_a_container(name):
    stated = dict(directives(name))
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text("utf-8"))
    assert f"{stated['TimeoutStopSec']}s" == compose["services"][role_of(name)]["stop_grace_period"]
    assert (stated["KillMode"], stated["Restart"]) == ("mixed", "always")
