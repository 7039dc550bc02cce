"""The embedded engine's bridge, its addresses, and the packet filter rules around them.

The engine runs with ``--iptables=false``: every dockerd that starts deletes the chains of the
one before it (``removeIPChains`` in libnetwork's bridge driver), so two checkouts on one
machine, or a system's engine beside ours, would take each other's rules away. Ours stand in
chains of our own, which no dockerd knows.
"""

import re
import subprocess
from ipaddress import IPv4Network, ip_interface, ip_network

from dockyard.errors import EngineError
from dockyard.settings import site

LINK_LOCAL = "169.254.0.0/16"


def name() -> str:
    """The bridge of this checkout; 15 characters is the kernel's limit."""
    return f"dy-{site()}"


def ensure() -> str:
    """Make the bridge and the rules for its addresses.

    Returns:
        The addresses from which the engine takes its other networks, such as "10.64.128.0/17".

    Raises:
        EngineError: the machine refuses a bridge or a rule.
    """
    addresses = _addresses() or _make_bridge()
    _ensure_rules(addresses)
    return str(list(addresses.subnets())[1])


def remove() -> None:
    """Take the rules and the bridges of all networks away; others stay. May be called twice."""
    for table, hook in (("filter", "FORWARD"), ("nat", "POSTROUTING")):
        _iptables(table, "-D", hook, "-j", _chain())
        _iptables(table, "-F", _chain())
        _iptables(table, "-X", _chain())
    if ours := _addresses():
        # An engine leaves the bridges of its networks to the one that comes after it.
        for line in _run(["ip", "-4", "-o", "addr"]).stdout.splitlines():
            _, link, _, address, *_ = line.split()
            if link.startswith("br-") and ip_interface(address).ip in ours:
                _run(["ip", "link", "delete", link])
    _run(["ip", "link", "delete", name()])


def _addresses() -> IPv4Network | None:
    """The /16 of the bridge that is there."""
    shown = _run(["ip", "-4", "-o", "addr", "show", name()]).stdout
    if "inet " not in shown:
        return None
    return IPv4Network((shown.split("inet ")[1].split("/")[0], 16), strict=False)


def _make_bridge() -> IPv4Network:
    """Make it, on addresses that this machine does not route yet.

    It has a hardware address of its own. Else it takes the lowest of its containers', which goes
    with that container, and the others send to nobody until they ask again, half a minute later.
    """
    routes = _run(["ip", "-4", "-o", "route"]).stdout
    taken = [ip_network(word) for word in routes.split() if "/" in word]
    first_guess = int(site(), 16) % 150
    for step in range(150):
        addresses = IPv4Network(f"10.{64 + (first_guess + step) % 150}.0.0/16")
        if not any(addresses.overlaps(net) for net in taken):
            break
    hardware = ":".join(["02:42", *re.findall("..", site())])  # "02": nobody's, chosen here
    for command in (
        ["ip", "link", "add", name(), "address", hardware, "type", "bridge"],
        ["ip", "addr", "add", f"{addresses[1]}/24", "dev", name()],
        ["ip", "link", "set", name(), "up"],
    ):
        done = _run(command)
        if done.returncode and "File exists" not in done.stderr:
            raise EngineError(f'The bridge "{name()}" cannot be made: {done.stderr.strip()}')
    return addresses


def _ensure_rules(ours: IPv4Network) -> None:
    """Networks of ours do not reach each other; they reach out, and only answers come back.

    Out, but not to link-local addresses: at 169.254.169.254 a cloud tells whoever asks the keys
    of the machine. Its name server may be there, too, so questions for names pass.

    Inside, nobody's address is changed: a rule that an engine of old left behind would do that to
    VXLAN, which then drops the packets.
    """
    rules = f"""
*filter
:{_chain()} - [0:0]
-A {_chain()} -s {ours} -d {ours} -m physdev --physdev-is-bridged -j ACCEPT
-A {_chain()} -s {ours} -d {ours} -j DROP
-A {_chain()} -s {ours} -d {LINK_LOCAL} -p udp --dport 53 -j ACCEPT
-A {_chain()} -s {ours} -d {LINK_LOCAL} -p tcp --dport 53 -j ACCEPT
-A {_chain()} -s {ours} -d {LINK_LOCAL} -j DROP
-A {_chain()} -s {ours} -j ACCEPT
-A {_chain()} -d {ours} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A {_chain()} -d {ours} -j DROP
COMMIT
*nat
:{_chain()} - [0:0]
-A {_chain()} -s {ours} -d {ours} -j ACCEPT
-A {_chain()} -s {ours} ! -d {ours} -j MASQUERADE
COMMIT
"""
    done = _run(["iptables-restore", "--wait", "--noflush"], stdin=rules)
    for table, hook in (("filter", "FORWARD"), ("nat", "POSTROUTING")):
        there = _iptables(table, "-C", hook, "-j", _chain())
        if done.returncode == 0 and there.returncode:
            # Before all others: another engine's last word may be DROP.
            done = _iptables(table, "-I", hook, "-j", _chain())
    if done.returncode:
        raise EngineError(f"iptables refuses the engine's rules: {done.stderr.strip()}")


def _iptables(table: str, *change: str) -> "subprocess.CompletedProcess[str]":
    return _run(["iptables", "--wait", "-t", table, *change])


def _chain() -> str:
    return f"DOCKYARD-{site()}"


def _run(command: list[str], stdin: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
