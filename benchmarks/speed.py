"""Speed benchmarks, relative to the machine's peak and to a plain implementation (`plain.py`).

Each part runs in a separate process, so that peak memory is measured per part, and prints a
Markdown table. Competing programs alternate within a process; tables show medians.

    python benchmarks/speed.py                             # all parts, on generated data
    python benchmarks/speed.py --quick                     # a quick check that everything runs
    python benchmarks/speed.py --parts train,iw --json speed.json
    python benchmarks/speed.py --parts train,iw --device cuda
    python benchmarks/speed.py --parts train --text corpus.txt

peak: products of square matrices; train: training steps with and without the MI term, and those
of `plain.py`; iw: importance-weighted likelihoods, and those of `plain.py`; sample: sampling
sentences in a batch and one at a time; mi: the known posterior's mutual information; data:
preparing a text, without and with the cache; encode: byte-pair encoding with the cache of words and
by the bare library; startup: `mivae --help`; growth: training from small
and from large stores.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cells import Record
from speed_plan import QUICK, Plan
from speed_tables import MACHINE, TABLES, Found, show_memory

PARTS = tuple(TABLES)


def cells(part: str, plan: Plan) -> list[str]:
    """Returns the measurements of a part, in order; each runs in a separate process."""
    match part:
        case "train":
            return [f"train/{size}" for size in plan.sizes]
        case "iw":
            return [f"iw/{min(plan.sizes)}"]
        case "data":
            return ["data/word", "data/bpe"]
        case "growth":
            return [f"growth/{count}" for count in plan.stores] * plan.rounds
        case _:
            return [part]


def measured(cell: str, plan: Plan) -> Record:
    """Measures a cell such as train/256 in this process; returns values, machine and memory."""
    import machine
    import speed_models as models
    import speed_tools as tools

    part, _, argument = cell.partition("/")
    measures = {
        "peak": tools.peak,
        "train": models.train,
        "iw": models.iw,
        "sample": models.sample,
        "mi": tools.mi,
        "data": tools.data,
        "encode": tools.encode,
        "startup": tools.startup,
        "growth": models.growth,
    }
    described = machine.description(plan.device)
    with tempfile.TemporaryDirectory() as folder, machine.Memory() as memory:
        values = measures[part](plan, Path(folder), argument)
    return {"values": values, "machine": described, "memory": memory.record()}


def measured_alone(cell: str, options: Sequence[str]) -> Record:
    """Measures a cell in a new process with the same options."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "record.json"
        command = [sys.executable, __file__, *options, "--part", cell, "--json", str(out)]
        subprocess.run(command, check=True)
        record: Record = json.loads(out.read_text())
        return record


def planned(given: argparse.Namespace) -> Plan:
    """Returns the plan for the given options."""
    plan = QUICK if given.quick else Plan()
    changes: dict[str, Any] = {"device_name": given.device, "text": given.text}
    if given.device.startswith("cuda") and not given.quick:
        changes["products"] = (4096, 8192)
    if given.sizes:
        changes["sizes"] = tuple(map(int, given.sizes.split(",")))
    if given.repeats:
        changes["repeats"] = given.repeats
    return replace(plan, **changes)


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the options."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument(
        "--parts", default=",".join(PARTS), help="Comma-separated parts of: %(default)s."
    )
    options.add_argument(
        "--quick", action="store_true", help="Use tiny sizes, to check that everything runs."
    )
    options.add_argument("--device", default="cpu", help="Device of the models: cpu or cuda.")
    options.add_argument("--threads", type=int, help="Number of torch threads.")
    options.add_argument("--sizes", help="Numbers of hidden units, such as 256,1024.")
    options.add_argument("--repeats", type=int, help="Blocks per program.")
    options.add_argument(
        "--text", default="", help="Text file to train on, instead of generated data."
    )
    options.add_argument("--json", type=Path, help="Write all measurements to a file.")
    options.add_argument("--part", help="Measure one cell, such as train/256, in this process.")
    return options


def main(arguments: Sequence[str]) -> None:
    """Measures all parts, and prints the tables."""
    options = parser()
    given = options.parse_args(arguments)
    plan = planned(given)
    if given.part:
        if given.threads:
            import torch

            torch.set_num_threads(given.threads)
        record = measured(given.part, plan)
        text = json.dumps(record, indent=1)
        print(text) if given.json is None else given.json.write_text(text)
        return
    parts = given.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        options.error(f"unknown part {', '.join(sorted(unknown))}: choose from {', '.join(PARTS)}")
    everything: Found = {}
    for part in parts:
        found: Found = {}
        for cell in cells(part, plan):
            found.setdefault(cell, []).append(measured_alone(cell, arguments))
        first = next(iter(found.values()))[0]
        print(f"\n## {part}\n\n{MACHINE.format(**first['machine'])}", flush=True)
        TABLES[part](found)
        show_memory(found)
        everything |= found
        if given.json is not None:
            draft = given.json.with_suffix(".draft")
            draft.write_text(json.dumps(everything, indent=1) + "\n")
            os.replace(draft, given.json)


if __name__ == "__main__":
    main(sys.argv[1:])
