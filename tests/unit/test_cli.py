"""The command line as a person meets it: messages, exit codes, and never a traceback."""

import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

import pytest
from packaging.version import Version

from builder import version
from builder.catalogue import lock
from builder.catalogue.config import load_catalogue
from builder.ci import definition
from builder.cli import documentation, main
from builder.cloud import up
from builder.errors import MachineError
from builder.image.plan import Plan


@dataclass(frozen=True)
class Outcome:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


def see(page: str) -> str:
    return f"see: {documentation.address(page, documentation.site())}"


SEE = see("how-to/troubleshooting.md")


def test_a_page_is_on_the_site_where_there_is_one() -> None:
    page = "how-to/scan.md#the-policy"
    assert documentation.address(page) == "docs/how-to/scan.md#the-policy"
    site = "https://builder.example/docs/"
    assert documentation.address(page, site) == f"{site}how-to/scan.html#the-policy"
    assert documentation.address("index.md", site) == f"{site}index.html"


def test_the_site_is_the_documentation_among_the_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    about = Message()
    monkeypatch.setattr("importlib.metadata.metadata", lambda _: about)
    assert documentation.site() == ""
    about["Project-URL"] = "Source, https://git.example/builder"
    about["Project-URL"] = "Documentation, https://builder.example"
    assert documentation.site() == "https://builder.example"


@pytest.fixture
def run(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """Runs ``builder`` inside the small project, whose lock is made to match."""
    path = project / "locks/zed.txt"
    inputs = lock._inputs(load_catalogue(project), "zed")
    path.write_text(path.read_text().replace("none", inputs))
    monkeypatch.chdir(project / "images")
    handler, handlers = signal.getsignal(signal.SIGTERM), logging.getLogger().handlers[:]

    def start(*arguments: str) -> Outcome:
        monkeypatch.setattr("sys.argv", ["builder", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return Outcome(caught.value.code or 0, said.out, said.err)  # type: ignore[arg-type]

    yield start
    signal.signal(signal.SIGTERM, handler)
    logging.getLogger().handlers[:] = handlers


def test_the_plan(run: Run) -> None:
    done = run("build", "--release", "zed", "--print")
    assert done == Outcome(0, done.out, "")
    assert done.out.splitlines() == [
        "zed: Zed 2022.2, end-of-life",
        "  base: Debian bookworm, Python 3.11",
        "  services: keystone 22.0.2, nova 26.3.0",
        "  127.0.0.1:5001/openstack/openstack-keystone:zed",
        "  127.0.0.1:5001/openstack/openstack-nova-controller:zed",
        "  127.0.0.1:5001/openstack/openstack-nova-compute:zed",
    ]


def test_the_plan_for_machines(run: Run) -> None:
    done = run("build", "--release", "zed", "--print", "--format", "json", "--namespace", "a/b")
    assert done.code == 0
    assert json.loads(done.out)["plans"][0]["namespace"] == "a/b"


@pytest.mark.parametrize("command", ["build", "list", "render", "lock", "update"])
def test_an_unknown_release(run: Run, command: str) -> None:
    extra = ["--output", "out"] if command == "render" else []
    done = run(command, "--release", "zde", *extra)
    assert done == Outcome(
        2,
        "",
        "error: unknown release: zde\nhint: did you mean zed? (known: zed)\n"
        f"{SEE}#a-name-that-is-not-known\n",
    )


@pytest.mark.parametrize("release", [[], ["--release", "zde"], ["--release", "zed"]])
def test_a_wrong_service_is_named_before_a_wrong_release(run: Run, release: list[str]) -> None:
    done = run("up", "kystone", *release)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: unknown image: kystone\nhint: did you mean keystone? (")


def test_a_cloud_of_no_release_is_of_the_newest_that_is_maintained(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (project / "versions.yaml").read_text()
    entry = text[text.index("  zed:") : text.index("suites:")]
    more = ""
    for name, status in (("a1", "maintained"), ("a2", "maintained"), ("a3", "development")):
        more += entry.replace("  zed:", f"  {name}:").replace("end-of-life", status)
        (project / f"locks/{name}.txt").write_text((project / "locks/zed.txt").read_text())
    (project / "versions.yaml").write_text(text.replace("suites:", f"{more}suites:"))
    started = []

    def references(_: None, plan: Plan) -> dict[str, str]:
        started.append(plan.release)
        return {}

    monkeypatch.setattr(up, "_engine_and_network", lambda: (None, None))
    monkeypatch.setattr(up, "_references", references)
    monkeypatch.setattr(up, "one_at_a_time", lambda: sys.exit(7))
    assert run("up", "keystone").code == 7
    assert started == ["a2"]


def test_a_mistake_in_the_catalogue(run: Run, project: Path) -> None:
    path = project / "versions.yaml"
    path.write_text(path.read_text().replace("keystone: 22.0.2", "keystone: 22.0"))
    done = run("build", "--release", "zed")
    assert done.code == 2
    assert done.err == (
        f"error: {path}:9:7: releases.zed.services.keystone: expected text, got the number 22.0\n"
        "hint: put quotes around it: YAML reads it as something else than text\n"
    )


def test_a_lock_that_is_missing_or_old(run: Run, project: Path) -> None:
    path = project / "versions.yaml"
    path.write_text(path.read_text().replace("26.3.0", "26.3.1"))
    done = run("build", "--release", "zed")
    assert done.code == 2
    hint = "hint: run: builder lock --release zed\n"
    assert done.err.endswith(f"any more\n{hint}{SEE}#the-lock-does-not-match\n")
    (project / "locks/zed.txt").unlink()
    done = run("build", "--release", "zed")
    assert done.code == 2
    assert done.err.endswith(f"there is no lock for zed\n{hint}")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["--registry", "http://quay.io"],
            "error: not a registry: http://quay.io\nhint: give HOST",
        ),
        (["--registry", "quay"], "error: not a registry: quay\nhint: Docker takes a bare name"),
        (["--namespace", "Team"], "error: not a namespace: Team\nhint: lower-case letters"),
    ],
)
def test_a_name_that_cannot_be(run: Run, arguments: list[str], expected: str) -> None:
    done = run("build", "--release", "zed", "--print", *arguments)
    assert done.code == 2
    assert done.err.startswith(expected)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["build", "--relase", "zed"], "No such option '--relase'. Did you mean '--release'?"),
        (["biuld"], "No such command 'biuld'. Did you mean 'build'?"),
        (["build"], "give --release NAME, or --all"),
        (["build", "--release"], "Option '--release' requires an argument."),
        (["build", "--release", "zed", "now"], "Got unexpected extra argument (now)"),
        (["render", "--release", "zed"], "Missing option '--output'."),
        (["build", "--release", "zed", "--format", "xml"], "'xml' is not one of 'text', 'json'."),
        (["list", "--release", "zed", "--all"], "give --release NAME, or --all, not both"),
        (["exec", "--nope", "zed", "--", "ls"], "No such option '--nope'"),
        (["list", "--format", "xml"], "'xml' is not one of 'text', 'json', 'github', 'gitlab'."),
        (["ci"], "Missing option '--format'."),
        (["build", "--release", "zed", "--push", "--no-smoke"], "--push needs the smoke test"),
        (["build", "--release", "zed", "--base-image", "de bian"], "'de bian' is not an image ref"),
        (["build", "--release", "zed", "--base-image", ""], "'' is not an image reference such as"),
        (["build", "--release", "zed", "--base-image", "Debian"], "'Debian' is not an image refe"),
    ],
)
def test_usage(run: Run, arguments: list[str], expected: str) -> None:
    done = run(*arguments)
    assert done.code == 2
    assert done.out == ""
    assert expected in done.err
    assert done.err.startswith(("Usage: builder", "Error: "))


@pytest.mark.parametrize(
    "reference",
    [
        *("debian", "debian:bookworm", "quay.io/team/debian:12", "localhost:5000/a/b_c"),
        f"debian@sha256:{'0' * 64}",
    ],
)
def test_a_base_image(run: Run, reference: str) -> None:
    assert run("build", "--release", "zed", "--print", "--base-image", reference).code == 0


@pytest.mark.parametrize("command", ["publish", "tags"])
def test_no_tested_set(run: Run, tmp_path: Path, command: str) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        assert run(command, str(path)) == Outcome(
            2, "", f"error: no run below {path} has tested a set\nhint: run builder build first\n"
        )


@pytest.mark.parametrize("image", ["nova", "nova-comput?", "*"])
def test_what_is_asked_why_is_one_image(run: Run, image: str) -> None:
    assert run("why", image, "--release", "zed") == Outcome(
        2, "",
        f"error: {image} is not the name of one image\n"
        "hint: known: keystone, nova-controller, nova-compute\n",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("command", "what"), [(["why", "keystone"], "an image"), (["compose"], "a compose file")]
)
def test_a_pattern_where_one_release_is_wanted(
    run: Run, project: Path, command: list[str], what: str
) -> None:
    path = project / "versions.yaml"
    text = path.read_text()
    release = text[text.index("  zed:") : text.index("suites:")]
    path.write_text(text.replace("suites:", release.replace("  zed:", "  zed2:") + "suites:"))
    (project / "locks/zed2.txt").write_text((project / "locks/zed.txt").read_text())
    assert run(*command, "--release", "zed*") == Outcome(
        2, "",
        f"error: {what} is of one release\nhint: give --release once, without a pattern\n",
    )  # fmt: skip


def test_no_project(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run("--project", str(tmp_path), "build", "--release", "zed")
    assert done == Outcome(
        2, "", f"error: not a project: {tmp_path}\nhint: it has no versions.yaml\n"
    )
    monkeypatch.chdir(tmp_path)
    done = run("build", "--release", "zed")
    assert done.code == 2
    assert done.err.startswith(f"error: no versions.yaml with an images/ directory in {tmp_path}")
    assert "--project DIR" in done.err


def test_a_project_by_name(run: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert run("--project", str(project), "build", "--release", "zed", "--print").code == 0


def test_constraints_that_are_not_there(run: Run) -> None:
    done = run("lock", "--release", "zed", "--constraints", "missing.txt")
    assert done.code == 2
    assert done.err.startswith("error: cannot read the constraints missing.txt: ")
    assert done.err.endswith("hint: name a file or URL with --constraints\n")


def test_an_update(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"keystone": (), "nova": (Version("26.4.0"),)}
    monkeypatch.setattr("builder.catalogue.package_index.available", lambda _: versions)
    done = run("update", "--release", "zed", "--dry-run")
    assert done == Outcome(0, "zed nova 26.3.0 → 26.4.0\n", "")
    done = run("update", "--all", "--dry-run", "--format", "json")
    assert json.loads(done.out)["changes"][0]["to"] == "26.4.0"
    versions["nova"] = ()
    assert run("update", "--release", "zed") == Outcome(0, "nothing is newer\n", "")


def test_an_index_that_does_not_answer(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise MachineError("no answer", hint="is the network there?")

    monkeypatch.setattr("builder.catalogue.package_index.available", refuse)
    done = run("update", "--release", "zed")
    assert done == Outcome(
        3, "", f"error: no answer\nhint: is the network there?\n{see('how-to/doctor.md')}\n"
    )


def test_interrupted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("builder.image.prepare.load_catalogue", interrupt)
    done = run("build", "--release", "zed", "--print")
    assert done.code == 130
    assert done.err.strip() == "interrupted: everything that was started is removed"


def test_an_error_of_the_file_system(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/srv/out")

    monkeypatch.setattr("builder.image.prepare.load_catalogue", refuse)
    done = run("build", "--release", "zed", "--print")
    assert done == Outcome(3, "", "error: /srv/out: Permission denied\n")


def test_the_list_of_releases(run: Run) -> None:
    done = run("list")
    assert done == Outcome(0, done.out, "")
    words = done.out.splitlines()[-1].split()
    assert words == ["zed", "Zed", "end-of-life", "2024-01-01", "bookworm", "22.0.2", "26.3.0"]


def test_the_list_of_releases_for_ci(run: Run) -> None:
    done = run("list", "--release", "z*", "--format", "github")
    assert done == Outcome(0, 'matrix={"release":["zed"]}\nempty=false\n', "")
    assert run("list", "--all", "--format", "github") == done
    assert "\nrebuild zed:\n" in run("list", "--format", "gitlab").out


@pytest.mark.parametrize("system", ["github", "gitlab"])
def test_the_scheduled_ci(run: Run, tmp_path: Path, system: str) -> None:
    done = run("--project", str(tmp_path), "ci", "--format", system)
    assert done == Outcome(0, definition(system), "")


@pytest.mark.parametrize("command", ["build", "list", "render", "lock", "update"])
def test_help(run: Run, command: str) -> None:
    done = run(command, "--help")
    assert done.code == 0
    assert f"Usage: builder {command} [OPTIONS]" in done.out
    assert "..." not in done.out
    assert "--release NAME" in done.out


def test_the_list_of_commands(run: Run) -> None:
    done = run("--help")
    assert done.code == 0
    for name in ("build", "ci", "list", "lock", "render", "update"):
        assert f"\n  {name} " in done.out
    assert "..." not in done.out.replace("[ARGS]...", "")


def test_without_a_command_the_help_is_shown(run: Run) -> None:
    done = run()
    assert done.code == 2
    assert "Commands:" in done.err


def test_version(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the commit: 0.1.0 alone is said of everything before the first release."""
    monkeypatch.setattr("builder.version.describe", lambda _: "f085a2290abc-dirty")
    done = run("--version")
    assert done.code == 0
    assert done.out == "builder 0.1.0 (f085a2290abc-dirty)\n"


@pytest.mark.parametrize(
    ("files", "commit"),
    [
        ({"builder/commit.txt": "0123456789ab\n"}, "0123456789ab"),
        ({"builder/commit.txt": "0123456789ab\n", ".git": ""}, "0123456789ab"),
        ({".git": "gitdir: elsewhere"}, "of the checkout"),
        ({}, None),
    ],
)
def test_the_commit_of_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], commit: str | None
) -> None:
    monkeypatch.setattr("builder.version.describe", lambda _: "of the checkout")
    (tmp_path / "builder").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert version.commit(tmp_path / "builder") == commit


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--certificate-identity", "me"], "go together"),
        (["--certificate-oidc-issuer", "https://example.org"], "go together"),
        (
            ["--certificate-identity", "me", "--certificate-oidc-issuer", "x", "--key", "k"],
            "give --key or --certificate-identity",
        ),
        (["--key", "/no/such.pub"], "there is no key /no/such.pub"),
    ],
)
def test_whom_to_trust_is_said_in_one_way(run: Run, options: list[str], message: str) -> None:
    done = run("verify", "127.0.0.1:5001/openstack/openstack-keystone:zed", *options)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_a_push_elsewhere_wants_to_know_how_it_is_signed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COSIGN_KEY", raising=False)
    monkeypatch.setenv("BUILDER_SOURCE", "https://git.example.org/team/images")
    push = ("build", "--release", "zed", "--push", "--registry", "registry.example.org")
    done = run(*push)
    assert (done.code, done.out) == (2, "")
    assert "error: no key to sign the images in registry.example.org with\nhint: " in done.err
    done = run(*push, "--sign-key", "a", "--no-sign")
    assert (done.code, done.err) == (2, "error: give one of --sign-key, --keyless and --no-sign\n")


@pytest.mark.parametrize("command", [["build"], ["build", "--push"], ["render", "--output", "out"]])
def test_a_source_that_nobody_could_reach(run: Run, command: list[str]) -> None:
    done = run(*command, "--release", "zed", "--source", "../images")
    assert (done.code, done.out) == (2, "")
    assert "error: ../images is no URL of a source that others could reach\nhint: " in done.err


@pytest.mark.parametrize("options", [["--sign-key", "k"], ["--keyless"], ["--no-sign"]])
def test_nothing_is_signed_that_is_not_pushed(run: Run, options: list[str]) -> None:
    done = run("build", "--release", "zed", *options)
    assert (done.code, done.out) == (2, "")
    assert "--sign-key, --keyless and --no-sign are for --push" in done.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--fix",), "--fix needs --advisories PATH or --db-dir DIR"),
        (("--dry-run",), "--advisories, --db-dir and --dry-run are for --fix"),
        (("--db-dir", "."), "--advisories, --db-dir and --dry-run are for --fix"),
        (("--advisories", "."), "--advisories, --db-dir and --dry-run are for --fix"),
        (("--fix", "--advisories", ".", "--upgrade", "six"), "--fix keeps what is locked"),
        (("--fix", "--advisories", ".", "--check"), "--fix keeps what is locked"),
        (("--fix", "--advisories", "."), "no advisory about Python's or Debian's packages"),
    ],
)
def test_a_fix_that_is_asked_for_wrongly(run: Run, options: tuple[str, ...], said: str) -> None:
    done = run("lock", "--release", "zed", *options)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_only_what_the_policy_blocks_is_fixed(run: Run, project: Path) -> None:
    entry = {"id": "CVE-1", "package": "oslo.db", "severity": "MEDIUM", "ranges": [{"fixed": "13"}]}
    (project / "advisories.json").write_text(json.dumps([entry]))
    fix = ("lock", "--release", "zed", "--fix", "--advisories", "../advisories.json", "--format")
    assert run(*fix, "text") == Outcome(0, "nothing to fix\n", "")
    assert json.loads(run(*fix, "json").out) == {"format": 1, "fixes": [], "unfixed": []}
