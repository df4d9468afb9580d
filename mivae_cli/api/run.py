"""A trained run: its model, its sentences, and its evaluation. All information in nats."""

__all__ = ["Run", "load"]

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..choices import Distance, check_choice
from ..config.resolve import read_config
from ..data.corpus import Split
from ..data.records import TextRecords
from ..devices import kept_torch_state
from ..evaluation.evaluate import Evaluation
from ..evaluation.sentence_values import SentenceValues
from ..experiments.evaluate_run import evaluate_run
from ..generation.decoding import Decoding
from ..generation.evaluate_text import Plan
from ..generation.generate import sentence_pair
from ..generation.neighbours import Neighbour, as_read, encoded_blocks, nearest, stored_texts
from ..generation.vary import Variations, vary
from ..limits import MAX_SENTENCES, check_count
from ..reports.records import ReportData
from ..runs.directory import RunDirectory
from ..runs.loading import load_checkpoint
from ..stages import finish
from .measured_model import MeasuredModel
from .progress import Progress, callback
from .report import report
from .texts import HeldOut, Sentences, file_settings, strings
from .trained_model import GREEDY


def load(path: str | Path, device: str = "auto") -> "Run":
    """Loads a run directory with the weights of its best checkpoint.

    Arguments:
        path: A run directory, or a checkpoint in it: `RUN/checkpoints/best`, `.../last` or a
            name.
        device: auto, cpu, cuda, cuda:1 or mps.

    Raises:
        CheckpointError: There is no run at this path, or a file is damaged.
        ConfigError: There is no such device.

    >>> run = mivae.load("runs/mine")
    >>> run.latent_size
    4
    """
    with kept_torch_state():
        return Run(RunDirectory.open(Path(path)), str(device))


class Run(MeasuredModel):
    """A trained model and its run directory, as returned by `load`, `train` and `resume`.

    A language model (`latent_size` 0) can only `sample` and `evaluate`; other methods raise
    CheckpointError.

    >>> run = mivae.load("runs/mine")
    >>> len(run.sample(3, seed=0))
    3
    """

    def __init__(self, directory: RunDirectory, device: str = "auto") -> None:
        loaded = load_checkpoint(directory, device)
        self.path = directory.path
        """The run directory."""
        self.checkpoint = loaded.run.name
        """The name of the loaded checkpoint, such as `epoch-0005`."""
        self.warnings = loaded.warnings
        """Warnings about damaged checkpoints that were skipped."""
        super().__init__(loaded.model, directory)

    def __repr__(self) -> str:
        return f"<Run '{self.path}', checkpoint {self.checkpoint}, Z={self.latent_size}>"

    def sentences(self, split: Split = "test") -> Iterator[str]:
        """Yields the sentences of the run's corpus.

        Arguments:
            split: train, valid or test.

        >>> next(run.sentences("test")) in set(run.sentences("test"))
        True
        """
        check_choice("split", split, Split)
        return stored_texts(self._corpus[split], self._tokenizer)

    def sentence_pair(self, seed: int = 0) -> tuple[str, str]:
        """Returns two different sentences of the test split, drawn at random.

        Raises:
            DataError: The test split has a single sentence.

        >>> a, b = run.sentence_pair(seed=1)
        """
        first, second = sentence_pair(self._corpus["test"], self._tokenizer, seed)
        return first, second

    def read_file(
        self, path: str | Path, settings: Mapping[str, object] | None = None
    ) -> TextRecords:
        """Returns the sentences of a text file, read with the data settings of the run.

        Iterating over the result yields records with `text`, `row` and `line`. All methods that
        take sentences take the result, too: `run.encode(run.read_file("other.txt"))`.

        Arguments:
            path: A .txt, .jsonl, .json, .csv or .tsv file, each also with .gz.
            settings: Settings to change, such as `{"data.column": "caption"}`.

        Raises:
            ConfigError: A setting does not exist, or does not apply to this kind of file.
            DataError: The extension is unknown. While iterating: the file cannot be read.

        >>> [record.text for record in run.read_file("corpus.txt")][:1] == corpus[:1]
        True
        """
        return TextRecords(Path(path), file_settings(self.config, settings, path))

    def neighbours(
        self, sentence: str, k: int = 10, *, among: Sentences | None = None, by: Distance = "mean"
    ) -> list[Neighbour]:
        """Returns the k sentences nearest to one in latent space, nearest first.

        Each has a `distance` and a `text`. The sentence itself and duplicates are left out.

        Arguments:
            sentence: The sentence.
            k: The maximum number of neighbours.
            among: The sentences to search, any number; by default the run's training split.
            by: `mean` (Euclidean distance of posterior means), `cosine` (of means), or
                `bhattacharyya` (of posteriors, in nats).

        Raises:
            ConfigError: `k` or `by` is invalid, or `bhattacharyya` is used with posteriors that
                are not Gaussian.

        >>> [text for _, text in run.neighbours("one dog .", k=1, among=["one dog .", "a cat ."])]
        ['a cat .']
        """
        check_choice("distance", by, Distance)
        k = check_count("the number of neighbours", k, 1, MAX_SENTENCES)
        tokenizer, longest = self._tokenizer, self._max_tokens
        query = self.encode([sentence]).posterior
        texts = self.sentences("train") if among is None else strings(among)
        blocks = encoded_blocks(self._model, tokenizer, texts, longest)
        same = {sentence.strip(), as_read(tokenizer, sentence, longest)}
        return nearest(query, blocks, by, k, same)

    def vary(
        self,
        sentence: str,
        n: int = 5,
        *,
        spread: float = 1.0,
        decoding: Decoding = GREEDY,
        seed: int = 0,
    ) -> Variations:
        """Returns up to n different sentences decoded from around a sentence's posterior mean.

        Latents are drawn from q(z|x), with its standard deviation multiplied by `spread`, until n
        different sentences are found, at most 20 n times. The sentence itself may be among them.

        Arguments:
            sentence: The sentence.
            n: The maximum number of different sentences.
            spread: 1 draws from the posterior, larger values from wider neighbourhoods.
            decoding: How words are chosen; by default greedily.
            seed: Seeds latents and words.

        Returns:
            A record that yields variations, the most frequent first. Each has a `text`, the number
            `count` of draws that gave it, the nearest of them as `latent` with shape (Z,), and its
            `distance` from the mean, where 1 is that of a typical draw from q(z|x). `remark` says why there are few variations, if so.

        Raises:
            ConfigError: A number is out of range.
            DataError: The sentence is empty or not valid UTF-8.

        >>> found = run.vary("a man rides a horse .", n=3, seed=1)
        >>> len(found) <= 3 and sum(variation.count for variation in found) == found.samples
        True
        """
        posterior = self.encode([sentence]).posterior
        chosen = self._with_length(decoding)
        return vary(self._model, self._tokenizer, sentence, posterior, n, spread, chosen, seed)

    def evaluate(
        self,
        sentences: HeldOut | None = None,
        *,
        iw_samples: int | None = None,
        seed: int | None = None,
        full: bool = False,
        samples: int | None = None,
        lm: str | Path | None = None,
        store: bool = True,
        progress: Progress = None,
    ) -> Evaluation:
        """Returns the evaluation record of the loaded checkpoint; likelihoods in nats per sentence.

        Arguments:
            sentences: Held-out sentences; by default the run's test split.
            iw_samples: Number of samples of the importance-weighted bound; by default the run's
                setting `evaluation.iw_samples`.
            seed: Seeds all draws; by default the run's setting `evaluation.seed`.
            full: Also evaluate reconstructions, samples and interpolations, which trains small
                language models and takes minutes.
            samples: Number of samples for `full`; by default the number of training sentences,
                at most 10,000.
            lm: The run of a language model with the same vocabulary, used by `full` in place of
                training one.
            store: Whether to add the record of the best checkpoint on the test split to
                `eval.json`.
            progress: True to print the stages, or a callback that receives them.

        Raises:
            DataError: The sentences are empty, or mostly of unknown words.
            ConfigError: A number is out of range, or sacrebleu is missing for `full`.
            StorageError: The record cannot be written.

        >>> record = run.evaluate(iw_samples=2)
        >>> record.iw_samples, record.latent_units, record.ppl_iw > 1
        (2, 4, True)
        """
        given = {"evaluation.iw_samples": iw_samples, "evaluation.seed": seed}
        work = evaluate_run(
            self._directory,
            device=str(self._model.device),
            sentences=self._token_store(sentences),
            protocol=read_config(options=given, base=self.config).evaluation,
            full=Plan(samples) if full else None,
            lm=None if lm is None else RunDirectory.open(Path(lm)),
            store=store,
        )
        with kept_torch_state():
            found = finish(work, callback(progress))
        if found.store_error is not None:
            raise found.store_error
        return found.record

    def report(self, path: str | Path | None = None) -> ReportData:
        """Writes a report on the run as one HTML page, and returns its contents; see `mivae.report`.

        By default it is written to `report.html` in the run.

        Raises:
            ConfigError: A package is missing, or the file cannot be written.

        >>> run.report().runs[0].name
        'mine'
        """
        return report(self.path, path)

    def load_evaluation(self) -> dict[str, Any]:
        """Returns the evaluation record stored for the run, with the keys of `eval.json`.

        Raises:
            CheckpointError: The run has no record, or the file is damaged.

        >>> run.load_evaluation()["latent_units"]
        4
        """
        return self._directory.load_evaluation()

    def load_sentence_values(self) -> SentenceValues | None:
        """Returns the figures of each test sentence in the stored evaluation, in nats.

        They are arrays of N numbers: `distortion`, `rate`, `iw_nll`, `nll` (the negative ELBO), and
        `line`, the line in the source, counted from 1. None if an earlier version made the
        evaluation.

        Raises:
            CheckpointError: The run has no record, or a file is damaged.

        >>> values = run.load_sentence_values()
        >>> len(values) == len(values.iw_nll) == run.load_evaluation()["sentences"]
        True
        """
        return self._directory.load_sentence_values(self.load_evaluation())
