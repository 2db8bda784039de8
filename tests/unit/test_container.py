"""Image, compose file and Kubernetes manifests are valid, run without root, and keep one volume."""

import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import jsonschema_rs
import pytest
import yaml

from local.configuration import LaunchSettings, unknown_names
from tests.compressed import compressed, pink
from tests.published_schemas import published_schema

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CONTAINERFILE = DEPLOY / "container" / "Containerfile"
COMPOSE = DEPLOY / "compose" / "compose.yaml"
KUBERNETES = DEPLOY / "kubernetes"
PROGRAMS = Path(sys.executable).parent
KUBERNETES_VERSION = "1.34"
ACCOUNT = 10001


def document(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def manifests() -> Iterator[dict[str, Any]]:
    for name in document(KUBERNETES / "kustomization.yaml")["resources"]:
        yield from yaml.safe_load_all((KUBERNETES / name).read_text())


def manifest(kind: str) -> dict[str, Any]:
    (found,) = (each for each in manifests() if each["kind"] == kind)
    return found


@pytest.fixture(scope="module")
def pod() -> dict[str, Any]:
    spec: dict[str, Any] = manifest("StatefulSet")["spec"]["template"]["spec"]
    return spec


@pytest.fixture(scope="module")
def container(pod: dict[str, Any]) -> dict[str, Any]:
    (only,) = pod["containers"]
    assert isinstance(only, dict)
    return only


def instructions(name: str) -> list[str]:
    """Return the arguments of an instruction in the last stage of the image."""
    last = CONTAINERFILE.read_text().replace("\\\n", " ").rpartition("\nFROM ")[2]
    return re.findall(rf"^{name} +(.*)$", last, re.MULTILINE)


def test_a_linter_accepts_the_image() -> None:
    done = subprocess.run([PROGRAMS / "hadolint", CONTAINERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_the_image_has_one_volume_a_health_check_and_no_root() -> None:
    assert instructions("USER") == [f"{ACCOUNT}:{ACCOUNT}"]
    assert instructions("VOLUME") == ["/data"]
    assert instructions("STOPSIGNAL") == ["SIGTERM"]
    assert len(instructions("HEALTHCHECK")) == 1


def test_the_image_has_nothing_of_the_system_but_what_python_needs() -> None:
    assert re.findall(r"^FROM (\S+)", CONTAINERFILE.read_text(), re.MULTILINE)[-1] == "scratch"
    closure = runpy.run_path(str(DEPLOY / "container" / "root.py"))["closure"]
    depends = {
        "base-files": "awk",
        "ca-certificates": "openssl (>= 1.1.1), debconf (>= 0.5) | debconf-2.0",
        "debconf": "",
        "libc6": "libgcc-s1",
        "libgcc-s1": "libc6",
        "libstdc++6": "libc6 (>= 2.38), libgcc-s1 (>= 4.2)",
        "openssl": "libssl3t64",
        "python3": "python3.13 (>= 3.13.3-1~), libpython3-stdlib:any (= 3.13.3-1)",
        "python3.13": "mailcap | media-types, tzdata",
        "libpython3-stdlib": "",
        "media-types": "",
        "tzdata": "debconf (>= 0.5) | debconf-2.0",
    }
    fields = {"Depends": depends, "Pre-Depends": dict.fromkeys(depends, "")}
    closure.__globals__["fields"] = fields.__getitem__
    assert closure() == sorted(set(depends) - {"debconf", "openssl"})


@pytest.mark.parametrize(
    ("path", "unused"),
    [
        ("/usr/share/doc/libc6/copyright", False),
        ("/usr/share/doc/libc6/changelog.gz", True),
        ("/usr/share/man/man1/python3.1.gz", True),
        ("/usr/lib/x86_64-linux-gnu/gconv/BIG5.so", True),
        ("/usr/lib/x86_64-linux-gnu/libc.so.6", False),
        ("/usr/lib/python3.13/test/support", True),
        ("/usr/lib/python3.13/unittest/case.py", False),
    ],
)
def test_of_documentation_the_image_has_only_licenses(path: str, unused: bool) -> None:
    pattern = runpy.run_path(str(DEPLOY / "container" / "root.py"))["UNUSED"]
    assert bool(pattern.match(path)) is unused


def test_the_image_can_send_traces() -> None:
    installed = (ROOT / "requirements" / "image.txt").read_text()
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["traces"]
    assert all(f"\n{re.split('[><=]', name)[0]}==" in installed for name in extra)


@pytest.mark.skipif(not all(map(shutil.which, ("gcc", "nm", "strip"))), reason="gcc or binutils is missing")
@pytest.mark.parametrize(("container", "codec"), [("ipod", "aac"), ("webm", "libopus")])
def test_ffmpeg_decodes_sound_without_its_codecs_of_video(tmp_path: Path, container: str, codec: str) -> None:
    sound = tmp_path / "sound"
    sound.write_bytes(compressed(pink(2.0, 48_000), 48_000, container, codec))
    installed = Path(av.__file__).parents[1]
    for name in ("av", "av.libs"):
        shutil.copytree(installed / name, tmp_path / "packages" / name)
    pruning = runpy.run_path(str(DEPLOY / "container" / "prune.py"))
    for step in ("strip", "replace_video"):
        pruning[step](tmp_path / "packages")

    codecs = [file for name in pruning["VIDEO"] for file in (tmp_path / "packages/av.libs").glob(name)]
    assert len(codecs) == len(pruning["VIDEO"])
    assert sum(file.stat().st_size for file in codecs) < 100_000
    code = "import av; from tools.cli.main import app; assert 'packages/av' in av.__file__; app()"
    done = subprocess.run(
        [sys.executable, "-c", code, "classify", "sound", "--json"],
        cwd=tmp_path,
        env={"PYTHONPATH": f"packages:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_image_sets_only_settings_of_the_platform() -> None:
    (line,) = instructions("ENV")
    names = dict(pair.split("=") for pair in line.split())
    own = {name: value for name, value in names.items() if name.startswith("ANC_")}
    assert own["ANC_DATA"].startswith("/data/")
    assert list(unknown_names(own)) == []
    LaunchSettings.from_env(own)


def test_the_build_gets_every_file_that_it_copies_and_no_other_folder() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert "*" in (ROOT / ".dockerignore").read_text().splitlines()
    assert {name for name in allowed if not (ROOT / name).exists()} == set()
    assert not {"tests", "docs", "infra", ".git"} & allowed
    used = set(
        re.findall(r"include=\[([^]]+)\]", (ROOT / "setup.py").read_text())[0].replace('"', "").split(", ")
    )
    assert {name.removesuffix("*") for name in used} <= allowed


def test_the_image_keeps_the_descriptions_of_all_aws_services_that_are_called() -> None:
    services = runpy.run_path(str(DEPLOY / "container" / "prune.py"))["SERVICES"]
    code = "".join(
        path.read_text() for folder in ("layers", "local", "tools") for path in (ROOT / folder).rglob("*.py")
    )
    called = set(re.findall(r"\b(?:client|_storage)\(\s*\"([a-z0-9-]+)\"", code))
    assert called == services


def test_pruning_removes_what_is_not_used_and_keeps_the_rest(tmp_path: Path) -> None:
    kept = [
        "botocore/data/s3/x.json",
        "botocore/data/endpoints.json",
        "numpy/testing/a.py",
        "numpy/a.so",
        "pygments/lexers/__init__.py",
        "pygments/lexers/python.py",
    ]
    removed = [
        "botocore/data/ec2/x.json",
        "numpy/tests/a.py",
        "numpy/lib/tests/data/a",
        "numpy/a.pyi",
        "numpy/f2py/a.py",
        "PIL/_avif.pyi",
        "pygments/lexers/perl.py",
        "pip/a.py",
    ]
    for name in (*kept, *removed):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    runpy.run_path(str(DEPLOY / "container" / "prune.py"))["prune"](tmp_path)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == set(kept)


def test_the_compose_file_follows_its_schema() -> None:
    jsonschema_rs.validate(published_schema("compose-spec"), document(COMPOSE))


def test_the_health_check_survives_every_way_to_build_the_image() -> None:
    """An image that Podman builds in its own format has none, and Prometheus waits for it."""
    page = (ROOT / "docs" / "install.md").read_text()
    workflows = [path.read_text() for path in (ROOT / ".github" / "workflows").glob("*.yml")]
    builds = re.findall(r"podman build .*", "\n".join([page, CONTAINERFILE.read_text(), *workflows]))
    assert len(builds) == 4
    assert all("--format docker" in build for build in builds)
    services = document(COMPOSE)["services"]
    waiting = [each["depends_on"] for each in services.values() if isinstance(each.get("depends_on"), dict)]
    assert waiting == [{"anc": {"condition": "service_healthy"}}]
    (of_image,) = instructions("HEALTHCHECK")
    of_compose = services["anc"]["healthcheck"]
    for name, option in (("interval", "interval"), ("timeout", "timeout"), ("start_period", "start-period")):
        assert f"--{option}={of_compose[name]}" in of_image
    assert of_compose["test"][:2] == ["CMD", "python3"]
    assert "/health" in of_compose["test"][-1]


def test_services_of_the_compose_file_are_confined() -> None:
    for name, service in document(COMPOSE)["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges"], name
        assert "mem_limit" in service, name
        assert all(port.startswith("${ANC_LISTEN:-127.0.0.1}:") for port in service.get("ports", ())), name
        assert "build" in service or re.search(r":v?\d+\.\d+\.\d+$", service["image"]), name


def test_the_compose_file_mounts_files_that_exist_where_their_readers_expect_them() -> None:
    services = document(COMPOSE)["services"]
    mounts: dict[str, Path] = {}
    for service in services.values():
        for source, target in (each.split(":")[:2] for each in service["volumes"]):
            if source.startswith("."):
                mounts[target] = (COMPOSE.parent / source).resolve()
    assert [str(path) for path in mounts.values() if not path.exists()] == []
    scraping = document(mounts["/etc/prometheus/prometheus.yml"])
    (job,) = scraping["scrape_configs"]
    (secret,) = services["prometheus"]["secrets"]
    assert f"/etc/prometheus/{job['authorization']['credentials_file']}" == secret["target"]
    for name in (
        *job["file_sd_configs"][0]["files"],
        *(rule.partition("/")[0] for rule in scraping["rule_files"]),
    ):
        assert f"/etc/prometheus/{name}" in mounts
    assert document(mounts["/etc/prometheus/targets.yml"]) == [{"targets": ["anc:8080"]}]
    provisioning = mounts["/etc/grafana/provisioning"]
    (provider,) = document(next((provisioning / "dashboards").glob("*.yml")))["providers"]
    assert provider["options"]["path"] in mounts
    assert re.search(r"\$\{?PROMETHEUS_URL", next((provisioning / "datasources").glob("*.yml")).read_text())
    assert services["grafana"]["environment"]["PROMETHEUS_URL"] == "http://prometheus:9090"


def validate_manifest(manifest: Any) -> None:
    # Every worker collects this file, and jsonschema takes two seconds to import.
    from kubernetes_validate import validate  # noqa: PLC0415

    validate(manifest, KUBERNETES_VERSION, strict=True)


def test_the_manifests_follow_the_schemas_of_kubernetes() -> None:
    for each in manifests():
        validate_manifest(each)
    listed = set(document(KUBERNETES / "kustomization.yaml")["resources"])
    assert {path.name for path in KUBERNETES.iterdir()} == listed | {"kustomization.yaml"}


def test_a_wrong_field_of_a_manifest_is_found() -> None:
    wrong = manifest("StatefulSet")
    wrong["spec"]["template"]["spec"]["containers"][0]["readinessProb"] = {}
    with pytest.raises(Exception, match="readinessProb"):
        validate_manifest(wrong)


def test_the_pod_has_no_rights_and_one_volume(pod: dict[str, Any], container: dict[str, Any]) -> None:
    assert pod["automountServiceAccountToken"] is False
    assert manifest("ServiceAccount")["automountServiceAccountToken"] is False
    security = pod["securityContext"]
    assert (security["runAsNonRoot"], security["runAsUser"], security["fsGroup"]) == (True, ACCOUNT, ACCOUNT)
    assert security["fsGroupChangePolicy"] == "OnRootMismatch"
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert manifest("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    claims = manifest("StatefulSet")["spec"]["volumeClaimTemplates"]
    assert [claim["metadata"]["name"] for claim in claims] == ["data"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts == {"data": "/data", "tmp": "/tmp"}
    assert manifest("StatefulSet")["spec"]["replicas"] == 1


def test_ports_probes_and_limits_are_those_of_the_image(container: dict[str, Any]) -> None:
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert instructions("EXPOSE") == [" ".join(map(str, ports.values()))]
    service = manifest("Service")["spec"]["ports"]
    assert {port["targetPort"]: port["port"] for port in service} == ports
    assert {probe for probe in container if probe.endswith("Probe")} == {
        "startupProbe",
        "readinessProbe",
        "livenessProbe",
    }
    assert container["livenessProbe"]["httpGet"]["path"] != "/health", (
        "a full disk would restart the pod forever"
    )
    assert set(container["resources"]["limits"]) == {"cpu", "memory", "ephemeral-storage"}


def test_labels_of_service_policy_and_set_select_the_pod() -> None:
    labels = manifest("StatefulSet")["spec"]["template"]["metadata"]["labels"]
    assert manifest("StatefulSet")["spec"]["selector"]["matchLabels"] == labels
    assert manifest("Service")["spec"]["selector"] == labels
    policy = manifest("NetworkPolicy")["spec"]
    assert policy["podSelector"]["matchLabels"] == labels
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    rest = next(rule for rule in policy["ingress"] if rule["ports"][0]["port"] == "http")
    assert rest["from"], "REST is open to every namespace"


def test_links_of_services_do_not_replace_settings(pod: dict[str, Any]) -> None:
    # Kubernetes would set ANC_PORT to a URL for a service that is called anc
    assert pod["enableServiceLinks"] is False
