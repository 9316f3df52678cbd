"""The shell blocks of README and pages, as they stand, in their order, in one session: what a reader would type.

Terminal one is `couponpress up`. The other blocks of a page are one script, because later blocks use what earlier ones
set. The Chinese pages have the same commands (tests/test_translated_pages.py), so they are not run again.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from couponpress_worker.runtime.redis_server import free_port
from tests import processes
from tests.flow.test_fleet import processes_of, wait_until

pytestmark = pytest.mark.flow

ROOT = Path(__file__).resolve().parents[2]
UP = "couponpress up"


def blocks(page, *kinds):
    """The fenced blocks of these kinds on a page, in their order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        body for kind, body in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL) if kind in kinds
    ]


class Session:
    """A folder with the project's environment in it, and what is typed there."""

    def __init__(self, home):
        self.home = home
        for name in ("examples", "deploy"):
            (home / name).symlink_to(ROOT / name)
        bin_folder = home / ".venv" / "bin"
        bin_folder.mkdir(parents=True)
        # What `activate` does, for the interpreter that runs the tests.
        path = Path(sys.executable).parent
        (bin_folder / "activate").write_text(f'PATH="{bin_folder}:{path}:$PATH"\n')
        processes.write_command(bin_folder / "couponpress", "couponpress")
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("COUPONPRESS_")}

    def type(self, script, seconds=120):
        """Run a script as bash would, from the session's folder; returns what it said."""
        done = subprocess.run(
            ["bash", "-e", "-c", script],
            cwd=self.home,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n--- said:\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """A session whose terminal one is up."""
    one = Session(tmp_path_factory.mktemp("session"))
    (first,) = [block for block in blocks("README.md", "sh") if UP in block]
    log = one.home / "up" / "up.log"
    terminal = subprocess.Popen(
        ["bash", "-c", first.replace(UP, f"exec {UP}")],
        cwd=one.home,
        env=one.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )
    try:
        wait_until(lambda: log.exists() and "everything is up" in log.read_text(), 60, "everything up")
        yield one
        assert terminal.poll() is None, log.read_text()[-2000:]
    finally:
        terminal.send_signal(signal.SIGINT)
        terminal.wait(60)
    assert processes_of(one.home) == []


def test_the_first_catalog_of_the_readme(session):
    (script,) = [block for block in blocks("README.md", "sh") if "autumn.csv" in block]
    said = session.type(script)
    assert said.count(",succeeded,http") == 3
    (program,) = blocks("README.md", "python")
    (session.home / "program.py").write_text(program)
    assert "waiting" in session.type(". .venv/bin/activate && . up/env && python program.py")


def test_the_nightly_page(session):
    first, then = blocks("docs/nightly.md", "sh")
    in_chinese = f"COUPONPRESS_LANG=zh_CN {first.splitlines()[-1]}"
    said = session.type(f"{first}\n{in_chinese}\n{then}\nkill %1\nwait")
    plans = {"docs/nightly.md": ": 3 rows, 3 changed, ", "docs/zh-CN/nightly.md": "：3 行，3 行有改动，"}
    for page, begins in plans.items():
        rows, plan, end = blocks(page, "text")[0].splitlines()
        assert plan.removeprefix("prices-2026-05-02T14:07").startswith(begins)
        assert re.search(rf"^{re.escape(rows)}\nprices-.*{begins}.*\n{re.escape(end)}$", said, re.MULTILINE)


def test_the_python_page(session):
    setting, script, django = blocks("docs/python.md", "sh")
    # The page goes on with what it defined before.
    (session.home / "both.py").write_text("\n".join(blocks("docs/python.md", "python")[:2]))
    said = session.type(f"{setting}\npython both.py\n{script}")
    assert "1 new, 0 known already" in said
    assert said.count(" succeeded http") == 3
    (session.home / "shop").mkdir()
    django = django.replace("cd examples/django_shop", "cp -r examples/django_shop shop/ && cd shop/django_shop")
    said = session.type(f"{setting}\n{django}")
    assert "asked for before" in said, said
    assert "coupon 1: http" in said, said


def test_the_page_of_catalogs(session):
    template, mapping, mended = blocks("docs/catalog.md", "sh")
    # The reader's own program, sheet and workbook are not there.
    lines = [line for line in template.splitlines() if not re.search("五月|export-coupons|may.xlsx", line)]
    said = session.type("\n".join([". .venv/bin/activate && . up/env", *lines]))
    assert "run coupons: " in said
    header = "门店品牌号,满,减,优惠范围,券类型"
    for month in ("may", "june"):
        (session.home / f"{month}.csv").write_text(f"{header}\n120344,100,20,全场,满减券\n", encoding="utf-8")
    mapping = mapping.replace("--save-mapping", "--map 减=discount_yuan --save-mapping")
    said = session.type(f". .venv/bin/activate && . up/env\n{mapping}")
    assert "run may: 1 enqueued" in said
    assert "run june: 1 enqueued" in said
    (session.home / "coupons.errors.csv").write_text(f"_line,_problem,{header}\n9,mended,120344,100,20,全场,满减券\n")
    mended = mended.replace(".errors.csv", ".errors.csv --mapping shop.toml")
    said = session.type(f". .venv/bin/activate && . up/env\n{mended}")
    assert "run coupons: 1 enqueued" in said


def test_the_languages_share_a_session(session):
    """curl and Node, one after the other, at the gateway of terminal one."""
    token = (session.home / "up" / "gateway-token").read_text().strip()
    (session.home / "gateway.header").write_text(f"Authorization: Bearer {token}\n")
    log = (session.home / "up" / "up.log").read_text()
    url = re.search(r"gateway: (http://127.0.0.1:\d+)/docs", log)[1]
    environment = f"export GATEWAY_URL={url} GATEWAY_TOKEN={token}\n"
    (curl,) = [block for block in blocks("docs/protocol.md", "sh") if "from-curl" in block]
    assert "succeeded" in session.type(environment + curl)
    if shutil.which("node"):
        (session.home / "call.js").write_text(*blocks("docs/protocol.md", "js"))
        assert "2 enqueued" in session.type(f"{environment}node call.js")


def test_the_page_of_hooks(session):
    submit, secret, *_ = blocks("docs/hooks.md", "sh")
    (receiver,) = blocks("docs/hooks.md", "python")
    (session.home / "receiver.py").write_text(receiver)
    (session.home / "secrets").mkdir()
    port = free_port()
    said = session.type(
        f". .venv/bin/activate && . up/env\n{secret}python receiver.py {port} secrets/hook_secret &\n"
        + submit.replace("https://shop.example/couponpress", f"http://127.0.0.1:{port}/couponpress").replace(
            "autumn.csv", "autumn.csv --run hooked"
        )
        + "kill %1\n"
    )
    assert "run hooked: 3 enqueued" in said


def test_the_page_of_operations(session):
    """After the first catalog, whose run these commands name."""
    looks, acts = blocks("docs/operations.md", "sh")
    said = session.type(f". .venv/bin/activate && . up/env\n{looks}")
    assert "autumn: 3/3 ended" in said
    session.type(f". .venv/bin/activate && . up/env\n{acts}")


def test_the_page_of_the_console(session):
    """Up to its last line, which starts another gateway."""
    (script,) = blocks("docs/console.md", "sh")
    *lines, last = script.splitlines()
    assert last.startswith("couponpress gateway ")
    session.type("\n".join([". .venv/bin/activate && . up/env", *lines]))
    assert "ops" in (session.home / "tokens.toml").read_text()


def test_the_page_of_the_sandbox(session):
    start, faults, ask = blocks("docs/sandbox.md", "sh")
    # Terminal one has the page's ports.
    sandbox, reading = start.splitlines()
    port, other = free_port(), free_port()
    sandbox = sandbox.replace("8900", str(port)).replace("--dir sandbox", "--dir apart")
    waiting = f"until curl -sf http://127.0.0.1:{port}/sandbox/statistics >/dev/null; do sleep 0.1; done"
    said = session.type(
        f". .venv/bin/activate\n{sandbox} &\n{waiting}\n{reading.replace('sandbox/env', 'apart/env')}\n"
        f"{faults.strip()} --port {other} --dir third &\n" + ask.replace("8900", str(port)) + "kill %1 %2; wait"
    )
    assert '"errors":50' in said.replace(" ", "")
    (program,) = blocks("docs/sandbox.md", "python")
    (session.home / "sandboxed.py").write_text(program)
    assert "http://127.0.0.1" in session.type(". .venv/bin/activate && python sandboxed.py")
