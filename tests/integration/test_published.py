"""A set that `builder build --push` published, seen with our commands and with others."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
import requests
from ruamel.yaml import YAML

from builder.catalogue.config import load_catalogue
from builder.image.render import INPUT_HASH
from builder.manifest import NOT_SCANNED
from builder.registry.repository import Repository
from builder.scan import trivy
from builder.trust.sign import own_public_key
from tests.integration import advisories
from tests.integration.clouds import ROOT, docker, unique
from tests.integration.runs import (
    MANIFESTS,
    NAMESPACE,
    REGISTRY,
    Run,
    build,
    builder,
    edit,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.mark.slow
def test_a_run_ends_with_the_tested_set_in_the_registry(published: Run) -> None:
    report, directory = published.report, published.directory
    targets = {image["target"] for image in report["images"]}
    assert {"mariadb", "rabbitmq", "keystone", "glance", "placement", "neutron"} < targets
    assert {"nova-controller", "nova-compute", "aio"} < targets
    for image in report["images"]:
        name, tag = image["reference"].removeprefix(f"{REGISTRY}/").rsplit(":", 1)
        answer = requests.head(
            f"http://{REGISTRY}/v2/{name}/manifests/{tag}",
            headers={"Accept": ", ".join(MANIFESTS)},
            timeout=10,
        )
        assert answer.headers["Docker-Content-Digest"] == image["digest"]
    set_cases, aio_cases = [
        [
            str(case.get("name"))
            for case in ET.parse(directory / name / "junit.xml").iter("testcase")
        ]
        for name in ("smoke", "smoke-aio")
    ]
    assert sorted(aio_cases) == sorted(set_cases)
    assert 2 * len(set_cases) == report["checks_passed"] > 50
    logs = {path.name.rsplit("-", 1)[0] for path in directory.glob("smoke*/logs/*")}
    assert len(logs) == len(targets)
    assert published.left == set()


@pytest.mark.slow
def test_the_run_has_a_page(published: Run) -> None:
    page = (published.directory.parent / "report.html").read_text()
    for image in published.report["images"]:
        assert f'<code title="{image["digest"]}">' in page
        # The engine tells all layers of an image apart.
        assert sum(layer["size"] for layer in image["layers"]) > image["size"]
    assert f"published as {published.report['published_as']}" in page
    assert list(published.report["began"]) == list(published.report["seconds"])
    addresses = re.findall(r'<a href="([^"#]+)"', page)
    assert {each.rpartition("/")[2] for each in addresses} > {"aio.log", "pytest.log", "scan.html"}
    assert [
        each
        for each in addresses
        if not each.startswith("https://") and not (published.directory.parent / each).is_file()
    ] == []
    assert published.report["changes"] is None
    moved = {(each["repository"], each["tag"]): each["new"] for each in published.report["moved"]}
    of_the_set = f"{REGISTRY}/{NAMESPACE}/openstack-set"
    assert moved.keys() >= {(of_the_set, "zed"), (of_the_set, published.report["published_as"])}
    # An image that is as it was keeps its tags.
    for (repository, tag), digest in moved.items():
        assert Repository(repository).resolve(tag) == digest


@pytest.mark.slow
def test_the_catalogue_has_the_set(published: Run, tmp_path: Path) -> None:
    done = builder(
        ROOT, "catalogue", "--registry", REGISTRY, "--namespace", NAMESPACE,
        "--output", tmp_path, "--format", "json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = next(each for each in json.loads(done.stdout)["sets"] if each["release"] == "zed")
    assert found["build"] == published.report["published_as"]
    assert (found["status"], found["suite"]) == ("end-of-life", "bookworm")
    assert found["checks_passed"] == published.report["checks_passed"]
    assert all(image["signed"] for image in found["images"])
    for image in found["images"]:
        assert {"SPDX", "CYCLONEDX", "PROVENANCE", "SCAN"} <= set(image["documents"])
        assert {"name": "zed", "same": True} in image["tags"]
    versions = load_catalogue(ROOT).releases["zed"].services
    # Without those that only some clouds have: their locks are apart.
    assert found["services"].items() <= versions.items()
    assert {"keystone", "nova"} < found["services"].keys()
    compose = YAML(typ="safe").load((tmp_path / "zed.compose.yaml").read_text())
    digests = {image["digest"] for image in found["images"]}
    used = {each["image"].partition("@")[2] for each in compose["services"].values()}
    assert used <= digests


@pytest.mark.slow
def test_the_run_can_be_published_again_at_no_cost(published: Run) -> None:
    done = builder(ROOT, "publish", published.directory, "--format", "json")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["sets"]
    assert (found["uploaded"], found["moved"]) == (0, 0)
    assert found["build"] == published.report["published_as"]
    kept = json.loads((published.directory / "release-manifest.json").read_text())
    digests = {image["target"]: image["digest"] for image in published.report["images"]}
    assert {image["target"]: image["digest"] for image in kept["images"]} == digests
    shown = builder(ROOT, "tags", published.directory.parent, "--format", "json")
    (planned,) = json.loads(shown.stdout)["sets"]
    verdicts = {step["verdict"] for image in planned["images"] for step in image["tags"]}
    assert verdicts <= {"same", "ahead"}


@pytest.mark.slow
def test_a_run_that_tested_other_images_is_refused(published: Run, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(published.directory.parent, run)
    edit(run / "report.json", published.report["images"][0]["digest"], f"sha256:{'0' * 64}")
    done = builder(ROOT, "publish", run)
    assert (done.returncode, done.stdout) == (1, "")
    assert "does not say that the images of zed passed" in done.stderr


@pytest.mark.slow
def test_a_run_that_did_not_scan_is_scanned_before_it_is_published(
    published: Run, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(published.directory.parent, run)
    record = run / "zed/tested-set.json"
    verdict = json.loads(record.read_text())["scan"]
    edit(record, verdict, NOT_SCANNED)
    database = advisories.write(tmp_path / "db", datetime.now(UTC), advisories.OF_THE_LOCK)
    done = builder(ROOT, "publish", run, "--db-dir", database)
    assert (done.returncode, done.stdout) == (4, ""), done.stderr
    assert "zed: the policy blocks" in done.stderr
    assert json.loads(record.read_text())["scan"] == NOT_SCANNED
    for _ in range(2):
        done = builder(ROOT, "publish", run)
        assert done.returncode == 0, done.stderr
        assert f"scan: {verdict}\npublished already" in done.stdout
        assert json.loads(record.read_text())["scan"] == verdict
    assert "its run did not scan it" not in done.stderr


def tool(*argv: str | Path) -> str:
    """What another program says; scripts/setup --tests installs those that are missing."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_skopeo_and_oras_by_hand_agree(published: Run, tmp_path: Path) -> None:
    record = json.loads((published.directory / "release-manifest.json").read_text())
    for image in record["images"]:
        inspect = ("skopeo", "inspect", "--tls-verify=false", f"docker://{image['reference']}")
        seen, manifest = json.loads(tool(*inspect)), json.loads(tool(*inspect, "--raw"))
        assert seen["Digest"] == image["digest"]
        assert seen["Labels"][INPUT_HASH] == image["input_hash"]
        assert {"zed", "2022.2", image["version"], image["build"]} <= set(seen["RepoTags"])
        assert sum(layer["size"] for layer in manifest["layers"]) == image["size"]
    repository = record["images"][0]["reference"].rpartition("/")[0] + "/openstack-set"
    tool("oras", "pull", "--plain-http", "--output", tmp_path, f"{repository}:zed")
    assert json.loads((tmp_path / "openstack-set.json").read_text()) == record
    tool("docker", "compose", "--file", compose(tmp_path, record), "config", "--quiet")


def compose(directory: Path, record: dict[str, Any]) -> Path:
    """The file of a release manifest, with nothing but its digests in it."""
    path = directory / "compose.yaml"
    path.write_text(record["compose"])
    services = YAML(typ="safe").load(path)["services"]
    for name, service in services.items():
        (image,) = (each for each in record["images"] if each["target"] == name)
        repository = image["reference"].rpartition(":")[0]
        assert service["image"] == f"{repository}@{image['digest']}"
    return path


@pytest.mark.slow
def test_cosign_and_trivy_by_hand_agree(published: Run, tmp_path: Path) -> None:
    """The SBOM that is attached to keystone has the vulnerabilities that `builder scan` finds."""
    database = advisories.write(tmp_path / "db", datetime.now(UTC), advisories.OF_THE_LOCK)
    given = ("--release", "zed", "--namespace", NAMESPACE, "--image", "keystone")
    done = builder(
        ROOT, "scan", *given, "--db-dir", database, "--runs", tmp_path, "--format", "json"
    )
    assert done.returncode == 4, done.stderr
    (found,) = json.loads(done.stdout)["releases"]
    ours = {
        (each["id"], each["package"], each["installed"])
        for each in found["findings"]
        if each["kind"] == "vulnerability" and "keystone" in each["images"]
    }
    (keystone,) = (each for each in published.report["images"] if each["target"] == "keystone")
    reference = f"{keystone['reference'].rpartition(':')[0]}@{keystone['digest']}"
    key = ("--key", own_public_key(), "--insecure-ignore-tlog")
    tool("cosign", "verify", *key, reference)
    attested = tool("cosign", "verify-attestation", *key, "--type", "cyclonedx", reference)
    statement = json.loads(base64.b64decode(json.loads(attested)["payload"]))
    sbom = tmp_path / "sbom.json"
    sbom.write_text(json.dumps(statement["predicate"]))
    offline = ("--offline-scan", "--skip-db-update", "--skip-java-db-update", "--quiet")
    said = tool(
        trivy.find(None, tmp_path).program, "sbom", *offline, "--scanners", "vuln",
        "--cache-dir", database, "--format", "json", sbom,
    )  # fmt: skip
    theirs = {
        (each["VulnerabilityID"], each["PkgName"], each["InstalledVersion"])
        for result in json.loads(said)["Results"]
        for each in result.get("Vulnerabilities") or ()
    }
    assert theirs == ours
    assert ("CVE-2024-22195", "Jinja2") in {(number, package) for number, package, _ in ours}


def stale(root: Path, *options: str) -> dict[str, list[str]]:
    """The reasons of `builder plan --stale` for each image of zed that has one."""
    given = ("--release", "zed", "--namespace", NAMESPACE, "--format", "json", *options)
    done = builder(root, "plan", "--stale", *given)
    assert done.returncode == 0, done.stderr
    images = json.loads(done.stdout)["images"]
    return {each["target"]: each["reasons"] for each in images if each["reasons"]}


@pytest.mark.slow
@pytest.mark.usefixtures("published")
def test_what_was_just_published_is_not_built_again(project: Path, tmp_path: Path) -> None:
    path = project / "versions.yaml"
    path.write_text(f"# a comment more\n{path.read_text()}")
    assert stale(project) == {}
    begin = time.monotonic()
    done = build(project, tmp_path / "runs", "--stale", "--push")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "every published image is fresh: nothing to do" in done.stderr
    assert time.monotonic() - begin < 60
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("published")
def test_a_touched_template_makes_the_images_below_it_stale(project: Path) -> None:
    edit(project / "images/neutron/Dockerfile.j2", "WORKDIR", "ENV NOTHING=1\nWORKDIR")
    reason = "template images/neutron/Dockerfile.j2 changed"
    assert stale(project) == {name: [reason] for name in ("neutron", "nova-controller", "aio")}
    shown = builder(project, "why", "neutron", "--release", "zed", "--namespace", NAMESPACE)
    assert f"zed neutron: stale: {reason}\n" in shown.stdout
    assert "images/openstack/Dockerfile.j2" in shown.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("published")
def test_what_nobody_published_is_stale(project: Path) -> None:
    found = stale(project, "--namespace", f"{NAMESPACE}-none", "--image", "glance")
    assert found == {name: ["not published"] for name in ("keystone", "mariadb", "glance")}


@pytest.fixture
def newer_mariadb(published: Run, tmp_path: Path) -> Iterator[str]:
    """The id of a local mariadb under the published one's name, as a build without a push makes."""
    (reference,) = (
        image["reference"] for image in published.report["images"] if image["target"] == "mariadb"
    )
    own = docker("image", "inspect", "-f", "{{.Id}}", reference).strip()
    (tmp_path / "Dockerfile").write_text(f"FROM {reference}\nLABEL newer=yes\n")
    docker("build", "--quiet", "--tag", reference, str(tmp_path))
    newer = docker("image", "inspect", "-f", "{{.Id}}", reference).strip()
    assert newer != own
    yield newer
    docker("tag", own, reference)
    docker("rmi", newer)


@pytest.mark.slow
@pytest.mark.parametrize("local", [False, True])
def test_a_cloud_of_local_images_is_asked_for(newer_mariadb: str, *, local: bool) -> None:
    """The set of the registry's record is started, and says so, unless --local is given."""
    name = unique("local")
    options = ("--release", "zed", "--namespace", NAMESPACE, "--name", name)
    try:
        done = builder(ROOT, "up", "mariadb", *options, *(["--local"] if local else []))
        assert done.returncode == 0, done.stderr
        used = docker("inspect", "-f", "{{.Image}}", f"builder-cloud-{name}-mariadb-1").strip()
        assert (used == newer_mariadb) is local
        said = "mariadb: the published images are started, and the local ones are others: --local"
        assert (said in done.stderr) is not local
    finally:
        builder(ROOT, "down", name)


@pytest.mark.slow
def test_two_images_are_compared(published: Run) -> None:
    digests = {image["target"]: image for image in published.report["images"]}
    old, new = (digests[name]["reference"] for name in ("nova-compute", "nova-controller"))
    done = builder(ROOT, "diff", old, new, "--format", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found["python"]) > {"neutron", "neutron-lib", "openstack-placement"}
    assert found["python"]["openstack-placement"] == [None, "8.0.0"]
    assert found["debian"].keys() == {"openssl"}  # nova's API makes certificates by it
    assert found["shared_layers"] > 5
