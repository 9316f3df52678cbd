"""deploy/kubernetes: what `kubernetes-validate --strict` cannot know, held against the code and against each other."""

import math
import re
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest
import yaml
from limits import parse

from couponpress.gateway.routes import router
from couponpress.metrics.families import families_of
from couponpress.overview.snapshot import Counts
from couponpress_worker.completion.callback_asgi import HEALTH_PATHS
from couponpress_worker.settings import Settings
from tests.builders import overview
from tests.command_line import check, commands, settings_by_name

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "deploy" / "kubernetes"
SERVICES = ("worker", "scheduler", "callback", "gateway", "metrics")
#: What each is given besides the settings: names of Secrets.
SECRETS = {
    "worker": {"couponpress-redis", "couponpress-keys"},
    "scheduler": {"couponpress-redis", "couponpress-keys"},
    "callback": {"couponpress-redis", "couponpress-keys"},
    "gateway": {"couponpress-redis", "couponpress-gateway"},
    "metrics": {"couponpress-redis"},
}


@cache
def documents(name):
    return list(yaml.safe_load_all((HOME / name).read_text("utf-8")))


def every_document():
    return [one for path in sorted(HOME.glob("*.yaml")) if path.stem != "kustomization" for one in documents(path.name)]


def of_kind(kind):
    return {
        one["metadata"]["name"].removeprefix("couponpress-"): one for one in every_document() if one["kind"] == kind
    }


def pod(name):
    return of_kind("Deployment")[name]["spec"]["template"]["spec"]


def container(name):
    (one,) = pod(name)["containers"]
    return one


def settings_file():
    return dict(re.findall(r"^(COUPONPRESS_\w+)=(.*)$", (HOME / "settings.env").read_text("utf-8"), re.MULTILINE))


def labels(name):
    return {"app.kubernetes.io/name": "couponpress", "app.kubernetes.io/component": name}


def test_the_kustomization_names_every_file_and_every_file_is_there():
    (whole,) = documents("kustomization.yaml")
    assert (whole["apiVersion"], whole["kind"]) == ("kustomize.config.k8s.io/v1beta1", "Kustomization")
    assert whole.keys() == {"apiVersion", "kind", "resources", "configMapGenerator", "images"}
    assert whole["resources"] == sorted(path.name for path in HOME.glob("*.yaml") if path.stem != "kustomization")
    (generated,) = whole["configMapGenerator"]
    assert [(HOME / name).exists() for name in generated["envs"]] == [True]
    for name in SERVICES:
        assert container(name)["envFrom"] == [{"configMapRef": {"name": generated["name"]}}]
    (image,) = whole["images"]
    assert {container(name)["image"] for name in SERVICES} == {f"{image['name']}:{image['newTag']}"}
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text("utf-8"))
    assert compose["x-couponpress"]["image"] == f"{image['name']}:{image['newTag']}"
    assert f'version = "{image["newTag"]}"' in (ROOT / "pyproject.toml").read_text("utf-8")


def test_no_namespace_is_named():
    assert [one["metadata"]["name"] for one in every_document() if "namespace" in one["metadata"]] == []


def test_every_command_and_every_setting_exists():
    assert of_kind("Deployment").keys() == set(SERVICES)
    for name in SERVICES:
        program, *words = container(name)["command"]
        assert (program, words[0]) == ("couponpress", name)
        check(words, whole=True)
        given = {one["name"] for one in container(name)["env"]} | settings_file().keys()
        assert given <= settings_by_name().keys()


def test_the_settings_are_accepted(monkeypatch):
    for name, value in settings_file().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COUPONPRESS_REDIS_URL", "rediss://couponpress-1900000000-worker:secret@redis.example:6379/0")
    assert Settings.load().log == "json"


@pytest.mark.parametrize("name", SERVICES)
def test_a_pod_is_nobody_special_and_can_write_into_tmp_alone(name):
    assert pod(name)["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "fsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert "USER 10001:10001\n" in (ROOT / "deploy" / "Dockerfile").read_text("utf-8")
    assert container(name)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod(name)["automountServiceAccountToken"] is False
    kinds = {one["name"]: one for one in pod(name)["volumes"]}
    mounts = {one["name"]: one for one in container(name)["volumeMounts"]}
    assert kinds.keys() == mounts.keys()
    writable = {one["mountPath"] for one in mounts.values() if not one.get("readOnly")}
    assert writable == {"/tmp"}
    assert kinds["tmp"]["emptyDir"]["sizeLimit"]


@pytest.mark.parametrize("name", SERVICES)
def test_secrets_are_files_that_only_who_needs_them_gets(name):
    volumes = {one["name"]: one["secret"] for one in pod(name)["volumes"] if "secret" in one}
    assert all(one["defaultMode"] == 0o440 for one in volumes.values())
    from_secrets = [one for one in container(name)["env"] if "valueFrom" in one]
    assert [(one["name"], one["valueFrom"]["secretKeyRef"]["key"]) for one in from_secrets] == [
        ("COUPONPRESS_REDIS_URL", name)
    ]
    seen = {one["valueFrom"]["secretKeyRef"]["name"] for one in from_secrets}
    assert seen | {one["secretName"] for one in volumes.values()} == SECRETS[name]
    # Each file that a setting names lies in a mounted Secret, under a name that the README puts into it.
    page = (ROOT / "deploy" / "README.md").read_text("utf-8")
    places = {
        one["mountPath"]: volumes[one["name"]] for one in container(name)["volumeMounts"] if one["name"] in volumes
    }
    named = {one["name"]: one["value"] for one in container(name)["env"] if "value" in one}
    if name in {"worker", "scheduler", "callback"}:
        named |= {key: value for key, value in settings_file().items() if key.endswith("_FILE")}
        assert len(named) == 3
    for path in map(Path, named.values()):
        secret = places[str(path.parent)]["secretName"]
        (told,) = re.findall(rf"kubectl create secret generic {secret} (.*)", page.replace("\\\n", ""))
        assert re.search(rf"--from-file=(?:\S+/)?{re.escape(path.name)}(?:\s|$)", told), path


@pytest.mark.parametrize("name", SERVICES)
def test_it_is_asked_how_it_is_by_what_answers(name):
    one = container(name)
    if name in {"worker", "scheduler"}:
        for probe in ("startupProbe", "livenessProbe"):
            program, *words = one[probe]["exec"]["command"]
            assert (program, words) == ("couponpress", ["health"])
            check(words, whole=True)
            assert one[probe]["timeoutSeconds"] >= 10
        return
    path = one["readinessProbe"]["httpGet"]["path"]
    paths = {"callback": HEALTH_PATHS, "gateway": {router.url_path_for("health")}, "metrics": {"/metrics"}}
    assert path in paths[name]
    # What answers by asking Redis must not decide whether the process is killed.
    assert "tcpSocket" in one["livenessProbe"] or one["livenessProbe"]["httpGet"]["path"] in HEALTH_PATHS


@pytest.mark.parametrize("name", ["callback", "gateway", "metrics"])
def test_one_port_all_the_way(name):
    (param,) = (param for param in commands()[name].params if param.name == "port")
    words = container(name)["command"]
    assert words[words.index("--port") + 1] == str(param.default)
    assert words[words.index("--host") + 1] == "0.0.0.0"
    assert container(name)["ports"] == [{"name": "http", "containerPort": param.default}]
    service = of_kind("Service")[name]["spec"]
    assert service["ports"] == [{"name": "http", "port": param.default, "targetPort": "http"}]
    assert service["selector"] == labels(name)
    policy = of_kind("NetworkPolicy")[name]["spec"]
    assert policy["podSelector"]["matchLabels"] == labels(name)
    (rule,) = policy["ingress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": param.default}]
    assert ("from" in rule) == (name == "metrics")


def test_what_is_not_named_is_refused_by_the_network():
    policies = of_kind("NetworkPolicy")
    assert policies.keys() == {"couponpress", "calls-out", "callback", "gateway", "metrics"}
    whole = policies["couponpress"]["spec"]
    assert whole["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": "couponpress"}}
    assert whole["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in whole
    assert {port["port"] for rule in whole["egress"] for port in rule["ports"]} == {53, 6379}
    out = policies["calls-out"]["spec"]
    (who,) = out["podSelector"]["matchExpressions"]
    assert {name for name in SERVICES if "couponpress-keys" in SECRETS[name]} == set(who["values"])
    (rule,) = out["egress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 443}]
    assert "169.254.0.0/16" in rule["to"][0]["ipBlock"]["except"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_deployment_stops_gently_and_one_pod_at_a_time(name):
    spec = of_kind("Deployment")[name]["spec"]
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text("utf-8"))
    assert f"{pod(name)['terminationGracePeriodSeconds']}s" == compose["services"][name]["stop_grace_period"] == "30s"
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 1
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"] == labels(name)
    budget = of_kind("PodDisruptionBudget")[name]["spec"]
    assert budget == {"maxUnavailable": 1, "selector": {"matchLabels": labels(name)}}
    resources = container(name)["resources"]
    assert resources["requests"].keys() == {"cpu", "memory"}
    assert resources["limits"].keys() == {"memory"}


def test_the_workers_are_as_many_as_the_limit_keeps_busy():
    comment = re.sub(r"\n# +", " ", (HOME / "worker.yaml").read_text("utf-8"))
    rate, seconds, replicas = re.search(r"= ceil\((\d+) x ([\d.]+) / 0\.7\) \+ 1 = (\d+)", comment).groups()
    limit = parse(settings_file()["COUPONPRESS_RATE"])
    assert int(rate) == limit.amount / limit.get_expiry()
    assert math.ceil(int(rate) * float(seconds) / 0.7) + 1 == int(replicas)
    assert of_kind("Deployment")["worker"]["spec"]["replicas"] == int(replicas)


def test_keda_runs_all_workers_or_none_while_something_is_to_be_sent():
    (component,) = documents("keda/kustomization.yaml")
    assert (component["apiVersion"], component["kind"]) == ("kustomize.config.k8s.io/v1alpha1", "Component")
    (patch,) = component["patches"]
    target = patch["target"]
    assert [one["metadata"]["name"] for one in every_document() if one["kind"] == target["kind"]].count(
        target["name"]
    ) == 1
    (change,) = yaml.safe_load(patch["patch"])
    assert change == {"op": "remove", "path": "/spec/replicas"}
    (name,) = component["resources"]
    (scaled,) = documents(f"keda/{name}")
    assert scaled["metadata"]["labels"] == labels("worker")
    spec = scaled["spec"]
    assert spec["scaleTargetRef"] == {"name": target["name"]}
    replicas = of_kind("Deployment")["worker"]["spec"]["replicas"]
    assert (spec["idleReplicaCount"], spec["minReplicaCount"], spec["maxReplicaCount"]) == (0, replicas, replicas)
    (trigger,) = spec["triggers"]
    states = re.fullmatch(r'sum\(couponpress_specs\{state=~"([a-z|]+)"\}\)', trigger["metadata"]["query"])[1].split("|")
    # What these states add up to is what the fleet itself calls to be sent, and the metric of this name tells them.
    counts = Counts(**{field.name: 10**place for place, field in enumerate(fields(Counts))})
    assert sum(getattr(counts, state) for state in states) == counts.to_send
    (family,) = (one for one in families_of(overview(), [], {}) if one.name == "couponpress_specs")
    assert {sample.labels["state"] for sample in family.samples} >= set(states)
