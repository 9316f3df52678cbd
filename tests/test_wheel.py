"""The wheel as users get it: built here, unpacked outside the tree, imported without the tree and its tools."""

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
#: What a producer must never load: HTTP clients, cryptography, and what only the fleet needs.
HEAVY = {
    "cryptography",
    "fastapi",
    "httpcore",
    "httpx",
    "limits",
    "requests",
    "starlette",
    "uvicorn",
    "uvloop",
}

#: redis-py asks whether it is installed, and uses it for one kind of TLS check.
ASKED_FOR_BY_REDIS = ["cryptography"]

#: No site-packages by itself, so no editable install: this wheel, then the installed dependencies, of which the heavy
#: ones are as absent as they are where only a producer is installed.
PROGRAM = """
import json, sys, time
paths, heavy, scripts = map(json.loads, sys.argv[1:])
asked = []

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in heavy:
            asked.append(name)
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
sys.path[:0] = paths
began = time.process_time()
import celery.app.amqp, celery.app.backends, kombu, pydantic, pydantic_settings, redis.asyncio
theirs = time.process_time() - began
import couponpress
ours = time.process_time() - began - theirs
light = {name.partition(".")[0] for name in sys.modules}
import couponpress.cli.main
from couponpress.ledger.scripts import script
print(json.dumps({
    "file": couponpress.__file__,
    "asked": asked,
    "clients": [couponpress.Client.__name__, couponpress.AsyncClient.__name__],
    "light": sorted(light),
    "theirs": theirs,
    "ours": ours,
    "modules": sorted({name.partition(".")[0] for name in sys.modules}),
    "scripts": {name: len(script(name, room)) for name, room in scripts},
}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


def build(source, directory, **environment):
    """Build without a network and without an environment of its own."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    built = subprocess.run(
        command, cwd=source, env=os.environ | environment, check=False, capture_output=True, text=True, timeout=60
    )
    assert built.returncode == 0, built.stderr
    (path,) = directory.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def unpacked(wheel, tmp_path_factory):
    directory = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(directory)
    return directory


def test_the_image_and_the_tree_build_the_same_bytes(tmp_path):
    """The first stage of the Dockerfile, with what it copies and no more, at another place and another time."""
    stage = (ROOT / "deploy" / "Dockerfile").read_text("utf-8").partition(" AS installed")[0]
    copied = [name for names in re.findall(r"^COPY (.+) \S+$", stage, re.MULTILINE) for name in names.split()]
    assert {"pyproject.toml", "producers", "worker"} <= set(copied)
    source = tmp_path / "source"
    for name in copied:
        target = source / name
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__", "*.mo"))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    for path in source.rglob("*"):
        os.utime(path, (1, 1))
    moment = {"SOURCE_DATE_EPOCH": "1780000000"}
    one = build(ROOT, tmp_path / "one", **moment)
    other = build(source, tmp_path / "other", PYTHONHASHSEED="7", TZ="Asia/Shanghai", **moment)
    assert one.name == other.name
    assert one.read_bytes() == other.read_bytes()
    later = build(source, tmp_path / "later", SOURCE_DATE_EPOCH="1790000000")
    assert later.read_bytes() != one.read_bytes()


def metadata(unpacked, name):
    (path,) = unpacked.glob(f"*.dist-info/{name}")
    return path.read_text(encoding="utf-8")


def test_it_holds_both_packages_whole_and_nothing_else(unpacked):
    there = {
        path.relative_to(unpacked)
        for path in unpacked.rglob("*")
        if path.is_file() and not path.parts[len(unpacked.parts)].endswith(".dist-info")
    }
    expected = {
        path.relative_to(home)
        for home in (ROOT / "producers", ROOT / "worker")
        for path in home.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert there == expected
    assert {path.parts[0] for path in there} == {"couponpress", "couponpress_worker"}


def test_it_holds_its_scripts_and_says_that_it_is_typed(unpacked):
    assert (unpacked / "couponpress" / "py.typed").exists()
    assert (unpacked / "couponpress_worker" / "py.typed").exists()
    assert (unpacked / "couponpress_worker" / "rate" / "bucket.lua").stat().st_size > 0
    assert (unpacked / "couponpress" / "ledger" / "enqueue.lua").stat().st_size > 0


def test_its_commands_join_through_entry_points(unpacked):
    stated = configparser.ConfigParser()
    stated.read_string(metadata(unpacked, "entry_points.txt"))
    assert dict(stated["console_scripts"]) == {"couponpress": "couponpress.cli.entry:main"}
    assert dict(stated["couponpress.commands"]) == {"worker": "couponpress_worker.cli:register"}


def test_a_producer_installs_no_http_client_and_no_cryptography(unpacked):
    told = message_from_string(metadata(unpacked, "METADATA"))
    always = [one for one in told.get_all("Requires-Dist") if "extra ==" not in one]
    assert {"celery", "redis", "pydantic"} <= {one.partition("<")[0].partition(">")[0] for one in always}
    assert not [one for one in always if one.lower().startswith(tuple(HEAVY))]
    assert "redis" not in next(one for one in told.get_all("Requires-Dist") if one.startswith("limits"))
    assert "LICENSE" in told.get_all("License-File")


def test_importing_it_loads_nothing_heavy(unpacked):
    paths = [str(unpacked), *dict.fromkeys(sysconfig.get_paths()[name] for name in ("purelib", "platlib"))]
    home = ROOT / "producers"
    scripts = sorted((path.stem, ".".join(path.parent.relative_to(home).parts)) for path in home.rglob("*.lua"))
    given = [json.dumps(one) for one in (paths, sorted(HEAVY), scripts)]
    command = [sys.executable, "-I", "-S", "-c", PROGRAM, *given]
    ran = subprocess.run(command, cwd=unpacked, check=False, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    seen = json.loads(ran.stdout)
    assert Path(seen["file"]).is_relative_to(unpacked)
    assert "celery" in seen["modules"]
    assert seen["asked"] == ASKED_FOR_BY_REDIS
    assert not HEAVY & set(seen["modules"])
    assert "couponpress_worker" not in seen["modules"]
    assert all(seen["scripts"].values())
    # Without its commands it is quick as well: none of what only they need, and less time than its dependencies take.
    assert seen["clients"] == ["Client", "AsyncClient"]
    assert not {"rich", "typer", "fastapi", "openpyxl"} & set(seen["light"])
    assert seen["ours"] < seen["theirs"] / 2
