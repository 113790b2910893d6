"""The wheel and the sdist, as somebody has them who has no checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.integration.clouds import ROOT

PROGRAMS = Path(sys.executable).parent
UV = PROGRAMS / "uv"


def run(*argv: str | Path, cwd: Path, **variables: str) -> str:
    done = subprocess.run(
        argv, cwd=cwd, env={**os.environ, "UV_SYSTEM_CERTS": "1", **variables},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commit() -> str:
    return run("git", "describe", "--always", "--abbrev=12", "--dirty", "--exclude=*", cwd=ROOT)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the sdist, and the wheel that is made of it."""
    directory = tmp_path_factory.mktemp("dist")
    run(UV, "build", "--quiet", "--out-dir", directory, ROOT, cwd=directory)
    return directory


@pytest.fixture(scope="module")
def bin_(built: Path) -> Path:
    """The programs of an environment that has the wheel and what it asks for, and nothing else."""
    (wheel,) = built.glob("*.whl")
    run(UV, "venv", "--quiet", "--python", sys.executable, built / "venv", cwd=built)
    run(UV, "pip", "install", "--quiet", wheel, cwd=built, VIRTUAL_ENV=str(built / "venv"))
    return built / "venv/bin"


def test_the_index_would_take_both(built: Path) -> None:
    files = [*built.glob("*.whl"), *built.glob("*.tar.gz")]
    assert len(files) == 2
    said = run(PROGRAMS / "twine", "--no-color", "check", "--strict", *files, cwd=built)
    assert said.count("PASSED") == 2


def test_both_have_the_commit_and_the_catalogue(built: Path) -> None:
    (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("builder/commit.txt").decode() == commit()
        assert {"builder/catalogue/versions.yaml", "builder/catalogue/locks/zed.txt"} <= {
            *archive.namelist()
        }
    with tarfile.open(sdist) as sources:
        names = {name.partition("/")[2] for name in sources.getnames()}
    assert {"builder/commit.txt", "versions.yaml", "tests/unit/conftest.py", "LICENSE"} <= names
    assert not [name for name in names if name.startswith((".venv", "runs/", ".git/"))]


def test_it_names_the_commit(bin_: Path, tmp_path: Path) -> None:
    said = run(bin_ / "builder", "--version", cwd=tmp_path)
    assert said == f"builder 0.1.0 ({commit().strip()})\n"


def test_it_lists_and_renders_without_a_checkout(bin_: Path, tmp_path: Path) -> None:
    listed = run(bin_ / "builder", "list", cwd=tmp_path)
    assert listed == run(PROGRAMS / "builder", "list", cwd=ROOT)
    for program, directory in ((bin_ / "builder", tmp_path), (PROGRAMS / "builder", ROOT)):
        output = tmp_path / directory.name
        run(program, "render", "--release", "zed", "--output", output, cwd=directory)
    mine, others = (
        {path.relative_to(top).as_posix() for path in top.rglob("*")}
        for top in (tmp_path / tmp_path.name, tmp_path / ROOT.name)
    )
    assert mine == others
    assert "zed/keystone/Dockerfile" in mine


# What is typed, and what each shell offers then.
TYPED = {
    "builder com": ["compose"],
    "builder up --comp": ["--computes"],
    "builder list --format gi": ["github", "gitlab"],
}
# What a shell's key calls; zsh has no way to ask for it without a terminal.
OFFERS = {
    "bash": """
source <(_BUILDER_COMPLETE=bash_source builder)
read -ra COMP_WORDS <<< "$TYPED"
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_builder_completion builder
printf '%s\\n' "${COMPREPLY[@]}"
""",
    "fish": """
_BUILDER_COMPLETE=fish_source builder | source
complete --do-complete "$TYPED" | string split --fields 1 \\t; true
""",
}
ZSH = """
autoload -U compinit; compinit -D
eval "$(_BUILDER_COMPLETE=zsh_source builder)"
print $_comps[builder]
"""


def shell(bin_: Path, *argv: str, cwd: Path, **variables: str) -> str:
    path = f"{bin_}{os.pathsep}{os.environ['PATH']}"
    return run(*argv, cwd=cwd, HOME=str(cwd), PATH=path, **variables)


def test_uvx_runs_it(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    said = run(UV, "tool", "run", "--from", wheel, "builder", "list", cwd=tmp_path)
    assert "Hibiscus" in said


@pytest.mark.parametrize("typed", TYPED)
@pytest.mark.parametrize("name", OFFERS)
def test_a_shell_completes(bin_: Path, tmp_path: Path, name: str, typed: str) -> None:
    offered = shell(bin_, name, "-c", OFFERS[name], cwd=tmp_path, TYPED=typed)
    assert offered.splitlines() == TYPED[typed]


def test_zsh_knows_what_completes_it(bin_: Path, tmp_path: Path) -> None:
    assert shell(bin_, "zsh", "-fc", ZSH, cwd=tmp_path) == "_builder_completion\n"
