"""The policy at a graded lab's engines: what it lets through, and every road that it closes.

Requests look like those of the docker command and the SDK (what is not given here, they send as
empty); hostile ones are written as no tool would send them, but as dockerd would read them.
"""

import http.client
import importlib
import json
import socket
import ssl
import sys
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme

from dockyard import settings
from dockyard.course import Allow, exercise_ids, load_exercise

GATE = Path(__file__).parent.parent / "images" / "gate"

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(GATE))
    patch.setattr(sys, "dont_write_bytecode", True)  # another file there is another image
    policy, server = importlib.import_module("policy"), importlib.import_module("server")

Request = tuple[str, str, Any]

ROOT_BY_MOUNT = {"type": "none", "device": "/", "o": "bind"}
# What the docker command sends with every container.
DEFAULTS = {
    "Binds": None, "ContainerIDFile": "", "LogConfig": {"Type": "", "Config": {}},
    "NetworkMode": "default", "PortBindings": {}, "AutoRemove": False, "VolumeDriver": "",
    "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "ConsoleSize": [0, 0],
    "CapAdd": None, "CgroupnsMode": "", "Dns": [], "IpcMode": "", "Cgroup": "", "OomScoreAdj": 0,
    "PidMode": "", "Privileged": False, "SecurityOpt": None, "UTSMode": "", "UsernsMode": "",
    "Isolation": "", "CgroupParent": "", "BlkioWeightDevice": [], "CpuRealtimePeriod": 0,
    "Devices": [], "DeviceCgroupRules": None, "DeviceRequests": None, "MemorySwappiness": -1,
    "OomKillDisable": False, "PidsLimit": 0, "Ulimits": [], "CpuCount": 0,
    "IOMaximumBandwidth": 0, "MaskedPaths": None, "ReadonlyPaths": None,
}  # fmt: skip


def post(path: str, **body: Any) -> Request:
    return "POST", f"/v1.45{path}", body


def container(**options: Any) -> Request:
    return post("/containers/create?name=it", Image="image", HostConfig={**DEFAULTS, **options})


def service(task: dict[str, Any] | None = None, **options: Any) -> Request:
    spec = {"ContainerSpec": {"Image": "image", **options}, "ForceUpdate": 0, **(task or {})}
    return post("/services/create", Name="it", Labels={}, TaskTemplate=spec)


def mounted(type_: str = "bind", **fields: Any) -> dict[str, Any]:
    return {"Type": type_, "Target": "/in", **fields}


def refusal(request: Request, allow: dict[str, Any]) -> str:
    method, uri, body = request
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return str(policy.refusal(method, uri, raw, allow))


SWARM = {"swarm": True}
SRV = {"binds": ["/srv/*", "/var/run/docker.sock", "/sys:ro"]}

ALLOWED: list[tuple[Request, dict[str, Any]]] = [
    # Looking around, and names with slashes in them.
    (("GET", "/_ping", b""), {}),
    (("HEAD", "/_ping", b""), {}),
    (("GET", "/v1.24/containers/json?all=1&filters=%7B%7D", b""), {}),
    (("GET", "/v1.45/images/localhost:5000/stars:1.0/json", b""), {}),
    (("GET", "/v1.45/images/dockyard/python%401/history", b""), {}),
    (("GET", "/v1.45/distribution/node2:5000/team/worker/json", b""), {}),
    (("GET", "/v1.45/networks/my%20net", b""), {}),
    (("GET", "/v1.45/containers/it/archive?path=/etc", b""), {}),
    (("GET", "/v1.45/plugins", b""), {}),
    # Ordinary life.
    (("POST", "/v1.45/auth", b""), {}),
    (("POST", "/v1.45/containers/it/start", b""), {}),
    (("POST", "/v1.45/containers/it/kill?signal=KILL", b""), {}),
    (("POST", "/v1.45/containers/prune?filters=%7B%7D", b""), {}),
    (("POST", "/v1.45/images/localhost:5000/stars/push?tag=1.0", b""), {}),
    (("POST", "/v1.45/images/create?fromImage=it&tag=1", b""), {}),
    (("POST", "/v1.45/images/create?fromSrc=-&repo=it", b""), {}),
    (("POST", "/v1.45/images/load?quiet=1", b""), {}),
    (("POST", "/v1.45/commit?container=it", b""), {}),
    (("PUT", "/v1.45/containers/it/archive?path=/", b""), {}),
    (("DELETE", "/v1.45/containers/it?force=1&v=1", b""), {}),
    (("DELETE", "/v1.45/images/dockyard/debian:1", b""), {}),
    (post("/containers/it/exec", Cmd=["ls"], Privileged=False, User="root"), {}),
    (post("/containers/it/update", NanoCpus=1, RestartPolicy={"Name": "always"}, Devices=None), {}),
    # Containers.
    (container(), {}),
    (container(Binds=["notes:/data", "/anonymous", "notes:/data:ro,nocopy"]), {}),
    (container(Mounts=[mounted("volume", Source="notes"), mounted("volume")]), {}),
    (container(Mounts=[mounted("tmpfs", TmpfsOptions={"SizeBytes": 8})]), {}),
    (container(Tmpfs={"/run": "mode=1777"}, VolumesFrom=["it:ro"], ReadonlyRootfs=True), {}),
    (container(NetworkMode="container:redis", PidMode="container:redis"), {}),
    (container(CapDrop=["ALL"], CapAdd=["CHOWN", "cap_setuid"], PidsLimit=64, Memory=1), {}),
    (container(SecurityOpt=["no-new-privileges"]), {}),
    (container(SecurityOpt=["no-new-privileges:true", "seccomp=builtin"]), {}),
    (container(Sysctls={"net.core.somaxconn": "1"}, Ulimits=[{"Name": "nofile"}]), {}),
    (container(LogConfig={"Type": "fluentd", "Config": {"fluentd-address": "node1:24224"}}), {}),
    (container(Runtime="runc", OomScoreAdj=500, Init=True), {}),
    (container(Runtime="crun"), {}),
    (post("/containers/create", Image="image", Labels={"a": "1", "A": "2", "ſ": "3"}), {}),
    (container(CapAdd=["NET_ADMIN"]), {"capabilities": ["NET_ADMIN"]}),
    (container(NetworkMode="host"), {"host_network": True}),
    (container(PidMode="host"), {"host_pid": True}),
    # Binds that the exercise names.
    (container(Binds=["/srv/notes:/notes", "/srv/notes/:/notes:ro"]), SRV),
    (container(Binds=["/run/docker.sock:/x", "/var/run/docker.sock:/y"]), SRV),
    (container(Binds=["/sys:/sys:ro", "/sys:/sys:ro,rslave"]), SRV),
    (container(Mounts=[mounted(Source="/sys", ReadOnly=True)]), SRV),
    (service(Mounts=[mounted(Source="/srv/logs")]), SRV | SWARM),
    # Builds.
    (("POST", "/v1.45/build?t=a&t=b&q=1&version=1&networkmode=default&memory=1", b""), {}),
    (("POST", "/v1.45/build?buildargs=%7B%7D&cgroupparent=&remote=", b""), {}),
    (("POST", "/v1.45/build?networkmode=host", b""), {"host_network": True}),
    # Volumes and networks.
    (post("/volumes/create", Name="notes", Driver="local", Labels={"keep": "yes"}), {}),
    (post("/volumes/create", DriverOpts={"type": "tmpfs", "device": "tmpfs"}), {}),
    (
        post(
            "/volumes/create",
            DriverOpts={"type": "tmpfs", "device": "tmpfs", "o": "size=10m,uid=1000,noexec"},
        ),
        {},
    ),
    (post("/volumes/create", Driver="rclone", DriverOpts=ROOT_BY_MOUNT), {"plugins": True}),
    (("POST", "/v1.45/plugins/create?name=rclone", b""), {"plugins": True}),
    (("POST", "/v1.45/plugins/team/rclone:latest/enable?timeout=0", b""), {"plugins": True}),
    (
        post(
            "/networks/create",
            Name="back",
            Driver="bridge",
            IPAM={"Driver": "default", "Options": {}, "Config": [{"Subnet": "10.41.2.0/24"}]},
            Options={"com.docker.network.bridge.name": "back"},
        ),
        {"gate": "172.18.0.2"},
    ),
    (post("/networks/create", Name="wide", Driver="overlay", Options={"encrypted": ""}), {}),
    # A swarm.
    (post("/swarm/init", ListenAddr="0.0.0.0:2377", Spec={"CAConfig": {}, "Raft": {}}), SWARM),
    (post("/swarm/join", RemoteAddrs=["node1:2377"], JoinToken="token"), SWARM),
    (post("/swarm/update?version=1", Name="default", TaskDefaults={}), SWARM),
    (post("/nodes/node3/update?version=1", Availability="drain", Role="worker"), SWARM),
    (post("/configs/create", Name="conf", Data="aGk="), SWARM),
    (post("/secrets/create", Name="word", Data="aGk="), SWARM),
    (("DELETE", "/v1.45/services/app_vote", b""), SWARM),
    (
        service(
            {"Networks": [{"Target": "app", "Aliases": ["vote"]}], "LogDriver": {"Name": "local"}},
            Privileges={"CredentialSpec": None, "SELinuxContext": None, "NoNewPrivileges": True},
            Mounts=[mounted("volume", Source="votes", VolumeOptions={"Labels": {"a": "b"}})],
            Isolation="default",
        ),
        SWARM,
    ),
]

REFUSED: list[tuple[str, Request, dict[str, Any]]] = [
    # Paths.
    ("GET /debug/pprof/heap", ("GET", "/debug/pprof/heap", b""), {}),
    ("POST /session", ("POST", "/v1.45/session", b""), {}),
    ("POST /grpc", ("POST", "/grpc", b""), {}),
    ("checkpoints", ("POST", "/v1.45/containers/it/checkpoints", b""), {}),
    ("PUT /volumes/it", ("PUT", "/v1.45/volumes/it?version=1", b"{}"), SWARM),
    ("POST /plugins/pull", ("POST", "/v1.45/plugins/pull?remote=it", b"[]"), {}),
    ("POST /plugins/dockyard/disable", ("POST", "/plugins/dockyard/disable", b""), {}),
    ("DELETE /plugins/it", ("DELETE", "/plugins/it", b""), {}),
    ("GET /plugins/privileges", ("GET", "/plugins/privileges?remote=it", b""), {}),
    ("POST /swarm/join", post("/swarm/join", RemoteAddrs=["evil:2377"]), {}),
    ("POST /services/create", service(), {}),
    ("/v1.99/containers", ("GET", "/v1.99/containers/json", b""), {}),
    ("the path", ("POST", "//containers/create", b"{}"), {}),
    ("the path", ("POST", "/images/../containers/create", b"{}"), {}),
    ("the path", ("POST", "/images/%2e%2e/containers/create", b"{}"), {}),
    ("the path", ("POST", "/containers%2Fcreate", b"{}"), {}),
    ("the path", ("POST", "/containers/%2563reate", b"{}"), {}),
    ("the path", ("POST", "http://it/containers/create", b"{}"), {}),
    ("/containers/create/", ("POST", "/containers/create/", b"{}"), {}),
    ("/Containers/create", ("POST", "/Containers/create", b"{}"), {}),
    ("/v1.45/containers", ("POST", "/v1.45/v1.45/containers/create", b"{}"), {}),
    # Bodies that are not what they seem.
    ("without JSON", ("POST", "/containers/create", b""), {}),
    ("without JSON", ("POST", "/containers/it/exec", b""), {}),
    ("without JSON", ("POST", "/containers/it/update", b""), {}),
    ("without JSON", ("POST", "/volumes/create", b""), {}),
    ("without JSON", ("POST", "/networks/create", b""), {}),
    ("without JSON", ("POST", "/services/create", b""), SWARM),
    ("without JSON", ("POST", "/containers/create", b'{"Image": "it"}{}'), {}),
    ("without JSON", ("POST", "/containers/create", b'{"Image": "it"}]'), {}),
    ("without JSON", ("POST", "/containers/create", '{"Image": "it"}'.encode("utf-16")), {}),
    ("without JSON", ("POST", "/containers/create", b"[" * 5000), {}),
    ("not as Docker's API", ("POST", "/containers/create", b"[]"), {}),
    ("not as Docker's API", container(Binds=[{"a": "b"}]), {}),
    ("not as Docker's API", container(PidMode=["host"]), {}),
    ("twice", ("POST", "/containers/create", b'{"HostConfig": {}, "HostConfig": {}}'), {}),
    ("second spelling", container(Binds=[], binds=["/:/host"]), {}),
    ("second spelling", post("/containers/create", HostConfig={"Bindſ": ["/:/host"]}), {}),
    ('"privileged"', container(privileged=True, Privileged=None), {}),
    ('"PRIVILEGED"', post("/containers/create", Image="it", hostconfig={"PRIVILEGED": True}), {}),
    # Containers; the engine reads HostConfig's fields from the outer object as well.
    ('"Privileged"', container(Privileged=True), {}),
    ('"Privileged"', post("/containers/create", Image="it", Privileged=True), {}),
    ('"Binds"', post("/containers/create", Image="it", Binds=["/:/host"]), {}),
    ('"MaskedPaths"', post("/containers/create", Image="it", MaskedPaths=[]), {}),
    ('"MaskedPaths"', container(MaskedPaths=[]), {}),
    ('"ReadonlyPaths"', container(ReadonlyPaths=[]), {}),
    ('capability "SYS_ADMIN"', container(CapAdd=["SYS_ADMIN"]), {"capabilities": ["NET_ADMIN"]}),
    ('capability "cap_sys_admin"', container(CapAdd=["cap_sys_admin"]), {}),
    ('capability "all"', container(CapAdd=["all"]), {}),
    ('capability "SYS_ADMIN"', container(CapAdd="SYS_ADMIN"), {}),
    ("seccomp", container(SecurityOpt=["seccomp=unconfined"]), {}),
    ("seccomp", container(SecurityOpt=['seccomp={"defaultAction": "SCMP_ACT_ALLOW"}']), {}),
    ("apparmor", container(SecurityOpt=["apparmor:unconfined"]), {}),
    ("label", container(SecurityOpt=["label=disable"]), {}),
    ("disable", container(SecurityOpt=["disable"]), {}),
    ('"host" as "PidMode"', container(PidMode="host"), {}),
    ('"host" as "IpcMode"', container(IpcMode="host"), {}),
    ('"host" as "CgroupnsMode"', container(CgroupnsMode="host"), {}),
    ('"UTSMode"', container(UTSMode="host"), {}),
    ('"UsernsMode"', container(UsernsMode="host"), {}),
    ('the network "host"', container(NetworkMode="host"), {}),
    ('"Cgroup"', container(Cgroup="container:it"), {}),
    ('"CgroupParent"', container(CgroupParent="/"), {}),
    ('"Devices"', container(Devices=[{"PathOnHost": "/dev/sda"}]), {}),
    ('"DeviceRequests"', container(DeviceRequests=[{"Driver": "nvidia"}]), {}),
    ('"DeviceCgroupRules"', container(DeviceCgroupRules=["b *:* rwm"]), {}),
    ('"kata" as "Runtime"', container(Runtime="kata"), {}),
    ('"StorageOpt"', container(StorageOpt={"size": "1G"}), {}),
    ('"Annotations"', container(Annotations={"run.oci.hooks": "it"}), {}),
    ('the sysctl "kernel.core_pattern"', container(Sysctls={"kernel.core_pattern": "|it"}), {}),
    ("OomScoreAdj", container(OomScoreAdj=-1000), {}),
    ('"splunk"', container(LogConfig={"Type": "splunk"}), {}),
    (
        "unix:///run/containerd",
        container(LogConfig={"Type": "fluentd", "Config": {"fluentd-address": "unix:///run/containerd/it"}}),
        {},
    ),
    ('"FutureOption"', container(FutureOption={"a": 1}), {}),
    # What is mounted.
    ('path "/"', container(Binds=["/:/host"]), SRV),
    ('path "/etc"', container(Binds=["/etc:/etc:ro"]), SRV),
    ('path "/srv"', container(Binds=["/srv:/srv"]), SRV),
    ('path "/srv/"', container(Binds=["/srv/:/srv"]), SRV),
    ('path "/srv/a/b"', container(Binds=["/srv/a/b:/b"]), SRV),
    ('path "/srv/../etc"', container(Binds=["/srv/../etc:/etc"]), SRV),
    ('path "/srv/.."', container(Binds=["/srv/..:/etc"]), SRV),
    ('path "//srv/a"', container(Binds=["//srv/a:/a"]), SRV),
    ('path "/run"', container(Binds=["/run:/run"]), SRV),
    ('path "/sys" other than read-only', container(Binds=["/sys:/sys"]), SRV),
    ('path "/sys" other', container(Mounts=[mounted(Source="/sys", ReadOnly="yes")]), SRV),
    (
        '"ReadOnlyNonRecursive"',
        container(
            Mounts=[
                mounted(Source="/sys", ReadOnly=True, BindOptions={"ReadOnlyNonRecursive": True})
            ]
        ),
        SRV,
    ),
    ("shared propagation", container(Binds=["/srv/a:/a:rshared"]), SRV),
    (
        '"shared" as "propagation"',
        container(Mounts=[mounted(Source="/srv/a", BindOptions={"Propagation": "shared"})]),
        SRV,
    ),
    ('path "/etc"', container(Mounts=[mounted(Source="/etc")]), SRV),
    ('"BIND" as "type', service(Mounts=[mounted("BIND", Source="/etc")]), SWARM),
    ('"None" as "type', service(Mounts=[{"Source": "/etc", "Target": "/in"}]), SWARM),
    ('"npipe" as "type', container(Mounts=[mounted("npipe", Source="it")]), {}),
    ('"cluster" as "type', service(Mounts=[mounted("cluster", Source="it")]), SWARM),
    ('"../it" as "volume"', container(Binds=["../it:/in"]), {}),
    ('"/etc" as "volume"', container(Mounts=[mounted("volume", Source="/etc")]), {}),
    (
        '"none" as "volume option type"',
        container(
            Mounts=[mounted("volume", VolumeOptions={"DriverConfig": {"Options": ROOT_BY_MOUNT}})]
        ),
        {},
    ),
    (
        '"Subpath"',
        container(Mounts=[mounted("volume", Source="it", VolumeOptions={"Subpath": "a"})]),
        {},
    ),
    ('the volume driver "it"', container(VolumeDriver="it"), {}),
    ('the volume driver "it"', post("/volumes/create", Driver="it"), {}),
    ('"none"', post("/volumes/create", DriverOpts=ROOT_BY_MOUNT), {"plugins": True}),
    (
        '"size=1m,bind" as',
        post(
            "/volumes/create",
            DriverOpts={"type": "tmpfs", "device": "tmpfs", "o": "size=1m,bind"},
        ),
        {},
    ),
    ('"/"', post("/volumes/create", DriverOpts={"type": "tmpfs", "device": "/"}), {}),
    ('"nfs"', post("/volumes/create", DriverOpts={"type": "nfs", "device": ":/"}), {}),
    ('"ClusterVolumeSpec"', post("/volumes/create", ClusterVolumeSpec={"Group": "it"}), SWARM),
    # Later on.
    ('"Privileged"', post("/containers/it/exec", Cmd=["ls"], Privileged=True), {}),
    ('"Devices"', post("/containers/it/update", Devices=[{"PathOnHost": "/dev/sda"}]), {}),
    ('"CgroupParent"', post("/containers/it/update", CgroupParent="/"), {}),
    ("at a container's start", post("/containers/it/start", Privileged=True), {}),
    ("at a container's start", ("POST", "/containers/it/start?checkpoint=it", b""), {}),
    # Builds.
    ('the network "host"', ("POST", "/build?networkmode=host", b""), {}),
    ("twice", ("POST", "/build?networkmode=none&networkmode=host", b""), {"host_network": True}),
    ("BuildKit", ("POST", "/v1.45/build?version=2", b""), {}),
    ('"cgroupparent"', ("POST", "/build?cgroupparent=%2F", b""), {}),
    ('"securityopt"', ("POST", "/build?securityopt=seccomp%3Dunconfined", b""), {}),
    ('"remote"', ("POST", "/build?remote=http://it/", b""), {}),
    ('"session"', ("POST", "/build?session=it", b""), {}),
    ("the query", ("POST", "/build?t=a;networkmode=host", b""), {}),
    ("the query", ("POST", "/build?networkmode=%zz", b""), {}),
    # Networks.
    ('"macvlan"', post("/networks/create", Name="it", Driver="macvlan"), {}),
    ('"ipvlan"', post("/networks/create", Name="it", Driver="ipvlan"), {}),
    ('"host"', post("/networks/create", Name="it", Driver="host"), {}),
    ('"parent"', post("/networks/create", Name="it", Options={"parent": "eth0"}), {}),
    ('"ConfigFrom"', post("/networks/create", Name="it", ConfigFrom={"Network": "other"}), {}),
    ('"it" as "IPAM', post("/networks/create", Name="it", IPAM={"Driver": "it"}), {}),
    (
        "which the lab itself uses",
        post("/networks/create", Name="it", IPAM={"Config": [{"Subnet": "172.18.0.0/30"}]}),
        {"gate": "172.18.0.2"},
    ),
    # Services, and the swarm itself.
    ('path "/etc"', service(Mounts=[mounted(Source="/etc")]), SWARM),
    ('"/srv/{{', service(Mounts=[mounted(Source='/srv/{{printf "..%cetc" 47}}')]), SRV | SWARM),
    ('"{{', service(Mounts=[mounted("volume", Source="{{.Node.Hostname}}")]), SWARM),
    ("SYS_ADMIN", service(CapabilityAdd=["CAP_SYS_ADMIN"]), SWARM),
    ("kernel.msgmax", service(Sysctls={"kernel.msgmax": "1"}), SWARM),
    ("unconfined", service(Privileges={"Seccomp": {"Mode": "unconfined"}}), SWARM),
    ('"Profile"', service(Privileges={"Seccomp": {"Mode": "", "Profile": "e30="}}), SWARM),
    ("disabled", service(Privileges={"AppArmor": {"Mode": "disabled"}}), SWARM),
    ('"SELinuxContext"', service(Privileges={"SELinuxContext": {"Disable": True}}), SWARM),
    ('"CredentialSpec"', service(Privileges={"CredentialSpec": {"File": "it"}}), SWARM),
    ('"FutureOption"', service(FutureOption=True), SWARM),
    ('the network "host"', service({"Networks": [{"Target": "host"}]}), SWARM),
    (
        'the network "host"',
        post("/services/it/update?version=1", Networks=[{"Target": "host"}], TaskTemplate={}),
        SWARM,
    ),
    ('"PluginSpec"', service({"PluginSpec": {"Name": "it"}, "Runtime": "plugin"}), SWARM),
    ('"plugin" as "Runtime"', service({"Runtime": "plugin"}), SWARM),
    ('"NetworkAttachmentSpec"', service({"NetworkAttachmentSpec": {"ContainerID": "it"}}), SWARM),
    ('"splunk"', service({"LogDriver": {"Name": "splunk", "Type": "local"}}), SWARM),
    ("ExternalCAs", post("/swarm/init", Spec={"CAConfig": {"ExternalCAs": [{}]}}), SWARM),
    ("ExternalCAs", post("/swarm/update", CAConfig={"ExternalCAs": [{}]}), SWARM),
    ("splunk", post("/swarm/update", TaskDefaults={"LogDriver": {"Name": "splunk"}}), SWARM),
    ('"Driver"', post("/secrets/create", Name="it", Driver={"Name": "it"}), SWARM),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "allow"), ALLOWED)
def test_allowed(request_: Request, allow: dict[str, Any]) -> None:
    assert refusal(request_, allow) == ""


@pytest.mark.parametrize(("why", "request_", "allow"), REFUSED)
def test_refused(why: str, request_: Request, allow: dict[str, Any]) -> None:
    said = refusal(request_, allow)
    assert said.startswith("Graded labs refuse ")
    assert why in said


SOCKET = container(Binds=["/var/run/docker.sock:/var/run/docker.sock"])
NEEDS: list[tuple[str, Request]] = [
    ("01_networking", container(NetworkMode="host")),
    ("01_networking", post("/swarm/init", ListenAddr="0.0.0.0:2377")),
    ("02_clustering", service(Mounts=[mounted("volume", Source="votes")])),
    ("03_volumes", container(Binds=["/srv:/srv"])),
    ("03_volumes", container(Binds=["/srv/settings:/settings:ro", "/srv/rules.txt:/rules.txt:ro"])),
    ("03_volumes", ("POST", "/v1.45/plugins/create?name=rclone", b"")),
    ("03_volumes", post("/volumes/create", Driver="rclone", DriverOpts={"type": "webdav"})),
    ("04_security", SOCKET),
    ("04_security", container(CapAdd=["NET_ADMIN"])),
    ("04_security", container(Binds=["/etc/docker/certs.d:/certs"])),
    (
        "05_monitoring",
        container(
            Binds=[
                "/:/rootfs:ro", "/var/run:/var/run:ro", "/sys:/sys:ro",
                "/var/lib/docker:/var/lib/docker:ro",
            ]
        ),
    ),
    ("05_monitoring", container(PidMode="host", CapAdd=["SYS_PTRACE"])),
    ("06_logging", container(Binds=["/srv/logs:/logs"])),
    ("06_logging", service(Mounts=[mounted(Source="/srv/logs")])),
    ("07_ci", SOCKET),
    ("08_production", service()),
]  # fmt: skip


def allowance(exercise_id: str) -> dict[str, Any]:
    """As the gate's container gets it."""
    return dict(msgspec.json.decode(msgspec.json.encode(load_exercise(exercise_id).lab.allow)))


@pytest.mark.parametrize(("exercise_id", "request_"), NEEDS)
def test_an_exercise_is_allowed_what_it_needs(exercise_id: str, request_: Request) -> None:
    assert refusal(request_, allowance(exercise_id)) == ""
    assert refusal(request_, {})  # or it would be no allowance


@pytest.mark.parametrize("exercise_id", exercise_ids())
def test_no_exercise_is_allowed_the_host(exercise_id: str) -> None:
    allow = allowance(exercise_id)
    for options in (
        {"Privileged": True},
        {"CapAdd": ["SYS_ADMIN"]},
        {"Binds": ["/:/host"]},
        {"Binds": ["/etc:/etc"]},
        {"Binds": ["/run/containerd/containerd.sock:/it"]},
        {"Devices": [{"PathOnHost": "/dev/sda"}]},
        {"SecurityOpt": ["seccomp=unconfined"]},
    ):
        assert refusal(container(**options), allow)


def test_the_docs_name_the_exercises_that_give_their_hosts_away() -> None:
    away = {name for name in exercise_ids() if load_exercise(name).lab.allow.gives_hosts_away}
    table = (settings.course_dir() / "docs" / "isolation.md").read_text().splitlines()
    assert {line.split()[1] for line in table if "**none**" in line} == away


def test_the_course_and_the_policy_know_the_same_allowances() -> None:
    ours = msgspec.to_builtins(Allow())
    assert {**policy.NOTHING, **ours} == {**ours, "gate": policy.NOTHING["gate"]}


@contextmanager
def serving(keys: Path | None = None) -> Iterator[str]:
    """The server, allowing /srv/notes; its address."""
    server.Handler.allow = {"binds": ["/srv/notes"]}
    with server.Server(("127.0.0.1", 0), server.Handler) as gate:
        if keys:
            gate.speak_tls(str(keys))
        threading.Thread(target=gate.serve_forever, args=[0.05], daemon=True).start()
        yield f"127.0.0.1:{gate.server_address[1]}"
        gate.shutdown()


@pytest.fixture
def gate() -> Iterator[http.client.HTTPConnection]:
    with serving() as address, closing(http.client.HTTPConnection(address, timeout=5)) as gate:
        yield gate


def say(connection: http.client.HTTPConnection, method: str, body: bytes) -> dict[str, Any]:
    connection.request("POST", f"/{method}", body)
    answer = connection.getresponse()
    assert answer.status == 200
    return dict(json.loads(answer.read()))


def ask(gate: http.client.HTTPConnection, request: Request, **more: Any) -> dict[str, Any]:
    """Ask as dockerd does."""
    method, uri, body = request
    raw = b64encode(json.dumps(body).encode()).decode()
    asked = {"RequestMethod": method, "RequestUri": uri, "RequestBody": raw, **more}
    return say(gate, "AuthZPlugin.AuthZReq", json.dumps(asked).encode())


def test_the_server_judges_by_certificate(gate: http.client.HTTPConnection) -> None:
    assert say(gate, "Plugin.Activate", b"") == {"Implements": ["authz"]}
    held = gate.sock
    hostile = container(Privileged=True)
    assert ask(gate, hostile, User="dockyard", UserAuthNMethod="TLS")["Allow"]
    for user, how in (("submission", "TLS"), ("", ""), ("dockyard", "")):
        answer = ask(gate, hostile, User=user, UserAuthNMethod=how)
        assert answer == {"Allow": False, "Msg": 'Graded labs refuse the option "Privileged".'}
    assert ask(gate, container(Binds=["/srv/notes:/notes"]))["Allow"]
    assert say(gate, "AuthZPlugin.AuthZRes", b"{}") == {"Allow": True}
    assert gate.sock is held  # one connection for all


def test_the_server_refuses_what_it_cannot_read(gate: http.client.HTTPConnection) -> None:
    for body in (b"", b"[]", b"{}", b'{"RequestMethod": "GET", "RequestUri": 1}'):
        answer = say(gate, "AuthZPlugin.AuthZReq", body)
        assert not answer["Allow"]
        assert "nobody can read" in answer["Msg"]


def test_the_server_refuses_forms(gate: http.client.HTTPConnection) -> None:
    # Go would take "networkmode=host" from the body.
    headers = {"Content-Type": "Application/x-www-form-urlencoded; charset=utf-8"}
    assert not ask(gate, ("POST", "/build", ""), RequestHeaders=headers)["Allow"]
    headers = {"Content-Type": "application/x-tar"}
    assert ask(gate, ("POST", "/build", ""), RequestHeaders=headers)["Allow"]


def test_the_gates_own_subnet_is_refused(gate: http.client.HTTPConnection) -> None:
    network = post("/networks/create", Name="it", IPAM={"Config": [{"Subnet": "127.0.0.0/29"}]})
    assert "the lab itself" in ask(gate, network)["Msg"]


def test_the_server_speaks_tls_while_others_are_silent(tmp_path: Path) -> None:
    authority = trustme.CA()
    keys = tmp_path / "keys.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(keys))
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    with serving(keys) as address:
        host, port = address.split(":")
        with socket.create_connection((host, int(port))):
            connection = http.client.HTTPSConnection(address, timeout=5, context=trust)
            with closing(connection):
                assert not ask(connection, container(Privileged=True))["Allow"]
