"""What a request may hold, road by road: the fields that it may have, and how they are judged.

The names are those of moby 26.1's types (api/types). Fields that are not named here have to be
empty: Privileged, Devices, CgroupParent, StorageOpt, Annotations, and whatever comes next.
"""

from typing import Any

from options import (
    SECURITY,
    Allow,
    capabilities,
    log_driver,
    mount,
    network_mode,
    one_of,
    subnet,
    sysctls,
    volume_driver,
    volume_or_bind,
)
from reading import Query, Refused, document, fields, items, mapping, names

CONFIG = names(
    "Hostname Domainname User AttachStdin AttachStdout AttachStderr ExposedPorts Tty OpenStdin"
    " StdinOnce Env Cmd Healthcheck ArgsEscaped Image Volumes WorkingDir Entrypoint MacAddress"
    " NetworkDisabled OnBuild Labels StopSignal StopTimeout Shell HostConfig NetworkingConfig"
)
RESOURCES = names(
    "CpuShares Memory NanoCpus BlkioWeight BlkioWeightDevice BlkioDeviceReadBps"
    " BlkioDeviceWriteBps BlkioDeviceReadIOps BlkioDeviceWriteIOps CpuPeriod CpuQuota CpusetCpus"
    " CpusetMems KernelMemory KernelMemoryTCP MemoryReservation MemorySwap MemorySwappiness"
    " PidsLimit Ulimits"
)
HOST_CONFIG = RESOURCES | names(
    "AutoRemove Binds CapAdd CapDrop CgroupnsMode ConsoleSize ContainerIDFile Dns DnsOptions"
    " DnsSearch ExtraHosts GroupAdd Init IpcMode Isolation Links LogConfig Mounts NetworkMode"
    " OomScoreAdj PidMode PortBindings PublishAllPorts ReadonlyRootfs RestartPolicy Runtime"
    " SecurityOpt ShmSize Sysctls Tmpfs VolumeDriver VolumesFrom"
)
EXEC = names(
    "User Tty ConsoleSize AttachStdin AttachStdout AttachStderr Detach DetachKeys Env WorkingDir"
    " Cmd Container"
)
SERVICE = names("Name Labels TaskTemplate Mode UpdateConfig RollbackConfig Networks EndpointSpec")
TASK = names(
    "ContainerSpec Resources RestartPolicy Placement Networks LogDriver ForceUpdate Runtime"
)
CONTAINER = names(
    "Image Labels Command Args Hostname Env Dir User Groups Privileges Init StopSignal TTY Mounts"
    " OpenStdin ReadOnly StopGracePeriod Healthcheck Hosts DNSConfig Secrets Configs Isolation"
    " Sysctls CapabilityAdd CapabilityDrop Ulimits"
)
NETWORK = names(
    "Name CheckDuplicate Driver Scope EnableIPv6 IPAM Internal Attachable Ingress Options Labels"
)
POOL = names("Subnet IPRange Gateway AuxiliaryAddresses")
SWARM = names("Name Labels Orchestration Raft Dispatcher CAConfig TaskDefaults EncryptionConfig")
INIT = names(
    "ListenAddr AdvertiseAddr DataPathAddr DataPathPort ForceNewCluster Spec AutoLockManagers"
    " Availability DefaultAddrPool SubnetSize"
)
AUTHORITY = names("NodeCertExpiry SigningCACert SigningCAKey ForceRotate")
BUILD = names(
    "dockerfile q nocache forcerm rm pull t extrahosts labels buildargs cachefrom target platform"
    " squash memory memswap cpushares cpuperiod cpuquota cpusetcpus cpusetmems shmsize ulimits"
    " networkmode version"
)


def create(_: Query, body: bytes, allow: Allow) -> None:
    # The engine would take HostConfig's fields from the outer object, too; CONFIG has none.
    found = fields(fields(document(body), CONFIG).get("hostconfig"), HOST_CONFIG)
    host = "|host" if allow["host_pid"] else ""
    one_of("PidMode", found.get("pidmode"), "|container:.+" + host)
    one_of("IpcMode", found.get("ipcmode"), "|none|private|shareable|container:.+")
    one_of("CgroupnsMode", found.get("cgroupnsmode"), "|private")
    one_of("Isolation", found.get("isolation"), "|default")
    one_of("Runtime", found.get("runtime"), "|runc|crun")
    for option in items(found.get("securityopt")):
        one_of("SecurityOpt", option, SECURITY)
    if str(found.get("oomscoreadj")).startswith("-"):
        raise Refused('a negative "OomScoreAdj"')
    capabilities(found.get("capadd"), allow)
    sysctls(found.get("sysctls"))
    network_mode(found.get("networkmode"), allow)
    log_driver(found.get("logconfig"))
    volume_driver(found.get("volumedriver"), None, allow)
    for each in items(found.get("binds")):
        volume_or_bind(each, allow)
    for each in items(found.get("mounts")):
        mount(each, allow)


def start(query: Query, body: bytes, _: Allow) -> None:
    if len(body) > 7 or any(key.startswith("checkpoint") for key in query):
        raise Refused("options at a container's start")  # as in old APIs, with a HostConfig


def execute(_: Query, body: bytes, __: Allow) -> None:
    fields(document(body), EXEC)


def update(_: Query, body: bytes, __: Allow) -> None:
    fields(document(body), RESOURCES | {"restartpolicy"})


def build(query: Query, _: bytes, allow: Allow) -> None:
    for key, values in query.items():
        if any(values) and key not in BUILD:
            raise Refused(f'the build\'s option "{key}"')
        if len(values) > 1 and key not in ("t", "extrahosts"):
            raise Refused("a request that says one thing twice")
    if query.get("version", ["1"])[0] not in ("", "1"):
        raise Refused("BuildKit; the older builder works (DOCKER_BUILDKIT=0)")
    network_mode(query.get("networkmode", [""])[0], allow)


def volume(_: Query, body: bytes, allow: Allow) -> None:
    found = fields(document(body), names("Name Driver DriverOpts Labels"))
    volume_driver(found.get("driver"), found.get("driveropts"), allow)


def network(_: Query, body: bytes, allow: Allow) -> None:
    found = fields(document(body), NETWORK)
    one_of("network driver", found.get("driver"), "|bridge|overlay|null")
    for option in mapping(found.get("options")):
        if not option.startswith("com.docker.network.") and option != "encrypted":
            raise Refused(f'the network\'s option "{option}"')  # such as "parent", an interface
    pools = fields(found.get("ipam"), names("Driver Options Config"))
    one_of("IPAM driver", pools.get("driver"), "|default|null")
    for pool in items(pools.get("config")):
        subnet(fields(pool, POOL).get("subnet"), allow)


def service(_: Query, body: bytes, allow: Allow) -> None:
    spec = fields(document(body), SERVICE)
    task = fields(spec.get("tasktemplate"), TASK)
    one_of("Runtime", task.get("runtime"), "|container")
    log_driver(task.get("logdriver"))
    for joined in items(task.get("networks")) + items(spec.get("networks")):
        network_mode(fields(joined, names("Target Aliases DriverOpts")).get("target"), allow)
    found = fields(task.get("containerspec"), CONTAINER)
    one_of("Isolation", found.get("isolation"), "|default")
    capabilities(found.get("capabilityadd"), allow)
    sysctls(found.get("sysctls"))
    rights = fields(found.get("privileges"), names("Seccomp AppArmor NoNewPrivileges"))
    for kind in ("seccomp", "apparmor"):
        one_of(kind, fields(rights.get(kind), {"mode"}).get("mode"), "|default")
    for each in items(found.get("mounts")):
        mount(each, allow)


def secret(_: Query, body: bytes, __: Allow) -> None:
    fields(document(body), names("Name Labels Data Templating"))  # no Driver: that is a plugin


def swarm_init(_: Query, body: bytes, __: Allow) -> None:
    swarm(fields(document(body), INIT).get("spec"))


def swarm_update(_: Query, body: bytes, __: Allow) -> None:
    swarm(document(body))


def swarm(value: Any) -> None:
    spec = fields(value, SWARM)
    fields(spec.get("caconfig"), AUTHORITY)  # no ExternalCAs, which managers would call
    log_driver(fields(spec.get("taskdefaults"), {"logdriver"}).get("logdriver"))
