"""Configurations: precedence of sources, messages for mistakes, and TOML round trips."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mivae_cli.config.data import BPETokenizerConfig, WordTokenizerConfig
from mivae_cli.config.messages import known_keys
from mivae_cli.config.model import TransformerDecoderConfig
from mivae_cli.config.resolve import (
    describe_preset,
    preset_names,
    preset_text,
    read_config,
    template,
)
from mivae_cli.config.run import RunConfig
from mivae_cli.config.training import AdamConfig, SGDConfig
from mivae_cli.errors import ConfigError
from mivae_cli.limits import MAX_TOML_BYTES
from mivae_cli.objectives.schedules import Constant, Cyclical, Linear


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


class TestOrder:
    def test_nothing_makes_the_defaults(self) -> None:
        assert read_config() == RunConfig()

    def test_the_later_preset_wins(self) -> None:
        first, second = read_config(["mine", "vae"]), read_config(["vae", "mine"])
        assert (first.model.encoder.pooling, first.objective.mi_weight) == ("last", 0.0)
        assert (second.model.encoder.pooling, second.objective.mi_weight) == ("max", 1.0)

    def test_presets_are_recorded_by_name(self) -> None:
        assert read_config(["vae", "mine"]).name == "vae+mine"

    def test_presets_keep_what_they_do_not_name(self) -> None:
        merged = read_config(["lm", "vae"])
        assert merged.model.latent_size == 0
        assert merged.model.encoder.pooling == "last"

    @pytest.mark.parametrize("recipe", ["ptb", "yahoo", "yelp", "quick"])
    def test_a_language_model_of_a_recipe_is_one_in_either_order(self, recipe: str) -> None:
        for names in (["lm", recipe], [recipe, "lm"]):
            assert read_config(names).model.latent_size == 0
        assert read_config(["vae", recipe]).model.latent_size == 32

    def test_the_file_wins_over_presets_options_over_the_file_and_set_over_all(
        self, tmp_path: Path
    ) -> None:
        file = written(tmp_path / "a.toml", "seed = 1\n[objective]\nmi_weight = 2.0\nbeta = 2.0\n")
        options = {"objective.beta": 3.0, "training.epochs": 3, "seed": None}
        config = read_config(["mine"], file, options, ["training.epochs=4"])
        assert config.objective.mi_weight == 2.0
        assert config.objective.beta == 3.0
        assert config.training.epochs == 4
        assert config.seed == 1  # an option not given changes nothing

    def test_the_last_of_two_overrides_wins(self) -> None:
        assert read_config(overrides=["seed=1", "seed=2"]).seed == 2


class TestKinds:
    def test_another_kind_replaces_the_table(self) -> None:
        schedule = read_config(overrides=["objective.beta_schedule.kind=cyclical"])
        assert schedule.objective.beta_schedule == Cyclical()

    def test_the_same_kind_keeps_the_table(self) -> None:
        begun = ["objective.beta_schedule.over=9", "objective.beta_schedule.kind=linear"]
        default = RunConfig().objective.beta_schedule
        assert isinstance(default, Linear)
        expected = default.model_copy(update={"over": 9.0})
        assert read_config(overrides=begun).objective.beta_schedule == expected

    def test_a_table_without_a_kind_changes_the_existing_kind(self, tmp_path: Path) -> None:
        file = written(tmp_path / "a.toml", "[data.tokenizer]\nvocab_size = 300\n")
        options = {"data.tokenizer": {"kind": "word"}}
        assert read_config(file=file).data.tokenizer == BPETokenizerConfig(vocab_size=300)
        assert read_config(options=options).data.tokenizer == WordTokenizerConfig()

    def test_what_follows_a_new_kind_is_read_as_that_kind(self) -> None:
        config = read_config(
            overrides=[
                "training.optimizer.kind=sgd",
                "training.optimizer.learning_rate=0.5",
                "objective.mi_schedule={kind='constant', value=0.5}",
            ]
        )
        assert config.training.optimizer == SGDConfig(learning_rate=0.5)
        assert config.objective.mi_schedule == Constant(value=0.5)

    @pytest.mark.parametrize("kind", ["gru", "transformer"])
    def test_another_network_keeps_the_settings_of_the_method(self, kind: str) -> None:
        """The network of a recipe must not turn the baseline into a method against collapse."""
        overrides = [f"model.{part}.kind={kind}" for part in ("encoder", "decoder")]
        overrides.insert(0, "model.decoder.word_dropout=0.25")
        for preset, pooling in (("vae", "last"), ("pooling", "max"), ("mine", "max")):
            model = read_config([preset], overrides=overrides).model
            assert (model.encoder.kind, model.decoder.kind) == (kind, kind)
            assert model.encoder.pooling == pooling
            assert model.decoder.word_dropout == 0.25

    def test_recurrent_networks_are_of_the_same_sizes(self) -> None:
        lstm, gru = (
            read_config(["quick"], overrides=[f"model.decoder.kind={kind}"]).model.decoder
            for kind in ("lstm", "gru")
        )
        assert gru.model_dump() == {**lstm.model_dump(), "kind": "gru"}
        assert gru.model_dump()["hidden_size"] == 128

    def test_a_transformer_has_its_own_sizes_and_dropout(self) -> None:
        config = read_config(["quick"], overrides=["model.decoder.kind=transformer"])
        assert config.model.decoder == TransformerDecoderConfig()

    def test_and_back_again_gives_the_defaults_of_the_kind(self) -> None:
        overrides = [f"training.optimizer.kind={kind}" for kind in ("sgd", "adam")]
        overrides.insert(0, "training.optimizer.learning_rate=9")
        assert read_config(overrides=overrides).training.optimizer == AdamConfig()


class TestOverrides:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("data.train=my corpus.txt", "my corpus.txt"),
            ("data.train='quoted'", "quoted"),
            ("data.train=a=b", "a=b"),
            ("data.train=", ""),
            (" data.train = spaced ", "spaced"),
            ('data.train="2020"', "2020"),
        ],
    )
    def test_a_bare_word_is_a_string(self, text: str, value: str) -> None:
        assert read_config(overrides=[text]).data.train == value

    @pytest.mark.parametrize("text", ["training.epochs=1_000", "training.epochs= 1000"])
    def test_numbers_are_those_of_toml(self, text: str) -> None:
        assert read_config(overrides=[text]).training.epochs == 1000

    @pytest.mark.parametrize("text", ["seed", "", "--set"])
    def test_without_an_equals_sign_the_form_is_explained(self, text: str) -> None:
        with pytest.raises(ConfigError, match=r"section\.key=value"):
            read_config(overrides=[text])


class TestMistakes:
    @pytest.mark.parametrize(
        ("key", "nearest"),
        [
            ("training.epoch", "training.epochs"),
            ("objective.mi_weigth", "objective.mi_weight"),
            ("mi_weigth", "objective.mi_weight"),
            ("latent_size", "model.latent_size"),
            ("data.tokenizer.vocb_size", "data.tokenizer.vocab_size"),
            ("modell.latent_size", "model"),
            ("objective.beta_schedule.dely", "objective.beta_schedule.delay"),
            ("sede", "seed"),
        ],
    )
    def test_a_misspelt_key_names_the_nearest_one(self, key: str, nearest: str) -> None:
        with pytest.raises(ConfigError, match=f"did you mean '{nearest}'"):
            read_config(overrides=[f"{key}=1"])

    @pytest.mark.parametrize("key", ["data.word", "objective.linear", "data.tokenizer.bpe"])
    def test_a_key_spelt_like_a_kind_is_still_named_in_full(self, key: str) -> None:
        with pytest.raises(ConfigError, match=f"'{key}'"):
            read_config(overrides=[f"{key}=1"])

    def test_a_key_of_another_kind_gets_no_suggestion(self) -> None:
        key = "objective.beta_schedule.cycles"
        with pytest.raises(ConfigError, match=key) as caught:
            read_config(overrides=[f"{key}=3"])
        assert "did you mean" not in str(caught.value)
        assert "kind" in str(caught.value)

    def test_an_unrelated_key_gets_no_suggestion(self) -> None:
        with pytest.raises(ConfigError, match=r"'qqqqqq'$"):
            read_config(overrides=["qqqqqq=1"])

    def test_all_mistakes_are_listed(self, tmp_path: Path) -> None:
        file = written(tmp_path / "a.toml", "[training]\nepoch = 3\nbatch_size = 1\n")
        with pytest.raises(ConfigError) as caught:
            read_config(file=file)
        for told in ("training.epoch'", "training.batch_size", "training.epochs"):
            assert told in str(caught.value)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("training.batch_size", "1"),
            ("training.epochs", "0"),
            ("training.epochs", "2.5"),
            ("model.latent_size", "-1"),
            ("model.encoder.pooling", "median"),
            ("model.encoder.kind", "rnn"),
            ("model.decoder.layers", "0"),
            ("model.decoder.dropout", "1.0"),
            ("objective.beta", "-0.1"),
            ("objective.beta", "nan"),
            ("objective.beta_schedule.over", "0"),
            ("data.tokenizer.vocab_size", "257"),
            ("data.tokenizer", "word"),
            ("data.max_tokens", "many"),
            ("data.valid_share", "1.5"),
            ("training.decay", "1"),
            ("seed", "x"),
            ("model", "3"),
        ],
    )
    def test_a_bad_value_names_its_key(self, key: str, value: str) -> None:
        with pytest.raises(ConfigError, match=f"^'{key}' "):
            read_config(overrides=[f"{key}={value}"])

    def test_a_bad_kind_lists_the_valid_kinds(self) -> None:
        with pytest.raises(ConfigError, match=r"'data\.tokenizer\.kind'.*word, bpe"):
            read_config(overrides=["data.tokenizer.kind=character"])

    @pytest.mark.parametrize("key", ["model.encoder.kind", "model.decoder.kind"])
    def test_a_bad_network_lists_the_valid_networks(self, key: str) -> None:
        with pytest.raises(ConfigError, match=rf"'{key}'.*lstm, gru, transformer"):
            read_config(overrides=[f"{key}=rnn"])

    @pytest.mark.parametrize("part", ["encoder", "decoder"])
    def test_heads_that_do_not_divide_the_width_are_refused(self, part: str) -> None:
        overrides = [f"model.{part}.kind=transformer", f"model.{part}.heads=3"]
        with pytest.raises(ConfigError, match=rf"^'model\.{part}\.heads' [^;]*256$"):
            read_config(overrides=overrides)
        assert read_config(overrides=[*overrides, f"model.{part}.width=9"])
        with pytest.raises(ConfigError, match=rf"^'model\.{part}\.width' [^;]*$"):
            read_config(overrides=[*overrides, f"model.{part}.width=0"])

    def test_settings_of_another_network_are_rejected(self) -> None:
        overrides = ["model.encoder.kind=transformer", "model.encoder.hidden_size=9"]
        with pytest.raises(ConfigError, match=r"^'model\.encoder\.hidden_size' [^;]*kind$"):
            read_config(overrides=overrides)

    @pytest.mark.parametrize("kind", ["lstm", "gru"])
    def test_tied_widths_must_be_equal(self, kind: str) -> None:
        settings = f"{{kind='{kind}', tie_weights=true, hidden_size=9}}"
        with pytest.raises(ConfigError, match=r"^'model\.decoder' .*tie_weights"):
            read_config(overrides=[f"model.decoder={settings}"])

    def test_a_misspelt_preset_names_the_nearest_one(self) -> None:
        with pytest.raises(ConfigError, match=r"'min'.*'mine'"):
            read_config(["min"])

    @pytest.mark.parametrize("name", ["", ".", "../config", "mine.toml"])
    def test_a_preset_is_a_name_and_not_a_path(self, name: str) -> None:
        with pytest.raises(ConfigError, match="preset"):
            preset_text(name)

    @pytest.mark.parametrize("content", [b"seed = ", b"\xff", b"[a]\n[a]\n"])
    def test_a_file_that_is_no_toml_is_named(self, content: bytes, tmp_path: Path) -> None:
        (tmp_path / "a.toml").write_bytes(content)
        with pytest.raises(ConfigError, match=r"a\.toml"):
            read_config(file=tmp_path / "a.toml")

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="absent"):
            read_config(file=tmp_path / "absent.toml")


BOUNDS: list[tuple[str, float, float]] = [
    # key, minimum, maximum
    ("seed", 0, 2**63 - 1),
    ("data.max_tokens", 1, 1_000_000),
    ("data.tokenizer.vocab_size", 258, 10_000_000),
    ("data.tokenizer.min_count", 1, 1_000_000),
    ("model.latent_size", 0, 65_536),
    ("model.encoder.layers", 1, 64),
    ("model.decoder.layers", 1, 64),
    ("model.encoder.embedding_size", 1, 65_536),
    ("model.encoder.hidden_size", 1, 65_536),
    ("model.decoder.embedding_size", 1, 65_536),
    ("model.decoder.hidden_size", 1, 65_536),
    ("critic.network.hidden_size", 1, 65_536),
    ("critic.network.score_size", 1, 65_536),
    ("critic.steps", 1, 1_000_000),
    ("critic.queue_size", 0, 1_000_000),
    ("training.epochs", 1, 1_000_000),
    ("training.batch_size", 2, 65_536),
    ("training.patience", 1, 1_000_000),
    ("training.max_decays", 0, 1_000_000),
    ("training.cooldown_epochs", 0, 1_000_000),
    ("training.log_every", 1, 1_000_000),
    ("objective.beta", 0, 1_000_000),
    ("objective.mi_weight", 0, 1_000_000),
    ("objective.beta_schedule.start", 0, 1_000_000),
    ("objective.beta_schedule.end", 0, 1_000_000),
    ("objective.beta_schedule.delay", 0, 1_000_000),
    ("objective.mi_schedule.value", 0, 1_000_000),
]


class TestBounds:
    @pytest.mark.parametrize(("key", "least", "most"), BOUNDS, ids=[row[0] for row in BOUNDS])
    def test_sizes_that_no_machine_could_hold_are_refused(
        self, key: str, least: float, most: float
    ) -> None:
        for value in (least, most):
            config = read_config(overrides=[f"{key}={value}"])
            assert dict(leaves(config.model_dump()))[key] == value
        for wrong in (least - 1, most + 1, 10**400, -(10**400), "0x" + "f" * 5000):
            with pytest.raises(ConfigError, match=f"'{key}' cannot be"):
                read_config(overrides=[f"{key}={wrong}"])

    def test_no_number_is_without_a_bound(self) -> None:
        for key, value in leaves(RunConfig().model_dump()):
            if isinstance(value, bool | str):
                continue
            given = (10**400, "inf", "-inf", "nan", "1e400") if type(value) is int else (
                "inf", "-inf", "nan", "1e400", "-1"
            )  # fmt: skip
            for wrong in given:
                with pytest.raises(ConfigError, match=f"'{key}' cannot be"):
                    read_config(overrides=[f"{key}={wrong}"])

    @pytest.mark.parametrize(
        "key",
        ["cyclical.cycles", "cyclical.period", "linear.over", "linear.delay", "constant.value"],
    )
    @pytest.mark.parametrize("value", ["1e7", "inf", "nan", "-1"])
    def test_schedules_are_bounded(self, key: str, value: str) -> None:
        kind, _, field = key.partition(".")
        table = f"{{kind='{kind}', {field}={value}}}"
        with pytest.raises(ConfigError, match=f"beta_schedule.{field}' cannot be"):
            read_config(overrides=[f"objective.beta_schedule={table}"])

    @pytest.mark.parametrize(
        ("key", "least", "most"),
        [
            ("width", 4, 65_536),
            ("layers", 1, 64),
            ("heads", 1, 1024),
            ("feedforward_size", 1, 65_536),
        ],
    )
    @pytest.mark.parametrize("part", ["encoder", "decoder"])
    def test_transformers_are_bounded(self, part: str, key: str, least: int, most: int) -> None:
        place = f"model.{part}"
        transformer = [f"{place}.kind=transformer", f"{place}.width=65536"]
        for value in (least, most):
            config = read_config(overrides=[*transformer, f"{place}.{key}={value}"])
            assert dict(leaves(config.model_dump()))[f"{place}.{key}"] == value
        for wrong in (0, most + 1, 10**400, "inf"):
            with pytest.raises(ConfigError, match=f"'{place}.{key}' cannot be"):
                read_config(overrides=[*transformer, f"{place}.{key}={wrong}"])

    @pytest.mark.parametrize(
        "key",
        ["name", "device", "data.train", "data.valid", "data.test", "data.field", "data.column"],
    )
    @pytest.mark.parametrize("text", ["\0", "a\n", "\x1b]0;owned\x07", "\x7f", "\x9b", "x" * 5000])
    def test_strings_hold_no_controls_and_end(self, key: str, text: str) -> None:
        with pytest.raises(ConfigError, match=f"'{key}' cannot be") as caught:
            read_config(options={key: text})
        assert len(str(caught.value)) < 200
        assert str(caught.value).isprintable()

    @pytest.mark.parametrize("text", ["Ünï 猫 👩‍👧.txt", "a\u200cb", "[/]", "x" * 4096])
    def test_any_other_string_is_accepted(self, text: str) -> None:
        assert read_config(options={"data.train": text}).data.train == text


class TestOddSources:
    """Any content of a file or override gives a message of one short line."""

    @pytest.mark.parametrize(
        "text",
        ["=1", " = ", "a..b=1", ".seed=1", "seed.=1", "a." * 10_000 + "a=1", "seed=1\nname='x'",
         "name='''a\nb'''", "seed=1\rname='x'", "a\nb=1", "seed=" + "9" * 5000,
         "seed=0x" + "f" * 5000, "seed=" + "[" * 5000, "seed=" + "{a=" * 5000, "x" * 9999,
         "x" * 9999 + "=1", "data.train.a.b.c.d=1", "data.train=\ud800",
         "data.tokenizer.kind=" + "k" * 5000, "data.tokenizer.kind=0x" + "f" * 4000,
         "model=" + "[" * 100 + "]" * 100],
        ids=lambda text: repr(text[:20]),
    )  # fmt: skip
    def test_an_override(self, text: str) -> None:
        with pytest.raises(ConfigError) as caught:
            read_config(overrides=[text])
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300

    def test_a_long_preset_name_is_shortened(self) -> None:
        with pytest.raises(ConfigError, match="preset") as caught:
            preset_text("x" * 100_000)
        assert len(str(caught.value)) < 200

    @pytest.mark.parametrize(
        "content",
        [b"#" * (MAX_TOML_BYTES + 1), b"a." * 100_000 + b"a = 1", b"[" + b"a." * 100_000 + b"a]",
         b"a = " + b"[" * 100_000, b"a = " + b"{b = " * 10_000, b"seed = " + b"9" * 5000,
         b"seed = 0x" + b"f" * 5000, b"\xff", b"\0", b"seed = 1\0", b'name = "' + b"x" * 9999 + b'"',
         b"".join(b"key%d = 1\n" % number for number in range(10_000))],
        ids=lambda content: repr(content[:12]),
    )  # fmt: skip
    def test_a_file(self, content: bytes, tmp_path: Path) -> None:
        (tmp_path / "a.toml").write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            read_config(file=tmp_path / "a.toml")
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 1500

    def test_a_file_of_the_utmost_size_is_read(self, tmp_path: Path) -> None:
        lines = b"# ....................................................\n"
        content = b"seed = 3\n" + lines * ((MAX_TOML_BYTES - 9) // len(lines))
        (tmp_path / "a.toml").write_bytes(content.ljust(MAX_TOML_BYTES, b"\n"))
        assert read_config(file=tmp_path / "a.toml").seed == 3

    def test_many_mistakes_are_shortened(self, tmp_path: Path) -> None:
        content = "".join(f"key{number} = 1\n" for number in range(1020))
        with pytest.raises(ConfigError, match=r"'key19'.*and 1,000 more$"):
            read_config(file=written(tmp_path / "a.toml", content))

    @pytest.mark.parametrize(
        "value", [16**5000, [[]] * 5000, {"a": 16**5000}], ids=["int", "list", "table"]
    )
    def test_a_value_from_a_program(self, value: object) -> None:
        with pytest.raises(ConfigError, match="'seed' cannot be") as caught:
            read_config(options={"seed": value})
        assert len(str(caught.value)) < 300

    @given(st.text() | st.binary().map(lambda content: content.decode("latin-1")))
    def test_any_override_is_read_or_rejected_in_one_line(self, text: str) -> None:
        for override in (text, f"name={text}", f"seed={text}", f"{text}=1"):
            message = ""
            try:
                read_config(overrides=[override])
            except ConfigError as error:
                message = str(error)
            assert len(message) < 400
            assert "\n" not in message


class TestPresets:
    def test_some_come_with_mivae(self) -> None:
        assert {"mine", "vae", "lm"} <= set(preset_names())

    @pytest.mark.parametrize("name", preset_names())
    def test_every_preset_validates(self, name: str) -> None:
        config = read_config([name])
        assert config.name == name

    @pytest.mark.parametrize("name", preset_names())
    def test_every_preset_describes_itself_in_one_line(self, name: str) -> None:
        description = describe_preset(name)
        assert 10 < len(description) < 100
        assert description.splitlines() == [description.strip()]

    @pytest.mark.parametrize("name", preset_names())
    def test_every_value_of_a_preset_arrives(self, name: str) -> None:
        table = tomllib.loads(preset_text(name))
        assert table.pop("kind") in ("method", "recipe")
        del table["description"]
        found = read_config([name]).model_dump(mode="json")
        for key, value in leaves(table):
            assert dict(leaves(found))[key] == value, key

    def test_mine_is_the_default(self) -> None:
        assert read_config(["mine"]).model_copy(update={"name": "default"}) == RunConfig()

    def test_methods_change_the_plain_vae_and_recipes_the_default(self) -> None:
        assert read_config(["free-bits"]).objective.mi_weight == 0
        assert read_config(["free-bits"]).model.encoder.pooling == "last"
        assert read_config(["ptb"]).objective == RunConfig().objective
        both = read_config(["mine", "free-bits", "ptb"])
        assert both.objective.mi_weight == 1
        assert both.objective.rate == read_config(["free-bits"]).objective.rate
        assert both.training == read_config(["ptb"]).training
        assert both.name == "mine+free-bits+ptb"

    def test_mine_free_bits_is_both_with_a_small_target_and_combines_like_them(self) -> None:
        both = read_config(["mine", "free-bits"], overrides=["objective.rate.target=0.5"])
        assert read_config(["mine-free-bits"]) == both.model_copy(
            update={"name": "mine-free-bits"}
        )
        with_recipe = read_config(["mine-free-bits", "ptb"])
        assert with_recipe.objective == both.objective
        assert with_recipe.training == read_config(["ptb"]).training

    def test_a_preset_over_a_base_changes_only_its_own_settings(self) -> None:
        run = read_config(["mine"])
        assert read_config(["free-bits"], base=run).objective.mi_weight == 1


def leaves(table: dict[str, Any], prefix: str = "") -> list[tuple[str, object]]:
    pairs: list[tuple[str, object]] = []
    for key, value in table.items():
        if isinstance(value, dict):
            pairs += leaves(value, f"{prefix}{key}.")
        else:
            pairs.append((f"{prefix}{key}", value))
    return pairs


VARIANTS = [
    [],
    [
        "data.tokenizer.kind=word",
        "training.optimizer.kind=sgd",
        "critic.network.kind=concatenated",
    ],
    ["model.encoder.kind=gru", "model.decoder.kind=transformer", "model.decoder.heads=8"],
    ["model.encoder.kind=transformer", "model.decoder.kind=gru", "model.decoder.layers=3"],
    ["objective.beta_schedule.kind=cyclical", "objective.mi_schedule.kind=linear"],
    ["model.init_scale=0.01", "critic.clip=5", "training.max_norm=1e300", "seed=123456789"],
    ["training.optimizer.learning_rate=1e-05", "critic.learning_rate=1e-300"],
]


class TestPathsToText:
    def test_those_of_a_file_are_relative_to_it(self, tmp_path: Path) -> None:
        (tmp_path / "below").mkdir()
        text = '[data]\ntrain = "corpus.txt"\nvalid = "../valid.txt"\ntest = "/data/test.txt"\n'
        file = written(tmp_path / "below" / "a.toml", text)
        data = read_config(file=file).data
        assert data.train == str(tmp_path.resolve() / "below" / "corpus.txt")
        assert Path(data.valid).resolve() == tmp_path.resolve() / "valid.txt"
        assert data.test == "/data/test.txt"

    @pytest.mark.parametrize("text", ["", "-"])
    def test_values_that_are_not_paths_are_kept(self, text: str, tmp_path: Path) -> None:
        file = written(tmp_path / "a.toml", f'[data]\ntrain = "{text}"\n')
        assert read_config(file=file).data.train == text

    def test_those_of_the_command_line_are_as_they_are(self, tmp_path: Path) -> None:
        file = written(tmp_path / "a.toml", '[data]\ntrain = "a.txt"\nvalid = "b.txt"\n')
        options = {"data.train": "corpus.txt"}
        data = read_config((), file, options, ["data.valid=valid.txt"]).data
        assert (data.train, data.valid) == ("corpus.txt", "valid.txt")

    def test_they_are_the_same_from_every_working_directory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "below").mkdir()
        written(tmp_path / "a.toml", '[data]\ntrain = "corpus.txt"\n')
        monkeypatch.chdir(tmp_path)
        here = read_config(file=Path("a.toml"))
        monkeypatch.chdir("below")
        assert read_config(file=Path("../a.toml")) == here
        assert here.data.train == str(tmp_path.resolve() / "corpus.txt")

    @pytest.mark.parametrize("data", ["data = 3", "[data]\ntrain = 3", "[data]\ntrain = [1]"])
    def test_a_file_that_is_not_utf8_is_an_error(self, data: str, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="data"):
            read_config(file=written(tmp_path / "a.toml", data))


class TestTemplate:
    @pytest.mark.parametrize("name", preset_names())
    @pytest.mark.parametrize("overrides", VARIANTS)
    def test_it_resolves_to_the_same_configuration(
        self, name: str, overrides: list[str], tmp_path: Path
    ) -> None:
        config = read_config([name], overrides=overrides)
        file = written(tmp_path / "a.toml", template(config))
        assert read_config(file=file) == config

    @given(st.text())
    def test_any_string_comes_back(self, text: str) -> None:
        config = RunConfig().model_copy(
            update={"data": RunConfig().data.model_copy(update={"train": text})}
        )
        assert tomllib.loads(template(config))["data"]["train"] == text

    @given(st.floats(0, 1e6))
    def test_any_weight_comes_back(self, weight: float) -> None:
        config = read_config(options={"objective.beta": weight})
        assert tomllib.loads(template(config))["objective"]["beta"] == weight

    @pytest.mark.parametrize("overrides", VARIANTS)
    def test_it_explains_every_key_that_it_writes(self, overrides: list[str]) -> None:
        config = read_config(overrides=overrides)
        lines = template(config).splitlines()
        names = [line.partition(" =")[0] for line in lines]
        for key, _ in leaves(config.model_dump()):
            name = key.rpartition(".")[2]
            assert name in names, key
            if name != "kind":  # described at the head of its table
                places = [place for place, found in enumerate(names) if found == name]
                assert all(lines[place - 1].startswith("# ") for place in places), key

    def test_an_optional_value_is_written_as_none(self) -> None:
        assert '\ninit_scale = "none"\n' in template(RunConfig())


def test_none_removes_the_value_of_a_preset() -> None:
    assert read_config(["ptb"]).model.init_scale == 0.01
    assert read_config(["ptb"], overrides=["model.init_scale=none"]).model.init_scale is None
    with pytest.raises(ConfigError, match="learning_rate"):
        read_config(overrides=["training.optimizer.learning_rate=none"])


def test_every_known_key_has_a_description() -> None:
    keys = known_keys()
    assert [key for key, text in keys.items() if not text and not key.endswith("kind")] == []


@pytest.mark.parametrize("overrides", VARIANTS)
def test_every_key_of_a_configuration_is_known(overrides: list[str]) -> None:
    found = {key for key, _ in leaves(read_config(overrides=overrides).model_dump())}
    assert found <= set(known_keys())


@pytest.mark.parametrize("overrides", VARIANTS)
def test_a_configuration_survives_its_json(overrides: list[str]) -> None:
    config = read_config(overrides=overrides)
    text = json.dumps(config.model_dump(mode="json"))
    assert RunConfig.model_validate_json(text) == config


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_a_network_without_a_kind_is_an_lstm_as_it_always_was(part: str) -> None:
    config = RunConfig.model_validate({"model": {part: {"hidden_size": 9}}})
    assert config == read_config(overrides=[f"model.{part}.hidden_size=9"])
    assert dict(leaves(config.model_dump()))[f"model.{part}.kind"] == "lstm"
