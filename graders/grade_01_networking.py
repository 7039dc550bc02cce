"""Criteria of 01_networking: two tiers on one host, and one network over two hosts."""

import pytest

from networks import ARRIVES, PAGE, PING, published, within

FRONT, BACK = "10.41.1.0/24", "10.41.2.0/24"
PAPER = ["paper-1", "paper-2", "paper-3"]  # who had voted before, see app.sh
NEWS = 8080  # the port of the news page
PACKETS = 5

criterion = pytest.mark.criterion


@criterion(task="look-from-inside", points=1, look="docker exec NAME cat /proc/net/dev", probe=True)
def test_none_is_alone(containers, expect):
    """Inside the container "none" there is only the loopback interface"""
    seen = seen_inside(containers, "none")
    expect(set(seen) == {"lo"}, "only lo", describe(seen))


@criterion(task="look-from-inside", points=1, look="docker exec NAME cat /proc/net/dev", probe=True)
def test_host_sees_the_host(containers, expect):
    """Inside the container "host" there are the interfaces of node1 itself"""
    seen = seen_inside(containers, "host")
    expect("docker0" in seen, "docker0, and the others of node1", describe(seen))


@criterion(
    task="look-from-inside",
    points=1,
    look="docker exec NAME hostname -I; docker network inspect bridge",
    probe=True,
)
def test_bridge_has_an_address(containers, networks, expect):
    """Inside the container "bridge" there is an address of the default bridge"""
    seen = seen_inside(containers, "bridge")
    subnet = networks.bridges["bridge"][0]
    met = set(seen) == {"lo", "eth0"} and within(subnet, seen["eth0"])
    expect(met, f"lo, and eth0 with an address in {subnet}", describe(seen))


@criterion(task="two-tiers", points=1, look="docker network ls; docker network inspect NAME")
def test_tiers_have_their_subnets(networks, expect):
    """node1 has a bridge network for each tier, with its subnet"""
    there = networks.bridges
    met = [FRONT] in there.values() and [BACK] in there.values()
    found = ", ".join(f"{name} {' '.join(subnets)}" for name, subnets in sorted(there.items()))
    expect(met, f"{FRONT} and {BACK}", found)


@criterion(
    task="two-tiers",
    points=2,
    look="docker exec vote getent hosts redis; docker logs vote",
    needs=["tiers_have_their_subnets"],
    probe=True,
)
def test_vote_finds_redis(containers, networks, expect):
    """In the back tier vote finds redis by name, and a vote that is cast arrives there"""
    vote, redis = containers.playing("vote"), containers.playing("redis")
    expect(vote and redis, "vote and redis run", containers.describe())
    known = containers.addresses(vote, "redis")
    outcome = networks.carry_a_vote(vote, redis)
    found = f'{outcome} ("redis" is {" ".join(known) or "unknown"})'
    expect(within(BACK, known) and outcome == ARRIVES, f"{ARRIVES}, through {BACK}", found)


@criterion(
    task="two-tiers",
    points=2,
    look="docker exec news getent hosts vote redis",
    needs=["tiers_have_their_subnets"],
    probe=True,
)
def test_front_knows_vote_only(containers, networks, expect):
    """In the front tier news knows vote by name, and does not know redis"""
    vote, redis, front = in_place(containers, networks)
    expect(vote and front, "vote, and news in the front tier", containers.describe())
    known = [
        f"{each.name} knows {role}"
        for each in front
        for role, other in (("vote", vote), ("redis", redis))
        if other and networks.knows(each, other)
    ]
    met = known == [f"{each.name} knows vote" for each in front]
    expect(met, "vote is known, redis is not", ", ".join(known) or "nobody is known")


@criterion(
    task="cut-the-old-way",
    points=3,
    look="docker inspect redis, NetworkSettings; docker network inspect bridge",
    needs=["front_knows_vote_only"],
    probe=True,
)
def test_redis_is_out_of_reach(containers, networks, expect):
    """From the front tier, vote can be reached by its address, and redis by none"""
    vote, redis, front = in_place(containers, networks)
    expect(redis, "redis runs", containers.describe())
    to_vote = ", ".join(networks.ways(front, vote, 80, PAGE))
    to_redis = ", ".join(networks.ways(front, redis, 6379, PING))
    found = f"to vote: {to_vote or 'none'}; to redis: {to_redis or 'none'}"
    expect(to_vote and not to_redis, "a way to vote, none to redis", found)


@criterion(
    task="cut-the-old-way",
    points=2,
    look="docker exec redis redis-cli lrange votes 0 -1",
    needs=["redis_is_out_of_reach"],
    probe=True,
)
def test_paper_votes_are_kept(containers, networks, expect):
    """redis was moved while it ran: the votes on paper are still in its memory"""
    redis = containers.playing("redis")
    votes = networks.redis_says(redis, "LRANGE votes 0 99")
    kept = sum(voter in votes for voter in PAPER)
    expect(kept == len(PAPER), f"{len(PAPER)} votes on paper", f"{kept} votes on paper")


@criterion(
    task="loopback-only",
    points=2,
    look="docker ps on node1, column PORTS",
    probe=True,
)
def test_news_on_loopback_only(containers, networks, expect):
    """node1 reads the news at 127.0.0.1:8080, and node2 reaches no port that node1 publishes"""
    ports = sorted({port for each in containers.there("node1") for port in published(each)})
    at_home = NEWS in ports and networks.answers("127.0.0.1", NEWS)
    abroad = [str(each) for each in ports if containers.ask("node1", each, PAGE, host="node2")]
    found = f"{'an' if at_home else 'no'} answer on node1; for node2: {', '.join(abroad) or 'none'}"
    expect(at_home and not abroad, "an answer on node1; for node2: none", found)


@criterion(
    task="over-two-hosts",
    points=1,
    look="docker network ls; docker network inspect NAME, on both hosts",
)
def test_overlay_joins_two_hosts(networks, expect):
    """An overlay network has containers of yours on both hosts"""
    found = ", ".join(map(str, networks.overlays()))
    expect(spanning(networks), "an overlay with containers on node1 and node2", found or "none")


@criterion(
    task="over-two-hosts",
    points=2,
    look="on node2: docker exec NAME getent hosts redis; docker logs NAME",
    needs=["overlay_joins_two_hosts"],
    probe=True,
)
def test_vote_crosses_hosts(containers, networks, expect):
    """A vote that is cast on node2's page arrives in the redis of node1"""
    vote, redis = containers.playing("vote", "node2"), containers.playing("redis")
    expect(vote and redis, "vote on node2, redis on node1", containers.describe("node2"))
    for overlay in spanning(networks):
        if vote in overlay.members["node2"]:
            networks.wait_for_names(vote, "node2", overlay.members["node1"][0])
    known = containers.addresses(vote, "redis", "node2")
    outcome = networks.carry_a_vote(vote, redis, "node2")
    expect(outcome == ARRIVES, ARRIVES, f'{outcome} ("redis" is {" ".join(known) or "unknown"})')


@criterion(
    task="over-two-hosts",
    points=2,
    look="docker network inspect NAME on node1, Peers; firewalls between the hosts, UDP 4789",
    needs=["overlay_joins_two_hosts"],
    probe=True,
)
def test_packets_cross_as_vxlan(networks, expect):
    """What node2's container sends to node1's crosses the wire as VXLAN"""
    overlay = spanning(networks)[0]
    packets = networks.packets_over_vxlan(overlay, "node2", "node1", PACKETS)
    found = f"{packets} packets came out of node1's VXLAN"
    expect(packets >= PACKETS, f"{PACKETS} or more packets", found)


def seen_inside(containers, name):
    """The interfaces that a container sees, by the name that the task gives it."""
    container = next((each for each in containers.there() if each.name == name), None)
    return containers.interfaces(container) if container else {}


def describe(seen):
    return ", ".join(" ".join([name, *at]) for name, at in seen.items()) or "no such container"


def in_place(containers, networks):
    """vote, redis, and whoever else is in the front tier."""
    vote, redis = containers.playing("vote"), containers.playing("redis")
    besides = [each.id for each in (vote, redis) if each]
    return vote, redis, [each for each in networks.on(FRONT) if each.id not in besides]


def spanning(networks):
    return [each for each in networks.overlays() if all(each.members.values())]
