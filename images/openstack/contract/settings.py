"""The settings of one container, resolved from its environment."""

from __future__ import annotations

from dataclasses import dataclass

from contract.environment import DEVSTACK, Environment
from contract.errors import ContractError
from contract.services import IDENTITY, ROLES, Role, Schema, Service
from contract.urls import MYSQL_PORT, Database, parse_database, transport_url

REGION = "RegionOne"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Login:
    """A user of keystone and the project it works in."""

    username: str
    password: str
    project: str
    user_domain: str = "Default"
    project_domain: str = "Default"


@dataclass(frozen=True)
class Settings:
    role: Role
    env: Environment
    admin: Login
    demo: Login
    # A second user without rights, for tests of what projects see of each other.
    alt_demo: Login
    auth_url: str
    transport_url: str
    region: str
    wait_timeout: int
    api_workers: int
    json_logs: bool

    @property
    def devstack(self) -> bool:
        """Whether a new cloud has what DevStack makes."""
        return self.env.given("SAMPLES") == DEVSTACK

    @property
    def main(self) -> Service:
        return self.role.main

    @property
    def embedded(self) -> tuple[Service, ...]:
        return tuple(
            service
            for service in self.role.embedded
            if not self.env.given(f"{service.variable}_URL")
        )

    @property
    def backing(self) -> tuple[str, ...]:
        """The database and the message queue, unless the environment names another one."""
        elsewhere = {
            "mariadb": self.env.given("DB_HOST"),
            "rabbitmq": self.env.given("RABBIT_HOST")
            or self.env.option("default", "transport_url"),
        }
        return tuple(name for name in self.role.backing if not elsewhere[name])

    @property
    def services(self) -> tuple[Service, ...]:
        """The services whose API and schema this container looks after."""
        return (*self.embedded, self.main) if self.role.serves_api else ()

    def password(self, name: str) -> str:
        # The default of each documented password is its own name, as in the old images.
        return self.env.get(name, name)

    def service_login(self, service: Service) -> Login:
        password = self.password(service.user_password)
        return Login(service.name, password, "service")

    def option(self, service: Service, group: str, name: str) -> str | None:
        """An option from the environment; embedded services do not share the main one's."""
        return self.env.option(group, name) if service is self.main else None

    def root_password(self) -> str:
        return self.env.get("MYSQL_ROOT_PASSWORD", "MYSQL_DBPASS")

    def database(self, service: Service, schema: Schema) -> Database:
        if not schema.group:
            return self._cell0(service, schema)
        given = self.option(service, schema.group, "connection")
        if given:
            name = f"OS_{schema.group.upper()}__CONNECTION"
            return parse_database(name, given)
        return Database(
            name=schema.database,
            host=self.env.get("DB_HOST", LOOPBACK if self.role.backing else "mysql").strip("[]"),
            port=int(self.env.get("DB_PORT", str(MYSQL_PORT))),
            user=service.name,
            password=self.password(service.database_password),
        )

    def databases(self, service: Service) -> dict[str, Database]:
        return {s.database: self.database(service, s) for s in service.schemas}

    def _cell0(self, service: Service, schema: Schema) -> Database:
        """cell0 lives where cell1 lives, under its own name."""
        from dataclasses import replace

        cell1 = self.database(service, service.schemas[-1])
        return replace(cell1, name=schema.database)


def find_role(name: str) -> Role:
    """Raises ``ContractError``."""
    role = ROLES.get(name)
    if role is None:
        raise ContractError(f"there is no role {name!r}", "one of: " + ", ".join(sorted(ROLES)))
    return role


def resolve(role: Role, env: Environment) -> Settings:
    return Settings(
        role=role,
        env=env,
        admin=_admin(env),
        demo=Login("demo", env.get("DEMO_PASS", "DEMO_PASS"), "demo"),
        alt_demo=Login("alt_demo", env.get("ALT_DEMO_PASS", "ALT_DEMO_PASS"), "alt_demo"),
        auth_url=_auth_url(role, env),
        transport_url=env.option("default", "transport_url") or _transport(role, env),
        region=env.get("REGION_NAME", env.get("OS_REGION_NAME", REGION)),
        wait_timeout=int(env.get("WAIT_TIMEOUT", "300")),
        api_workers=int(env.get("API_WORKERS", "2")),
        json_logs=env.get("LOG_FORMAT", "text") == "json",
    )


def _admin(env: Environment) -> Login:
    return Login(
        username=env.get("OS_USERNAME", "admin"),
        password=env.get("OS_PASSWORD", env.get("ADMIN_PASS", "ADMIN_PASS")),
        project=env.get("OS_PROJECT_NAME", "admin"),
        user_domain=env.get("OS_USER_DOMAIN_NAME", "Default"),
        project_domain=env.get("OS_PROJECT_DOMAIN_NAME", "Default"),
    )


def _auth_url(role: Role, env: Environment) -> str:
    # keystone talks to itself whatever name others know it by.
    default = LOOPBACK if role.has_keystone else IDENTITY
    return env.get("OS_AUTH_URL", f"http://{default}:5000/v3")


def _transport(role: Role, env: Environment) -> str:
    return transport_url(
        host=env.get("RABBIT_HOST", LOOPBACK if role.backing else "rabbitmq"),
        user=env.get("RABBIT_USER", "guest"),
        password=env.get("RABBIT_PASS", "guest"),
    )
