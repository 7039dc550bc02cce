"""Criteria of 05_monitoring: the Voting App is watched, and its greedy part is limited."""

import re
from contextlib import suppress
from hashlib import sha256

import pytest

from cadvisor import Cadvisor
from kernel import MEBIBYTE, Kernel, Limits
from voting_app import PARTS

EFFECT = 15  # seconds in which a limit shows in the figures of the last seconds
START = 5  # seconds for cAdvisor to find the containers

criterion = pytest.mark.criterion


@pytest.fixture
def kernel(containers, on_host):
    return Kernel(containers, on_host)


@pytest.fixture
def cadvisor(lab, wait_until):
    return Cadvisor(lab, wait_until)


@pytest.fixture
def parts(containers):
    """The running parts of the app, by name."""
    there = {part: containers.playing(part) for part in PARTS}
    return {part: container for part, container in there.items() if container}


@pytest.fixture
def greedy(lab, parts):
    """The part that app.py has given a second job in this lab."""
    number = int(sha256(lab.name.label.encode()).hexdigest(), 16)
    return parts.get(sorted(PARTS)[number % len(PARTS)])


@pytest.fixture
def inspector(containers):
    return containers.playing("inspector")


@criterion(task="start-the-app", points=1, look="docker ps")
def test_five_parts_run(containers, parts, expect):
    """The five parts of the Voting App run"""
    expect(len(parts) == 5, "vote, redis, worker, db and result", containers.describe())


@criterion(
    task="start-the-app",
    points=2,
    look="docker logs of each part",
    needs=["five_parts_run"],
    probe=True,
)
def test_vote_is_counted(app, expect):
    """A vote is counted"""
    app.expect_counted_vote(expect)


@criterion(
    task="watch-it",
    points=2,
    look='lab.url("node1", 8080) in a browser; docker logs of cAdvisor',
    needs=["five_parts_run"],
)
def test_cadvisor_knows_the_parts(cadvisor, containers, parts, expect, wait_until):
    """cAdvisor answers on port 8080, with figures of all five parts"""

    def known():
        return [part for part, container in parts.items() if cadvisor.samples(container)]

    if containers.playing("cadvisor"):  # it needs a moment after its start
        with suppress(TimeoutError):
            wait_until(lambda: len(known()) == 5, START)
    answers = cadvisor.groups() is not None
    found = f"figures of {', '.join(known()) or 'none'}" if answers else "no answer on port 8080"
    expect(len(known()) == 5, "figures of vote, redis, worker, db and result", found)


@criterion(
    task="watch-it",
    points=2,
    look="the time stamps in its answer; its options in docker ps --no-trunc",
    needs=["cadvisor_knows_the_parts"],
    probe=True,
)
def test_figures_are_up_to_date(cadvisor, parts, expect):
    """cAdvisor measures each part every few seconds"""
    current = cadvisor.is_up_to_date(list(parts.values()))
    found = "new figures of each part" if current else "no new figure of each part in 10 s"
    expect(current, "new figures of each part", found)


@criterion(
    task="watch-it",
    points=2,
    look="docker inspect of cAdvisor: Mounts, Privileged, Memory",
    needs=["cadvisor_knows_the_parts"],
)
def test_cadvisor_does_no_harm(containers, kernel, expect):
    """cAdvisor's mounts are read-only; it has no privileges, and 256 MiB of memory at most"""
    container = containers.playing("cadvisor")
    expect(container, "a container of cAdvisor", "none")
    harm = [
        f"{each['Destination']} is writable" for each in container.attrs["Mounts"] if each["RW"]
    ]
    if container.attrs["HostConfig"]["Privileged"]:
        harm.append("it is privileged")
    limits = kernel.limits(container)
    if not _is_at_most(256, limits):
        harm.append(f"it may use {limits}")
    expect(not harm, "read-only mounts, no privileges, 256 MiB", ", ".join(harm) or "all of it")


@criterion(task="look-from-both-sides", points=2, look="docker inspect inspector")
def test_inspector_is_limited(inspector, kernel, expect):
    """The kernel limits the inspector to 64 MiB, half a core and 20 processes"""
    limits = kernel.limits(inspector) if inspector else None
    met = limits == (64 * MEBIBYTE, 0.5, 20)
    found = str(limits or "no container called inspector")
    expect(met, "64 MiB of memory, 0.5 of a core, 20 processes", found)


@criterion(
    task="look-from-both-sides",
    points=2,
    look="readlink /proc/PID/ns/net, for both; docker run --help, --network",
    needs=["inspector_is_limited", "five_parts_run"],
    probe=True,
)
def test_inspector_shares_a_network(containers, inspector, parts, kernel, expect):
    """Inside the inspector, redis answers on 127.0.0.1; its processes are its own"""
    answers = containers.connects(inspector, "127.0.0.1", 6379)
    own = kernel.namespace(inspector, "pid") != kernel.namespace(parts["redis"], "pid")
    found = f"redis {'answers' if answers else 'does not answer'} on 127.0.0.1"
    whose = "own processes" if own else "redis's processes"
    expect(answers and own, "redis answers; own processes", f"{found}; {whose}")


@criterion(
    task="look-from-both-sides",
    points=2,
    look="docker exec inspector cat /report, beside the kernel's files",
    needs=["inspector_is_limited"],
)
def test_report_is_true(containers, inspector, kernel, expect):
    """The inspector's /report says what its host's kernel says"""
    limits = kernel.limits(inspector)
    truth = {
        "memory": limits.memory,
        "processes": limits.processes,
        "pid": containers.pid(inspector),
        "network": kernel.namespace(inspector, "net"),
    }
    written = (containers.read(inspector, "/report") or b"").decode(errors="replace")
    said = dict(re.findall(r"(\w+)[ \t:=]+(\d+)\b", written))
    wrong = [f"{key} {said.get(key, '?')}" for key in truth if said.get(key) != str(truth[key])]
    found = f"not so: {', '.join(wrong)}" if wrong else "all true"
    expect(not wrong, "memory, processes, pid and network, as they are", found)


@criterion(
    task="limit-the-greedy-one",
    points=3,
    look="cAdvisor's figures of the five; docker update --help",
    needs=["five_parts_run"],
)
def test_greedy_part_is_limited(kernel, parts, greedy, expect):
    """The greedy part gets a quarter of a core at most"""
    all_cores = {part: kernel.limits(container).cores for part, container in parts.items()}
    limited = [f"{part} to {cores:g}" for part, cores in all_cores.items() if cores]
    cores = kernel.limits(greedy).cores
    its = f"{cores:g} of a core" if cores else "as much as it likes"
    found = f"limited: {', '.join(limited) or 'no part'}; the greedy one gets {its}"
    expect(cores and cores <= 0.25, "0.25 of a core or less for the greedy one", found)


@criterion(
    task="limit-the-greedy-one",
    points=1,
    look="docker inspect of each part: NanoCpus, CpuQuota",
    needs=["greedy_part_is_limited"],
)
def test_others_are_free(kernel, parts, greedy, expect):
    """Each other part may use half a core or more"""
    others = {part: kernel.limits(each).cores for part, each in parts.items() if each != greedy}
    tight = [f"{part} {cores:g}" for part, cores in others.items() if cores and cores < 0.5]
    expect(not tight, "half a core or more for each", ", ".join(tight) or "enough for each")


@criterion(
    task="limit-the-greedy-one",
    points=2,
    look="its last figures: cpu.usage.total, cpu.cfs.throttled_periods",
    needs=["greedy_part_is_limited", "figures_are_up_to_date"],
    probe=True,
)
def test_figures_show_the_limit(cadvisor, kernel, greedy, expect, wait_until):
    """cAdvisor shows the greedy part at work, and at its limit"""
    limit = kernel.limits(greedy).cores

    def at_its_limit():
        usage = cadvisor.usage(greedy)
        return usage and usage.throttled and 0.4 * limit < usage.cores < 1.25 * limit

    met = False
    with suppress(TimeoutError):
        met = wait_until(at_its_limit, EFFECT)
    usage = cadvisor.usage(greedy)
    found = f"{usage.cores:.2f}, held back {usage.throttled} times" if usage else "no figures"
    expect(met, f"about {limit:g} of a core, held back many times", found)


@criterion(
    task="limit-the-greedy-one",
    points=2,
    look="docker inspect of the greedy part: Memory; docker events --since 5m",
    needs=["greedy_part_is_limited"],
    disturbs=True,
)
def test_memory_hog_is_contained(containers, kernel, confinement, greedy, expect):
    """A memory hog in the greedy part is killed before it has 256 MiB, and the part lives on"""
    limits, pid = kernel.limits(greedy), containers.pid(greedy)
    # No hog is let loose where nothing would stop it.
    expect(_is_at_most(256, limits), "256 MiB or less of memory", str(limits))
    killed = confinement.memory_hog(greedy, 600)
    lives = containers.pid(greedy) == pid
    found = (
        f"the hog {'was killed' if killed else 'lived'}, the part {'lives' if lives else 'died'}"
    )
    expect(killed and lives, "the hog was killed, the part lives", found)


def _is_at_most(mebibytes: int, limits: Limits) -> bool:
    return limits.memory is not None and limits.memory <= mebibytes * MEBIBYTE
