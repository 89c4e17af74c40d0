"""`python -m gateway`: one gateway process, configured by its environment."""

import argparse
import asyncio
import sys

import uvloop

from gateway import app, logs, settings
from gateway.errors import SettingsError


def main() -> int:
    """Run the gateway; 0 after a shutdown in order, 2 if it can't start as configured."""
    parser = argparse.ArgumentParser(
        prog="python -m gateway",
        description="Takes calls' media streams in, publishes transcript events to Redis.",
        epilog="Settings, from the environment or .env:\n\n" + settings.describe(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args()
    try:
        configuration = settings.load()
        logs.configure(configuration.log_level)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.get_loop().set_exception_handler(logs.log_loop_error)
            runner.run(app.run(configuration))
    except SettingsError as error:
        print(f"gateway: {error.detail}", file=sys.stderr)  # noqa: T201  # before logs, for people
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
