"""The evaluation of a run, printed as a table or as JSON."""

__all__ = ["show_evaluation"]

from ...evaluation.records import samples_of
from ...experiments.evaluate_run import EvaluatedRun
from .console import note, print_json, stdout
from .evaluation_table import evaluation_table


def show_evaluation(evaluated: EvaluatedRun, title: str, as_json: bool) -> None:
    """Prints a record on stdout, and on stderr what else eval.json holds."""
    record, stored, table = evaluated.record, evaluated.stored, evaluated.table()
    for warning in evaluated.checkpoint.warnings:
        note(f"warning: {warning}")
    if evaluated.store_error is not None:
        note(f"warning: eval.json was not written: {evaluated.store_error}")
    if stored is not None:
        others = [each for each in stored.records[:-1] if samples_of(each) is not None]
        if others:
            names = (f"{samples_of(each)} samples, seed {each.get('seed')}" for each in others)
            note(f"other records in eval.json: {'; '.join(names)}")
        if record.full is None and table["full"] is not None:
            note("eval.json also contains the text evaluation of 'mivae eval --full'")
    if as_json:
        print_json(table, indent=2)
    else:
        stdout.print(evaluation_table(record, title))
