"""What the documentation says of the catalogue is what that says; its commands are some."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from ruamel.yaml import YAML

from builder.catalogue.model import Catalogue
from builder.cli import cli
from builder.smoke import CHECKS
from builder.stack.diagram import draw
from builder.stack.resolve import load_stack
from pages.errors import raised

ROOT = Path(__file__).parents[2]
PAGES = (*ROOT.glob("*.md"), ROOT / "bench/README.md", *ROOT.glob("docs/**/*.md"))
# Options of other programs, which the documentation names.
FOREIGN = {
    *("--link", "--base", "--base-tag"),
    *("--buildkitd-config", "--driver-opt", "--network", "--privileged"),
    *("--insecure-ignore-tlog", "--type", "--delete-untagged", "--yes"),
}

# Everything that people read or run.
TEXTS = (
    *(*ROOT.glob("*.md"), ROOT / "Makefile", ROOT / "scripts", ROOT / "bench", ROOT / "docs"),
    *(ROOT / "builder", ROOT / "images", ROOT / "examples", ROOT / "ci", ROOT / ".github"),
)
# The name without a path or URL: on the package index it is a stranger's.
STRANGERS = re.compile(
    r"(?<![\w./-])builder\[[a-z,]+\]"
    r"|(?:(?:pipx?|uv tool) install|uvx|pipx run|--from) (?:-\S+ )*['\"]?builder(?![\w/\[.-])"
    r"|(?<![\w./-])builder @ "
)
# A place that nobody chose.
PLACEHOLDER = re.compile(r"(?<![\w./-])(?:https?://[\w.]+/)?builder/builder\b")


def texts() -> Iterator[tuple[str, str]]:
    for top in TEXTS:
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield str(path.relative_to(ROOT)), path.read_bytes().decode(errors="replace")


@pytest.mark.parametrize("pattern", [STRANGERS, PLACEHOLDER], ids=["package", "source"])
def test_nothing_leads_to_somebody_else_s_project(pattern: re.Pattern[str]) -> None:
    found = list(texts())
    assert {"README.md", "ci/openstack.yml", "builder/testing/__init__.py"} <= dict(found).keys()
    assert [(name, pattern.findall(text)) for name, text in found if pattern.search(text)] == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("`pip install 'builder[testing]'`", True),
        ("the extra ``builder[testing]``", True),
        ("venv/bin/pip install --quiet builder\n", True),
        ("pip install './builder[testing]'", False),
        ("pip install '/srv/builder[testing]'", False),
        ("builder[testing] @ git+https://HOST/GROUP/PROJECT", True),
        ("builder @ git+https://HOST/GROUP/PROJECT", True),
        ("openstack-builder @ git+https://HOST/GROUP/PROJECT", False),
        ("pip install openstack-builder", False),
        ("uvx builder list", True),
        ("uvx --from builder builder list", True),
        ("uvx --from openstack-builder builder list", False),
        ("uv tool install builder", True),
        ("pipx install builder", True),
        ("pip install ./builder", False),
    ],
)
def test_what_a_stranger_s_package_is_installed_by(text: str, wrong: bool) -> None:
    assert bool(STRANGERS.search(text)) == wrong


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


def override_rows(catalogue: Catalogue) -> list[str]:
    """A row for each override of each package; releases side by side are a range."""
    names = list(catalogue.releases)
    found: dict[tuple[str, str, str], list[int]] = {}
    for index, release in enumerate(catalogue.releases.values()):
        for package, over in release.overrides.items():
            found.setdefault((package, over.version, over.reason), []).append(index)
    rows = []
    for (package, version, reason), indexes in found.items():
        first, last = indexes[0], indexes[-1]
        whole = len(indexes) > 1 and indexes == list(range(first, last + 1))
        releases = (
            f"{names[first]} to {names[last]}"
            if whole
            else ", ".join(names[index] for index in indexes)
        )
        rows.append(f"| {package} | `{version}` | {releases} | {reason} |")
    return sorted(rows)


def test_the_table_of_overrides(catalogue: Catalogue) -> None:
    text = (ROOT / "docs/reference/releases.md").read_text(encoding="utf-8")
    table = text.partition("| package | version | releases | why |\n")[2].partition("\n\n")[0]
    assert table.splitlines()[1:] == override_rows(catalogue)


def test_no_check_is_left_out_for_a_release(catalogue: Catalogue) -> None:
    """The table says so: a check cannot tell one from another, and none skips."""
    words = ("release", "skip", "skipif", "importorskip", "xfail", *catalogue.releases)
    pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b")
    files = sorted(CHECKS.glob("*.py"))
    assert files
    for file in files:
        assert not pattern.findall(file.read_text(encoding="utf-8")), file.name


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
    assert len(needed.order) == 11
    assert draw(needed, "svg") == (ROOT / "docs/how-to/stack.svg").read_text(encoding="utf-8")
    assert all(YAML(typ="safe").load(snippet) for snippet in snippets)


def test_the_cloud_of_the_first_page(catalogue: Catalogue) -> None:
    drawn = draw(load_stack(ROOT / "docs/cloud.yaml", catalogue), "svg")
    assert drawn == (ROOT / "docs/cloud.svg").read_text(encoding="utf-8")


def test_the_first_page_has_what_the_others_have() -> None:
    """A cloud in one container, a test, a job: each is tried where it comes from."""
    text = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```\w+\n(.*?)```", text, re.DOTALL)
    example = (ROOT / "examples/test_live_migration.py").read_text(encoding="utf-8")
    run, test, job = blocks
    assert test == example
    clouds = (ROOT / "docs/how-to/clouds.md").read_text(encoding="utf-8")
    for line in run.splitlines():
        assert line.replace("8080:80", "80:80") in clouds
    services = YAML(typ="safe").load(job)["jobs"]["test"]
    (same,) = [
        found
        for each in re.findall(r"```yaml\n(.*?)```", clouds, re.DOTALL)
        if "ghcr.io" in each and (found := YAML(typ="safe").load(each))
    ]
    assert {key: services[key] for key in same} == same


def errors_shown() -> list[tuple[str, str, str]]:
    """Message, hint and what is said below, of each error on the page about them."""
    text = (ROOT / "docs/how-to/troubleshooting.md").read_text(encoding="utf-8")
    pattern = r"```text\nerror: (.*?)\nhint: (.*?)\n```\n\n(.*?)(?=\n#)"
    return re.findall(pattern, text, re.DOTALL)


@pytest.mark.parametrize(("message", "hint", "below"), errors_shown())
def test_an_error_is_one_that_the_program_has(message: str, hint: str, below: str) -> None:
    codes = {each.exit_code for each in raised(ROOT / "builder") if each.matches(message, hint)}
    assert codes == {int(below.removeprefix("Exit code ")[0])}


def test_there_are_errors_shown() -> None:
    assert len(errors_shown()) > 10


def written(text: str) -> Iterator[str]:
    """The commands in a page: lines of blocks, and what stands in backticks."""
    for block in re.findall(r"```(?:sh)?\n(.*?)```", text, re.DOTALL):
        yield from block.splitlines()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


# By whichever way it was installed
CALL = re.compile(r"(?:\$ )?(?:\S*bin/|uvx --from \S+ )?builder ([a-z].*)")


def commands() -> Iterator[list[str]]:
    """What the documentation says after `builder`; placeholders and all."""
    for page in PAGES:
        for line in written(page.read_text(encoding="utf-8")):
            if match := CALL.fullmatch(line):
                words = shlex.split(match[1], comments=True)
                yield ["debian:bookworm" if word == "REF" else word for word in words]


def test_every_command_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With options that there are, and as many arguments as it takes."""
    for name in ("runs", "osv", "PATH", "DIR"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    called = []
    for command in every_command(cli):
        monkeypatch.setattr(command, "callback", lambda **given: called.append(given))
    found = list(commands())
    assert {words[0] for words in found} == set(cli.commands)
    # The others only name a command.
    whole = [words for words in found if len(words) > 1 and "--help" not in words]
    for words in whole:
        cli.main(words, standalone_mode=False)
    assert len(called) == len(whole) > 30


def every_command(group: click.Group) -> Iterator[click.Command]:
    for command in group.commands.values():
        if isinstance(command, click.Group):
            yield from every_command(command)
        else:
            yield command


def switches() -> list[str]:
    """Options that the integration tests give to pytest; read, for here they are not loaded."""
    text = (ROOT / "tests/integration/conftest.py").read_text(encoding="utf-8")
    adding = text[text.index("def pytest_addoption") :].split("\n\n\n")[0]
    return re.findall(r'"(--[a-z][a-z-]+)"', adding)


def test_every_option_is_one(pytestconfig: pytest.Config) -> None:
    known = {
        option
        for command in (cli, *every_command(cli))
        for each in command.params
        for option in each.opts
    }
    named = {
        match[0]
        for page in PAGES
        for line in written(page.read_text(encoding="utf-8"))
        if (match := re.match(r"--[a-z][a-z-]+", line))
    }
    assert {"--release", "--computes", "--sign-key"} <= named
    for name in [each for each in named if each.startswith("--openstack-")]:
        pytestconfig.getoption(name)  # of the plugin
        known.add(name)
    assert named - known - FOREIGN - set(switches()) == set()
