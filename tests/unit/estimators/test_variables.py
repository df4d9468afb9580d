"""Variables: kinds, joint codes in lexicographic order, and shapes that must fit."""

import pytest
import torch

from mivae_cli.estimators.variables import Variable

CODES = torch.tensor([[2, 0], [0, 1], [2, 0], [0, 0], [1, 3]])


def test_the_kind_depends_on_the_columns() -> None:
    numbers = torch.randn(5, 2)
    assert Variable.of("x", numbers).kind == "continuous"
    assert Variable.of("x", codes=CODES).kind == "discrete"
    mixed = Variable.of("x", numbers, CODES, ["a", "b", "c", "d"])
    assert (mixed.kind, mixed.columns, len(mixed)) == ("mixed", ("a", "b", "c", "d"), 5)
    assert (mixed.continuous.dtype, mixed.codes.dtype) == (torch.float64, torch.int64)


def test_a_vector_is_one_column() -> None:
    label = Variable.of("y", codes=CODES[:, 0])
    assert (label.codes.shape, label.levels, label.columns) == ((5, 1), (3,), ("1",))


def test_joint_codes_number_the_distinct_rows() -> None:
    assert Variable.of("x", codes=CODES).joint_code().tolist() == [3, 1, 3, 0, 2]
    assert Variable.of("x", torch.randn(5)).joint_code().tolist() == [0] * 5


def test_joint_codes_of_many_columns_do_not_overflow() -> None:
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(1000, (200, 40), generator=generator)  # 1000 ** 40 combinations
    codes[100:] = codes[:100]
    joint = Variable.of("x", codes=codes).joint_code()
    assert torch.equal(joint[:100], joint[100:])
    assert sorted(set(joint.tolist())) == list(range(100))


def test_rows_are_chosen_by_number_or_mask() -> None:
    variable = Variable.of("x", torch.arange(5.0), CODES)
    for index in (torch.tensor([4, 0]), CODES[:, 0] == 2):
        part = variable.rows(index)
        assert torch.equal(part.continuous[:, 0], torch.arange(5.0).double()[index])
        assert torch.equal(part.codes, CODES[index])
        assert part.columns == variable.columns


@pytest.mark.parametrize(
    ("continuous", "codes", "columns"),
    [
        (torch.zeros(4, 1), torch.zeros(5, 1), ()),
        (torch.zeros(5, 1), torch.zeros(5, 1), ("a",)),
        (torch.zeros(5, 1, 1), None, ()),
        (None, torch.tensor([0, -1]), ()),
        (torch.zeros(5, 0), None, ()),
        (None, None, ()),
    ],
)
def test_columns_must_fit_together(
    continuous: torch.Tensor | None, codes: torch.Tensor | None, columns: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match="column"):
        Variable.of("x", continuous, codes, columns)
    with pytest.raises(ValueError, match="float64"):
        Variable(torch.zeros(2, 1), torch.zeros(2, 0), "x", ("a",))
