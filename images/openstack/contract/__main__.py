"""`contract ROLE` runs a service; `contract COMMAND …` runs a command in its environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from contract import config, environment, gate
from contract.console import fail, warn
from contract.errors import ContractError
from contract.programs import path_with_venv
from contract.services import ROLES, SERVICES
from contract.settings import Settings, resolve

USAGE = "contract ROLE | launch PROGRAM… | migrate SERVICE [DUMPS] | settle DIRECTORY | COMMAND …"


def main(arguments: Sequence[str]) -> int:
    os.environ["PATH"] = path_with_venv(os.environ.get("PATH", os.defpath))
    try:
        return dispatch(list(arguments))
    except ContractError as error:
        fail(error.message, error.hint)
        return 1
    except KeyboardInterrupt:
        return 130


def dispatch(arguments: list[str]) -> int:
    if not arguments:
        raise ContractError("nothing to do", USAGE)
    first, rest = arguments[0], arguments[1:]
    if first in ROLES and not rest:
        return serve(first)
    if first == "launch" and rest:
        from contract.launch import launch

        return launch(rest)
    if first == "migrate" and rest:
        return migrate(*rest[:2])
    if first == "settle" and rest:
        return settle(rest[0])
    return run_command(arguments)


def serve(role: str) -> int:
    os.dup2(1, 2)  # a service's log is one stream, on stdout
    settings = settings_of(role, quiet=False)
    config.write_all(settings)
    gate.close(config.RUN / settings.role.run)
    from contract.programs import programs
    from contract.supervisor import Supervisor

    found = programs(settings, settings.env.values)
    return Supervisor(found, settings.json_logs, settings.wait_timeout).run()


def migrate(name: str, directory: str = "") -> int:
    """Databases and schema only, and dumps of them for images to carry."""
    service = SERVICES.get(name)
    if service is None:
        raise ContractError(
            f"there is no service {name!r}", "one of: " + ", ".join(sorted(SERVICES))
        )
    from contract import dump, prepare
    from contract.wait import Deadline

    settings = settings_of("nova-controller" if name == "nova" else name, quiet=True)
    wanted = [schema for schema in service.schemas if not (directory and schema.like)]
    prepare.schemas_of(settings, service, wanted, Deadline(settings.wait_timeout))
    if directory:
        for schema in wanted:
            dump.write(settings.database(service, schema), Path(directory))
    return 0


def settle(directory: str) -> int:
    """What an image carries of a cloud that has started once."""
    from contract import settle as steps

    steps.settle(settings_of("aio", quiet=True), Path(directory))
    return 0


def run_command(arguments: list[str]) -> int:
    role = os.environ.get("CONTRACT_ROLE")
    if role and os.access(config.RUN / ROLES[role].run, os.W_OK):
        try:
            config.write_all(settings_of(role, quiet=False))
        except ContractError as error:
            # The command may be how the user looks into the mistake.
            warn(error.message)
    import shutil

    if not shutil.which(arguments[0]):
        raise ContractError(
            f"{arguments[0]!r} is neither a role nor a command of this image",
            "roles: " + ", ".join(sorted(ROLES)),
        )
    os.execvp(arguments[0], arguments)


def settings_of(role: str, quiet: bool) -> Settings:
    env = environment.read(os.environ)
    if not quiet:
        for message in env.warnings:
            warn(message)
    # Children, and the clients they run, see the normalised names.
    for name in set(os.environ) - set(env.values):
        del os.environ[name]
    os.environ.update(env.values)
    return resolve(role, env)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
