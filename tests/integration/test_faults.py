"""Each kind of fault once, and the first ones again; bench/faults lets 200 happen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration import faults

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_a_reader_sees_whole_sets_whatever_happens(tmp_path: Path) -> None:
    bench, seen = faults.run(len(faults.KINDS) + 3, seed=7, directory=tmp_path)
    assert bench.failures == []
    assert seen["violations"] == []
    assert seen["reads"] > 500
    # Faults that nobody notices prove nothing.
    assert any("exit -9" in what for what in bench.counts)
    assert any(what.endswith("exit 1") or "'1'" in what for what in bench.counts)


def test_the_reader_finds_what_is_wrong(tmp_path: Path) -> None:
    """A build that moves, an image without a layer, one whose set did not pass, a lost tag."""
    found = faults.spoiled(tmp_path)
    for part in ("is immutable and moved", "has no blob", "did not pass", "and is gone"):
        assert any(part in violation for violation in found), (part, found)
