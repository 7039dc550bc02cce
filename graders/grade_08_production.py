"""Criteria of 08_production: a quiz, the database apart, and a balancer in front."""

from collections import Counter

import pytest

import quiz
from balancer import MOVE
from swarm import constraints

criterion = pytest.mark.criterion


@criterion(
    task="choose-a-platform",
    points=2,
    look="the reasons that answer() shows; docker volume inspect quiz",
)
def test_platforms_chosen_well(lab, expect):
    """At least 4 of the 5 questions on platforms are answered well"""
    well, found = quiz.judge("platform", lab)
    expect(well, quiz.EXPECTED, found)


@criterion(
    task="choose-a-platform",
    points=2,
    look="the reasons that answer() shows; docker volume inspect quiz",
)
def test_topics_understood(lab, expect):
    """At least 4 of the 5 questions on storage, networks, unikernels, health and next steps, too"""
    well, found = quiz.judge("topics", lab)
    expect(well, quiz.EXPECTED, found)


@criterion(
    task="set-the-database-apart",
    points=2,
    look="docker service inspect --pretty SERVICE, Placement; docker node inspect --pretty NODE",
)
def test_database_has_a_labelled_host(swarm, expect):
    """The database runs on the one host that has the label it asks for"""
    service = swarm.service("db")
    asked = constraints(service) if service else []
    nodes = sorted(swarm.eligible_nodes(service)) if service else []
    at = [task.node for task in swarm.running(service)] if service else []
    labels = [each for each in asked if each.startswith("node.labels.") and "!=" not in each]
    found = (
        f"runs on {', '.join(at) or 'no host'}, may run on {', '.join(nodes) or 'no host'}, "
        f"asks for {', '.join(asked) or 'nothing'}"
    )
    expect(labels and len(nodes) == 1 and at == nodes, "one host, chosen by a label", found)


@criterion(
    task="set-the-database-apart",
    points=3,
    look="docker node ps NODE; docker service scale, of the other services",
    needs=["database_has_a_labelled_host"],
    disturbs=True,
)
def test_database_stays_alone(swarm, containers, expect):
    """The database is alone: no more tasks of other services would come to its host either"""
    database = swarm.service("db")
    (task,) = swarm.running(database)
    others = [each for each in swarm.services if each.id != database.id]
    there = [each.name for each in containers.there(task.node) if each.id != task.container]
    places = swarm.places_for_more(others)
    would = [f"{name} would" for name, node in places.items() if node == task.node]
    expect(
        not there and not would, "nothing else", ", ".join(sorted(there) + would) or "nothing else"
    )


@criterion(
    task="put-a-balancer-in-front",
    points=2,
    look="docker service ps SERVICE",
)
def test_three_instances_on_two_hosts(swarm, expect):
    """vote runs three instances, on two hosts"""
    service = swarm.service("vote")
    tasks = swarm.running(service) if service else []
    met = len(tasks) == 3 and len({task.node for task in tasks}) == 2
    found = swarm.describe_tasks(service) if service else "no service for vote"
    expect(met, "3 instances on 2 hosts", found)


@criterion(
    task="put-a-balancer-in-front",
    points=2,
    look='lab.url("node1", 5000) in a browser, several times; docker service logs BALANCER',
    needs=["three_instances_on_two_hosts"],
    probe=True,
)
def test_each_instance_gets_visitors(balancer, expect):
    """Port 5000 of node1 leads visitors to all three instances"""
    instances = balancer.instances
    with balancer.visitor() as visits:
        shared = balancer.reaches(list(instances), visits)
    times = Counter(visits.answers)
    found = [f"{name} on {task.node} {times[name]} times" for name, task in instances.items()]
    expect(shared, "answers of all three", "; ".join([*found, visits.describe()]))


@criterion(
    task="put-a-balancer-in-front",
    points=1,
    look="docker service inspect --pretty SERVICE, Ports",
    needs=["three_instances_on_two_hosts"],
)
def test_vote_has_no_door_of_its_own(swarm, expect):
    """Nobody gets to vote past the balancer: vote publishes no port"""
    spec = swarm.service("vote").attrs["Spec"].get("EndpointSpec") or {}
    ports = [str(port.get("PublishedPort", "any")) for port in spec.get("Ports") or []]
    expect(not ports, "no published port", f"port {', '.join(ports)}" if ports else "none")


@criterion(
    task="put-a-balancer-in-front",
    points=2,
    look="docker service logs of vote, redis, worker and db",
    needs=["each_instance_gets_visitors"],
    probe=True,
)
def test_vote_is_counted(app, expect):
    """A vote that comes through the balancer is counted in the result"""
    app.expect_counted_vote(expect)


@criterion(
    task="ask-how-they-are",
    points=2,
    look='lab.url("node1", 8404) + "/stats" in a browser',
    needs=["each_instance_gets_visitors"],
    probe=True,
)
def test_statistics_show_health(balancer, expect):
    """HAProxy's statistics show three instances UP, each by an HTTP check"""
    servers = balancer.statistics()
    well = [each for each in servers if each["status"] == "UP" and "L7OK" in each["check_status"]]
    found = ", ".join(
        f"{each['svname']} {each['status']} ({each['check_status'] or 'not checked'})"
        for each in servers
    )
    expect(len(well) == 3, "three servers UP (L7OK)", found or "no statistics on port 8404, /stats")


@criterion(
    task="ask-how-they-are",
    points=3,
    look="/stats, while you make one instance unready; docker service logs BALANCER",
    needs=["statistics_show_health"],
    disturbs=True,
)
def test_unready_instance_gets_no_visitors(balancer, expect):
    """An instance that is not ready is left out within 5 seconds, and no request is lost"""
    name, task = min(balancer.instances.items())
    with balancer.visitor() as visits, balancer.unready(task):
        left = balancer.leaves(name, visits)
    found = f"{name} on {task.node}: {'left out' if left else 'goes on getting visitors'}"
    expect(left and not visits.lost, "left out, no request lost", f"{found}, {visits.describe()}")


@criterion(
    task="ask-how-they-are",
    points=2,
    look="/stats, when you make that instance ready again",
    needs=["unready_instance_gets_no_visitors"],
    disturbs=True,
)
def test_ready_again_gets_visitors(balancer, expect):
    """As soon as it is ready again, within 5 seconds, it gets visitors again"""
    name, task = max(balancer.instances.items())
    with balancer.visitor() as visits:
        with balancer.unready(task):
            balancer.leaves(name, visits)
        back = balancer.enters(name, visits)
    found = f"{name} on {task.node}: {'gets visitors' if back else 'still left out'}"
    expect(back and not visits.lost, "gets visitors", f"{found}, {visits.describe()}")


@criterion(
    task="lose-no-visitor",
    points=3,
    look="docker pause and docker unpause an instance, and docker service logs BALANCER",
    needs=["unready_instance_gets_no_visitors"],
    disturbs=True,
)
def test_hanging_instance_costs_no_visitor(balancer, expect):
    """While an instance hangs, every visitor gets the page within 5 seconds; then it comes back"""
    name, task = min(balancer.instances.items())
    with balancer.visitor() as visits:
        balancer.enters(name, visits)  # one that is left out just now would cost nobody anything
        with balancer.hanging(task):
            left = balancer.leaves(name, visits, MOVE)
        back = balancer.enters(name, visits, MOVE)
    came = "came back" if back else "did not come back"
    found = f"{visits.describe()}; {name} {'left' if left else 'did not leave'} and {came}"
    expect(left and back and not visits.lost, "no request lost", found)


@criterion(
    task="lose-no-visitor",
    points=3,
    look="docker kill an instance, and docker service logs BALANCER",
    needs=["unready_instance_gets_no_visitors"],
    disturbs=True,
)
def test_dead_instance_costs_no_visitor(balancer, swarm, expect):
    """When an instance dies, no visitor notices; its successor gets visitors too"""
    service = swarm.service("vote")
    before = balancer.instances
    name, victim = max(before.items())
    with balancer.visitor() as visits:
        balancer.enters(name, visits)
        swarm.kill(victim)
        healed = swarm.replacement_of(victim, service)
        new = balancer.instances.keys() - before
        back = all(balancer.enters(each, visits, MOVE) for each in new)
    if not healed:
        swarm.redeploy(service)  # what we broke, we mend
    successor = (
        f"its successor {'gets' if back else 'gets no'} visitors" if healed else "no successor"
    )
    found = f"{visits.describe()}; {successor}"
    expect(healed and back and not visits.lost, "no request lost", found)
