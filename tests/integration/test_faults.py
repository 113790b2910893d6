"""Every third kind of fault once, with --thorough each; bench/faults lets 200 happen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration import faults, registries

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.parametrize(
    "kinds",
    [faults.KINDS[::3], pytest.param(faults.KINDS, marks=pytest.mark.thorough)],
    ids=["third", "all"],
)
def test_a_reader_sees_whole_sets_whatever_happens(tmp_path: Path, kinds: tuple[str, ...]) -> None:
    bench, seen = faults.run(len(kinds), seed=7, directory=tmp_path, kinds=kinds)
    assert bench.failures == []
    assert seen["violations"] == []
    assert seen["reads"] > 500
    # Faults that nobody notices prove nothing.
    assert any("exit -9" in what for what in bench.counts)
    names = [kind.removeprefix("registry: ") for kind in kinds]
    others = [kind for kind in kinds if kind.startswith(("other: ", "refuses: "))]
    wanted = [*(name for name in names if name in registries.FAULTS), *others]
    assert [fault for fault in wanted if not bench.injected[fault]] == []


def test_the_reader_finds_what_is_wrong(tmp_path: Path) -> None:
    """A build that moves, an image without a layer, one whose set did not pass, a lost tag."""
    found = faults.spoiled(tmp_path)
    for part in ("is immutable and moved", "has no blob", "did not pass", "and is gone"):
        assert any(part in violation for violation in found), (part, found)
