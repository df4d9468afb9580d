"""The public API: its documented examples run, and each method gives what it promises."""

import doctest
import inspect
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike

import mivae_cli as mivae
from mivae_cli.estimators.critic_training import PROFILES, FitSettings
from mivae_cli.models.von_mises_fisher import VonMisesFisher
from mivae_cli.stages import Stage
from mivae_cli.training.events import Validation
from support.small import scenes

CORPUS = [scene.sentence() for scene in scenes.scenes(300, seed=0)]
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
        "latents", [[0.0] * 3, np.zeros((2, 5)), [np.nan] * 4, "text", np.zeros((1, 1, 4))]
    )
    def test_latents_must_be_finite_vectors_of_the_right_size(
        self, run: mivae.Run, latents: ArrayLike
    ) -> None:
        with pytest.raises(mivae.DataError, match="latents"):
            run.decode(latents)

    def test_tensors_and_lists_decode_like_arrays(self, run: mivae.Run) -> None:
        z = run.sample_latents(2, seed=0)
        assert run.decode(z) == run.decode(torch.from_numpy(z)) == run.decode(z.tolist())
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
    for call in (run.encode, run.reconstruct):
        with pytest.raises(mivae.CheckpointError):
            call([CORPUS[0]])
    with pytest.raises(mivae.CheckpointError):
        run.estimate_mutual_information()


def test_a_sweep_has_a_row_per_combination(folder: Path) -> None:
    grid = {key: [value] for key, value in SMALL.items()} | {"objective.beta": [0.5, 1]}
    records: list[object] = []
    compared = mivae.sweep(
        "corpus.txt", grid, ["vae"], seeds=[0, 1], out="runs/grid", progress=records.append
    )
    assert sorted(row.seeds for row in compared.rows) == [(0, 1), (0, 1)]
    assert {row.settings["objective.beta"] for row in compared.rows} == {0.5, 1.0}
    assert any(isinstance(record, Validation) for record in records)
    with pytest.raises(mivae.ConfigError, match="runs/mine"):
        mivae.sweep("corpus.txt", grid, out="runs/mine")
