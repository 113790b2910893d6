"""What the smoke test reads off a set."""

import json
from pathlib import Path

from contract.programs import Program
from contract.supervisor import restarting

from builder.catalogue.model import Catalogue
from builder.cloud.compose import ENGINES
from builder.image.plan import make_plan
from builder.smoke import _cloud
from builder.smoke.cloud import restarts


def test_a_program_that_was_started_again_is_seen() -> None:
    died = "DAMN ! worker 2 (pid: 131) died, killed by signal 9 :( trying respawn ..."
    started = f"contract: warning: {restarting(Program('nova-scheduler', (), {}), 1)}"
    calm = "spawned uWSGI worker 2 (pid: 131, cores: 1)\nuWSGI worker 2 cheaped."
    assert restarts("\n".join([calm, died, started])) == [died, started]
    assert restarts(calm) == []


def test_a_set_is_started_with_more_environment(tmp_path: Path, catalogue: Catalogue) -> None:
    plan = make_plan(catalogue, "zed", ["mariadb", "keystone", "nova-compute"])
    _cloud(catalogue, plan, tmp_path, None, {"PATCHES": "none"}, ENGINES)
    services = json.loads((tmp_path / "compose.json").read_text())["services"]
    given = {name: each["environment"].get("PATCHES") for name, each in services.items()}
    assert given == {"mariadb": None, "keystone": "none", "nova-compute": "none"}
