from datetime import UTC, datetime

from rules.alarms import AlarmState, AlarmValue, check_alarms
from rules.vocabulary import Verdict

SINCE = datetime(2026, 1, 5, 11, 0, tzinfo=UTC)
QUIET = AlarmState(AlarmValue.OK)


def test_a_quiet_alarm_passes_and_every_alarm_has_its_finding() -> None:
    findings = check_alarms("events", ["a", "b", "a"], {"a": QUIET, "b": QUIET}, "staging")
    assert [(it.gate, it.verdict) for it in findings] == [("alarms/a", Verdict.PASSED), ("alarms/b", Verdict.PASSED)]


def test_an_alarm_that_fires_before_the_start_blocks() -> None:
    firing = AlarmState(AlarmValue.ALARM, "Threshold Crossed: 3 of 3", SINCE)
    (finding,) = check_alarms("events", ["a"], {"a": firing}, "staging")
    assert (finding.verdict, finding.measured, finding.evidence) == (
        Verdict.FAILED,
        "ALARM",
        "Threshold Crossed: 3 of 3",
    )
    assert "Alarm a, which guards events in staging, is firing since 2026-01-05 11:00 UTC" in finding.sentence


def test_an_alarm_that_is_not_there_blocks() -> None:
    (finding,) = check_alarms("events", ["a"], {"b": QUIET}, "staging")
    assert (finding.verdict, finding.measured) == (Verdict.FAILED, "missing")
    assert "does not exist" in finding.sentence


def test_an_alarm_without_data_is_no_pass() -> None:
    blind = AlarmState(AlarmValue.INSUFFICIENT_DATA, since=SINCE)
    (finding,) = check_alarms("events", ["a"], {"a": blind}, "staging")
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "guards nothing" in finding.sentence
    assert "not breaching" in finding.sentence


def test_a_service_without_alarms_has_no_finding_about_them() -> None:
    assert check_alarms("events", [], {}, "staging") == ()
