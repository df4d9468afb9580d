"""The runs of a sweep, one after another: each is begun, gone on with, or left as it is.

What is done is told by the run directories alone, so a sweep may be stopped at any time.
"""

__all__ = ["Measures", "Planned", "list_all", "prepare_all", "run_all"]

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ...config.data import DataConfig
from ...config.grid import Member
from ...config.resolve import differences
from ...config.run import RunConfig
from ...data.prepared_corpus import Corpus
from ...devices import resolve_device
from ...errors import OUT_OF_MEMORY, ConfigError, MivaeError, is_out_of_memory
from ...experiments.status import outcome, sources, with_own_paths
from ...experiments.summary import WORDS, Outcome
from ...runs.directory import RunDirectory
from ...signals import Interrupted, Interruption
from ...storage.manifest import MANIFEST
from .console import complain, note, print_json, print_line
from .crashes import report_line
from .live_training import listening, say_how_to_go_on, train_and_evaluate
from .new_run import begin, prepare, resumed


@dataclass(frozen=True)
class Measures:
    """How the runs of a sweep are evaluated."""

    full: bool = False
    lm: Path | None = None  # the run of a language model that judges a full evaluation's samples


ELSEWHERE = "sweep to another place with --out, or remove what is there"


@dataclass(frozen=True)
class Planned:
    """A member of the grid, its configuration and its place."""

    member: Member
    config: RunConfig
    place: Path


def prepare_all(planned: Sequence[Planned]) -> dict[DataConfig, Corpus]:
    """Prepares the corpora, of which there are several where a setting of the data varies.

    Raises:
        ConfigError: Several are to be made from standard input, or a device is not there.
        DataError: A text cannot be read.
    """
    for device in {plan.config.device for plan in planned}:
        resolve_device(device)
    configs = {plan.config.data: plan.config for plan in planned}
    if len(configs) > 1 and any(data.train == "-" for data in configs):
        raise ConfigError(
            "standard input can be read once, for one setting of the data: name a file"
        )
    return {data: prepare(config) for data, config in configs.items()}


def list_all(
    planned: Sequence[Planned],
    corpus: str | None,
    given: Mapping[str, object],
    measures: Measures,
    as_json: bool,
) -> None:
    """Prints what a sweep would do: a shell's script, comments saying what is done already.

    Arguments:
        planned: The runs.
        corpus: The text, if the command line names it.
        given: The options that all runs share; None stands for one not given.
        measures: How they are evaluated.
        as_json: Whether to print a record a run instead.
    """
    shared: list[object] = []
    for name, value in given.items():
        if isinstance(value, bool):  # a switch
            shared.append(name if value else name.replace("--", "--no-", 1))
        elif value is not None:
            shared += [name, value]
    rows = []
    for plan in planned:
        try:
            progress = progress_of(plan, measures)
        except MivaeError as error:
            progress = f"failed: {error}"
        chosen = [part for preset in plan.member.presets for part in ("--preset", preset)]
        chosen += [part for text in plan.member.overrides for part in ("--set", text)]
        place = str(plan.place)
        train = ["mivae", "train", *filter(None, [corpus]), *map(str, [*shared, *chosen])]
        train += ["--out", place, *([] if progress == "new" else ["--resume"])]
        commands = [train]
        if measures.full:
            judge = [] if measures.lm is None else ["--lm", str(measures.lm)]
            commands.append(["mivae", "eval", place, "--full", *judge])
        rows.append({"run": plan.member.name, "state": progress, "commands": commands})
        if not as_json:
            comment = "# " if progress == "evaluated" or progress.startswith("failed") else ""
            print_line(f"# {plan.member.name}: {WORDS.get(progress, progress)}")
            for command in commands:
                print_line(comment + shlex.join(command))
    if as_json:
        print_json(rows, indent=2)


def progress_of(plan: Planned, measures: Measures) -> str:
    """Returns how far a run has come, in a word: `new` where nothing has been begun.

    Raises:
        MivaeError: What is there is another run, or damaged.
    """
    if not _is_begun(plan):
        return "new"
    _check_same(plan, RunDirectory.open(plan.place))
    found = outcome(plan.place, plan.member.name)
    wanted = plan.config.evaluation
    record = found.evaluations.exactly(wanted.iw_samples, wanted.seed)
    complete = record is not None and not (measures.full and record.get("full") is None)
    return "trained" if found.standing == "evaluated" and not complete else found.standing


def run_all(
    planned: Sequence[Planned],
    corpora: Mapping[DataConfig, Corpus],
    measures: Measures,
    again: str,
) -> list[Outcome]:
    """Brings every run to its end and evaluation; says what goes wrong, and goes on.

    Arguments:
        planned: The runs.
        corpora: Their prepared corpora.
        measures: How they are evaluated.
        again: How to go on after an interruption, in words.

    Raises:
        Interrupted: A signal asked to stop.
    """
    outcomes = []
    with listening() as interruption:
        for number, plan in enumerate(planned, start=1):
            name, problem = plan.member.name, ""
            try:
                interruption.check()  # what came while the last run ended
            except Interrupted:
                note(f"stopped before {name}; go on with: {again}")
                raise
            note(f"run {number} of {len(planned)}: {name}")
            try:
                _bring_to_end(plan, corpora[plan.config.data], measures, interruption, again)
            except MivaeError as error:
                problem = str(error)
            except OSError:  # a disk that is full is so for all
                raise
            except Exception as error:  # noqa: BLE001  # a fault in one must not lose the others
                problem = OUT_OF_MEMORY
                if not is_out_of_memory(error):
                    problem = report_line(error)
            if problem:
                complain(f"{name}: {problem}")
                outcomes.append(Outcome(name, str(plan.place), "failed", problem, plan.config))
            else:
                outcomes.append(outcome(plan.place, name))
    return outcomes


def _bring_to_end(
    plan: Planned, corpus: Corpus, measures: Measures, interruption: Interruption, again: str
) -> None:
    full = measures.full
    if _is_begun(plan):
        progress = progress_of(plan, measures)
        if outcome(plan.place, plan.member.name).evaluations.full:  # only a protocol is missing
            full = False
        if sources(RunDirectory.open(plan.place)) != set(corpus.sources.values()):
            raise ConfigError(
                f"'{plan.place}' is a run on another text than '{plan.config.data.train}' now "
                f"holds: {ELSEWHERE}"
            )
        if progress == "evaluated":
            note("it is there already")
            return
        run, trainer = resumed(plan.place, lambda _: plan.config)
    else:
        run, trainer = begin(plan.config, corpus, plan.place, overwrite=False)
    try:
        record = train_and_evaluate(run, trainer, interruption, full, measures.lm)
    except Interrupted:
        say_how_to_go_on(trainer, again, again)
        raise
    run.write_evaluation(asdict(record))


def _is_begun(plan: Planned) -> bool:
    return (plan.place / MANIFEST).exists()


def _check_same(plan: Planned, run: RunDirectory) -> None:
    """Raises ConfigError where a run was begun with other settings than those asked for."""
    changed = differences(run.load_config(), with_own_paths(run, plan.config))
    for key in [key for key in changed if key == "device" or key.startswith("evaluation.")]:
        del changed[key]  # where it is computed and how it is evaluated may differ
    if changed:
        raise ConfigError(
            f"'{plan.place}' is a run with other settings ({'; '.join(changed.values())}): "
            f"{ELSEWHERE}"
        )
