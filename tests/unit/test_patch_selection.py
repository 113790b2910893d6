"""Which patches of upstream's code a cloud has, and what each of its containers is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from builder.catalogue.patches import Patches, names_of, parse_patches
from builder.cloud.configuration import Configuration
from builder.errors import UsageError
from builder.stack.resolve import make_stack
from builder.testing.shared import key_of

if TYPE_CHECKING:
    from builder.catalogue.model import Catalogue


def told(catalogue: Catalogue, text: str) -> dict[str, str | None]:
    configuration = Configuration(patches=parse_patches(text, catalogue))
    targets = ("keystone", "nova-controller", "cinder", "aio", "mariadb")
    return {name: configuration.environment(catalogue, name).get("PATCHES") for name in targets}


def test_all_are_on_unless_one_says_otherwise(catalogue: Catalogue) -> None:
    assert set(told(catalogue, "").values()) == {None}


def test_none_is_for_every_service_and_not_for_what_they_stand_on(catalogue: Catalogue) -> None:
    found = told(catalogue, "none")
    assert found.pop("mariadb") is None
    assert set(found.values()) == {"none"}


def test_a_container_is_told_of_its_own_patches_alone(catalogue: Catalogue) -> None:
    """It ends where it is told of another."""
    assert told(catalogue, "-mapping,-shared_cache,-reply_waiters") == {
        "keystone": "-reply_waiters,-shared_cache",
        "nova-controller": "-mapping,-reply_waiters",
        "cinder": "-reply_waiters",
        "aio": "-mapping,-reply_waiters,-shared_cache",
        "mariadb": None,
    }


def test_of_those_that_are_named_a_container_without_any_has_none(catalogue: Catalogue) -> None:
    found = told(catalogue, "mapping")
    assert (found["nova-controller"], found["keystone"]) == ("mapping", "none")


def test_a_service_has_the_patches_of_its_folder(catalogue: Catalogue) -> None:
    assert {"mapping", "scheduler_throttle", "reply_waiters"} <= names_of(catalogue, ["nova"])
    assert "mapping" not in names_of(catalogue, ["keystone"])
    assert not {name for name in names_of(catalogue, catalogue.services) if name[0] == "_"}


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("-maping", "there is no patch maping", "did you mean mapping?"),
        ("mapping,-identity", "some names begin with - and some do not", "with - before each"),
        ("none,mapping", "there is no patch none", "known: "),
    ],
)
def test_a_mistake_is_said(catalogue: Catalogue, text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_patches(text, catalogue)
    assert hint in str(caught.value.hint)


def test_a_model_says_it_too(catalogue: Catalogue) -> None:
    plain = make_stack({"release": "zed"}, catalogue)
    without = make_stack({"release": "zed", "patches": "none"}, catalogue)
    assert without.stack.patches == ("none",)
    assert key_of(plain) != key_of(without)
    with pytest.raises(UsageError, match="patches: there is no patch other"):
        make_stack({"release": "zed", "patches": ["-other"]}, catalogue)


def test_the_default_is_all() -> None:
    assert Patches() == Configuration().patches
