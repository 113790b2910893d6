"""What is said to programs about this machine and proxies."""

import os

import pytest
from requests.utils import get_environ_proxies

from builder.loopback import spare_from_proxies

HERE = "localhost,127.0.0.1,127.0.0.0/8,::1"
PROXY = "http://proxy.example.org:3128"


@pytest.fixture(autouse=True)
def _proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        for each in (name, name.upper()):
            monkeypatch.setenv(each, PROXY)  # so that what a test sets is undone
            if name == "no_proxy":
                monkeypatch.delenv(each)


@pytest.mark.parametrize(
    ("lower", "upper", "expected"),
    [
        ("", "", (HERE, HERE)),
        ("a.org", "", (f"a.org,{HERE}", f"a.org,{HERE}")),
        ("", "a.org , b.org", (f"a.org,b.org,{HERE}", f"a.org,b.org,{HERE}")),
        ("a.org", "b.org", (f"a.org,{HERE}", f"b.org,{HERE}")),
        ("127.0.0.1,::1", "*", ("127.0.0.1,::1,localhost,127.0.0.0/8", "*")),
    ],
)
def test_what_was_said_before_still_is(
    monkeypatch: pytest.MonkeyPatch, lower: str, upper: str, expected: tuple[str, str]
) -> None:
    for name, value in (("no_proxy", lower), ("NO_PROXY", upper)):
        if value:
            monkeypatch.setenv(name, value)
    for _ in range(2):
        spare_from_proxies()
        assert (os.environ["no_proxy"], os.environ["NO_PROXY"]) == expected


@pytest.mark.parametrize("given", ["", "a.org"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "[::1]"])
def test_requests_asks_no_proxy_for_this_machine(
    monkeypatch: pytest.MonkeyPatch, given: str, host: str
) -> None:
    monkeypatch.setenv("NO_PROXY", given)
    url = f"http://{host}:5001/v2/"
    assert PROXY in get_environ_proxies(url).values()
    spare_from_proxies()
    assert get_environ_proxies(url) == {}
    assert bool(get_environ_proxies("https://a.org/")) == (not given)
    for other in ("registry.example.org", "10.0.0.1:5001", "128.0.0.1", "localhost.example.org"):
        assert PROXY in get_environ_proxies(f"https://{other}/v2/").values()
