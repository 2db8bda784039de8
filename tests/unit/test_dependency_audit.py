"""Every locked dependency is looked up for known vulnerabilities on each run of CI."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit_dependencies.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Osv:
    """Answers like OSV, which knows vulnerabilities of some packages."""

    def __init__(self, known: dict[str, list[str]]) -> None:
        self.known = known
        self.asked: list[dict[str, Any]] = []

    def __call__(self, request: dict[str, Any]) -> dict[str, Any]:
        self.asked += request["queries"]
        names = [query["package"]["name"] for query in request["queries"]]
        results = [{"vulns": [{"id": each} for each in self.known.get(name, [])]} for name in names]
        return {"results": [result if result["vulns"] else {} for result in results]}


def test_every_package_that_is_locked_is_looked_up_once(
    audit: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    osv = Osv({})
    assert audit.main([], osv) == 0
    asked = {query["package"]["name"]: query["version"] for query in osv.asked}
    for name in ("layer.txt", "image.txt", "dev.txt"):
        for package, version in re.findall(
            r"^([\w.-]+)==(\S+)", (ROOT / "requirements" / name).read_text(), re.MULTILINE
        ):
            assert package.lower() in asked, version
    javascript = {each["package"]["name"] for each in osv.asked if each["package"]["ecosystem"] == "npm"}
    assert {"preact", "htm", "uplot", "@typescript/typescript-linux-x64"} <= javascript
    assert len(osv.asked) == len({(each["package"]["name"], each["version"]) for each in osv.asked})
    assert "0 with a known vulnerability" in capsys.readouterr().out


def test_a_known_vulnerability_fails_unless_it_is_accepted(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    osv = Osv({"numpy": ["GHSA-1", "GHSA-2"]})
    assert audit.main([], osv) == 1
    assert re.search(r"numpy \d\S*: GHSA-1, GHSA-2", capsys.readouterr().out)
    monkeypatch.setattr(audit, "ACCEPTED", {"GHSA-1": "not used", "GHSA-2": "not used"})
    assert audit.main([], osv) == 0


def test_a_short_answer_or_no_packages_are_no_success(audit: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"OSV: must answer \d+ queries \(got 0 results\)"):
        audit.main([], lambda request: {})
    empty = tmp_path / "empty.txt"
    empty.write_text("# nothing\n")
    with pytest.raises(ValueError, match="must pin at least one package"):
        audit.main([str(empty)], Osv({}))


def test_ci_runs_the_audit() -> None:
    assert "run: make audit" in (ROOT / ".github" / "workflows" / "platform.yml").read_text()
    assert ".ci/audit_dependencies.py" in (ROOT / "Makefile").read_text()
