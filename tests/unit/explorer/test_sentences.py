"""Labels as colours, and the order and hash of sentences."""

import math

import numpy as np
import pytest

from mivae_cli.data.token_store import TokenStore
from mivae_cli.explorer.sentences import Label, Sentences, drawn_order, json_label, label_kind


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1.5, 2.0, None], "number"),
        ([float(value) for value in range(11)], "number"),
        ([0.0, 1.0, 1.0], "category"),
        (["a", 1.0], "category"),
        ([None], "category"),
    ],
)
def test_numbers_are_a_scale_unless_they_are_few_integers(
    values: list[str | float | None], kind: str
) -> None:
    assert label_kind(values) == kind


def test_codes_are_places_in_the_categories() -> None:
    label = Label("topic", ["news", None, "art", "news"])
    assert label.categories == ["art", "news"]
    np.testing.assert_array_equal(label.codes(), [1, math.nan, 0, 1])
    assert Label("grade", [2.0, 1.0]).categories == ["1", "2"]
    np.testing.assert_array_equal(Label("size", [0.5, None]).codes(), [0.5, math.nan])


def test_rare_categories_become_other() -> None:
    values = [f"c{place:02}" for place in range(25)]
    label = Label("topic", [*values, *values[5:]])
    assert label.categories == [*(f"c{place:02}" for place in range(5, 25)), "other"]
    assert label.codes()[0] == 20  # other
    assert label.codes()[5] == 0


def test_the_order_is_a_random_permutation_that_repeats_itself() -> None:
    order = drawn_order(100, 100)
    assert sorted(order.tolist()) == list(range(100))
    assert order.tolist() != list(range(100))
    assert drawn_order(100, 10).tolist() == order[:10].tolist()


def test_the_digest_depends_on_ids_and_boundaries() -> None:
    def digest(ids: list[list[int]]) -> str:
        return Sentences("a", [""] * len(ids), TokenStore.from_ids(ids)).digest

    assert digest([[2, 3], [4]]) == digest([[2, 3], [4]])
    assert len({digest(ids) for ids in ([[2, 3], [4]], [[2], [3, 4]], [[2, 3], [5]])}) == 3


def test_labels_are_json_values() -> None:
    found = [json_label(value) for value in ("a", None, math.nan, 2.0, 0.5, "b" * 300)]
    assert found[:5] == ["a", None, None, 2, 0.5]
    assert isinstance(found[3], int)
    assert len(str(found[5])) < 210
