"""The wire: what is repeated, how long, what is waited for, and that no secret gets out."""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from blocks.discretion import discretion, excerpt
from blocks.rate_limits import allowance_used_up, asked_pause
from blocks.wire import Patience, Wire, Wiring
from rules.errors import Declined, Outage

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECRET = "api-3f9c-very secret"


@dataclass
class Scene:
    """A network that answers from a list, and a clock that moves only when somebody sleeps."""

    answers: list[httpx.Response | Exception]
    asked: list[httpx.Request] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def elapsed(self) -> float:
        return sum(self.pauses)

    def wire(self, patience: Patience | None = None) -> Wire:
        wiring = Wiring(
            transport=httpx.MockTransport(self.answer),
            monotonic=lambda: self.elapsed,
            now=lambda: NOON + timedelta(seconds=self.elapsed),
            sleep=self.pauses.append,
            chance=lambda: 0.5,
        )
        return Wire(
            "Flags",
            "https://flags.test/api",
            headers={"Authorization": SECRET},
            secrets=[SecretStr(SECRET)],
            patience=patience or Patience(),
            wiring=wiring,
        )


def ok(**body: object) -> httpx.Response:
    return httpx.Response(200, json=body)


def test_an_answer_carries_status_text_and_json() -> None:
    scene = Scene([ok(on=True)])
    with scene.wire() as wire:
        answer = wire.ask("GET", "/v2/flags", doing="reading the flags", query={"env": "staging"})
    assert answer.require(200).mapping() == {"on": True}
    assert str(scene.asked[0].url) == "https://flags.test/api/v2/flags?env=staging"
    assert scene.asked[0].headers["authorization"] == SECRET


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(httpx.Response(503), id="503"),
        pytest.param(httpx.Response(502), id="502"),
        pytest.param(httpx.Response(504), id="504"),
        pytest.param(httpx.Response(500), id="500"),
        pytest.param(httpx.Response(429), id="429"),
        pytest.param(httpx.Response(200, text="<html>garbage"), id="garbage"),
        pytest.param(httpx.ReadTimeout("slow"), id="timeout"),
        pytest.param(httpx.ConnectError("refused"), id="refused"),
        pytest.param(httpx.ReadError("reset"), id="reset"),
        pytest.param(httpx.RemoteProtocolError("server disconnected"), id="disconnected"),
    ],
)
def test_a_passing_trouble_of_a_read_is_waited_out(trouble: httpx.Response | Exception) -> None:
    scene = Scene([trouble, ok(fine=True)])
    with scene.wire() as wire:
        assert wire.ask("GET", "/x", doing="reading").mapping() == {"fine": True}
    assert scene.pauses == [0.25]


def test_pauses_grow_with_full_jitter_up_to_a_limit() -> None:
    scene = Scene([httpx.Response(503) for _ in range(6)])
    patience = Patience(attempts=6, first_pause_seconds=1, longest_pause_seconds=4)
    with scene.wire(patience) as wire, pytest.raises(Outage, match=r"503.*6 of 6 attempts"):
        wire.ask("GET", "/x", doing="reading")
    assert scene.pauses == [0.5, 1, 2, 2, 2]


def test_a_lasting_trouble_is_an_outage_that_names_system_and_doing() -> None:
    scene = Scene([httpx.Response(503, text="down for maintenance") for _ in range(4)])
    with scene.wire() as wire, pytest.raises(Outage, match="Flags did not answer while reading the flags: 503 down"):
        wire.ask("GET", "/x", doing="reading the flags")


@pytest.mark.parametrize(
    "trouble",
    [httpx.ReadTimeout("slow"), httpx.ReadError("reset"), httpx.Response(503)],
    ids=["timeout", "reset", "503"],
)
def test_a_write_that_may_have_arrived_is_not_repeated(trouble: httpx.Response | Exception) -> None:
    scene = Scene([trouble])
    with scene.wire() as wire, pytest.raises(Outage):
        wire.ask("POST", "/x", doing="posting", body={})
    assert len(scene.asked) == 1


@pytest.mark.parametrize(
    "trouble", [httpx.ConnectError("refused"), httpx.Response(429)], ids=["never sent", "turned away"]
)
def test_a_write_that_did_not_arrive_is_repeated(trouble: httpx.Response | Exception) -> None:
    scene = Scene([trouble, ok()])
    with scene.wire() as wire:
        assert wire.ask("POST", "/x", doing="posting", body={}).status == 200


def test_a_write_that_the_caller_calls_repeatable_is_repeated() -> None:
    scene = Scene([httpx.ReadTimeout("slow"), ok()])
    with scene.wire() as wire:
        assert wire.ask("PATCH", "/x", doing="patching", body={}, repeatable=True).status == 200


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 422])
def test_a_refusal_is_an_answer_and_is_not_repeated(status: int) -> None:
    scene = Scene([httpx.Response(status, json={"message": "no"})])
    with scene.wire() as wire:
        answer = wire.ask("GET", "/x", doing="reading")
    assert answer.status == status
    with pytest.raises(Declined, match=f"Flags declined while reading: {status}"):
        answer.require(200)


def test_a_redirect_is_not_followed() -> None:
    scene = Scene([httpx.Response(302, headers={"location": "https://login.test"})])
    with scene.wire() as wire, pytest.raises(Declined, match="302"):
        wire.ask("GET", "/x", doing="reading").require(200)


@pytest.mark.parametrize("text", ["[1]", "", '"text"', "null"])
def test_an_answer_that_is_no_object_is_an_outage(text: str) -> None:
    scene = Scene([httpx.Response(200, text=text) for _ in range(4)])
    with scene.wire() as wire, pytest.raises(Outage):
        wire.ask("GET", "/x", doing="reading").mapping()


def test_what_the_vendor_asks_for_is_waited_with_a_little_jitter() -> None:
    scene = Scene([httpx.Response(429, headers={"Retry-After": "7"}), ok()])
    with scene.wire() as wire:
        wire.ask("GET", "/x", doing="reading")
    assert scene.pauses == [7.5]


def test_a_wait_longer_than_our_time_is_an_outage_at_once_that_says_how_long() -> None:
    scene = Scene([httpx.Response(429, headers={"Retry-After": "600"})])
    with scene.wire() as wire, pytest.raises(Outage) as caught:
        wire.ask("GET", "/x", doing="reading")
    assert caught.value.retry_after == 600
    assert scene.pauses == []


def test_all_attempts_together_stay_within_the_total_time() -> None:
    scene = Scene([httpx.Response(503) for _ in range(100)])
    patience = Patience(attempts=100, total_seconds=20, first_pause_seconds=4)
    with scene.wire(patience) as wire, pytest.raises(Outage):
        wire.ask("GET", "/x", doing="reading")
    assert scene.elapsed <= 20


def test_a_used_up_allowance_is_waited_for_before_the_next_request() -> None:
    reset = str(int((NOON.timestamp() + 3) * 1000))
    used_up = httpx.Response(200, json={}, headers={"X-Ratelimit-Route-Remaining": "0", "X-Ratelimit-Reset": reset})
    scene = Scene([used_up, ok()])
    with scene.wire() as wire:
        wire.ask("GET", "/x", doing="reading")
        wire.ask("GET", "/y", doing="reading")
    assert scene.pauses == [pytest.approx(3)]


class Drip(httpx.SyncByteStream):
    """Sends a byte each second, for ever: no single read is slow."""

    def __init__(self, tick: Callable[[float], None]) -> None:
        self.tick = tick

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self.tick(1)
            yield b" "


def test_an_answer_that_drips_for_ever_is_cut_off() -> None:
    scene = Scene([])
    scene.answers = [httpx.Response(200, stream=Drip(scene.pauses.append)) for _ in range(9)]
    with scene.wire(Patience(timeout_seconds=5, total_seconds=30)) as wire, pytest.raises(Outage, match="in time"):
        wire.ask("GET", "/x", doing="reading")
    assert scene.elapsed < 45


# --- what the headers ask for ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param({"retry-after": "12"}, 12, id="seconds"),
        pytest.param({"retry-after": "Sun, 22 Nov 2026 12:00:30 GMT"}, 30, id="date"),
        pytest.param({"x-ratelimit-reset": str(int(NOON.timestamp() * 1000) + 4000)}, 4, id="epoch milliseconds"),
        pytest.param({"x-ratelimit-reset": str(int(NOON.timestamp()) + 9)}, 9, id="epoch seconds"),
        pytest.param({"x-ratelimit-reset": "2026-11-22T12:00:20Z"}, 20, id="ISO 8601"),
        pytest.param({"x-ratelimit-reset": "2026-11-22T11:00:00Z"}, 0, id="past"),
        pytest.param({"x-ratelimit-reset": "soon"}, None, id="nonsense"),
        pytest.param(
            {"retry-after": "1", "x-ratelimit-auth-token-reset": str(int(NOON.timestamp() * 1000) + 8000)},
            8,
            id="the longest",
        ),
    ],
)
def test_the_pause_that_headers_ask_for(headers: dict[str, str], seconds: float | None) -> None:
    assert asked_pause(headers, NOON) == (None if seconds is None else pytest.approx(seconds))


@given(st.text(max_size=30))
def test_no_header_value_breaks_the_wire(value: str) -> None:
    pause = asked_pause({"retry-after": value}, NOON)
    assert pause is None or pause >= 0


def test_only_a_remaining_of_zero_uses_an_allowance_up() -> None:
    assert allowance_used_up({"x-ratelimit-global-remaining": "0"})
    assert not allowance_used_up({"x-ratelimit-global-remaining": "10", "x-other-remaining": "0"})


# --- discretion --------------------------------------------------------------------------------------------


def test_a_secret_echoed_by_the_vendor_is_not_repeated_by_us() -> None:
    scene = Scene([httpx.Response(401, json={"message": f"invalid token {SECRET}"})])
    with scene.wire() as wire, pytest.raises(Declined) as caught:
        wire.ask("GET", "/x", doing="reading").require(200)
    assert SECRET not in str(caught.value)
    assert "invalid token ***" in str(caught.value)


def test_a_secret_in_a_broken_connections_words_is_hidden() -> None:
    scene = Scene([httpx.ConnectError(f"no route with {SECRET}") for _ in range(4)])
    with scene.wire() as wire, pytest.raises(Outage) as caught:
        wire.ask("GET", "/x", doing="reading")
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_secret_address_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene([ok()])
    caplog.set_level(logging.INFO, "httpx")
    with scene.wire() as wire:
        wire.ask("GET", f"/services/{SECRET}", doing="posting")
    assert "HTTP Request" in caplog.text
    assert "very" not in caplog.text


@pytest.mark.parametrize("spelling", [SECRET, json.dumps(SECRET), SECRET.replace(" ", "%20")])
def test_each_spelling_of_a_secret_is_hidden(spelling: str) -> None:
    discretion.learn([SECRET])
    assert "very" not in discretion.clean(f"before {spelling} after")


def test_an_excerpt_is_one_line_cut_on_a_code_point() -> None:
    assert excerpt("a\n  b") == "a b"
    assert excerpt("😀" * 400) == "😀" * 299 + "…"
