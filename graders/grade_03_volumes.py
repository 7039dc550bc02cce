"""Criteria of 03_volumes: notes that outlive their container, and move between two hosts."""

from itertools import product
from secrets import token_hex

import pytest

from notes import MOTTO
from volumes import Place, describe, has_own_name, mount_at

NODE1, NODE2 = "node1", "node2"
SETTINGS, RULES, SCRATCH = "/settings", "/rules.txt", "/scratch"
MOST = 16 * 2**20  # bytes of desk's scratch
TAR = "/srv/backup/notes.tar"
KEEP = "keep"
CROSS = 20  # seconds in which a file of one host shows on the other

criterion = pytest.mark.criterion


@criterion(
    task="keep-the-notes", points=1, look="docker volume ls; docker inspect CONTAINER, Mounts"
)
def test_notes_have_a_volume(notes, expect):
    """redis keeps its files on a volume that has a name"""
    store = notes.store(NODE1)
    mount = mount_at(store, notes.folder(NODE1))
    expect(has_own_name(mount), "a named volume where redis keeps its files", describe(store))


@criterion(
    task="keep-the-notes",
    points=2,
    look="docker kill your redis, start it again, and ask it for a note",
    needs=["notes_have_a_volume"],
    disturbs=True,
)
def test_notes_outlive_redis(notes, expect):
    """A note that was just written is there for another redis after yours was killed"""
    store, name = notes.store(NODE1), f"probe-{token_hex(4)}"
    automatic = store.attrs["HostConfig"]["AutoRemove"]
    expect(not automatic, "a container that can be started again", "started with --rm")
    folder = notes.folder(NODE1)
    written = notes.write(NODE1, name, "kept")
    store.kill()
    try:
        kept = notes.in_files(name, folder, volumes_from=[store.id]) == "kept"
    finally:
        store.start()
        notes.forget(NODE1, name)
    found = "it is there" if kept else "it is lost" if written else "redis takes no notes"
    expect(kept, "the note, read by another redis from the same volume", found)


@criterion(
    task="mount-from-the-host",
    points=2,
    look="on node1, put a new file in the place of /srv/settings/theme; docker exec desk cat …",
    disturbs=True,
)
def test_settings_follow_the_host(containers, volumes, on_host, expect):
    """desk sees at once when a file in the host's /srv/settings is replaced"""
    desk = containers.playing("desk")
    mount = mount_at(desk, SETTINGS) or mount_at(desk, f"{SETTINGS}/theme")
    expect(mount and mount["Type"] == "bind", f"{SETTINGS} from the host", describe(desk))
    host, theme, text = on_host(NODE1), "/srv/settings/theme", token_hex(8)
    there = host.run(f"test -s {theme} && ln -f {theme} {theme}.probe").rc == 0
    expect(there, f"a file {theme} on node1", "none")
    try:
        host.run(f"echo {text} > {theme}.new && mv {theme}.new {theme}")
        seen = volumes.read(Place(desk, f"{SETTINGS}/theme"))
    finally:
        host.run(f"mv {theme}.probe {theme}")  # the file itself, not a copy of it
    found = "the new file" if seen == text else "still the old file" if seen else "no such file"
    expect(seen == text, "the new file, in desk", found)


@criterion(
    task="mount-from-the-host",
    points=1,
    look="docker inspect desk, Mounts; docker exec desk touch …",
    needs=["settings_follow_the_host"],
    probe=True,
)
def test_desk_only_reads(containers, volumes, on_host, expect):
    """desk reads the host's /srv/rules.txt and its settings, and can change neither"""
    desk = containers.playing("desk")
    rules = on_host(NODE1).run("cat /srv/rules.txt").stdout.strip()
    seen = mount_at(desk, RULES) and volumes.read(Place(desk, RULES))
    expect(rules and seen == rules, f"the host's rules at {RULES}", describe(desk))
    both = [RULES, f"{SETTINGS}/theme"]
    writable = [path for path in both if volumes.can_write(Place(desk, path))]
    expect(not writable, "only the right to read", f"desk can write {' and '.join(writable)}")


@criterion(task="mount-from-the-host", points=1, look="docker exec desk df -h /scratch")
def test_scratch_is_memory(containers, volumes, expect):
    """desk's /scratch is memory, at most 16 MB of it"""
    desk = containers.playing("desk")
    kind, size = volumes.filesystem(Place(desk, "/scratch")) if desk else ("no desk", 0)
    found = f"{kind}, {size / 2**20:.0f} MB" if kind == "tmpfs" else f"not in memory ({kind})"
    expect(kind == "tmpfs" and size <= MOST, "tmpfs, at most 16 MB", found)


@criterion(task="share-a-volume", points=2, look="docker inspect both containers, Mounts")
def test_one_writes_one_reads(volumes, expect):
    """Two running containers share a volume: what one writes the other reads, and cannot change"""
    found = []
    for (mine, writer), (theirs, reader) in product(volumes.mounted(), repeat=2):
        if mine["Name"] != theirs["Name"] or not mine["RW"] or writer == reader:
            continue
        names = f"{writer.container.name} writes, {reader.container.name}"
        if not volumes.passes(writer, reader):
            found.append(f"{names} does not see it")
        elif volumes.passes(reader, writer):
            found.append(f"{names} writes, too")
        else:
            return expect(True, "one writes, one only reads", f"{names} only reads")
    return expect(False, "one writes, one only reads", "; ".join(found) or "no shared volume")


@criterion(
    task="share-a-volume",
    points=1,
    look="docker ps --all; docker inspect CONTAINER, HostConfig.VolumesFrom",
)
def test_volumes_come_from_a_data_container(containers, volumes, expect):
    """A running container takes its volumes from a data-only container, which does not run"""
    used = {each.name: volumes.givers(each) for each in containers.there()}
    met = any({"created", "exited"} & set(states.values()) for states in used.values())
    found = "; ".join(
        f"{user} takes those of {giver} ({state})"
        for user, states in used.items()
        for giver, state in states.items()
    )
    found = found or "no container takes volumes from another"
    expect(met, "a container with the volumes of one that does not run", found)


@criterion(
    task="back-up-and-restore",
    points=2,
    look="tar -tvf /srv/backup/notes.tar on node1; redis-cli GET motto",
    needs=["notes_have_a_volume"],
    probe=True,
)
def test_backup_has_the_motto(notes, on_host, expect):
    """The backup alone is enough: a new redis with nothing but its files knows the motto"""
    host, motto = on_host(NODE1), notes.read(NODE1)
    expect(motto, f'a note "{MOTTO}" in redis on node1', "none")
    unpacked = f"/run/dockyard-probe-{token_hex(4)}"
    try:
        tar = f"mkdir {unpacked} && timeout 8 tar -x -f {TAR} -C {unpacked}"
        expect(host.run(tar).rc == 0, f"a tar file {TAR} on node1", "none that tar can read")
        mounted = {unpacked: {"bind": "/restored", "mode": "rw"}}
        saved = notes.in_files(MOTTO, "/restored", volumes=mounted)
    finally:
        host.run(f"rm -rf {unpacked}")
    expect(saved == motto, f"the motto {motto!r}", f"{saved!r}" if saved else "no motto in it")


@criterion(
    task="back-up-and-restore",
    points=2,
    look="docker -H … on node2: docker ps, docker volume ls, redis-cli GET motto",
    needs=["backup_has_the_motto"],
    probe=True,
)
def test_notes_live_on_node2(notes, expect):
    """On node2, a redis with a named volume of its own knows the motto, too"""
    store, motto = notes.store(NODE2), notes.read(NODE1)
    named = has_own_name(mount_at(store, notes.folder(NODE2)))
    expect(named, "redis on node2, with a named volume", describe(store))
    there = notes.read(NODE2)
    expect(there == motto, f"the motto {motto!r}", f"{there!r}" if there else "no motto")


@criterion(task="clear-the-garbage", points=1, look="docker volume inspect archive")
def test_archive_is_kept(volumes, on_host, expect):
    """The volume archive is there, with its label and its ledger"""
    archive = volumes.volume("archive")
    expect(archive, "a volume archive", "none")
    ledger = on_host(NODE1).run(f"cat {archive.attrs['Mountpoint']}/ledger.txt").stdout
    found = f"labels: {', '.join(archive.attrs['Labels'] or {}) or 'none'}"
    expect(KEEP in (archive.attrs["Labels"] or {}), f"the label {KEEP}", found)
    expect("1 April" in ledger, "its file ledger.txt", ledger.strip() or "no ledger.txt")


@criterion(
    task="clear-the-garbage",
    points=2,
    look="docker volume ls --filter dangling=true; docker ps --all",
    needs=["archive_is_kept", "volumes_come_from_a_data_container"],
)
def test_garbage_is_gone(containers, volumes, expect):
    """On node1 nothing of the trials is left: no container, and no volume without a use"""
    rest = [each.name for each in containers.there(stopped=True) if "trial" in each.labels]
    idle = [each.name[:12] for each in volumes.unused() if KEEP not in (each.attrs["Labels"] or {})]
    found = f"containers: {', '.join(rest) or 'none'}; unused volumes: {', '.join(idle) or 'none'}"
    expect(not rest and not idle, f"none, but those with the label {KEEP}", found)


@criterion(
    task="share-between-hosts",
    points=3,
    look="docker volume inspect NAME and docker ps, on both hosts; docker logs of the server",
    probe=True,
)
def test_files_cross_hosts(volumes, expect):
    """A container on each host has the same files: what either writes, the other reads"""
    here, there = volumes.remote(NODE1), volumes.remote(NODE2)
    found = [describe(place.container) for place in here + there]
    expect(
        here and there,
        "on both hosts a container with a volume that is not local to it",
        f"only {'; '.join(found)}" if found else "no such volume in a running container",
    )
    pairs = [(one, other) for one in here for other in there if volumes.passes(one, other, CROSS)]
    expect(pairs, "a file of node1, read on node2", "it does not arrive")
    met = any(volumes.passes(other, one, CROSS) for one, other in pairs)
    expect(met, "a file of node2, read on node1", "it does not arrive")
