"""Every numeric option and parameter has a range, and values outside it are rejected."""

import math
import typing
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
import typer
from typer.models import ParameterInfo

from mivae_cli.cli import app
from mivae_cli.data.prepared_corpus import TokenStore
from mivae_cli.errors import ConfigError
from mivae_cli.estimators import estimate_mutual_information
from mivae_cli.evaluation.evaluate import evaluate
from mivae_cli.generation.decoding import Decoding
from mivae_cli.generation.evaluate_text import Plan
from mivae_cli.generation.generate import analogous, interpolation, prior_samples
from mivae_cli.limits import MAX_SEED, check_range
from mivae_cli.stages import finish
from support.program import Mivae


def callbacks(group: typer.Typer, path: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yields every command under a group, after its name."""
    for command in group.registered_commands:
        assert command.callback is not None
        name = command.name or command.callback.__name__
        yield f"{path}{name}", command.callback
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        yield from callbacks(inner.typer_instance, f"{path}{inner.name} ")


def numbers() -> Iterator[tuple[str, str, ParameterInfo]]:
    """Yields every parameter of every command that takes a number: its command, name and range."""
    for command, callback in callbacks(app):
        for name, hint in typing.get_type_hints(callback, include_extras=True).items():
            if name == "return":
                continue
            kinds, infos = parts(hint)
            if kinds & {int, float}:
                assert infos, f"'{name}' of '{command}' is a bare number"
                yield command, name, infos[0]


def parts(hint: Any) -> tuple[set[type], list[ParameterInfo]]:  # noqa: ANN401  # any annotation
    """Returns the plain types in an annotation, and what it says of its option."""
    infos = [each for each in getattr(hint, "__metadata__", ()) if isinstance(each, ParameterInfo)]
    if not typing.get_args(hint):
        return {hint}, infos
    kinds: set[type] = set()
    for inner in typing.get_args(hint):
        found, _ = parts(inner) if inner not in infos else (set(), [])
        kinds |= {kind for kind in found if isinstance(kind, type)}
    return kinds, infos


NUMBERS = list(numbers())
EXAMPLES = [each for each in NUMBERS if each[:2] in {("sample", "n"), ("sample", "top_p")}]


def test_the_walk_finds_the_numbers_of_the_commands() -> None:
    found = {(command, name) for command, name, _ in NUMBERS}
    assert {("train", "epochs"), ("sample", "temperature"), ("eval", "samples")} <= found
    assert len(found) > 25
    assert len(EXAMPLES) == 2


@pytest.mark.parametrize(("command", "name", "info"), NUMBERS, ids=lambda each: str(each)[:20])
def test_every_number_has_a_range(command: str, name: str, info: ParameterInfo) -> None:
    assert info.min is not None, f"'{name}' of '{command}' has no minimum"
    assert info.max is not None, f"'{name}' of '{command}' has no maximum"
    assert info.min < info.max


OTHERS = {"neighbours": ["a"], "analogy": ["a", "b", "c"], "encode": ["a", "-o", "v.npz"]}


@pytest.mark.parametrize(
    ("command", "name", "info", "value"),
    [
        *((*number, value) for number in NUMBERS for value in ("below", "above")),
        *(
            (*number, value)
            for number in EXAMPLES
            for value in ("1e400", "nan", "9" * 5000, "one")
        ),
    ],
    ids=lambda each: str(each)[:20],
)
def test_numbers_out_of_range_are_rejected(
    mivae: Mivae, command: str, name: str, info: ParameterInfo, value: str
) -> None:
    assert info.min is not None
    assert info.max is not None
    given = {"below": str(info.min - 1), "above": str(info.max + 1)}.get(value, value)
    declared = getattr(info, "param_decls", None) or ()
    option = next(iter(declared), f"--{name.replace('_', '-')}")
    # checked before the run is looked up, which would be another error
    ran = mivae(command, *OTHERS.get(command, []), f"{option}={given}")
    assert ran.code == 2
    assert option in ran.err
    assert "nowhere" not in ran.err


@pytest.mark.parametrize("number", [10**12, 10**400, -1, math.nan, math.inf])
@pytest.mark.parametrize(
    "call",
    [
        lambda number: Decoding(beam=number),
        lambda number: Decoding(temperature=-abs(number)),
        lambda number: interpolation(torch.ones(2), torch.zeros(2), number, "linear"),
        lambda number: Plan(samples=number),
        lambda number: prior_samples(number, None, 0),  # type: ignore[arg-type]
        lambda number: analogous(torch.ones(2), torch.ones(2), torch.ones(2), number * 10**9),
        lambda number: finish(evaluate(None, None, iw_samples=number)),  # type: ignore[arg-type]
        lambda number: finish(evaluate(None, None, seed=number * 10**9)),  # type: ignore[arg-type]
        lambda number: estimate_mutual_information([], [], permutations=number),
        lambda number: estimate_mutual_information([], [], neighbours=number),
        lambda number: estimate_mutual_information([], [], seed=number * 10**9),
    ],
)
def test_functions_check_the_same_ranges(call: Callable[[Any], object], number: float) -> None:
    with pytest.raises(ConfigError):
        call(number)


def test_ranges_include_their_ends() -> None:
    check_range("a number", 1, 1, 2)
    check_range("a number", 2, 1, 2)
    with pytest.raises(ConfigError, match="a number"):
        check_range("a number", 3, 1, 2)


def test_torch_and_numpy_accept_the_largest_seed() -> None:
    torch.Generator().manual_seed(MAX_SEED + 1)  # as words are drawn
    np.random.default_rng(MAX_SEED)
    TokenStore.from_ids([[2, 3]] * 9).sample(3, MAX_SEED)
