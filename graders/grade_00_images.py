"""Criteria of 00_images: one fat container becomes two lean ones."""

import pytest

from guest_book import ANSWER, SHELLS, GuestBook, is_linked, networks, plain
from images import name_of, tag_in

ROOM = 3_000_000  # bytes that an image may add to the one that it can build on
BACKUP = "visits.csv"
STOP = 5  # seconds

criterion = pytest.mark.criterion


@pytest.fixture
def book(lab, containers, wait_until):
    return GuestBook(lab, containers, wait_until)


@pytest.fixture
def page(book, containers, expect):
    found = book.page
    expect(found, "a container that publishes port 8080", f"none; {containers.describe()}")
    return found


@pytest.fixture
def store(book, page, expect):
    found = book.store_beside(page)
    runs = f"the page's own container runs {' and '.join(book.programs(page))}"
    expect(found, "redis in a container of its own", f"none; {runs}")
    return found


@criterion(
    task="split-it",
    points=2,
    look='lab.url("node1", 8080) in a browser; docker ps; docker logs NAME',
    probe=True,
)
def test_page_counts(page, book, expect):
    """The page on port 8080 counts its visitors"""
    first, second = book.first_visit(), book.visit()
    met = first and second and second > first
    found = f"{page.name}: visitor {first or 'without a number'}, then {second or 'none'}"
    expect(met, "a higher number at each visit", found)


@criterion(
    task="split-it", points=2, look="docker top NAME, for each container", needs=["page_counts"]
)
def test_one_program_each(page, store, book, expect):
    """The page and redis run in two containers, one program in each"""
    run = {each.name: book.programs(each) for each in (page, store)}
    found = "; ".join(f"{name} runs {' and '.join(what)}" for name, what in run.items())
    expect(all(len(what) == 1 for what in run.values()), "one program in each", found)


@criterion(
    task="split-it",
    points=2,
    look="docker inspect NAME, Links and Networks; docker network ls",
    needs=["one_program_each"],
    probe=True,
)
def test_own_network(page, store, containers, expect):
    """The page finds redis by name, on a network of their own and without links"""
    shared = sorted(set(networks(page)) & set(networks(store)))
    known = "known" if containers.addresses(page, store.name) else "not known"
    links = "links" if is_linked(page) or is_linked(store) else "no links"
    place = ", ".join(shared) or "no network"
    found = f'both on {place}, whose DNS has "{store.name}" {known}; {links}'
    met = set(shared) - {"bridge"} and known == "known" and links == "no links"
    expect(met, "a user-defined network that knows the name, no links", found)


@criterion(
    task="make-it-small",
    points=2,
    look="docker image ls; docker history IMAGE",
    needs=["one_program_each"],
)
def test_images_are_small(page, store, images, expect):
    """Each image is at most 3 MB larger than the one that it can build on"""
    more = {
        page.name: images.more_than("dockyard/python:1", images.of(page)),
        store.name: images.more_than("dockyard/redis:1", images.of(store)),
    }
    found = "; ".join(f"{name}: {bytes_ / 1e6:.1f} MB more" for name, bytes_ in more.items())
    met = all(bytes_ <= ROOM for bytes_ in more.values())
    expect(met, "at most 3 MB more than dockyard/python:1 and dockyard/redis:1", found)


@criterion(
    task="make-it-small",
    points=2,
    look="docker history IMAGE: which step copies what?",
    needs=["one_program_each"],
)
def test_backup_stays_out(page, images, expect):
    """No layer of the page's image holds the guests' addresses (visits.csv)"""
    held = images.files(images.of(page), BACKUP)
    found = f"in {len(held)} layer, whether or not a later one deletes it" if held else "none"
    expect(not held, "no visits.csv in any layer", found)


@criterion(
    task="build-for-the-cache",
    points=1,
    look="docker ps, the column IMAGE; docker image ls",
    needs=["one_program_each"],
)
def test_versions_are_named(page, store, images, expect):
    """Both containers run an image with a version tag, which still means that image"""
    wrong = [trouble for each in (page, store) if (trouble := trouble_with_tag(each, images))]
    expect(not wrong, "a tag such as 2, not latest", "; ".join(wrong) or "version tags")


@criterion(
    task="build-for-the-cache",
    points=3,
    look="docker build, the lines that say Using cache; docker history of both versions",
    needs=["one_program_each"],
)
def test_rebuild_uses_the_cache(page, images, expect):
    """Two versions differ in app.py and share one names.json: the slow step ran once"""
    now = images.of(page)
    code, names = images.content(now, "app.py"), images.content(now, "names.json")
    tagged = [each for each in images.there() if each.tags and images.content(each, "names.json")]
    older = [each for each in tagged if images.content(each, "app.py") != code]
    same = [name_of(each) for each in older if images.content(each, "names.json") == names]
    expected = f"{name_of(now)}, and an earlier version with the same names.json"
    expect(older, expected, f"no version of app.py but that of {name_of(now)}")
    others = ", ".join(map(name_of, older))
    found = f"{others}, with another names.json: it was made again for {name_of(now)}"
    expect(same, expected, ", ".join(same) or found)


@criterion(
    task="stop-when-asked",
    points=2,
    look="docker top NAME; the line CMD or ENTRYPOINT of the Dockerfile",
    needs=["one_program_each"],
)
def test_no_shell_in_between(page, store, containers, expect):
    """Signals reach the program: process 1 is the program itself, or an init, but no shell"""
    run = {each.name: [one.program for one in containers.processes(each)] for each in (page, store)}
    found = "; ".join(f"{name}: {' > '.join(map(plain, what))}" for name, what in run.items())
    expect(not any(SHELLS & set(what) for what in run.values()), "no shell", found)


@criterion(
    task="stop-when-asked",
    points=3,
    look="time docker stop NAME; docker inspect NAME, ExitCode",
    needs=["no_shell_in_between"],
    disturbs=True,
)
def test_stops_when_asked(page, store, book, containers, expect):
    """Asked by docker stop, each container ends by itself within 5 seconds"""
    expected = f"an end of its own (not exit code 137) within {STOP} s"
    fleeting = [each.name for each in (page, store) if each.attrs["HostConfig"]["AutoRemove"]]
    expect(not fleeting, expected, f"{', '.join(fleeting)} would be gone after it (--rm)")
    stops = {each.name: containers.stopped(each, STOP) for each in (page, store)}
    book.first_visit()  # they run again
    found = "; ".join(f"{name}: {how}" for name, how in stops.items())
    expect(not any(how.killed for how in stops.values()), expected, found)


@criterion(
    task="stop-when-asked",
    points=1,
    look="docker top NAME, the column UID; USER in the Dockerfile",
    needs=["one_program_each"],
)
def test_no_root(page, store, containers, expect):
    """No process in the two containers runs as root"""
    users = {each.name: {one.uid for one in containers.processes(each)} for each in (page, store)}
    found = "; ".join(f"{name}: uid {', '.join(map(str, ids))}" for name, ids in users.items())
    expect(not any(0 in ids for ids in users.values()), "no process of uid 0", found)


@criterion(
    task="come-back",
    points=2,
    look="docker inspect NAME, RestartPolicy",
    needs=["one_program_each"],
    disturbs=True,
)
def test_page_comes_back(page, book, containers, expect):
    """When the page's process is killed, visitors are soon counted again"""
    expect_back(page, book, containers, expect)


@criterion(
    task="come-back",
    points=2,
    look="docker inspect NAME, RestartPolicy",
    needs=["one_program_each"],
    disturbs=True,
)
def test_store_comes_back(store, book, containers, expect):
    """When redis is killed, visitors are soon counted again"""
    expect_back(store, book, containers, expect)


def trouble_with_tag(container, images):
    """Why the name of a container's image is no good; nothing where it is."""
    name = container.attrs["Config"]["Image"]
    if tag_in(name) in ("", "latest"):
        return f'{container.name} runs "{name}"'
    meant = images.find(name)
    same = meant and meant.id == container.attrs["Image"]
    return "" if same else f"{container.name} runs an older {name}"


def expect_back(container, book, containers, expect):
    """Kill a container's main process, and expect that visitors are counted again."""
    policy = container.attrs["HostConfig"]["RestartPolicy"]["Name"] or "no"
    # Nothing is killed where it is plain that nothing would come back.
    expect(policy != "no", "it starts again", f'restart policy "{policy}": it would stay dead')
    back = containers.comes_back(container) and book.first_visit()
    expect(back, "it starts again", f'restart policy "{policy}"; {ANSWER} s later nobody counts')
