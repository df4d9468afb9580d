"""Markdown tables of the results of `speed.py`."""

__all__ = ["MACHINE", "TABLES", "Found", "show_memory"]

from collections.abc import Callable
from statistics import median

from cells import Record, table

Found = dict[str, list[Record]]  # the records of all rounds of a cell, such as train/256

MACHINE = (
    "{processor}, {cores} cores (load {load:.1f}), torch {torch}, {threads} threads, "
    "device {device}"
)


def peak(found: Found) -> None:
    """Prints GFLOP/s by size."""
    values = found["peak"][0]["values"]
    rows = [(f"{size} x {size}", f"{gflops:.1f}") for size, gflops in values.items()]
    table(["product", "GFLOP/s"], rows)


def train(found: Found) -> None:
    """Prints tokens per second by size and program, and their ratios."""
    rows, ratios = [], []
    for cell, (record,) in found.items():
        values = record["values"]
        size = cell.partition("/")[2]
        for name, rate in values["tokens_per_second"].items():
            share = f"{values['share_of_peak'][name]:.0%}"
            rows.append((size, name, _rate(rate), share))
        ratios.append(
            (
                size,
                f"{values['over_plain_same']:.2f}",
                f"{values['over_plain_random']:.2f}",
                f"{values['mi_overhead']:+.1%}",
                f"{values['padding_same']:.1%} / {values['padding_random']:.1%}",
                f"{values['peak_gflops']:.1f}",
                f"{values['flops_per_token'] / 1e6:.1f}",
            )
        )
    table(["H", "program", "tokens/s (minimum to maximum)", "fraction of the peak"], rows)
    head = ["H", "mivae / plain, same batches", "mivae / plain, random batches"]
    head += ["cost of the MI term", "padding: mivae / random", "peak GFLOP/s", "MFLOP per token"]
    table(head, ratios)


def iw(found: Found) -> None:
    """Prints tokens per second and the estimates."""
    rows = []
    for cell, (record,) in found.items():
        values = record["values"]
        rows.append(
            (
                cell.partition("/")[2],
                values["samples"],
                f"{_rate(values['tokens_per_second'])}; {values['sentences']} sentences",
                f"{_rate(values['plain_tokens_per_second'])}; {values['plain_sentences']}",
                f"{values['over_plain']:.2f}",
                f"{values['nll']:.3f}",
                f"{values['plain_nll']:.3f}",
                f"{values['standard_error']:.3f}",
            )
        )
    head = ["H", "samples", "mivae, tokens/s", "plain, tokens/s", "ratio"]
    table([*head, "mivae, nats", "plain, nats", "standard error of the difference"], rows)


def sample(found: Found) -> None:
    """Prints sentences per second."""
    kinds = found["sample"][0]["values"].items()
    rows = [
        (kind, _rate(rates["together"]), _rate(rates["alone"]), f"{rates['ratio']:.1f}")
        for kind, rates in kinds
    ]
    table(["decoding", "in a batch, sentences/s", "one at a time", "ratio"], rows)


def mi(found: Found) -> None:
    """Prints seconds."""
    values = found["mi"][0]["values"]
    taken = [f"{values[key]['median']:.2f}" for key in ("value_seconds", "interval_seconds")]
    row = (f"{values['sentences']:,}", values["units"], *taken)
    table(["sentences", "units", "seconds", "seconds for the two intervals"], [row])


def data(found: Found) -> None:
    """Prints MB per second without and with the cache."""
    rows = []
    for cell, (record,) in found.items():
        values = record["values"]
        size, first, second = (
            values[key] for key in ("megabytes", "first_seconds", "second_seconds")
        )
        rows.append(
            (
                cell.partition("/")[2],
                f"{size:.1f}",
                f"{values['sentences']:,}",
                f"{values['tokens']:,}",
                f"{values['vocabulary']:,}",
                f"{size / first:.1f} ({first:.1f} s)",
                f"{size / second:,.0f} ({second:.2f} s)",
            )
        )
    head = ["tokenizer", "MB", "sentences", "tokens", "V"]
    table([*head, "MB/s", "MB/s with the cache"], rows)


def encode(found: Found) -> None:
    """Prints MB per second of processor time, of all threads together."""
    values = found["encode"][0]["values"]
    taken = values["cpu_seconds"]
    rates = [f"{values['megabytes'] / seconds:.1f}" for seconds in taken.values()]
    head = ["MB", "V", *(f"{name}, MB per CPU s" for name in taken)]
    table(head, [(f"{values['megabytes']:.1f}", f"{values['vocabulary']:,}", *rates)])


def startup(found: Found) -> None:
    """Prints milliseconds."""
    rows = [
        (command, f"{1e3 * taken['median']:.0f}")
        for command, taken in found["startup"][0]["values"].items()
    ]
    table(["command", "ms"], rows)


def growth(found: Found) -> None:
    """Prints tokens per second by size of the store, the median over rounds."""
    rows = []
    for records in found.values():
        values = [record["values"] for record in records]
        rates = [value["tokens_per_second"]["median"] for value in values]
        first = median(value["first_step_seconds"] for value in values)
        rows.append(
            (
                f"{values[0]['sentences']:,}",
                f"{values[0]['store_mib']:.1f}",
                f"{first:.2f}",
                f"{median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})",
            )
        )
    table(["sentences", "store, MiB", "first step, s", "tokens/s"], rows)


TABLES: dict[str, Callable[[Found], None]] = {
    "peak": peak,
    "train": train,
    "iw": iw,
    "sample": sample,
    "mi": mi,
    "data": data,
    "encode": encode,
    "startup": startup,
    "growth": growth,
}


def show_memory(found: Found) -> None:
    """Prints the peak memory of each cell, by kind, and the anonymous memory before."""
    keys = {
        "anonymous": "anonymous_peak_mib",
        "before": "anonymous_before_mib",
        "mapped files": "file_peak_mib",
        "resident, total": "maxrss_mib",
        "device": "cuda_peak_mib",
    }
    rows = [
        (
            cell,
            *(
                f"{max(record['memory'][key] for record in records):.0f}"
                if key in records[0]["memory"]
                else "-"
                for key in keys.values()
            ),
        )
        for cell, records in found.items()
    ]
    table(["peak memory, MiB", *keys], rows)


def _rate(rate: Record) -> str:
    digits = 0 if rate["median"] >= 100 else 1
    values = (f"{rate[key]:,.{digits}f}" for key in ("median", "least", "most"))
    return "{} ({} to {})".format(*values)
