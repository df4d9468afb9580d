"""Starts the program quickly and often: a process that has imported it all, and forks.

Reads a JSON list of arguments a line, and the file for their output as its first element;
answers with the child's process id, and once it is gone with its exit status.
"""

import json
import os
import sys
import traceback
from typing import get_args

from mivae_cli.cli import main


def child(log: str, arguments: list[str]) -> None:
    """Is the program, and ends with its exit code."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.argv = ["mivae", *arguments]
    code: object = 0
    try:
        main()
    except SystemExit as stop:
        code = stop.code
    except BaseException:  # noqa: BLE001  # as the interpreter does at its end
        traceback.print_exc()
        code = 70
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(str(code or 0)))


def serve() -> None:
    """Forks a child for every line."""
    import torch

    # all that a child would import, so that it need not
    import mivae_cli.cli.begin
    import mivae_cli.cli.progress
    import mivae_cli.cli.rehearsal  # noqa: F401
    from mivae_cli.estimators.fitting import PROFILES, Plan
    from mivae_cli.names import Profile

    torch.set_num_threads(1)
    torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])  # imports for a second
    for profile in get_args(Profile):
        PROFILES[profile] = Plan(steps=20, hidden=16, batch=128, patience=1)
    for line in sys.stdin:
        log, *arguments = json.loads(line)
        pid = os.fork()
        if not pid:
            child(log, arguments)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
