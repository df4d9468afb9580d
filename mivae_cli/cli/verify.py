"""The 'verify' command."""

from .support.options import AsJSON, Run, RunArgument


def verify(
    run: RunArgument = None,
    run_option: Run = None,
    as_json: AsJSON = False,
) -> None:
    """Verify every file of a run; exit code 4 if a file is damaged.

    Example: [bold]mivae verify runs/mine[/]
    """
    from dataclasses import asdict

    from ..errors import CheckpointError
    from ..experiments import verify as verification
    from .support.console import note, print_json, stdout
    from .support.run_lookup import locate
    from .support.tables import verification_table

    found = locate(run, run_option)
    result = verification.verify(found)
    if as_json:
        print_json({**asdict(result), "sound": result.sound}, indent=2)
    else:
        stdout.print(verification_table(result, str(found.path)))
        note(f"best: {result.best or '-'}; training would resume from: {result.resumable or '-'}")
    problems = [finding.problem for finding in result.findings if finding.problem]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise CheckpointError(f"{problems[0]}{more}")
