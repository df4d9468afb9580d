"""Figures per sentence: what is written is read, and nothing else is accepted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from mivae_cli.evaluation.records import SENTENCE_FILE, EvaluationRecords
from mivae_cli.evaluation.sentence_values import SentenceValues, file_of
from support.evaluated import sentence_values, stored

FLOATS = np.ones(3, np.float32)
FIGURES = {"distortion": FLOATS, "rate": FLOATS, "iw_nll": FLOATS}


def test_figures_are_read_as_they_were_written() -> None:
    values = sentence_values(30)
    found = SentenceValues.of(values.content())
    for name in ("distortion", "rate", "iw_nll", "line"):
        before, after = getattr(values, name), getattr(found, name)
        assert after.dtype == before.dtype
        assert np.array_equal(before, after)
    assert len(found) == 30
    assert found.nll == pytest.approx(values.distortion.astype(float) + values.rate)


def test_line_numbers_may_be_unknown() -> None:
    assert SentenceValues.of(save(FIGURES)).line is None


CHANGES: dict[str, dict[str, np.ndarray]] = {
    "another shape": {"rate": np.ones(4, np.float32)},
    "a matrix": dict.fromkeys(FIGURES, np.ones((3, 1), np.float32)),
    "a number": dict.fromkeys(FIGURES, np.ones((), np.float32)),
    "another type": {"rate": np.ones(3)},
    "NaN": {"rate": np.array([1, np.nan, 1], np.float32)},
    "infinity": {"iw_nll": np.array([1, np.inf, 1], np.float32)},
    "lines of another shape": {"line": np.arange(2, dtype=np.uint32)},
    "lines of another type": {"line": np.arange(3, dtype=np.int64)},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_other_tensors_are_rejected(change: dict[str, np.ndarray]) -> None:
    SentenceValues.of(save(FIGURES))
    with pytest.raises(ValueError, match=r"shape or type|finite"):
        SentenceValues.of(save(FIGURES | change))


@pytest.mark.parametrize("name", FIGURES)
def test_a_missing_figure_is_rejected(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        SentenceValues.of(save({key: each for key, each in FIGURES.items() if key != name}))


@given(st.data())
def test_damaged_content_is_rejected_or_read(data: st.DataObject) -> None:
    content = bytearray(save(FIGURES))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        values = SentenceValues.of(bytes(content[: data.draw(st.integers(0, len(content)))]))
    except ValueError:
        return
    assert values.finite
    assert len(values) == len(values.rate) == len(values.iw_nll)


def test_the_name_of_a_file_depends_on_its_content() -> None:
    files = [file_of(sentence_values(seed=seed).content(), "epoch-0003") for seed in (0, 0, 1)]
    assert files[0] == files[1]
    assert files[0].file != files[2].file
    assert all(SENTENCE_FILE.fullmatch(each.file) for each in files)


@pytest.mark.parametrize(
    "change",
    [
        {"file": "../epoch-0001-0123456789abcdef.safetensors"},
        {"file": "/etc/passwd"},
        {"file": "epoch-0001-0123456789abcdef.safetensors\n"},
        {"file": ["epoch-0001"]},
        {"sha256": "0" * 63},
        {"size": -1},
        {"size": True},
        {"size": 10**400},
        {"file": None},
    ],
)
def test_a_record_cannot_name_another_file(change: dict[str, object]) -> None:
    record, _ = stored(sentence_values())
    EvaluationRecords.of({"evaluations": [record]})
    record["sentence_values"] |= change
    with pytest.raises(ValueError, match="sentence_values"):
        EvaluationRecords.of({"evaluations": [record]})
