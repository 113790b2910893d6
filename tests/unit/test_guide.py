"""What pages say of switches, words, links and gates is so."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contract import gate
from contract.services import ROLES

from pages.errors import raised
from tests.unit.test_docs import PAGES, ROOT, switches

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
GLOSSARY = ROOT / "docs/reference/glossary.md"
ELSEWHERE = re.compile(r"https?://|mailto:")


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def section(text: str, heading: str) -> str:
    """From a heading to the next of its level."""
    level = heading.partition(" ")[0]
    found = re.search(
        rf"^{re.escape(heading)}\n(.*?)(?=^{level} |\Z)", text, re.DOTALL | re.MULTILINE
    )
    assert found, heading
    return found[1]


def first_cells(text: str) -> list[str]:
    """Of each row of the tables, but for their heads."""
    rows = re.findall(r"^\| (.+?) \|", text, re.MULTILINE)
    return [cell for cell in rows if cell not in ("---", "term", "switch", "file", "marker")]


# --- links


def test_every_page_that_an_error_names_is_there() -> None:
    named = {each.page for each in raised(ROOT / "builder") if each.page}
    assert len(named) > 15
    for page in named:
        path, _, anchor = page.partition("#")
        assert (ROOT / "docs" / path).is_file(), page
        assert not anchor or anchor in anchors(ROOT / "docs" / path), page


def test_every_section_of_what_goes_wrong_with_a_message_is_named_by_an_error() -> None:
    text = (ROOT / "docs/how-to/troubleshooting.md").read_text(encoding="utf-8")
    shown = re.findall(r"^### (.*)\n\n```text\nerror: ", text, re.MULTILINE)
    named = {each.page for each in raised(ROOT / "builder")}
    wanted = {each.lower().replace(" ", "-") for each in shown}
    assert len(wanted) > 10
    assert {f"how-to/troubleshooting.md#{each}" for each in wanted} <= named


def anchors(page: Path) -> set[str]:
    """As GitHub and GitLab make them of headings."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    words = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {each.replace(" ", "-") for each in words}


def links() -> Iterator[tuple[Path, str, str]]:
    """Page, path and anchor of each link to another place in this repository."""
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if not ELSEWHERE.match(target):
                path, _, anchor = target.partition("#")
                yield page, path, anchor


def test_every_link_leads_somewhere() -> None:
    found = list(links())
    assert len(found) > 50
    wrong = []
    for page, path, anchor in found:
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            wrong.append(f"{page.relative_to(ROOT)}: {path}#{anchor}")
    assert wrong == []


def test_a_reader_comes_to_every_page() -> None:
    """From README.md, by links."""
    ahead, seen = [ROOT / "README.md"], set()
    known = list(links())
    while ahead:
        page = ahead.pop()
        seen.add(page)
        there = [(page.parent / path).resolve() for origin, path, _ in known if origin == page]
        ahead += [each for each in there if each in PAGES and each not in seen]
    assert set(PAGES) - seen == set()


# --- CONTRIBUTING.md


def test_each_switch_of_the_tests_is_explained() -> None:
    rows = first_cells(section(CONTRIBUTING, "### Switches of the integration tests"))
    named = {match[0] for cell in rows if (match := re.search(r"--[a-z-]+", cell))}
    assert named == set(switches())
    assert "--race-seconds" in named


def test_each_variable_of_the_tests_is_explained() -> None:
    tests = (ROOT / "tests/integration").glob("*.py")
    text = "\n".join(path.read_text(encoding="utf-8") for path in tests)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    wanted = {
        *re.findall(r"\bBUILDER_TEST_[A-Z_]+", text),
        *re.findall(r"^([A-Z_]+) \?=", makefile, re.MULTILINE),
    }
    assert wanted
    assert wanted <= set(re.findall(r"^\| `([A-Z_]+)`", CONTRIBUTING, re.MULTILINE))


def test_each_marker_is_explained(settings: dict[str, Any]) -> None:
    markers = settings["tool"]["pytest"]["ini_options"]["markers"]
    assert {each.partition(":")[0] for each in markers} <= set(
        re.findall(r"^\| `(\w+)` \|", CONTRIBUTING, re.MULTILINE)
    )


def test_the_make_targets_are_some() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = {
        word
        for page in PAGES
        for call in re.findall(
            r"(?:`|^)make ([a-z -]+)", page.read_text(encoding="utf-8"), re.MULTILINE
        )
        for word in call.split()
    }
    assert {"lint", "unit", "integration", "test"} <= named
    assert named <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


def test_its_paths_are_there() -> None:
    paths = re.findall(
        r"(?<![\w.])((?:tests|images|ci|bench|docs|\.ci|\.github)/[\w./-]+)", CONTRIBUTING
    )
    assert paths
    assert [path for path in paths if not (ROOT / path.rstrip(".")).exists()] == []


def test_each_file_of_ci_is_explained() -> None:
    files = [*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob("ci/*.yml"), ROOT / ".ci/run"]
    # To include in another project's CI; in docs/how-to/tests.md.
    mine = {str(path.relative_to(ROOT)) for path in files} - {"ci/openstack.yml"}
    rows = first_cells(section(CONTRIBUTING, "## What CI runs"))
    assert {name for row in rows for name in re.findall(r"`([^`]+)`", row)} == mine


@pytest.mark.parametrize(
    "example",
    [
        "no key to sign the images in {registry} with",
        'page="how-to/troubleshooting.md#a-name-that-is-not-known",',
        "time.sleep(1)  # a list may lag behind",
    ],
)
def test_a_good_example_is_real_code(example: str) -> None:
    assert example in CONTRIBUTING
    code = (ROOT / "builder").rglob("*.py")
    assert any(example in path.read_text(encoding="utf-8") for path in code)


# --- CHANGELOG.md


def test_the_changelog_has_its_form(settings: dict[str, Any]) -> None:
    versions = re.findall(r"^## (.*)$", CHANGELOG, re.MULTILINE)
    assert versions[0] == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ - 20\d\d-\d\d-\d\d", each) for each in versions[1:])
    kinds = set(re.findall(r"^### (.*)$", CHANGELOG, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    if versions == ["Unreleased"]:
        assert f"`pyproject.toml` says {settings['project']['version']}." in CHANGELOG


# --- the glossary


def test_the_terms_are_in_order_and_once() -> None:
    text = GLOSSARY.read_text(encoding="utf-8")
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        terms = first_cells(part)
        assert terms == sorted(terms, key=str.lower), part.splitlines()[0]
    terms = [term.lower() for term in first_cells(text)]
    assert len(terms) == len(set(terms)) > 80


def test_each_term_is_used() -> None:
    """On another page: a word that nobody reads needs no explanation."""
    others = [page for page in PAGES if page not in (GLOSSARY, ROOT / "CHANGELOG.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in others).lower()
    terms = first_cells(GLOSSARY.read_text(encoding="utf-8"))
    missing = [
        term for term in terms if not re.search(rf"\b{re.escape(term.lower())}(?:e?s)?\b", text)
    ]
    assert missing == []


@pytest.mark.parametrize(
    "term",
    [
        *("release", "series", "image", "target", "stage", "tag", "digest", "manifest", "index"),
        *("platform", "layer", "attestation", "SBOM", "provenance", "set", "record", "journal"),
        *("gate", "role", "contract", "sample", "stack", "aio"),
    ],
)
def test_the_words_that_a_reader_needs_first(term: str) -> None:
    assert term in first_cells(GLOSSARY.read_text(encoding="utf-8"))


# --- diagrams


def test_the_diagram_of_a_start_has_the_gates_of_the_controller() -> None:
    text = (ROOT / "docs/explanation/start.md").read_text(encoding="utf-8")
    first = text[text.index("```mermaid") :].split("```")[1]
    role = ROLES["nova-controller"]
    services = [service.name for service in (role.main, *role.embedded)]
    wanted = {
        *(gate.GATE.format(program) for program in role.programs),
        *(gate.GATE.format(f"{name}-api") for name in services),
        *(gate.GATE.format(gate.serving(name)) for name in services),
    }
    named = re.findall(r"[a-z-]+\.gate", first)
    assert set(named) == wanted
    for each in wanted:  # a program stops at it, and prepare opens it
        assert named.count(each) == 2, each
    assert set(ROLES) <= set(re.findall(r"`([a-z-]+)`", text))


def test_the_diagram_of_a_publication_has_its_order() -> None:
    text = (ROOT / "docs/explanation/publishing.md").read_text(encoding="utf-8")
    diagram = text[text.index("```mermaid") :].split("```")[1]
    steps = (
        *("refuse a set", "lock of the release", "manifests by digest", "read back each"),
        *("sign, attest", "lock on the tags: ", "release manifest by digest", "journal: _journal"),
        *("all other tags", "the switch", "read all tags back", "remove the journal"),
    )
    places = [diagram.index(step) for step in steps]
    assert places == sorted(places)
