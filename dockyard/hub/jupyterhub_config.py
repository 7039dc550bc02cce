"""What `dockyard hub` tells JupyterHub; read by JupyterHub itself."""

import os
import resource
import sys
from typing import Any

from dockyard.hub import places
from dockyard.hub.room import Room
from dockyard.hub.spawner import Place

c: Any = get_config()  # type: ignore[name-defined]  # noqa: F821 (JupyterHub's)
inside = os.environ[places.INSIDE]
proxy_api, api, desk = map(int, os.environ[places.PORTS].split())

# Of a room's calls, each takes two files of the desk, which inherits this: a shell's usual 1024
# are too few.
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

# The proxy is started before the hub (proxy.py).
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{proxy_api}"
c.ConfigurableHTTPProxy.auth_token = os.environ[places.TOKEN]
# As often, in seconds, a proxy that was started anew is told who is where.
c.JupyterHub.last_activity_interval = 10
# Places reach the hub and the desk at the engine's bridge, which no other machine does.
c.JupyterHub.hub_ip = c.JupyterHub.hub_connect_ip = inside
c.JupyterHub.hub_port = api

c.JupyterHub.spawner_class = Place
c.JupyterHub.authenticator_class = Room
c.Spawner.environment = {"DOCKYARD_DESK": f"http://{inside}:{desk}"}
c.Spawner.default_url = "/lab/tree/notebooks/start.ipynb"
c.JupyterHub.services = [
    {
        "name": "desk",
        "command": [sys.executable, "-m", "dockyard.hub.desk"],
        "environment": {
            **{name: value for name, value in os.environ.items() if name.startswith("DOCK")},
            "DOCKYARD_DESK_ADDRESS": inside,
            "DOCKYARD_DESK_PORT": str(desk),
        },
    }
]

# After a kill, a database would disagree with the engine, which is the record.
c.JupyterHub.db_url = "sqlite:///:memory:"
c.JupyterHub.cookie_secret_file = str(places.state() / "cookie_secret")
c.JupyterHub.cleanup_servers = True
c.JupyterHub.template_vars = {
    "announcement_login": "Dockyard: your name, and a password of your choice."
}
c.JupyterHub.log_level = "INFO"
