"""`contract ROLE` runs a service; `contract COMMAND …` runs a command in its environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from contract import config, environment, gate, proxies
from contract.console import fail, warn
from contract.errors import ContractError
from contract.programs import path_with_venv
from contract.services import ROLES, SERVICES, Role, Service
from contract.settings import Settings, find_role, resolve

USAGE = (
    "contract ROLE | launch SERVICE PROGRAM… | migrate SERVICE [DUMPS] | normalize-state DIRECTORY"
    " | check-patches [SERVICE] | fault list|add|clear … | COMMAND …"
)


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
    if first == "launch" and len(rest) > 1:
        from contract.launch import launch

        return launch(rest[0], rest[1:])
    if first == "migrate" and rest:
        return migrate(*rest[:2])
    if first == "normalize-state" and rest:
        return normalize_state(rest[0])
    if first == "check-patches" and len(rest) < 2:
        return check_patches(*rest)
    if first == "fault" and rest:
        return fault(rest)
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


def find_service(name: str) -> Service:
    """Raises ``ContractError``."""
    service = SERVICES.get(name)
    if service is None:
        raise ContractError(
            f"there is no service {name!r}", "one of: " + ", ".join(sorted(SERVICES))
        )
    return service


def check_patches(name: str = "") -> int:
    """While an image is built: whether its release has all that the patches replace."""
    import tempfile

    from contract import patches, runtime

    service = find_service(name) if name else None
    sys.dont_write_bytecode = True
    # Nothing of what is imported stays in the image.
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        if service:
            os.environ.update(service.environment)
            runtime.call(service, "before_import")
        patches.check_targets(service)
    return 0


def migrate(name: str, directory: str = "") -> int:
    """Databases and schema only, and dumps of them for images to carry."""
    service = find_service(name)
    from contract import dump, steps
    from contract.wait import Deadline

    role = Role(name, service)
    settings = resolve(role, environment.read(os.environ))
    wanted = [schema for schema in service.schemas if not (directory and schema.like)]
    steps.schemas_of(settings, service, wanted, Deadline(settings.wait_timeout))
    if directory:
        for schema in wanted:
            db = settings.database(service, schema)
            dump.write(db, Path(directory), schema.random_ids)
    return 0


def normalize_state(directory: str) -> int:
    """What an image carries of a cloud that has started once."""
    from contract import normalize_state as steps

    steps.normalize(settings_of(os.environ["CONTRACT_ROLE"], quiet=True), Path(directory))
    return 0


def fault(arguments: list[str]) -> int:
    """A command about the faults of this container's APIs."""
    import json

    from contract.faults import command

    settings = settings_of(os.environ["CONTRACT_ROLE"], quiet=True)
    print(json.dumps(command.run(settings, arguments)))
    return 0


def run_command(arguments: list[str]) -> int:
    role = os.environ.get("CONTRACT_ROLE")
    given = {name: value for name, value in os.environ.items() if environment.is_clients(name)}
    if role and os.access(config.RUN / ROLES[role].run, os.W_OK):
        try:
            config.write_all(settings_of(role, quiet=False))
        except ContractError as error:
            # The command may be how the user looks into the mistake.
            warn(error.message)
        if ROLES[role].backing:
            os.environ.update(given)  # the command may be a client, of another cloud
    import shutil

    if not shutil.which(arguments[0]):
        raise ContractError(
            f"{arguments[0]!r} is neither a role nor a command of this image",
            "roles: " + ", ".join(sorted(ROLES)),
        )
    os.execvp(arguments[0], arguments)


def settings_of(role: str, quiet: bool) -> Settings:
    found = find_role(role)
    environ = proxies.spared(os.environ, proxies.here())
    env = environment.read(environ, whole=bool(found.backing))
    if not quiet:
        for message in env.warnings:
            warn(message)
    # Children, and the clients they run, see the normalised names.
    for name in set(os.environ) - set(env.values):
        del os.environ[name]
    os.environ.update(env.values)
    return resolve(found, env)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
