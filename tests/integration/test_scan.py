"""`builder scan` with the real Trivy, a small real database, and an image with zed's packages."""

from __future__ import annotations

import json
import re
import subprocess
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
import requests
from oras.client import OrasClient

from builder import pipeline, scan
from builder.advisories.model import PYTHON, Advisory, Affected, Severity
from builder.errors import MachineError, PolicyError
from builder.platforms import Platform, native
from builder.registry.repository import Repository
from builder.scan import ScanOptions, trivy
from tests.integration import advisories
from tests.integration.advisories import DEBIAN
from tests.integration.clouds import docker, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
from tests.integration.scans import REGISTRY, Bench, fill, options, project, reference, write

ELSEWHERE = "registry.example:5000"
NOW = datetime.now(UTC)
TODAY = NOW.date()
# A key of the form that Amazon gives out; this one it never gave out.
SECRET = "aws_access_key_id = AKIA" + "2E0A8F3B244C9986\n"
BLOCKING = ("CVE-2023-25577", "CVE-2023-50782", "CVE-2023-5363")


BACKPORT = """\
Advisories: CVE-2030-0003, OSSA-2030-003
Package: keystone
Releases: zed
Upstream: https://review.example/3

--- a/keystone/x.py
+++ b/keystone/x.py
@@ -1 +1 @@
-open
+shut
"""


def exception(number: str, **given: Any) -> dict[str, Any]:
    reason = "nothing of ours calls the function"
    return {"id": number, "reason": reason, "expires": TODAY.isoformat(), **given}


@pytest.fixture(scope="module")
def versions(versions: dict[str, str]) -> dict[str, str]:
    """The lock's, but for two that it had before they were fixed."""
    return {**versions, "werkzeug": "2.2.2", "cryptography": "36.0.2"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, versions: dict[str, str]) -> Iterator[Bench]:
    with project(tmp_path_factory.mktemp("scan") / "project", versions, BACKPORT) as bench:
        yield bench


@pytest.fixture
def bench(built: Bench) -> Iterator[Bench]:
    """With the default policy."""
    yield built
    (built.root / "policy.yaml").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return advisories.write(tmp_path_factory.mktemp("database"), NOW)


def test_without_a_database_it_is_not_scanned_and_says_so(bench: Bench) -> None:
    done = bench.scan()
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("scan: not scanned: no vulnerability database (no secrets)\n\n")
    assert re.search(r"^keystone +not scanned ", done.stdout, re.MULTILINE)
    assert "not scanned: no vulnerability database (" in done.stderr
    directory = bench.newest()
    attached = json.loads((directory.parent / "evidence/keystone/scan.json").read_bytes())
    assert attached["scanner"]["result"] == {"status": "not scanned: no vulnerability database"}
    (run,) = json.loads((directory / "scan.sarif").read_bytes())["runs"]
    assert run["invocations"][0]["executionSuccessful"] is False
    assert "not scanned: no vulnerability database" in (directory / "scan.html").read_text()
    found = json.loads((directory / "scan.json").read_bytes())["releases"][0]
    assert (found["scanned"], found["database"]) == (False, "")
    assert {each["id"] for each in found["findings"]} == {"DS-0026"}  # no HEALTHCHECK


def test_for_another_registry_that_fails_before_anything_is_done(bench: Bench) -> None:
    done = bench.scan("--registry", ELSEWHERE)
    assert (done.returncode, done.stdout) == (4, "")
    assert "error: nothing for registry.example:5000 passes unscanned: no vulnerab" in done.stderr
    assert "--allow-missing-database" in done.stderr


@contextmanager
def served(bench: Bench, directory: Path) -> Iterator[str]:
    """The database as an artifact in the registry."""
    path = directory / "db.tar.gz"
    path.write_bytes(advisories.archive(NOW))
    reference = f"{REGISTRY}/{bench.namespace}/trivy-db:2"
    kind = "application/vnd.aquasec.trivy.db.layer.v1.tar+gzip"
    client = OrasClient(insecure=True)
    client.push(target=reference, files=[f"{path}:{kind}"], disable_path_validation=True)
    yield reference
    repository = Repository(reference.removesuffix(":2"))
    found = repository.manifest("2")
    assert found
    repository.delete(found.digest)


def test_a_database_from_a_registry_finds_what_is_in_the_lock(
    bench: Bench, versions: dict[str, str], tmp_path: Path
) -> None:
    with served(bench, tmp_path) as reference:
        done = bench.scan("--db-repository", reference)
    assert done.returncode == 4, done.stderr
    assert "error: zed: the policy blocks 3 findings:" in done.stderr
    werkzeug = f"CVE-2023-25577 HIGH: werkzeug {versions['werkzeug']}, fixed in 2.2.3"
    for line in (werkzeug, "libssl3 3.0.11-1~deb12u1, fixed in 3.0.11-1~deb12u2"):
        assert line in done.stdout
        assert line in done.stderr
    assert re.search(r"^keystone +0 +0 +1 +3 +1 +0 +0 +0$", done.stdout, re.MULTILINE)
    assert f"blocked: 5 vulnerabilities, no secrets, by the database of {TODAY}" in done.stdout
    (release,) = json.loads((bench.newest() / "scan.json").read_bytes())["releases"]
    verdicts = {
        each["id"]: each["verdict"]
        for each in release["findings"]
        if each["kind"] == "vulnerability"
    }
    expected = dict.fromkeys(BLOCKING, "blocked")
    assert verdicts == expected | {"CVE-2024-22195": "reported", "CVE-2023-45853": "reported"}


class Overloaded(BaseHTTPRequestHandler):
    """Answers as a registry that has had enough."""

    def do_GET(self) -> None:
        body = b'{"errors": [{"code": "TOOMANYREQUESTS", "message": "retry-after: 1s"}]}'
        self.send_response(429)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def test_the_next_repository_is_asked_when_one_is_overloaded(bench: Bench, tmp_path: Path) -> None:
    with served(bench, tmp_path) as reference, HTTPServer(("127.0.0.1", 0), Overloaded) as busy:
        Thread(target=busy.serve_forever, daemon=True).start()
        first = f"127.0.0.1:{busy.server_port}/aquasecurity/trivy-db:2"
        alone = bench.found("--db-repository", first)
        found = bench.found("--db-repository", first, "--db-repository", reference, code=4)
        busy.shutdown()
    assert "it could not be fetched" in alone["status"]
    assert found["status"].startswith("blocked: 5 vulnerabilities")


def test_a_registry_without_one_leaves_it_not_scanned(bench: Bench) -> None:
    found = bench.found("--db-repository", f"{REGISTRY}/{bench.namespace}/nothing:2")
    assert found["status"].startswith(
        "not scanned: no vulnerability database: it could not be fetched"
    )


def test_an_old_database_counts_as_none(bench: Bench, tmp_path: Path) -> None:
    updated = NOW - timedelta(days=7, minutes=1)
    advisories.write(tmp_path / "db", updated)
    given = ("--registry", ELSEWHERE, "--db-dir", tmp_path / "db")
    why = f"the vulnerability database is of {updated.date()}, 7 days old; the policy allows 7"
    done = bench.scan(*given)
    assert (done.returncode, done.stdout) == (4, "")
    assert why in done.stderr
    elsewhere = reference(bench).replace(REGISTRY, ELSEWHERE)
    docker("tag", reference(bench), elsewhere)
    try:
        found = bench.found(*given, "--allow-missing-database")
    finally:
        docker("image", "rm", elsewhere)
    assert found["status"] == f"not scanned: {why} (no secrets)"


@pytest.mark.parametrize(
    ("kept", "missing", "some"),
    [
        ((), "debian 12.2 and Python", ""),
        ((DEBIAN,), "Python", "2 vulnerabilities, "),
        ((PYTHON,), "debian 12.2", "3 vulnerabilities, "),
    ],
)
def test_a_database_without_some_advisories_is_no_scan_and_what_it_finds_blocks(
    bench: Bench, tmp_path: Path, kept: tuple[str, ...], missing: str, some: str
) -> None:
    chosen = [each for each in advisories.ADVISORIES if each.ecosystem in kept]
    given = ("--db-dir", advisories.write(tmp_path / "db", NOW, chosen))
    found = bench.found(*given, code=4 if some else 0)
    why = f"the vulnerability database has no advisories for {missing}"
    assert found["status"] == f"not scanned: {why} ({some}no secrets)"
    assert (found["scanned"], found["blocked"]) == (False, bool(some))
    assert [each["unscanned"] for each in found["images"]] == [why]
    attached = json.loads((bench.newest().parent / "evidence/keystone/scan.json").read_bytes())
    assert attached["scanner"]["result"]["status"] == f"not scanned: {why}"
    done = bench.scan(*given, "--registry", ELSEWHERE)
    assert (done.returncode, done.stdout) == (4, "")
    assert why.replace("12.2", "12") in done.stderr


def osv(directory: Path, modified: datetime) -> Path:
    """The same advisories in files of OSV's form."""
    for each in advisories.ADVISORIES:
        (span,) = each.ranges
        events = [{"introduced": "0"}, *([{"fixed": span.fixed}] if span.fixed else [])]
        affected = {
            "package": {"ecosystem": each.ecosystem, "name": each.package},
            "ranges": [{"type": "ECOSYSTEM", "events": events}],
        }
        entry = {
            "id": each.id,
            "modified": modified.isoformat(),
            "affected": [affected],
            "database_specific": {"severity": each.severity},
        }
        write(directory / f"{each.id}.json", json.dumps(entry))
    return directory


def test_advisories_from_files_are_a_database(bench: Bench, tmp_path: Path) -> None:
    found = bench.found("--advisories", osv(tmp_path / "osv", NOW), code=4)
    assert found["status"].startswith("blocked: 5 vulnerabilities, no secrets, by the database of ")
    assert {each["id"] for each in found["findings"] if each["verdict"] == "blocked"} == {*BLOCKING}
    before = NOW - timedelta(days=9)
    files = osv(tmp_path / "osv", before)
    # It may be that nothing was found in the days since.
    undated = bench.found("--advisories", files, code=4)
    assert undated["database"] == before.date().isoformat()
    listed = tmp_path / "advisories.json"
    names = [json.loads(path.read_text())["id"] for path in sorted(files.glob("*.json"))]
    plain = [{"id": name, "package": "jinja2", "ranges": [{"introduced": "0"}]} for name in names]
    listed.write_text(json.dumps({"collected": before.date().isoformat(), "advisories": plain}))
    old = bench.found("--advisories", listed)
    assert re.match(
        r"not scanned: the vulnerability database is of \S+, \d+ days old", old["status"]
    )


def test_what_no_version_of_the_series_fixes_is_first_and_as_the_policy_says(
    bench: Bench, tmp_path: Path
) -> None:
    """One is fixed in a later series, one in a version of this that was never published."""
    ranges = {"CVE-1": Affected("0", "99.0"), "CVE-2": Affected("0", "22.999")}
    late = [Advisory(each, "keystone", (span,), Severity.HIGH) for each, span in ranges.items()]
    # Lower severities, so that nothing else blocks and the database still is one.
    others = [replace(each, severity=Severity.LOW) for each in advisories.ADVISORIES]
    database = advisories.write(tmp_path / "db", NOW, [*others, *late])
    done = bench.scan("--db-dir", database, "--format", "json")
    assert done.returncode == 0, done.stderr
    (release,) = json.loads(done.stdout)["releases"]
    first, second, third, *_ = release["findings"]
    assert {first["id"], second["id"]} == {*ranges}
    assert (first["verdict"], second["verdict"]) == ("warned", "warned")
    assert first["note"] == "no fix in this series, which is end-of-life"
    assert not third["unfixed_in_series"]
    assert "zed: CVE-1 HIGH: keystone 22.0.2, fixed in 99.0" in done.stderr
    bench.policy(unfixed_in_series={"end-of-life": "block"})
    done = bench.scan("--db-dir", database)
    assert done.returncode == 4
    assert "the policy blocks 2 findings" in done.stderr


def test_a_list_about_python_alone_scans_a_part_and_says_so(bench: Bench, tmp_path: Path) -> None:
    listed = tmp_path / "advisories.json"
    named = {"id": "CVE-2024-22195", "package": "jinja2", "severity": "MEDIUM"}
    advisory = {**named, "ranges": [{"introduced": "0", "fixed": "3.1.3"}]}
    content = {"collected": TODAY.isoformat(), "advisories": [advisory]}
    listed.write_text(json.dumps(content))
    found = bench.found("--advisories", listed)
    why = "no advisories were given for debian 12.2"
    assert found["status"].startswith("passed in part: 1 vulnerabilities, ")
    assert found["status"].endswith(f"; {why}")
    assert (found["scanned"], [each["excluded"] for each in found["images"]]) == (
        True,
        [["debian 12.2"]],
    )
    attached = json.loads((bench.newest().parent / "evidence/keystone/scan.json").read_bytes())
    assert attached["scanner"]["result"]["status"] == f"scanned in part: {why}"


def test_what_the_image_has_a_back_port_of_is_shown_as_fixed(bench: Bench, tmp_path: Path) -> None:
    (bench.root / "images/keystone/patches/security/01-fix.patch").rename(tmp_path / "patch")
    others = [replace(each, severity=Severity.LOW) for each in advisories.ADVISORIES]
    late = Advisory("CVE-2030-0003", "keystone", (Affected("0", "99.0"),), Severity.HIGH)
    database = advisories.write(tmp_path / "db", NOW, [*others, late])
    try:
        found = bench.found("--db-dir", database)
    finally:
        (tmp_path / "patch").rename(bench.root / "images/keystone/patches/security/01-fix.patch")
    (finding,) = [each for each in found["findings"] if each["id"] == late.id]
    assert (finding["verdict"], finding["unfixed_in_series"]) == ("back-ported", False)
    assert finding["note"] == "upstream's fix is back-ported: https://review.example/3"
    assert f"{len(others)} vulnerabilities, 1 fixed by back-ports" in found["status"]
    evidence = bench.newest().parent / "evidence/keystone"
    (statement,) = json.loads((evidence / "vex.json").read_bytes())["statements"]
    assert (statement["vulnerability"]["name"], statement["status"]) == (late.id, "fixed")
    components = json.loads((evidence / "cyclonedx.json").read_bytes())["components"]
    (patches,) = [each["pedigree"]["patches"] for each in components if "pedigree" in each]
    assert [each["diff"]["url"] for each in patches] == ["https://review.example/3"]
    assert "https://review.example/3" in (evidence / "spdx.json").read_text()
    assert late.id not in (bench.newest() / "scan.sarif").read_text()


def test_an_image_without_python_needs_no_advisories_for_it(tmp_path: Path) -> None:
    some = [each for each in advisories.ADVISORIES if each.ecosystem != PYTHON]
    database = advisories.write(tmp_path / "db", NOW, some)
    with project(tmp_path / "project", {}) as bench:
        found = bench.found("--db-dir", database, code=4)
    assert found["status"].startswith("blocked: 2 vulnerabilities, ")


def test_exceptions_and_vex_are_honoured(bench: Bench, database: Path) -> None:
    vex = {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "https://example.com/vex/1",
        "author": "the tests",
        "timestamp": "2026-01-01T00:00:00Z",
        "version": 1,
        "statements": [
            {
                "vulnerability": {"name": "CVE-2023-50782"},
                "products": [{"@id": "pkg:pypi/cryptography"}],
                "status": "not_affected",
                "justification": "vulnerable_code_not_in_execute_path",
            }
        ],
    }
    write(bench.root / "zed.vex.json", json.dumps(vex))
    rules = [exception("CVE-2023-25577", package="Werkzeug"), exception("CVE-2023-5363")]
    bench.policy(exceptions=[*rules, exception("CVE-1999-0001")], vex=["zed.vex.json"])
    done = bench.scan("--db-dir", database, "--format", "json")
    assert done.returncode == 0, done.stderr
    assert "policy.yaml:9:3: the exception CVE-1999-0001 is about nothing" in done.stderr
    (release,) = json.loads(done.stdout)["releases"]
    assert release["images"][0]["accepted_by_vex"] == 1
    found = {each["id"]: each["verdict"] for each in release["findings"]}
    assert "CVE-2023-50782" not in found
    assert (found["CVE-2023-25577"], found["CVE-2023-5363"]) == ("accepted", "accepted")
    sarif = (bench.newest() / "scan.sarif").read_text()
    assert "CVE-2024-22195" in sarif
    assert "CVE-2023-5363" not in sarif


def test_an_exception_with_a_justification_is_vex_that_trivy_understands(
    bench: Bench, database: Path
) -> None:
    justified = exception("CVE-2023-50782", justification="vulnerable_code_not_present")
    rules = [exception(number) for number in BLOCKING if number != "CVE-2023-50782"]
    bench.policy(exceptions=[justified, *rules])
    assert bench.scan("--db-dir", database).returncode == 0
    written = bench.newest().parent / "evidence/keystone/vex.json"
    document = json.loads(written.read_bytes())
    assert {each["vulnerability"]["name"]: each["status"] for each in document["statements"]} == {
        "CVE-2023-50782": "not_affected",
        "CVE-2023-25577": "affected",
        "CVE-2023-5363": "affected",
    }
    # As anybody does who has the image and the document.
    program = trivy.find(None, database).program
    done = subprocess.run(
        [
            *(program, "image", "--image-src=docker", "--skip-db-update", "--scanners=vuln"),
            *(f"--cache-dir={database}", f"--vex={written}", "--format=json", reference(bench)),
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = {
        each["VulnerabilityID"]
        for result in json.loads(done.stdout)["Results"]
        for each in result.get("Vulnerabilities") or ()
    }
    assert {"CVE-2023-25577", "CVE-2023-5363"} <= found
    assert "CVE-2023-50782" not in found


def test_an_expired_exception_blocks_and_is_named(bench: Bench, database: Path) -> None:
    yesterday = (TODAY - timedelta(days=1)).isoformat()
    rules = [exception(number) for number in BLOCKING]
    rules[1]["expires"] = yesterday
    bench.policy(exceptions=rules)
    done = bench.scan("--db-dir", database)
    assert done.returncode == 4
    assert "blocks 1 findings" in done.stderr
    assert "CVE-2023-50782 HIGH: cryptography" in done.stderr
    assert f"its exception expired on {yesterday} (policy.yaml:5:3)" in done.stderr


def test_an_image_is_read_once_and_nothing_hides_a_finding(bench: Bench, database: Path) -> None:
    first = bench.scan("--db-dir", database)
    write(bench.root / ".trivyignore", "\n".join(BLOCKING))
    write(bench.root / "trivy.yaml", "severity: [LOW]\n")
    hidden = {"TRIVY_SEVERITY": "LOW", "TRIVY_IGNORE_UNFIXED": "true", "TRIVY_PKG_TYPES": "os"}
    elsewhere = replace(bench, cache=bench.root / "fresh")
    fresh = elsewhere.scan_verbosely("--db-dir", database, **hidden)
    second = bench.scan_verbosely("--db-dir", database)
    assert first.returncode == fresh.returncode == second.returncode == 4
    assert first.stdout == fresh.stdout == second.stdout
    assert "5 vulnerabilities" in first.stdout
    for command in ("trivy image", "trivy sbom", "trivy config"):
        assert command in fresh.stderr
        assert command not in second.stderr


def sboms(bench: Bench) -> dict[str, bytes]:
    done = bench.scan()
    assert done.returncode == 0, done.stderr
    return {
        path.name: path.read_bytes()
        for path in (bench.newest().parent / "evidence/keystone").glob("[cs][yp]*.json")
    }


def test_the_sboms_name_every_package_and_are_the_same_each_time(
    bench: Bench, versions: dict[str, str], tmp_path: Path
) -> None:
    found = sboms(bench)
    docker("tag", reference(bench), f"{reference(bench)}-too")
    try:
        again = sboms(replace(bench, cache=tmp_path / "cache"))
    finally:
        docker("image", "rm", f"{reference(bench)}-too")
    assert found == again
    cyclonedx = json.loads(found["cyclonedx.json"])
    packages = {each["name"]: each["version"] for each in cyclonedx["components"]}
    assert versions.items() <= packages.items()
    assert packages["libssl3"] == "3.0.11-1~deb12u1"
    assert reference(bench).split(":zed")[0] in cyclonedx["metadata"]["component"]["name"]
    spdx = json.loads(found["spdx.json"])
    listed = {each["name"]: each.get("versionInfo") for each in spdx["packages"]}
    assert versions.items() <= listed.items()


@contextmanager
def server(database: Path) -> Iterator[str]:
    """Trivy's own, by that database; its URL."""
    program = trivy.find(None, database).program
    address = "127.0.0.1:14954"
    process = subprocess.Popen(
        [program, "server", "--listen", address, "--cache-dir", database, "--skip-db-update"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until("Trivy's server", lambda: answers(f"http://{address}/healthz"))
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(20)


def test_a_server_of_trivy_s(bench: Bench, database: Path, tmp_path: Path) -> None:
    with server(database) as url:
        found = bench.found("--trivy-server", url, code=4)
    assert found["database"] == TODAY.isoformat()
    assert {each["id"] for each in found["findings"] if each["verdict"] == "blocked"} == {*BLOCKING}
    gone = ScanOptions(server=url)
    with pytest.raises(MachineError, match=f"no Trivy server answers at {url}"):
        scan.prepare(bench.root, REGISTRY, gone, cache=tmp_path)


def test_a_server_with_an_empty_database(bench: Bench, tmp_path: Path) -> None:
    with server(advisories.write(tmp_path / "db", NOW - timedelta(hours=1), ())) as url:
        found = bench.found("--trivy-server", url)
    assert "no advisories for debian 12.2 and Python" in found["status"]


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.ConnectionError:
        return False


def test_what_is_blocked_is_not_pushed(
    bench: Bench, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(bench.cache))
    repository = Repository(reference(bench).rsplit(":", 1)[0])
    scanning = ScanOptions(db_dir=database)
    with pytest.raises(PolicyError, match="blocks 3 findings"):
        list(pipeline.build(options(bench), run_smoke=False, push=True, scanning=scanning))
    assert repository.manifest("zed") is None
    bench.policy(exceptions=[exception(number) for number in BLOCKING])
    (report,) = pipeline.build(options(bench), run_smoke=False, push=False, scanning=scanning)
    assert report.scan.startswith("passed: 2 vulnerabilities, no secrets, by the database of ")


def test_a_secret_blocks_without_any_database(tmp_path: Path, versions: dict[str, str]) -> None:
    first = dict(list(versions.items())[:1])
    root = tmp_path / "project"
    write(root / "images/keystone/root/etc/keystone/credentials", SECRET)
    with project(root, first) as bench:
        done = bench.scan()
    assert done.returncode == 4, done.stderr
    assert "aws-access-key-id CRITICAL: /etc/keystone/credentials (AWS Access Key ID" in done.stderr
    assert "scan: not scanned: no vulnerability database (1 secrets)" in done.stdout


def test_every_platform_of_an_index_is_read(
    tmp_path: Path, database: Path, versions: dict[str, str]
) -> None:
    """Each of its two images has packages of its own; nothing runs in them, so nothing emulates."""
    with project(tmp_path / "project", {}) as bench:
        other = next(each for each in Platform if each is not native())
        for platform, packages in ((native(), {}), (other, versions)):
            fill(tmp_path / "context" / platform.architecture, packages)
        write(tmp_path / "context/Dockerfile", "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /\n")
        build = ("--platform", ",".join(Platform), "--provenance=false", "--tag", reference(bench))
        docker("buildx", "build", *build, str(tmp_path / "context"))
        found = bench.found("--db-dir", database, code=4)
        again = bench.found("--db-dir", database, code=4)
    assert {image["platform"] for image in found["images"]} == {"", other}
    python = next(each for each in found["findings"] if each["id"] == "CVE-2023-25577")
    assert (python["verdict"], python["images"]) == ("blocked", [f"keystone ({other})"])
    debian = next(each for each in found["findings"] if each["id"] == "CVE-2023-5363")
    assert debian["images"] == ["keystone", f"keystone ({other})"]
    assert again == found
