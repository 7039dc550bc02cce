"""Serves the policy to the engines of a lab's hosts, as an authorization plugin of Docker's.

An engine asks before each request of a client, and once more before it answers. Its clients are
known by their certificates; whoever comes through the socket inside a host has none.

    python3 server.py [KEYS]

With KEYS, a file of a private key and a certificate, it speaks TLS. Without, a container that has
a host's network could pose as this server (ARP), and allow itself all.
"""

import json
import os
import ssl
import sys
from base64 import b64decode
from http.server import BaseHTTPRequestHandler
from socketserver import DatagramRequestHandler, ThreadingTCPServer, UDPServer
from threading import Thread
from typing import Any, ClassVar

from options import Allow
from policy import refusal

PORT, DNS_PORT = 8070, 53
OWNER = "dockyard"
# Go would take a build's options from such a body, too, and hand on neither.
FORMS = {"application/x-www-form-urlencoded", "multipart/form-data"}


def judge(asked: dict[str, Any], allow: Allow) -> str:
    """Why a client's request is refused; empty where it is allowed."""
    if asked.get("User") == OWNER and asked.get("UserAuthNMethod") == "TLS":
        return ""
    method, uri = asked["RequestMethod"], asked["RequestUri"]
    kind = (asked.get("RequestHeaders") or {}).get("Content-Type", "")
    if kind.partition(";")[0].strip().lower() in FORMS:
        reason = "Graded labs refuse a request with a form."
    else:
        reason = refusal(method, uri, b64decode(asked.get("RequestBody") or ""), allow)
    if reason:
        print(json.dumps({"method": method, "uri": uri, "refused": reason}), flush=True)
    return reason


class Handler(BaseHTTPRequestHandler):
    """One connection of an engine."""

    protocol_version = "HTTP/1.1"
    # An answer goes out in two writes; with Nagle's algorithm, the second waits for 40 ms.
    disable_nagle_algorithm = True
    allow: ClassVar[Allow] = {}

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = json.dumps(self._answer(body)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.docker.plugins.v1.1+json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _answer(self, body: bytes) -> dict[str, Any]:
        if self.path == "/Plugin.Activate":
            return {"Implements": ["authz"]}
        if self.path == "/AuthZPlugin.AuthZRes":
            return {"Allow": True}
        gate = self.connection.getsockname()[0]
        try:
            reason = judge(json.loads(body), {**self.allow, "gate": gate})
        except Exception as error:  # whatever we did not think of is refused as well
            reason = f"Graded labs refuse a request that nobody can read ({error!r})."
            print(json.dumps({"refused": reason}), flush=True)
        return {"Allow": not reason, "Msg": reason}

    def log_message(self, *_: Any) -> None:
        """Only what is refused is worth a line."""


class Names(DatagramRequestHandler):
    """Answers whoever asks for a name that there is none (RFC 1035): nothing leads out of the lab."""

    def handle(self) -> None:
        asked = self.rfile.read()
        question = asked[12 : asked.find(b"\0", 12) + 5]
        self.wfile.write(asked[:2] + b"\x81\x83" + b"\0\1" + bytes(6) + question)


class Server(ThreadingTCPServer):
    """Not http.server's own, which asks for its name first: there is nobody to answer."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def speak_tls(self, keys: str) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(keys)
        # The handshake is for the connection's thread: whoever is silent holds up nobody else.
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )


if __name__ == "__main__":
    Handler.allow = json.loads(os.environ["DOCKYARD_ALLOW"])
    server = Server(("", PORT), Handler)
    for keys in sys.argv[1:]:
        server.speak_tls(keys)
    Thread(target=UDPServer(("", DNS_PORT), Names).serve_forever, daemon=True).start()
    server.serve_forever()
