from typing import Any


def test_a_good_release_arrives_in_staging(promotions: Any) -> None:
    placed = promotions.room.release("dev", "good", age_minutes=180)
    state = promotions.to_staging()
    assert state.is_completed(), state.message
    assert promotions.serving("staging") == {placed.version}
