"""What a submission may ask of a lab host's engine: the policy at its API, in graded labs.

A host holds SYS_ADMIN, so root on a host counts as root on the machine. What keeps a submission
from that is this list of what is allowed: everything else is refused, other paths here, other
fields in bodies.py, other values in options.py.

Two things it cannot see. A plugin brings its privileges along in a file: `plugins` in an
exercise's `[lab.allow]` is as good as root. And the hosts of a swarm have a protocol of their
own, which whoever has a join token can speak: so there is `swarm`, for exercises that need one.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

import bodies
from options import Allow
from reading import Query, Refused, address

NOTHING: Allow = {
    "binds": [],
    "capabilities": [],
    "host_network": False,
    "host_pid": False,
    "plugins": False,
    "swarm": False,
    "gate": "0.0.0.0",  # noqa: S104
}


class Road(NamedTuple):
    """Requests that are allowed, if the exercise allows what they need and the check finds nothing.

    Attributes:
        path: a pattern for all of it.
        needs: the name of an allowance.
    """

    method: str
    path: str
    check: Callable[[Query, bytes, Allow], None] | None = None
    needs: str = ""

    def leads(self, method: str, path: str) -> bool:
        return bool(re.fullmatch(self.method, method) and re.fullmatch(self.path, path))


ONE, ANY = "[^/]+", ".+"  # images and plugins have slashes in their names
LOOKS = (
    "/_ping|/events|/info|/version|/system/df|/containers/json|/images/(json|search|get)"
    f"|/containers/{ONE}/(archive|attach/ws|changes|export|json|logs|stats|top)|/exec/{ONE}/json"
    f"|/images/{ANY}/(get|history|json)|/distribution/{ANY}/json|/plugins|/plugins/{ANY}/json"
    f"|/volumes|/volumes/{ONE}|/networks/?|/networks/{ONE}|/swarm|/swarm/unlockkey"
    f"|/(services|nodes|tasks|secrets|configs)(/{ONE})?|/(services|tasks)/{ONE}/logs"
)
DEEDS = (
    "/auth|/commit|/build/(prune|cancel)|/(containers|images|networks|volumes)/prune"
    f"|/containers/{ONE}/(attach|kill|pause|rename|resize|restart|stop|unpause|wait)"
    f"|/exec/{ONE}/(start|resize)|/images/(create|load)|/images/{ANY}/(push|tag)"
    f"|/networks/{ONE}/(connect|disconnect)"
)
SWARM_DEEDS = f"/swarm/(join|leave|unlock)|/nodes/{ONE}/update|/configs/create|/(configs|secrets)/{ONE}/update"
ROADS = [
    Road("GET|HEAD", LOOKS),
    Road("POST", DEEDS),
    Road("PUT", f"/containers/{ONE}/archive"),
    Road("DELETE", f"/(containers|networks|volumes)/{ONE}|/images/{ANY}"),
    Road("POST", "/containers/create", bodies.create),
    Road("POST", f"/containers/{ONE}/start", bodies.start),
    Road("POST", f"/containers/{ONE}/exec", bodies.execute),
    Road("POST", f"/containers/{ONE}/update", bodies.update),
    Road("POST", "/build", bodies.build),
    Road("POST", "/volumes/create", bodies.volume),
    Road("POST", "/networks/create", bodies.network),
    Road("POST", SWARM_DEEDS, needs="swarm"),
    Road("DELETE", f"/(services|nodes|secrets|configs)/{ONE}", needs="swarm"),
    Road("POST", "/swarm/init", bodies.swarm_init, "swarm"),
    Road("POST", "/swarm/update", bodies.swarm_update, "swarm"),
    Road("POST", f"/services/(create|{ONE}/update)", bodies.service, "swarm"),
    Road("POST", "/secrets/create", bodies.secret, "swarm"),
    Road("GET", "/plugins/privileges", needs="plugins"),
    Road("POST|DELETE", f"/plugins/{ANY}", needs="plugins"),
]


def refusal(method: str, uri: str, body: bytes, allow: Allow) -> str:
    """Why a request is refused, as a sentence for the learner; empty where it is allowed."""
    rules = {**NOTHING, **allow}
    try:
        path, query = address(uri)
        road = next((each for each in ROADS if each.leads(method, path)), None)
        if road is None or (road.needs and not rules[road.needs]):
            raise Refused(f'"{method} {path}"')
        if road.check:
            road.check(query, body, rules)
    except Refused as what:
        return f"Graded labs refuse {what}."
    return ""
