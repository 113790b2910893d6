"""HTTP to one registry: certificates, credentials, time limits, and retries.

Plain HTTP is for loopback only. https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import json
import os
import re
import ssl
import threading
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import MaxRetryError
from urllib3.util import Retry

from builder.errors import PublishError
from builder.loopback import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from urllib3 import BaseHTTPResponse

# Seconds to connect, and between two pieces of an answer.
TIMEOUT = (10.0, 60.0)
CONNECTIONS = 16
RETRIES = Retry(
    total=6,
    backoff_factor=0.2,
    backoff_max=10,
    backoff_jitter=0.2,
    retry_after_max=60,
    status_forcelist=(408, 425, 429, 500, 502, 503, 504),
    allowed_methods=None,
    raise_on_status=False,
)
_BLOCK = 1 << 20
_PASSING = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)
_PERMANENT = re.compile("CERTIFICATE_VERIFY_FAILED|WRONG_VERSION_NUMBER|Name or service not known")
_CERTIFICATES = Path("/etc/docker/certs.d")
# Docker Hub's API is at another host, and `docker login` keeps its password under a third name:
# https://docs.docker.com/reference/cli/docker/login/
_HUB, _HUB_API, _HUB_LOGIN = "docker.io", "registry-1.docker.io", "https://index.docker.io/v1/"


class _Adapter(HTTPAdapter):
    def __init__(self, context: ssl.SSLContext | None, retries: Retry | int) -> None:
        self._context = context
        super().__init__(pool_maxsize=CONNECTIONS, pool_block=True, max_retries=retries)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context, blocksize=_BLOCK)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Only what the context trusts: requests would add certifi's authorities."""

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs["timeout"] = kwargs.get("timeout") or TIMEOUT
        return super().send(*args, **kwargs)


class Connection:
    """Connections to a registry, ``HOST[:PORT]``, for all its repositories and several threads."""

    def __init__(self, registry: str) -> None:
        self.registry = registry
        self._host = _HUB_API if registry == _HUB else registry
        self.base = f"{'http' if is_loopback(registry) else 'https'}://{self._host}"
        self._tokens: dict[str, str] = {}
        self._lock = threading.Lock()

    def request(
        self,
        method: str,
        url: str,
        *,
        scope: str,
        headers: Mapping[str, str] | None = None,
        body: Callable[[], Any] | None = None,
        stream: bool = False,
    ) -> requests.Response:
        """One request, without retries, for a path of this registry or a whole URL.

        ``scope`` is the repository that the token is for. Raises ``requests.RequestException``.
        """
        whole = urljoin(self.base, url)
        if not is_loopback(self.registry):  # a proxy that ends TLS may make a registry say http
            whole = whole.replace("http://", "https://", 1)
        ours = urlsplit(whole).netloc == self._host
        known = self._tokens.get(scope) if ours else None
        answer = self._send(method, whole, headers, body, known, stream=stream)
        challenge = answer.headers.get("WWW-Authenticate", "")
        if not ours or not _wants_token(answer.status_code, challenge):
            return answer
        token = self._authorization(challenge, scope)
        if not token:
            return answer
        self._tokens[scope] = token
        return self._send(method, whole, headers, body, token, stream=stream)

    def get(self, path: str, *, password: bool) -> requests.Response:
        """GET a path that is not of the registry API, maybe with the password of `docker login`.

        Raises ``requests.RequestException``.
        """
        with self._lock:
            basic = getattr(self._backend, "_basic_auth", None) if password else None
        authorization = f"Basic {basic}" if basic else None
        return self._send("GET", urljoin(self.base, path), None, None, authorization, stream=False)

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        body: Callable[[], Any] | None,
        authorization: str | None,
        *,
        stream: bool,
    ) -> requests.Response:
        given = {**(headers or {}), **({"Authorization": authorization} if authorization else {})}
        data = body() if body else None
        try:
            return self._session.request(method, url, headers=given, data=data, stream=stream)
        finally:
            if close := getattr(data, "close", None):
                close()

    @cached_property
    def _session(self) -> requests.Session:
        session = self._new_session(0)
        session.auth = _no_netrc
        return session

    def _new_session(self, retries: Retry | int) -> requests.Session:
        session = requests.Session()
        session.mount("http://", _Adapter(None, retries))
        if self.base.startswith("https:"):  # reading the authorities takes a while
            session.mount("https://", _Adapter(_context(self.registry), retries))
        return session

    def _authorization(self, challenge: str, repository: str) -> str | None:
        """The header that answers ``challenge``; None where there is no way to."""
        with self._lock:
            backend = self._backend
            basic = getattr(backend, "_basic_auth", None)
            if challenge.lower().startswith("basic"):
                return f"Basic {basic}" if basic else None
            from oras.auth.utils import parse_auth_header

            asked = parse_auth_header(challenge)
            if not asked.realm:
                return None
            if not asked.realm.startswith("https://") and not is_loopback(
                urlsplit(asked.realm).netloc
            ):
                raise PublishError(
                    f"{self.registry} wants its token fetched over plain HTTP: {asked.realm}",
                    hint="a password would be readable on the way; correct the registry's realm",
                )
            if not asked.scope and repository:
                asked.scope = f"repository:{repository}:pull,push"
            if asked.scope:
                asked.scope = asked.scope.split()  # each is a parameter of its own
            token = backend.request_token(asked)
            return f"Bearer {token}" if token else None

    @cached_property
    def _backend(self) -> Any:
        """Docker's configuration as oras reads it: auths, credential helpers, tokens."""
        from oras.auth.token import TokenAuth  # importing it costs 100 ms

        backend = TokenAuth()
        backend.session = self._new_session(RETRIES)
        backend._tls_verify = True
        backend._auth_config = _docker_configuration()
        backend.hostname = self.registry
        backend.load_configs(f"{self.registry}/any")
        return backend


@cache
def connection(registry: str) -> Connection:
    """The connections of this process to ``registry``."""
    return Connection(registry)


def is_reachable(registry: str) -> bool:
    """Whether something answers at ``HOST[:PORT]``, which is asked once."""
    try:
        connection(registry).get("/v2/", password=False)
    except requests.RequestException:
        return False
    return True


def retried(
    operation: Callable[[], requests.Response], *, passing: Collection[int] = ()
) -> requests.Response:
    """The answer of ``operation``, which is tried again while a failure may pass.

    That is a busy or failing registry, as its status says, a dropped connection, or one of the
    statuses in ``passing``; the registry's Retry-After is honoured up to a minute. Raises
    ``requests.RequestException`` in the end, or returns the last answer.
    """
    retries = RETRIES
    while True:
        raw: BaseHTTPResponse | None = None
        last: requests.Response | requests.RequestException
        try:
            last = operation()
            if last.status_code not in (*RETRIES.status_forcelist, *passing):
                return last
            raw = last.raw
        except _PASSING as error:
            if _PERMANENT.search(str(error)):
                raise
            last = error
        try:
            retries = retries.increment(response=raw)
        except MaxRetryError:
            if isinstance(last, requests.RequestException):
                raise last from None
            return last
        retries.sleep(raw)


def _wants_token(status: int, challenge: str) -> bool:
    """Whether a token is missing, has expired, or is for too little.

    https://www.rfc-editor.org/rfc/rfc6750#section-3.1
    """
    too_little = status == requests.codes.forbidden and "insufficient_scope" in challenge
    return status == requests.codes.unauthorized or too_little


def _no_netrc(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _context(registry: str) -> ssl.SSLContext:
    """Certificates that the system, SSL_CERT_FILE, REQUESTS_CA_BUNDLE and Docker trust.

    https://docs.docker.com/engine/security/certificates/
    """
    context = ssl.create_default_context()
    if bundle := os.environ.get("REQUESTS_CA_BUNDLE"):
        path = Path(bundle)
        context.load_verify_locations(*((None, bundle) if path.is_dir() else (bundle, None)))
    directory = _CERTIFICATES / registry
    for authority in sorted(directory.glob("*.crt")):
        context.load_verify_locations(authority)
    for certificate in sorted(directory.glob("*.cert")):
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    return context


def _docker_configuration() -> dict[str, Any]:
    """https://docs.docker.com/reference/cli/docker/#docker-cli-configuration-file-configjson-properties."""
    directory = os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker"
    path = Path(directory) / "config.json"
    try:
        found = json.loads(path.read_bytes()) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise PublishError(f"{path}: {error}", hint="repair it, or docker login again") from error
    auths = found.get("auths") or {}
    if _HUB_LOGIN in auths:
        auths = {_HUB: auths[_HUB_LOGIN], **auths}
    return {
        "auths": auths,
        "credsStore": found.get("credsStore"),
        "credHelpers": found.get("credHelpers") or {},
    }
