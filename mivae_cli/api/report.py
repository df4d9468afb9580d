"""Reports on runs: one page with tables and figures."""

__all__ = ["collected_report", "report"]

from collections.abc import Generator, Sequence
from pathlib import Path

from ..choices import MapMethod, check_choice
from ..devices import kept_torch_state
from ..errors import ConfigError
from ..evaluation.projection import check_umap
from ..experiments.status import find_runs
from ..limits import MAX_REPORT_POINTS, check_count, check_seed
from ..reports.contents import Labels as LabelValues
from ..reports.contents import ReportOptions, collect_report
from ..reports.figures import figures_of
from ..reports.records import ReportData
from ..reports.write import page_path, write_figures, write_report
from ..runs.directory import RunDirectory
from ..stages import Stage, finish
from .progress import Progress, callback
from .sentence_labels import Labels, label_rows, matched_places, source_of_split


@kept_torch_state()
def report(
    runs: str | Path | Sequence[str | Path],
    path: str | Path | None = None,
    *,
    png: str | Path | None = None,
    svg: str | Path | None = None,
    labels: Labels | None = None,
    column: str = "label",
    points: int = 2000,
    map: MapMethod = "pca",
    seed: int = 0,
    progress: Progress = None,
) -> ReportData:
    """Writes a report on one run, or on several, as one HTML page, and returns its contents.

    The page needs no other files and no network. A run that has not been evaluated, or is damaged,
    gets a page that says what is missing.

    Arguments:
        runs: A run directory, a folder of runs, or a list of these.
        path: The page, which replaces an existing file. Default: `report.html` in the run, or in
            the current folder if there are several runs.
        png: A folder for the figures as PNG.
        svg: A folder for the figures as SVG.
        labels: A label for each sentence of the test split, or for each row of the text: an array,
            or the path of a file. The map can be coloured by them.
        column: The column of a table with the labels.
        points: The maximum number of sentences on the map.
        map: `pca`, or `umap`, which needs the package umap-learn.
        seed: Seeds the choice of sentences, and all draws.
        progress: True to print the stages, or a callback that receives them.

    Raises:
        CheckpointError: There is no run at a path.
        ConfigError: A package is missing, or a file cannot be written.
        DataError: The labels do not match the sentences.

    >>> found = mivae.report("runs/mine", "report.html")
    >>> [run.name for run in found.runs]
    ['mine']
    """
    places = [Path(runs)] if isinstance(runs, str | Path) else [Path(each) for each in runs]
    page = page_path(places, None if path is None else Path(path))
    work = collected_report(
        places, labels=labels, column=column, points=points, map=map, seed=seed
    )
    found = finish(work, callback(progress))
    write_report(found, page)
    for folder, suffix in ((png, ".png"), (svg, ".svg")):
        if folder is not None:
            list(write_figures(figures_of(found), Path(folder), suffix))
    return found


def collected_report(
    runs: Sequence[Path],
    *,
    labels: Labels | None = None,
    column: str = "label",
    points: int = 2000,
    map: MapMethod = "pca",
    seed: int = 0,
) -> Generator[Stage, None, ReportData]:
    """Yields stages, and returns the contents of a report; the arguments are those of `report`."""
    check_choice("map", map, MapMethod)
    if map == "umap":
        check_umap()
    points = check_count("the number of points", points, 1, MAX_REPORT_POINTS)
    options = ReportOptions(points, map, check_seed(seed))
    if not runs:
        raise ConfigError("a report needs a run")
    if labels is not None:
        found = list(find_runs(runs).values())
        if len(found) > 1:
            raise ConfigError("labels need a report on a single run, not on several")
        options = ReportOptions(points, map, seed, _of_test_split(found[0], labels, column))
    return (yield from collect_report(runs, options))


def _of_test_split(path: Path, labels: Labels, column: str) -> tuple[str, LabelValues]:
    """Returns the name of the labels, and the label of each sentence of a run's test split."""
    run = RunDirectory.open(path)
    given = label_rows(labels, column)
    corpus = run.open_corpus()
    store = corpus["test"]
    source = source_of_split(corpus, run.load_config().data, "test")
    places = matched_places(given, len(store), store.lines, source)
    name = column if given.table is not None else "label"
    if isinstance(labels, str | Path) and given.table is None:
        name = Path(labels).name.partition(".")[0]
    return name, [given.values[place] for place in places]
