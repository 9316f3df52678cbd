"""schemathesis reads the OpenAPI document and looks for an answer that is not in it: the same requests each time."""

import os
import subprocess
import sys

from tests.running_gateway import running_gateway

#: Loaded by schemathesis: how a body of text lines is written.
HOOKS = """
import schemathesis

@schemathesis.serializer("application/x-ndjson")
def lines(ctx, value):
    return value.encode(errors="replace") if isinstance(value, str) else str(value).encode(errors="replace")
"""

#: What a spec's rules say across fields stands in no JSON schema, so a body that fits the schema may get 422, and text
#: that is no JSON lines gets 400.
SETTINGS = """
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "409", "415", "422", "429"]
"""


def test_schemathesis_finds_nothing(tmp_path, redis_url):
    (tmp_path / "hooks.py").write_text(HOOKS)
    (tmp_path / "schemathesis.toml").write_text(SETTINGS)
    with running_gateway(tmp_path, redis_url) as one:
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml", "run"]
        command += [f"{one.url}/openapi.json", "--header", f"Authorization: Bearer {one.tokens['admin']}"]
        command += ["--generation-deterministic", "--max-examples", "8", "--phases", "coverage,fuzzing", "--no-color"]
        ran = subprocess.run(
            command,
            cwd=tmp_path,
            env=os.environ
            | {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert "Traceback" not in one.log.read_text(), one.log.read_text()
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
