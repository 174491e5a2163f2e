"""Stories of the validation suite: a release that runs well in dev, and one gate that finds it wanting."""

from datetime import UTC, datetime, timedelta
from typing import Any

from deployments.sandbox import proofs
from deployments.sandbox.leavings import CVE, FAILING
from deployments.sandbox.patience import with_arrays, with_values
from deployments.sandbox.story import SOURCE, Edit, Scene, Story

WAIVED_DAYS = 7
NO_K6 = "k6-that-nobody-installed"


def without_k6(text: str, _scene: Scene) -> str:
    return with_values(text, {"validation.load": {"program": NO_K6}})


def with_waiver(text: str, scene: Scene) -> str:
    """The catalogue in which somebody has excused the security gate of this very release."""
    expires = (datetime.now(UTC) + timedelta(days=WAIVED_DAYS)).date()
    waiver = {
        "gate": "security",
        "version": scene.version,
        "person": "Sofia Rossi",
        "reason": "OPS-77: the image is behind the firewall until it is rebuilt.",
        "expires": expires.isoformat(),
    }
    return with_arrays(text, {"waivers": [waiver]})


def gated(name: str, tells: str, *gates: str, words: str = "", catalogue: Edit | None = None, **more: Any) -> Story:
    """Refused, because these gates, and no other, found something; in the sentence of the first are these words."""
    behaviour = more.pop("behaviour", name)
    proof = proofs.all_of(proofs.nothing_begun, proofs.found_wanting(SOURCE, gates, words))
    return Story(name, tells, behaviour, ends="Refused", catalogue=catalogue, proof=proof, **more)


GATE_STORIES = (
    gated("regression-fails", "A test of the team's own suite failed: refused.", "regression", words=FAILING),
    gated("regression-empty", "The suite's result has no test in it: refused.", "regression"),
    gated("slow-under-load", "Quick for one visitor, too slow for many: refused.", "load", words="below 500 ms"),
    gated(
        "k6-missing", "k6 is not on the worker: no load test, no pass.", "load",
        words=NO_K6, behaviour="good", catalogue=without_k6,
    ),
    gated("vulnerable", "The registry found a critical hole in an image: refused.", "security", words=CVE),
    gated("scan-empty", "A scanner left an empty result: refused.", "security"),
    gated("secret-found", "A key stands in the source: refused, and nobody is shown the key.", "security"),
    gated("schema-breaks", "Somebody changed dev's database by hand; the old code could not live with it: refused.",
          "schema", words="region"),
    gated("migration-unsafe", "A migration renames a column that the old code reads: refused.",
          "migrations", "schema", words="waiting_list"),
    gated("migration-fails-on-data", "A migration runs on empty tables only; its rehearsal has rows: refused.",
          "migrations", words="V3__short_numbers.sql"),
    Story(
        "waived",
        "The same hole, and somebody excused it in writing for this release: promoted, and everybody sees it.",
        "vulnerable",
        catalogue=with_waiver,
        proof=proofs.all_of(proofs.told_waiver("security", "OPS-77")),
    ),
)  # fmt: skip
