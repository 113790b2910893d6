"""fakenet is a plugin as neutron finds them: a distribution with an entry point that exists."""

from __future__ import annotations

import ast
from importlib.metadata import distributions
from pathlib import Path

FAKENET = Path(__file__).parents[2] / "images/neutron/fakenet"


def test_each_entry_point_names_a_class_that_is_there() -> None:
    (distribution,) = distributions(path=[str(FAKENET)])
    assert {entry.name for entry in distribution.entry_points} == {"fakenet"}
    assert len(distribution.entry_points) == 3
    for entry in distribution.entry_points:
        source = (FAKENET / entry.module.replace(".", "/")).with_suffix(".py")
        classes = [
            node.name
            for node in ast.parse(source.read_text(encoding="utf-8")).body
            if isinstance(node, ast.ClassDef)
        ]
        assert entry.attr in classes


def test_the_configuration_names_the_entry_points() -> None:
    settings = (FAKENET.parent / "etc/neutron.conf").read_text(encoding="utf-8")
    assert "\nmechanism_drivers = fakenet\n" in settings
    assert "\nexternal_dns_driver = fakenet\n" in settings
