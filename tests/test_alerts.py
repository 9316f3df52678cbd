"""The alert rules and the dashboard: each rule fires and clears, and both name metrics that exist."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from couponpress.metrics.families import families_of
from tests.builders import overview
from tests.pages import ROOT, anchors

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yaml"
DASHBOARD = DEPLOY / "grafana" / "couponpress.json"
#: How long it is bad, and then how long it is good, minutes.
BAD, GOOD = 120, 120


def constant(bad, good):
    return f"{bad}x{BAD} {good}x{GOOD}"


def growing(bad, good):
    """A counter that grows by so much a minute."""
    return f"0+{bad}x{BAD} {bad * BAD}+{good}x{GOOD}"


UP = {"couponpress_redis_up": constant(1, 1)}
DONE = 'couponpress_callbacks_total{result="done"}'
CALLS = "couponpress_http_client_request_duration_seconds"
SUBMIT = 'operation="submit"'
CONFIGURED = f"couponpress_rate_limit_configured_requests_per_second{{{SUBMIT}}}"
EFFECTIVE = f"couponpress_rate_limit_effective_requests_per_second{{{SUBMIT}}}"
#: Of each alert: the series with which it fires for two hours and then clears.
CASES = {
    "CouponpressMetricsAbsent": {"couponpress_redis_up": f"_x{BAD} 1x{GOOD}"},
    "CouponpressRedisAway": {"couponpress_redis_up": constant(0, 1)},
    "CouponpressRedisNearlyFull": {
        "couponpress_redis_memory_used_bytes": constant(95, 50),
        "couponpress_redis_memory_max_bytes": constant(100, 100),
    },
    "CouponpressRedisUnsafe": {"couponpress_redis_troubles": constant(1, 0)},
    "CouponpressNoWorker": {
        'couponpress_specs{state="waiting"}': constant(5, 5),
        'couponpress_processes{role="worker"}': constant(0, 1),
    },
    "CouponpressWorkerStuck": {'couponpress_workers{state="stuck"}': constant(1, 0)},
    "CouponpressSpecWaitsLong": {
        'couponpress_oldest_spec_age_seconds{lane="urgent"}': constant(900, 1),
        'couponpress_holds{kind="partner"}': constant(0, 0),
    },
    "CouponpressHeld": {'couponpress_holds{kind="brand"}': constant(1, 0)},
    "CouponpressPlatformDown": {"couponpress_breaker_open": constant(1, 0)},
    "CouponpressThrottled": {CONFIGURED: constant(500, 500), EFFECTIVE: constant(200, 488)},
    "CouponpressRateBound": {
        CONFIGURED: constant(500, 500),
        "couponpress_rate_window_peak_requests": constant(520, 499),
    },
    "CouponpressSpecsRejected": {
        'couponpress_specs_finished_total{outcome="rejected",code="NO_AUTH"}': growing(30, 0),
        'couponpress_specs_finished_total{outcome="succeeded",code=""}': growing(70, 70),
    },
    "CouponpressCallsFail": {
        f'{CALLS}_count{{{SUBMIT},error_type="502"}}': growing(20, 0),
        f'{CALLS}_count{{{SUBMIT},error_type=""}}': growing(80, 100),
    },
    "CouponpressCallsSlow": {
        f'{CALLS}_bucket{{{SUBMIT},le="5.0"}}': growing(50, 100),
        f'{CALLS}_bucket{{{SUBMIT},le="10.0"}}': growing(100, 100),
        f'{CALLS}_bucket{{{SUBMIT},le="+Inf"}}': growing(100, 100),
    },
    "CouponpressPicturesLate": {"couponpress_oldest_unanswered_age_seconds": constant(4000, 10)},
    "CouponpressCallbacksSilent": {'couponpress_specs{state="accepted"}': constant(5000, 5000), DONE: growing(0, 9)},
    "CouponpressDeadLetters": {"couponpress_dead_letter_chunks": constant(2, 0)},
    # promtool's clock begins at 1970, so the last success lies before it until a new one comes.
    "CouponpressScheduleLate": {
        'couponpress_schedule_last_success_timestamp_seconds{schedule="nightly"}': constant(-100_000, 7200)
    },
}


def known_names():
    """Every name that a scrape can show."""
    names = set()
    for family in families_of(overview(), [], {}):
        if family.type == "histogram":
            names |= {f"{family.name}_{end}" for end in ("bucket", "sum", "count")}
        else:
            names.add(family.name + ("_total" if family.type == "counter" else ""))
    return names


def named(text):
    return set(re.findall(r"\bcouponpress_[a-z_]+", text))


def rules():
    return dict(re.findall(r"^ +- alert: (\w+)\n((?: {8}.*\n?)+)", RULES.read_text(encoding="utf-8"), re.MULTILINE))


def test_every_rule_has_its_case_and_its_cure():
    assert rules().keys() == CASES.keys()
    for name, rule in rules().items():
        assert re.search(r"^ {10}summary: .+$", rule, re.MULTILINE), name
        assert re.search(r"^ {10}cure: .+$", rule, re.MULTILINE), name
        assert re.search(r"^ {8}labels: \{severity: (critical|warning)\}$", rule, re.MULTILINE), name


def test_every_rule_names_a_page_that_says_more():
    for name, rule in rules().items():
        ((page, anchor),) = re.findall(r"^ {10}page: ([\w/.]+)(?:#([\w-]+))?$", rule, re.MULTILINE)
        assert not anchor or anchor in anchors(page), name
        assert (ROOT / page).exists(), name


def test_rules_and_dashboard_name_metrics_that_exist():
    assert named(RULES.read_text(encoding="utf-8")) <= known_names()
    shown = named(DASHBOARD.read_text(encoding="utf-8"))
    assert shown <= known_names()
    assert len(shown) > 15


def test_the_dashboard_is_whole():
    told = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    panels = [panel for panel in told["panels"] if panel["type"] != "row"]
    assert all(panel["title"] and panel["description"] and panel["targets"] for panel in panels)
    assert len({panel["id"] for panel in told["panels"]}) == len(told["panels"])
    places = [tuple(panel["gridPos"][name] for name in "xywh") for panel in told["panels"]]
    taken = [(x + i, y + j) for x, y, w, h in places for i in range(w) for j in range(h)]
    assert len(taken) == len(set(taken)), "two panels lie on each other"
    assert all(x + w <= 24 for x, _, w, _ in places)


def firing(alert, minutes, samples):
    return {
        "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)',
        "eval_time": f"{minutes}m",
        "exp_samples": [{"labels": "{}", "value": samples}],
    }


@pytest.fixture(scope="module")
def promtool():
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("NO PROMTOOL: the alert rules are not tested; install Debian's package `prometheus`")
    return found


def test_prometheus_takes_its_configuration(promtool):
    done = subprocess.run(
        [promtool, "check", "config", "--lint-fatal", str(DEPLOY / "prometheus" / "prometheus.yaml")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", CASES)
def test_each_alert_fires_and_clears(alert, promtool, tmp_path):
    series = CASES[alert] if "couponpress_redis_up" in CASES[alert] else UP | CASES[alert]
    case = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [firing(alert, BAD - 1, 1), firing(alert, BAD + GOOD - 1, 0)],
    }
    # The other rules would take most of the time. JSON is YAML as well.
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    own = [group | {"rules": [rule for rule in group["rules"] if rule["alert"] == alert]} for group in groups]
    (tmp_path / "rules.yaml").write_text(json.dumps({"groups": own}), encoding="utf-8")
    told = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [case]}
    path = tmp_path / "test.yaml"
    path.write_text(json.dumps(told), encoding="utf-8")
    done = subprocess.run(
        [promtool, "test", "rules", str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
