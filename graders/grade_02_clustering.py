"""Criteria of 02_clustering: a swarm of three hosts that runs the Voting App and heals."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from voting_app import PARTS

criterion = pytest.mark.criterion


@criterion(task="form-the-swarm", points=2, look="docker node ls")
def test_three_nodes_ready(swarm, expect):
    """The swarm has three nodes, all Ready"""
    ready = [node for node in swarm.nodes if node.attrs["Status"]["State"] == "ready"]
    expect(len(ready) == 3, "3 nodes, Ready", swarm.describe_nodes())


@criterion(task="form-the-swarm", points=1, look="docker node ls", needs=["three_nodes_ready"])
def test_one_manager(swarm, expect):
    """One node is the manager, two are workers"""
    managers = [node for node in swarm.nodes if node.attrs["Spec"]["Role"] == "manager"]
    expect(len(managers) == 1, "1 manager, 2 workers", swarm.describe_nodes())


@criterion(task="deploy-the-app", points=2, look="docker service ls", needs=["three_nodes_ready"])
def test_five_services_run(swarm, expect):
    """The five parts of the Voting App run as services, with all their replicas"""
    lacking = swarm.lacking(PARTS)
    found = lacking or "vote, redis, worker, db and result run"
    expect(not lacking, "vote, redis, worker, db and result, all running", found)


@criterion(
    task="deploy-the-app",
    points=1,
    look="docker network ls; docker network inspect NAME",
    needs=["five_services_run"],
)
def test_overlay_spans_hosts(swarm, expect):
    """All parts share an attachable overlay network"""
    kinds = {
        each.name: each.attrs["Driver"] + ", attachable" * each.attrs["Attachable"]
        for each in swarm.shared_networks(PARTS)
    }
    found = ", ".join(f"{name} ({kind})" for name, kind in kinds.items()) or "none"
    met = "overlay, attachable" in kinds.values()
    expect(met, "an attachable overlay that all five services share", found)


@criterion(
    task="deploy-the-app",
    points=1,
    look="docker run --rm --network NETWORK dockyard/debian:1 getent hosts vote",
    needs=["overlay_spans_hosts"],
    probe=True,
)
def test_names_resolve_everywhere(swarm, containers, lab, expect):
    """From every host, the network's DNS knows vote, redis, db and result"""
    network = next(each.name for each in swarm.shared_networks(PARTS) if each.attrs["Attachable"])
    names = ["vote", "redis", "db", "result"]
    with ThreadPoolExecutor() as hosts:  # opening a way into one takes most of the time
        known = hosts.map(lambda host: containers.names_known(host, network, names), lab.hosts)
    resolved = dict(zip(lab.hosts, known, strict=True))
    found = "; ".join(
        f"{host}: {', '.join(sorted(got)) or 'none'}" for host, got in resolved.items()
    )
    expect(
        all(got == set(names) for got in resolved.values()), ", ".join(names) + " on each", found
    )


@criterion(
    task="deploy-the-app",
    points=2,
    look='lab.url("node1", 5000) and lab.url("node1", 5001) in a browser; docker service logs',
    needs=["five_services_run"],
    probe=True,
)
def test_vote_reaches_result(app, expect):
    """A vote that is cast on one host is counted in the result"""
    app.expect_counted_vote(expect)


@criterion(
    task="scale-the-vote", points=1, look="docker service ps SERVICE", needs=["five_services_run"]
)
def test_vote_on_each_host(swarm, expect):
    """vote runs one replica on each of the three hosts"""
    service = swarm.service("vote")
    hosts = {task.node for task in swarm.running(service)}
    expect(len(hosts) == 3, "vote running on 3 hosts", swarm.describe_tasks(service))


@criterion(
    task="scale-the-vote",
    points=2,
    look="curl -s the address of lab.url(HOST, 5000), for each host",
    needs=["vote_on_each_host"],
    probe=True,
)
def test_each_host_answers(app, lab, expect, wait_until):
    """The voting page answers on port 5000 of every host"""
    with suppress(TimeoutError):
        wait_until(lambda: len(app.hosts_that_answer()) == len(lab.hosts), 5)
    answer = app.hosts_that_answer()
    expect(len(answer) == len(lab.hosts), "an answer from 3 hosts", ", ".join(answer) or "none")


@criterion(
    task="heal-by-itself",
    points=3,
    look="docker service inspect --pretty SERVICE, RestartPolicy",
    needs=["five_services_run"],
    disturbs=True,
)
def test_vote_heals(swarm, expect):
    """A killed container of vote is replaced within 15 seconds"""
    service = swarm.service("vote")
    policy = service.attrs["Spec"]["TaskTemplate"].get("RestartPolicy", {}).get("Condition", "any")
    # Nothing is killed where it is plain that nothing would come back.
    stays_dead = 'it stays dead (restart policy "none")'
    expect(policy != "none", "a new container in its place", stays_dead)
    healed = swarm.kill_and_wait(service)
    expect(healed.node, "a new container in its place", healed.found)


@criterion(
    task="drain-a-node",
    points=1,
    look="docker node inspect node3 --pretty",
    needs=["three_nodes_ready"],
)
def test_node3_is_back(swarm, expect):
    """node3 was maintained (label "maintained") and is Active again"""
    node = swarm.node("node3")
    spec = node.attrs["Spec"] if node else {"Availability": "gone", "Labels": {}}
    labels = spec.get("Labels") or {}
    met = spec["Availability"] == "active" and "maintained" in labels
    found = f"{spec['Availability']}, labels: {', '.join(labels) or 'none'}"
    expect(met, 'Active, with a label "maintained"', found)


@criterion(
    task="drain-a-node",
    points=3,
    look="docker service ps of each part while node3 is drained",
    needs=["vote_reaches_result", "node3_is_back"],
    disturbs=True,
)
def test_votes_count_without_node3(swarm, app, expect):
    """While node3 is drained, votes are still counted"""
    with swarm.without(swarm.node("node3")):
        counted = app.counts_a_vote()
        lacking = "" if counted else swarm.lacking(PARTS)
    found = "counted" if counted else f"not counted ({lacking or 'all parts run'})"
    expect(counted, "counted", found)


@criterion(
    task="update-without-a-gap",
    points=1,
    look="the voting page of each host",
    needs=["each_host_answers"],
)
def test_new_options_everywhere(app, lab, expect):
    """Every host asks "Tea or Coffee"?"""
    new = [host for host in lab.hosts if _asks(app.page(host), "Tea", "Coffee")]
    found = f"Tea and Coffee on {', '.join(new) or 'no host'}"
    expect(len(new) == len(lab.hosts), "Tea and Coffee on 3 hosts", found)


@criterion(
    task="update-without-a-gap",
    points=3,
    look="docker service inspect --pretty SERVICE, UpdateConfig",
    needs=["new_options_everywhere"],
    disturbs=True,
)
def test_update_loses_no_request(swarm, app, expect):
    """While vote is updated, a visitor who tries the next host always gets the page"""
    service = swarm.service("vote")
    swarm.settle(service)
    with app.visitor() as visits:
        updated = swarm.redeploy(service)
    expect(updated, "an update that ends", f"after 90 s: {swarm.describe_tasks(service)}")
    expect(visits.lost == 0 and visits.answered, "no request lost", visits.describe())


@criterion(
    task="pin-the-database",
    points=1,
    look="docker service inspect --pretty SERVICE, Placement",
    needs=["five_services_run"],
)
def test_db_is_pinned(swarm, expect):
    """The database may run on one node only, and not on node3"""
    nodes = swarm.eligible_nodes(swarm.service("db"))
    met = len(nodes) == 1 and nodes != ["node3"]
    expect(met, "one node, not node3", ", ".join(nodes) or "no node")


@criterion(
    task="pin-the-database",
    points=3,
    look="docker volume ls and docker service ps, on the database's node",
    needs=["vote_reaches_result", "db_is_pinned"],
    disturbs=True,
)
def test_votes_outlive_the_db(swarm, app, expect, wait_until):
    """The votes are still there after the database's container was replaced"""
    service = swarm.service("db")
    before = app.counts_a_vote() and app.scores()
    healed = swarm.kill_and_wait(service)
    expect(healed.node, "the same votes", f"no new database: {healed.found}")
    try:
        after = wait_until(app.scores, 20)
    except TimeoutError:
        after = None
    expect(before and after == before, f"{_votes(before)}, as before", _votes(after))


def _asks(page: str | None, *options: str) -> bool:
    return page is not None and all(option in page for option in options)


def _votes(scores: dict[str, int] | None) -> str:
    return f"{sum(scores.values())} votes" if scores else "no votes"
