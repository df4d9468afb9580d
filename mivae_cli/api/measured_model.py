"""A trained model with its corpus: mutual information of sentences, labels and latents, in nats."""

__all__ = ["MeasuredModel"]

from functools import cached_property

from ..choices import Discrete, Profile, check_choice
from ..data.prepared_corpus import Corpus
from ..data.records import TextRecords
from ..data.token_store import TokenStore
from ..estimators.report import Report
from ..evaluation.label_information import label_report
from ..evaluation.mutual_information import report
from ..limits import check_seed
from ..models.vae import VAE
from ..runs.directory import RunDirectory
from .sentence_labels import Labels, label_rows, matched, source_of, source_of_split
from .texts import HeldOut, strings, token_store
from .trained_model import TrainedModel


class MeasuredModel(TrainedModel):
    """A model of a run directory, with the settings and the corpus of the run."""

    def __init__(self, model: VAE, directory: RunDirectory) -> None:
        self.config = directory.load_config()
        """The settings of the run, a frozen object: `run.config.training.epochs`."""
        super().__init__(model, directory.load_tokenizer(), self.config.data.max_tokens)
        self._directory = directory

    def estimate_mutual_information(
        self,
        sentences: HeldOut | None = None,
        *,
        draws: int | None = None,
        profile: Profile = "default",
        seed: int = 0,
    ) -> Report:
        """Returns estimates of I(x; z) between sentences and their latents, in nats.

        Arguments:
            sentences: Held-out sentences; by default the run's test split.
            draws: Samples of z per sentence; by default 32, fewer from 3,125 sentences on.
            profile: How long and how wide the critic of the dual bound is fitted.
            seed: Seeds all draws.

        Raises:
            ConfigError: The number of draws is out of range.

        >>> report = run.estimate_mutual_information(profile="quick")
        >>> report.recommended.estimator
        'known-posterior'
        """
        self._require_latents()
        check_choice("profile", profile, Profile)
        corpus = self._corpus
        store = self._token_store(sentences) or corpus["test"]
        fitting = corpus["train"], corpus["valid"]
        return report(self._model, store, fitting, check_seed(seed), profile, draws)

    def estimate_label_information(
        self,
        labels: Labels,
        sentences: HeldOut | None = None,
        *,
        column: str = "label",
        discrete: Discrete = "auto",
        drop_missing: bool = False,
        permutations: int = 0,
        seed: int = 0,
    ) -> Report:
        """Returns estimates of I(label; z) of labels of sentences and their latents, in nats.

        z is a draw from q(z|x). There is one label for each sentence, in the same order, or one
        for each row of the file that the sentences were read from.

        Arguments:
            labels: Labels, or the path of a text file (one per line) or of a .csv or .tsv table.
            sentences: N >= 50 held-out sentences; by default the run's test split.
            column: The column of a table with the labels.
            discrete: "x": all values are labels; "none": they are numbers; "auto": they are
                numbers if some are fractions and there are over 50 distinct ones.
            drop_missing: Whether to drop sentences without a label; otherwise they are errors.
            permutations: Number of permutations for a p-value of independence; 0 for none.
            seed: Seeds the draws of z and the estimates.

        Raises:
            DataError: The labels do not match the sentences, are missing or are all the same.
            ConfigError: A table has no such column, or a number or `discrete` is invalid.

        >>> first_words = [sentence.split()[0] for sentence in corpus]
        >>> report = run.estimate_label_information(first_words, corpus)
        >>> report.recommended.estimator
        'corrected-ross'
        """
        self._require_latents()
        rows = label_rows(labels, column)
        if sentences is not None and not isinstance(sentences, TextRecords | TokenStore):
            sentences = list(strings(sentences))
        store = self._token_store(sentences)
        if store is None:
            store = self._corpus["test"]
            source = source_of_split(self._corpus, self.config.data, "test")
        else:
            source = source_of(sentences)
        return label_report(
            self._model,
            store,
            matched(rows, store, source),
            discrete=discrete,
            drop_missing=drop_missing,
            permutations=permutations,
            seed=check_seed(seed),
        )

    @cached_property
    def _corpus(self) -> Corpus:
        """The prepared corpus, checked when it is first used."""
        return self._directory.open_corpus()

    def _token_store(self, sentences: HeldOut | None) -> TokenStore | None:
        if sentences is None or isinstance(sentences, TokenStore):
            return sentences
        return token_store(sentences, self._tokenizer, self.config.data)
