"""The command `fluentd` of the stand-in."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from . import log as logging
from .config import ConfigError, Section, read
from .forward import Forward
from .log import LEVELS, log
from .router import Router

VERSION = "fluentd 1.18.0 (Dockyard's stand-in, not Fluentd itself)"
SAYS = "this is Dockyard's stand-in for Fluentd, not Fluentd itself: no image or gem was in reach"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fluentd", description=VERSION)
    parser.add_argument("-c", "--config", default="/fluentd/etc/fluent.conf", metavar="PATH")
    parser.add_argument("--dry-run", action="store_true", help="check the configuration and end")
    parser.add_argument("--version", action="version", version=VERSION)
    return parser.parse_args()


def configure(root: Section) -> tuple[list[Forward], Router]:
    """Everything that the configuration describes, or ConfigError."""
    system = root.one("system")
    logging.threshold = system.choice("log_level", "info", LEVELS)
    system.done()
    sources = [Forward(each) for each in root.take("source")]
    router = Router(root)
    root.done()
    return sources, router


async def run(sources: list[Forward], router: Router) -> None:
    """Collect until a signal says to end."""
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    works = [output.run() for output in router.outputs]
    works += [source.run(router.emit) for source in sources]
    jobs = [asyncio.create_task(work) for work in works]
    for job in jobs:
        job.add_done_callback(lambda job: over.set() if _failed(job) else None)
    log("info", "#0 fluentd worker is now running worker=0")
    await over.wait()
    log("info", "Received graceful stop")
    for job in jobs:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)
    for job in filter(_failed, jobs):
        await job


def _failed(job: asyncio.Task[None]) -> bool:
    return not job.cancelled() and job.exception() is not None


def main() -> None:
    chosen = arguments()
    log("info", SAYS)
    try:
        root = read(Path(chosen.config).read_text(), chosen.config)
        log("info", f'parsing config file is succeeded path="{chosen.config}"')
        sources, router = configure(root)
        if chosen.dry_run:
            log("info", "finished dry run mode")
            return
        asyncio.run(run(sources, router))
    except ConfigError as error:
        log("error", f"config error {error}")
        sys.exit(1)
    except OSError as error:
        log("error", f"unexpected error error={error}")
        sys.exit(1)


if __name__ == "__main__":
    main()
