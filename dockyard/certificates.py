"""Keys of a lab: an authority of its own, one certificate for its hosts, one for each client.

A host that has a policy (images/gate) tells its clients apart by their certificates' names.
"""

import os
import shutil
from pathlib import Path

import trustme

#: What a Docker client looks for in DOCKER_CERT_PATH.
CLIENT_FILES = ["ca.pem", "cert.pem", "key.pem"]
#: What a host's daemon.json names.
HOST_FILES = ["ca.pem", "server-cert.pem", "server-key.pem"]
#: Whom a policy lets do everything, and whom not; the latter's keys are in a folder of that name.
OWNER, SUBMISSION = "dockyard", "submission"
#: The name under which hosts know the gate of a sealed lab, and its key's file.
GATE = "gate"
GATE_FILES = [f"{GATE}-key.pem", f"{GATE}-cert.pem"]


def ensure(folder: Path, hosts: list[str]) -> None:
    """Make the lab's keys in *folder*, unless they are there.

    The authority's own key is never written down: nobody can add a certificate later.

    Args:
        folder: readable by its owner only; made where it is missing.
        hosts: names of the lab's hosts; clients reach them through loopback as well.
    """
    if all((folder / name).is_file() for name in {*CLIENT_FILES, *HOST_FILES}):
        return
    shutil.rmtree(folder, ignore_errors=True)
    making = folder.with_suffix(".new")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(mode=0o700, parents=True)
    authority = trustme.CA(organization_name="Dockyard lab")
    server = authority.issue_cert("127.0.0.1", "localhost", *hosts)
    # Go refuses a certificate whose list of names is empty, also a client's.
    _write(making, authority, authority.issue_cert("owner@dockyard", common_name=OWNER))
    submission = authority.issue_cert("submission@dockyard", common_name=SUBMISSION)
    _write(making / SUBMISSION, authority, submission)
    _write(making, authority, server, "server-")
    _write(making, authority, authority.issue_cert(GATE), f"{GATE}-")
    making.rename(folder)  # whole or not at all, also when killed


def _write(folder: Path, authority: trustme.CA, who: trustme.LeafCert, prefix: str = "") -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    blobs = {
        "ca.pem": authority.cert_pem,
        f"{prefix}cert.pem": who.cert_chain_pems[0],
        f"{prefix}key.pem": who.private_key_pem,
    }
    for name, blob in blobs.items():
        blob.write_to_path(str(folder / name))
        (folder / name).chmod(0o600)


def trust_variables(folder: Path) -> dict[str, str]:
    """What lets plain `docker.from_env()` trust the lab where the environment names a CA bundle.

    `requests` prefers that bundle to the authority that the SDK was given (see sdk.py), so the
    learner's processes get a bundle that holds both.
    """
    named = [name for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE") if os.environ.get(name)]
    bundle = folder / "bundle.pem"
    for file in {Path(os.environ[name]) for name in named} - {bundle}:
        if file.is_file():
            bundle.write_bytes(file.read_bytes() + b"\n" + (folder / "ca.pem").read_bytes())
    return {name: str(bundle) for name in named if bundle.is_file()}
