"""The model image's entrypoint: starts vLLM, waits until it is ready, then starts the bridge.

    flags.py       `SM_VLLM_…` variables to vLLM's flags
    sizing.py      how many sessions a GPU holds, and how long a context must be
    engine.py      vLLM's command and environment
    gpu.py         the GPU's memory, as nvidia-smi reports it
    processes.py   one child process and its process group
    supervisor.py  start, wait, stop; the exit code and its cause
    settings.py    `ENTRYPOINT_…`

The bridge is started last: while the model loads, nothing listens on 8080, and SageMaker retries
`/ping` until its startup timeout. If the bridge listened earlier, it would accept sessions that it
could only refuse. Docs: docs/container.md, "The model image".
"""
