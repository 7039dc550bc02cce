"""TLS between machines of a room that no authority knows: the other's key is known by its pin.

A pin is what curl's `--pinnedpubkey` compares: the hash of the certificate's public key (RFC 7469).
"""

import hmac
import ssl
import tempfile
from base64 import b64encode
from hashlib import sha256
from http.client import HTTPSConnection
from ipaddress import ip_address
from socket import AF_INET

import psutil
import trustme
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_pem_x509_certificate

from dockyard.errors import UnknownName


class OtherKey(OSError):
    """Who answers has not the key that was expected."""


def own_address(address: str) -> str:
    """*address*, if it is one of this machine at which a room can reach it.

    Raises:
        UnknownName: it is not.
    """
    found = [each for several in psutil.net_if_addrs().values() for each in several]
    known = {each.address for each in found if each.family == AF_INET and ip_address(each.address)}
    if address not in known:
        raise UnknownName(
            f'This machine has no address "{address}". Name the one at which the room reaches it: '
            f"--address {' or '.join(sorted(known))}."
        )
    return address


def certificate(address: str) -> bytes:
    """A new key and its certificate."""
    made = trustme.CA(organization_name="Dockyard room").issue_cert(address)
    return made.private_key_and_cert_chain_pem.bytes()


def server_context(pem: bytes) -> ssl.SSLContext:
    """For a server that shows this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:  # OpenSSL takes keys from files only
        file.write(pem)
        file.flush()
        context.load_cert_chain(file.name)
    return context


def pin_of(pem: bytes) -> str:
    """The pin of a certificate, as curl writes it."""
    key = load_pem_x509_certificate(pem).public_key()
    told = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"sha256//{b64encode(sha256(told).digest()).decode()}"


def connect(host: str, port: int, pin: str, timeout: float) -> HTTPSConnection:
    """A connection to the one who has the pinned key; nothing was sent before that was known.

    Args:
        timeout: seconds for each thing that the other is waited for.

    Raises:
        OtherKey: somebody else answers.
        OSError: nobody does.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the pin says who it is
    connection = HTTPSConnection(host, port, timeout=timeout, context=context)
    connection.connect()
    shown = connection.sock.getpeercert(binary_form=True)
    assert isinstance(shown, bytes)
    if not hmac.compare_digest(pin_of(ssl.DER_cert_to_PEM_cert(shown).encode()), pin):
        connection.close()
        raise OtherKey(f'"{host}:{port}" answers with another key than "{pin}"')
    return connection
