"""Looking at a release from outside: what comes back is measured, never raised."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest

from blocks.probes import Probes
from blocks.wire import Wiring
from rules.errors import InvalidInput


@dataclass
class Scene:
    answers: list[httpx.Response | Exception]
    asked: list[str] = field(default_factory=list)
    seconds: float = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, request: httpx.Request) -> httpx.Response:
        with self.lock:
            self.asked.append(str(request.url))
            answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def probes(self) -> Probes:
        wiring = Wiring(transport=httpx.MockTransport(self.answer), monotonic=lambda: self.seconds, sleep=self.sleep)
        return Probes(api_url="https://api.test/base", site_url="https://www.test").wired(wiring)


def test_a_health_endpoint_that_says_up_is_up() -> None:
    scene = Scene([httpx.Response(200, json={"status": "UP", "groups": ["liveness"]})])
    answer = scene.probes().health("/services/events/health")
    assert (answer.status, answer.up) == (200, True)
    assert scene.asked == ["https://api.test/base/services/events/health"]


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(httpx.Response(503, json={"status": "DOWN"}), id="DOWN"),
        pytest.param(httpx.Response(503, json={"status": "UP"}), id="503 that claims UP"),
        pytest.param(httpx.Response(200, json={"status": "DOWN"}), id="200 and DOWN"),
        pytest.param(httpx.Response(200, text="<html>login"), id="login page"),
        pytest.param(httpx.Response(302, headers={"location": "/login"}), id="redirect"),
        pytest.param(httpx.ConnectError("refused"), id="refused"),
        pytest.param(httpx.ReadTimeout("slow"), id="timeout"),
    ],
)
def test_anything_else_is_not_up(response: httpx.Response | Exception) -> None:
    assert not Scene([response]).probes().health("/health").up


def test_no_answer_is_status_zero_with_the_reason() -> None:
    answer = Scene([httpx.ConnectError("connection refused")]).probes().health("/health")
    assert (answer.status, answer.body_excerpt) == (0, "ConnectError: connection refused")


def test_a_service_is_looked_at_until_up_with_pauses() -> None:
    scene = Scene([httpx.Response(503), httpx.Response(503), httpx.Response(200, json={"status": "UP"})])
    looks = scene.probes().settled_health("/health", attempts=5, pause_seconds=2)
    assert [look.up for look in looks] == [False, False, True]
    assert scene.seconds == 4


def test_looking_ends_after_the_allowed_attempts() -> None:
    scene = Scene([httpx.Response(503) for _ in range(3)])
    assert len(scene.probes().settled_health("/health", attempts=3, pause_seconds=1)) == 3


def test_a_redirect_is_seen_and_not_followed() -> None:
    scene = Scene([httpx.Response(302, headers={"location": "https://login.test/"})])
    answer = scene.probes().get("/api/events")
    assert (answer.status, answer.location) == (302, "https://login.test/")
    assert len(scene.asked) == 1


def test_an_api_answer_is_known_as_json_or_not() -> None:
    scene = Scene([httpx.Response(200, json=[1]), httpx.Response(200, html="<p>hello")])
    probes = scene.probes()
    assert probes.get("/a").is_json
    answer = probes.get("/b")
    assert (answer.is_json, answer.content_type) == (False, "text/html; charset=utf-8")


def test_a_page_is_asked_of_the_site() -> None:
    scene = Scene([httpx.Response(200, html="<p>hello")])
    assert not scene.probes().page("/about").json_expected
    assert scene.asked == ["https://www.test/about"]


def test_a_page_of_no_site_is_a_mistake_and_not_a_pass() -> None:
    with pytest.raises(InvalidInput, match="site_url"):
        Probes(api_url="https://api.test").page("/about")


class Drip(httpx.SyncByteStream):
    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self.scene.seconds += 1
            yield b" "


def test_an_answer_that_drips_for_ever_is_no_answer() -> None:
    scene = Scene([])
    scene.answers = [httpx.Response(200, stream=Drip(scene))]
    answer = scene.probes().get("/api/events")
    assert answer.status == 0
    assert scene.seconds < 10


def test_a_sample_asks_each_path_as_often_as_told() -> None:
    scene = Scene([httpx.Response(200, json={}) for _ in range(40)])
    answers = scene.probes().sample(["/a", "/b"], times=20)
    assert len(answers) == 40
    assert sum(url.endswith("/a") for url in scene.asked) == 20


def test_a_sample_stays_within_its_concurrency() -> None:
    at_once, most, lock = 0, 0, threading.Lock()
    together = threading.Barrier(3)

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        together.wait(timeout=5)
        with lock:
            at_once -= 1
        return httpx.Response(200, json={})

    probes = Probes(api_url="https://api.test").wired(Wiring(transport=httpx.MockTransport(answer)))
    probes.sample(["/a"], times=9, concurrency=3)
    assert most == 3


def test_a_sample_of_nothing_is_nothing() -> None:
    assert Scene([]).probes().sample([], times=20) == ()
