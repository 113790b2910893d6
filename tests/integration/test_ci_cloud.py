"""The action and the include that give a CI job a cloud: under their systems' schemas, and run."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import openstack
import pytest
from ruamel.yaml import YAML

from tests.integration import clouds
from tests.integration.clouds import NAMESPACE, ROOT, docker
from tests.integration.test_ci import PROGRAMS, broken, check

if TYPE_CHECKING:
    from pathlib import Path

ACTION = ROOT / ".github" / "actions" / "openstack" / "action.yml"
INCLUDE = ROOT / "ci" / "openstack.yml"
SCHEMAS = {
    ACTION: ("vendor.github-actions",),
    INCLUDE: ("vendor.gitlab-ci", "--data-transform=gitlab-ci"),
}


def check_schema(path: Path, text: str, directory: Path) -> subprocess.CompletedProcess[str]:
    copy = directory / path.name
    # The schema looks into jobs, and a hidden one is none.
    copy.write_text(text.replace("\n.openstack:", "\nopenstack:\n  script: [pytest]"))
    name, *options = SCHEMAS[path]
    return check("check-jsonschema", "--builtin-schema", name, *options, copy)


@pytest.mark.parametrize(
    ("path", "old", "new", "said"),
    [
        (ACTION, "using: composite", "using: composit", "composit"),
        (ACTION, "shell: bash", "shel: bash", "'shel' was unexpected"),
        (INCLUDE, "OPENSTACK_RELEASE: zed", "OPENSTACK_RELEASE: [zed]", "['zed']"),
    ],
)
def test_the_schema(tmp_path: Path, path: Path, old: str, new: str, said: str) -> None:
    text = path.read_text(encoding="utf-8")
    good = check_schema(path, text, tmp_path)
    assert good.returncode == 0, good.stdout
    bad = check_schema(path, broken(text, old, new), tmp_path)
    assert bad.returncode == 1
    assert said in bad.stdout


def steps() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = YAML(typ="safe").load(ACTION)["runs"]["steps"]
    return found


def job() -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load(INCLUDE)[".openstack"]
    return found


@pytest.mark.parametrize(
    "script",
    [
        *(step["run"] for step in steps()),
        "\n".join(job()["before_script"]),
        "\n".join(job()["after_script"]),
    ],
)
def test_the_shell(script: str) -> None:
    done = check("shellcheck", "--shell=bash", "-", text=script)
    assert done.returncode == 0, done.stdout


def test_the_include_installs_nothing_that_nobody_chose(tmp_path: Path) -> None:
    assert "OPENSTACK_BUILDER" not in job()["variables"]
    done = subprocess.run(
        ["bash", "-e"], input="\n".join(job()["before_script"]), cwd=tmp_path, env={},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "OPENSTACK_BUILDER: set it to openstack-builder @ git+https://" in done.stderr
    assert list(tmp_path.iterdir()) == []


def bash(script: str, directory: Path, **env: str) -> None:
    argv = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        argv, cwd=directory, env={**os.environ, **env, "PATH": path},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def containers(name: str) -> list[str]:
    return docker("ps", "-aq", "--filter", f"name=builder-cloud-{name}-").split()


def step(which: str, **inputs: str) -> tuple[str, dict[str, str]]:
    """A step's commands and environment, with the action's defaults and these inputs."""
    given = {
        key: inputs.get(key, value["default"])
        for key, value in YAML(typ="safe").load(ACTION)["inputs"].items()
    }
    (found,) = [each for each in steps() if each.get("id") == which]
    values = {f"${{{{ inputs.{key} }}}}": value for key, value in given.items()}
    return found["run"], {key: values[value] for key, value in found["env"].items()}


@pytest.mark.usefixtures("images")
def test_the_action_starts_a_cloud_and_removes_it(tmp_path: Path) -> None:
    name = clouds.unique("action")
    variables = tmp_path / "env"
    script, env = step("up", services="keystone", name=name)
    env |= {"NAMESPACE": NAMESPACE, "RUNNER_TEMP": str(tmp_path), "GITHUB_ENV": str(variables)}
    try:
        bash(script, ROOT, **env)
        found = dict(line.split("=", 1) for line in variables.read_text().splitlines())
        assert found["OS_CLOUD"] == name
        config = openstack.config.OpenStackConfig(config_files=[found["OS_CLIENT_CONFIG_FILE"]])
        connection = openstack.connection.Connection(config=config.get_one(name))
        assert connection.current_project_id
        assert len(containers(name)) == 2
    finally:
        script, env = step("down", name=name)
        bash(script, ROOT, **env)
    assert containers(name) == []
