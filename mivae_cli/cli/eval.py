"""The 'eval' command."""

from pathlib import Path
from typing import Annotated

import typer

from ..limits import MAX_SEED, MAX_SENTENCES
from .support.options import AsJSON, Data, IWSamples, Run, RunArgument
from .support.text_options import Reading, reads_text


@reads_text
def evaluate(
    run: RunArgument = None,
    run_option: Run = None,
    data: Data = None,
    reading: Reading = {},
    iw_samples: IWSamples = None,
    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help="Also evaluate reconstructions, samples and interpolations. This trains two or "
            "three small language models, which takes minutes.",
        ),
    ] = False,
    samples: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=MAX_SENTENCES,
            help="Number of samples for --full; default: as many as training sentences, at most "
            "10,000.",
        ),
    ] = None,
    lm: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Language model with the same vocabulary, for --full; default: train one on the "
            "training split.",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=MAX_SEED, help="Random seed; default: the run's evaluation.seed."),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="Device: auto, cpu, cuda, cuda:1 or mps; default: the run's device, if it exists."
        ),
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Report KL, mutual information, active units and perplexity on held-out sentences.

    Example: [bold]mivae eval runs/mine --iw-samples 500[/]
    """
    from ..errors import ConfigError
    from ..experiments.evaluate_run import evaluate_run
    from ..generation.evaluate_text import Plan
    from ..generation.text_metrics import require_sacrebleu
    from ..runs.directory import RunDirectory
    from ..signals import Interruption
    from ..stages import finish
    from .support.evaluation_table import show_evaluation
    from .support.live_progress import LiveProgress
    from .support.run_lookup import locate, open_sentences

    if not full and (samples is not None or lm is not None):
        raise ConfigError("--samples and --lm require --full")
    if full:
        require_sacrebleu()  # before minutes of computing
    found = locate(run, run_option)
    sentences = open_sentences(found, data, reading)
    given = {"iw_samples": iw_samples, "seed": seed}
    protocol = found.load_config().evaluation.model_copy(
        update={name: value for name, value in given.items() if value is not None}
    )
    with Interruption() as interruption, LiveProgress() as show:
        work = evaluate_run(
            found,
            device=device,
            sentences=sentences,
            protocol=protocol,
            full=Plan(samples) if full else None,
            lm=None if lm is None else RunDirectory.open(lm),
            store=True,
            interruption=interruption,
        )
        evaluated = finish(work, show)
    show_evaluation(evaluated, f"{found.path}, {data or 'test split'}", as_json)
