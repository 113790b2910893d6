"""The OpenStack services and the roles that containers play: data, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Schema:
    """A database: its name, the option that holds its address, the command that migrates it.

    ``like`` names the database that the same command migrates, whose dump is also this one's.
    """

    database: str
    group: str
    sync: tuple[str, ...]
    like: str = ""


@dataclass(frozen=True)
class Endpoint:
    """What a service registers in the catalog."""

    type: str
    description: str
    host: str
    port: int
    path: str = ""


@dataclass(frozen=True)
class Service:
    name: str
    schemas: tuple[Schema, ...]
    endpoint: Endpoint

    @property
    def database_password(self) -> str:
        return f"{self.name.upper()}_DBPASS"

    @property
    def user_password(self) -> str:
        return f"{self.name.upper()}_PASS"


KEYSTONE = Service(
    "keystone",
    (Schema("keystone", "database", ("keystone-manage", "db_sync")),),
    Endpoint("identity", "OpenStack Identity", "keystone", 5000, "/v3"),
)
GLANCE = Service(
    "glance",
    (Schema("glance", "database", ("glance-manage", "db_sync")),),
    Endpoint("image", "OpenStack Image", "glance", 9292),
)
PLACEMENT = Service(
    "placement",
    (Schema("placement", "placement_database", ("placement-manage", "db", "sync")),),
    Endpoint("placement", "OpenStack Placement", "placement", 8778),
)
NEUTRON = Service(
    "neutron",
    (Schema("neutron", "database", ("neutron-db-manage", "upgrade", "heads")),),
    Endpoint("network", "OpenStack Networking", "neutron", 9696),
)
NOVA_SYNC = ("nova-manage", "db", "sync", "--local_cell")
NOVA = Service(
    "nova",
    (
        Schema("nova_api", "api_database", ("nova-manage", "api_db", "sync")),
        # cell0 is migrated as a "local cell" whose address comes from the environment.
        Schema("nova_cell0", "", NOVA_SYNC, like="nova"),
        Schema("nova", "database", NOVA_SYNC),
    ),
    Endpoint("compute", "OpenStack Compute", "controller", 8774, "/v2.1"),
)
SERVICES = {s.name: s for s in (KEYSTONE, GLANCE, PLACEMENT, NEUTRON, NOVA)}


@dataclass(frozen=True)
class Role:
    """What one container is: its main service and the programs that it runs."""

    name: str
    main: Service
    programs: tuple[str, ...] = ()
    serves_api: bool = True
    # Services that run here too unless the environment names another one.
    embedded: tuple[Service, ...] = ()
    # The database and the message queue, where they run here too.
    backing: tuple[str, ...] = ()

    @property
    def run(self) -> str:
        """Its directory below /run."""
        return self.name.partition("-")[0]

    @property
    def has_keystone(self) -> bool:
        return KEYSTONE in (self.main, *self.embedded)


ROLES = {
    role.name: role
    for role in (
        Role("keystone", KEYSTONE),
        Role("glance", GLANCE),
        Role("placement", PLACEMENT),
        Role("neutron", NEUTRON),
        Role(
            "nova-controller",
            NOVA,
            programs=("nova-scheduler", "nova-conductor"),
            embedded=(PLACEMENT, NEUTRON),
        ),
        Role("nova-compute", NOVA, programs=("nova-compute",), serves_api=False),
        Role(
            "aio",
            NOVA,
            programs=("nova-scheduler", "nova-conductor", "nova-compute"),
            embedded=(KEYSTONE, GLANCE, PLACEMENT, NEUTRON),
            backing=("mariadb", "rabbitmq"),
        ),
    )
}
