"""`builder lock --fix` with the real uv and package index, on a project of a few packages."""

from __future__ import annotations

import io
import json
import os
import subprocess
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from builder.advisories import osv, trivy_database
from builder.catalogue.config import load_catalogue
from builder.catalogue.lock import locked_versions, read_lock, read_lock_of
from builder.ci import definition
from tests.integration.clouds import ROOT, Done, run
from tests.integration.runs import BUILDER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = ROOT / "tests/data/advisories.json"
VERSIONS = """\
suites:
  bookworm: {date: 2023-06-10}

# With a comment
releases:
  zed:
    version_id: "2022.2"
    code_name: Zed
    status: end-of-life
    since: 2024-05-02
    suite: bookworm
    date: 2024-05-02
    services:
      keystoneauth1: 5.0.0  # stands for a service
"""
OVERRIDES = """\
    overrides:
      idna:
        version: "==3.7"
        reason: fixes CVE-2024-3651
      requests:
        version: "==2.30.0"
        reason: moves with idna 3.7, urllib3 2.8.0
      urllib3:
        version: "==2.8.0"
        reason: fixes CVE-2023-43804, CVE-2025-66418, CVE-2025-66471, CVE-2026-21441, \
CVE-2026-44431, CVE-2026-97687, CVE-2026-97689
"""
PINS = {"requests": "2.28.1", "urllib3": "1.26.12", "idna": "3.3", "certifi": "2024.8.30"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A locked project whose only library with requirements of others in its way is urllib3."""
    root = tmp_path / "project"
    recipe = root / "images/keystone"
    recipe.mkdir(parents=True)
    (root / "versions.yaml").write_text(VERSIONS)
    (recipe / "image.yaml").write_text("summary: Small\npackages: [keystoneauth1]\n")
    (recipe / "Dockerfile.j2").write_text("FROM scratch AS keystone\n")
    upper = tmp_path / "upper.txt"
    upper.write_text("".join(f"{name}=={version}\n" for name, version in PINS.items()))
    done = lock(root, "--constraints", str(upper))
    assert done.code == 0, done.output
    return root


def lock(project: Path, *arguments: str) -> Done:
    command = ("--project", str(project), "lock", "--release", "zed", *arguments)
    return run(str(BUILDER), *command, limit=300)


def fix(project: Path, *arguments: str) -> Done:
    return lock(project, "--fix", "--format", "json", *arguments)


def versions(project: Path) -> dict[str, str]:
    return locked_versions(read_lock(load_catalogue(project), "zed"))


ALEMBIC = "      alembic: 1.8.1  # stands for an optional service\n"
OPTIONAL = """\
summary: Optional
packages: [alembic]
targets: {notes: {summary: Notes, ports: [9393]}}
service:
  {type: notes, description: Notes, port: 9393, applications: [{module: notes, attribute: app}]}
"""


def test_what_only_an_optional_service_has_is_fixed_upon_the_releases_lock(project: Path) -> None:
    (project / "versions.yaml").write_text(VERSIONS + ALEMBIC)
    recipe = project / "images/notes"
    recipe.mkdir()
    (recipe / "image.yaml").write_text(OPTIONAL)
    (recipe / "Dockerfile.j2").write_text("FROM scratch AS notes\n")
    upper = project / "upper.txt"
    upper.write_text("".join(f"{k}=={v}\n" for k, v in {**PINS, "mako": "1.2.2"}.items()))
    assert lock(project, "--constraints", str(upper)).code == 0
    before = versions(project)
    advisories = project / "advisories.json"
    found = [each for each in json.loads(DATA.read_text()) if each["package"] == "mako"]
    advisories.write_text(json.dumps({"collected": "2026-11-28", "advisories": found}))
    done = fix(project, "--advisories", str(advisories))
    assert done.code == 0, done.output
    (moved,) = json.loads(done.stdout)["fixes"]
    assert (moved["package"], moved["from"], moved["to"]) == ("mako", "1.2.2", "1.3.12")
    catalogue = load_catalogue(project)
    base = read_lock(catalogue, "zed")
    assert locked_versions(base) == before
    own = locked_versions(read_lock_of(catalogue, "zed", "notes", base))
    assert own["mako"] == "1.3.12"
    assert own.keys().isdisjoint(before)


def test_the_least_that_has_no_advisory_is_written_and_locked(project: Path) -> None:
    before = versions(project)
    advisories = ("--advisories", str(DATA))
    database = trivy_database.files(osv.read([DATA]).advisories, datetime.now(UTC))
    directory = str(trivy_database.write(project / "trivy", database))
    dry = fix(project, *advisories, "--dry-run")
    assert (project / "versions.yaml").read_text() == VERSIONS
    assert versions(project) == before
    done = fix(project, "--db-dir", directory)
    assert (dry.code, done.code) == (0, 0), done.output
    assert dry.stdout == done.stdout
    found = json.loads(done.stdout)
    moved = {each["package"]: (each["from"], each["to"]) for each in found["fixes"]}
    assert moved == {
        "idna": ("3.3", "3.7"),
        "requests": ("2.28.1", "2.30.0"),
        "urllib3": ("1.26.12", "2.8.0"),
    }
    assert found["unfixed"] == []
    today = datetime.now(UTC).date().isoformat()
    text = VERSIONS.replace("    date: 2024-05-02", f"    date: {today}") + OVERRIDES
    assert (project / "versions.yaml").read_text() == text
    after = versions(project)
    assert after == before | {name: new for name, (_, new) in moved.items()}
    again = fix(project, *advisories)
    assert json.loads(again.stdout) == {"format": 1, "fixes": [], "unfixed": []}
    assert versions(project) == after


@dataclass
class Forge:
    """A git server's repository, and the part of GitHub's API that the step asks."""

    repository: Path
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)

    def branch(self) -> str:
        return git(self.repository, "rev-parse", "--verify", "builder-fixes")

    def answer(self, path: str) -> bytes:
        if path.endswith(".zip"):
            file = io.BytesIO()
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr("osv/idna.json", json.dumps(IDNA))
            return file.getvalue()
        pulls = [{"head": {"sha": self.branch()}}] if self.requests else []
        return json.dumps(pulls if "head=group:builder-fixes" in path else []).encode()


IDNA = {
    "id": "CVE-2024-3651",
    "modified": "2024-04-11T00:00:00Z",
    "database_specific": {"severity": "HIGH"},
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "idna"},
            "ranges": [
                {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.7"}]},
            ],
        }
    ],
}


@contextmanager
def serving(forge: Forge) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self._send(200, forge.answer(self.path))

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            asked = {"path": self.path, "token": self.headers["Authorization"]}
            forge.requests.append(asked | json.loads(content))
            self._send(201, b'{"html_url": "https://forge.example/pull/1"}')

        def _send(self, code: int, content: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        forge.url = f"http://127.0.0.1:{server.server_port}"
        yield
        server.shutdown()


def git(directory: Path, *arguments: str) -> str:
    who = ("-c", "user.name=x", "-c", "user.email=x@localhost")
    done = run("git", "-C", str(directory), *who, *arguments)
    assert done.code == 0, done.output
    return done.stdout.strip()


def propose(system: str, project: Path, forge: Forge) -> str:
    """Run the step as the system does, on the branch main; returns what it said."""
    git(project, "switch", "--quiet", "--detach", "main")
    job = YAML(typ="safe").load(definition(system))["jobs" if system == "github" else "fix"]
    script = job["script"][-1] if system == "gitlab" else job["fix"]["steps"][-1]["run"]
    env = {
        "ADVISORIES": f"{forge.url}/all.zip",
        "TARGET": "main",
        "PUSH_URL": str(forge.repository),
        "PUSH_USER": "x",
        "PUSH_TOKEN": "a-token",
        "GITHUB_API_URL": forge.url,
        "GITHUB_REPOSITORY": "group/project",
        "GITHUB_REPOSITORY_OWNER": "group",
        "no_proxy": "127.0.0.1",
    }
    argv = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    done = subprocess.run(
        argv, cwd=project, env={**os.environ, **env}, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_scheduled_ci_proposes_the_fixes_once(project: Path, tmp_path: Path) -> None:
    forge = Forge(tmp_path / "forge.git")
    git(tmp_path, "init", "--quiet", "--bare", str(forge.repository))
    git(forge.repository, "config", "receive.advertisePushOptions", "true")
    hook = forge.repository / "hooks/post-receive"
    hook.write_text("#!/bin/sh\nenv | grep ^GIT_PUSH_OPTION_ | sort >options\n")
    hook.chmod(0o755)
    (project / ".venv").symlink_to(ROOT / ".venv")
    git(project, "init", "--quiet", "--initial-branch=main")
    git(project, "add", "versions.yaml", "locks", "images")
    git(project, "commit", "--quiet", "--message=First")
    main = git(project, "rev-parse", "HEAD")

    with serving(forge):
        assert "https://forge.example/pull/1" in propose("github", project, forge)
        proposed = forge.branch()
        (asked,) = forge.requests
        assert "Proposed already" in propose("github", project, forge)
        assert (forge.branch(), forge.requests) == (proposed, [asked])
        git(forge.repository, "branch", "--quiet", "-D", "builder-fixes")
        propose("gitlab", project, forge)

    assert (asked["path"], asked["token"]) == ("/repos/group/project/pulls", "Bearer a-token")
    assert (asked["head"], asked["base"]) == ("builder-fixes", "main")
    assert "zed idna 3.3 → 3.7: fixes CVE-2024-3651" in asked["body"]
    options = (forge.repository / "options").read_text()
    assert "=merge_request.create\n" in options
    assert "=merge_request.target=main\n" in options
    for commit in (proposed, forge.branch()):
        assert git(project, "rev-parse", f"{commit}^") == main
        assert git(project, "diff", "--name-only", main, commit).split() == [
            "locks/zed.txt", "versions.yaml",
        ]  # fmt: skip
        assert "idna==3.7" in git(project, "show", f"{commit}:locks/zed.txt")
    assert git(project, "rev-parse", "main") == main
