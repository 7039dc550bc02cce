"""Debian's package manager, for the little that Dockyard installs."""

import os
import subprocess


def install(*packages: str) -> str:
    """Install packages from the system's own archive; takes root and apt-get.

    Returns:
        Nothing, or why it failed, in apt-get's last line.
    """
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], env=environment, capture_output=True, check=False)
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    last = (done.stderr or done.stdout).strip().splitlines()[-1:]
    return " ".join(last) or f"apt-get ended with {done.returncode}"
