"""AC14: "Deployment Windows: Enforce deployment time restrictions".

The story's tests, and where they are shown here:
    14.1 should_blockDeployment_when_outsideDeploymentWindow      refused, or approved and waiting for its window
    14.2 should_allowEmergencyDeployment_when_hotfixRequired      by its own approvers, loud, and named in the record
Windows, time zones and the days on which clocks change: tests/rules/test_windows.py.
"""

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from production_world import LEADS, OPERATORS, Production

from rules.records import EventKind

CLOSED = {"24:00": "00:00:01"}
ZURICH = ZoneInfo("Europe/Zurich")


def test_outside_of_a_window_it_is_refused_and_told_when_it_could_be(production: Production) -> None:
    before = production.serving("production")
    production.in_staging("good")
    with production.catalogue_saying(CLOSED):
        run = production.request()
        assert run.go().name == "Refused"
    [finding] = run.unmet()
    assert finding["gate"] == "window"
    assert finding["could_be_met"]
    assert production.serving("production") == before


def test_in_a_freeze_it_is_refused_with_its_reason_and_owner(production: Production) -> None:
    production.in_staging("good")
    today = datetime.now(ZURICH).date()
    dates = f'begins = "{today}"\nends = "{today}"\ntimezone = "Europe/Zurich"'
    why = 'reason = "The big conference."\nowner = "Sofia Rossi"'
    freeze = f"[[windows.freezes]]\n{dates}\n{why}\n\n[tickets]"
    with production.catalogue_saying({"[tickets]": freeze}):
        run = production.request()
        assert run.go().name == "Refused"
    [finding] = run.unmet()
    assert finding["gate"] == "freeze"
    assert "The big conference. Ask Sofia Rossi." in finding["sentence"]


def test_a_promised_time_that_is_over_is_refused(production: Production) -> None:
    production.in_staging("good")
    run = production.request(start_at=(datetime.now(UTC) - timedelta(minutes=16)).isoformat())
    assert run.go().name == "Refused"
    assert [finding["gate"] for finding in run.unmet()] == ["promised time"]


def test_what_is_approved_outside_of_a_window_goes_on_by_itself_when_it_opens(production: Production) -> None:
    """The keeper, which is a deployment with a schedule, wakes it; before its time it does not."""
    placed = production.in_staging("good")
    zone = where_it_is_noon()
    opens = datetime.now(ZoneInfo(zone)) + timedelta(seconds=35)
    window = {
        'opens = "00:00"': f'opens = "{opens:%H:%M:%S}"',
        'closes = "24:00"\ntimezone = "Europe/Zurich"': f'closes = "24:00"\ntimezone = "{zone}"',
    }
    with production.catalogue_saying(window):
        run = production.waiting(next_window=True, strategy="blue_green")
        assert run.approve(LEADS[0], OPERATORS[0]).name == "Suspended"
        assert EventKind.WAITING in run.kinds(), "it was too slow to wait"
        woken = f"Run {run.id} was woken: its time has come."
        early = production.keep()
        if woken not in early:
            assert production.serving("production") != {placed.version}
            wait_until(opens)
            early = production.keep()
        assert datetime.now(ZURICH) >= opens, "it was woken before its time"
        assert woken in early
        state = run.go()
    assert state.name == "Completed", state.message
    assert production.serving("production") == {placed.version}


def test_an_emergency_leaves_the_window_out_by_name_and_is_loud(production: Production) -> None:
    placed = production.in_staging("good", age_minutes=5)
    said = len(production.promotions.chat())
    emergency = {"reason": "Nobody can log in.", "incident": "INC-7", "waives": ["window", "stability"]}
    with production.catalogue_saying(CLOSED):
        run = production.waiting(emergency=emergency, strategy="blue_green")
        assert run.approve(LEADS[1], LEADS[2]).name == "Completed", run.state.message
    assert production.serving("production") == {placed.version}
    findings = [it.event.details["findings"] for it in run.story() if it.event.kind is EventKind.FINDINGS][-2]
    excused = {it["gate"]: it["waived"] for it in findings if it["waived"].startswith("Emergency")}
    assert "window" in excused
    assert set(excused.values()) == {"Emergency INC-7: Nobody can log in."}
    loud = "\n".join(message["text"] for message in production.promotions.chat()[said:])
    assert "EMERGENCY" in loud


def test_an_emergency_cannot_leave_out_what_must_never_be_left_out(production: Production) -> None:
    production.in_staging("bad")
    run = production.request(emergency={"reason": "Quick.", "incident": "INC-8", "waives": ["window", "evidence"]})
    assert run.go().name == "Refused"
    gates = {finding["gate"] for finding in run.unmet()}
    assert "emergency waivers" in gates
    assert gates - {"emergency waivers"}


def where_it_is_noon() -> str:
    """A time zone in which neither midnight nor the end of the day's window is near."""
    ahead = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-ahead:+d}"  # these names count westwards


def wait_until(moment: datetime) -> None:
    time.sleep(max(0.0, (moment - datetime.now(ZURICH)).total_seconds()) + 0.1)


pytestmark = pytest.mark.timeout(300)
