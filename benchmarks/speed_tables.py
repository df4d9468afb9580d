"""Markdown tables of what `speed.py` measured."""

__all__ = ["MACHINE", "TABLES", "Found", "show_memory"]

from collections.abc import Callable
from statistics import median

from cells import Record, table

Found = dict[str, list[Record]]  # a cell, such as train/256, and the record of each round of it

MACHINE = (
    "{processor}, {cores} cores (load {load:.1f}), torch {torch}, {threads} threads, "
    "device {device}"
)


def peak(found: Found) -> None:
    """GFLOP/s by size."""
    values = found["peak"][0]["values"]
    rows = [(f"{size} x {size}", f"{gflops:.1f}") for size, gflops in values.items()]
    table(["product", "GFLOP/s"], rows)


def train(found: Found) -> None:
    """Tokens a second by size and contender, and the ratios."""
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
    table(["H", "program", "tokens/s (least to most)", "share of the peak"], rows)
    head = ["H", "mivae over plain, the same batches", "over plain, random batches"]
    head += ["the MI term costs", "padding: mivae / random", "peak GFLOP/s", "MFLOP a token"]
    table(head, ratios)


def iw(found: Found) -> None:
    """Sentence tokens a second, and the values that came out."""
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
    table([*head, "mivae, nats", "plain, nats", "standard error of the gap"], rows)


def sample(found: Found) -> None:
    """Sentences a second."""
    kinds = found["sample"][0]["values"].items()
    rows = [
        (kind, _rate(rates["together"]), _rate(rates["alone"]), f"{rates['ratio']:.1f}")
        for kind, rates in kinds
    ]
    table(["decoding", "side by side, sentences/s", "one at a time", "ratio"], rows)


def mi(found: Found) -> None:
    """Seconds."""
    values = found["mi"][0]["values"]
    taken = [f"{values[key]['median']:.2f}" for key in ("value_seconds", "interval_seconds")]
    row = (f"{values['sentences']:,}", values["units"], *taken)
    table(["sentences", "units", "seconds", "and for the two intervals"], [row])


def data(found: Found) -> None:
    """MB a second, the first time and the second."""
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
    table([*head, "MB/s the first time", "the second time"], rows)


def startup(found: Found) -> None:
    """Milliseconds."""
    rows = [
        (command, f"{1e3 * taken['median']:.0f}")
        for command, taken in found["startup"][0]["values"].items()
    ]
    table(["start", "ms"], rows)


def growth(found: Found) -> None:
    """Tokens a second by sentences in the store, the median over rounds."""
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
    table(["sentences", "MiB of store", "s to the first step", "tokens/s"], rows)


TABLES: dict[str, Callable[[Found], None]] = {
    "peak": peak,
    "train": train,
    "iw": iw,
    "sample": sample,
    "mi": mi,
    "data": data,
    "startup": startup,
    "growth": growth,
}


def show_memory(found: Found) -> None:
    """Prints the peaks of memory of each cell; anonymous memory less what stood there before."""
    keys = {
        "anonymous": "anonymous_peak_mib",
        "before": "anonymous_before_mib",
        "mapped files": "file_peak_mib",
        "resident in all": "maxrss_mib",
        "on the device": "cuda_peak_mib",
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
    table(["peak of memory, MiB", *keys], rows)


def _rate(rate: Record) -> str:
    digits = 0 if rate["median"] >= 100 else 1
    values = (f"{rate[key]:,.{digits}f}" for key in ("median", "least", "most"))
    return "{} ({} to {})".format(*values)
