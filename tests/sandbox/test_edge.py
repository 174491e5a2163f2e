"""The edge over real HTTP, and the choice, the counting and the metrics without any."""

import random
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from deployments.sandbox.services.edge import Edge
from deployments.sandbox.services.loop import LoopThread
from deployments.sandbox.services.meter import data
from deployments.sandbox.services.routes import Home, Routes, pick
from deployments.sandbox.services.traffic import Hit, Traffic
from deployments.sandbox.services.visitors import Visitors


@dataclass(frozen=True)
class FakeRoute:
    revision: str
    weight: float
    addresses: tuple[str, ...]


class Site:
    """An edge, tasks that answer with their own name, and the routing between."""

    def __init__(self, loop: LoopThread) -> None:
        self.loop = loop
        self.routing: tuple[FakeRoute, ...] = ()
        routes = Routes(lambda *_: self.routing, {("staging", "gateway"): Home("2" * 12, "c", "gateway")})
        self.edge = Edge("staging", routes)
        loop.run(self.edge.open())
        self._runners: list[web.ServerRunner] = []

    def task(self, name: str, status: int = 200) -> str:
        async def answer(request: web.BaseRequest) -> web.Response:
            return web.Response(text=f"{name} {request.method} {request.path_qs} {await request.text()}", status=status)

        async def begin() -> str:
            runner = web.ServerRunner(web.Server(answer))
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self._runners.append(runner)
            return "{}:{}".format(*runner.addresses[0][:2])

        return self.loop.run(begin())

    def close(self) -> None:
        self.loop.run(self.edge.close())
        for runner in self._runners:
            self.loop.run(runner.cleanup())


@pytest.fixture
def site() -> Iterator[Site]:
    with LoopThread() as loop:
        site = Site(loop)
        yield site
        site.close()


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site.edge.url, trust_env=False, timeout=5) as client:
        yield client


def dead_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def test_the_weights_decide_who_answers(site: Site, client: httpx.Client) -> None:
    site.routing = (FakeRoute("blue", 75, (site.task("blue"),)), FakeRoute("green", 25, (site.task("green"),)))
    answered = Counter(client.get("/api/events").text.split()[0] for _ in range(200))
    assert 120 < answered["blue"] < 180
    totals = site.edge.traffic.totals()
    assert totals["blue"].ok == answered["blue"]


def test_a_request_reaches_the_task_as_it_was_sent(site: Site, client: httpx.Client) -> None:
    site.routing = (FakeRoute("blue", 100, (site.task("blue", 201),)),)
    answer = client.post("/api/events?q=a%20b&x=%2F", content="hello")
    assert (answer.status_code, answer.text) == (201, "blue POST /api/events?q=a%20b&x=%2F hello")


def test_a_refused_connection_is_tried_once_more_elsewhere(site: Site, client: httpx.Client) -> None:
    site.routing = (FakeRoute("blue", 100, (dead_address(), site.task("blue"))),)
    assert {client.get("/").status_code for _ in range(20)} == {200}


def test_a_revision_without_a_task_is_unavailable(site: Site, client: httpx.Client) -> None:
    site.routing = (FakeRoute("blue", 100, ()),)
    assert client.get("/").status_code == 503
    assert site.edge.traffic.totals()["blue"].failed == 1


def test_tasks_that_all_refuse_are_a_bad_gateway(site: Site, client: httpx.Client) -> None:
    site.routing = (FakeRoute("blue", 100, (dead_address(),)),)
    assert client.get("/").status_code == 502


def test_visitors_come_at_their_rate(site: Site) -> None:
    site.routing = (FakeRoute("blue", 100, (site.task("blue"),)),)
    visitors = Visitors(site.edge.url, per_second=100)
    site.loop.run(visitors.open())
    while visitors.met.ok < 40:
        assert visitors.met.failed == 0
    site.loop.run(visitors.close())
    assert site.edge.traffic.totals()["blue"].ok == visitors.met.ok


def test_visitors_come_more_often_stay_away_and_come_again(site: Site) -> None:
    site.routing = (FakeRoute("blue", 100, (site.task("blue"),)),)
    visitors = Visitors(site.edge.url, per_second=0.01)
    site.loop.run(visitors.open())
    visitors.per_second = 200
    assert until(lambda: visitors.met.ok >= 20)
    visitors.per_second = 0
    assert until(lambda: visitors.waiting == 0)
    met = visitors.met.ok
    visitors.per_second = 200
    assert until(lambda: visitors.met.ok > met)
    site.loop.run(visitors.close())


def until(fact: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not fact() and time.monotonic() < deadline:
        time.sleep(0.01)
    return fact()


@given(
    weights=st.lists(st.integers(0, 100), min_size=1, max_size=4),
    seed=st.integers(),
)
def test_a_revision_without_weight_is_never_chosen(weights: list[int], seed: int) -> None:
    routes = [FakeRoute(str(place), weight, (f"a{place}",)) for place, weight in enumerate(weights)]
    target = pick(routes, random.Random(seed))  # noqa: S311 - a die
    assert (target.address is None) == (sum(weights) == 0)
    assert target.address is None or weights[int(target.revision)] > 0


def test_an_address_that_failed_is_avoided_as_long_as_there_is_another() -> None:
    dice = random.Random(1)  # noqa: S311 - a die
    assert pick([FakeRoute("r", 1, ("a", "b"))], dice, but="a").address == "b"
    assert pick([FakeRoute("r", 1, ("a",))], dice, but="a").address == "a"


def test_each_second_is_counted_for_itself_and_silent_seconds_are_there() -> None:
    now = [100.0]
    traffic = Traffic(lambda: now[0])
    traffic.record(Hit("blue", 200, 0.1))
    now[0] = 102.5
    traffic.record(Hit("blue", 500, 0.6))
    now[0] = 103.0
    assert [len(second.hits) for second in traffic.seconds(3)] == [1, 0, 1]
    total = traffic.totals()["blue"]
    assert (total.ok, total.failed, total.slow, total.bad) == (1, 1, 1, 1)


def test_a_hit_is_metered_once() -> None:
    traffic = Traffic()
    traffic.record(Hit("blue", 200, 0.1))
    assert len(traffic.unmetered()) == 1
    assert traffic.unmetered() == []


def test_a_load_balancer_counts_for_itself_and_for_each_target_group() -> None:
    hits = [Hit("b", 200, 0.02), Hit("g", 500, 0.2), Hit("g", 200, 0.2), Hit("", 503, 0.0, from_target=False)]
    groups = {"b": "targetgroup/blue", "g": "targetgroup/green", "": ""}
    found = data("app/x/1", hits, groups.__getitem__)
    named = {(datum["MetricName"], len(datum["Dimensions"]), datum["Dimensions"][0]["Value"]): datum for datum in found}
    assert named["RequestCount", 1, "app/x/1"]["Counts"] == [4.0]
    assert named["HTTPCode_ELB_5XX_Count", 1, "app/x/1"]["Counts"] == [1.0]
    assert named["HTTPCode_Target_5XX_Count", 2, "targetgroup/green"]["Counts"] == [1.0]
    assert named["TargetResponseTime", 2, "targetgroup/green"]["Values"] == [0.2]
    assert ("HTTPCode_Target_5XX_Count", 2, "targetgroup/blue") not in named


def test_no_request_is_no_datum() -> None:
    assert data("app/x/1", [], lambda _: "") == []
