"""The sandbox's own catalogue: the shipped one, watched for a shorter time."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.catalogue import load_catalogue
from deployments.sandbox.patience import HOLD_SECONDS, by_codedeploy, less_patient, with_values
from deployments.sandbox.settings import Settings
from rules.strategies import check_strategies
from rules.vocabulary import Controller, Strategy

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
    same = replace(mine, canary=shipped.canary, judge=shipped.judge, sha256=shipped.sha256)
    assert same == shipped
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
