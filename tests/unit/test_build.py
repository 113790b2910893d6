"""Reading BuildKit's progress: logs of real builds, one that went well, three that failed."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from builder.catalogue.config import load_catalogue
from builder.engine import EngineError
from builder.errors import BuildError
from builder.image.build import _TRANSIENT, _failure, _Progress, _retried, _tail, ca_bundle
from builder.image.build_log import Recipes
from builder.image.plan import make_plan
from builder.progress import Task, watched

DATA = Path(__file__).parent / "data"


def read(name: str, logs: Path) -> _Progress:
    progress = _Progress("zed", logs)
    with (DATA / name).open(encoding="utf-8") as stream:
        progress.read(stream)
    return progress


def failure(name: str, project: Path, rendered: Path) -> BuildError:
    plan = make_plan(load_catalogue(project), "zed")
    return _failure(plan, read(name, rendered), EngineError("the build failed", ""), rendered)


def test_the_whole_log_is_kept_as_it_came(tmp_path: Path) -> None:
    read("built.log", tmp_path)
    assert (tmp_path / "build.log").read_text() == (DATA / "built.log").read_text()


def test_every_target_has_a_log_of_its_own(tmp_path: Path) -> None:
    progress = read("built.log", tmp_path)
    assert progress.failed is None
    assert {path.stem for path in tmp_path.glob("*.log")} == {
        *("build", "base", "mariadb", "rabbitmq", "rootfs", "wheels"),
    }
    assert (tmp_path / "wheels.log").read_text().splitlines()[:3] == [
        "#9 [wheels internal] load build definition from Dockerfile",
        "#9 transferring dockerfile: 1.16kB 0.0s done",
        "#9 DONE 0.0s",
    ]


def test_lines_reach_the_log_at_once(tmp_path: Path) -> None:
    """Whoever watches build.log sees a step while it runs."""
    progress = _Progress("zed", tmp_path)

    def lines() -> list[str]:
        return (tmp_path / "build.log").read_text().splitlines()

    def stream() -> Iterator[str]:
        yield "#1 [a 1/1] RUN make\n"
        assert lines() == ["#1 [a 1/1] RUN make"]
        yield "#1 DONE 0.1s\n"

    progress.read(stream())
    assert lines() == ["#1 [a 1/1] RUN make", "#1 DONE 0.1s"]


def test_steps_are_shown_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    read("built.log", tmp_path)
    messages = [record.getMessage() for record in caplog.records]
    assert "build: zed [rabbitmq rabbitmq 3/5] COPY rabbitmq.conf /etc/rabbitmq/" in messages
    assert len(messages) == len(set(messages))
    assert [
        message
        for message in messages
        if "internal" in message or len(message) > len("build: zed ") + 100
    ] == []


def test_each_recipe_is_told_of_until_its_last_step(tmp_path: Path) -> None:
    dockerfile = "FROM rootfs\nCOPY a b\nRUN make\n"
    progress = _Progress("zed", tmp_path, recipes=Recipes({"base": dockerfile}))
    seen: list[Task] = []
    with watched(seen.append):
        progress.read([
            "#1 [base internal] load build context", "#1 DONE 0.1s",
            "#2 [late 1/2] COPY a b", "#2 CACHED",
            "#3 [late 2/2] RUN --mount=type=tmpfs,target=/tmp make", "#3 [late 2/2] RUN make",
            "#4 [late 2/2] RUN make", "#4 0.5 output", "#4 DONE 1.0s",
        ])  # fmt: skip
    assert [(each.name, each.doing, each.done, each.total, each.ended) for each in seen] == [
        ("base", "COPY a b", 0, 2, False),
        ("base", "", 1, 2, False),
        ("late", "RUN make", 0, 1, False),
        ("base", "RUN make", 1, 2, False),
        ("base", "", 2, 2, True),
    ]


def test_a_failing_step(project: Path, tmp_path: Path) -> None:
    error = failure("failed-step.log", project, tmp_path)
    assert error.exit_code == 1
    assert error.message.splitlines() == [
        (
            "zed: target neutron failed at: [neutron databases 1/6] RUN --mount=type=cache,"
            "id=apt-bookworm,target=/var/cache/apt,sharing=locked     --mount=type=cache,"
            "id=lists-bookworm,target=/var/lib/apt/lists,sharing=locked     "
            "apt-install mariadb-client-core mariadb-server-core"
        ),
        *read("failed-step.log", tmp_path).lines["74"],
    ]
    assert error.message.splitlines()[-2:] == [
        "#74 1.516 /bin/sh: 1: apt-install: not found".removeprefix("#74 "),
        (
            'ERROR: process "/bin/sh -c apt-install mariadb-client-core mariadb-server-core" '
            "did not complete successfully: exit code: 127"
        ),
    ]
    assert error.hint == f"the whole log is {tmp_path / 'neutron.log'}"
    assert "apt-install: not found" in (tmp_path / "neutron.log").read_text()


def test_a_failing_step_belongs_to_the_dockerfile_that_has_it(
    project: Path, tmp_path: Path
) -> None:
    """BuildKit names the target that waits for a step first, here neutron for a step of schema."""
    schema = """\
FROM openstack AS databases
# the client and the server
RUN --mount=type=cache,id=apt-bookworm,target=/var/cache/apt,sharing=locked \\
    --mount=type=cache,id=lists-bookworm,target=/var/lib/apt/lists,sharing=locked \\
    apt-install mariadb-client-core mariadb-server-core
"""
    for name, text in {"schema": schema, "neutron": "FROM openstack AS neutron\n"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "Dockerfile").write_text(text)
    error = failure("failed-step.log", project, tmp_path)
    assert error.message.startswith("zed: target schema failed at: [neutron databases 1/6] RUN ")


def test_a_target_keeps_its_name_if_its_recipe_has_another(project: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe").mkdir()
    (tmp_path / "recipe/Dockerfile").write_text("FROM a AS b\nCOPY missing.conf /etc/\n")
    error = failure("failed-copy.log", project, tmp_path)
    assert error.message.startswith("zed: target b failed at: [b 1/2] COPY missing.conf /etc/\n")
    assert error.message.endswith('"/missing.conf": not found')


def test_a_dockerfile_with_a_mistake(project: Path, tmp_path: Path) -> None:
    """No step fails then: BuildKit's summary is all there is."""
    error = failure("parse-error.log", project, tmp_path)
    assert error.message.splitlines() == [
        "zed: the build failed",
        "Dockerfile:2",
        "--------------------",
        "   1 |     FROM a",
        "   2 | >>> CPY x /",
        "   3 |     ",
        "--------------------",
        (
            "ERROR: failed to solve: dockerfile parse error on line 2: "
            "unknown instruction: CPY (did you mean COPY?)"
        ),
    ]
    assert error.hint == f"the whole log is {tmp_path / 'build.log'}"


def test_a_failure_without_any_line(project: Path, tmp_path: Path) -> None:
    plan = make_plan(load_catalogue(project), "zed")
    progress = _Progress("zed", tmp_path)
    error = _failure(plan, progress, EngineError("the build failed", "no space left"), tmp_path)
    assert error.message == "zed: the build failed\nthe build failed: no space left"


def test_the_tail_is_short(tmp_path: Path) -> None:
    progress = _Progress("zed", tmp_path)
    progress.read([*(f"#5 0.{number} line" for number in range(100)), "#5 ERROR: exit code: 1"])
    assert len(_tail(progress).splitlines()) == 20
    assert _tail(progress).endswith("0.99 line\nERROR: exit code: 1")


@pytest.mark.parametrize(
    "line",
    [
        "2.1 Temporary failure resolving 'deb.example.org'",
        "curl: (6) Could not resolve host: temporary failure in name resolution",
        "E: Failed to fetch http://deb.example.org/x.deb  503  Service Unavailable [IP: 192.0.2.1]",
        "E: Failed to fetch http://deb.example.org/x.deb  Connection failed",
        "requests.exceptions.HTTPError: 502 Server Error: Bad Gateway for url: https://example.org",
        "WARNING: Retrying after connection broken by 'ReadTimeoutError(Read timed out.)'",
        "ERROR: failed to do request: net/http: TLS handshake timeout",
        "ERROR: toomanyrequests: 429 Too Many Requests",
        "ERROR: HTTP error 503 while getting https://example.org/six.whl",
        "dial tcp 192.0.2.1:443: connect: connection refused",
        "ERROR: failed to solve: DeadlineExceeded: context deadline exceeded",
    ],
)
def test_a_passing_failure_is_tried_again(line: str) -> None:
    assert _TRANSIENT.search(line)


@pytest.mark.parametrize(
    "line",
    [
        "0.502 /bin/sh: 1: apt-install: not found",
        "Need to get 502 kB of archives.",
        "12.503 gcc: error: no such file",
        "ERROR: No matching distribution found for nova==26.3.0",
        "E: Unable to locate package python4",
        "E: Failed to fetch http://deb.example.org/x.deb  404  Not Found [IP: 192.0.2.1 80]",
        *(DATA / "failed-step.log").read_text().splitlines()[:7],
    ],
)
def test_another_failure_is_final(line: str) -> None:
    assert not _TRANSIENT.search(line)


def test_the_certificates_are_a_file() -> None:
    assert Path(ca_bundle()).is_absolute()


def test_an_engine_without_time_for_all_gets_one_target_after_another(
    project: Path, tmp_path: Path
) -> None:
    plan = make_plan(load_catalogue(project), "zed")
    asked: list[tuple[str, ...]] = []
    times_left = {"a": 2, "b": 0, "c": 3}

    def bake(progress: _Progress, some: Sequence[str]) -> dict[str, str]:
        asked.append(tuple(some))
        if len(some) > 1 or times_left[some[0]]:
            times_left[some[0]] -= len(some) == 1
            progress.read(["ERROR: failed to solve: DeadlineExceeded: context deadline exceeded\n"])
            raise EngineError("the build failed", "")
        return {name: f"sha256:{name}" for name in some}

    with pytest.raises(BuildError, match="context deadline exceeded"):
        _retried(bake, ["a", "b", "c"], plan, tmp_path, tmp_path)
    assert asked == [("a", "b", "c"), ("a",), ("a",)]
    times_left["a"], asked[:] = 1, []
    times_left["c"] = 2
    assert _retried(bake, ["a", "b", "c"], plan, tmp_path, tmp_path) == {
        name: f"sha256:{name}" for name in "abc"
    }
    assert asked == [("a", "b", "c"), ("a",), ("a",), ("b",), ("c",), ("c",), ("c",)]
