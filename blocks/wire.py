"""How we speak HTTP: one place for time limits, retries, rate limits and discretion about secrets.

    Wire.ask(…) → Answer        any answer that is not a trouble of the moment; the caller reads the status
                ⚡ Outage       no answer in time, 429 or 5xx to the end, or nonsense instead of JSON
    Answer.require(200) ⚡ Declined   understood, and refused: no permission, unknown name, invalid request

A request is repeated when that is harmless: it never left, it was turned away by a rate limit, or the method
is idempotent (or the caller says so). Pauses use full jitter, or what the vendor asked for in its headers.
"""

import json
import logging
import random
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from itertools import count
from types import TracebackType
from typing import Any, Self

import httpx
from httpx import codes
from pydantic import SecretStr

from blocks.discretion import discretion, excerpt
from blocks.rate_limits import allowance_used_up, asked_pause
from rules.errors import Declined, Outage

logger = logging.getLogger(__name__)

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
OF_THE_MOMENT = frozenset({429, 500, 502, 503, 504})
MOST_BYTES = 32 * 1024 * 1024


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long we try. Seconds."""

    attempts: int = 4
    timeout_seconds: float = 10
    """Of one attempt, reading included."""
    total_seconds: float = 60
    """Of all attempts and pauses together."""
    first_pause_seconds: float = 0.5
    longest_pause_seconds: float = 8


@dataclass(frozen=True, slots=True)
class Wiring:
    """What the wire hangs on: the network and the clock. Tests pass their own."""

    transport: httpx.BaseTransport | None = None
    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = utc_now
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, with who was asked and what for, so that a complaint can name both."""

    system: str
    doing: str
    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def require(self, *statuses: int) -> Self:
        """Return this answer if its status is one of these, else Declined with the system's own words."""
        if self.status not in statuses:
            raise Declined(self.system, self.doing, self.status, self.excerpt)
        return self

    def mapping(self) -> dict[str, Any]:
        """The JSON object that was answered. Anything else is an Outage: nonsense is no answer."""
        value = parsed(self.text)
        if not isinstance(value, dict):
            raise Outage(
                self.system,
                self.doing,
                f"{self.status} with something that is no JSON object: {self.excerpt}",
            )
        return value

    @property
    def is_nonsense(self) -> bool:
        """Whether this claims success and carries something that is not JSON."""
        return codes.is_success(self.status) and bool(self.text) and parsed(self.text) is None

    @property
    def excerpt(self) -> str:
        return excerpt(discretion.clean(self.text))


def parsed(text: str) -> Any:
    """The JSON value of a text, or the text itself's absence: `None` where it is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    path: str
    doing: str
    query: Mapping[str, str | int]
    content: bytes | None
    headers: Mapping[str, str]
    repeatable: bool
    json_expected: bool


class Trouble(Exception):
    """Something that may pass; it becomes an Outage when attempts or time are used up."""

    def __init__(self, what: str, *, harmless: bool = False, pause: float | None = None) -> None:
        super().__init__(what)
        self.what, self.harmless, self.pause = what, harmless, pause


class Wire:
    """A connection to one system, to be used in a `with` block."""

    def __init__(
        self,
        system: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        secrets: Iterable[SecretStr | None] = (),
        patience: Patience = Patience(),  # frozen
        wiring: Wiring = Wiring(),  # frozen
    ) -> None:
        discretion.learn(secret.get_secret_value().strip() for secret in secrets if secret)
        self.system, self.patience, self.wiring = system, patience, wiring
        self._free_again = 0.0
        self._url = url.rstrip("/")
        self._client = httpx.Client(
            headers={"User-Agent": "promotion-flows", **(headers or {})},
            transport=wiring.transport,
            verify=certificates(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def ask(  # one request has as many parts as HTTP gives it
        self,
        method: str,
        path: str,
        *,
        doing: str,
        query: Mapping[str, str | int] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
        json_expected: bool = True,
    ) -> Answer:
        """Ask, repeatedly where that is harmless and of use. `doing` completes "did not answer while …".

        `repeatable` says that sending twice does no harm, where the method does not say so itself.
        Raises Outage when attempts or time are used up.
        """
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        kind = {} if body is None else {"Content-Type": "application/json; charset=utf-8"}
        return self._persist(
            Call(
                method,
                path,
                doing,
                query or {},
                content,
                kind | dict(headers or {}),
                method in IDEMPOTENT if repeatable is None else repeatable,
                json_expected,
            )
        )

    def _persist(self, call: Call) -> Answer:
        deadline = self.wiring.monotonic() + self.patience.total_seconds
        for attempt in count(1):
            try:
                self._wait_until_free(call, deadline)
                return self._attempt(call, deadline)
            except Trouble as trouble:
                self._pause(call, trouble, attempt, deadline)
        raise AssertionError  # count() does not end

    def _pause(self, call: Call, trouble: Trouble, attempt: int, deadline: float) -> None:
        pause = self._pause_after(attempt, trouble.pause)
        left = deadline - self.wiring.monotonic()
        if not (call.repeatable or trouble.harmless) or attempt >= self.patience.attempts or pause >= left:
            raise Outage(
                self.system,
                call.doing,
                f"{trouble.what} ({attempt} of {self.patience.attempts} attempts).",
                retry_after=trouble.pause,
            ) from None
        logger.warning("%s: %s while %s; again in %.1f s", self.system, trouble.what, call.doing, pause)
        self.wiring.sleep(pause)

    def _pause_after(self, attempt: int, asked: float | None) -> float:
        """Seconds: what was asked for and up to one more, else anything up to a doubling limit."""
        if asked is not None:
            return asked + self.wiring.chance()
        limit = min(self.patience.longest_pause_seconds, self.patience.first_pause_seconds * 2.0 ** (attempt - 1))
        return self.wiring.chance() * limit

    def _wait_until_free(self, call: Call, deadline: float) -> None:
        """The last answer said that nothing remains of our allowance: wait instead of being turned away."""
        wait = self._free_again - self.wiring.monotonic()
        if wait <= 0:
            return
        if wait >= deadline - self.wiring.monotonic():
            raise Outage(self.system, call.doing, f"its rate limit is used up for {wait:.0f} s.", retry_after=wait)
        self.wiring.sleep(wait)

    def _attempt(self, call: Call, deadline: float) -> Answer:
        try:
            status, headers, text = self._exchange(call, deadline)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Trouble(f"no connection ({self._words(error)})", harmless=True) from None
        except httpx.TimeoutException as error:
            raise Trouble(f"no answer in time ({type(error).__name__})") from None
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise Declined(self.system, call.doing, 0, f"the request could not be made: {self._words(error)}") from None
        except httpx.HTTPError as error:
            raise Trouble(f"the connection broke ({self._words(error)})") from None
        return self._judge(call, Answer(self.system, call.doing, status, text, headers))

    def _judge(self, call: Call, answer: Answer) -> Answer:
        pause = asked_pause(answer.headers, self.wiring.now())
        if answer.status in OF_THE_MOMENT:
            harmless = answer.status == codes.TOO_MANY_REQUESTS
            raise Trouble(f"{answer.status} {answer.excerpt}".strip(), harmless=harmless, pause=pause)
        if allowance_used_up(answer.headers):
            self._free_again = self.wiring.monotonic() + (pause or 0)
        if call.json_expected and answer.is_nonsense:
            raise Trouble(f"{answer.status} with something that is not JSON: {answer.excerpt}")
        return answer

    def _exchange(self, call: Call, deadline: float) -> tuple[int, dict[str, str], str]:
        """Send and read within the time of one attempt, also when each byte arrives just in time."""
        monotonic = self.wiring.monotonic
        timeout = max(0.001, min(self.patience.timeout_seconds, deadline - monotonic()))
        end = monotonic() + timeout
        body = bytearray()
        with self._client.stream(
            call.method,
            self._url + call.path,
            params=dict(call.query) or None,
            content=call.content,
            headers=dict(call.headers),
            timeout=timeout,
        ) as response:
            for chunk in response.iter_bytes():
                body += chunk
                if monotonic() > end or len(body) > MOST_BYTES:
                    raise httpx.ReadTimeout(f"{len(body)} bytes after {timeout:.0f} s")
            headers = {name.lower(): value for name, value in response.headers.items()}
            return response.status_code, headers, body.decode(response.encoding or "utf-8", "replace")

    def _words(self, error: Exception) -> str:
        return excerpt(discretion.clean(f"{type(error).__name__}: {error}"))


@lru_cache
def certificates() -> ssl.SSLContext:
    """Loading the certificates takes longer than most requests, so it is done once."""
    return httpx.create_ssl_context()
