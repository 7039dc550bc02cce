"""A scene in words."""

from itertools import groupby

from dockyard.picture.scene import Container, Host, Scene, Service
from dockyard.picture.shapes import few


def describe(scene: Scene) -> str:
    """The scene in words: a line for each host, network and service."""
    lines = [_host_in_words(host) for host in scene.hosts]
    for each in scene.networks:
        what = ", ".join(filter(None, [each.driver, each.subnet]))
        lines.append(f"network {each.name} ({what}): on {', '.join(each.hosts)}")
    return "\n".join(lines + [f"service {service_in_words(each)}" for each in scene.services])


def _host_in_words(host: Host) -> str:
    title = part_in_words(host)
    if not host.answers:
        return f"{title}: does not answer"
    # Running ones first.
    by_state = sorted(host.containers, key=state_in_words, reverse=True)
    groups = [
        f"{', '.join(each.name for each in alike)} {key}"
        for key, alike in groupby(by_state, state_in_words)
    ]
    groups += [f"and {host.more} more"] if host.more else []
    return f"{title}: {'; '.join(groups) or 'no containers'}"


def part_in_words(host: Host) -> str:
    return ", ".join(filter(None, [host.name, host.role, host.standing]))


def state_in_words(container: Container) -> str:
    unhealthy = container.health == "unhealthy"
    return f"{container.state}, unhealthy" if unhealthy else container.state


def service_in_words(service: Service) -> str:
    ports = f", port {', '.join(few(service.ports))} on every host" if service.ports else ""
    return f"{service.name} {service.running} of {service.wanted}{ports}"
