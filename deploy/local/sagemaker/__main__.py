"""`python -m deploy.local.sagemaker`: serve until SIGTERM or SIGINT."""

import logging
import sys

from common import serving
from common.settings import SettingsError
from deploy.local.sagemaker.server import LocalEndpoint
from deploy.local.sagemaker.settings import Settings

_log = logging.getLogger("deploy.local.sagemaker")


async def _serve(settings: Settings) -> int:
    stop = serving.stop_requested()
    try:
        async with LocalEndpoint(settings) as endpoint:
            _log.info("listening url=%s ca_file=%s", endpoint.url, endpoint.ca_file)
            await stop.wait()
    except OSError as error:
        raise SettingsError(
            f"can't serve on {settings.host}:{settings.port}: {error.strerror}"
        ) from None
    return 0


if __name__ == "__main__":
    sys.exit(
        serving.main(
            "deploy.local.sagemaker",
            "Serves a local replacement for SageMaker's bidirectional streaming.",
            Settings,
            serving.log_plainly,
            _serve,
        )
    )
