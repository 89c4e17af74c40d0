"""A command in vLLM's place: records how it was started, then becomes the CPU engine.

Variables: FAKE_FOLDER for the record; FAKE_START_S to load for; FAKE_EXIT to end with a code
instead; FAKE_STUBBORN to ignore SIGTERM and to start a worker that does, too.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    folder, arguments = Path(os.environ["FAKE_FOLDER"]), sys.argv[1:]
    options = dict(zip(arguments[2::2], arguments[3::2], strict=True))
    if "FAKE_STUBBORN" in os.environ:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        worker = subprocess.Popen(["sleep", "60"])  # noqa: S607 - inherits the ignored signal
        (folder / "worker").write_text(str(worker.pid))
    record = {"arguments": arguments, "pid": os.getpid(), "at_s": time.time()}
    (folder / "record.tmp").write_text(json.dumps(record))
    (folder / "record.tmp").rename(folder / "record")
    time.sleep(float(os.environ.get("FAKE_START_S", "0")))
    if code := os.environ.get("FAKE_EXIT"):
        sys.exit(int(code))
    os.environ.update(
        ENGINE_PORT=options["--port"],
        ENGINE_MODEL="checksum",
        ENGINE_SERVED_MODEL_NAME=options["--served-model-name"],
        ENGINE_MAX_NUM_SEQS=options["--max-num-seqs"],
        ENGINE_MAX_MODEL_LEN=options["--max-model-len"],
        ENGINE_API_KEY=os.environ.get("VLLM_API_KEY", ""),
    )
    engine = [sys.executable, "-m", "container.cpu"]
    if "FAKE_STUBBORN" in os.environ:
        sys.exit(subprocess.call(engine, preexec_fn=_obey))  # noqa: S603
    os.execv(sys.executable, engine)  # noqa: S606


def _obey() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


if __name__ == "__main__":
    main()
