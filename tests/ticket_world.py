"""An application whose ticket system is the stand-in, in this process: it can be cut off, slowed down and killed."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import httpx
from pydantic import SecretStr

from blocks.change_tickets import ChangeTickets
from blocks.doors import Application
from blocks.wire import Wiring
from deployments.sandbox.clock import ManualClock
from deployments.sandbox.faults import Faults
from deployments.sandbox.vendors.application import create_app
from deployments.sandbox.vendors.in_process import InProcess
from deployments.sandbox.vendors.state import VendorState
from deployments.sandbox.vendors.ticket_store import Ticket, plain
from rules.production_policies import Emergency, EmergencyPolicy, Person, Terms, TicketPolicy
from rules.records import Event, EventKind, Record, chain
from rules.vocabulary import Release
from tasks.promotions import Promotion

APPROVED, WAITING = "CHG-102", "CHG-103"
RUN = "0199-run-1"
SHA = "3f2a1bc5" * 5
RELEASE = Release(SHA, {"gateway": "sha256:" + "a" * 64})
POLICY = TicketPolicy(
    project="CHG",
    approved=("Approved", "Implementing"),
    under_way="Implementing",
    deployed="Done",
    rolled_back="Approved",
    failed="Approved",
)
HOTFIX = Emergency("Nobody can log in.", "INC-9")


class Died(BaseException):
    """The process was killed: nothing catches it."""


class Line(httpx.BaseTransport):
    """The way to the ticket system. It notes each request, answers some itself, and can kill who asks."""

    def __init__(self, transport: httpx.BaseTransport) -> None:
        self._transport = transport
        self.asked: list[str] = []
        self.bodies: list[bytes] = []
        self.answers: list[tuple[str, httpx.Response]] = []
        """Instead of the ticket system's: the first whose word is in the request."""
        self.kill_before: int | None = None
        self.kill_after: int | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        number, said = len(self.asked), f"{request.method} {request.url.path}"
        if number == self.kill_before:
            raise Died
        self.asked.append(said)
        self.bodies.append(request.read())
        for place, (word, answer) in enumerate(self.answers):
            if word in said:
                del self.answers[place]
                return answer
        answer = self._transport.handle_request(request)
        if number == self.kill_after:
            raise Died
        return answer

    def live(self) -> None:
        self.kill_before = self.kill_after = None

    def writes(self) -> list[str]:
        return [it for it in self.asked if not it.startswith("GET") and "search" not in it]


class Site:
    """The stand-in with its clock, its faults, and the door to it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.state = VendorState(self.clock)
        self.state.seed()
        self.faults = Faults()
        self.line = Line(InProcess(create_app(self.state, self.faults)))
        self.wiring = Wiring(
            transport=self.line,
            monotonic=self.clock.monotonic,
            now=self.clock.now,
            sleep=self.clock.advance,
            chance=lambda: 0.5,
        )

    @property
    def door(self) -> ChangeTickets:
        return self.door_of(self.state.credentials.ticket_token)

    def door_of(self, token: str) -> ChangeTickets:
        user = self.state.credentials.ticket_user
        return ChangeTickets(url="http://sandbox/jira", user=user, token=SecretStr(token)).wired(self.wiring)

    def stored(self, key: str = APPROVED) -> Ticket:
        return self.state.tickets.find(key)

    def status(self, key: str = APPROVED) -> str:
        return str(self.stored(key).fields["status"]["name"])

    def comments(self, key: str = APPROVED) -> list[str]:
        return [plain(comment["body"]) for comment in self.stored(key).comments]


class Book:
    """A ledger in memory, whose writer can be killed before or after it wrote."""

    def __init__(self) -> None:
        self.kept: list[Record] = []
        self.now = datetime(2026, 11, 23, 12, tzinfo=UTC)
        self.kill_before: EventKind | None = None
        self.trouble: Exception | None = None

    def append(self, event: Event) -> Record:
        if event.kind is self.kill_before:
            raise Died
        if self.trouble:
            raise self.trouble
        self.kept.append(chain(self.kept[-1] if self.kept else None, event, self.now))
        return self.kept[-1]

    def records(self, run_id: str | None = None) -> Iterable[Record]:
        return iter([it for it in self.kept if run_id in {None, it.event.run_id}])

    def told(self, run_id: str = RUN) -> list[str]:
        story = [it.event for it in self.records(run_id) if it.event.kind is EventKind.TICKET_TOLD]
        return [str(event.details["about"]) for event in story]


class World:
    """One application, as far as its change tickets need it."""

    def __init__(self, policy: TicketPolicy = POLICY) -> None:
        self.site, self.book = Site(), Book()
        people = {"anna": Person("anna", "Anna Meier"), "reto": Person("reto", "Reto Keller")}
        self.catalogue: Any = SimpleNamespace(tickets=policy, people=people, emergency=EmergencyPolicy())
        facade = SimpleNamespace(name="batbern", catalogue=self.catalogue, ledger=self.book, tickets=self.site.door)
        self.application = cast("Application", facade)

    def write(self, kind: EventKind, run: str = RUN, /, **details: Any) -> None:
        plan = "" if kind is EventKind.STARTED else "plan4711"
        self.book.append(Event(run, plan, "production", kind, f"{kind}: it was so.", details))

    def start(self, ticket: str = APPROVED, run: str = RUN, **other: Any) -> None:
        asked = {"source": "staging", "requested": "", "requested_by": "Urs Frei", "ticket": ticket}
        self.write(EventKind.STARTED, run, **{**asked, **other})

    def run_until(self, *kinds: EventKind, ticket: str = APPROVED, run: str = RUN, **other: Any) -> None:
        """A run that was planned, asked for approval, got it, and of which this is known then."""
        self.start(ticket, run, **other)
        self.write(EventKind.PLAN, run, version=SHA, changes=[{"what": "image"}])
        self.write(EventKind.APPROVAL_ASKED, run, key="approval-1", awaited=["anna"])
        self.write(EventKind.APPROVED, run, by=["anna", "reto"])
        for kind in kinds:
            self.write(kind, run)

    def promotion(self, ticket: str = APPROVED, run: str = RUN, **other: Any) -> Promotion:
        emergency = other.pop("emergency", None)
        facade = SimpleNamespace(
            application=self.application,
            catalogue=self.catalogue,
            target=SimpleNamespace(environment=SimpleNamespace(name="production")),
            terms=Terms("Urs Frei", ticket, emergency=emergency),
            emergency=emergency,
            dry_run=other.pop("dry_run", False),
            run_id=run,
        )
        return cast("Promotion", facade)

    def surviving(self, act: Callable[..., object], *given: object) -> bool:
        """Whether the process lived through it. Afterwards nobody is killed any more."""
        try:
            act(*given)
        except Died:
            return False
        finally:
            self.site.line.live()
            self.book.kill_before = None
        return True
