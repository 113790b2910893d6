"""What MkDocs calls: adds the pages that are made, and sets each page for the site."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner
from mkdocs.structure.files import File

from builder import source
from builder.catalogue.config import load_catalogue
from builder.cli import cli
from builder.suite import model
from pages import catalogue, commands, errors, links, schemas, sequence, tabs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
FILES = {
    "versions.yaml": "The releases: which services, in which versions, on which Debian.",
    "image.yaml": "A folder of images/: how its images are built, and what its service is.",
    "stack.yaml": "What a test or a cloud depends on: services, nodes, faults, fixtures.",
    "policy.yaml": "What a scan may find in a set that is pushed.",
}
_DRAWING = re.compile(r"!\[([^]]*)\]\(([^)]+\.svg)\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """A link to where the project is kept, if anybody knows where that is.

    Not as ``repo_url``: a reader's browser would ask the forge for its stars.
    """
    if found := source.find(None, ROOT):
        link = {"icon": "fontawesome/brands/git-alt", "link": found, "name": "Source"}
        config.extra["social"] = [link]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    kept = {f"docs/{each.src_uri}": each.content_string for each in files.documentation_pages()}
    kept |= {name: (ROOT / name).read_text(encoding="utf-8") for name in links.ELSEWHERE}
    made = {links.ELSEWHERE[name]: links.rewrite(kept[name], name) for name in links.ELSEWHERE}
    made |= {**links.sources(ROOT, kept), **reference()}
    found = [*sorted(name.removeprefix(links.DOCS) for name in kept), *made]
    config.nav = expanded(config.nav, found)
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    style = ROOT / "pages/assets/site.css"
    files.append(File.generated(config, "assets/site.css", content=style.read_text("utf-8")))
    return files


def expanded(nav: Any, pages: Sequence[str]) -> Any:
    """The navigation, with the pages below a directory where it names that."""
    if isinstance(nav, str) and nav.endswith("/"):
        return [path for path in pages if path.startswith(nav)]
    if isinstance(nav, dict):
        return {title: expanded(each, pages) for title, each in nav.items()}
    return [expanded(each, pages) for each in nav] if isinstance(nav, list) else nav


def reference() -> Mapping[str, str]:
    known = load_catalogue(ROOT)
    suites = (
        model.load(ROOT, path.parent.name)
        for path in sorted((ROOT / model.DIRECTORY).glob(f"*/{model.FILE}"))
    )
    return {
        **commands.pages(cli),
        **schemas.pages(FILES, schema),
        "reference/services.md": catalogue.services(known),
        "reference/images.md": catalogue.images(known),
        "reference/patches.md": catalogue.patches(ROOT),
        "reference/suites-by-release.md": catalogue.suites(known, suites),
        "reference/errors.md": errors.page(ROOT / "builder"),
    }


def schema(file: str) -> schemas.Schema:
    found: schemas.Schema = json.loads(CliRunner().invoke(cli, ["schema", file]).stdout)
    return found


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    if page.file.generated_by is None:
        markdown = links.rewrite(markdown, f"docs/{page.file.src_uri}")
    return _DRAWING.sub(r"[![\1](\2){ .drawing }](\2)", tabs.tabs(sequence.draw_all(markdown)))
