"""Start the program quickly: this process imports everything once, and forks for each start.

It reads one JSON object per line: the program's `arguments`, a `log` file for its output, and an
optional `moment` at which the child sends signals to itself. It prints the child's process id,
and the exit status when the child has ended.

A moment is counted in training steps and function calls of the child, not in seconds, so that it
is the same on a busy machine.
"""

import json
import os
import sys
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import Any, get_args

from mivae_cli.cli import main
from mivae_cli.training.trainer import Trainer


def signal_self(steps: int, calls: int, signals: Sequence[int]) -> None:
    """Sends signals to this process after some training steps, then some function calls.

    Args:
        steps: Training steps of this process; with 0, calls are counted from now on.
        calls: Further calls and returns of functions, including C functions.
        signals: The signals, which are all sent at that moment.
    """

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls -= 1
        if calls < 0:
            sys.setprofile(None)
            for number in signals:
                os.kill(os.getpid(), number)

    if not steps:
        sys.setprofile(count)
    step = Trainer.step

    def counted(self: Trainer, batch: Any) -> Any:  # noqa: ANN401
        nonlocal steps
        try:
            return step(self, batch)
        finally:
            steps -= 1
            if not steps:
                sys.setprofile(count)

    Trainer.step = counted  # type: ignore[method-assign]


def child(log: str, arguments: list[str], moment: dict[str, Any] | None) -> None:
    """Runs the program, and exits with its code."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.argv = ["mivae", *arguments]
    code: object = 0
    if moment is not None:
        signal_self(**moment)
    try:
        main()
    except SystemExit as stop:
        code = stop.code
    except BaseException:  # noqa: BLE001  # as the interpreter would print it
        traceback.print_exc()
        code = 70
    sys.setprofile(None)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(str(code or 0)))


def serve() -> None:
    """Forks a child for each line of stdin."""
    import torch

    # import now what every child would import
    import mivae_cli.cli.support.training_output  # noqa: F401
    from mivae_cli.choices import Profile
    from mivae_cli.estimators.critic_training import PROFILES, FitSettings
    from mivae_cli.reports import run_report

    run_report.installed = lambda: False
    torch.set_num_threads(1)
    torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])  # its imports take a second
    for profile in get_args(Profile):
        PROFILES[profile] = FitSettings(steps=20, hidden=16, batch=128, patience=1)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if not pid:
            child(**order)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
