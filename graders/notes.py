"""The notes of 03_volumes: redis, and the files in which it keeps them."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from docker.models.containers import Container

from containers import Containers

PORT = 6379
MOTTO = "motto"
ANSWER = 15  # seconds for redis to come up

#: Starts redis on the files in a folder, wherever in it they are, and asks for one note.
LOOK_INTO = """
cd "$1" && file=$(find . -name dump.rdb -o -name '*.manifest' | sort | head -n 1)
case $file in *.manifest) set -- "$2" yes "${file%/*/*}" ;; *) set -- "$2" no "${file%/*}" ;; esac
redis-server --dir "${3:-.}" --appendonly $2 --save "" --daemonize yes > /dev/null
until answer=$(redis-cli --raw GET "$1" 2>&1); case $answer in *refused*|LOADING*) false ;; esac
do sleep 0.1; done
echo "$answer"
"""


class Notes:
    """Notes by name, in a redis on a host."""

    def __init__(self, containers: Containers, wait_until: Callable[..., Any]) -> None:
        self._containers = containers
        self._wait_until = wait_until

    def store(self, host: str) -> Container | None:
        """The redis that runs on a host."""
        return self._containers.playing("redis", host)

    def read(self, host: str, name: str = MOTTO) -> str | None:
        """A note, as the running redis has it."""
        lines = self._say(host, f"GET {name}").split("\r\n")
        return lines[1] if lines[0].startswith("$") and lines[0] != "$-1" else None

    def write(self, host: str, name: str, text: str) -> bool:
        return self._say(host, f"SET {name} {text}").startswith("+OK")

    def forget(self, host: str, name: str) -> None:
        """Remove a note; waits for a redis that has just been started."""
        with suppress(TimeoutError):
            self._wait_until(lambda: self._say(host, f"DEL {name}").startswith(":"), ANSWER)

    def folder(self, host: str) -> str:
        """Where the running redis keeps its files."""
        lines = self._say(host, "CONFIG GET dir").split("\r\n")
        return lines[4] if lines[0] == "*2" else "/data"

    def in_files(self, name: str, folder: str, **mounts: Any) -> str | None:
        """A note as another redis, of ours, finds it in files on the first host."""
        command = ["sh", "-c", LOOK_INTO, "probe", folder, name]
        ended = self._containers.run(command, image="dockyard/redis:1", user="0", **mounts)
        return ended.output.strip() or None if ended.status == 0 else None

    def _say(self, host: str, line: str) -> str:
        """What the running redis answers; waits for one that has just been started."""
        store = self.store(host)
        text = f"{line}\r\nQUIT\r\n"

        def answer() -> str:
            said = self._containers.ask("127.0.0.1", PORT, text, store, host)
            return "" if said.startswith("-LOADING") else said

        with suppress(TimeoutError):
            return str(self._wait_until(answer, ANSWER)) if store else ""
        return ""
