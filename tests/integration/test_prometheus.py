"""Debian's Prometheus reads a running platform, and its alerts fire under the fault that each is for."""

import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from anc.services.objectives import OBJECTIVES
from anc.settings import Settings
from functions.routes import QUEUES
from local.auth.issuer import Issuer
from local.process import free_port
from tests.observability_files import OBSERVABILITY, RULES, alerts, queries, rules, selected
from tests.processes import PATIENCE_S, Platform, until

pytestmark = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="prometheus and promtool are not installed: apt-get install prometheus",
)
HOURLY = 60  # of work, per minute
AGE = "anc_queue_age_seconds"
RECORDED = {rule["record"] for rule in rules() if "record" in rule}
OBJECTIVE_NAMES = tuple(objective.name for objective in OBJECTIVES)


class Fault(NamedTuple):
    """What an alert is for: increments per minute of some metrics, from `begin` on.

    `until` is when the alert must fire, in minutes after the begin, and `before` when it must not yet. It
    fires once for each objective, if there are any. Only the messages of `queue` grow older.
    """

    increments: dict[str, float]
    until: int
    before: int = 0
    begin: int = 20
    objectives: tuple[str, ...] = ()
    queue: str = ""


def slow(share: float, *names: str) -> dict[str, float]:
    """Return the increments of operations when a share of the durations is above every bound but 10 s."""
    counts = {f"anc_{name}_seconds_count": HOURLY for name in names}
    return counts | {f"anc_{name}_seconds_bucket": HOURLY * (1 - share) for name in names}


FAULTS: dict[str, list[Fault]] = {
    "PlatformDown": [Fault({"up": 0}, 3)],
    "ClassificationFailed": [Fault({"anc_classification_failed_total": 1}, 2)],
    "SnapshotsSlow": [Fault(slow(0.05, "snapshot"), 25, 5)],
    "BlocksSlow": [Fault(slow(0.05, "block"), 25, 5)],
    "RestSlow": [Fault(slow(0.05, "rest"), 25, 5)],
    "LiveOverloaded": [
        Fault({"anc_blocks_late_total": 3}, 10, 2),
        Fault({"anc_frames_overloaded_total": 3}, 10, 2),
    ],
    "PasswordGuessing": [Fault({"anc_sign_ins_refused_total": 15}, 10, 2)],
    "MqttClientsRefused": [
        Fault({"anc_mqtt_refused_tls_total": 8}, 10, 2),
        Fault({"anc_mqtt_refused_client_total": 8}, 10, 2),
    ],
    "EmergenciesUnusual": [Fault({"anc_emergencies_raised_total": 2}, 15, 5)],
    "RestFailed": [Fault({"anc_refused_failed_total": 2}, 5, 1)],
    "QueueBehind": [
        Fault({AGE: 60}, 40 if route.name == "recordings" else 6, 2, queue=route.name) for route in QUEUES
    ],
    "DeadLetters": [Fault({f"anc_messages_dead_{route.name}_total": 0.2}, 12) for route in QUEUES],
    "BudgetBurnsFast": [
        Fault(slow(0.3, *OBJECTIVE_NAMES), 60, 2, 70, OBJECTIVE_NAMES),
        Fault(
            {"anc_blocks_failed_total": HOURLY, "anc_messages_dead_updates_total": HOURLY},
            60,
            0,
            70,
            ("block_answer", "snapshot_shadow"),
        ),
    ],
    "BudgetBurnsSlowly": [Fault(slow(0.4, *OBJECTIVE_NAMES), 79, 0, 150, OBJECTIVE_NAMES)],
}
# Which alerts the faults of an alert may start as well; every other one must stay silent.
ALSO = {
    "BudgetBurnsFast": {"BudgetBurnsSlowly", "DeadLetters"},
    "BudgetBurnsSlowly": {"BudgetBurnsFast"},
}


def series(fault: Fault, minutes: int) -> list[dict[str, str]]:
    """Return all metrics of the rules for promtool; what is not in the fault is fast and succeeds."""

    def values(name: str, usual: float) -> str:
        rest = minutes - fault.begin - 1
        if name == "up":
            return f"1+0x{fault.begin} {fault.increments.get(name, 1):g}+0x{rest}"
        increment = fault.increments.get(name, usual)
        return f"0+{usual:g}x{fault.begin} {usual * fault.begin + increment:g}+{increment:g}x{rest}"

    found = []
    for name in sorted({metric for rule in rules() for metric in selected(rule["expr"])} - RECORDED):
        work = HOURLY if "_seconds_" in name else 0
        if name == AGE:
            for route in QUEUES:
                aging = values(name, 0) if route.name == fault.queue else f"0+0x{minutes}"
                found.append({"series": f'{name}{{queue="{route.name}"}}', "values": aging})
            continue
        if not name.endswith("_bucket"):
            label = '{job="anc"}' if name == "up" else ""
            found.append({"series": name + label, "values": values(name, work)})
            continue
        named = {part for rule in rules() if name in rule["expr"] for part in rule["expr"].split('"')[1::2]}
        bounds = sorted(named) or ["0.01", "10.0"]
        found += [{"series": f'{name}{{le="{bound}"}}', "values": values(name, work)} for bound in bounds]
        found.append({"series": f'{name}{{le="+Inf"}}', "values": f"0+{work}x{minutes}"})
    return found


def expectation(rule: dict[str, Any], minute: int, fault: Fault | None) -> dict[str, Any]:
    """Return that an alert fires at a minute for a fault, or without one that it does not."""
    test: dict[str, Any] = {"eval_time": f"{minute}m", "alertname": rule["alert"], "exp_alerts": []}
    own = {"job": "anc"} if rule["alert"] == "PlatformDown" else {}
    for objective in (fault.objectives or ("",)) if fault else ():
        queue = fault.queue if fault else ""
        named = {name: value for name, value in (("objective", objective), ("queue", queue)) if value}
        annotations = dict(rule["annotations"])
        for name, value in named.items():
            annotations = {
                key: text.replace(f"{{{{ $labels.{name} }}}}", value) for key, text in annotations.items()
            }
        labels = rule["labels"] | own | named
        test["exp_alerts"].append({"exp_labels": labels, "exp_annotations": annotations})
    return test


def unit_test(rule: dict[str, Any], fault: Fault) -> dict[str, Any]:
    """Return the test of promtool that an alert fires under its fault, not before it, and no other does."""
    possible = {rule["alert"]} | ALSO.get(rule["alert"], set())
    minute = fault.begin + fault.until
    return {
        "interval": "1m",
        "name": f"{rule['alert']} {fault.increments}",
        "input_series": series(fault, minute + 1),
        "alert_rule_test": [
            expectation(rule, fault.begin - 1, None),
            *([expectation(rule, fault.begin + fault.before, None)] if fault.before else []),
            expectation(rule, minute, fault),
            *(expectation(other, minute, None) for other in alerts() if other["alert"] not in possible),
        ],
    }


def promtool(*arguments: str, text: str = "") -> str:
    """Run promtool and return its output; fail with it."""
    done = subprocess.run(["promtool", *arguments], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.thorough
def test_every_alert_fires_under_its_fault_and_only_then(tmp_path: Path) -> None:
    assert set(FAULTS) == {rule["alert"] for rule in alerts()}
    tests = [unit_test(rule, fault) for rule in alerts() for fault in FAULTS[rule["alert"]]]
    document = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(document))

    assert "SUCCESS" in promtool("test", "rules", str(tmp_path / "test.yml"))


def test_no_alert_fires_on_a_healthy_platform_or_an_idle_one(tmp_path: Path) -> None:
    silent = [expectation(rule, minute, None) for rule in alerts() for minute in (1, 59)]
    busy = series(Fault({}, 0), 60)
    idle = [each | {"values": "1+0x60" if "up{" in each["series"] else "0+0x60"} for each in busy]
    tests = [{"interval": "1m", "input_series": state, "alert_rule_test": silent} for state in (busy, idle)]
    document = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(document))

    assert "SUCCESS" in promtool("test", "rules", str(tmp_path / "test.yml"))


def test_promtool_accepts_the_rules_and_the_configuration(tmp_path: Path) -> None:
    shutil.copytree(OBSERVABILITY, tmp_path / "observability")
    (tmp_path / "observability" / "anc.key").write_text("key")
    promtool("check", "config", str(tmp_path / "observability" / "prometheus.yml"))


class Prometheus:
    """A Prometheus on a free port, with the shipped configuration, that scrapes a platform every second."""

    def __init__(self, folder: Path, platform: Platform, key: str) -> None:
        shutil.copytree(OBSERVABILITY, folder)
        (folder / "anc.key").write_text(key)
        (folder / "targets.yml").write_text(yaml.safe_dump([{"targets": [f"127.0.0.1:{platform.port}"]}]))
        configuration = (folder / "prometheus.yml").read_text()
        (folder / "prometheus.yml").write_text(configuration.replace("15s", "1s"))
        self.address = f"127.0.0.1:{free_port()}"
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address={self.address}",
                ],
                stderr=log,
            )

    def get(self, path: str, **parameters: str) -> Any:
        """Return the data of a response of the HTTP API, or None while it is starting."""
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
                return json.load(answer)["data"]
        except OSError:
            return None

    def value(self, query: str) -> float | None:
        """Return the value of a query with one result."""
        found = self.get("query", query=query)
        return float(found["result"][0]["value"][1]) if found and found["result"] else None

    def stop(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.wait(PATIENCE_S)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    running = Platform(tmp_path_factory.mktemp("platform"))
    yield running
    running.kill()


@pytest.fixture(scope="module")
def key(platform: Platform) -> str:
    """Create the API key that the documentation describes."""
    platform.tokens["root"] = Issuer(platform.data, Settings()).issue("root", "admin")
    wanted = {"name": "prometheus", "role": "admin", "scopes": ["stats:read"]}
    status, made = platform.request("POST", "/api/users/me/keys", wanted, user="root")
    assert status == 201, made
    return str(made["key"])


@pytest.fixture(scope="module")
def prometheus(
    tmp_path_factory: pytest.TempPathFactory, platform: Platform, key: str
) -> Iterator[Prometheus]:
    running = Prometheus(tmp_path_factory.mktemp("prometheus") / "observability", platform, key)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def exposed(platform: Platform, key: str) -> str:
    """Return the metrics of the platform as text."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{platform.port}/metrics", headers={"Authorization": f"Bearer {key}"}
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        return str(answer.read().decode())


def test_promtool_finds_no_fault_in_the_metrics(exposed: str) -> None:
    assert promtool("check", "metrics", text=exposed) == ""


def test_labels_are_the_bounds_of_histograms_and_the_names_of_queues(exposed: str) -> None:
    families = [*text_string_to_metric_families(exposed)]
    labels = [label for family in families for sample in family.samples for label in sample.labels.items()]

    assert {name for name, _ in labels} == {"le", "queue"}
    assert {value for name, value in labels if name == "queue"} == {route.name for route in QUEUES}
    assert sum(len(family.samples) for family in families) < 400
    assert all(family.documentation for family in families)


def test_prometheus_scrapes_every_metric_that_a_rule_or_a_panel_uses(prometheus: Prometheus) -> None:
    until(lambda: prometheus.value('up{job="anc"}') == 1 or None)
    needed = {name for query in queries() for name in selected(query)} - RECORDED
    until(lambda: needed <= set(prometheus.get("label/__name__/values") or ()))

    loaded = prometheus.get("rules")["groups"]
    assert {rule["name"] for group in loaded for rule in group["rules"]} == {
        rule.get("alert") or rule["record"] for rule in rules()
    }
    until(lambda: {rule["health"] for rule in health(prometheus)} == {"ok"})


def health(prometheus: Prometheus) -> list[dict[str, Any]]:
    return [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]


def test_a_fault_of_a_running_platform_is_seen_by_its_alert(
    platform: Platform, prometheus: Prometheus
) -> None:
    """The first refused sign-in of a platform counts, because its counter starts at 0."""
    until(lambda: prometheus.value("anc_sign_ins_refused_total") == 0 or None)
    refused, _ = platform.request("POST", "/api/auth/token", {"username": "nobody", "password": "wrong"})
    assert refused == 401
    until(lambda: (prometheus.value("increase(anc_sign_ins_refused_total[1m])") or 0) > 0)

    platform.kill()
    until(lambda: prometheus.value('ALERTS{alertname="PlatformDown", alertstate="pending"}') == 1 or None)
