"""What the documentation says of the catalogue is what the catalogue says."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from builder.drawing import draw
from builder.model import Catalogue
from builder.stack import load_stack

ROOT = Path(__file__).parents[2]


def test_the_table_of_releases(catalogue: Catalogue) -> None:
    text = (ROOT / "docs/reference/releases.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.split("|")[1:6]]
        for line in text.splitlines()
        if line.startswith(("| zed", "| 20"))
    ]
    assert rows == [
        [
            name,
            release.code_name,
            release.status.value,
            f"Debian {release.suite.value}, Python {release.suite.python}",
            release.services["nova"],
        ]
        for name, release in catalogue.releases.items()
    ]


@pytest.mark.parametrize("name", ["test_live_migration", "test_evacuation"])
def test_the_first_test_is_an_example(name: str) -> None:
    text = (ROOT / "docs/tutorial/first-test.md").read_text(encoding="utf-8")
    assert f"`{name}.py`" in text
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert (ROOT / f"examples/{name}.py").read_text(encoding="utf-8") in blocks


def test_the_model_in_the_documentation(tmp_path: Path, catalogue: Catalogue) -> None:
    text = (ROOT / "docs/how-to/tests.md").read_text(encoding="utf-8")
    first, *snippets = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "stack.yaml").write_text(first, encoding="utf-8")
    needed = load_stack(tmp_path / "stack.yaml", catalogue)
    assert len(needed.order) == 7
    assert draw(needed, "svg") == (ROOT / "docs/how-to/stack.svg").read_text(encoding="utf-8")
    assert all(YAML(typ="safe").load(snippet) for snippet in snippets)
