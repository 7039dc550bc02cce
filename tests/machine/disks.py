"""What the machine is made of: tools, a clean Debian disk that is kept, a disk for each task."""

import hashlib
import os
import platform
import shlex
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "mmdebstrap": "mmdebstrap",
    "mkfs.ext4": "e2fsprogs",
    "git": "git",
}
PACKAGES = """apparmor ca-certificates dbus docker.io git initramfs-tools iproute2 iptables kmod
linux-image-cloud-amd64 make procps python3 python3-venv systemd-sysv udev"""
UNIT = """[Unit]
After=multi-user.target docker.service
[Service]
# exec: the boot does not wait until this ends, so this can wait for the boot.
Type=exec
ExecStart=/bin/sh -c 'tar -xf /dev/vdb -C / && exec bash /root/machine/guest.sh'
[Install]
WantedBy=multi-user.target
"""
HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
CACHE = CHECKOUT / ".dockyard" / "machine"
CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"  # Debian's name for it, here and in the guest


class Problem(Exception):
    """The machine cannot do its work; the text is for a person."""


def say(text: str) -> None:
    print(f"machine: {text}", flush=True)


@contextmanager
def child(*argv: str, output: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A polite process in a group of its own, gone when the block ends, however it ends."""
    # pdeathsig: it goes with us even if we are killed.
    polite = ["nice", "-n", "10", "setpriv", "--pdeathsig", "KILL", *argv]
    process = subprocess.Popen(polite, stdin=subprocess.PIPE, stdout=output, start_new_session=True)
    try:
        yield process
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if process.poll() is None:
                os.killpg(process.pid, number)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(10)


def must(*argv: str) -> None:
    with child(*argv) as process:
        if process.wait() != 0:
            raise Problem(f"'{argv[0]}' failed ({process.returncode}); its own words are above")


def ensure_tools() -> None:
    if platform.machine() != "x86_64" or os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Problem("this needs root on an x86-64 Debian or Ubuntu: it builds a Debian disk")
    missing = sorted(package for tool, package in TOOLS.items() if shutil.which(tool) is None)
    if missing:
        say(f"installing {' '.join(missing)}")
        must("apt-get", "update", "-qq")
        must("apt-get", "install", "-qq", "--no-install-recommends", *missing)


def ensure_disk(work: Path) -> Path:
    """The folder with disk, kernel and initrd, made where the recipe is new; all else is stale."""
    folder = CACHE / hashlib.sha256((PACKAGES + UNIT).encode()).hexdigest()[:12]
    for stale in set(CACHE.glob("*/")) - {folder, work}:
        shutil.rmtree(stale)
    if not folder.exists():
        say("building the disk, once (a minute or two)")
        root, new = work / "root", work / "new"
        include = f"--include={','.join(PACKAGES.split())}"
        must("mmdebstrap", "--variant=apt", include, "bookworm", str(root))
        (root / "etc/systemd/system/machine.service").write_text(UNIT)
        must("chroot", str(root), "systemctl", "--quiet", "enable", "machine")
        new.mkdir()
        must("mkfs.ext4", "-q", "-d", str(root), str(new / "disk"), "24G")  # sparse
        for name in ("vmlinuz", "initrd.img"):
            shutil.copyfile(root / name, new / name)
        new.rename(folder)
        shutil.rmtree(root)
    return folder


def environment() -> str:
    """What reaches the network here does there: the CA bundle's names, proxies, pip's index."""
    given = {"HOME": "/root", "USER": "root", "LANG": "C.UTF-8", "CHECKOUT": str(CHECKOUT)}
    for name, value in os.environ.items():
        pip = name.startswith("PIP_") and not value.startswith(("/", "file:"))
        if value == CA_BUNDLE or name.lower().endswith("_proxy") or pip:
            given[name] = value
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in given.items())


def task_disk(work: Path, command: str, take: Iterable[Path]) -> Path:
    """A plain tar file: the command, the CA bundle, and the checkout, at its own path, as it is."""
    files = {Path("/root/machine/guest.sh"): HERE / "guest.sh", Path(CA_BUNDLE): Path(CA_BUNDLE)}
    for name, text in {"command": command + "\n", "environment": environment()}.items():
        (work / name).write_text(text)
        files[Path("/root/machine", name)] = work / name
    git = ["git", "-C", str(CHECKOUT), "ls-files", "-z", "-co", "--exclude-standard"]
    names = subprocess.run(git, check=True, stdout=subprocess.PIPE, text=True).stdout
    ours = [CHECKOUT / name for name in names.split("\0") if name]
    # A file that is only deleted is still in git's list.
    files |= {path: path for path in ours if path.is_symlink() or path.is_file()}
    files |= {path.absolute(): path for path in take}
    with tarfile.open(work / "task.tar", "w") as tar:
        for there, here in files.items():
            tar.add(here, there, filter=lambda entry: entry.replace(uid=0, gid=0, deep=False))
    return work / "task.tar"
