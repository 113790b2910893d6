"""Which programs of nova may share a process: each release has its own defaults."""

from pathlib import Path

import pytest
from nova_runtime import backend

PROGRAMS = ("nova-scheduler", "nova-conductor", "nova-compute")
THREADS = "from nova import monkey_patch; monkey_patch.patch(backend='threading')  # noqa\n"
EVENTLET = "from nova import monkey_patch; monkey_patch.patch()  # noqa\n"


@pytest.mark.parametrize(
    ("texts", "groups"),
    [
        # zed to 2025.2: the package nova.cmd patches
        (("", "", ""), [PROGRAMS]),
        # 2026.1
        ((THREADS, EVENTLET, EVENTLET), [PROGRAMS[:1], PROGRAMS[1:]]),
        # 2026.2
        ((THREADS, THREADS, THREADS), [PROGRAMS]),
    ],
)
def test_programs_wait_as_upstream_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, texts: tuple[str, ...], groups: list[object]
) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    (tmp_path / "nova" / "cmd").mkdir(parents=True)
    for program, text in zip(PROGRAMS, texts, strict=True):
        name = program.removeprefix("nova-")
        (tmp_path / "nova" / "cmd" / f"{name}.py").write_text(text)
    assert backend.same_backend(PROGRAMS, {}) == groups
    assert backend.same_backend(PROGRAMS, {backend.VARIABLE: "yes"}) == [PROGRAMS]
    assert backend.same_backend((), {}) == []
