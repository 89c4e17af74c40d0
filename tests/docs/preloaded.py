"""Runs `./run` commands in forks of a process that has imported them: each saves a second of CPU.

python -P -m tests.docs.preloaded SOCKET              serves until it is stopped
python -I -S tests/docs/preloaded.py SOCKET ARGUMENTS runs one command, as `./run ARGUMENTS` does
"""

import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from typing import Never

_MAX_BYTES = 1 << 20


def serve(path: str) -> Never:
    """Import the commands and fork for each client."""
    import cli.__main__

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children need not be waited for
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    while True:
        connection, _ = listener.accept()
        if os.fork():
            connection.close()
            continue
        listener.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _become(connection)
        code = _exit_code(cli.__main__.main)
        sys.stdout.flush()
        sys.stderr.flush()
        connection.send(bytes([code]))
        os._exit(code)


def _become(connection: socket.socket) -> None:
    """Adopt the arguments, the environment, the folder and the files of a client."""
    request, files, _, _ = socket.recv_fds(connection, _MAX_BYTES, 3)
    arguments, environment, folder = json.loads(request)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[:] = ["run", *arguments]
    connection.send(os.getpid().to_bytes(4))


def _exit_code(main: Callable[[], None]) -> int:
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:  # noqa: BLE001 - reported as the interpreter does
        traceback.print_exc()
        return 1
    return 0


def request(path: str, arguments: list[str]) -> int:
    """Request one command, pass SIGTERM on to it, and return its exit code."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        asked = json.dumps([arguments, dict(os.environ), os.getcwd()])  # noqa: PTH109 - for -I -S
        socket.send_fds(connection, [asked.encode()], [0, 1, 2])
        child = int.from_bytes(connection.recv(4))
        signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
        return (connection.recv(1) or b"\xff")[0]


if __name__ == "__main__":
    if len(sys.argv) == 2:
        serve(sys.argv[1])
    sys.exit(request(sys.argv[1], sys.argv[2:]))
