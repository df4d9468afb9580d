"""The public API: its documented examples run, and each method gives what it promises."""

import doctest
import inspect
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike

import mivae_cli as mivae
from mivae_cli import devices
from mivae_cli.estimators import ksg, samplers
from mivae_cli.estimators.critic_training import PROFILES, FitSettings
from mivae_cli.models.von_mises_fisher import VonMisesFisher
from mivae_cli.stages import Stage
from mivae_cli.training.events import Step, Validation
from support.small import scenes

CORPUS = [scene.sentence() for scene in scenes.scenes(300, seed=0)]
Wrong = Any  # an argument of a wrong type
SMALL: dict[str, Any] = {
    "data.tokenizer.kind": "word",
    "model.latent_size": 4,
    "model.encoder.embedding_size": 8,
    "model.encoder.hidden_size": 16,
    "model.decoder.embedding_size": 8,
    "model.decoder.hidden_size": 16,
    "critic.network.hidden_size": 8,
    "training.epochs": 1,
    "evaluation.iw_samples": 2,
}


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Fits critics for few steps, also while a fixture trains."""
    with pytest.MonkeyPatch.context() as patched:
        for profile in PROFILES:
            patched.setitem(
                PROFILES, profile, FitSettings(steps=20, hidden=8, batch=64, patience=1)
            )
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with corpus.txt and runs/mine."""
    folder = tmp_path_factory.mktemp("api")
    (folder / "corpus.txt").write_text("".join(f"{sentence}\n" for sentence in CORPUS))
    mivae.train(folder / "corpus.txt", ["mine"], SMALL, out=folder / "runs" / "mine")
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, which is also the working directory."""
    shutil.copytree(trained, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture(scope="module")
def run(trained: Path) -> mivae.Run:
    return mivae.load(trained / "runs" / "mine")


def examples() -> Iterator[tuple[str, str]]:
    """Yields the documented examples of all public names and of the methods of public classes."""
    yield "mivae_cli", inspect.getdoc(mivae) or ""
    for name in mivae.__all__:
        value = getattr(mivae, name)
        if getattr(value, "__module__", "").startswith(("mivae_cli.api", "mivae_cli.generation")):
            yield name, inspect.getdoc(value) or ""
        if inspect.isclass(value) and value.__module__.startswith("mivae_cli.api"):
            for member, method in inspect.getmembers(value, inspect.isfunction):
                if not member.startswith("_"):
                    yield f"{name}.{member}", inspect.getdoc(method) or ""


def test_documented_examples_run(folder: Path) -> None:
    # in one namespace and folder: examples of `resume` and `compare` use the runs of `train`
    run = mivae.load("runs/mine")
    found = {
        "mivae": mivae,
        "run": run,
        "codes": run.encode(["a man rides a horse ."]),
        "corpus": CORPUS,
        "small": SMALL,
    }
    documented = dict(examples())
    order = ["train", *(name for name in documented if name != "train")]
    runner, parser = doctest.DocTestRunner(), doctest.DocTestParser()
    for name in order:
        assert ">>>" in documented[name], f"{name} has no example"
        test = parser.get_doctest(documented[name], {**found}, name, None, None)
        assert runner.run(test).failed == 0, name


def test_importing_is_quick_and_names_load_on_first_use() -> None:
    code = (
        "import sys, mivae_cli; print(*{'torch', 'numpy', 'pydantic'} & set(sys.modules));"
        "assert set(mivae_cli.__all__) <= set(dir(mivae_cli));"
        "mivae_cli.list_presets(); print(*{'torch', 'numpy'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert ran.stdout.split() == []
    with pytest.raises(AttributeError, match="absent"):
        mivae.absent  # noqa: B018


def test_every_public_name_exists() -> None:
    assert all(getattr(mivae, name) is not None for name in mivae.__all__)
    assert mivae.__all__ == sorted(mivae.__all__)


def test_a_list_of_sentences_trains_the_same_model_as_a_file(folder: Path) -> None:
    found = mivae.train(CORPUS, ["mine"], SMALL, out="runs/list")
    of_file = mivae.load("runs/mine")
    np.testing.assert_array_equal(found.encode(CORPUS).mean, of_file.encode(CORPUS).mean)
    assert mivae.resume("runs/list", {"training.epochs": 2}).checkpoint != found.checkpoint


@pytest.mark.parametrize(
    ("sentences", "named"), [(["one\ntwo"], "sentence 1"), (["one", "\ud800"], "sentence 2")]
)
def test_sentences_that_cannot_be_lines_are_named(
    folder: Path, sentences: list[str], named: str
) -> None:
    with pytest.raises(mivae.DataError, match=named):
        mivae.train(sentences, settings=SMALL, out="runs/bad")
    assert not Path("runs/bad").exists()


def test_progress_is_passed_to_a_callback_or_printed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records: list[object] = []
    mivae.train(CORPUS, settings=SMALL, out="runs/a", progress=records.append)
    assert {Validation, Stage} <= {type(record) for record in records}
    mivae.resume("runs/a", {"training.epochs": 2}, evaluate=False, progress=records.append)
    assert isinstance(records[-1], Validation)
    assert capsys.readouterr().err == ""
    mivae.load("runs/a").evaluate(iw_samples=1, store=False, progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err


def test_a_random_state_of_the_user_is_kept(run: mivae.Run) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    run.sample(2, seed=1)
    run.encode(CORPUS[:2])
    assert torch.equal(torch.rand(1), expected)


def test_training_changes_no_state_of_the_process(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(devices, "cpu_quota", lambda: 1)
    smallest = torch.tensor(torch.finfo(torch.float32).tiny)

    def state() -> list[object]:
        return [
            torch.get_rng_state().tolist(),
            torch.get_num_threads(),
            bool(smallest / 4),
            signal.getsignal(signal.SIGINT),
        ]

    threads = torch.get_num_threads()
    torch.set_flush_denormal(False)
    torch.set_num_threads(2)
    torch.manual_seed(5)
    before = state()
    try:
        mivae.train(CORPUS, "vae", SMALL, out="runs/vae").evaluate(iw_samples=1)
        mivae.resume("runs/vae", {"training.epochs": 2})
        mivae.sweep("corpus.txt", SMALL, "vae", out="runs/grid")
        assert state() == before
        assert mivae.verify("runs/vae").sound
        mivae.load("runs/vae")
        assert state() == before
    finally:
        torch.set_num_threads(threads)


@pytest.fixture
def keyboard() -> Iterator[None]:
    """Python's own handler of Ctrl-C, which parallel test runners replace in their workers."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("keyboard")
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_stops_training_and_the_run_can_be_resumed(folder: Path, times: int) -> None:
    settings = {**SMALL, "training.log_every": 1}

    def press(record: object) -> None:
        if isinstance(record, Step) and record.step == 2:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        mivae.train(CORPUS, "mine", settings, out="runs/a", progress=press)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if times == 1:
        assert mivae.load("runs/a/checkpoints/last").checkpoint == "step-00000002"
    found = mivae.resume("runs/a").encode(CORPUS).mean
    np.testing.assert_array_equal(found, mivae.load("runs/mine").encode(CORPUS).mean)


class NotAString:
    """A table: iterating over it gives the names of its columns."""

    columns = ("text",)

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)


class TestArguments:
    @pytest.mark.parametrize(
        ("sentences", "named"),
        [
            (["one", None], "sentence 2"),
            ([float("nan")], "sentence 1"),
            ([["one"]], "sentence 1"),
            ([b"one"], "sentence 1"),
            (["one", "\ud800"], "sentence 2"),
            (None, "NoneType"),
            (3, "int"),
            (b"one", "bytes"),
            ({"one": 1}, "dict"),
            (Path("corpus.txt"), "Path"),
            (NotAString(), "NotAString"),
        ],
    )
    def test_sentences_must_be_strings(
        self, run: mivae.Run, sentences: Wrong, named: str, tmp_path: Path
    ) -> None:
        calls: list[Callable[[Any], object]] = [run.encode, run.reconstruct, run.unknown_words]
        if sentences is not None:  # by default the test split
            calls += [run.evaluate, run.estimate_mutual_information]
            calls.append(lambda given: run.neighbours("one", among=given))
        if not isinstance(sentences, Path):
            calls.append(lambda given: mivae.train(given, settings=SMALL, out=tmp_path / "run"))
        for call in calls:
            with pytest.raises(mivae.DataError, match=named):
                call(sentences)
        assert not (tmp_path / "run").exists()

    @pytest.mark.parametrize("value", [-1, 1.5, 2**63, "one", None, float("nan"), [1], True])
    def test_numbers_must_be_integers_in_range(self, run: mivae.Run, value: Wrong) -> None:
        a, b, z = CORPUS[0], CORPUS[1], np.zeros((60, 1))
        calls: list[Callable[[], object]] = [
            lambda: run.sample(value),
            lambda: run.sample(1, seed=value),
            lambda: run.decode(z[:4].T, seed=value),
            lambda: run.sample_latents(1, seed=value),
            lambda: run.interpolate(a, b, value),
            lambda: run.analogy(a, b, a, value),
            lambda: run.neighbours(a, value),
            lambda: run.vary(a, value),
            lambda: run.vary(a, seed=value),
            lambda: run.sentence_pair(value),
            lambda: run.estimate_mutual_information(seed=value),
            lambda: mivae.Decoding(beam=value),
            lambda: mivae.Decoding(top_k=value),
            lambda: ksg(z, z, value),
            lambda: ksg(z, z, seed=value),
            lambda: mivae.estimate_mutual_information(z, z, permutations=value),
            lambda: mivae.estimate_mutual_information(z, z, seed=value),
            lambda: samplers.SAMPLERS["gaussian"].draw(60, seed=value),
        ]
        if value is not None:
            calls.append(lambda: run.estimate_mutual_information(draws=value))
            calls.append(lambda: mivae.Decoding(max_tokens=value))
        for call in calls:
            with pytest.raises(mivae.ConfigError):
                call()
        with pytest.raises(mivae.ConfigError, match="number of neighbours"):
            run.neighbours(a, 0)

    def test_numpy_integers_are_integers(self, run: mivae.Run) -> None:
        two: Any = np.int64(2)
        assert run.sample(two, seed=two) == run.sample(2, seed=2)
        assert run.sentence_pair(two) == run.sentence_pair(2)
        x, z = samplers.SAMPLERS["swiss-roll"].draw(60, seed=two)
        assert ksg(x, z, two, seed=two).value == ksg(x, z, 2, seed=2).value

    @pytest.mark.parametrize("name", ["nothing", None, 3])
    def test_names_must_be_known(self, run: mivae.Run, name: Wrong) -> None:
        a, b = CORPUS[:2]
        calls: list[Callable[[], object]] = [
            lambda: run.sentences(name),
            lambda: run.neighbours(a, by=name),
            lambda: run.interpolate(a, b, path=name),
            lambda: run.estimate_mutual_information(profile=name),
            lambda: mivae.estimate_mutual_information([0.0], [0.0], [name]),
            lambda: run.sample(1, decoding=name),
            lambda: run.vary(a, decoding=name),
        ]
        for call in calls:
            with pytest.raises(mivae.ConfigError, match=str(name)):
                call()

    def test_one_name_stands_for_a_list(self, folder: Path) -> None:
        assert mivae.read_config("mine") == mivae.read_config(["mine"])
        z = np.random.default_rng(0).normal(size=(60, 1))
        [estimate] = mivae.estimate_mutual_information(z, -z, "ksg").estimates
        assert estimate.estimator == "ksg"

    @pytest.mark.parametrize("settings", [3, "training.epochs=1", [("seed", 1)], {1: 2}])
    def test_settings_must_be_values_by_key(self, folder: Path, settings: Wrong) -> None:
        calls: list[Callable[[], object]] = [
            lambda: mivae.read_config(settings=settings),
            lambda: mivae.train(CORPUS, settings=settings, out="runs/a"),
            lambda: mivae.resume("runs/mine", settings),
            lambda: mivae.sweep("corpus.txt", settings, out="runs/a"),
        ]
        for call in calls:
            with pytest.raises(mivae.ConfigError, match="settings"):
                call()
        assert not Path("runs/a").exists()

    def test_values_of_numpy_and_paths_are_stored_as_plain_values(self) -> None:
        settings = {"objective.beta": np.float64(0.5), "data.valid": Path("v.txt")}
        config = mivae.read_config(settings=settings)
        assert 'valid = "v.txt"' in mivae.config_template(config)
        assert type(config.objective.beta) is float

    def test_progress_is_checked_before_a_run_is_created(self, folder: Path) -> None:
        progress: Any = "yes"
        with pytest.raises(mivae.ConfigError, match="progress"):
            mivae.train(CORPUS, settings=SMALL, out="runs/a", progress=progress)
        assert not Path("runs/a").exists()

    def test_messages_about_a_list_name_no_temporary_file(self, folder: Path) -> None:
        for corpus in ([], ["one two"] * 3):
            with pytest.raises(mivae.DataError, match="the corpus") as caught:
                mivae.train(corpus, settings={"data.tokenizer.min_count": 1}, out="runs/a")
            assert ".txt" not in str(caught.value)

    def test_objects_have_a_short_repr(self, folder: Path) -> None:
        run = mivae.load("runs/mine")
        assert repr(run.encode(CORPUS[:3])) == "<Codes of 3 sentences, Z=4>"
        assert repr(run.read_file("corpus.txt")) == "<TextRecords of 'corpus.txt'>"
        assert repr(mivae.compare("runs")) == "<Comparison of mine>"

    def test_codes_are_compared_by_identity(self, run: mivae.Run) -> None:
        assert run.encode(CORPUS[:3]) != run.encode(CORPUS[:3])


class TestGeneration:
    def test_the_same_seed_gives_the_same_sentences(self, run: mivae.Run) -> None:
        assert run.sample(5, seed=3) == run.sample(5, seed=3) != run.sample(5, seed=4)

    def test_interpolation_ends_at_the_reconstructions(self, run: mivae.Run) -> None:
        a, b = run.sentence_pair(seed=2)
        path = run.interpolate(a, b, steps=4)
        assert [path[0], path[-1]] == run.reconstruct([a, b])
        start, end = run.encode([a, b]).mean
        assert path == run.interpolate(start, end, steps=4)

    def test_a_difference_of_nothing_leaves_a_sentence(self, run: mivae.Run) -> None:
        a, b = run.sentence_pair(seed=2)
        assert run.analogy(a, a, b) == run.reconstruct([b])
        assert len(set(run.analogy(a, b, a, n=20))) > 1

    @pytest.mark.parametrize(
        "latents",
        [
            [0.0] * 3,
            np.zeros((2, 5)),
            [np.nan] * 4,
            [1e300] * 4,
            [1j] * 4,
            ["1"] * 4,
            None,
            "text",
            np.zeros((1, 1, 4)),
            np.zeros(4, "M8[s]"),
            torch.zeros(2, 4).to_sparse(),
        ],
    )
    def test_latents_must_be_finite_vectors_of_the_right_size(
        self, run: mivae.Run, latents: ArrayLike
    ) -> None:
        with pytest.raises(mivae.DataError, match="latents"):
            run.decode(latents)

    @pytest.mark.parametrize("rows", [0, 2])
    def test_an_end_of_a_path_is_one_latent(self, run: mivae.Run, rows: int) -> None:
        points = np.zeros((rows, 4))
        for call in (run.interpolate, lambda z, a: run.analogy(a, z, a)):
            with pytest.raises(mivae.DataError, match=f"not {rows}"):
                call(points, CORPUS[0])

    def test_tensors_and_lists_decode_like_arrays(self, run: mivae.Run) -> None:
        z = run.sample_latents(2, seed=0)
        assert run.decode(z) == run.decode(torch.from_numpy(z)) == run.decode(z.tolist())
        assert len(run.decode(torch.from_numpy(z).bfloat16())) == 2
        assert run.decode(z[0]) == run.decode(z)[:1]


class TestSentences:
    def test_codes_keep_the_order_and_are_log_densities_of_themselves(
        self, run: mivae.Run
    ) -> None:
        codes = run.encode(CORPUS[:20])
        assert codes.mean.shape == codes.scale.shape == (20, 4)
        for row in (0, 19):
            np.testing.assert_allclose(
                codes.mean[row], run.encode([CORPUS[row]]).mean[0], atol=1e-5
            )
        expected = torch.distributions.Normal(
            torch.from_numpy(codes.mean), torch.from_numpy(codes.scale)
        )
        z = codes.posterior.mean
        torch.testing.assert_close(codes.posterior.log_prob(z), expected.log_prob(z).sum(dim=-1))

    def test_a_string_is_one_sentence(self, run: mivae.Run) -> None:
        assert len(run.encode(CORPUS[0])) == 1

    def test_long_sentences_are_counted(self, run: mivae.Run) -> None:
        assert run.encode([CORPUS[0], " ".join(CORPUS)]).truncated == 1

    def test_a_file_keeps_rows_and_columns(self, run: mivae.Run, tmp_path: Path) -> None:
        rows = [f"{number};{text}\n" for number, text in enumerate(CORPUS[:3])]
        (tmp_path / "a.csv").write_text("".join(["id;caption\n", *rows]))
        settings = {"data.column": "caption", "data.delimiter": ";"}
        text = run.read_file(tmp_path / "a.csv", settings)
        run.encode(text).save(tmp_path / "v.csv")
        head, first, *_ = (tmp_path / "v.csv").read_text().splitlines()
        assert head.startswith("row,line,id,caption,mean_1")
        assert first.startswith(f"1,2,0,{CORPUS[0]},")
        assert run.neighbours(CORPUS[0], k=5, among=text) == run.neighbours(
            CORPUS[0], k=5, among=CORPUS[:3]
        )
        assert run.evaluate(text, iw_samples=1) == run.evaluate(CORPUS[:3], iw_samples=1)

    @pytest.mark.parametrize("key", ["data.colum", "model.latent_size", "column"])
    def test_settings_for_reading_are_checked(
        self, run: mivae.Run, tmp_path: Path, key: str
    ) -> None:
        with pytest.raises(mivae.ConfigError, match=key):
            run.read_file(tmp_path / "a.csv", {key: 1})

    def test_a_file_of_another_extension_is_refused(self, run: mivae.Run, tmp_path: Path) -> None:
        with pytest.raises(mivae.ConfigError, match=r"v\.pkl"):
            run.encode(CORPUS[:1]).save(tmp_path / "v.pkl")

    def test_posteriors_on_the_sphere_have_no_scale(self) -> None:
        codes = mivae.Codes(VonMisesFisher(torch.eye(3), 30.0))
        assert codes.mean.shape == (3, 3)
        with pytest.raises(mivae.ConfigError, match="concentration"):
            _ = codes.scale


class TestEvaluation:
    def test_a_record_is_stored_unless_it_is_of_other_sentences(self, folder: Path) -> None:
        run = mivae.load("runs/mine")
        run.evaluate(CORPUS[:50], iw_samples=3)
        assert run.load_evaluation()["iw_samples"] == 2
        run.evaluate(iw_samples=3, seed=1, store=False)
        assert run.load_evaluation()["seed"] == 0
        record = run.evaluate(iw_samples=4)
        assert record.iw_samples == 4
        stored = mivae.compare("runs").rows[0].figures["nll"]
        assert stored is not None
        assert stored.value == record.nll

    def test_the_estimate_is_that_of_the_evaluation(self, run: mivae.Run) -> None:
        report = run.estimate_mutual_information()
        mi = run.evaluate(store=False).mi
        assert mi is not None
        assert report.recommended is not None
        assert report.recommended.value == pytest.approx(mi.known_posterior.value)


def test_a_language_model_samples_and_has_no_codes(folder: Path) -> None:
    run = mivae.train(CORPUS, ["lm"], {**SMALL, "model.latent_size": 0}, out="runs/lm")
    assert run.latent_size == 0
    assert len(run.sample(2)) == 2
    for call in (run.encode, run.reconstruct, lambda texts: run.vary(texts[0])):
        with pytest.raises(mivae.CheckpointError):
            call([CORPUS[0]])
    with pytest.raises(mivae.CheckpointError):
        run.estimate_mutual_information()


def test_a_sweep_has_a_row_per_combination(folder: Path) -> None:
    grid = SMALL | {"objective.beta": np.array([0.5, 1.0])}
    records: list[object] = []
    compared = mivae.sweep(
        "corpus.txt", grid, "vae", seeds=np.arange(2), out="runs/grid", progress=records.append
    )
    assert sorted(row.seeds for row in compared.rows) == [(0, 1), (0, 1)]
    assert {row.settings["objective.beta"] for row in compared.rows} == {0.5, 1.0}
    assert any(isinstance(record, Validation) for record in records)
    with pytest.raises(mivae.ConfigError, match="runs/mine"):
        mivae.sweep("corpus.txt", grid, out="runs/mine")
    with pytest.raises(mivae.ConfigError, match=r"objective\.beta"):
        mivae.sweep("corpus.txt", {"objective.beta": []})
