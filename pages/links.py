"""Links: those between pages stay, those to other files of the repository become pages, too."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from pages.text import code, fenced

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

DOCS = "docs/"
SOURCE = "source/"
# Pages that are kept elsewhere, because forges look for them there.
ELSEWHERE = {
    "README.md": "project/readme.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
    "bench/README.md": "project/benchmarks.md",
}
_LINK = re.compile(r"(?<=\]\()(?!https?://|mailto:)([^)\s#]+)(?=[)#])")
_FENCE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)
# With more files a directory is a list of their names.
_MANY = 20
_LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".j2": "jinja", ".sh": "bash"}


def page_of(file: str) -> str:
    """The page of the site, relative to its top, that ``file`` of the repository is shown on."""
    if file.startswith(DOCS):
        return file.removeprefix(DOCS)
    return ELSEWHERE.get(file) or f"{SOURCE}{file}.md"


def targets(text: str, origin: str) -> Iterator[str]:
    """What the links in the page ``origin`` lead to; both relative to the repository."""
    for part in _FENCE.split(text):
        if not part.startswith("```"):
            for link in _LINK.findall(part):
                yield resolve(origin, link)


def rewrite(text: str, origin: str) -> str:
    """The links in the page ``origin`` of the repository, for where the site has that page."""
    here = posixpath.dirname(page_of(origin))

    def moved(link: re.Match[str]) -> str:
        return posixpath.relpath(page_of(resolve(origin, link[1])), here or ".")

    return "".join(
        part if part.startswith("```") else _LINK.sub(moved, part) for part in _FENCE.split(text)
    )


def resolve(origin: str, link: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin), link))


def sources(root: Path, texts: Mapping[str, str]) -> Mapping[str, str]:
    """Pages of the files that the pages ``texts`` link to and that are none themselves."""
    wanted = {target for origin, text in texts.items() for target in targets(text, origin)}
    return {
        page_of(target): shown(root, target)
        for target in sorted(wanted - texts.keys())
        if not target.startswith(DOCS) and (root / target).exists()
    }


def shown(root: Path, name: str) -> str:
    """A file, or all files of a directory."""
    top = root / name
    head = f"---\nsearch:\n  exclude: true\n---\n\n# {code(name)}\n\n"
    if top.is_file():
        return head + content(top)
    files = sorted(
        path for path in top.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    )
    if len(files) > _MANY:
        names = (path.relative_to(root).as_posix() for path in files)
        return head + "".join(f"- {code(each)}\n" for each in names)
    return head + "\n".join(
        f"## {code(path.relative_to(top).as_posix())}\n\n{content(path)}" for path in files
    )


def content(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    return fenced(text, _LANGUAGES.get(path.suffix, "text")) if text.strip() else "It is empty.\n"
