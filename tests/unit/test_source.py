"""The URLs that images name as their source, and those that they never do."""

from pathlib import Path

import pytest

from builder import source
from builder.errors import UsageError

CI = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "CI_PROJECT_URL")
NAMED = "https://git.example.org/team/images"


@pytest.fixture(autouse=True)
def origin(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The remote of the checkout, and no variable of a CI."""
    found = [""]
    for name in CI:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(source, "remote", lambda _: found[-1])
    return found


@pytest.mark.parametrize(
    "url",
    [
        NAMED,
        f"{NAMED}.git",
        f"{NAMED}/",
        "https://GIT.example.org/team/images",
        "https://user:s3cret@git.example.org/team/images.git",
        "https://s3cret@git.example.org/team/images?private_token=s3cret#s3cret",
        "git@git.example.org:team/images.git",
        "git.example.org:team/images",
        "ssh://git@git.example.org:2222/team/images.git",
        "git+ssh://git@git.example.org/team/images",
        "git://git.example.org/team/images.git/",
    ],
)
def test_one_repository_has_one_name(url: str) -> None:
    assert source.normal(url) == NAMED


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://git.example.org/i", "http://git.example.org/i"),
        ("https://git.example.org:8443/i.git", "https://git.example.org:8443/i"),
        ("https://git/team/images", "https://git/team/images"),
        ("https://[2001:db8::1]/i", "https://[2001:db8::1]/i"),
        ("https://git.example.org/~me/i", "https://git.example.org/~me/i"),
    ],
)
def test_what_is_left_as_it_is(url: str, name: str) -> None:
    assert source.normal(url) == name


@pytest.mark.parametrize(
    "url",
    [
        *("", "/srv/images", "../images", "./a:b/c", "images", "C:\\images", "file:///srv/images"),
        *("https://", "https://git.example.org", "https://git.example.org/", "ftp://a.org/b"),
        *("work:team/images", "git@work:team/images", "ssh://git@work/team/images"),
        *("https://localhost/i", "http://127.0.0.1:3000/i", "https://[::1]/i", "ssh://127.0.0.2/i"),
        *("https://[/i", "https://a.org:port/i", "https://a.org/a b", "https://a.org/a\nb"),
        *("https://a.org/$(id)", "--upload-pack=x:y"),
    ],
)
def test_what_others_could_not_reach_is_no_source(url: str) -> None:
    assert source.normal(url) is None
    if url:
        with pytest.raises(UsageError) as caught:
            source.find(url, Path())
        assert caught.value.exit_code == 2


def test_who_says_it_first(monkeypatch: pytest.MonkeyPatch, origin: list[str]) -> None:
    assert source.find(None, Path()) is None
    assert source.find("", Path()) is None
    origin.append("git@git.example.org:team/images.git")
    assert source.find(None, Path()) == NAMED
    monkeypatch.setenv("CI_PROJECT_URL", "https://gitlab.example.org/ci/images")
    assert source.find(None, Path()) == "https://gitlab.example.org/ci/images"
    monkeypatch.setenv("GITHUB_REPOSITORY", "owner/images")
    assert source.find(None, Path()) == "https://gitlab.example.org/ci/images"
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.example.org")
    assert source.find(None, Path()) == "https://github.example.org/owner/images"
    assert source.find(f"{NAMED}.git", Path()) == NAMED
