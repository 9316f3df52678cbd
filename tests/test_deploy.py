"""What people copy from must be true: deploy/ and the documents against the settings and the real command line."""

import json
import os
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from limits import parse

from couponpress import Client
from couponpress.setting_names import ENV_PREFIX, SETTING_NAMES
from couponpress.transport.redis_address import RedisAddress
from couponpress_worker.completion.callback import CALLBACK_PATH
from couponpress_worker.rate import bucket as bucket_module
from couponpress_worker.rate.bucket import Bucket
from couponpress_worker.runtime.redis_server import OPTIONS
from couponpress_worker.runtime.redis_server import running as running_redis
from couponpress_worker.sandbox.faults import Faults
from couponpress_worker.sandbox.process import running
from couponpress_worker.settings import Settings
from couponpress_worker.wechatpay.retry import LAST_DELAYS_SECONDS, MAX_TRIES, RETRY_DELAYS_SECONDS
from tests.command_line import calls_in, check, commands, settings_by_name

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "README.zh-CN.md",
    ROOT / "SECURITY.md",
    DEPLOY / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "zh-CN").glob("*.md")),
]
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def shown_default(field):
    if field.is_required():
        return "**required**"
    return "none" if field.default is None else f"`{field.default}`"


# --- settings ---------------------------------------------------------------------------------------------------------


def test_every_setting_is_a_known_name():
    assert {name.removeprefix(ENV_PREFIX) for name in settings_by_name()} == SETTING_NAMES


def test_the_table_of_settings_is_the_code():
    stated = re.findall(
        r"^\| `(COUPONPRESS_\w+)` \| (.*?) \| (.*?) \|$", (DEPLOY / "README.md").read_text("utf-8"), re.MULTILINE
    )
    expected = [(name, shown_default(field), field.description) for name, field in settings_by_name().items()]
    assert sorted(stated) == sorted(expected)


@pytest.mark.parametrize(
    "path",
    [*DOCUMENTS, *sorted(path for path in DEPLOY.rglob("*") if path.is_file() and path not in DOCUMENTS)],
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_every_setting_that_is_named_exists(path):
    assert set(re.findall(r"\bCOUPONPRESS_[A-Z0-9_]*[A-Z0-9]", path.read_text("utf-8"))) <= settings_by_name().keys()


def test_the_example_file_names_every_setting_and_shows_the_defaults():
    lines = re.findall(r"^(#?)(COUPONPRESS_\w+)=(.*)$", (DEPLOY / "env.example").read_text("utf-8"), re.MULTILINE)
    assert sorted(name for _, name, _ in lines) == sorted(settings_by_name())
    for commented, name, value in lines:
        field = settings_by_name()[name]
        # The serial number is needed unless the certificate's file tells it, so the example shows one.
        if commented or not (field.is_required() or name == "COUPONPRESS_MCH_SERIAL_NO"):
            assert value == ("" if field.default is None else str(field.default)), name


def test_the_example_file_is_accepted_by_the_settings(monkeypatch):
    for name, value in re.findall(
        r"^(COUPONPRESS_\w+)=(.*)$", (DEPLOY / "env.example").read_text("utf-8"), re.MULTILINE
    ):
        monkeypatch.setenv(name, value)
    assert Settings.load().rate == Settings.model_fields["rate"].default


# --- compose.yaml -----------------------------------------------------------------------------------------------------


#: The services of compose.yaml that run the project's own image.
OURS = {"worker", "scheduler", "callback", "gateway", "metrics", "cli"}


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))


def test_compose_runs_the_whole_fleet(compose):
    services = compose["services"]
    assert services.keys() == OURS | {"redis", "prometheus", "grafana"}
    for name in OURS:
        assert services[name]["depends_on"] == {"redis": {"condition": "service_healthy"}}
        assert services[name]["build"] == {"context": "..", "dockerfile": "deploy/Dockerfile"}
    assert services["redis"]["volumes"] == ["redis-data:/data"]
    assert "redis-data" in compose["volumes"]
    assert "healthcheck" in services["redis"]
    assert not {"container_name", "ports", "hostname"} & services["worker"].keys(), "it could not be scaled"
    assert services["cli"]["profiles"] == ["tools"]


def test_redis_is_published_nowhere(compose):
    assert not {"ports", "network_mode"} & compose["services"]["redis"].keys()


def test_redis_is_asked_for_the_same_as_in_the_tests(compose):
    words = compose["services"]["redis"]["command"][1:]
    asked = dict(zip(words[::2], words[1::2], strict=True))
    of_a_container = {"bind"}
    assert asked == {f"--{name}": value for name, value in OPTIONS.items() if name not in of_a_container}


def test_with_users_redis_is_started_the_same_and_each_service_is_a_user_of_its_own(compose, tmp_path):
    over = yaml.safe_load((DEPLOY / "compose.users.yaml").read_text("utf-8"))["services"]
    assert over.keys() == OURS | {"redis"}
    assert over["redis"]["command"] == [
        *compose["services"]["redis"]["command"],
        "--aclfile",
        "/etc/valkey/users.acl",
    ]
    assert over["redis"]["volumes"] == ["./users.acl:/etc/valkey/users.acl:ro"]
    # As the page says: the merchant id and the passwords are filled in, then each URL opens a connection of its user.
    rules = (DEPLOY / "redis" / "users.acl").read_text("utf-8").replace("1900000000", "1234567890")
    (tmp_path / "users.acl").write_text(re.sub(r">CHANGE-ME-([\w-]+)", r">\1-secret", rules), "utf-8")
    page = (DEPLOY / "README.md").read_text("utf-8")
    with running_redis(tmp_path, "--aclfile", str(tmp_path / "users.acl")) as server:
        for name in sorted(OURS):
            assert over[name].keys() == {"environment"}
            assert over[name]["environment"].keys() == {"COUPONPRESS_REDIS_URL"}
            role = "admin" if name == "cli" else name
            assert f"`{role.upper()}_PASSWORD`" in page
            given = {
                "MCHID": "1234567890",
                f"{role.upper()}_PASSWORD": f"{role}-secret",
                "HOST": urlsplit(server).netloc,
            }
            url = over[name]["environment"]["COUPONPRESS_REDIS_URL"].replace("@redis:6379", "@${HOST:?}")
            filled = re.sub(r"\$\{(\w+):\?\}", lambda found, given=given: given[found[1]], url)
            with RedisAddress.parse(filled).client() as client:
                assert client.acl_whoami() == f"couponpress-1234567890-{role}"


def test_the_key_files_of_compose_are_its_secrets(compose):
    assert compose["services"]["worker"]["secrets"] == list(compose["secrets"])
    named = {
        name: value for name, value in compose["services"]["worker"]["environment"].items() if name.endswith("_FILE")
    }
    assert named == {f"COUPONPRESS_{name.upper()}_FILE": f"/run/secrets/{name}" for name in compose["secrets"]}
    example = (DEPLOY / "env.example").read_text("utf-8")
    for name, secret in compose["secrets"].items():
        assert f"COUPONPRESS_{name.upper()}_FILE={secret['file'].removeprefix('./')}\n" in example


def test_the_gateway_of_compose_gets_its_tokens_and_no_key(compose):
    gateway = compose["services"]["gateway"]
    assert gateway["secrets"] == []
    assert gateway["environment"]["COUPONPRESS_GATEWAY_TOKENS_FILE"] == "/gateway/tokens.toml"
    assert gateway["volumes"] == ["./gateway:/gateway"]
    assert gateway["profiles"] == ["gateway"]


def test_the_metrics_of_compose_get_no_key_and_stay_on_this_machine(compose):
    metrics = compose["services"]["metrics"]
    assert metrics["secrets"] == []
    assert metrics["environment"].keys() == {"COUPONPRESS_REDIS_URL"}
    assert metrics["ports"] == ["127.0.0.1:9464:9464"]
    assert metrics["profiles"] == ["metrics", "monitoring"]


def test_prometheus_and_grafana_are_given_files_that_exist_and_stay_on_this_machine(compose):
    for name in ("prometheus", "grafana"):
        service = compose["services"][name]
        assert service["profiles"] == ["monitoring"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert service["read_only"]
        for volume in service["volumes"]:
            source, _, *mode = volume.split(":")
            if source.startswith("./"):
                assert (DEPLOY / source).exists()
                assert mode == ["ro"]
            else:
                assert source in compose["volumes"]
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text("utf-8"))
    assert [(DEPLOY / "prometheus" / name).exists() for name in scraped["rule_files"]] == [True]
    ((target,),) = (job["static_configs"][0]["targets"] for job in scraped["scrape_configs"])
    name, _, port = target.partition(":")
    command = compose["services"][name]["command"]
    assert command[command.index("--port") + 1] == port
    provisioning = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text("utf-8"))["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "couponpress.yaml").read_text("utf-8"))["providers"]
    mounted = [volume.split(":")[1] for volume in compose["services"]["grafana"]["volumes"]]
    assert provider["options"]["path"] in {str(Path(place).parent) for place in mounted}


def test_every_required_setting_reaches_the_containers(compose):
    given = compose["services"]["worker"]["environment"].keys()
    given |= set(re.findall(r"^(COUPONPRESS_\w+)=", (DEPLOY / "env.example").read_text("utf-8"), re.MULTILINE))
    assert {name for name, field in settings_by_name().items() if field.is_required()} <= given


# --- Dockerfile -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["deploy/README.md", "docs/zh-CN/deploy.md"])
def test_one_command_pins_every_image_that_others_make(tmp_path, page):
    """Run as it stands there, with a registry that has one digest for all."""
    (command,) = re.findall(r"^for image in .*?^done$", (ROOT / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / "deploy").mkdir()
    for name in ("Dockerfile", "compose.yaml"):
        (tmp_path / "deploy" / name).write_bytes((DEPLOY / name).read_bytes())
    (tmp_path / "docker").write_text(f"#!/bin/sh\necho sha256:{'7' * 64}\n")
    (tmp_path / "docker").chmod(0o700)
    env = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-euc", command], cwd=tmp_path, env=env, check=True, timeout=30)
    text = "".join((tmp_path / "deploy" / name).read_text("utf-8") for name in ("Dockerfile", "compose.yaml"))
    images = re.findall(r"^(?:ARG BASE=| *image: )(.*)$", text, re.MULTILINE)
    pinned = [one.endswith(f"@sha256:{'7' * 64}") for one in images if not one.startswith("couponpress:")]
    assert pinned == [True] * 4
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${BASE}"}


def test_the_image_installs_hashed_requirements_and_runs_as_nobody_special():
    steps = re.sub(r"\\\n\s*", "", (DEPLOY / "Dockerfile").read_text("utf-8")).splitlines()
    installs = re.findall(r"pip install (.*)", "\n".join(steps))
    assert len(installs) == 3
    assert all("--require-hashes" in one or ("--no-index" in one and "--no-deps" in one) for one in installs)
    users = [step for step in steps if step.startswith("USER ")]
    last_stage = max(number for number, step in enumerate(steps) if step.startswith("FROM "))
    assert users == ["USER 10001:10001"]
    assert steps.index(users[0]) > last_stage


def test_everything_that_the_image_copies_is_in_its_context():
    ignore = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").split()
    assert "*" in ignore
    for source in re.findall(
        r"^COPY ((?!--from)[^\n]+) \S+$", (DEPLOY / "Dockerfile").read_text("utf-8"), re.MULTILINE
    ):
        for name in source.split():
            assert (ROOT / name).exists(), name
            assert f"!{Path(name).parts[0]}" in ignore, name


# --- commands ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_in_a_document_exists(path):
    text = path.read_text("utf-8")
    for kind, block in FENCE.findall(text):
        if kind in {"sh", "console"}:
            for words in calls_in(re.sub(r"^\$ ", "", block, flags=re.MULTILINE)):
                check(words, whole=True)
    for inline in re.findall(r"`([^`\n]+)`", FENCE.sub("", text)):
        if re.match(r"couponpress [a-z]", inline):
            check(next(calls_in(inline)), whole=False)


def test_every_command_of_compose_and_the_image_exists(compose):
    for service in compose["services"].values():
        if service.get("command", [""])[0] == "couponpress":
            check(service["command"][1:], whole=True)
    for name in ("worker", "scheduler"):
        kind, program, *words = compose["services"][name]["healthcheck"]["test"]
        assert (kind, program) == ("CMD", "couponpress")
        check(words, whole=True)
    (command,) = re.findall(r"^CMD (\[.*\])$", (DEPLOY / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert json.loads(command) == ["couponpress", "--help"]


def test_the_checks_above_can_fail():
    with pytest.raises(AssertionError, match="no command"):
        check(["sumbit"], whole=False)
    with pytest.raises(AssertionError, match="no command"):
        check(["schedule", "nxt"], whole=False)
    with pytest.raises(pytest.fail.Exception, match="No such option"):
        check(["submit", "a.csv", "--fast"], whole=False)
    with pytest.raises(pytest.fail.Exception, match="files"):
        check(["submit"], whole=True)
    assert list(calls_in("x | .venv/bin/couponpress submit - --format csv > out # couponpress no")) == [
        ["submit", "-", "--format", "csv"]
    ]


def test_the_documents_show_the_path_and_the_port_of_the_receiver():
    (port,) = (param for param in commands()["callback"].params if param.name == "port")
    for path in (ROOT / "README.md", ROOT / "README.zh-CN.md", DEPLOY / "README.md"):
        shown = re.findall(r"(?::(\d+))?(/wechatpay/\w+)", path.read_text("utf-8"))
        assert shown
        assert {place for _, place in shown} == {CALLBACK_PATH}
        assert {number for number, _ in shown if number} <= {str(port.default)}


# --- figures and log lines --------------------------------------------------------------------------------------------


def test_the_arithmetic_in_the_documents_is_the_limiter_s():
    bucket = Bucket("k", parse("500/second"), 0.02)
    patient = Bucket("k", parse("500/second"), 0.2)
    assert f"{bucket.spacing_us} µs: {1e6 / bucket.spacing_us:.2f}"[:-1] == "2041 µs: 489.9"
    assert f"{1e6 / patient.spacing_us:.1f}" == "416.5"
    assert f"{bucket.unknown_us / 1e6:.1f}" == "1.2"
    formula = "T = floor((W + J) / (L - b + 1)) + 1 µs"
    design = (ROOT / "docs" / "design.md").read_text("utf-8")
    assert formula in bucket_module.__doc__
    assert formula in design
    assert "2041 µs: 489.9 slots a second" in design
    assert "20 ms leave 489.9 per second, 200 ms leave 416.5" in (DEPLOY / "README.md").read_text("utf-8")
    assert "a pause of 1.2 s" in (ROOT / "docs" / "operations.md").read_text("utf-8")


def test_the_sizes_in_the_readme_are_those_that_were_measured():
    page = re.sub(r"\s+", " ", (DEPLOY / "README.md").read_text("utf-8"))
    report = (ROOT / "docs" / "benchmarks" / "README.md").read_text("utf-8")
    for stated, measured in (
        (r"(\d+) bytes per waiting spec", "Redis bytes per waiting spec"),
        (r"per waiting spec, (\d+) per finished one", "Redis bytes per finished spec with URL"),
        (r"Redis, CPU \| ([\d.]+) ms per submission", "Redis CPU per submission"),
        (r"([\d.]+) ms of CPU per callback", "CPU of the receiver per callback"),
        (r"([\d.]+) ms of CPU per request", "CPU of the gateway per request at 2000/s"),
    ):
        told = float(re.search(stated, page)[1])
        median = float(re.search(rf"^\| {re.escape(measured)} \| ([\d.,]+) \|", report, re.MULTILINE)[1])
        assert median <= told <= 1.5 * median, measured
    signatures = float(
        re.search(r"^\| CPU of the worker per accepted submission \| ([\d.]+) \|", report, re.MULTILINE)[1]
    )
    signing, whole = map(
        float, re.search(r"signs in ([\d.]+) ms \(RSA-2048\) a submission takes ([\d.]+) s", page).groups()
    )
    assert signatures * signing <= 1000 * whole <= 1.1 * signatures * signing


def test_the_retries_in_the_documents_are_the_code_s():
    *delays, last = (f"{seconds:g}" for seconds in RETRY_DELAYS_SECONDS)
    operations = re.sub(r"\s+", " ", (ROOT / "docs" / "operations.md").read_text("utf-8"))
    assert f"after {', '.join(delays)} and {last} s" in operations
    assert MAX_TRIES == 8
    assert "After eight tries" in operations
    *delays, last = (f"{seconds:g}" for seconds in LAST_DELAYS_SECONDS)
    assert f"up to three more tries, {', '.join(delays)} and {last} s later" in operations


def test_the_log_lines_in_the_table_are_written_by_the_code():
    homes = (ROOT / "worker", ROOT / "producers")
    sources = "\n".join(path.read_text("utf-8") for home in homes for path in home.rglob("*.py"))
    section = (DEPLOY / "README.md").read_text("utf-8").partition("## Logs")[2]
    lines = re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)
    assert len(lines) == 15
    assert [line for line in lines if line not in sources] == []


def test_make_check_asks_those_who_read_these_files():
    told = subprocess.run(
        ["make", "-n", "check", "STAMP=", "BIN=bin"], cwd=ROOT, check=True, capture_output=True, text=True, timeout=60
    ).stdout
    assert "bin/hadolint deploy/Dockerfile\n" in told
    assert re.search(
        r"bin/check-jsonschema .* vendor\.compose-spec deploy/compose\.yaml deploy/compose\.users\.yaml", told
    )
    (asked,) = re.findall(r"bin/kubernetes-validate --strict --quiet (.*)", told)
    manifests = {path for path in (DEPLOY / "kubernetes").glob("*.yaml") if path.stem != "kustomization"}
    assert {ROOT / name for name in asked.split()} == manifests


# --- README -----------------------------------------------------------------------------------------------------------


def test_the_readme_s_python_runs(redis_url, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COUPONPRESS_REDIS_URL", redis_url)
    monkeypatch.setenv("COUPONPRESS_MCHID", "1900000001")
    blocks = [block for kind, block in FENCE.findall((ROOT / "README.md").read_text("utf-8")) if kind == "python"]
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
    with Client() as client:
        assert [run.total for run in client.runs()] == [2]
    assert "waiting 2" in capsys.readouterr().out


def test_the_python_page_s_python_runs(redis_url, monkeypatch, tmp_path, capsys):
    page = (ROOT / "docs" / "python.md").read_text("utf-8")
    names = {}
    with running(tmp_path / "sandbox") as sandbox:
        sandbox.control(certificates=1)
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("COUPONPRESS_REDIS_URL", redis_url)
        for block in (block for kind, block in FENCE.findall(page) if kind == "python"):
            exec(compile(block, "python.md", "exec"), names)
    *told, listed = capsys.readouterr().out.splitlines()
    assert told == ["1 new, 0 known already", "SP-1 open ", "waiting 3", "SP-2 open", "SP-3 open", "SP-4 open"]
    assert listed.startswith("200 {'data': [{'serial_no': '")


def test_the_sandbox_page_s_python_runs(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "sandbox.md").read_text("utf-8")
    (block,) = [block for kind, block in FENCE.findall(page) if kind == "python"]
    exec(compile(block, "sandbox.md", "exec"), {})
    assert capsys.readouterr().out.splitlines()[-1] == "0"


def test_the_sandbox_page_names_every_kind_of_fault():
    page = (ROOT / "docs" / "sandbox.md").read_text("utf-8")
    assert [name for name in Faults.model_fields if f"`{name}`" not in page] == []


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_the_first_success_takes_sixty_lines(readme):
    lines = (ROOT / readme).read_text("utf-8").splitlines()
    first_results = next(number for number, line in enumerate(lines, 1) if line.startswith("couponpress results"))
    assert first_results <= 60
    assert [line for line in lines if line.startswith("make ")][:2] == ["make demo", "make test"]
