"""'estimate-mi' on paired samples, as a user meets it."""

import json
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from mivae_cli.estimators import estimate_mutual_information
from mivae_cli.estimators.samplers import SAMPLERS, CorrelatedGaussian
from support.program import Mivae

KEYS = {
    *("recommended", "estimates", "n", "x_dim", "z_dim", "p_value", "unit", "warnings", "notes"),
    "given",
}
ROW_KEYS = {
    *("sampling_low", "sampling_high"),
    "estimator", "value", "ci_low", "ci_high", "direction", "ceiling", "held_out", "seconds",
    "warnings",
}  # fmt: skip
FAST = ("-e", "copula")  # closed form: nothing to wait for
CHANNEL = CorrelatedGaussian(2, 0.8)


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder that holds the same 600 pairs in many forms."""
    monkeypatch.chdir(tmp_path)
    x, z = (np.ascontiguousarray(side) for side in CHANNEL.draw(600, 0))
    np.savez("pairs.npz", x=x, z=z)
    np.savez("named.npz", heights=x, weights=z)
    np.save("x.npy", x)
    np.save("z.npy", z)
    save_file({"x": x, "z": z}, "pairs.safetensors")
    header = "a,b,z1,z2"
    rows = np.concatenate([x, z], axis=1)
    np.savetxt("pairs.csv", rows, delimiter=",", header=header, comments="", fmt="%.17g")
    return tmp_path


def _report(mivae: Mivae, *arguments: str | Path) -> dict[str, Any]:
    ran = mivae("estimate-mi", *arguments, "--json")
    assert ran.code == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


def test_the_json_form_is_a_contract(mivae: Mivae, inside: Path) -> None:
    report = _report(mivae, "pairs.npz", "--permutations", "19")
    assert set(report) == KEYS
    assert set(report["recommended"]) == {
        *("estimator", "value", "ci_low", "ci_high", "reason", "at_least"),
        *("sampling_low", "sampling_high"),
    }
    assert all(set(row) == ROW_KEYS for row in report["estimates"])
    assert (report["n"], report["x_dim"], report["z_dim"], report["unit"]) == (600, 2, 2, "nats")
    assert report["p_value"] == pytest.approx(1 / 20)
    names = [row["estimator"] for row in report["estimates"]]
    assert names == ["model-ksg", "model", "dual", "infonce", "copula", "gaussian", "ksg"]
    assert {row["direction"] for row in report["estimates"]} == {"lower", "neither"}
    chosen = report["recommended"]
    assert chosen["estimator"] == "model-ksg"
    assert chosen["ci_low"] < CHANNEL.mutual_information < chosen["ci_high"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("pairs.npz",),
        ("named.npz", "--x", "heights", "--z", "weights"),
        ("x.npy", "z.npy"),
        ("pairs.safetensors",),
        ("pairs.csv", "--x-columns", "a,b", "--z-columns", "z1", "--z-columns", "z2"),
        ("pairs.csv", "--x-columns", "1-2", "--z-columns", "3-4"),
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_every_form_holds_the_same_pairs(
    mivae: Mivae, inside: Path, arguments: tuple[str, ...]
) -> None:
    (row,) = _report(mivae, *arguments, *FAST)["estimates"]
    expected = estimate_mutual_information(*CHANNEL.draw(600, 0), ["copula"]).estimates[0]
    assert row["value"] == pytest.approx(expected.value, abs=1e-12)


def test_the_table_names_the_figure_to_quote_and_why(mivae: Mivae, inside: Path) -> None:
    out = mivae("estimate-mi", "--demo", "swiss-roll", "--n", "1200", "--permutations", "19").out
    assert "recommended: model-ksg" in out
    assert "density model" in out
    assert "true value: 0.413 nats" in out
    assert "p = 0.05" in out
    assert " lower " in out


def test_bits_are_nats_over_ln_2(mivae: Mivae, inside: Path) -> None:
    value = _report(mivae, "pairs.npz", *FAST)["estimates"][0]["value"]
    out = mivae("estimate-mi", "pairs.npz", *FAST).out
    assert f"{value:.3f}" in out
    assert f"{value / math.log(2):.3f}" in out


def test_a_seed_repeats_everything_and_another_splits_anew(mivae: Mivae, inside: Path) -> None:
    def dual(seed: str) -> float:
        (row,) = _report(mivae, "pairs.npz", "-e", "dual", "--seed", seed)["estimates"]
        return float(row["value"])

    assert dual("1") == dual("1") != dual("2")


def test_demos_are_listed_and_know_the_truth(mivae: Mivae) -> None:
    listed = mivae("estimate-mi", "--demo", "list").out
    assert all(name in listed for name in SAMPLERS)
    report = _report(mivae, "--demo", "gaussian", "--n", "2000", *FAST)
    assert report["truth"] == pytest.approx(6.0)
    assert report["recommended"]["value"] == pytest.approx(6.0, abs=0.4)


def test_a_picture_is_drawn(mivae: Mivae, inside: Path) -> None:
    pytest.importorskip("altair")
    ran = mivae("estimate-mi", "pairs.npz", *FAST, "-e", "ksg", "--plot", "out.png")
    assert ran.code == 0
    assert (inside / "out.png").read_bytes().startswith(b"\x89PNG")
    assert "out.png" in ran.err
    ran = mivae("estimate-mi", "pairs.npz", *FAST, "--plot", "out.bmp")
    assert (ran.code, ran.out) == (2, "")


def test_tables_have_labels_gaps_and_counted_names(mivae: Mivae, inside: Path) -> None:
    rows = np.loadtxt("pairs.csv", delimiter=",", skiprows=1)
    lines = [f"{x},{z},{'high' if x > 0 else 'low'},{'' if i < 9 else 1 + i % 3}"
             for i, (x, _, z, _) in enumerate(rows)]  # fmt: skip
    Path("labels.csv").write_text("\n".join(["0,1,2,3", *lines]), encoding="utf-8")
    columns = ("labels.csv", "--x-columns", "0,2", "--z-columns", "1,3", *FAST)
    report = _report(mivae, *columns, "--drop-missing")
    assert (report["n"], report["x_dim"], report["z_dim"]) == (591, 2, 2)
    assert "--no-header" in report["warnings"][0]
    assert "9 of 600 rows" in report["warnings"][1]
    assert "'2' (2 levels)" in report["notes"][0]
    assert "'3' (3 levels)" in report["notes"][0]
    quiet = _report(mivae, *columns, "--drop-missing", "--header", "--discrete", "both")
    assert set(quiet["warnings"]) >= set(report["warnings"][1:])


class _Trap:
    """An object whose unpickling would be seen."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (Path.touch, (self.path,))


def _write_bad(place: Path) -> None:
    x = np.random.default_rng(0).normal(size=(100, 2))
    np.savez(place / "lengths.npz", x=x, z=x[:90])
    np.savez(place / "nan.npz", x=np.where(np.arange(200).reshape(100, 2) == 7, np.nan, x), z=x)
    np.savez(place / "few.npz", x=x[:20], z=x[:20])
    np.savez(place / "constant.npz", x=np.ones((100, 1)), z=x)
    np.savez(place / "words.npz", x=np.array(["a", "b"] * 50), z=x)
    np.savez(place / "renamed.npz", x=x, y=x)
    np.savez(place / "pickled.npz", x=np.array([_Trap(place / "sprung")] * 100), z=x)
    (place / "pairs.pkl").write_bytes(pickle.dumps(_Trap(place / "sprung")))
    (place / "broken.npz").write_bytes(b"PK\x03\x04 not an archive")
    (place / "corpus.txt").write_text("a line\n" * 100)
    np.save(place / "alone.npy", x)
    (place / "cell.csv").write_text("x,z\n" + "1.5,2\n" * 60 + "1.5,two\n")
    (place / "gaps.csv").write_text("x,z\n" + "1.5,2\n0,\nNA,1\n" * 60)
    np.savez(
        place / "good.npz",
        x=x,
        z=x @ np.ones((2, 1)) + np.random.default_rng(1).normal(size=(100, 1)),
    )


BAD = [
    (("lengths.npz",), 3, "100"),
    (("nan.npz",), 3, "row 4"),
    (("few.npz",), 3, "50"),
    (("constant.npz",), 3, "constant"),
    (("words.npz", "--discrete", "none"), 3, "--discrete"),
    (("good.npz", "--discrete", "y"), 2, "discrete"),
    (("good.npz", "--header"), 2, "--header"),
    (("gaps.csv",), 3, "line 4"),
    (("gaps.csv",), 3, "--drop-missing"),
    (("runs/none", "--drop-missing"), 2, "--drop-missing"),
    (("renamed.npz",), 2, "--z"),
    (("pickled.npz",), 3, "pickle"),
    (("pairs.pkl",), 3, "pickle"),
    (("broken.npz",), 3, "broken.npz"),
    (("corpus.txt",), 3, ".npz"),
    (("alone.npy",), 2, "two"),
    (("cell.csv",), 3, "line 62"),
    (("cell.csv",), 3, "--discrete z"),
    (("missing.npz",), 3, "missing.npz"),
    (("good.npz", "-e", "magic"), 2, "'magic'"),
    (("good.npz", "-e", "ksg", "-e", "ksg"), 2, "ksg"),
    (("good.npz", "-e", "ksg", "--k", "100"), 2, "neighbours"),
    (("good.npz", "--data", "corpus.txt"), 2, "--data"),
    (("good.npz", "--column", "text"), 2, "--column"),
    (("good.npz", "--device", "auto"), 2, "--device"),
    (("good.npz", "--n", "10000"), 2, "--n"),
    (("good.npz", "--permutations", "-1"), 2, "permutations"),
    (("good.npz", "--profile", "slow"), 2, "profile"),
    (("--demo", "nothing"), 2, "swiss-roll"),
    (("--demo", "spiral", "good.npz"), 2, "--demo"),
    (("--demo", "spiral", "--x", "x"), 2, "--x"),
    (("runs/none", "-e", "dual"), 2, "--estimator"),
    (("runs/none", "--critic", "separable"), 2, "--critic"),  # defaults are rejected, too
    (("runs/none", "--permutations", "0"), 2, "--permutations"),
    (("runs/none", "--x-columns", "a"), 2, "--x-columns"),
    (("runs/none", "--n", "10"), 2, "--n"),
    (("good.npz", "--draws", "2"), 2, "--draws"),
    # every rejection says what to do instead
    (("runs/none", "--labels", "y.txt", "--groups", "doc"), 2, "mivae encode"),
    (("runs/none", "--labels", "y.txt", "--blocks", "5"), 2, "mivae encode"),
    (("good.npz", "--labels", "y.txt"), 2, "--z-columns"),
    (("good.npz", "--label-column", "y"), 2, "needs --labels"),
    (("good.npz", "--fdr", "by"), 2, "needs --rank"),
    (("pairs.csv", "--rank", "--given", "w"), 2, "without --rank"),
    (("pairs.csv", "--pointwise", "p.csv", "--given", "w"), 2, "leave out --given"),
    (("runs/none",), 4, "runs/none"),
]


@pytest.mark.parametrize(("arguments", "code", "words"), BAD, ids=lambda value: str(value))
def test_bad_input_is_named_in_one_line(
    mivae: Mivae,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    code: int,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    _write_bad(tmp_path)
    ran = mivae("estimate-mi", *arguments)
    assert ran.code == code, ran
    assert ran.out == ""
    assert ran.err.startswith("error: ")
    assert words in ran.err
    assert len(ran.err.splitlines()) == 1
    assert not (tmp_path / "sprung").exists()


def test_more_dimensions_than_pairs_still_get_a_figure(
    mivae: Mivae, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(1)
    np.savez("wide.npz", x=torch.randn(80, 60).numpy(), z=torch.randn(80, 60).numpy())
    ran = mivae("estimate-mi", "wide.npz")
    assert ran.code == 0
    assert "copula" not in ran.out.split("recommended")[0]
    assert "120 dimensions" in ran.out


def test_features_of_a_table_are_ranked(mivae: Mivae, inside: Path) -> None:
    arguments = ("pairs.csv", "--x-columns", "a,b,z2", "--z-columns", "z1", "--rank")
    ran = mivae("estimate-mi", *arguments, "--redundancy")
    assert ran.code == 0, ran.err
    assert "mrmr" in ran.out
    ranking = _report(mivae, *arguments, "--blocks", "10", "--permutations", "20", "--fdr", "by")
    assert ranking["features"][0]["feature"] == "a"
    assert ranking["target"] == "z1"
    assert ranking["permutations"] == 20
    for wrong in (("--profile", "quick"), ("-e", "ksg"), ("--pointwise", "p.csv")):
        ran = mivae("estimate-mi", *arguments, *wrong)
        assert ran.code == 2
        assert "--rank" in ran.err
    assert mivae("estimate-mi", "pairs.npz", "--redundancy").code == 2


@pytest.fixture
def confounded(inside: Path) -> Path:
    """A table and arrays of x and z that depend on w, and not on each other given w."""
    random = np.random.default_rng(0)
    w = random.standard_normal((400, 2))
    x, z = w.sum(axis=1) + random.standard_normal((2, 400))
    np.savez("confounded.npz", x=x, z=z, w=w, label=np.where(w[:, 0] > 0, "up", "down"))
    columns = np.column_stack([x, z, w])
    lines = [f"{a},{b},{c},{d},{'up' if c > 0 else 'down'}" for a, b, c, d in columns]
    text = "\n".join(["x,z,w1,w2,label", *lines])
    Path("confounded.csv").write_text(text, encoding="utf-8")
    return inside


@pytest.mark.parametrize(
    ("file", "given", "columns"),
    [
        ("confounded.csv", ("--given", "w1-w2"), ["w1", "w2"]),
        ("confounded.csv", ("--given", "w1", "--given", "w2"), ["w1", "w2"]),
        ("confounded.npz", ("--given", "w"), ["w1", "w2"]),
    ],
)
def test_a_confounder_explains_the_dependence(
    mivae: Mivae, confounded: Path, file: str, given: tuple[str, ...], columns: list[str]
) -> None:
    report = _report(mivae, file, *given, "--permutations", "19")
    assert report["given"] == columns
    chosen = report["recommended"]
    assert chosen["value"] < 0.05 < _report(mivae, file, *FAST)["recommended"]["value"]
    assert chosen["ci_low"] == 0
    assert report["p_value"] > 0.05
    out = mivae("estimate-mi", file, *given).out
    assert f"{file}: I(x; z | w1, w2)" in out
    assert "1, 1 and 2 columns" in out


def test_given_labels_are_discrete(mivae: Mivae, confounded: Path) -> None:
    for file in ("confounded.csv", "confounded.npz"):
        report = _report(mivae, file, "--given", "label")
        assert report["given"] == ["label"]
        assert report["recommended"]["value"] > 0.1  # half of the confounder is missing
    mixed = _report(mivae, "confounded.npz", "--given", "w,label")
    assert set(mixed["given"]) == {"w1", "w2", "label"}
    assert mixed["recommended"]["value"] < 0.05


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("confounded.csv", "--given", "w3"), "'w3'"),
        (("confounded.csv", "--given", "x"), "'x'"),
        (("confounded.npz", "--given", "x"), "'x'"),
        (("confounded.npz", "--given", "nothing"), "'nothing'"),
        (("confounded.npz", "--given", ","), "--given"),
        (("x.npy", "z.npy", "--given", "w"), "--given"),
        (("confounded.csv", "--given", "w1", "-e", "ksg"), "--estimator"),
        (("confounded.csv", "--given", "w1", "--profile", "quick"), "--profile"),
        (("confounded.csv", "--given", "w1", "--pointwise", "p.csv"), "--pointwise"),
        (("confounded.csv", "--given", "w1", "--rank"), "--rank"),
        (("runs/none", "--given", "w1"), "--given"),
        (("--demo", "spiral", "--given", "w1"), "--given"),
    ],
    ids=lambda value: str(value),
)
def test_wrong_uses_of_given_are_named(
    mivae: Mivae, confounded: Path, arguments: tuple[str, ...], words: str
) -> None:
    ran = mivae("estimate-mi", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err
    assert len(ran.err.splitlines()) == 1


def test_groups_and_blocks_and_log_ratios_of_rows(mivae: Mivae, inside: Path) -> None:
    rows = np.loadtxt("pairs.csv", delimiter=",", skiprows=1)
    rows = np.column_stack([rows, np.arange(600) // 6])
    header = "a,b,z1,z2,person"
    np.savetxt("grouped.csv", rows, delimiter=",", header=header, comments="", fmt="%.17g")
    table = ("grouped.csv", "--x-columns", "a,b", "--z-columns", "z1,z2", *FAST)
    plain = _report(mivae, *table)
    grouped = _report(mivae, *table, "--groups", "person", "--pointwise", "ratios.csv")
    blocked = _report(mivae, *table, "--blocks", "6")
    for report in (grouped, blocked):
        assert report["recommended"]["value"] == pytest.approx(
            plain["recommended"]["value"], abs=0.02
        )
        assert report["recommended"]["ci_low"] != plain["recommended"]["ci_low"]
    lines = Path("ratios.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "row,log_ratio,a,b,z1,z2"
    assert len(lines) == 601
    ratios = [float(line.split(",")[1]) for line in lines[1:]]
    assert np.mean(ratios) == pytest.approx(CHANNEL.mutual_information, abs=0.15)
    ran = mivae("estimate-mi", *table, "--groups", "person", "--blocks", "6")
    assert ran.code == 2
    assert "--blocks" in ran.err
    assert mivae("estimate-mi", *table, "--groups", "nobody").code == 2
    assert mivae("estimate-mi", *table, "--blocks", "100").code == 2
