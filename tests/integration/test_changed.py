"""``ci/changed``: the releases that a change has to build, in a copy of this repository."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.integration.clouds import ROOT

if TYPE_CHECKING:
    from pathlib import Path

# Whoever commits in a test; no machine needs to know a name.
SOMEBODY = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")


class Checkout:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.git("clone", "--quiet", "--no-hardlinks", str(ROOT), str(root), at=root.parent)
        (root / ".venv").symlink_to(ROOT / ".venv")

    def git(self, *argv: str, at: Path | None = None) -> None:
        subprocess.run(["git", "-C", at or self.root, *argv], check=True, capture_output=True)

    def append(self, name: str, line: str) -> None:
        with (self.root / name).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
        self.git(*SOMEBODY, "commit", "--quiet", "--all", "--message", f"{name} is longer")

    def changed(self) -> list[str]:
        done = subprocess.run(
            ["ci/changed", "HEAD^1"], cwd=self.root, env={**os.environ, "PYTHONPATH": ""},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.split()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "checkout")


@pytest.mark.parametrize(
    ("name", "line", "found"),
    [
        ("README.md", "More.", []),
        ("builder/errors.py", "# More.", ["zed"]),
    ],
)
def test_what_is_in_no_image(checkout: Checkout, name: str, line: str, found: list[str]) -> None:
    checkout.append(name, line)
    assert checkout.changed() == found


def test_a_change_of_one_release(checkout: Checkout) -> None:
    path = checkout.root / "versions.yaml"
    others, release, text = path.read_text(encoding="utf-8").partition('\n  "2025.1":\n')
    changed, count = re.subn(r"(?m)^    date: .*$", "    date: 2030-01-02", text, count=1)
    assert count == 1
    path.write_text(f"{others}{release}{changed}", encoding="utf-8")
    checkout.append("README.md", "More.")
    assert checkout.changed() == ["2025.1"]


def test_a_change_of_all(checkout: Checkout) -> None:
    checkout.append("images/base/Dockerfile.j2", "# More.")
    assert len(checkout.changed()) > 1


def test_the_code_of_each_side_renders_it(checkout: Checkout) -> None:
    """What the program writes into a Dockerfile is a change of the images, too."""
    for module in (checkout.root / "builder").rglob("*.py"):
        text = module.read_text(encoding="utf-8")
        module.write_text(
            text.replace("containers.image.title", "containers.image.caption"), encoding="utf-8"
        )
    checkout.append("README.md", "More.")
    assert len(checkout.changed()) > 1


def test_no_worktree_is_left(checkout: Checkout) -> None:
    checkout.append("README.md", "More.")
    checkout.changed()
    assert not any((checkout.root / ".git/worktrees").glob("*"))
