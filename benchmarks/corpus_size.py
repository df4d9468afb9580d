"""How many sentences a useful model needs, and what a given number of nats buys.

Two tables from one folder of text (`train.txt`, `valid.txt`, `test.txt`):

* Corpus size: models of `mine-free-bits` trained on nested random subsets of the training text.
* Nats: models of the whole training text whose rate is held at a target by a Lagrange multiplier
  (the preset `mdr`), with reconstructions to read.

Each row has figures on the test text: perplexity, rate, mutual information (at most ln N of N test
sentences), and greedy reconstructions of the posterior means: BLEU, exact matches, and the share of
content words kept. Content words are those that are not among the 50 most frequent of the training
text. Runs that are there already are resumed or left as they are, so the script may be stopped.

    python benchmarks/corpus_size.py captions/ --out runs/corpus-size --device cuda
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import description

from mivae_cli.cli.members import Measures, Planned, prepare_all, run_all
from mivae_cli.decoding import Decoding
from mivae_cli.devices import resolve_device
from mivae_cli.generation import encode_texts, generated
from mivae_cli.outcomes import Outcome
from mivae_cli.quality import bleu, exact_matches
from mivae_cli.resolve import read_config
from mivae_cli.run import RunDirectory
from mivae_cli.sweeping import Member

SIZES = (1_000, 3_000, 10_000, 17_000)
NATS = (1, 3, 5, 8, 15)
FREQUENT = 50  # words that say little by themselves
SHOWN = 5  # reconstructions of each run
COLUMNS = {
    "run": "run",
    "sentences": "training sentences",
    "ppl_iw": "perplexity (IW)",
    "rate": "rate",
    "mi": "MI",
    "bleu": "BLEU",
    "exact": "exact",
    "content": "content words kept",
}
Row = dict[str, Any]


def write_subset(text: Path, folder: Path, size: int, seed: int) -> Path:
    """Writes some lines of a training text, and all of the others, as a folder of text.

    Subsets of one seed are nested: a larger one has all lines of a smaller one.
    """
    lines = (text / "train.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(lines))[:size])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.txt").write_text("".join(lines[place] for place in chosen), encoding="utf-8")
    for name in ("valid.txt", "test.txt"):
        (folder / name).write_bytes((text / name).read_bytes())
    return folder


def planned(arguments: argparse.Namespace) -> list[Planned]:
    """Returns the runs of both tables; those of the second train on the whole text."""
    out: Path = arguments.out
    whole = write_subset(arguments.text, out / "text" / "all", 10**9, arguments.seed)
    wanted: list[tuple[str, str, Path, list[str]]] = []
    for size in arguments.sizes:
        folder = write_subset(arguments.text, out / "text" / str(size), size, arguments.seed)
        wanted.append((f"size={size}", "mine-free-bits", folder, []))
    for nats in arguments.nats:
        wanted.append((f"nats={nats:g}", "mdr", whole, [f"objective.rate.target={nats}"]))
    plans = []
    for name, preset, folder, overrides in wanted:
        options = {
            "data.train": str(folder),
            "training.epochs": arguments.epochs,
            "device": arguments.device,
            "seed": arguments.seed,
        }
        sets = [*overrides, 'data.tokenizer={kind="word"}', *arguments.set]
        config = read_config([preset], None, options, sets)
        plans.append(Planned(Member(name, (preset,), tuple(sets)), config, out / name))
    return plans


def frequent_words(texts: Iterable[str]) -> set[str]:
    """Returns the words that come most often."""
    counts = Counter(word for text in texts for word in text.split())
    return {word for word, _ in counts.most_common(FREQUENT)}


def content_kept(texts: Sequence[str], outputs: Sequence[str], frequent: set[str]) -> float:
    """Returns the share of the texts' content words, counted with repeats, that outputs have."""
    kept = total = 0
    for text, output in zip(texts, outputs, strict=True):
        words, said = (
            Counter(w for w in each.split() if w not in frequent) for each in (text, output)
        )
        kept += (words & said).total()
        total += words.total()
    return kept / total if total else 0.0


def measured(outcome: Outcome, device: torch.device) -> tuple[Row, list[tuple[str, str]]]:
    """Returns the row of a run that is evaluated, and some sentences with what came back."""
    run = RunDirectory.open(Path(outcome.path))
    record, corpus, tokenizer = run.evaluation, run.corpus, run.tokenizer
    texts = [tokenizer.decode(corpus["test"].sentence(at)) for at in range(len(corpus["test"]))]
    training = (corpus["train"].sentence(at) for at in range(len(corpus["train"])))
    frequent = frequent_words(map(tokenizer.decode, training))
    model = run.load_model(device)
    settings = run.config.data
    means = encode_texts(model, tokenizer, texts, settings).mean
    decoding = Decoding(beam=1, max_tokens=settings.max_tokens, unknown=True)
    outputs = list(generated(model, tokenizer, means, decoding))
    row = {
        "run": outcome.name,
        "sentences": len(corpus["train"]),
        "ppl_iw": record["ppl_iw"],
        "rate": record["rate"],
        "mi": record["mi"]["known_posterior"]["value"],
        "bleu": bleu(texts, outputs, tokenizer.by_word)[0],
        "exact": exact_matches(texts, outputs),
        "content": content_kept(texts, outputs, frequent),
    }
    return row, list(zip(texts, outputs, strict=True))[:SHOWN]


def table(rows: Sequence[Row]) -> str:
    """Returns rows as a table of Markdown."""
    lines = ["| " + " | ".join(COLUMNS.values()) + " |", "|---" * len(COLUMNS) + "|"]
    for row in rows:
        cells = [f"{row[key]:.3g}" if isinstance(row[key], float) else row[key] for key in COLUMNS]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main(given: Sequence[str] | None = None) -> None:
    """Trains what is missing, measures all, and prints both tables and the reconstructions."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("text", type=Path, help="a folder with train.txt, valid.txt and test.txt")
    parser.add_argument("--out", type=Path, default=Path("runs/corpus-size"))
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--nats", type=float, nargs="*", default=NATS)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args(given)
    plans = planned(arguments)
    outcomes = run_all(plans, prepare_all(plans), Measures(), "the same command")
    device = resolve_device(arguments.device)
    found = [measured(each, device) for each in outcomes if each.standing == "evaluated"]
    record = {"machine": description(device), "epochs": arguments.epochs, "seed": arguments.seed}
    record["rows"] = [row for row, _ in found]
    (arguments.out / "corpus_size.json").write_text(json.dumps(record, indent=2) + "\n")
    print(table(record["rows"]))
    for row, pairs in found:
        print(f"\n{row['run']}, rate {row['rate']:.1f} nats, MI {row['mi']:.1f} nats")
        for text, output in pairs:
            print(f"    {text}\n  > {output}")
    failed = [each.name for each in outcomes if each.standing != "evaluated"]
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
