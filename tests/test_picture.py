"""The picture of a lab's state: complete, readable, and harmless whatever engines say."""

import base64
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import docker
import msgspec
import pytest
from docker.errors import APIError
from docker.models.containers import Container as DockerContainer
from docker.types import EndpointSpec

from dockyard import picture
from dockyard.lab import Lab, containers
from dockyard.picture import look
from dockyard.picture.scene import Container, Host, Mount, Network, Scene, Service
from dockyard.report import Outcome
from dockyard.waiting import wait_until

SVG = "{http://www.w3.org/2000/svg}"
DRAWN = {f"{SVG}{tag}" for tag in ("title", "desc", "g", "rect", "path", "circle", "text")}
DEBIAN = "dockyard/debian:1"

VOTING = Scene(
    hosts=[
        Host(
            "node1",
            role="manager, leader",
            containers=[
                Container(
                    "vote.1", "vote:1", health="healthy", ports=["5000→80"], networks=["app"]
                ),
                Container("redis.1", "redis:1", networks=["app", "local"]),
                Container("vote.2", "vote:1", state="exited (137)", networks=["app"]),
            ],
            volumes=["old-notes"],
        ),
        Host(
            "node2",
            role="worker",
            containers=[
                Container("db.1", "postgres:1", mounts=[Mount("votes")], networks=["app"]),
                Container("result.1", "result:1", health="unhealthy", networks=["app"]),
                Container("probe", "debian:1", state="paused", networks=["none"]),
                Container("tail", "debian:1", mounts=[Mount("/srv/logs", "bind", True)]),
            ],
        ),
        Host("node3", role="worker", standing="drained"),
        Host("node4", answers=False, role="worker", standing="down"),
    ],
    networks=[
        Network("app", "overlay", "10.0.1.0/24", ["node1", "node2"], swarm=True),
        Network("local", "bridge", "172.20.0.0/16", ["node1"]),
    ],
    services=[Service("vote", 1, 3, ["5000"]), Service("db", 1, 1), Service("worker", 0, 1)],
)
EMPTY = [
    Scene([]),
    Scene([Host("node1")]),
    Scene([Host("node1", answers=False)]),
    Scene([Host("node1", containers=[Container("alone", "debian:1", networks=["host"])])]),
    Scene([Host("node1")], [Network("app", "overlay", "", ["elsewhere"], swarm=True)]),
    Scene([Host("node1", more=3)], services=[Service("vote", 0, 0)]),
]

ATTACKS = [
    "</svg><script>alert(1)</script>",
    "\"' onload='alert(1)' x=\"",
    "]]><!ENTITY x SYSTEM 'file:///etc/passwd'>&x;",
    "\u202egnp.exe\u2066\u200f\x00\x1b[2J\ud800\uffff",
    "Z" + "\u0301" * 30,
    "x" * 2**20,
    "W" * 30,
]


def hostile(name: str, count: int = 3) -> Scene:
    """A scene in which everything has this name, and there is too much of everything."""
    many = [name] * count
    one = Container(name, name, name, name, many, many, [Mount(name, name), Mount(name)] * count)
    return Scene(
        [Host(f"node{n}", True, name, name, [one] * count, many) for n in range(3)],
        [Network(name, name, name, ["node0", "node1", "node2"], bool(n % 2)) for n in range(count)],
        [Service(name, 10**5000, -(10**5000), many)] * count,
    )


def parsed(scene: Scene) -> ElementTree.Element:
    return ElementTree.fromstring(picture.draw(scene))  # noqa: S314 (it is ours)


def texts(scene: Scene) -> list[str]:
    return [each.text or "" for each in parsed(scene).iter(f"{SVG}text")]


def test_everything_is_in_the_picture() -> None:
    shown = " ".join(texts(VOTING))
    for host in VOTING.hosts:
        assert host.name in shown
        assert all(container.name in shown for container in host.containers)
    for words in (
        "★ manager, leader", "◐ worker, drained", "✗ worker, down", "does not answer",
        "no containers", "app · overlay · 10.0.1.0/24", "local · bridge · 172.20.0.0/16",
        "5000→80", "votes", "read-only /srv/logs", "not mounted: old-notes", "no network",
        "vote 1 of 3, port 5000 on every host", "db 1 of 1",
    ):  # fmt: skip
        assert words in shown


def test_signs_say_what_colours_say() -> None:
    of_state = {sign: len([text for text in texts(VOTING) if text == sign]) for sign in "●✗◐"}
    # Containers; then hosts and services; and each once in the legend.
    assert of_state == {"●": 5 + 1, "✗": 1 + 2 + 1, "◐": 1 + 1 + 1}
    assert {"exited (137)", "paused", "♥ healthy", "! unhealthy"} <= set(texts(VOTING))


def test_what_criteria_say_of_things_stands_with_them() -> None:
    said: dict[str, list[Outcome]] = {
        "vote": ["passed", "failed"], "db": ["passed"], "node3": ["blocked"], "app": ["failed"],
    }  # fmt: skip
    svg = ElementTree.fromstring(picture.draw(VOTING, verdicts=said))  # noqa: S314
    shown = [str(each.text) for each in svg.iter(f"{SVG}text")]
    assert shown.count("1 of 2 criteria met") == 2  # vote.1, vote.2
    assert shown.count("1 of 1 criterion met") == 1  # db.1
    assert shown.count("0 of 1 criterion met") == 1  # node3
    assert "vote 1 of 3, port 5000 on every host; 1 of 2 criteria met" in shown


def test_containers_are_joined_to_their_networks() -> None:
    # app: three containers of node1 and two of node2; local: one.
    assert len(list(parsed(VOTING).iter(f"{SVG}circle"))) == 6
    between = [
        path for path in parsed(VOTING).iter(f"{SVG}path") if "stroke-dasharray" in path.attrib
    ]
    assert len(between) == 1  # app, from node1 to node2


@pytest.mark.parametrize("scene", [VOTING, *EMPTY, hostile("W" * 50, 99)])
def test_it_is_readable(scene: Scene) -> None:
    svg = parsed(scene)
    assert (svg.tag, svg.get("role")) == (f"{SVG}svg", "img")
    assert {each.tag for each in svg} <= DRAWN
    sizes = [float(each.get("font-size", "12")) for each in svg.iter()]
    assert min(sizes) >= 12
    width, height = float(svg.get("width", 0)), float(svg.get("height", 0))
    for box in svg.iter(f"{SVG}rect"):
        left, top, wide, high = (float(box.get(k, 0)) for k in ("x", "y", "width", "height"))
        assert wide > 0
        assert high > 0
        assert 0 <= left <= left + wide <= width
        assert 0 <= top <= top + high <= height


def test_it_describes_itself() -> None:
    words = picture.describe(VOTING).splitlines()
    assert words[:4] == [
        "node1, manager, leader: vote.1, redis.1 running; vote.2 exited (137)",
        "node2, worker: result.1 running, unhealthy; db.1, tail running; probe paused",
        "node3, worker, drained: no containers",
        "node4, worker, down: does not answer",
    ]
    assert "network app (overlay, 10.0.1.0/24): on node1, node2" in words
    assert parsed(VOTING).findtext(f"{SVG}desc") == picture.describe(VOTING)
    assert parsed(VOTING).findtext(f"{SVG}title")


@pytest.mark.parametrize("name", ATTACKS)
def test_hostile_names_stay_names(name: str) -> None:
    scene, tame = hostile(name), hostile("name")
    assert [each.tag for each in parsed(scene).iter()] == [each.tag for each in parsed(tame).iter()]
    assert not [key for each in parsed(scene).iter() for key in each.attrib if key[:2] == "on"]
    assert not re.search("[\u0000-\u0008\u000b-\u001f\u200e\u200f\u202a-\u202e\u2066-\u2069]",
                         picture.draw(scene) + picture.describe(scene))  # fmt: skip
    assert len(picture.draw(scene)) < 60_000
    assert "<script" not in picture.as_image(scene)


def test_there_is_an_end_to_it() -> None:
    scene = hostile("&" * 50, 10_000)
    assert [len(host.containers) + host.more for host in scene.hosts] == [10_000] * 3
    assert len(picture.draw(scene).encode()) < 450_000
    assert any("and 9976 more containers" in text for text in texts(scene))
    assert "and 9976 more" in picture.describe(scene)


@pytest.mark.parametrize("scene", [VOTING, *EMPTY, hostile("x" * 99, 99)])
def test_it_goes_over_json(scene: Scene) -> None:
    assert msgspec.json.decode(msgspec.json.encode(scene), type=Scene) == scene


def test_what_comes_from_json_is_bounded_too() -> None:
    raw = {"name": "n" * 99, "containers": [{"name": "c\x1b", "image": "i"}] * 99}
    host = msgspec.convert(raw, Host)
    assert (len(host.name), len(host.containers), host.more) == (40, 24, 75)
    assert host.containers[0].name == "c�"


def test_as_an_image_it_is_one_element() -> None:
    image = ElementTree.fromstring(picture.as_image(VOTING))  # noqa: S314
    kind, data = image.attrib["src"].split(",")
    assert (image.tag, kind) == ("img", "data:image/svg+xml;base64")
    assert base64.b64decode(data).decode() == picture.draw(VOTING)
    assert image.attrib["alt"] == picture.describe(VOTING)


@pytest.mark.lab
def test_look_sees_what_is_there(fresh_lab: Callable[[str], Lab]) -> None:
    lab = fresh_lab("02_clustering")
    assert look(lab) == Scene([Host(host) for host in lab.hosts])
    form_swarm(lab.client("node1"), lab.client("node2"))
    subnet = run_containers(lab.client("node3"))
    wait_until(lambda: look(lab).services == [Service("app_redis", 1, 1)], 120, "the service")

    scene = look(lab)
    assert [host.role for host in scene.hosts] == ["manager, leader", "worker", ""]
    node1, node2, node3 = scene.hosts
    redis = Container("app_redis.1", "dockyard/redis:1", networks=["app"])
    assert [without_ids(node1), without_ids(node2)] == [[], [redis]]
    app, back, bridge = sorted(scene.networks, key=lambda each: each.name)
    assert (app.name, app.driver, app.hosts, app.swarm) == (
        "app",
        "overlay",
        ["node1", "node2"],
        True,
    )
    assert back == Network("back", "bridge", subnet, ["node3"])
    assert (bridge.name, bridge.hosts) == ("bridge", ["node3"])
    assert without_ids(node3) == [
        Container(
            "db", DEBIAN, "running", "", ["5000→80"], ["back"], [Mount("votes", "volume", True)]
        ),
        Container("sidecar", DEBIAN, networks=["container:db"]),
        Container("bad", DEBIAN, "exited (3)", networks=["bridge"]),
        Container("later", DEBIAN, "created", networks=["none"]),
    ]
    assert node3.containers[0].id == lab.client("node3").containers.get("db").id[:12]
    assert (node3.role, node3.standing, node3.volumes) == ("", "", ["spare"])


def without_ids(host: Host) -> list[Container]:
    return [msgspec.structs.replace(each, id="") for each in host.containers]


@pytest.mark.lab
def test_look_sees_who_is_drained_and_who_is_gone(
    outer: docker.DockerClient, fresh_lab: Callable[[str], Lab]
) -> None:
    lab = fresh_lab("02_clustering")
    form_swarm(lab.client("node1"), lab.client("node2"))
    nodes = lab.client("node1").nodes.list()
    node2 = next(each for each in nodes if each.attrs["Description"]["Hostname"] == "node2")

    def drain() -> bool:
        node2.reload()
        try:
            return bool(node2.update({"Role": "worker", "Availability": "drain"}))
        except APIError as error:  # the swarm has learnt of it since: it has only just joined
            if "out of sequence" not in str(error.explanation):
                raise
            return False

    wait_until(drain, 60)
    wait_until(
        lambda: look(lab).hosts[1].standing == "drained", 120, "node2 to be ready, and drained"
    )
    containers(outer, lab.name)["node3"].kill()
    assert look(lab).hosts[2] == Host("node3", answers=False)


def form_swarm(manager: docker.DockerClient, worker: docker.DockerClient) -> None:
    """A service on an overlay network, whose only task runs on the worker node2."""
    manager.swarm.init()
    worker.swarm.join(["node1:2377"], manager.swarm.attrs["JoinTokens"]["Worker"])
    manager.networks.create("app", driver="overlay")
    manager.services.create(
        "dockyard/redis:1",
        name="app_redis",
        networks=["app"],
        endpoint_spec=EndpointSpec(mode="dnsrr"),
        constraints=["node.hostname==node2"],
    )


def run_containers(client: docker.DockerClient) -> str:
    """Containers with other networks, mounts and states. Returns the subnet of "back"."""

    def run(name: str, command: str = "sleep 600", **options: Any) -> DockerContainer:
        return client.containers.run(DEBIAN, command, name=name, detach=True, **options)

    back = client.networks.create("back", driver="bridge")
    back.reload()
    client.volumes.create("spare")
    mounts = {"votes": {"bind": "/votes", "mode": "ro"}}
    run("db", network="back", volumes=mounts, ports={"80/tcp": 5000})
    run("sidecar", network_mode="container:db")
    run("bad", "sh -c 'exit 3'").wait()
    client.containers.create(DEBIAN, name="later", network_mode="none")
    return str(back.attrs["IPAM"]["Config"][0]["Subnet"])
