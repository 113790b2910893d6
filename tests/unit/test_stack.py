"""What a test depends on: the closure of a stack, and every mistake in one with its place."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from builder.catalogue.config import load_catalogue
from builder.catalogue.document import parse
from builder.errors import BuilderError, ConfigError, UsageError
from builder.stack.diagram import FORMATS, boxes_of, draw
from builder.stack.model import KINDS, Stack
from builder.stack.resolve import load_stack, make_stack
from builder.testing.shared import key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from builder.catalogue.model import Catalogue
    from builder.stack.resolve import ResolvedStack

STACK = """\
release: zed
services: nova
computes: 3
driver: fake.MediumFakeDriver
drivers:
  node2: fake.FakeRescheduleDriver
faults: [kill]
fixtures:
  servers:
    web: {flavor: tiny, networks: [lan], project: shop, host: node1}
    db: {after: [servers.web, users.alice]}
  networks:
    lan: {project: shop}
  flavors:
    tiny: {vcpus: 2}
  projects:
    shop: {}
  users:
    alice: {project: shop, roles: [reader]}
"""


def load(directory: Path, catalogue: Catalogue, text: str) -> ResolvedStack:
    path = directory / "stack.yaml"
    path.write_text(text, encoding="utf-8")
    return load_stack(path, catalogue)


def test_the_closure_is_that_of_the_images(catalogue: Catalogue) -> None:
    keystone = make_stack({"release": "zed", "services": ["keystone"]}, catalogue)
    assert (set(keystone.targets), keystone.nodes) == ({"mariadb", "keystone"}, {})
    everything = make_stack({"release": "zed"}, catalogue)
    assert set(everything.targets) == set(catalogue.with_optional().targets) - {"aio"}
    assert list(everything.nodes) == ["node1", "node2"]


def test_a_cloud_of_its_own_has_no_services_to_name(catalogue: Catalogue) -> None:
    with pytest.raises(UsageError) as caught:
        make_stack({"release": "zed", "services": ["aio"]}, catalogue)
    assert str(caught.value).startswith("services.0: aio is a cloud of its own")


def test_fixtures_bring_the_services_that_make_them(catalogue: Catalogue) -> None:
    stack = {"release": "zed", "services": "keystone", "fixtures": {"images": {"disk": {}}}}
    assert set(make_stack(stack, catalogue).targets) == {"mariadb", "keystone", "glance"}


def test_each_node_has_its_driver(tmp_path: Path, catalogue: Catalogue) -> None:
    assert load(tmp_path, catalogue, STACK).nodes == {
        "node1": "fake.MediumFakeDriver",
        "node2": "fake.FakeRescheduleDriver",
        "node3": "fake.MediumFakeDriver",
    }


def test_fixtures_come_after_what_they_name(tmp_path: Path, catalogue: Catalogue) -> None:
    needed = load(tmp_path, catalogue, STACK)
    assert len(needed.order) == 6
    for key, needs in needed.edges.items():
        assert all(needed.order.index(need) < needed.order.index(key) for need in needs)
    web = ("servers", "web")
    assert set(needed.edges[web]) == {
        ("flavors", "tiny"),
        ("networks", "lan"),
        ("projects", "shop"),
    }
    assert needed.order.index(web) < needed.order.index(("servers", "db"))


def test_a_release_from_outside_wins(tmp_path: Path, catalogue: Catalogue) -> None:
    path = tmp_path / "stack.yaml"
    path.write_text(STACK.replace("zed", "nonsense"))
    assert load_stack(path, catalogue, "2025.1").release == "2025.1"
    with pytest.raises(UsageError, match="a cloud is of one release"):
        load_stack(path, catalogue, "2025.*")
    with pytest.raises(UsageError, match="unknown release: 2031"):
        load_stack(path, catalogue, "2031")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("zed", "zedd", "1:1: release: unknown release zedd\nhint: did you mean zed?"),
        ("release: zed\n", "", "1:1: release: which one?"),
        ("nova\n", "[nova, glanse]\n", "services.1: unknown image: glanse"),
        ("computes: 3", "computes: 0", "3:1: computes: expected 1 or more"),
        ("nova\n", "glance\n", "3:1: computes: there is no compute node"),
        ("fake.Medium", "fake Medium", "4:1: driver: expected a driver such as"),
        ("node2:", "node4:", "6:3: drivers.node4: no such compute node"),
        ("node2:", "nodeB:", "6:3: drivers.nodeB: expected a compute node"),
        ("[kill]", "[kil]", "7:10: faults.0: "),
        ("servers:\n", "server:\n", "9:3: fixtures.server: unknown key\nhint: did you mean"),
        ("flavor: tiny", "flavor: tony", "10:11: fixtures.servers.web.flavor: unknown flavor"),
        ("[lan]", "[lan, wan]", "networks.1: unknown network wan"),
        ("host: node1", "host: node9", "host: no such compute node: node9"),
        ("servers.web,", "web,", "expected KIND.NAME such as servers.web, got 'web'"),
        ("vcpus: 2", "vcpus: two", "fixtures.flavors.tiny.vcpus: expected a whole number"),
        (
            "{vcpus: 2}",
            "{after: [servers.db]}",
            "next: servers.db after servers.web",
        ),
        ("lan: {project: shop}", "lan: {cidr: 10.0.0.1/8}", "expected a network such as"),
    ],
)
def test_a_mistake_has_its_place(
    tmp_path: Path, catalogue: Catalogue, old: str, new: str, said: str
) -> None:
    # Without compute nodes there are no servers.
    text = STACK[: STACK.index("fixtures:")] if new == "glance\n" else STACK
    assert old in text
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, catalogue, text.replace(old, new, 1))
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/stack.yaml:")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"relase": "zed"}, "relase: unknown key\nhint: did you mean release?"),
        ({"release": "zed", "computes": "2"}, "computes: expected a whole number"),
        ({"release": "zed", "fixtures": {"servers": {"a": {"flavor": "x"}}}}, "unknown flavor x"),
        ({}, "release: which one?"),
    ],
)
def test_a_mistake_in_a_marker(catalogue: Catalogue, given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_stack(given, catalogue)
    assert said in str(caught.value)


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-1, 3), st.floats(), st.text(max_size=5),
    st.sampled_from(["zed", "nova", "node1", "servers.a", "flavors.a", "a", "fake.FakeDriver"]),
)  # fmt: skip
WORDS = st.sampled_from([*Stack.model_fields, *KINDS, "a", "b", "after", "flavor", "node1", "x y"])
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
SHAPED = st.fixed_dictionaries(
    {"release": st.just("zed")},
    optional={
        "services": ANYTHING,
        "computes": SCALARS,
        "drivers": st.dictionaries(WORDS, SCALARS, max_size=2),
        "fixtures": st.dictionaries(
            st.sampled_from(KINDS),
            st.dictionaries(st.sampled_from("ab"), st.dictionaries(WORDS, ANYTHING, max_size=2)),
            max_size=3,
        ),
    },
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=ANYTHING | SHAPED)
def test_no_model_ends_in_a_traceback(tmp_path: Path, catalogue: Catalogue, data: object) -> None:
    path = tmp_path / "stack.yaml"
    with path.open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump(data, stream)
    said = problem(lambda: draw(load_stack(path, catalogue), "svg"))
    assert said is None or said.startswith(f"{path}:")
    if isinstance(data, dict):
        problem(lambda: make_stack(data, catalogue))


@settings(max_examples=50, deadline=None)
@given(text=st.text(max_size=40))
def test_no_text_either(text: str) -> None:
    said = problem(lambda: parse(Path("stack.yaml"), text).validate(Stack))
    assert said is None or said.startswith("stack.yaml")


def problem(call: Callable[[], object]) -> str | None:
    """What an expected error says; any other goes through."""
    try:
        call()
    except BuilderError as error:
        return str(error)
    return None


def test_the_picture_has_everything_once(tmp_path: Path, catalogue: Catalogue) -> None:
    needed = load(tmp_path, catalogue, STACK)
    boxes = boxes_of(needed)
    names = [box.name for box in boxes]
    assert len(names) == len(set(names)) == 7 + 3 + 6
    pictures = {form: draw(needed, form) for form in FORMATS}
    for name in names:
        assert all(name in picture for picture in pictures.values())
    svg = ET.fromstring(pictures["svg"])
    _, *rectangles = svg.findall("{*}rect")  # the first one is the paper
    arrows = svg.findall("{*}path")
    assert len(rectangles) == len(boxes)
    assert len(arrows) == sum(len(box.depends_on) for box in boxes)
    assert pictures["mermaid"].count(" --> ") == len(arrows)


def points(path: str) -> Iterator[tuple[float, float]]:
    """Points along an SVG path of lines to the left and cubic curves."""
    x, y = 0.0, 0.0
    for command, text in re.findall(r"([MCH])([^MCH]*)", path):
        numbers = [float(word) for word in text.split()]
        if command == "M":
            x, y = numbers
            continue
        x1, y1, x2, y2, x3, y3 = numbers if command == "C" else (x, y, *numbers, y, *numbers, y)
        for t in (step / 20 for step in range(21)):
            a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
            yield a * x + b * x1 + c * x2 + d * x3, a * y + b * y1 + c * y2 + d * y3
        x, y = x3, y3


def test_no_arrow_runs_through_a_box(tmp_path: Path, catalogue: Catalogue) -> None:
    svg = ET.fromstring(draw(load(tmp_path, catalogue, STACK), "svg"))
    width, height = float(svg.get("width", "")), float(svg.get("height", ""))
    _, *found = svg.findall("{*}rect")
    rectangles = [[float(r.get(k, "")) for k in ("x", "y", "width", "height")] for r in found]
    seen = 0
    for path in svg.findall("{*}path"):
        for x, y in points(path.get("d", "")):
            seen += 1
            assert 0 < x < width
            assert 0 < y < height
            assert not any(a < x < a + w and b < y < b + h for a, b, w, h in rectangles)
    assert seen > 400
    for x, y, w, h in rectangles:
        assert 0 < x < x + w < width
        assert 0 < y < y + h < height


def test_many_equal_nodes_are_one_in_the_picture(catalogue: Catalogue) -> None:
    fixtures = {"servers": {"web": {"host": "node3"}, "db": {}}}
    stack = {"release": "zed", "services": "nova", "computes": 100, "fixtures": fixtures}
    boxes = {box.name: box for box in boxes_of(make_stack(stack, catalogue))}
    nodes = [name for name, box in boxes.items() if box.kind == "node"]
    assert nodes == ["node1", "node2", "node3", "node4 … node100"]
    assert boxes["servers.web"].depends_on == ("node3",)
    assert list(boxes["servers.db"].depends_on) == nodes


def test_the_picture_leaves_out_what_follows(catalogue: Catalogue) -> None:
    needed = make_stack({"release": "zed"}, catalogue)
    boxes = {box.name: box for box in boxes_of(needed)}
    assert boxes["node1"].depends_on == ("nova-controller",)
    assert boxes["keystone"].depends_on == ("mariadb",)
    assert "mariadb" not in boxes["nova-controller"].depends_on


def test_services_in_a_circle_can_be_drawn(project: Path) -> None:
    file = project / "images/nova/image.yaml"
    file.write_text(file.read_text().replace("needs: [keystone]", "needs: [nova-compute]"))
    needed = make_stack({"release": "zed"}, load_catalogue(project))
    assert {box.name for box in boxes_of(needed)} >= {"nova-controller", "node1"}
    assert draw(needed, "svg").count("<rect") == 1 + 4


def test_like_devstack_is_another_cloud(catalogue: Catalogue) -> None:
    words = {"release": "zed", "services": "keystone"}
    plain, like = (make_stack(each, catalogue) for each in (words, {**words, "like": "devstack"}))
    assert key_of(plain) != key_of(like)
    with pytest.raises(UsageError, match="like"):
        make_stack({**words, "like": "devstak"}, catalogue)


def test_volumes_come_between_what_they_are_made_of_and_their_servers(
    catalogue: Catalogue,
) -> None:
    fixtures = {
        "servers": {"web": {"boot_volume": "copy", "volumes": ["data"]}},
        "snapshots": {"before": {"volume": "data"}},
        "volumes": {"copy": {"snapshot": "before"}, "data": {"type": "slow", "image": "disk"}},
        "types": {"slow": {}},
        "images": {"disk": {}},
    }
    found = make_stack({"release": "zed", "fixtures": fixtures}, catalogue)
    place = {key: number for number, key in enumerate(found.order)}
    kinds = ("types", "volumes", "snapshots", "volumes", "servers")
    names = ("slow", "data", "before", "copy", "web")
    order = [place[key] for key in zip(kinds, names, strict=True)]
    assert order == sorted(order)
    assert place["images", "disk"] < place["volumes", "data"] < place["servers", "web"]
    alone = make_stack({"release": "zed", "fixtures": {"volumes": {"data": {}}}}, catalogue)
    assert "nova-controller" not in alone.targets
    assert alone.makers["volumes"] in alone.targets


@pytest.mark.parametrize(
    ("volume", "said"),
    [
        ({"type": "fake-3"}, "fixtures.volumes.data.type: unknown type fake-3"),
        ({"snapshot": "x"}, "fixtures.volumes.data.snapshot: unknown snapshot x"),
        ({"snapshot": "x", "image": "fake"}, "of an image or of a snapshot, not of both"),
        ({"size": 0}, "fixtures.volumes.data.size"),
    ],
)
def test_a_mistake_in_a_volume(catalogue: Catalogue, volume: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        make_stack({"release": "zed", "fixtures": {"volumes": {"data": volume}}}, catalogue)
