"""Images for another platform; what has to be emulated runs only with --emulate."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from builder.platforms import Platform, native
from tests.integration.clouds import ROOT, docker
from tests.integration.runs import build

if TYPE_CHECKING:
    from pathlib import Path

MACHINES = {Platform.AMD64: "x86_64", Platform.ARM64: "aarch64"}


def foreign() -> Platform:
    (other,) = set(Platform) - {native()}
    return other


def test_what_only_an_emulator_has_run_is_not_pushed(tmp_path: Path) -> None:
    done = build(ROOT, tmp_path, "--platform", foreign(), "--push")
    assert done.returncode == 2
    assert f"which runs on {native()} here\nhint: add {native()} to --platform" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.emulated
def test_an_index_of_both(tmp_path: Path) -> None:
    setup = str(ROOT / "scripts/setup")
    subprocess.run([setup, "--emulate", foreign().architecture], check=True)
    both = ("--image", "keystone", "--platform", ",".join(Platform))
    done = build(ROOT, tmp_path, *both, "--format", "json")
    assert done.returncode == 0, done.stderr
    (release,) = json.loads(done.stdout)["releases"]
    assert release["checks_passed"] == release["emulated"][foreign()] > 0
    for image in release["images"]:
        for platform, machine in MACHINES.items():
            run = ("run", "--rm", "--platform", platform, "--entrypoint", "uname")
            assert docker(*run, image["reference"], "-m").strip() == machine
