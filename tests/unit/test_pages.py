"""What makes a site of the documentation: links, tabs, diagrams, and pages out of the program."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest

from builder.cli import cli
from builder.cli.schema import FILES
from builder.suite.model import load
from pages import catalogue as of_catalogue
from pages import commands, errors, hooks, links, schemas, sequence, tabs
from pages.text import fenced, plain, table

if TYPE_CHECKING:
    from builder.catalogue.model import Catalogue

ROOT = Path(__file__).parents[2]


# --- links


@pytest.mark.parametrize(
    ("origin", "link", "there"),
    [
        ("docs/how-to/tests.md", "clouds.md#https", "clouds.md#https"),
        ("docs/how-to/tests.md", "../tutorial/first-test.md", "../tutorial/first-test.md"),
        ("docs/how-to/tests.md", "#faults", "#faults"),
        ("docs/how-to/tests.md", "https://example.org/a.md", "https://example.org/a.md"),
        ("docs/how-to/tests.md", "../../README.md#options", "../project/readme.md#options"),
        ("docs/how-to/tests.md", "../../examples", "../source/examples.md"),
        ("README.md", "docs/how-to/tests.md#faults", "../how-to/tests.md#faults"),
        ("README.md", "builder", "../source/builder.md"),
        ("bench/README.md", "../CONTRIBUTING.md", "contributing.md"),
    ],
)
def test_a_link_leads_to_the_same_on_the_site(origin: str, link: str, there: str) -> None:
    assert links.rewrite(f"[words]({link})", origin) == f"[words]({there})"


def test_what_only_looks_like_a_link_stays() -> None:
    text = "```sh\n[x](../../README.md)\n```\n"
    assert links.rewrite(text, "docs/how-to/tests.md") == text


def test_a_file_of_the_repository_becomes_a_page(tmp_path: Path) -> None:
    (tmp_path / "images/nova").mkdir(parents=True)
    (tmp_path / "images/nova/a.py").write_text('"""```"""\n')
    texts = {"docs/x.md": "[a](../images/nova) [b](../images/nova/a.py) [c](../gone) [x](x.md)"}
    found = links.sources(tmp_path, texts)
    assert found.keys() == {"source/images/nova.md", "source/images/nova/a.py.md"}
    assert all('````python\n"""```"""\n````' in page for page in found.values())


# --- tabs and diagrams


def test_headings_become_tabs() -> None:
    inside = "#### one\n\n```sh\nx\n\ny\n```\n\n#### two\n\nz\n\n"
    text = f"a\n\n<!-- tabs -->\n\n{inside}<!-- end of tabs -->\nb\n"
    wanted = 'a\n\n=== "one"\n\n    ```sh\n    x\n\n    y\n    ```\n\n=== "two"\n\n    z\n\nb\n'
    assert tabs.tabs(text) == wanted


def test_words_before_the_first_tab_are_refused() -> None:
    with pytest.raises(ValueError, match="in no tab: words"):
        tabs.tabs("<!-- tabs -->\nwords\n#### one\n<!-- end of tabs -->\n")


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs").glob("**/*.md")), ids=lambda path: path.name
)
def test_every_mark_of_a_page_is_understood(path: Path) -> None:
    text = sequence.draw_all(tabs.tabs(path.read_text(encoding="utf-8")))
    assert "<!-- tabs" not in text
    assert "```mermaid\nsequenceDiagram" not in text


DIAGRAM = """\
    participant A as the <first>
    participant B as second
    A->>B: one
    loop until done
        B->>B: itself
        Note over A,B: both<br/>see it
    end
"""


def test_a_diagram_is_drawn() -> None:
    drawn = sequence.draw(DIAGRAM)
    for words in ("the &lt;first&gt;", ">one<", "loop: until done", ">itself<", ">both<"):
        assert words in drawn
    assert drawn.count('class="tip"') == 2
    assert drawn.count('class="frame"') == 1


def test_what_a_diagram_cannot_say_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be drawn: A-->>B: back"):
        sequence.draw("participant A as a\nparticipant B as b\nA-->>B: back\n")


# --- text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a <b> c_d*", "a \\<b\\> c\\_d\\*"),
        ("two\n  lines", "two lines"),
        ("``a_b`` is code", "`a_b` is code"),
        ("[default: x]", "\\[default: x\\]"),
    ],
)
def test_text_is_shown_as_it_stands(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_a_bar_is_no_column() -> None:
    assert table(("a",), [("`x|y`",)]) == "| a |\n| --- |\n| `x&#124;y` |\n"


def test_a_fence_is_longer_than_those_inside() -> None:
    assert fenced("````\n") == "`````\n````\n`````\n"


# --- what the program knows


def test_every_command_and_option_has_its_place() -> None:
    made = commands.pages(cli)
    found = dict(commands.commands(click.Context(cli, info_name="builder")))
    assert len(made) == len(found) + 1 > 20
    for path, context in found.items():
        page = made[f"reference/commands/{commands.file(path, 'builder')}"]
        assert page.startswith(f"# {path}\n")
        for parameter in context.command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert parameter.opts[-1] in page
        assert f"[`{path}`]" in made["reference/commands/index.md"]


def fields(schema: dict[str, Any]) -> set[str]:
    kinds = [schema, *schema.get("$defs", {}).values()]
    return {name for kind in kinds for name in kind.get("properties", {})}


@pytest.mark.parametrize("file", FILES)
def test_every_field_of_a_file_has_its_place(file: str) -> None:
    assert set(hooks.FILES) == set(FILES)
    schema = hooks.schema(file)
    page = schemas.pages(hooks.FILES, hooks.schema)[f"reference/files/{file}.md"]
    assert set(re.findall(r"^`(\S+)`\n:", page, re.MULTILINE)) == fields(schema)
    headings = {each.lower() for each in re.findall(r"^## (.+)$", page, re.MULTILINE)}
    assert set(re.findall(r"\]\(#(\w+)\)", page)) <= headings


def test_services_by_release(catalogue: Catalogue) -> None:
    page = of_catalogue.services(catalogue)
    for name, release in catalogue.releases.items():
        (row,) = re.findall(rf"^\| \*\*{re.escape(name)}\*\* \| (\d.*) \|$", page, re.MULTILINE)[:1]
        assert row.split(" | ") == list(release.services.values())


def test_every_image_has_its_place(catalogue: Catalogue) -> None:
    page = of_catalogue.images(catalogue)
    parts = dict(
        re.findall(r"^## openstack-(\S+)\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    )
    assert parts.keys() == catalogue.targets.keys()
    for name, target in catalogue.targets.items():
        for port in target.ports:
            assert str(port) in parts[name]
    core = [r.name for r in catalogue.recipes.values() if r.service and r.service.core]
    (whole,) = [n for n, t in catalogue.targets.items() if t.role and t.role.core]
    for name in core:
        assert f"`{name.upper()}_DBPASS`" in parts[whole]
    variables = set(re.findall(r"`([A-Z_]+_(?:PASS|DBPASS|PUBLIC_URL))`", page))
    environment = (ROOT / "docs/reference/environment.md").read_text(encoding="utf-8")
    assert variables <= set(re.findall(r"`([A-Z_]+)`", environment))


def test_every_patch_has_its_place() -> None:
    page = of_catalogue.patches(ROOT)
    table_ = (ROOT / "docs/reference/not-upstream.md").read_text(encoding="utf-8")
    section = table_[table_.index("## Patches") : table_.index("\n## Options")]
    named = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    assert named
    assert set(re.findall(r"^## (\w+)$", page, re.MULTILINE)) == named


def test_every_test_that_is_left_out_has_its_reason(catalogue: Catalogue) -> None:
    suite = load(ROOT, "tempest")
    page = of_catalogue.suites(catalogue, iter([suite]))
    for each in suite.definition.excluded:
        assert plain(each.reason) in page


def test_errors_are_read_out_of_the_code(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text(
        'raise MachineError(f"no answer of {what} at {place}{port}", hint="start " "it")\n'
        'raise ConfigError(path, f"not a {kind} of any use")\n'
        'raise UsageError(message, hint="x")\n'
        'raise MachineError("no room at all", page="how-to/tests.md#room")\n'
        'raise ValueError("not one of ours")\n'
    )
    assert errors.raised(tmp_path) == [
        errors.Raised(2, "…: not a … of any use", ""),
        errors.Raised(3, "no answer of … at …", "start it", "how-to/doctor.md"),
        errors.Raised(3, "no room at all", "", "how-to/tests.md#room"),
    ]


def test_an_error_is_known_again() -> None:
    known = errors.Raised(3, "no … at …", "start it")
    assert known.matches("no registry at 127.0.0.1:5001", "start it")
    assert not known.matches("no registry at 127.0.0.1:5001", "start")
    assert not known.matches("one registry at 127.0.0.1:5001", "start it")


# --- the navigation


def test_every_page_is_in_the_navigation() -> None:
    """MkDocs would warn; here it costs nothing to know."""
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = set(re.findall(r": (\S+\.md)$", text, re.MULTILINE)) | {"index.md"}
    kept = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").glob("**/*.md")}
    directories = tuple(re.findall(r": (\S+/)$", text, re.MULTILINE))
    assert [each for each in kept - named if not each.startswith(directories)] == []
    assert set(links.ELSEWHERE.values()) <= named
    assert "\n  font: false\n" in text
