"""The door through which a release is looked at from outside, as its users and its load balancer see it.

What a probe meets is a measurement, also when nothing answers: it comes back as an answer with status 0 and is
judged by `rules.probing`, not raised.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Self

import httpx
from prefect.blocks.core import Block
from pydantic import Field, PrivateAttr

from blocks.discretion import discretion, excerpt
from blocks.wire import Wiring, certificates, parsed
from rules.errors import InvalidInput
from rules.probing import HealthAnswer, SmokeAnswer, says_up

MOST_BYTES = 1024 * 1024
KEPT = 20_000
"""Characters of a body that are kept for the judgement and the record."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What came back from one address."""

    status: int
    milliseconds: float
    body: str
    content_type: str = ""
    location: str = ""


class Probes(Block):
    """Addresses under which an environment is looked at."""

    _block_type_name = "Probes"
    _block_type_slug = "probes"

    api_url: str = Field(description="Base address of the API, as its users call it.")
    site_url: str = Field(default="", description="Base address of the web site, where there is one.")
    timeout_seconds: float = Field(default=5, description="Longest time for one answer.", gt=0)
    _wiring: Wiring = PrivateAttr(default_factory=Wiring)

    def wired(self, wiring: Wiring) -> Self:
        """Return this door, on another network and clock."""
        self._wiring = wiring
        return self

    def health(self, path: str) -> HealthAnswer:
        """One look at a health endpoint."""
        with self._client(self.api_url) as client:
            seen = self._see(client, path)
        return HealthAnswer(
            path,
            seen.status,
            up=seen.status == httpx.codes.OK and says_up(seen.body),
            milliseconds=seen.milliseconds,
            body_excerpt=excerpt(discretion.clean(seen.body)),
        )

    def settled_health(self, path: str, attempts: int, pause_seconds: float) -> tuple[HealthAnswer, ...]:
        """Looks until UP, at most so many, with a pause between them."""
        looks = [self.health(path)]
        while not looks[-1].up and len(looks) < attempts:
            self._wiring.sleep(pause_seconds)
            looks.append(self.health(path))
        return tuple(looks)

    def get(self, path: str) -> SmokeAnswer:
        """One look at an address of the API, which must answer JSON."""
        with self._client(self.api_url) as client:
            return smoke_answer(path, self._see(client, path))

    def page(self, path: str) -> SmokeAnswer:
        """One look at a page of the web site. Raises InvalidInput where no site is configured."""
        if not self.site_url:
            raise InvalidInput(
                "The web site's address", self.site_url, "an address", "Set site_url in the probes block."
            )
        with self._client(self.site_url) as client:
            return replace(smoke_answer(path, self._see(client, path)), json_expected=False)

    def sample(self, paths: Sequence[str], times: int, concurrency: int = 4) -> tuple[SmokeAnswer, ...]:
        """So many looks at each address of the API, so many at once. Empty where no path is given."""
        asked = [path for _ in range(times) for path in paths]
        with self._client(self.api_url) as client, ThreadPoolExecutor(max(1, concurrency)) as pool:
            return tuple(pool.map(lambda path: smoke_answer(path, self._see(client, path)), asked))

    def client(self) -> httpx.Client:
        """A connection to the API, for whoever asks it more than probes do."""
        return self._client(self.api_url)

    def monotonic(self) -> float:
        """Seconds by the clock that times the answers."""
        return self._wiring.monotonic()

    def _client(self, url: str) -> httpx.Client:
        return httpx.Client(
            base_url=url,
            transport=self._wiring.transport,
            verify=certificates(),
            timeout=self.timeout_seconds,
            headers={"User-Agent": "promotion-flows", "Accept": "application/json, text/html;q=0.9"},
        )

    def _see(self, client: httpx.Client, path: str) -> Seen:
        clock = self._wiring.monotonic
        start = clock()
        try:
            with client.stream("GET", path) as response:
                body = read_within(response, start + self.timeout_seconds, clock)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            words = f"{type(error).__name__}: {error}"
            return Seen(0, (clock() - start) * 1000, excerpt(discretion.clean(words)))
        return Seen(
            response.status_code,
            (clock() - start) * 1000,
            body.decode(response.encoding or "utf-8", "replace"),
            response.headers.get("content-type", ""),
            response.headers.get("location", ""),
        )


def read_within(response: httpx.Response, end: float, clock: Callable[[], float] = time.monotonic) -> bytes:
    """The body, if it is whole before the end, also when each byte of it arrives just in time."""
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if clock() > end or len(body) > MOST_BYTES:
            raise httpx.ReadTimeout(f"{len(body)} bytes and no end in sight")
    return bytes(body)


def smoke_answer(path: str, seen: Seen) -> SmokeAnswer:
    return SmokeAnswer(
        path,
        seen.status,
        seen.milliseconds,
        seen.content_type,
        discretion.clean(seen.body)[:KEPT],
        is_json=parsed(seen.body) is not None,
        location=discretion.clean(seen.location),
    )
