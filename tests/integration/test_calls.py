"""Every call of bench/ and scripts/ that the documentation or a usage text shows, as it stands.

What only measures is ended as soon as its work has begun. What deletes images, or builds them in
the place of the user's, finds no engine to do so.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

import pytest

from builder.catalogue.config import load_catalogue
from tests.integration.clouds import ROOT, docker, run, until

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator
    from pathlib import Path

PAGES = (*sorted(ROOT.glob("*.md")), ROOT / "bench/README.md", *sorted(ROOT.glob("docs/**/*.md")))
PROGRAMS = sorted(
    path.relative_to(ROOT).as_posix()
    for name in ("bench", "scripts")
    for path in (ROOT / name).iterdir()
    if os.access(path, os.X_OK) and path.is_file()
)
CALL = r"(?:\.venv/bin/python )?(?:bench|scripts)/\w+"
NOWHERE = {"DOCKER_HOST": "tcp://127.0.0.1:9"}
PLACEHOLDERS = {
    "N": "1",
    "NAME": "zed",
    "RECIPE": "base",
    "RELEASE": "zed",
    "IMAGE": "keystone",
    "NAMESPACE": "openstack",
}
# What those say that end by themselves.
ENDS = {
    "bench/disk": r"(?s)Images .*Build Cache ",
    "bench/help": r"median \d+ ms",
}
# What those say that find no engine; and without --yes they do not even look for one.
REFUSES = {
    "bench/cold": "Cannot connect to the Docker daemon at tcp://127.0.0.1:9",
    "bench/matrix": "Cannot connect to the Docker daemon at tcp://127.0.0.1:9",
    "bench/warm": "hint: run scripts/setup, or start the Docker Engine of this machine",
    "scripts/setup": "error: no Docker Engine answers at tcp://127.0.0.1:9",
}
# The containers of those that are ended.
STARTS = {
    "bench/computes": "label=com.docker.compose.project=builder-bench",
    "bench/scale": "label=com.docker.compose.project=builder-cloud-bench-scale",
    "bench/up": "name=^bench-up$",
}


# Images that the documentation starts or pulls
REFERENCE = re.compile(r"127\.0\.0\.1:5001/openstack/openstack-([\w-]+):([\w.]+)")


def documented() -> Iterator[str]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"```(?:sh)?\n(.*?)```", text, re.DOTALL):
            yield from re.findall(rf"^{CALL}.*?(?=\s*(?:#.*)?$)", block, re.MULTILINE)
        yield from re.findall(rf"`({CALL}[^`\n]*)`", text)


def usages() -> Iterator[str]:
    """With all options at once, of alternatives with each."""
    for program in PROGRAMS:
        text = (ROOT / program).read_text(encoding="utf-8")
        for usage in re.findall(rf'[Uu]sage: ({CALL}[^"\n]*(?:\n +\[.*)?)', text):
            words = re.sub(r"[\[\]]|\.\.\.", "", usage)
            first, *others = re.split(r"\s+\|\s+", words)
            for each in (first, *(f"{program} {other}" for other in others)):
                filled = re.sub(r"[A-Z]+\b(?!\.)", lambda m: PLACEHOLDERS[m[0]], each)
                for choice in product(*(word.split("|") for word in filled.split())):
                    yield " ".join(choice)


CALLS = sorted({*documented(), *usages()})


def program_of(call: str) -> str:
    return call.removeprefix(".venv/bin/python ").split()[0]


def test_every_program_is_documented() -> None:
    assert sorted({program_of(call) for call in documented()}) == PROGRAMS


def begun(call: str, directory: Path, **variables: str) -> subprocess.Popen[str]:
    """With its temporary files in ``directory``."""
    return subprocess.Popen(
        shlex.split(call), cwd=ROOT, env={**os.environ, "TMPDIR": str(directory), **variables},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip


def cut_short(call: str, directory: Path, sign: Callable[[], object]) -> tuple[int, str]:
    """The exit code and the output of one that was ended when ``sign`` was there."""
    process = begun(call, directory)
    try:
        until(call, lambda: process.poll() is not None or sign())
        assert process.poll() is None, process.communicate()[0]
        # As ^C would, for a shell waits for what it runs; the others end theirs themselves.
        kill = os.killpg if program_of(call) == "bench/computes" else os.kill
        kill(process.pid, signal.SIGTERM)
        output, _ = process.communicate(timeout=90)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, output


def containers(condition: str) -> str:
    return docker("ps", "--all", "--quiet", "--filter", condition)


def of(programs: Container[str]) -> list[str]:
    return [call for call in CALLS if program_of(call) in programs]


@pytest.mark.parametrize("call", of(ENDS))
def test_what_ends(call: str, tmp_path: Path) -> None:
    output, _ = begun(call, tmp_path).communicate(timeout=60)
    assert re.search(ENDS[program_of(call)], output), output


@pytest.mark.parametrize("call", of(REFUSES))
def test_what_finds_no_engine(call: str, tmp_path: Path) -> None:
    process = begun(call, tmp_path, XDG_CACHE_HOME=str(tmp_path), **NOWHERE)
    output, _ = process.communicate(timeout=120)
    assert process.returncode
    warns = call in ("bench/cold", "bench/matrix")
    assert (f"run: {call} --yes" if warns else REFUSES[program_of(call)]) in output


@pytest.mark.usefixtures("images")
@pytest.mark.parametrize("call", of(STARTS))
def test_what_starts_containers_leaves_none(call: str, tmp_path: Path) -> None:
    condition = STARTS[program_of(call)]
    assert containers(condition) == ""
    cut_short(call, tmp_path, lambda: containers(condition))
    assert containers(condition) == ""


@pytest.mark.parametrize("call", of(["bench/faults"]))
def test_faults_end_with_the_figure_so_far(call: str, tmp_path: Path) -> None:
    _, output = cut_short(
        call, tmp_path, lambda: list(tmp_path.glob("builder-faults-*/publishers.log"))
    )
    assert re.search(r"faults, seed 1, \d+ s: \d+ reads", output), output


@pytest.mark.parametrize("call", of(["bench/reproducible"]))
def test_what_builds_anew_leaves_no_files(call: str, tmp_path: Path) -> None:
    """Of the two builds there are the root file systems, or the build has begun."""
    signs = ("*/cache/rootfs-*", "*/rendered/bake.json")
    cut_short(call, tmp_path, lambda: any(list(tmp_path.glob(sign)) for sign in signs))
    assert list(tmp_path.iterdir()) == []


def of_docker() -> Iterator[str]:
    """Every call of docker in the pages, whole or with an ellipsis for what is left out."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"```(?:sh)?\n(.*?)```", text, re.DOTALL):
            yield from re.findall(r"^docker .*", block, re.MULTILINE)
        yield from re.findall(
            r"`(docker [^`\n]*)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        )


@cache
def help_of(*command: str) -> str:
    done = run("docker", *command, "--help")
    return done.stdout if done.code == 0 else ""


def subcommand(words: list[str]) -> tuple[str, ...]:
    """The words that name the command, as deep as docker's own help goes."""
    found: tuple[str, ...] = ()
    for word in words:
        listed = re.findall(r"^  (\w+)\*?  ", help_of(*found), re.MULTILINE)
        if word not in listed:
            break
        found = (*found, word)
    return found


def unknown_options(words: list[str], text: str) -> list[str]:
    """Options of a call that the help does not have; what comes after the first argument is not
    docker's."""
    named = re.findall(r"^ +(?:(-\w), +)?(--[\w-]+)(?: ([\w\[\]=<>-]+))?", text, re.MULTILINE)
    takes = {option: bool(kind) for *both, kind in named for option in both if option}
    ahead, unknown = iter(words), []
    for word in ahead:
        if word == "…":
            continue
        if not word.startswith("-"):
            break
        name, given, _ = word.partition("=")
        letters = [name] if name.startswith("--") else [f"-{letter}" for letter in name[1:]]
        unknown += [each for each in letters if each not in takes]
        if takes.get(letters[-1]) and not given:
            next(ahead, None)
    return unknown


@pytest.mark.parametrize("call", sorted({*of_docker()}))
def test_what_docker_is_asked_it_knows(call: str) -> None:
    catalogue = load_catalogue(ROOT)
    words = shlex.split(call.split("-e OPTIONS='")[0], comments=True)[1:]
    command = subcommand(words)
    assert command
    assert unknown_options(words[len(command) :], help_of(*command)) == []
    for target, release in REFERENCE.findall(call):
        assert target in catalogue.targets
        assert release in catalogue.releases


def test_what_docker_does_not_know_is_found() -> None:
    text = help_of("run")
    assert unknown_options(["-d", "--nam", "cloud", "image"], text) == ["--nam"]
    assert unknown_options(["-p", "80:80", "-dj", "image", "--nam"], text) == ["-j"]
