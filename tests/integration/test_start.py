"""The walkthrough's containers on a network without links, in any order, also when one is killed.

Orders and moments are random and the same in each run: each case has its number as its seed.
"""

from __future__ import annotations

import random
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.integration import clouds

if TYPE_CHECKING:
    from tests.integration.clouds import Cloud

pytestmark = pytest.mark.slow

# A start takes about this long on two cores.
START = 25.0
GAP = 0.15


def shuffled(seed: int) -> list[list[str]]:
    order = clouds.commands("docker run")
    random.Random(seed).shuffle(order)  # noqa: S311  (no secret)
    return order


def start_at_once(cloud: Cloud, seed: int) -> None:
    """Within a second: created before, because the engine needs a while for that."""
    order = shuffled(seed)
    for argv in order:
        cloud.create(argv)
    clouds.together(
        partial(start_after, GAP * place, cloud.real(clouds.named(argv)))
        for place, argv in enumerate(order)
    )


def start_after(delay: float, container: str) -> None:
    time.sleep(delay)
    clouds.docker("start", container)


def test_any_order_gives_a_cloud(cloud: Cloud, order: int) -> None:
    start_at_once(cloud, order)
    cloud.boot("node1", "first")
    cloud.wait()


def test_a_killed_container_is_started_again(cloud: Cloud, kill: int) -> None:
    chance = random.Random(1000 + kill)  # noqa: S311  (no secret)
    victim = clouds.named(shuffled(kill)[kill % 6])
    moment = chance.uniform(0, START)
    begin = time.monotonic()
    start_at_once(cloud, kill)
    time.sleep(max(0.0, begin + moment - time.monotonic()))
    clouds.docker("kill", "--signal", "KILL", cloud.real(victim))
    clouds.until("the end", partial(cloud.ended, victim), limit=10, poll=0.1)
    clouds.docker("start", cloud.real(victim))
    cloud.wait()
    cloud.boot_from_outside("first")
