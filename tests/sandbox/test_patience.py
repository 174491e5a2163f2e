"""The sandbox's own catalogue: the shipped one, watched for a shorter time."""

import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.catalogue import load_catalogue
from deployments.sandbox.patience import (
    HOLD_SECONDS,
    NOISE_MS,
    by_codedeploy,
    closed,
    impatient,
    less_patient,
    with_arrays,
    with_values,
)
from deployments.sandbox.settings import Settings
from rules.catalogue import Catalogue
from rules.strategies import check_strategies
from rules.vocabulary import Controller, Strategy
from rules.windows import next_opening

SHIPPED = Settings().catalogue
NAMES = st.sampled_from(["canary", "judge", "rollout"])
KEYS = st.sampled_from(["a", "b", "c_d"])
NUMBERS = st.dictionaries(NAMES, st.dictionaries(KEYS, st.integers(0, 99), min_size=1), max_size=3)


@pytest.mark.parametrize("minute", [1.0, 6.0, 60.0])
def test_the_shipped_catalogue_is_a_catalogue_with_less_patience_too(tmp_path: Path, minute: float) -> None:
    file = tmp_path / "catalogue.toml"
    file.write_text(less_patient(SHIPPED.read_text(), minute))
    mine, shipped = load_catalogue(file), load_catalogue(SHIPPED)
    assert mine.canary.window_minutes == 0.75
    assert HOLD_SECONDS <= mine.canary.hold_minutes * minute < HOLD_SECONDS + minute
    assert (mine.judge.segment_seconds, mine.judge.silence_seconds) == (10, 20)
    windows = shipped.windows
    assert (mine.validation.load.p95_ms, mine.validation.load.variables["SECONDS"]) == (500, "12")
    shorter = replace(shipped.validation.load, growth_ms=NOISE_MS, variables={"RATE": "20", "SECONDS": "12"})
    validation = replace(shipped.validation, load=shorter)
    assert mine.validation == validation
    same = replace(mine, canary=shipped.canary, judge=shipped.judge, windows=windows, sha256=shipped.sha256)
    assert replace(same, validation=shipped.validation) == shipped
    assert mine.canary.steps == shipped.canary.steps
    assert (mine.judge.max_error_rate, mine.judge.slow_ms) == (shipped.judge.max_error_rate, shipped.judge.slow_ms)


@given(NUMBERS, NUMBERS)
def test_numbers_are_replaced_or_added_and_all_others_stay(
    before: dict[str, dict[str, int]], wanted: dict[str, dict[str, int]]
) -> None:
    written = [
        line
        for table, numbers in before.items()
        for line in (f"[{table}] # why", *(f"{key} = {value}  # what" for key, value in numbers.items()), "")
    ]
    expected = {table: {**before.get(table, {}), **wanted.get(table, {})} for table in {*before, *wanted}}
    assert tomllib.loads(with_values("\n".join(["top = 1", *written]), wanted)) == {"top": 1, **expected}


def test_the_keys_of_an_array_are_not_those_of_the_table_before_it() -> None:
    text = "[a]\nb = 1\n[[a.list]]\nb = 2\n"
    assert tomllib.loads(with_values(text, {"a": {"b": 3}})) == {"a": {"b": 3, "list": [{"b": 2}]}}


@given(
    st.lists(st.sampled_from(["x", "y"]), max_size=4),
    st.lists(st.dictionaries(KEYS, st.text(st.characters(codec="ascii")), min_size=1), max_size=3),
)
def test_an_array_is_replaced_whole_and_all_others_stay(before: list[str], wanted: list[dict[str, str]]) -> None:
    written = "\n".join(f"[[t.{name}]] # why\nnumber = {place}" for place, name in enumerate(before))
    now = tomllib.loads(with_arrays(f"top = 1\n{written}\n[other]\nnumber = 9\n", {"t.x": wanted}))
    others = [{"number": place} for place, name in enumerate(before) if name == "y"]
    assert now.get("t", {}).get("x", []) == wanted
    assert now.get("t", {}).get("y", []) == others
    assert (now["top"], now["other"]) == (1, {"number": 9})


def test_comments_stay_where_arrays_go() -> None:
    text = "[[a]]\nb = [\n    1,\n]\n# of what follows\n[c]\n"
    assert with_arrays(text, {"a": []}) == "# of what follows\n[c]\n"


def catalogue_of(folder: Path, text: str) -> Catalogue:
    file = folder / "catalogue.toml"
    file.write_text(text)
    return load_catalogue(file)


@pytest.mark.parametrize("day", range(1, 9))
def test_production_is_open_at_any_time_unless_a_story_closes_it(tmp_path: Path, day: int) -> None:
    now = datetime(2026, 12, 19 + day, 22, 59, 59, tzinfo=UTC)  # in the shipped catalogue a freeze, too
    text = less_patient(SHIPPED.read_text(), 1.0)
    assert next_opening(catalogue_of(tmp_path, text).windows, now, 30) == now
    opens = next_opening(catalogue_of(tmp_path, closed(text, now)).windows, now, 30)
    assert opens is not None
    assert timedelta(hours=20) < opens - now < timedelta(days=3)


def test_a_story_may_give_approvers_seconds_only(tmp_path: Path) -> None:
    text = less_patient(SHIPPED.read_text(), 1.0)
    policy = catalogue_of(tmp_path, impatient(text, 20)).approvals
    assert policy.deadline_hours * 3600 == pytest.approx(20)
    assert policy.stages == catalogue_of(tmp_path, text).approvals.stages


def test_the_copy_stands_in_the_state_folder_and_the_processes_are_told_of_it(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path)
    settings.write("postgresql://nobody")
    assert str(settings.own_catalogue) in settings.file.read_text()
    assert load_catalogue(settings.own_catalogue).canary.extensions == 1


def test_codedeploy_gets_one_service_and_a_canary_of_the_one_step_that_it_knows(tmp_path: Path) -> None:
    file = tmp_path / "catalogue.toml"
    file.write_text(by_codedeploy(less_patient(SHIPPED.read_text(), 1.0), "gateway", 1.0))
    catalogue = load_catalogue(file)
    by_controller = {it.id for it in catalogue.services.values() if it.controller is Controller.CODEDEPLOY}
    assert by_controller == {"gateway"}
    assert catalogue.services["gateway"].codedeploy_group == "gateway"
    assert catalogue.canary.steps == (10,)
    assert check_strategies([catalogue.services["gateway"]], {"gateway": Strategy.CANARY}, catalogue.canary) == ()
