"""Every kind of network in the program: train, resume, evaluate, sample."""

import json
from pathlib import Path

import pytest

from support.program import Mivae
from support.small import write_scenes

SIZES = {
    "lstm": {"hidden_size": 16, "layers": 2},
    "gru": {"hidden_size": 16},
    "transformer": {"width": 16, "heads": 2, "layers": 1},
}


def settings(part: str, kind: str) -> list[str]:
    sizes = [f"model.{part}.{key}={value}" for key, value in SIZES[kind].items()]
    return [f"--set={text}" for text in (f"model.{part}.kind={kind}", *sizes)]


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_scenes(tmp_path / "scenes.txt", count=200)


@pytest.mark.parametrize(
    ("encoder", "decoder"),
    [("transformer", "gru"), ("gru", "transformer")],
)
def test_a_run_with_any_networks_is_trained_resumed_and_sampled(
    encoder: str, decoder: str, text: Path, mivae: Mivae
) -> None:
    chosen = [*settings("encoder", encoder), *settings("decoder", decoder)]
    ran = mivae("train", text, *chosen, "--epochs=1", "--batch-size=32", "--iw-samples=3",
                "--out=run", "--tokenizer=word", "--set=objective.beta_schedule.over=1",
                "--json")  # fmt: skip
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["latent_units"] == 32
    stored = json.loads(Path("run/config.json").read_text())["config"]["model"]
    assert (stored["encoder"]["kind"], stored["decoder"]["kind"]) == (encoder, decoder)
    ran = mivae("train", "--resume", "--out=run", "--epochs=2", "--iw-samples=3")
    assert ran.code == 0, ran.err
    for command in (["sample", "run", "--beam=2"], ["reconstruct", "run", "a cat"]):
        ran = mivae(*command)
        assert ran.code == 0, ran.err
        assert ran.out.strip()
    failed = mivae("train", "--resume", "--out=run", "--set=model.decoder.layers=5")
    assert failed.code == 2
    assert "model.decoder.layers " in failed.err


@pytest.mark.parametrize("decoder", SIZES)
def test_any_decoder_is_a_language_model(decoder: str, text: Path, mivae: Mivae) -> None:
    ran = mivae("train", text, "--preset=lm", *settings("decoder", decoder), "--epochs=1",
                "--batch-size=32", "--out=run", "--set=objective.beta_schedule.over=1",
                "--json")  # fmt: skip
    assert ran.code == 0, ran.err
    record = json.loads(ran.out)
    assert record["rate"] == record["latent_units"] == 0
    assert record["nll"] == record["iw_nll"] > 0
    assert mivae("sample", "run", "--n=2").out.strip()


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("option", ["--dry-run", "--profile"])
def test_dry_run_and_profile_take_any_networks(
    option: str, kind: str, text: Path, mivae: Mivae
) -> None:
    chosen = [*settings("encoder", kind), *settings("decoder", kind)]
    ran = mivae("train", text, option, *chosen, "--batch-size=32")
    assert ran.code == 0, ran.err
    assert "Warning" not in ran.err
    assert not Path("runs").exists()
