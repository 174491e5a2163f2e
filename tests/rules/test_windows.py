"""Windows, freezes and promised times: facts, the nights on which clocks jump, and what holds at every moment."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.errors import InvalidInput
from rules.open_hours import Stretch, open_stretches
from rules.production_policies import Freeze, Weekday, Window, WindowPolicy
from rules.vocabulary import Finding, Verdict, unmet
from rules.wall_clocks import clock, first_moment, last_moment, moment, spoken, time_of_day, zone_of
from rules.windows import CLOSED, SEARCH, Start, check_windows, in_words, next_opening, start

ZURICH = ZoneInfo("Europe/Zurich")
WORKDAYS = tuple(Weekday)[:4]
EVERY_DAY = tuple(Weekday)
OFFICE = Window(WORKDAYS, "09:00", "16:00", "Europe/Zurich")
YEARS_END = Freeze("2026-12-19", "2027-01-03", "The end of the year.", "Sofia Rossi", "Europe/Zurich")
POLICY = WindowPolicy((OFFICE,), (YEARS_END,))
ALWAYS = WindowPolicy((Window(EVERY_DAY, "00:00", "24:00", "Europe/Zurich"),))
NEVER = WindowPolicy()
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def zurich(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZURICH, fold=fold).astimezone(UTC)


SUNDAY = zurich("2026-11-22T13:00")
MONDAY = zurich("2026-11-23T13:00")


def asked(
    now: datetime,
    minutes: float = 35,
    start_at: datetime | None = None,
    policy: WindowPolicy = POLICY,
    *,
    next_window: bool = False,
) -> dict[str, Finding]:
    return {it.gate: it for it in check_windows(policy, now, minutes, start_at, next_window=next_window)}


def blocking(found: dict[str, Finding]) -> list[str]:
    return [gate for gate, finding in found.items() if finding.blocks]


def opens(windows: Sequence[Window], since: datetime, until: datetime) -> list[Stretch]:
    return list(open_stretches(windows, since, until))


# ------------------------------------------------------------------------------------------------- gates


def test_inside_a_window_traffic_may_move() -> None:
    found = asked(MONDAY)
    assert {gate: finding.verdict for gate, finding in found.items()} == {
        "window": Verdict.PASSED,
        "freeze": Verdict.PASSED,
    }
    assert found["window"].sentence == "A window is open now, until Monday 23 November, 16:00 CET."
    assert found["freeze"].sentence == "No freeze before Saturday 19 December, 00:00 CET."


def test_outside_it_is_refused_with_what_was_found_what_is_allowed_and_the_next_opening() -> None:
    window = asked(SUNDAY)["window"]
    assert window.verdict is Verdict.FAILED
    assert window.sentence == "It is Sunday 22 November, 13:00 CET, and no window is open."
    assert window.measured == "Sunday 22 November, 13:00 CET"
    assert window.allowed == "Monday to Thursday, 09:00 to 16:00 (Europe/Zurich)"
    assert window.could_be_met == "Monday 23 November, 09:00 CET"


@pytest.mark.parametrize(("at", "open_"), [("08:59:59", False), ("09:00", True), ("15:59:59", True), ("16:00", False)])
def test_a_window_is_open_from_its_first_second_until_before_its_last(at: str, open_: bool) -> None:
    assert (blocking(asked(zurich(f"2026-11-23T{at}"), 0)) == []) is open_


def test_a_roll_out_must_end_inside_to_the_minute() -> None:
    closes = zurich("2026-11-23T16:00")
    assert not blocking(asked(closes - 35 * MINUTE))
    late = asked(closes - 34 * MINUTE)["window"]
    assert late.sentence == (
        "The window closes Monday 23 November, 16:00 CET, and the roll-out is expected to take 35 minutes."
    )
    assert (late.measured, late.allowed) == ("34 minutes left", "35 minutes or more")
    assert late.could_be_met == "Tuesday 24 November, 09:00 CET"


def test_without_a_window_it_is_always_closed_and_says_so() -> None:
    found = asked(MONDAY, policy=NEVER, next_window=True)
    assert blocking(found) == ["window"]
    assert found["window"].sentence == CLOSED
    assert found["window"].could_be_met == "by a window in the catalogue, [[windows.open]]"
    assert next_opening(NEVER, MONDAY, 0) is None
    assert start(NEVER, MONDAY, 0, None).when is None


def test_a_freeze_closes_the_window_and_says_why_and_whom_to_ask() -> None:
    found = asked(zurich("2026-12-21T10:00"))
    assert blocking(found) == ["freeze"]
    assert found["freeze"].sentence == (
        "Changes are frozen until Monday 4 January 2027, 00:00 CET: The end of the year. Ask Sofia Rossi."
    )
    assert found["freeze"].could_be_met == "Monday 4 January 2027, 09:00 CET"


def test_a_freeze_that_begins_during_the_roll_out_closes_it_too() -> None:
    policy = replace(POLICY, freezes=(replace(YEARS_END, begins="2026-11-23T13:30"),))
    assert not blocking(asked(MONDAY, 30, policy=policy))
    found = asked(MONDAY, 31, policy=policy)
    assert blocking(found) == ["freeze"]
    assert found["freeze"].sentence == (
        "A freeze begins Monday 23 November, 13:30 CET, before 31 minutes are over: The end of the year. "
        "Ask Sofia Rossi."
    )


def test_every_freeze_in_the_way_is_told() -> None:
    other = Freeze("2026-12-20", "2026-12-21", "The census.", "Urs Frei")
    policy = replace(POLICY, freezes=(YEARS_END, other))
    sentence = asked(zurich("2026-12-21T10:00"), policy=policy)["freeze"].sentence
    assert "Ask Sofia Rossi." in sentence
    assert "The census. Ask Urs Frei." in sentence


def test_all_that_is_not_met_is_told_at_once() -> None:
    assert blocking(asked(zurich("2026-12-20T10:00"))) == ["window", "freeze"]


def test_who_asks_for_the_next_window_is_told_when_it_begins_and_is_not_refused() -> None:
    found = asked(zurich("2026-12-20T10:00"), next_window=True)
    assert not blocking(found)
    for finding in found.values():
        assert finding.sentence.endswith("It begins Monday 4 January 2027, 09:00 CET.")


def test_there_must_be_a_next_window_with_room() -> None:
    found = asked(SUNDAY, 7 * 60 + 1, next_window=True)
    assert blocking(found) == ["window"]
    assert found["window"].could_be_met == (
        "not within 400 days: no window has room for 421 minutes outside of freezes"
    )


def test_a_freeze_longer_than_the_search_ends_it() -> None:
    policy = replace(ALWAYS, freezes=(replace(YEARS_END, begins="2026-11-01", ends="2028-01-01"),))
    assert next_opening(policy, MONDAY, 1) is None
    assert blocking(asked(MONDAY, policy=policy, next_window=True)) == ["freeze"]


# ------------------------------------------------------------------------------------------------- promised times


def test_a_promised_time_must_be_in_a_window_with_room() -> None:
    assert not blocking(asked(SUNDAY, start_at=MONDAY))
    assert blocking(asked(MONDAY, start_at=SUNDAY + timedelta(days=7))) == ["window"]
    assert blocking(asked(MONDAY, start_at=zurich("2026-11-24T15:30"))) == ["window"]
    assert blocking(asked(MONDAY, start_at=zurich("2026-12-21T10:00"))) == ["freeze"]


def test_what_a_promised_time_lacks_is_told_of_that_time() -> None:
    window = asked(MONDAY, start_at=zurich("2026-11-27T10:00"))["window"]
    assert window.sentence == "Friday 27 November, 10:00 CET is in no window."
    assert window.could_be_met == "Monday 30 November, 09:00 CET"


@pytest.mark.parametrize(("late", "kept"), [(-60, True), (-15, True), (0, True), (15, True), (15.02, False)])
def test_a_promise_is_kept_until_a_quarter_of_an_hour_after_it(late: float, kept: bool) -> None:
    found = asked(MONDAY + late * MINUTE, start_at=MONDAY)
    assert (blocking(found) == []) is kept
    assert blocking(found) in ([], ["promised time"])


def test_a_promise_that_is_over_says_so_even_to_who_would_wait() -> None:
    found = asked(MONDAY + HOUR, start_at=MONDAY, next_window=True)
    assert found["promised time"].sentence == (
        "Its promised time is over: that was Monday 23 November, 13:00 CET, "
        "and now it is Monday 23 November, 14:00 CET."
    )


def test_it_waits_for_its_promised_time() -> None:
    assert start(POLICY, SUNDAY, 35, MONDAY) == Start(
        MONDAY, "It begins at its promised time, Monday 23 November, 13:00 CET."
    )


@pytest.mark.parametrize("late", [-15, -1, 0, 1, 15])
def test_near_its_promised_time_it_begins_at_once(late: float) -> None:
    now = MONDAY + late * MINUTE
    assert start(POLICY, now, 35, MONDAY).when == now


def test_when_its_promised_time_is_over_it_never_begins() -> None:
    begins = start(POLICY, MONDAY + 16 * MINUTE, 35, MONDAY)
    assert begins.when is None
    assert begins.why.startswith("Its promised time is over")


def test_before_the_window_opens_a_near_promise_still_waits_for_its_time() -> None:
    nine = zurich("2026-11-23T09:00")
    assert start(POLICY, nine - 10 * MINUTE, 35, nine).when == nine
    assert not blocking(asked(nine - 10 * MINUTE, start_at=nine))


def test_after_its_promised_time_the_window_must_still_have_room() -> None:
    promised = zurich("2026-11-23T15:20")
    assert start(POLICY, promised, 35, promised).when == promised
    begins = start(POLICY, promised + 10 * MINUTE, 35, promised)
    assert begins.when is None
    assert "The window closes" in begins.why
    assert blocking(asked(promised + 10 * MINUTE, start_at=promised)) == ["window"]


@pytest.mark.parametrize(
    "at", [datetime(9999, 12, 31, 23, 59, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC), MONDAY + SEARCH + MINUTE]
)
def test_no_year_is_too_far_to_be_refused(at: datetime) -> None:
    assert blocking(asked(MONDAY, start_at=at)) == ["promised time"]
    assert start(POLICY, MONDAY, 35, at).when is None


def test_a_moment_that_has_no_utc_is_refused() -> None:
    at = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))
    with pytest.raises(InvalidInput, match="start_at"):
        start(POLICY, MONDAY, 35, at)


def test_a_time_without_zone_is_refused() -> None:
    naive = MONDAY.replace(tzinfo=None)
    with pytest.raises(InvalidInput, match="now"):
        asked(naive)
    with pytest.raises(InvalidInput, match="start_at"):
        asked(MONDAY, start_at=naive)
    with pytest.raises(InvalidInput, match="now"):
        next_opening(POLICY, naive, 0)


@pytest.mark.parametrize("minutes", [-1, float("nan"), float("inf"), 1e9])
def test_no_number_of_minutes_is_refused(minutes: float) -> None:
    with pytest.raises(InvalidInput, match="minutes"):
        asked(MONDAY, minutes)


# ------------------------------------------------------------------------------------------------- when it begins


def test_an_approved_promotion_begins_now_or_at_the_next_opening() -> None:
    assert start(POLICY, MONDAY, 35, None).when == MONDAY
    begins = start(POLICY, SUNDAY, 35, None)
    assert begins.when == zurich("2026-11-23T09:00")
    assert begins.why == (
        "It is Sunday 22 November, 13:00 CET, and no window is open. It begins Monday 23 November, 09:00 CET."
    )


def test_the_same_opening_is_found_from_every_moment_before_it() -> None:
    """A run that waits looks again on every pass, and tells its time once."""
    moments = [SUNDAY + number * 97 * MINUTE for number in range(12)]
    assert {start(POLICY, at, 35, None).when for at in moments} == {zurich("2026-11-23T09:00")}


def test_moments_are_in_utc_whatever_zone_they_are_asked_in() -> None:
    opening = next_opening(POLICY, SUNDAY.astimezone(ZoneInfo("Asia/Tokyo")), 35)
    assert opening is not None
    assert opening.isoformat() == "2026-11-23T08:00:00+00:00"


def test_windows_that_touch_or_overlap_are_one() -> None:
    for second in ("12:00", "11:00"):
        windows = (replace(OFFICE, closes="12:00"), replace(OFFICE, opens=second))
        assert not blocking(asked(zurich("2026-11-23T11:50"), policy=WindowPolicy(windows)))
    apart = (replace(OFFICE, closes="12:00"), replace(OFFICE, opens="12:00:01"))
    assert blocking(asked(zurich("2026-11-23T11:50"), policy=WindowPolicy(apart))) == ["window"]


def test_windows_join_across_midnight_and_time_zones() -> None:
    evening = Window((Weekday.MONDAY,), "22:00", "24:00", "Europe/Zurich")
    morning = Window((Weekday.TUESDAY,), "00:00", "02:00", "Europe/Zurich")
    london = Window((Weekday.MONDAY,), "23:00", "01:00", "Europe/London")  # 00:00 to 02:00 in Zurich
    for second in (morning, london):
        assert next_opening(WindowPolicy((evening, second)), MONDAY, 240) == zurich("2026-11-23T22:00")


def test_a_window_that_closes_before_it_opens_closes_the_day_after() -> None:
    night = WindowPolicy((Window((Weekday.SUNDAY,), "22:00", "02:00:30", "Europe/Zurich"),))
    assert not blocking(asked(zurich("2026-11-23T01:59"), 1, policy=night))
    assert blocking(asked(zurich("2026-11-23T23:00"), 1, policy=night)) == ["window"]
    assert next_opening(night, MONDAY, 240.5) == zurich("2026-11-29T22:00")
    assert next_opening(night, MONDAY, 240.6) is None


def test_a_window_that_opens_when_it_closes_never_opens() -> None:
    assert next_opening(WindowPolicy((replace(OFFICE, closes="09:00"),)), MONDAY, 0) is None


def test_a_freeze_may_end_inside_of_a_window() -> None:
    policy = replace(POLICY, freezes=(replace(YEARS_END, begins="2026-11-23T12:00", ends="2026-11-23T14:30"),))
    assert next_opening(policy, MONDAY, 35) == zurich("2026-11-23T14:30")


def test_windows_in_words() -> None:
    days = (Weekday.FRIDAY, Weekday.MONDAY, Weekday.TUESDAY, Weekday.SATURDAY, Weekday.SUNDAY)
    night = Window(days, "22:00", "02:00", "Asia/Kathmandu")
    assert in_words([night]) == "Monday, Tuesday, Friday to Sunday, 22:00 to 02:00 the day after (Asia/Kathmandu)"
    assert in_words(ALWAYS.open) == "every day, 00:00 to 24:00 (Europe/Zurich)"


# ------------------------------------------------------------------------------------------------- clocks that jump


def test_a_window_that_opens_in_the_hour_that_is_skipped_opens_at_the_jump() -> None:
    night = Window(EVERY_DAY, "02:30", "04:00", "Europe/Zurich")
    [stretch] = opens([night], zurich("2027-03-28T01:00"), zurich("2027-03-28T05:00"))
    assert (stretch.begins, stretch.ends) == (zurich("2027-03-28T03:00"), zurich("2027-03-28T04:00"))
    assert next_opening(WindowPolicy((night,)), zurich("2027-03-28T00:00"), 60) == zurich("2027-03-28T03:00")


def test_a_window_that_closes_in_the_hour_that_is_skipped_closes_at_the_jump() -> None:
    [stretch] = opens(
        [Window(EVERY_DAY, "01:00", "02:30", "Europe/Zurich")], zurich("2027-03-28T00:00"), zurich("2027-03-28T05:00")
    )
    assert stretch.ends - stretch.begins == HOUR


def test_a_window_that_is_skipped_wholly_does_not_open() -> None:
    skipped = Window(EVERY_DAY, "02:00", "02:45", "Europe/Zurich")
    assert opens([skipped], zurich("2027-03-28T00:00"), zurich("2027-03-28T12:00")) == []
    assert next_opening(WindowPolicy((skipped,)), zurich("2027-03-28T00:00"), 1) == zurich("2027-03-29T02:00")


def test_a_window_over_the_hour_that_comes_twice_is_an_hour_longer() -> None:
    night = Window((Weekday.SUNDAY,), "01:00", "04:00", "Europe/Zurich")
    [stretch] = opens([night], zurich("2026-10-25T00:00"), zurich("2026-10-25T12:00"))
    assert stretch.ends - stretch.begins == 4 * HOUR
    assert not blocking(asked(stretch.begins, 240, policy=WindowPolicy((night,))))


def test_real_minutes_count_on_the_night_that_is_an_hour_shorter() -> None:
    night = WindowPolicy((Window(EVERY_DAY, "01:00", "04:00", "Europe/Zurich"),))
    assert blocking(asked(zurich("2027-03-28T01:00"), 121, policy=night)) == ["window"]
    assert not blocking(asked(zurich("2027-03-27T01:00"), 180, policy=night))


def test_where_a_time_comes_twice_a_window_keeps_to_the_first_and_a_freeze_to_the_last() -> None:
    [stretch] = opens(
        [Window((Weekday.SUNDAY,), "02:15", "02:45", "Europe/Zurich")], zurich("2026-10-25T00:00"), zurich("2026-10-26")
    )
    assert (stretch.begins, stretch.ends) == (zurich("2026-10-25T02:15"), zurich("2026-10-25T02:45"))
    freeze = Freeze("2026-10-25T02:15", "2026-10-25T02:45", "Clocks.", "Urs Frei", "Europe/Zurich")
    assert next_opening(replace(ALWAYS, freezes=(freeze,)), stretch.begins, 1) == zurich("2026-10-25T02:45", fold=1)


@pytest.mark.parametrize(
    ("zone", "spring", "autumn", "jump"),
    [
        ("Europe/Zurich", "2027-03-28", "2026-10-25", 60),
        ("America/New_York", "2027-03-14", "2026-11-01", 60),
        ("Australia/Lord_Howe", "2026-10-04", "2027-04-04", 30),
        ("America/Havana", "2027-03-14", "2026-11-01", 60),  # the clock jumps at midnight
        ("Africa/Cairo", "2027-04-30", "2026-10-29", 60),
        ("Asia/Kathmandu", "2027-03-28", "2026-10-25", 0),
    ],
)
def test_days_are_as_long_as_they_are_and_open_windows_have_no_holes(
    zone: str, spring: str, autumn: str, jump: int
) -> None:
    clocks = zone_of(zone)
    for day, minutes in ((spring, 24 * 60 - jump), (autumn, 24 * 60 + jump)):
        begins, ends = first_moment(day, clocks), last_moment(day, clocks)
        assert ends - begins == minutes * MINUTE
        all_day = Window(EVERY_DAY, "00:00", "24:00", zone)
        [stretch] = opens([all_day], begins - 3 * HOUR, ends + 3 * HOUR)
        assert stretch.begins < begins - 3 * HOUR
        assert stretch.ends > ends + 3 * HOUR
        weekday = tuple(Weekday)[datetime.fromisoformat(day).weekday()]
        only = WindowPolicy((replace(all_day, days=(weekday,)),))
        assert next_opening(only, begins - HOUR, minutes) == begins


def test_half_an_hour_skipped_is_half_an_hour() -> None:
    clocks = zone_of("Australia/Lord_Howe")
    night = Window(EVERY_DAY, "02:15", "03:00", "Australia/Lord_Howe")
    one, four = first_moment("2026-10-04T01:00", clocks), first_moment("2026-10-04T04:00", clocks)
    [stretch] = opens([night], one, four)
    assert clock(stretch.begins, clocks).isoformat() == "2026-10-04T02:30:00"
    assert stretch.ends - stretch.begins == 30 * MINUTE


def test_times_in_words_tell_the_offset_where_a_zone_has_no_letters() -> None:
    assert spoken(MONDAY, zone_of("Asia/Kathmandu"), MONDAY) == "Monday 23 November, 17:45 UTC+05:45"
    assert spoken(zurich("2026-10-25T02:30", fold=1), ZURICH, MONDAY) == "Sunday 25 October, 02:30 CET"
    assert spoken(zurich("2026-10-25T02:30:07"), ZURICH, MONDAY) == "Sunday 25 October, 02:30:07 CEST"


@pytest.mark.parametrize(
    "text", ["9:00", "24:01", "09:60", "09.00", "", "09:00+01:00", "\u0660\u0669:\u0660\u0660", "09:00\n"]
)
def test_what_is_no_time_of_day_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="24:00 is the day's end"):
        time_of_day(text)


@pytest.mark.parametrize("text", ["2026-02-30", "20261220", "2026-12-20T17:00+01:00", "tomorrow", "9999-12-31", ""])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="2026-12-20"):
        first_moment(text, ZURICH)


@pytest.mark.parametrize("name", ["", "Europe", "Europe/Zuerich", "../UTC", "/etc/passwd", "UTC\0"])
def test_what_is_no_time_zone_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="Europe/Zurich"):
        zone_of(name)


# ------------------------------------------------------------------------------------------------- at every moment

ZONES = ("Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Havana")
JUMPS = [zurich("2026-10-25T00:00"), zurich("2027-03-28T00:00"), zurich("2027-10-31T00:00")]
JUMPS += [datetime(2026, 11, 1, 5, tzinfo=UTC)]
JUMPS += [datetime(2027, 3, 14, 5, tzinfo=UTC), datetime(2026, 10, 3, 15, tzinfo=UTC), datetime(2027, 4, 3, tzinfo=UTC)]
times = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))
windows = st.builds(
    Window,
    st.lists(st.sampled_from(EVERY_DAY), min_size=1, max_size=7, unique=True).map(tuple),
    times,
    times | st.just("24:00"),
    st.sampled_from(ZONES),
)
dates = st.dates(date(2026, 9, 20), date(2027, 4, 20))
freezes = st.builds(
    lambda begins, days, time, zone: Freeze(
        f"{begins}T{time}", str(begins + timedelta(days=days)), "Why.", "Who", zone
    ),
    dates,
    st.integers(0, 20),
    times,
    st.sampled_from(ZONES),
)
policies = st.builds(
    WindowPolicy, st.lists(windows, max_size=3).map(tuple), st.lists(freezes, max_size=2).map(tuple), st.just(15.0)
)
moments = st.builds(
    lambda near, minutes: near + minutes * MINUTE, st.sampled_from(JUMPS), st.integers(-3 * 24 * 60, 3 * 24 * 60)
)
lengths = st.sampled_from([0, 1, 35, 90, 600])


@given(policies, moments, lengths)
def test_the_next_opening_is_open_and_nothing_before_it_is(policy: WindowPolicy, after: datetime, minutes: int) -> None:
    opening = next_opening(policy, after, minutes)
    until = opening or after + timedelta(days=20)
    samples = [after, *(after + number * (until - after) / 17 for number in range(1, 17)), until - timedelta(seconds=1)]
    for at in samples:
        if after <= at < until:
            assert unmet(check_windows(policy, at, minutes, None, next_window=False))
    if opening is not None:
        assert opening >= after
        assert not unmet(check_windows(policy, opening, minutes, None, next_window=False))


@given(policies, moments, lengths, st.none() | st.integers(-40, 3000))
def test_whoever_may_begin_now_finds_the_gates_met_and_the_other_way_round(
    policy: WindowPolicy, now: datetime, minutes: int, ahead: int | None
) -> None:
    start_at = None if ahead is None else now + ahead * MINUTE
    begins = start(policy, now, minutes, start_at)
    met = not unmet(check_windows(policy, now, minutes, start_at, next_window=True))
    assert met is (begins.when is not None)
    if begins.when is not None and begins.when <= now:
        assert not unmet(check_windows(policy, now, minutes, None, next_window=False))
        assert start_at is None or abs(now - start_at) <= 15 * MINUTE
    if begins.when is not None and start_at is not None:
        assert begins.when in (now, start_at)


@given(policies, moments, lengths)
def test_whoever_waited_for_the_opening_begins_then(policy: WindowPolicy, now: datetime, minutes: int) -> None:
    begins = start(policy, now, minutes, None)
    if begins.when is not None:
        assert start(policy, begins.when, minutes, None).when == begins.when


@given(windows, moments)
def test_a_window_is_open_exactly_while_its_clock_says_so(window: Window, at: datetime) -> None:
    """Against a slow and stupid judge, who looks at the clock; in the hour that comes twice he would be wrong."""
    zone = zone_of(window.timezone)
    shown = clock(at, zone)
    if moment(shown, zone, again=True) != moment(shown, zone):
        return
    said = [shown - midnight for midnight in (days_of(shown), days_of(shown) - timedelta(days=1))]
    opens_, closes = time_of_day(window.opens), time_of_day(window.closes)
    closes += timedelta(days=1) if closes < opens_ else timedelta()
    by_clock = any(opens_ <= since < closes and EVERY_DAY[(shown - since).weekday()] in window.days for since in said)
    jumped = any(clock(at - hours * HOUR, zone) != shown - hours * HOUR for hours in range(1, 25))
    [finding, _] = check_windows(WindowPolicy((window,)), at, 0, None, next_window=False)
    if not jumped or closes == opens_:
        assert finding.blocks is not by_clock


def days_of(shown: datetime) -> datetime:
    return shown.replace(hour=0, minute=0, second=0, microsecond=0)
