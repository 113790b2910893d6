"""How wheels are installed: bytecode that builds share."""

from __future__ import annotations

import importlib.util
import py_compile
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "images/wheels/install"
MODE = py_compile.PycInvalidationMode.UNCHECKED_HASH


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    spec = importlib.util.spec_from_loader("install", SourceFileLoader("install", str(SCRIPT)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "SITE", tmp_path / "site")
    monkeypatch.setattr(module, "BYTECODE", tmp_path / "bytecode")
    (tmp_path / "site/package").mkdir(parents=True)
    return module


def compiled(install: Any, name: str, source: str) -> Path:
    path: Path = install.SITE / "package" / name
    path.write_text(source)
    path.chmod(0o755)
    py_compile.compile(str(path), invalidation_mode=MODE)
    return path


def test_bytecode_of_one_build_is_taken_by_the_next(install: Any) -> None:
    install.BYTECODE.mkdir()
    module = compiled(install, "one.py", "A = {'a', 'b'}\n")
    file = install.bytecode(module)
    content, mode = file.read_bytes(), file.stat().st_mode
    install.keep([module])
    assert len(list(install.BYTECODE.iterdir())) == 1
    file.unlink()
    assert install.new_modules() == [module]
    assert install.restore([module]) == []
    assert (file.read_bytes(), file.stat().st_mode) == (content, mode)
    assert install.new_modules() == []


@pytest.mark.parametrize(("name", "source"), [("one.py", "A = 2\n"), ("other.py", "A = 1\n")])
def test_other_source_or_another_path_has_none(install: Any, name: str, source: str) -> None:
    install.BYTECODE.mkdir()
    install.keep([compiled(install, "one.py", "A = 1\n")])
    other = install.SITE / "package" / name
    other.write_text(source)
    assert install.restore([other]) == [other]


def test_bytecode_of_another_python_is_not_taken(
    install: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    install.BYTECODE.mkdir()
    module = compiled(install, "one.py", "A = 1\n")
    install.keep([module])
    monkeypatch.setattr(install, "sys", SimpleNamespace(version="3.99"))
    assert install.restore([module]) == [module]


def test_what_has_no_bytecode_leaves_nothing(install: Any) -> None:
    """Neither an empty directory in the image, nor a file where there is no cache."""
    module = install.SITE / "package/old.py"
    module.write_text("print 'of an older Python'\n")
    assert install.restore([module]) == [module]
    install.keep([module])
    assert sorted(install.SITE.rglob("*")) == [module.parent, module]
    assert not install.BYTECODE.exists()
