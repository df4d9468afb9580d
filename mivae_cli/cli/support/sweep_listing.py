"""The runs of a sweep and the commands that make them, listed without running any."""

__all__ = ["list_sweep"]

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...config.grid import Member
from ...errors import MivaeError
from ...experiments.summary import WORDS
from ...experiments.sweep import PlannedRun, run_state
from .console import print_json, print_line


def list_sweep(
    planned: Sequence[PlannedRun],
    members: Sequence[Member],
    corpus: Sequence[str],
    given: Mapping[str, object],
    full: bool,
    lm: Path | None,
    as_json: bool,
) -> None:
    """Prints a shell script of the sweep, or a JSON record per run.

    `given` has the options that all runs share; None stands for one that was not given. Commands
    of complete runs are comments.
    """
    shared: list[object] = []
    for name, value in given.items():
        if isinstance(value, bool):  # a switch
            shared.append(name if value else name.replace("--", "--no-", 1))
        elif value is not None:
            shared += [name, value]
    rows = []
    for plan, member in zip(planned, members, strict=True):
        try:
            state = run_state(plan, full)
        except MivaeError as error:
            state = f"failed: {error}"
        chosen = [part for preset in member.presets for part in ("--preset", preset)]
        chosen += [part for text in member.overrides for part in ("--set", text)]
        path = str(plan.path)
        train = ["mivae", "train", *corpus, *map(str, [*shared, *chosen])]
        train += ["--out", path, *([] if state == "new" else ["--resume"])]
        commands = [train]
        if full:
            option = [] if lm is None else ["--lm", str(lm)]
            commands.append(["mivae", "eval", path, "--full", *option])
        rows.append({"run": plan.name, "state": state, "commands": commands})
        if not as_json:
            comment = "# " if state == "evaluated" or state.startswith("failed") else ""
            print_line(f"# {plan.name}: {WORDS.get(state, state)}")
            for command in commands:
                print_line(comment + shlex.join(command))
    if as_json:
        print_json(rows, indent=2)
