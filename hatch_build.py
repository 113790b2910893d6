"""Notes the commit in what is built, for `builder --version`."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NOTE = "builder/commit.txt"
DESCRIBE = ("git", "describe", "--always", "--abbrev=12", "--dirty", "--exclude=*")


class CommitHook(BuildHookInterface[Any]):
    """A wheel that is made of an sdist has the note of that, for there is no checkout."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable" or (Path(self.root) / NOTE).exists():
            return
        if (Path(self.root) / ".git").exists():
            self._directory = tempfile.TemporaryDirectory()
            note = Path(self._directory.name, "commit.txt")
            note.write_bytes(subprocess.check_output(DESCRIBE, cwd=self.root))
            build_data["force_include"][str(note)] = NOTE
