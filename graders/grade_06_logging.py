"""Criteria of 06_logging: logs that rotate, go to syslog, and are collected in one place."""

from contextlib import suppress
from secrets import token_hex

import pytest

from container_logs import visit
from log_store import ARRIVE, BUFFERS, FRESH
from swarm import replicas

PARTS = {"vote": ["vote"], "redis": ["redis"], "worker": ["worker"], "db": ["db", "postgres"]}
ROOM = 100_000  # bytes that the noisy container's log may take
ARCHIVE, KEEPER = "/srv/logs", "4242"
VOTE, RESULT = 5000, 5001

criterion = pytest.mark.criterion


@criterion(task="rotate", points=1, look="docker inspect noisy, LogConfig")
def test_noisy_log_is_bounded(containers, container_logs, expect):
    """noisy's log is kept as JSON files, which can take 100 kB at most"""
    noisy = containers.playing("noisy")
    bound = container_logs.bound(noisy) if noisy else None
    met = bound is not None and bound <= ROOM
    expect(met, "json-file, 100 kB at most", container_logs.describe(noisy))


@criterion(
    task="rotate",
    points=2,
    look="docker logs --follow noisy; docker inspect noisy, LogConfig",
    needs=["noisy_log_is_bounded"],
    probe=True,
)
def test_noisy_log_rotates(containers, container_logs, expect):
    """While noisy writes, a new log file takes the place of a full one, which is kept"""
    turned = container_logs.turned(containers.playing("noisy"))
    met = turned.new_file and len(turned.sizes) > 1 and sum(turned.sizes) < ROOM * 1.1
    expect(met, "a new file beside an older one, 100 kB together", str(turned))


@criterion(task="syslog", points=2, look="docker inspect, LogConfig, of result", probe=True)
def test_result_reaches_syslog(container_logs, expect):
    """A visit to the result page is found in the syslog server's file"""
    line, why = container_logs.syslog_line("result", RESULT)
    expect(line, "the visit", why or "the visit")


@criterion(
    task="syslog",
    points=1,
    look="the lines of the syslog server's file; docker inspect, LogConfig, of result",
    needs=["result_reaches_syslog"],
    probe=True,
)
def test_syslog_names_the_container(containers, container_logs, expect):
    """The line in the syslog server's file begins with the container's name and id"""
    line, why = container_logs.syslog_line("result", RESULT)
    result = containers.playing("result")
    expect(result, "a container for result", containers.describe())
    header = line.split('"GET')[0].strip()
    met = result.name in header and result.id[:12] in header
    expect(met, f"{result.name} and {result.id[:12]} in it", why or header)


@criterion(task="collect", points=1, look="docker inspect NAME, LogConfig, on node1")
def test_parts_send_to_fluentd(container_logs, expect):
    """On node1, vote, redis, worker and db send their logs with the fluentd driver"""
    drivers = {part: container_logs.driver(*roles) for part, roles in PARTS.items()}
    found = ", ".join(f"{part}: {driver}" for part, driver in drivers.items())
    expect({*drivers.values()} == {"fluentd"}, "fluentd, four times", found)


@criterion(
    task="collect",
    points=3,
    look="the collector's own log, and its files in /fluentd/log",
    needs=["parts_send_to_fluentd"],
    probe=True,
)
def test_fresh_vote_is_stored(app, log_store, expect):
    """A vote that is cast now is found in the collector's files within seconds"""
    record = log_store.vote(app)
    missing = f"not found; {log_store.describe()}" if app.cast() else "vote takes no vote"
    found = f"in {record.file}, collected by {log_store.flavour}" if record else missing
    expect(record, "the vote's line, in a file of /fluentd/log", found)


@criterion(
    task="collect",
    points=2,
    look="the lines in /fluentd/log",
    needs=["fresh_vote_is_stored"],
    probe=True,
)
def test_record_tells_when_and_who(app, containers, log_store, expect):
    """The vote's record has its time in UTC, and the container's id and name"""
    record, vote = log_store.vote(app), containers.playing("vote")
    fields = {str(value).lstrip("/") for value in record.fields.values()} if record else set()
    told = {
        "time in UTC": bool(record and record.is_utc),
        "container's id": bool(fields & {vote.id, vote.id[:12]}),
        "container's name": vote.name in fields,
    }
    lacking = [what for what, there in told.items() if not there]
    missing = f"no {', no '.join(lacking)} (its time: {record.when if record else 'none'})"
    found = missing if lacking else f"all three, collected by {log_store.flavour}"
    expect(not lacking, ", ".join(told), found)


@criterion(
    task="survive-without",
    points=2,
    look="stop the collector; vote, and start worker anew",
    needs=["fresh_vote_is_stored"],
    disturbs=True,
)
def test_app_goes_on(app, containers, log_store, expect):
    """While the collector is away, vote answers, and worker can be started anew"""
    stuck = log_store.outage(app, containers.playing("worker")).stuck
    goes_on = "vote answers, worker starts"
    expect(not stuck, goes_on, stuck or goes_on)


@criterion(
    task="survive-without",
    points=2,
    look="stop the collector; vote three times; start it; look into /fluentd/log",
    needs=["fresh_vote_is_stored"],
    disturbs=True,
)
def test_late_votes_arrive(app, containers, log_store, expect):
    """Votes that are cast while the collector is away are in its files after its return"""
    lost = log_store.outage(app, containers.playing("worker")).lost
    missing = f"after {ARRIVE} s, not found: the {', the '.join(lost)} one"
    expect(not lost, "three votes", missing if lost else "three votes")


@criterion(task="one-for-all", points=2, look="docker service inspect --pretty SERVICE")
def test_collector_is_a_pinned_service(swarm, log_store, expect):
    """A service with one replica collects on port 24224, and may run on the manager only"""
    service = log_store.service
    expect(service, "a service that publishes port 24224", "no service publishes it")
    eligible, running = swarm.eligible_nodes(service), len(swarm.running(service))
    found = f"{running} of {replicas(service)} run; of {len(swarm.nodes)} nodes, it may run on "
    met = replicas(service) == running == 1 and len(swarm.nodes) == 2 and eligible == ["node1"]
    expect(met, "1 of 1 runs; of 2 nodes, it may run on node1", found + ", ".join(sorted(eligible)))


@criterion(
    task="one-for-all",
    points=2,
    look="docker run --rm -v /srv/logs:/srv/logs dockyard/debian:1 ls -ln /srv/logs",
    needs=["collector_is_a_pinned_service", "fresh_vote_is_stored"],
    probe=True,
)
def test_host_keeps_the_records(app, log_store, containers, on_host, expect, wait_until):
    """A vote's record lies in /srv/logs on node1; user 4242 runs the collector and owns the file"""
    host, voter = on_host("node1"), token_hex(8)
    app.cast(voter)

    def files() -> list[str]:
        listed = host.run(f"grep --recursive --files-with-matches {voter} {ARCHIVE}").stdout
        return [name for name in listed.splitlines() if not BUFFERS.search(name)]

    owner = f"no record in {ARCHIVE}"
    with suppress(TimeoutError):
        owner = host.run(f"stat --format %u {wait_until(files, FRESH)[0]}").stdout.strip()
    pid = containers.pid(log_store.container)
    user = host.run(f"stat --format %u /proc/{pid}").stdout.strip()
    found = f"collector's user: {user}; file's owner: {owner}"
    expect(owner == user == KEEPER, f"collector's user: {KEEPER}; file's owner: {KEEPER}", found)


@criterion(
    task="one-for-all",
    points=2,
    look='docker inspect, LogConfig, on node2; lab.url("node2", 5000) in a browser',
    needs=["collector_is_a_pinned_service"],
    probe=True,
)
def test_node2_is_collected(containers, lab, log_store, expect):
    """A visit to the page of node2 is found in the collector's files, with its container's id"""
    page, url = containers.playing("vote", "node2"), lab.url("node2", VOTE)
    expect(page, "vote on node2", f"on node2: {containers.describe('node2')}")
    expect(visit(url), f"vote on port {VOTE} of node2", f"no answer on port {VOTE}")
    record = log_store.fresh(lambda word: visit(f"{url}/?{word}"))
    missing = "without the id" if record else f"not found; {log_store.describe()}"
    told = record is not None and page.id[:12] in str(record.fields)
    found = f"found, collected by {log_store.flavour}" if told else missing
    expect(told, "the visit, and its container's id", found)
