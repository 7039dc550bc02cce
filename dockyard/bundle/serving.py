"""Hands a bundle to a room: one file, over TLS, to be read only."""

import asyncio
from pathlib import Path

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler, StaticFileHandler

from dockyard import pinned
from dockyard.bundle import loading, saving
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
    pinned.own_address(address)
    loading.look_into(file)
    asyncio.run(_serve(file, address, port, say))


async def _serve(file: Path, address: str, port: int, say: Say) -> None:
    pem = pinned.certificate(address)

    def log(handler: RequestHandler) -> None:
        say(f"{handler.request.remote_ip}: {handler.get_status()} {handler.request.path}")

    bundle = file.resolve()
    route = (f"/({NAME})", _Handler, {"path": str(bundle.parent)})
    app = Application([route], log_function=log, file=bundle.name)
    sockets = bind_sockets(port, address)
    HTTPServer(app, ssl_options=pinned.server_context(pem)).add_sockets(sockets)
    url = f"https://{address}:{sockets[0].getsockname()[1]}/{NAME}"
    size = file.stat().st_size / 1e6
    say(f'Serving "{file}", {size:.0f} MB; Ctrl-C ends it. On each machine:')
    say(
        f"curl --insecure --pinnedpubkey {pinned.pin_of(pem)} --continue-at - --output {NAME} "
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
