"""What the documentation says of the catalogue is what the catalogue says."""

from pathlib import Path

from builder.model import Catalogue

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
