"""The rules of a container in its run directory, and how often each has been met.

Processes that serve and commands that change the rules meet here: a new file takes the old one's
place, and each rule's count is a file that is locked while it is read and written.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from contract.faults import RULES
from contract.faults.rules import Rule

LOCK = "lock"


class Store:
    """The directory of the rules."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file = directory / RULES
        self._seen: tuple[int, ...] = ()
        self._rules: list[Rule] = []

    def rules(self) -> list[Rule]:
        """The rules that hold now; the file is read again when it is another one."""
        try:
            found = self._file.stat()
            seen = (found.st_ino, found.st_mtime_ns, found.st_size)
            if seen != self._seen:
                self._rules, self._seen = self._read(), seen
        except FileNotFoundError:
            return []
        return self._rules

    def take(self, rule: Rule) -> bool:
        """Whether a request may still meet the rule; that it does is counted."""
        try:
            # Only who makes the rule makes its file: one that is gone is not made again.
            file = self._count(rule).open("r+", encoding="ascii")
        except FileNotFoundError:
            return False
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            taken = int(file.read() or 0)
            if rule.times is not None and taken >= rule.times:
                return False
            file.seek(0)
            file.write(str(taken + 1))
            return True

    def taken(self, rule: Rule) -> int:
        """How many requests have met the rule."""
        try:
            with self._count(rule).open(encoding="ascii") as file:
                fcntl.flock(file, fcntl.LOCK_SH)
                return int(file.read() or 0)
        except FileNotFoundError:
            return 0

    def add(self, rule: Rule) -> Rule:
        """The rule with the id that it has from now on."""
        # An id of its own: a worker may still be at a rule that is gone.
        made = replace(rule, id=secrets.token_hex(4))
        self._directory.mkdir(exist_ok=True)
        with self._locked():
            self._count(made).touch()
            self._write([*self._read(), made])
        return made

    def clear(self, which: Collection[str] = ()) -> list[Rule]:
        """Remove the rules with these ids or services, or all; they are returned."""
        if not self._directory.exists():
            return []
        with self._locked():
            found = self._read()
            gone = [each for each in found if not which or {each.id, each.service} & set(which)]
            ids = {each.id for each in gone}
            self._write([each for each in found if each.id not in ids])
            for each in gone:
                self._count(each).unlink(missing_ok=True)
        return gone

    def _count(self, rule: Rule) -> Path:
        return self._directory / f"{rule.id}.count"

    def _read(self) -> list[Rule]:
        try:
            text = self._file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        return [Rule(**each) for each in json.loads(text)]

    def _write(self, rules: list[Rule]) -> None:
        if not rules:
            self._file.unlink(missing_ok=True)
            return
        new = self._directory / f"{RULES}.new"
        new.write_text(json.dumps([each.as_data() for each in rules]), encoding="utf-8")
        os.replace(new, self._file)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._directory / LOCK).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
