"""What applies back-ports to wheels: the program that the build of a set runs, with `patch`."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.integration.clouds import ROOT, Done, run

if TYPE_CHECKING:
    from pathlib import Path

WHEEL = "notes-1.0-py3-none-any.whl"
FILES = {
    "notes/door.py": "# a door\nopen = True\n",
    "notes-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: notes\nVersion: 1.0\n",
    "notes-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}
PATCH = """\
Advisories: CVE-2030-0001

--- a/notes/door.py
+++ b/notes/door.py
@@ -1,2 +1,2 @@
 # a door
-open = True
+open = False
"""


def recorded(name: str) -> str:
    """https://packaging.python.org/en/latest/specifications/recording-installed-packages"""
    digest = hashlib.sha256(FILES[name].encode()).digest()
    return f"{name},sha256={base64.urlsafe_b64encode(digest).decode().rstrip('=')},\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "dist").mkdir()
    (tmp_path / "patches/notes").mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "dist" / WHEEL, "w") as wheel:
        for name, text in FILES.items():
            wheel.writestr(name, text)
        wheel.writestr("notes-1.0.dist-info/RECORD", "".join(map(recorded, FILES)))
    return tmp_path


def applied(place: Path, *patches: str) -> Done:
    for number, text in enumerate(patches):
        (place / f"patches/notes/{number}.patch").write_text(text)
    return run(
        *(str(ROOT / ".venv/bin/uv"), "run", "--quiet", "--no-project"),
        *("--with-requirements", str(ROOT / "images/compilers/toolchain.txt"), "python"),
        *(str(ROOT / "images/wheels/backports/apply"), str(place / "patches"), str(place / "dist")),
    )


def test_a_wheel_has_the_fix_and_the_patch_itself(place: Path) -> None:
    second = PATCH.replace("-open = True", "-open = False").replace("+open", "+shut")
    done = applied(place, PATCH, second)
    assert done.code == 0, done.output
    with zipfile.ZipFile(place / "dist" / WHEEL) as wheel:
        assert wheel.read("notes/door.py") == b"# a door\nshut = False\n"
        record = wheel.read("notes-1.0.dist-info/RECORD").decode()
        for number in (0, 1):
            assert f"notes-1.0.dist-info/backports/{number}.patch,sha256=" in record


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (" # a door", " # a gate", "0.patch does not apply to notes-1.0-py3-none-any.whl"),
        ("-open = True\n+open = False", "-open = 0\n+open = True", "has this fix already"),
        ("notes/door.py", "notes/gate.py", "0.patch does not apply to notes-1.0-py3-none-any.whl"),
    ],
)
def test_what_does_not_fit_to_the_line_ends_the_build(
    place: Path, old: str, new: str, message: str
) -> None:
    before = (place / "dist" / WHEEL).read_bytes()
    done = applied(place, PATCH.replace(old, new))
    assert done.code == 1
    assert message in done.stderr
    assert "hint: " in done.stderr
    assert (place / "dist" / WHEEL).read_bytes() == before


def test_a_package_that_is_not_in_the_lock(place: Path) -> None:
    (place / "patches/diary").mkdir()
    (place / "patches/diary/0.patch").write_text(PATCH)
    done = applied(place)
    assert done.code == 1
    assert "back-ports of diary: there is no wheel of it in the lock" in done.stderr
