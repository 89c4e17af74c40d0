"""An endpoint with a container that obeys behind it."""

from collections.abc import AsyncIterator

import pytest

from deploy.local.sagemaker import LocalEndpoint
from tests.deploy.local.sagemaker.peers import ObedientContainer, settings


@pytest.fixture
async def container() -> AsyncIterator[ObedientContainer]:
    async with ObedientContainer().serving() as serving:
        yield serving


@pytest.fixture
async def endpoint(container: ObedientContainer) -> AsyncIterator[LocalEndpoint]:
    async with LocalEndpoint(settings(container.url)) as serving:
        yield serving
