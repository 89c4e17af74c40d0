"""Fixtures: an endpoint in front of a scripted container."""

from collections.abc import AsyncIterator

import pytest

from deploy.local.sagemaker import LocalEndpoint
from tests.deploy.local.sagemaker.peers import ScriptedContainer, settings


@pytest.fixture
async def container() -> AsyncIterator[ScriptedContainer]:
    async with ScriptedContainer().serving() as serving:
        yield serving


@pytest.fixture
async def endpoint(container: ScriptedContainer) -> AsyncIterator[LocalEndpoint]:
    async with LocalEndpoint(settings(container.url)) as serving:
        yield serving
