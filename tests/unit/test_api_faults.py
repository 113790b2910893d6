"""Faults of APIs as the command line takes and shows them."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner

from builder import report
from builder.cli import cli
from builder.cloud import clouds
from builder.cloud.api_faults import ApiFault, OldImageError, _explained
from builder.engine import EngineError
from builder.errors import CloudError, UsageError

FAULT = ApiFault(
    id="1a2b3c4d", service="nova", request="POST /servers", status=429, times=3, after=True,
    retry_after=2, delay=0.5, drop=False, callers="clients", met=1,
)  # fmt: skip


@pytest.mark.parametrize(
    ("said", "kind", "message", "hint"),
    [
        (
            "contract: error: status is 700\ncontract: error: hint: a number from 400 to 599\n",
            UsageError,
            "status is 700",
            "a number from 400 to 599",
        ),
        (
            "contract: error: 'fault' is neither a role nor a command of this image\n",
            OldImageError,
            "a: its image knows no faults of APIs",
            "build the image again, and start the cloud again",
        ),
        ("no such container", CloudError, "a: contract failed: no such container", None),
    ],
)
def test_what_a_container_says_of_a_mistake(
    said: str, kind: type[CloudError | UsageError], message: str, hint: str | None
) -> None:
    found = _explained("a", EngineError("contract failed", said))
    assert (type(found), found.message, found.hint) == (kind, message, hint)


def test_what_is_printed() -> None:
    _, _, line = report.faults_to_text([FAULT]).splitlines()
    does = "delay 0.5, status 429, retry-after 2, after"
    assert re.split(r"  +", line) == [
        *("1a2b3c4d", "nova", "POST /servers", does, "clients", "1 of 3")
    ]
    assert json.loads(report.faults_to_json([FAULT]))["faults"][0]["met"] == 1


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "give a service and a request"),
        (["nova", "--drop"], "give a service and a request"),
        (["nova", "GET /", "--status", "200"], "200 is not in the range 400<=x<=599"),
        (["nova", "GET /", "--status", "500", "--times", "0"], "0 is not in the range x>=1"),
        (["--list", "--clear"], "--list goes with --cloud and --format only"),
        (["--list", "--drop"], "--list goes with --cloud and --format only"),
        (["--clear", "nova", "GET /"], "--clear goes with SERVICE and --cloud only"),
        (["--clear", "--status", "500"], "--clear goes with SERVICE and --cloud only"),
    ],
)
def test_arguments_that_do_not_go_together(argv: list[str], message: str) -> None:
    done = CliRunner().invoke(cli, ["fault", *argv])
    assert done.exit_code == 2
    assert message in done.output


@pytest.mark.parametrize(
    ("known", "message"),
    [([], "there is no cloud\nhint: builder up"), (["a", "b"], "are 2 clouds\nhint: --cloud NAME")],
)
def test_which_cloud(monkeypatch: pytest.MonkeyPatch, known: list[str], message: str) -> None:
    monkeypatch.setattr(clouds, "connect", lambda: None)
    monkeypatch.setattr(clouds, "known_clouds", lambda _: known)
    with pytest.raises(UsageError) as caught:
        clouds.api_faults(None)
    assert message in str(caught.value)
