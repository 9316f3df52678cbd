"""The calls of docs/protocol.md, as they stand there, against a real gateway; something ends their specs meanwhile."""

import os
import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
import redis

from couponpress.outcome import State
from tests.builders import KEYS, bring_to
from tests.running_gateway import running_gateway

PAGE = (Path(__file__).resolve().parents[4] / "docs" / "protocol.md").read_text("utf-8")
LANGUAGES = {
    "curl": ("sh", "call.sh", ["bash", "-e"]),
    "node": ("js", "call.js", ["node"]),
    "php": ("php", "call.php", ["php"]),
    "java": ("java", "Shop.java", ["java"]),
}


def example(language):
    """The one block of that language under its heading."""
    kind, _, _ = LANGUAGES[language]
    section = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    (text,) = [one for one in section if one.lower().startswith(language)]
    (block,) = re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return block


@pytest.fixture
def ended_specs(redis_url):
    """Whatever is open succeeds, as if a fleet ran."""
    stop = threading.Event()

    def end():
        with redis.Redis.from_url(redis_url) as server:
            while not stop.wait(0.1):
                for lane in ("urgent", "bulk"):
                    for chunk_id in server.zrange(KEYS.open(lane), 0, -1):
                        states = server.hget(KEYS.chunk(chunk_id.decode()), "s").decode()
                        if set(states) == {"w"}:
                            bring_to(redis_url, chunk_id.decode(), [State.SUCCEEDED] * len(states))

    thread = threading.Thread(target=end)
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_calls_on_the_page_work_as_they_stand(language, tmp_path, redis_url, ended_specs):
    _, name, command = LANGUAGES[language]
    program = shutil.which("curl" if language == "curl" else command[0])
    if program is None:
        pytest.skip(f"{command[0]} is not installed")
    (tmp_path / name).write_text(example(language), encoding="utf-8")
    with running_gateway(tmp_path, redis_url) as one:
        (tmp_path / "gateway.header").write_text(f"Authorization: Bearer {one.tokens['shop']}\n")
        env = os.environ | {"GATEWAY_URL": one.url, "GATEWAY_TOKEN": one.tokens["shop"]}
        ran = subprocess.run(
            [*command, name], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        with one.caller() as shop:
            totals = {run["run"]: (run["total"], run["succeeded"]) for run in shop.get("/runs").json()["runs"]}
    assert totals[f"from-{language}-many"] == (2, 2)
    assert totals[f"from-{language}"][0] == 1
    assert re.search(r"SP-2.*succeeded", ran.stdout)


def test_no_example_holds_a_secret():
    assert "Bearer shop." not in PAGE
    for language in LANGUAGES:
        assert not re.search(r"Bearer [\w.-]{20,}", example(language))
