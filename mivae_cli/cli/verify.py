"""The 'verify' command."""

from .support.options import AsJSON, Run, RunArgument


def verify(run: RunArgument = None, run_option: Run = None, as_json: AsJSON = False) -> None:
    """Verify every file of a run; exit code 4 if a file is damaged.

    Example: [bold]mivae verify runs/mine[/]
    """
    from dataclasses import asdict

    from rich.table import Column
    from rich.text import Text

    from ..errors import CheckpointError
    from ..experiments import verify as verification
    from .support.console import note, plain, print_json, stdout
    from .support.run_lookup import locate
    from .support.tables import new_table

    found = locate(run, run_option)
    result = verification.verify(found)
    if as_json:
        print_json({**asdict(result), "sound": result.sound}, indent=2)
    else:
        columns = (Column(head, overflow="fold") for head in ("file", "status"))
        table = new_table(str(found.path), *columns)
        for each in result.findings:
            status = plain(each.problem or each.remark or "ok")
            table.add_row(Text(plain(each.what)), Text(status, "red" if each.problem else "dim"))
        stdout.print(table)
        note(f"best: {result.best or '-'}; training would resume from: {result.resumable or '-'}")
    problems = [finding.problem for finding in result.findings if finding.problem]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise CheckpointError(f"{problems[0]}{more}")
