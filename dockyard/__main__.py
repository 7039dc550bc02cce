"""The command `dockyard`, also as `python -m dockyard`."""

import sys


def main() -> None:
    """Run it; Ctrl-C ends it in silence even while it is only being loaded."""
    try:
        from dockyard.cli import main as run
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell says of what SIGINT ended
    run(prog_name="dockyard")


if __name__ == "__main__":
    main()
