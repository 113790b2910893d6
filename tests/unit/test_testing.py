"""How tests share clouds: which get one together, who is alone in it, what is left to mend."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from builder.stack.resolve import make_stack
from builder.testing.plugin import Need, _shared
from builder.testing.shared import Run, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from builder.catalogue.model import Catalogue
    from builder.stack.resolve import ResolvedStack


def shared(catalogue: Catalogue, *stacks: dict[str, Any]) -> list[ResolvedStack]:
    needed = [make_stack({"release": "zed", **stack}, catalogue) for stack in stacks]
    return [n.shared for n in _shared([Need(n, n, "session") for n in needed], catalogue)]


def test_equal_nodes_share_a_cloud_with_the_services_of_all(catalogue: Catalogue) -> None:
    first, second = shared(catalogue, {"services": "nova"}, {"services": ["nova-compute"]})
    assert key_of(first) == key_of(second)
    small, large = shared(catalogue, {"services": "keystone"}, {"services": "glance"})
    assert key_of(small) == key_of(large)
    assert set(small.targets) == {"mariadb", "keystone", "glance"}


def test_a_test_without_nodes_goes_where_some_are(catalogue: Catalogue) -> None:
    small, large = shared(catalogue, {"services": "keystone"}, {"services": "nova", "computes": 3})
    assert key_of(small) == key_of(large)
    assert list(small.nodes) == ["node1", "node2", "node3"]


@pytest.mark.parametrize(
    "other",
    [{"release": "2025.1"}, {"computes": 3}, {"drivers": {"node1": "fake.SmallFakeDriver"}}],
)
def test_other_nodes_and_releases_are_other_clouds(
    catalogue: Catalogue, other: dict[str, Any]
) -> None:
    first, second = shared(catalogue, {"services": "nova"}, {"services": "nova", **other})
    assert key_of(first) != key_of(second)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found, held = Run.create()
    with held:
        yield found


@pytest.fixture
def needed(catalogue: Catalogue) -> ResolvedStack:
    return make_stack({"release": "zed"}, catalogue)


class User:
    """A test in a thread: is in the cloud from ``enter`` until ``leave``."""

    def __init__(self, run: Run, needed: ResolvedStack, *, alone: bool) -> None:
        self.inside, self._leave = threading.Event(), threading.Event()
        self.mended = False
        self._thread = threading.Thread(target=self._use, args=(run, needed, alone), daemon=True)
        self._thread.start()

    def _use(self, run: Run, needed: ResolvedStack, alone: bool) -> None:
        with run.use(needed, alone=alone, mend=self._mend):
            self.inside.set()
            assert self._leave.wait(10)

    def _mend(self) -> None:
        self.mended = True

    def leave(self) -> None:
        self._leave.set()
        self._thread.join(10)
        assert not self._thread.is_alive()


def test_who_makes_faults_is_alone(run: Run, needed: ResolvedStack) -> None:
    first, second = (User(run, needed, alone=False) for _ in range(2))
    assert first.inside.wait(10)
    assert second.inside.wait(10)
    breaker = User(run, needed, alone=True)
    assert not breaker.inside.wait(0.05)
    first.leave()
    late = User(run, needed, alone=False)
    assert not late.inside.wait(0.05), "it waits behind who wants to be alone"
    second.leave()
    assert breaker.inside.wait(10)
    assert not late.inside.wait(0.05)
    breaker.leave()
    assert late.inside.wait(10)
    late.leave()
    assert not any(user.mended for user in (first, second, breaker, late))


def test_what_a_crash_left_is_mended_once(run: Run, needed: ResolvedStack) -> None:
    with (
        pytest.raises(RuntimeError),
        run.use(needed, alone=True, mend=lambda: None),
    ):
        raise RuntimeError("the worker is gone")
    after = [User(run, needed, alone=False) for _ in range(2)]
    for user in after:
        assert user.inside.wait(10)
        user.leave()
    assert sorted(user.mended for user in after) == [False, True]


def test_a_run_has_a_name_that_a_cloud_can_have(run: Run) -> None:
    assert set(run.id) <= set("0123456789abcdef")
    assert run.directory.stat().st_mode & 0o777 == 0o700
    run.remove(keep=False)
    assert not run.directory.exists()
