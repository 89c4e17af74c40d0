"""`python -m container.entrypoint`: run vLLM and the bridge until SIGTERM, or until one ends."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

from common import serving
from container.entrypoint import gpu
from container.entrypoint.engine import Command, engine_command, vllm_values
from container.entrypoint.settings import Settings
from container.entrypoint.sizing import Gpu, gpu_of, gpu_with
from container.entrypoint.supervisor import Plan, supervise

_WEIGHTS: Final = Path("/opt/ml/model")  # SageMaker mounts a model's data there
# -I: the base image's PYTHONPATH is meant for vLLM's interpreter.
_BRIDGE: Final = (sys.executable, "-I", "-m", "container.bridge")

_DRAIN_SHARE: Final = 0.6  # of the time to stop: for live sessions, before the bridge closes them


async def _serve(settings: Settings) -> int:
    signals = serving.stop_signals()
    planning = asyncio.ensure_future(_plan(settings))
    stopping = asyncio.ensure_future(signals.stop.wait())
    await asyncio.wait({planning, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not planning.done():  # nvidia-smi hangs
        planning.cancel()
        await asyncio.wait({planning})
        return 0
    return await supervise(planning.result(), signals)


async def _plan(settings: Settings) -> Plan:
    engine = engine_command(
        os.environ,
        port=settings.engine_port,
        rollover_hard_s=settings.rollover_hard_s,
        weights=weights_in(_WEIGHTS),
        gpu=await _gpu(settings.instance_type),
    )
    url = f"http://127.0.0.1:{settings.engine_port}"
    sessions = engine.words[engine.words.index("--max-num-seqs") + 1]
    environment = {
        "BRIDGE_MAX_SESSIONS": sessions,  # vLLM accepts more, but does not transcribe them
        "BRIDGE_STOP_TIMEOUT_S": f"{settings.stop_timeout_s * _DRAIN_SHARE:g}",
        **os.environ,
        "BRIDGE_ENGINE_URL": url,
    }
    if key := engine.environment.get("VLLM_API_KEY"):
        environment.setdefault("BRIDGE_ENGINE_API_KEY", key)
    return Plan(
        engine,
        Command(_BRIDGE, environment),
        f"{url}/health",
        settings.start_timeout_s,
        settings.stop_timeout_s,
    )


def weights_in(folder: Path) -> str | None:
    """Return the folder if it contains anything; SageMaker may create it for no model data."""
    return str(folder) if folder.is_dir() and any(folder.iterdir()) else None


async def _gpu(instance_type: str | None) -> Gpu | None:
    """Return the GPU if vLLM's number of sessions depends on it and there is one."""
    if "MAX_NUM_SEQS" in vllm_values(os.environ):
        return None
    if instance_type:
        return gpu_of(instance_type)
    memory_mib = await gpu.memory_mib()
    return gpu_with(memory_mib) if memory_mib else None


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:  # SageMaker starts each container with this argument
        del sys.argv[1]
    sys.exit(
        serving.main(
            "container.entrypoint",
            "Runs vLLM and the bridge in the model image.",
            Settings,
            serving.log_plainly,
            _serve,
        )
    )
