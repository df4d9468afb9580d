"""Schedules: the value of each piece, and the epoch from which nothing moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from mivae_cli.objectives.schedules import Constant, Cyclical, Linear, Schedule

ADAPTER: TypeAdapter[Constant | Linear | Cyclical] = TypeAdapter(Schedule)
factors = st.floats(0, 10)
epochs = st.floats(0, 100)
shares = st.floats(0, 1)
constants = st.builds(Constant, value=factors)
ramps = st.builds(
    Linear, start=factors, end=factors, delay=st.floats(0, 20), over=st.floats(0.01, 50)
)
cycles = st.builds(
    Cyclical, cycles=st.integers(1, 6), period=st.integers(1, 16), rise=st.floats(0.05, 0.95)
)
schedules = constants | ramps | cycles


@given(factors, epochs)
def test_a_constant_is_the_same_at_all_times(value: float, epoch: float) -> None:
    assert Constant(value=value)(epoch) == value
    assert Constant(value=value).settled == 0


@given(ramps, shares)
def test_a_ramp_is_flat_before_and_after(ramp: Linear, share: float) -> None:
    assert ramp(share * ramp.delay) == ramp.start
    assert ramp(ramp.settled + share) == pytest.approx(ramp.end)


@given(ramps, shares)
def test_a_ramp_is_a_straight_line_between(ramp: Linear, share: float) -> None:
    epoch = ramp.delay + share * ramp.over
    assert ramp(epoch) == pytest.approx((1 - share) * ramp.start + share * ramp.end, abs=1e-6)


@given(cycles, shares, st.data())
def test_each_cycle_rises_from_nothing_and_then_stays_at_one(
    cycle: Cyclical, share: float, data: st.DataObject
) -> None:
    begin = data.draw(st.integers(0, cycle.cycles - 1)) * cycle.period
    rising = cycle.rise * cycle.period
    assert cycle(begin) == 0
    assert cycle(begin + share * rising) == pytest.approx(share, abs=1e-6)
    plateau = begin + rising + share * 0.999 * (cycle.period - rising)
    assert cycle(plateau) == pytest.approx(1)


@given(st.floats(0, 0.999), st.integers(0, 3))
def test_a_cycle_that_rises_all_the_time_is_a_saw(share: float, cycle: int) -> None:
    saw = Cyclical(cycles=4, period=2.0, rise=1.0)
    assert saw(2 * (cycle + share)) == pytest.approx(share, abs=1e-6)
    assert saw(8.0) == saw.settled / 8 == 1


@given(cycles, epochs)
def test_after_the_last_ramp_a_cycle_stays_at_one(cycle: Cyclical, later: float) -> None:
    last = (cycle.cycles - 1) * cycle.period
    assert cycle.settled == pytest.approx(last + cycle.rise * cycle.period)
    assert cycle(cycle.settled + later) == 1


@given(schedules, epochs)
def test_nothing_moves_once_settled(schedule: Schedule, later: float) -> None:
    final = schedule(schedule.settled)
    assert schedule(schedule.settled + later) == pytest.approx(final)


@given(ramps | cycles)
def test_it_still_moves_just_before_it_is_settled(schedule: Linear | Cyclical) -> None:
    rise = schedule.over if isinstance(schedule, Linear) else schedule.rise * schedule.period
    height = schedule.end - schedule.start if isinstance(schedule, Linear) else 1.0
    before = schedule(schedule.settled - rise / 2)
    assert schedule(schedule.settled) - before == pytest.approx(height / 2, abs=1e-6)


@given(schedules, epochs)
def test_a_factor_lies_between_the_ends(schedule: Schedule, epoch: float) -> None:
    match schedule:
        case Constant():
            low = high = schedule.value
        case Linear():
            low, high = sorted((schedule.start, schedule.end))
        case Cyclical():
            low, high = 0.0, 1.0
    assert low - 1e-9 <= schedule(epoch) <= high + 1e-9


@given(schedules)
def test_a_schedule_survives_its_json(schedule: Schedule) -> None:
    assert ADAPTER.validate_json(schedule.model_dump_json()) == schedule


@pytest.mark.parametrize(
    "table",
    [
        {"kind": "sine"},
        {"value": 1.0},
        {"kind": "constant", "value": -1},
        {"kind": "constant", "end": 1},
        {"kind": "linear", "over": 0},
        {"kind": "linear", "delay": -1},
        {"kind": "cyclical", "cycles": 0},
        {"kind": "cyclical", "rise": 0},
        {"kind": "cyclical", "rise": 1.1},
    ],
)
def test_what_is_no_schedule_is_refused(table: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ADAPTER.validate_python(table)


def test_a_schedule_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Constant().value = 2.0
