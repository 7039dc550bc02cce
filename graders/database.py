"""The Voting App's database on one host: its password, and whom it lets in."""

from docker.models.containers import Container

from containers import Containers


class Database:
    """The container that plays the database; nothing is known where there is none."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers

    @property
    def container(self) -> Container | None:
        return self._containers.playing("db") or self._containers.playing("postgres")

    def setting(self, name: str) -> str:
        """A variable of its environment."""
        listed = self.container.attrs["Config"]["Env"] if self.container else []
        return dict(each.partition("=")[::2] for each in listed).get(name, "")

    @property
    def secret(self) -> str:
        """The password in the file that it is told to read."""
        path = self.setting("POSTGRES_PASSWORD_FILE")
        content = self._containers.read(self.container, path) if self.container and path else None
        return (content or b"").decode(errors="replace").strip()

    def accepted(self, *passwords: str) -> set[str]:
        """Those of *passwords* with which it lets in a client that comes over its network."""
        joined = self.container.attrs["NetworkSettings"]["Networks"] if self.container else {}
        network, address = next(
            ((name, each["IPAddress"]) for name, each in joined.items()), ("", "")
        )
        user = self.setting("POSTGRES_USER") or "postgres"
        ask = f'psql --host "{address}" --username "{user}" --dbname postgres --command "" >&2'
        script = f'for PGPASSWORD; do export PGPASSWORD; {ask} && echo "$PGPASSWORD"; done'
        ended = self._containers.run(
            ["sh", "-c", script, "probe", *passwords], image="dockyard/postgres:1", network=network
        )
        return set(ended.output.splitlines()) & set(passwords)
