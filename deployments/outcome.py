"""Follows one promotion by the Prefect server's API; its exit code and its last line say how the promotion stands.

    python -m deployments.outcome RUN [--wait MINUTES]         the run with this id
    python -m deployments.outcome --tag TAG [--wait MINUTES]   the one run that bears this tag
    python -m deployments.outcome --tag TAG --find             nothing but its id, or nothing where there is none

    exit   the last line begins with             because the promotion
    0      Completed                             completed
    1      Refused, PutBack, Failed, …           ended in any other way
    2      Unknown                               cannot be told of: called wrongly, no such run, no answer
    3      Waiting for approvals, Waiting for …  waits for people or for its time; this is said at once
    4      Running, Pending, …                   was still going on when the time to wait was over
    5      Completed (dry run)                   was a dry run: every gate is met, and nothing was promoted

The server is named by PREFECT_API_URL, the credential by PREFECT_API_AUTH_STRING or PREFECT_API_KEY, as for Prefect's
own command. A server that is out of reach is asked again for five minutes, and never taken for an end.
"""

import argparse
import base64
import math
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from httpx import codes
from pydantic import SecretStr

from blocks.wire import Answer, Patience, Wire, Wiring
from rules.errors import Declined, InvalidInput, Outage, PromotionError

PATIENCE = Patience(attempts=12, timeout_seconds=20, total_seconds=300, first_pause_seconds=1, longest_pause_seconds=60)
ENDED = frozenset({"FAILED", "CRASHED", "CANCELLED"})
A_WHILE = timedelta(minutes=1)
"""A run whose start is further away than this waits for its time; nearer than this it is about to begin."""
LONGEST_LINE = 2000
LONGEST_WAIT_MINUTES, LONGEST_INTERVAL_SECONDS = 24 * 60, 600
RUN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,99}")


class Exit(IntEnum):
    COMPLETED = 0
    ENDED = 1
    UNKNOWN = 2
    WAITING = 3
    RUNNING = 4
    REHEARSED = 5


@dataclass(frozen=True, slots=True)
class Seen:
    """A run as the server has it at one moment."""

    id: str
    kind: str
    """Prefect's type: COMPLETED, PAUSED, …"""
    state: str
    """What a reader sees: Completed, Refused, Suspended, …"""
    message: str = ""
    waits_for: str = ""
    """The key of its pause: approval-1, time-2, …"""
    begins: datetime | None = None
    """When a scheduled run is to start."""
    dry_run: bool = False


def judge(seen: Seen, now: datetime) -> tuple[Exit, str]:
    """How the promotion stands, and the line that says so, its first word the state's name."""
    if seen.kind == "COMPLETED":
        if seen.dry_run:
            return Exit.REHEARSED, f"Completed (dry run): {seen.message or 'Nothing was promoted.'}"
        return Exit.COMPLETED, f"Completed: {seen.message or 'The run left no message.'}"
    if seen.kind in ENDED:
        return Exit.ENDED, f"{seen.state}: {seen.message or 'The run left no message; look at its log.'}"
    if seen.kind == "PAUSED":
        return Exit.WAITING, _waiting(seen)
    if seen.state == "Scheduled" and seen.begins and seen.begins - now > A_WHILE:
        return Exit.WAITING, f"Waiting for its time: the run begins at {seen.begins.isoformat(timespec='minutes')}."
    return Exit.RUNNING, f"{seen.state}: the promotion is still going on."


def _waiting(seen: Seen) -> str:
    if seen.state != "Suspended":
        return "Waiting for a decision: the roll-out is paused until a person resumes it; if nobody does, it goes back."
    if seen.waits_for.startswith("time"):
        return "Waiting for its time: approved, and it goes on by itself."
    return "Waiting for approvals: nothing was changed yet, and it goes on when the approvers have resumed it."


# --------------------------------------------------------------------------------------------------------- the server


class Runs:
    """The runs of the Prefect server that the environment names."""

    def __init__(self, environ: Mapping[str, str], wiring: Wiring) -> None:
        url = api_url(environ)
        secrets = [environ.get("PREFECT_API_AUTH_STRING", ""), environ.get("PREFECT_API_KEY", "")]
        self._wire = Wire(
            "The Prefect server",
            url,
            headers=credential(*secrets),
            secrets=[SecretStr(secret) for secret in secrets if secret],
            patience=PATIENCE,
            wiring=wiring,
        )
        self._pages = environ.get("PREFECT_UI_URL", "").rstrip("/") or url.removesuffix("/api")

    def see(self, run_id: str) -> Seen:
        """One look. Raises InvalidInput where there is no such run, Declined, Outage."""
        doing = f"looking at run {run_id}"
        answer = self._wire.ask("GET", f"/flow_runs/{run_id}", doing=doing)
        if answer.status == codes.NOT_FOUND and "detail" in answer.mapping():
            raise InvalidInput("the run", run_id, "the id of a run that the Prefect server has")
        found = _required(answer).mapping()
        with suppress(AttributeError, KeyError, TypeError, ValueError):
            if found["id"] == run_id:
                return seen(found)
        raise Outage(answer.system, doing, "200 with something that is not this run.")

    def tagged(self, tag: str) -> list[str]:
        """The ids of the runs that bear the tag; not of the sub-flows, which inherit it."""
        wanted = {"tags": {"all_": [tag]}, "parent_task_run_id": {"is_null_": True}}
        doing = f"looking for the run with the tag {tag}"
        body = {"flow_runs": wanted, "limit": 50}
        answer = self._wire.ask("POST", "/flow_runs/paginate", doing=doing, body=body, repeatable=True)
        with suppress(AttributeError, KeyError, TypeError, argparse.ArgumentTypeError):
            return [_run_id(run["id"]) for run in _required(answer).mapping()["results"]]
        raise Outage(answer.system, doing, "200 with something that is no list of runs.")

    def page(self, run_id: str) -> str:
        return f"{self._pages}/runs/flow-run/{run_id}"


def _required(answer: Answer) -> Answer:
    if answer.status in {codes.UNAUTHORIZED, codes.FORBIDDEN}:
        said = f"{answer.excerpt} (the credential is PREFECT_API_AUTH_STRING or PREFECT_API_KEY)"
        raise Declined(answer.system, answer.doing, answer.status, said)
    return answer.require(codes.OK)


def seen(run: Mapping[str, Any]) -> Seen:
    """From the server's JSON. A run that has no state yet is about to be scheduled."""
    state = run.get("state") or {}
    details = state.get("state_details") or {}
    kind = str(state.get("type") or "PENDING")
    begins = details.get("scheduled_time")
    return Seen(
        str(run["id"]),
        kind,
        one_line(str(state.get("name") or kind.title())),
        one_line(str(state.get("message") or "")),
        str(details.get("pause_key") or ""),
        datetime.fromisoformat(begins) if begins else None,
        (run.get("parameters") or {}).get("dry_run") is True,
    )


def one_line(text: str) -> str:
    """A message as one line that no CI takes for a command, whatever some outside system has put into it."""
    line = " ".join(text.split()).replace("##[", "## [")
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]} …"


def api_url(environ: Mapping[str, str]) -> str:
    """The server's address. Raises InvalidInput, which repeats no address that may hold a password."""
    url = environ.get("PREFECT_API_URL", "").strip().rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        allowed = "an address such as https://prefect.example.org/api, without a credential in it"
        raise InvalidInput("PREFECT_API_URL", "something else" if url else "", allowed)
    return url


def credential(auth_string: str, key: str) -> dict[str, str]:
    """The header, as Prefect's own client sends it."""
    if auth_string:
        return {"Authorization": f"Basic {base64.b64encode(auth_string.encode()).decode()}"}
    return {"Authorization": f"Bearer {key}"} if key else {}


# -------------------------------------------------------------------------------------------------------- the command


def main(
    arguments: Sequence[str] | None = None,
    environ: Mapping[str, str] = os.environ,
    wiring: Wiring | None = None,
) -> int:
    """Tests pass their own environment and wiring."""
    options, wiring = _options(arguments), wiring or Wiring()
    try:
        runs = Runs(environ, wiring)
        if options.find:
            return _find(runs, options.tag)
        run_id = options.run or _only(runs.tagged(options.tag), options.tag)
        print(f"Run {run_id}: {runs.page(run_id)}", flush=True)
        told, line = follow(runs, run_id, options, wiring)
    except PromotionError as error:
        told, line = Exit.UNKNOWN, f"Unknown: {one_line(str(error))}"
        if options.find:  # whose standard output is a run's id
            print(line, file=sys.stderr)
            return told
    print(line, flush=True)
    _summarise(line, environ)
    return told


def follow(runs: Runs, run_id: str, options: argparse.Namespace, wiring: Wiring) -> tuple[Exit, str]:
    """Looks until there is something to say, or the time to wait is over; prints each state as it is entered."""
    end, last = wiring.monotonic() + options.wait * 60, ""
    while True:
        run = runs.see(run_id)
        told, line = judge(run, wiring.now())
        if run.state != last:
            print(f"{wiring.now():%H:%M:%S} UTC  {run.state}", flush=True)
        if told is not Exit.RUNNING or wiring.monotonic() >= end:
            return told, line + _again(told, runs, run_id)
        last = run.state
        wiring.sleep(max(0.0, min(options.interval, end - wiring.monotonic())))


def _again(told: Exit, runs: Runs, run_id: str) -> str:
    if told not in {Exit.WAITING, Exit.RUNNING}:
        return ""
    page, command = runs.page(run_id), f"python -m deployments.outcome {run_id}"
    return f" Nobody holds a runner meanwhile; its page is {page}; look again with: {command}"


def _find(runs: Runs, tag: str) -> int:
    found = runs.tagged(tag)
    if found:
        print(_only(found, tag))
    return 0


def _only(found: Sequence[str], tag: str) -> str:
    if len(found) == 1:
        return found[0]
    those = f"borne by {len(found)} runs ({', '.join(found)}): look at each" if found else "borne by no run: none began"
    raise InvalidInput("the tag", tag, f"one that exactly one run bears; it is {those}")


def _summarise(line: str, environ: Mapping[str, str]) -> None:
    """On top of the page of the GitHub Actions run, where this is one."""
    if file := environ.get("GITHUB_STEP_SUMMARY"):
        with suppress(OSError), Path(file).open("a", encoding="utf-8") as summary:
            summary.write(f"{line}\n")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    text = __doc__ or ""
    parser = argparse.ArgumentParser(
        prog="python -m deployments.outcome",
        description=text.split("\n", 1)[0],
        epilog=text.split("\n\n", 2)[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("run", nargs="?", type=_run_id, metavar="RUN", help="the whole id of a flow run")
    which.add_argument("--tag", type=_tag, help="a tag that exactly one flow run bears")
    parser.add_argument("--find", action="store_true", help="with --tag: only print the run's id, if there is one")
    parser.add_argument("--wait", type=_minutes, default=0.0, metavar="MINUTES", help="how long to follow it (0)")
    parser.add_argument("--interval", type=_seconds, default=10.0, metavar="SECONDS", help="between two looks (10)")
    options = parser.parse_args(arguments)
    if options.find and not options.tag:
        parser.error("--find looks for a run by its --tag")
    return options


def _run_id(text: str) -> str:
    if not RUN_ID.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no run's id; such as 3fa85f64-5717-4562-b3fc-2c963f66afa6")
    return text.lower()


def _tag(text: str) -> str:
    if not TAG.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no tag: 3 to 100 letters, digits, '.', '_' and '-'")
    return text


def _minutes(text: str) -> float:
    return _number(text, 0, LONGEST_WAIT_MINUTES)


def _seconds(text: str) -> float:
    return _number(text, 1, LONGEST_INTERVAL_SECONDS)


def _number(text: str, least: float, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:  # and so not for nan
        raise argparse.ArgumentTypeError(f"{text!r} is no number from {least:g} to {most:g}")
    return number


if __name__ == "__main__":
    sys.exit(main())
