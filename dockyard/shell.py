"""A shell kept open in a container, and testinfra over it.

`docker exec` for each command costs some 75 ms; a line written to a shell that waits, 2 ms.
"""

import contextlib
import secrets
import shlex
import socket
import struct
import time
from dataclasses import dataclass
from typing import Any

import docker
from docker.errors import DockerException
from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

from dockyard.errors import LabError

TIMEOUT = 10.0  # seconds for one command
MOST = 64 * 2**20  # bytes of output; a container that prints without end must not fill our memory
STDOUT, STDERR = 1, 2


@dataclass(frozen=True)
class Output:
    """What one command left."""

    status: int
    stdout: bytes
    stderr: bytes


class Shell:
    """One /bin/sh in one container, opened with the first command and after each time-out.

    Not for two threads at once.
    """

    def __init__(self, client: docker.DockerClient, container: str, name: str) -> None:
        """
        Args:
            client: the engine that runs the container.
            container: its id or name there.
            name: what people call it, for errors.
        """
        self._client = client
        self._container = container
        self.name = name
        self._socket: Any = None
        self._stream: Any = None
        self._pid = ""

    def run(self, command: str, timeout: float = TIMEOUT) -> Output:
        """Run one command line.

        Args:
            command: for /bin/sh; it gets no standard input.
            timeout: seconds; after them the command and its shell are killed.

        Raises:
            TimeoutError: it took longer.
            LabError: the container does not run, or has no shell.
        """
        try:
            if self._socket is None:
                self._open()
            return self._ask(command, timeout)
        except TimeoutError:
            self._kill()
            raise TimeoutError(f'"{command}" on {self.name} took over {timeout:g} s') from None
        except (DockerException, OSError) as error:
            self._kill()
            raise LabError(f'No shell can be had on "{self.name}": {_reason(error)}') from None

    def close(self) -> None:
        """Leave; the shell ends with its input."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # Closing alone would leave the connection to whoever else holds the socket.
                self._socket.shutdown(socket.SHUT_RDWR)
                self._stream.close()
        self._socket = self._stream = None
        self._pid = ""

    def _open(self) -> None:
        api = self._client.api
        made = api.exec_create(self._container, ["/bin/sh"], stdin=True)
        # Keep the stream alive with the socket: it closes the connection when collected.
        self._stream = api.exec_start(made["Id"], socket=True)
        self._socket = getattr(self._stream, "_sock", self._stream)
        self._pid = self._ask("echo $$", TIMEOUT).stdout.decode().strip()

    def _ask(self, command: str, timeout: float) -> Output:
        mark = secrets.token_hex(8)
        # A subshell, so that `exit` and `cd` of one command do not reach the next one; and eval,
        # so that a quote or bracket too many ends there, too.
        line = f"(eval {shlex.quote(command)}) </dev/null"
        script = f"{line}; printf '\n{mark} %s\n' $?; printf {mark} >&2\n"
        deadline = time.monotonic() + timeout
        self._socket.settimeout(timeout)
        self._socket.sendall(script.encode())
        taken = {STDOUT: bytearray(), STDERR: bytearray()}
        end = mark.encode()
        # A frame may end anywhere, also between the mark and the status.
        while not (
            taken[STDERR].endswith(end)
            and taken[STDOUT].endswith(b"\n")
            and end in taken[STDOUT][-64:]
        ):
            channel, data = self._frame(deadline)
            taken[channel] += data
            if sum(map(len, taken.values())) > MOST:
                raise OSError(f"a command printed more than {MOST >> 20} MB")
        stdout, _, status = bytes(taken[STDOUT]).rpartition(b"\n" + end + b" ")
        return Output(int(status), stdout, bytes(taken[STDERR][: -len(end)]))

    def _frame(self, deadline: float) -> tuple[int, bytes]:
        """One frame of the engine's stream: 1 byte channel, 3 empty, 4 length, data.

        Source: Docker Engine API, "Attach to a container", stream format.
        """
        channel, length = struct.unpack(">BxxxL", self._read(8, deadline))
        if channel not in (STDOUT, STDERR) or length > MOST:
            raise OSError("the engine's stream makes no sense")
        return channel, self._read(length, deadline)

    def _read(self, count: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < count:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            part = self._socket.recv(count - len(data))
            if not part:
                raise ConnectionError("the shell has ended")
            data += part
        return bytes(data)

    def _kill(self) -> None:
        """End the shell with all that it still runs: its session, for the engine gave it one."""
        pid = self._pid
        self.close()
        script = (
            "for each in /proc/[0-9]*; do read -r line <$each/stat || continue; "
            f'set -- ${{line##*) }}; [ "$4" != {pid} ] || kill -9 ${{each#/proc/}}; done'
        )
        if pid:
            with contextlib.suppress(DockerException, OSError):
                made = self._client.api.exec_create(self._container, ["/bin/sh", "-c", script])
                self._client.api.exec_start(made["Id"], detach=True)


def _reason(error: Exception) -> str:
    return str(getattr(error, "explanation", None) or error)


class ShellBackend(BaseBackend):
    """testinfra over a shell that is kept open."""

    NAME = "dockyard"
    HAS_RUN_SALT = False

    def __init__(self, shell: Shell) -> None:
        super().__init__(shell.name)
        self._shell = shell
        self._encoding = "utf-8"  # else testinfra asks python3 in the container

    def run(self, command: str, *args: str, **_: Any) -> CommandResult:
        line = self.get_command(command, *args)
        output = self._shell.run(line)
        return self.result(output.status, self.encode(line), output.stdout, output.stderr)


def testinfra_host(shell: Shell) -> Host:
    """A testinfra Host; built by hand, for get_host() keeps hosts for the process's life."""
    backend = ShellBackend(shell)
    host = Host(backend)
    backend.set_host(host)
    return host
