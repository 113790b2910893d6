"""What the documentation says of the catalogue is what that says; its commands are some."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from contract.services import SERVICES
from ruamel.yaml import YAML

from builder.cli import cli
from builder.drawing import draw
from builder.model import Catalogue
from builder.smoke import CHECKS
from builder.stack import load_stack

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "bench/README.md", *ROOT.glob("docs/*/*.md"))
# Options of Docker's commands, cosign, registries and bench/, which the documentation names.
FOREIGN = {
    *("--buildkitd-config", "--driver-opt", "--network", "--privileged"),
    *("--insecure-ignore-tlog", "--type", "--delete-untagged", "--compile", "--yes"),
}


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


def test_the_table_of_variables_is_what_the_contract_reads() -> None:
    text = (ROOT / "docs/reference/environment.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)}
    sources = (ROOT / "images/openstack/contract").glob("*.py")
    read = set(re.findall(r'"([A-Z_]+)"', " ".join(path.read_text() for path in sources)))
    services = SERVICES.values()
    passwords = {each.user_password for each in services} | {e.database_password for e in services}
    assert named <= read | passwords
    assert passwords - named == {"KEYSTONE_PASS"}  # keystone is no user of itself


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
    assert len(needed.order) == 7
    assert draw(needed, "svg") == (ROOT / "docs/how-to/stack.svg").read_text(encoding="utf-8")
    assert all(YAML(typ="safe").load(snippet) for snippet in snippets)


def written(text: str) -> Iterator[str]:
    """The commands in a page: lines of blocks, and what stands in backticks."""
    for block in re.findall(r"```(?:sh)?\n(.*?)```", text, re.DOTALL):
        yield from block.splitlines()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def commands() -> Iterator[list[str]]:
    """What the documentation says after `builder`; placeholders and all."""
    for page in PAGES:
        for line in written(page.read_text(encoding="utf-8")):
            if match := re.fullmatch(r"(?:\.venv/bin/)?builder ([a-z].*)", line):
                words = shlex.split(match[1], comments=True)
                yield ["debian:bookworm" if word == "REF" else word for word in words]


def test_every_command_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With options that there are, and as many arguments as it takes."""
    (tmp_path / "runs").mkdir()
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


def test_every_option_is_one(pytestconfig: pytest.Config) -> None:
    known = {
        option for command in every_command(cli) for each in command.params for option in each.opts
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
    assert named - known - FOREIGN == set()
