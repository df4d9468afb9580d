"""Grids: how alternatives are told apart, and that every member has a name of its own."""

import math
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mivae_cli.config.grid import alternatives, configurations, expand, shortened
from mivae_cli.config.messages import known_keys
from mivae_cli.config.run import RunConfig
from mivae_cli.errors import ConfigError

PLAIN_NAME = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.+=,-")

words = st.text("ab 1.'\"=[]{}-", min_size=1, max_size=6)
values = st.recursive(
    st.one_of(st.integers(-9, 99), st.booleans(), st.text("ab,'\"[]{}\\ ", max_size=6)),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)


def toml(value: object) -> str:
    """Writes a value as TOML, texts in quotes of the kind that can hold them."""
    match value:
        case bool():
            return str(value).lower()
        case str() if "'" not in value:
            return f"'{value}'"
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case list():
            return f"[{', '.join(map(toml, value))}]"
    return str(value)


@given(st.lists(values, min_size=1, max_size=5), st.sampled_from([",", ", ", " ,"]))
def test_values_of_toml_are_split_at_the_commas_between_them(
    wanted: list[Any], comma: str
) -> None:
    parts = alternatives(comma.join(map(toml, wanted)))
    assert [tomllib.loads(f"x = {part}")["x"] for part in parts] == wanted


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("0,0.5,1", ["0", "0.5", "1"]),
        ("it's,a[1", ["it's", "a[1"]),  # bare words: as they are
        ("{kind='sgd', learning_rate=1},{kind='adam'}", None),
        ("'a,b',c", ["'a,b'", "c"]),
        (r'"a\",b",c', [r'"a\",b"', "c"]),
        ("", [""]),
        ("1,", ["1", ""]),
    ],
)
def test_what_stands_between_commas(text: str, parts: list[str] | None) -> None:
    expected = parts or ["{kind='sgd', learning_rate=1}", "{kind='adam'}"]
    assert alternatives(text) == expected


@pytest.mark.parametrize("text", ["'a,b", "[1,2", "1,{a=[1}", '"a\\"'])
def test_what_is_not_closed_is_said(text: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(text)):
        alternatives(text)


factors = st.dictionaries(
    st.sampled_from(["training.epochs", "data.train", "objective.beta", "model.encoder.pooling",
                     "model.encoder.hidden_size", "model.decoder.hidden_size", "critic.clip",
                     "model.encoder.kind", "training.optimizer.kind"]),
    st.lists(st.text(max_size=12).filter(lambda text: "\n" not in text), min_size=1, max_size=3,
             unique=True),
    max_size=3,
)  # fmt: skip


@settings(max_examples=40)  # grids of up to 243 runs
@given(factors, st.lists(st.lists(words, min_size=1, max_size=3, unique=True), max_size=2))
def test_a_grid_is_the_product_of_its_factors_and_its_names_are_unique(
    factors: dict[str, list[str]], families: list[list[str]]
) -> None:
    sets = [f"{key}={','.join(map(toml, chosen))}" for key, chosen in factors.items()]
    presets = [",".join(map(toml, family)) for family in families]
    members = expand(presets, sets)
    count = math.prod(map(len, [*factors.values(), *families]))
    assert len(members) == count
    assert len({(member.presets, member.overrides) for member in members}) == count
    names = [member.name for member in members]
    assert len(set(names)) == count
    assert all(set(name) <= PLAIN_NAME and name[0] not in ".-=+" for name in names)
    assert all(0 < len(name) < 120 for name in names)
    for member in members:
        assert [text.partition("=")[0] for text in member.overrides] == list(factors)
        assert len(member.presets) == len(families)


def test_names_say_what_was_chosen_where_there_was_a_choice() -> None:
    members = expand(
        ["mine,vae", "ptb"], ["objective.mi_weight=0,0.5", "training.epochs=3"], "0,1"
    )
    assert [member.name for member in members][:3] == [
        "mine,mi_weight=0,seed=0",
        "mine,mi_weight=0,seed=1",
        "mine,mi_weight=0.5,seed=0",
    ]
    assert members[-1].presets == ("vae", "ptb")
    assert members[-1].overrides == ("objective.mi_weight=0.5", "training.epochs=3", "seed=1")
    assert expand(["mine", "ptb"])[0].name == "mine+ptb"
    assert expand()[0].name == "default"
    both = expand([], ["model.encoder.hidden_size=1,2", "model.decoder.hidden_size=3,4"])
    assert both[0].name == "encoder.hidden_size=1,decoder.hidden_size=3"
    assert expand([], ["training.optimizer.kind=sgd,adam"])[0].name == "optimizer.kind=sgd"


def test_the_name_of_a_member_does_not_depend_on_its_neighbours() -> None:
    few, many = (expand([], [f"data.train='a/b',{rest}"]) for rest in ("c", "a-b,d,'a b'"))
    assert few[0].name == many[0].name
    assert len({member.name for member in many}) == 4


@pytest.mark.parametrize(
    ("presets", "sets", "seeds", "words"),
    [
        ([], ["seed"], None, "section.key=value"),
        ([], ["seed=1,2"], "3", "--seeds"),
        ([], ["seed=1", "seed=2"], None, "--set seed"),
        ([], ["objective.beta=1,2,1"], None, "objective.beta=1,2,1"),
        ([], ["objective.beta=1,,2"], None, "objective.beta=1,,2"),
        (["mine,"], [], None, "--preset mine,"),
        ([], [f"training.epochs={','.join(map(str, range(1, 41)))}"] , ",".join(map(str, range(40))),
         "1,600 runs"),
    ],
)  # fmt: skip
def test_slips_of_the_hand_are_named(
    presets: list[str], sets: list[str], seeds: str | None, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        expand(presets, sets, seeds)


def test_all_mistakes_are_told_at_once_and_with_the_runs_that_have_them() -> None:
    members = expand([], ["objective.mi_weight=-1,0", "training.epochs=0,5"])
    with pytest.raises(ConfigError) as raised:
        configurations(members, None, {})
    message = str(raised.value)
    assert "mi_weight=0,epochs=0: 'training.epochs'" in message
    assert "mi_weight=-1,epochs=5: 'objective.mi_weight'" in message
    assert "mi_weight=0,epochs=5" not in message
    with pytest.raises(ConfigError) as raised:
        configurations(expand([], ["objective.mi_wieght=1,2"]), None, {})
    assert str(raised.value).count("did you mean") == 1


def test_two_members_of_the_same_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"mi_weight=1 and mi_weight=1\.0"):
        configurations(expand([], ["objective.mi_weight=0,1,1.0"]), None, {})


def test_configurations_are_laid_over_file_and_options(tmp_path: Path) -> None:
    file = tmp_path / "under.toml"
    file.write_text("[training]\nepochs = 7\nkeep = 3\n")
    members = expand(["mine,vae"], ["objective.beta=0.5"], "1,2")
    found = configurations(members, file, {"data.train": "x.txt", "training.epochs": 9})
    assert [config.seed for config in found] == [1, 2, 1, 2]
    assert {config.training.keep for config in found} == {3}
    assert {config.training.epochs for config in found} == {9}
    assert [config.name for config in found] == ["mine", "mine", "vae", "vae"]
    assert RunConfig.model_validate(found[0].model_dump()) == found[0]


@given(st.sets(st.sampled_from(sorted(known_keys())), min_size=1))
def test_short_keys_are_ends_of_keys_and_tell_them_apart(keys: set[str]) -> None:
    short = {key: shortened(key, keys) for key in keys}
    assert len(set(short.values())) == len(keys)
    assert all(f".{key}".endswith(f".{end}") for key, end in short.items())
