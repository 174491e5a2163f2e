"""What the snapshot of a run is called, and what is next by what is seen of it."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.snapshots import (
    LONGEST_IDENTIFIER,
    LOST,
    Look,
    Move,
    Snapshot,
    next_step,
    snapshot_name,
    tag_values,
    unready,
)

DATABASE = "batbern-production"
RUN = "5f2c9c1e-7a55-4d0e-b8f3-0f6f1f4b7c11"
NAME = snapshot_name("batbern", "production", "a1b2c3d4e5f60718", RUN)
CREATING = Snapshot(NAME, DATABASE, "creating", 40, None, encrypted=True)
LIMIT = 60


def look(snapshot: Snapshot | None = CREATING, minutes: float = 1, refused: str = "") -> Look:
    return Look(DATABASE, NAME, snapshot, minutes, refused)


def test_the_name_says_what_where_which_plan_and_which_run() -> None:
    assert f"batbern-production-a1b2c3d4e5f60718-{RUN}" == NAME


@given(st.text(max_size=300), st.text(max_size=300), st.from_regex(r"[0-9a-f]{16}", fullmatch=True), st.uuids())
def test_every_name_keeps_to_the_rules_of_rds(application: str, environment: str, plan: str, run: object) -> None:
    name = snapshot_name(application, environment, plan, str(run))
    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name)
    assert len(name) <= LONGEST_IDENTIFIER
    assert name.endswith(f"{plan}-{run}")


@given(st.text(max_size=400))
def test_every_tag_is_one_that_aws_takes(value: str) -> None:
    tags = tag_values({"run": value})
    assert re.fullmatch(r"[A-Za-z0-9 _.:/=+@-]{0,256}", tags["run"])


def test_what_is_not_there_is_taken() -> None:
    assert next_step(look(None), LIMIT).move is Move.TAKE


def test_what_is_on_its_way_is_waited_for_and_its_percentage_told() -> None:
    step = next_step(look(), LIMIT)
    assert (step.move, step.percent) == (Move.WAIT, 40)
    assert "40 %" in step.why


def test_what_is_there_is_enough_however_late() -> None:
    assert next_step(look(replace(CREATING, status="available", percent=100), minutes=999), LIMIT).move is Move.DONE


@pytest.mark.parametrize("status", sorted(LOST))
def test_one_that_failed_is_an_error_and_not_taken_again(status: str) -> None:
    step = next_step(look(replace(CREATING, status=status)), LIMIT)
    assert step.move is Move.FAIL
    assert status in step.why


def test_one_of_another_database_is_not_ours() -> None:
    step = next_step(look(replace(CREATING, database="other", status="available")), LIMIT)
    assert step.move is Move.FAIL
    assert "of other" in step.why


def test_rds_writes_names_in_lower_case() -> None:
    seen = Look("BATbern-Production", NAME, replace(CREATING, status="available"), 1)
    assert next_step(seen, LIMIT).move is Move.DONE


def test_on_the_limit_is_waited_for_and_beyond_it_not() -> None:
    assert next_step(look(minutes=LIMIT), LIMIT).move is Move.WAIT
    late = next_step(look(minutes=LIMIT + 0.1), LIMIT)
    assert late.move is Move.FAIL
    assert "allowed are 60" in late.why


def test_a_database_that_takes_none_within_the_limit_is_an_error_in_its_own_words() -> None:
    step = next_step(look(None, LIMIT + 1, "it is being modified"), LIMIT)
    assert step.move is Move.FAIL
    assert "it is being modified" in step.why
    assert unready(DATABASE, "it is being modified").move is Move.WAIT


@given(
    st.none()
    | st.builds(Snapshot, st.just(NAME), st.just(DATABASE), st.text(), st.integers(), st.none(), st.booleans()),
    st.floats(0, 1e6),
)
def test_only_an_available_snapshot_lets_production_change(snapshot: Snapshot | None, minutes: float) -> None:
    step = next_step(look(snapshot, minutes), LIMIT)
    assert (step.move is Move.DONE) == (snapshot is not None and snapshot.status == "available")
    assert step.move is not Move.TAKE or snapshot is None
    assert step.move in {Move.DONE, Move.FAIL} or minutes <= LIMIT
