"""The command line as a person meets it: messages, exit codes, and never a traceback."""

import json
import logging
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.version import Version

from builder import lock
from builder.ci import definition
from builder.cli import main
from builder.config import load_catalogue
from builder.errors import MachineError


@dataclass(frozen=True)
class Outcome:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


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
        2, "", "error: unknown release: zde\nhint: did you mean zed? (known: zed)\n"
    )


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
    assert done.err.endswith("any more\nhint: run: builder lock --release zed\n")
    (project / "locks/zed.txt").unlink()
    done = run("build", "--release", "zed")
    assert done.code == 2
    assert done.err.endswith("there is no lock for zed\nhint: run: builder lock --release zed\n")


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
        (["list", "--release", "zed", "--all"], "give --release NAME, or --all"),
        (["list", "--format", "xml"], "'xml' is not one of 'text', 'json', 'github', 'gitlab'."),
        (["ci"], "Missing option '--format'."),
        (["publish", "nowhere"], "Directory 'nowhere' does not exist."),
        (["tags", "nowhere"], "Directory 'nowhere' does not exist."),
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
    assert run(command, str(tmp_path)) == Outcome(
        2, "", f"error: no run below {tmp_path} has tested a set\nhint: run builder build first\n"
    )


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
    monkeypatch.setattr("builder.index.available", lambda _: versions)
    done = run("update", "--release", "zed", "--dry-run")
    assert done == Outcome(0, "zed nova 26.3.0 → 26.4.0\n", "")
    done = run("update", "--all", "--dry-run", "--format", "json")
    assert json.loads(done.out)["changes"][0]["to"] == "26.4.0"
    versions["nova"] = ()
    assert run("update", "--release", "zed") == Outcome(0, "nothing is newer\n", "")


def test_an_index_that_does_not_answer(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise MachineError("no answer", hint="is the network there?")

    monkeypatch.setattr("builder.index.available", refuse)
    done = run("update", "--release", "zed")
    assert done == Outcome(3, "", "error: no answer\nhint: is the network there?\n")


def test_interrupted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("builder.prepare.load_catalogue", interrupt)
    done = run("build", "--release", "zed", "--print")
    assert done.code == 130
    assert done.err.strip() == "interrupted: everything that was started is removed"


def test_an_error_of_the_file_system(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/srv/out")

    monkeypatch.setattr("builder.prepare.load_catalogue", refuse)
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


def test_version(run: Run) -> None:
    done = run("--version")
    assert done.code == 0
    assert done.out == "builder, version 0.1.0\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--certificate-identity", "me"], "go together"),
        (["--certificate-oidc-issuer", "https://example.org"], "go together"),
        (
            ["--certificate-identity", "me", "--certificate-oidc-issuer", "x", "--key", "k"],
            "give --key or --certificate-identity",
        ),
        (["--key", "/no/such.pub"], "/no/such.pub is no public key"),
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
    push = ("build", "--release", "zed", "--push", "--registry", "registry.example.org")
    done = run(*push)
    assert (done.code, done.out) == (2, "")
    assert "error: no key to sign the images in registry.example.org with\nhint: " in done.err
    done = run(*push, "--sign-key", "a", "--no-sign")
    assert (done.code, done.err) == (2, "error: give one of --sign-key, --keyless and --no-sign\n")


@pytest.mark.parametrize("options", [["--sign-key", "k"], ["--keyless"], ["--no-sign"]])
def test_nothing_is_signed_that_is_not_pushed(run: Run, options: list[str]) -> None:
    done = run("build", "--release", "zed", *options)
    assert (done.code, done.out) == (2, "")
    assert "--sign-key, --keyless and --no-sign are for --push" in done.err
