"""Hands a bundle to a room: one file, over TLS, to be read only."""

import asyncio
import ssl
from base64 import b64encode
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from socket import AF_INET

import psutil
import trustme
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_pem_x509_certificate
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler, StaticFileHandler

from dockyard.bundle import loading, saving
from dockyard.errors import UnknownName
from dockyard.settings import Say

#: How the room calls it, whatever the file is called here.
NAME = "room.tar"


def serve(file: Path, address: str, port: int, say: Say) -> None:
    """Serve a bundle until Ctrl-C.

    Args:
        address: of this machine, on the room's network.
        port: 0 takes a free one.

    Raises:
        UnknownName: this machine has no such address.
        BundleError: it is no bundle.
        OSError: such as a port that is taken.
    """
    if address not in (known := _addresses()):
        raise UnknownName(
            f'This machine has no address "{address}". Name the one at which the room reaches it: '
            f"--address {' or '.join(sorted(known))}."
        )
    loading.look_into(file)
    asyncio.run(_serve(file, address, port, say))


async def _serve(file: Path, address: str, port: int, say: Say) -> None:
    made = trustme.CA(organization_name="Dockyard room").issue_cert(address)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.configure_cert(context)

    def log(handler: RequestHandler) -> None:
        say(f"{handler.request.remote_ip}: {handler.get_status()} {handler.request.path}")

    bundle = file.resolve()
    route = (f"/({NAME})", _Handler, {"path": str(bundle.parent)})
    app = Application([route], log_function=log, file=bundle.name)
    sockets = bind_sockets(port, address)
    HTTPServer(app, ssl_options=context).add_sockets(sockets)
    url = f"https://{address}:{sockets[0].getsockname()[1]}/{NAME}"
    size = file.stat().st_size / 1e6
    say(f'Serving "{file}", {size:.0f} MB; Ctrl-C ends it. On each machine:')
    say(
        f"curl --insecure --pinnedpubkey sha256//{_pin(made)} --continue-at - --output {NAME} "
        f"{url} && tar -xf {NAME} && cd {saving.TOP} && make lab"
    )
    await asyncio.Event().wait()


class _Handler(StaticFileHandler):
    """One file, whatever is beside it; known by its size and time, for its sums are inside."""

    def parse_url_path(self, url_path: str) -> str:  # noqa: ARG002 (there is but one)
        return str(self.settings["file"])

    @classmethod
    def get_content_version(cls, abspath: str) -> str:
        state = Path(abspath).stat()
        return f"{state.st_size}-{state.st_mtime_ns}"


def _pin(made: trustme.LeafCert) -> str:
    """What curl compares: the hash of the certificate's public key (RFC 7469)."""
    certificate = load_pem_x509_certificate(made.cert_chain_pems[0].bytes())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b64encode(sha256(key).digest()).decode()


def _addresses() -> set[str]:
    found = [each for several in psutil.net_if_addrs().values() for each in several]
    return {each.address for each in found if each.family == AF_INET and ip_address(each.address)}
