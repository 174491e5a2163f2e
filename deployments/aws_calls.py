"""The AWS calls of each flow, as IAM actions: what the policies of the roles must allow, and no more.

    python -m deployments.aws_calls show [FLOW]        the actions, by flow and place, as aws_calls.toml has them
    python -m deployments.aws_calls record RECORDING   writes aws_calls.toml anew, from what the tests' walks recorded

aws_calls.toml is written, never edited. A walk of the acceptance tests in which a call is made that is not in it
fails, and so does one whose call is not what AWS's model says. What no walk makes stands in `UNSEEN`, with its reason.
The ledger in Amazon S3 is apart: blocks/locked_ledger.py says what its own credentials need.
"""

import argparse
import json
import sys
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

FILE = Path(__file__).parent / "aws_calls.toml"
DONE, NOT_DONE = 0, 2
PREFIXES = {"elbv2": "elasticloadbalancing"}
"""Of IAM actions, where it is not the name of boto3's client."""
NAMED = {
    ("s3", "GetObject"): "s3:GetObject",
    ("s3", "HeadObject"): "s3:GetObject",
    ("s3", "ListObjectsV2"): "s3:ListBucket",
    ("lambda", "Invoke"): "lambda:InvokeFunction",
}
"""Calls whose action has another name than they."""
READS = ("BatchGet", "Describe", "Get", "InvokeFunction", "List")
"""How actions begin that change nothing; a function that checks is the owner's own, and so is what it does."""


class Place(StrEnum):
    """Whose policy it is."""

    WORKER = "worker"
    """The worker's own identity, which takes on the roles of the environments."""
    REGISTRY = "registry"
    """The environment in whose account the images are."""
    SOURCE = "source"
    TARGET = "target"


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """One action that one flow needs in one place."""

    flow: str
    place: Place
    action: str


@dataclass(frozen=True, slots=True)
class Unseen:
    """What the tests' walks do not do."""

    reason: str
    flows: tuple[str, ...]
    actions: tuple[str, ...]
    place: Place = Place.TARGET

    def needs(self) -> Iterator[Need]:
        return (Need(flow, self.place, action) for flow in self.flows for action in self.actions)


PROMOTING, ROLLING_OUT, CONFIGURING = "promote-to-staging", "roll-out", "promote-configuration"
VALIDATING = "validate"
PRODUCING = "promote-to-production"
UNSEEN: tuple[Unseen, ...] = (
    Unseen(
        "only for a service that AWS CodeDeploy moves",
        (PROMOTING,),
        (
            "codedeploy:BatchGetDeploymentTargets",
            "codedeploy:CreateDeployment",
            "codedeploy:CreateDeploymentConfig",
            "codedeploy:GetApplicationRevision",
            "codedeploy:GetDeployment",
            "codedeploy:GetDeploymentConfig",
            "codedeploy:GetDeploymentGroup",
            "codedeploy:ListDeploymentTargets",
            "codedeploy:ListDeployments",
            "codedeploy:StopDeployment",
        ),
    ),
    Unseen(
        "only for a service whose weights we move ourselves",
        (PROMOTING, ROLLING_OUT),
        ("elasticloadbalancing:AddTags", "elasticloadbalancing:DescribeTags", "elasticloadbalancing:ModifyRule"),
    ),
    Unseen(
        "only for a service whose weights we move ourselves",
        (PROMOTING,),
        (
            "elasticloadbalancing:DescribeListeners",
            "elasticloadbalancing:DescribeRules",
            "elasticloadbalancing:DescribeTags",
            "elasticloadbalancing:DescribeTargetGroups",
            "elasticloadbalancing:DescribeTargetHealth",
        ),
        Place.SOURCE,
    ),
    Unseen(
        "only for a service that the catalogue sends by canary",
        (PROMOTING,),
        ("cloudwatch:GetMetricData", "ecs:ContinueServiceDeployment"),
    ),
    Unseen(
        "only for regression checks that run inside the VPC",
        (PROMOTING, VALIDATING),
        ("lambda:InvokeFunction",),
        Place.SOURCE,
    ),
    Unseen(
        "only where the catalogue asks the validation suite",
        (PROMOTING, VALIDATING),
        ("ecr:DescribeImageScanFindings", "s3:GetObject", "s3:ListBucket"),
        Place.REGISTRY,
    ),
    Unseen("recorded in the sandbox, no test walks it", (VALIDATING,), ("ecr:DescribeImages",), Place.REGISTRY),
    Unseen("recorded in the sandbox, no test walks it", (VALIDATING,), ("sts:AssumeRole",), Place.WORKER),
    Unseen(
        "recorded in the sandbox, no test walks it",
        (VALIDATING,),
        (
            "ecs:DescribeServices",
            "ecs:DescribeTasks",
            "ecs:ListServiceDeployments",
            "ecs:ListServices",
            "ecs:ListTasks",
        ),
        Place.SOURCE,
    ),
    Unseen("only where no error was ever counted", (PROMOTING, ROLLING_OUT), ("cloudwatch:ListMetrics",)),
    Unseen(
        "only where a canary's numbers are a load balancer's, or we move the weights ourselves",
        (PROMOTING, ROLLING_OUT),
        ("elasticloadbalancing:DescribeTargetGroups",),
    ),
    Unseen(
        "only behind a network load balancer, or where we move the weights ourselves",
        (PROMOTING, ROLLING_OUT),
        ("elasticloadbalancing:DescribeListeners",),
    ),
    Unseen(
        "only where the tags of a parameter differ",
        (CONFIGURING, PROMOTING),
        ("ssm:AddTagsToResource", "ssm:RemoveTagsFromResource"),
    ),
    Unseen("only where a new parameter is put back", (PROMOTING,), ("ssm:DeleteParameter",)),
    Unseen(
        "only while a deployment is under way there",
        (PROMOTING,),
        ("ecs:DescribeServiceDeployments", "ecs:DescribeServiceRevisions", "ecs:DescribeTaskDefinition"),
        Place.SOURCE,
    ),
    Unseen(
        "only for an account without a role; AWS allows it to everybody",
        (CONFIGURING, PROMOTING, ROLLING_OUT),
        ("sts:GetCallerIdentity",),
        Place.WORKER,
    ),
)
DEMANDED: Mapping[str, tuple[str, ...]] = {
    "codedeploy:CreateDeployment": ("codedeploy:RegisterApplicationRevision",),
    "ecs:RegisterTaskDefinition": ("ecs:TagResource", "iam:PassRole"),
    "rds:CreateDBSnapshot": ("rds:AddTagsToResource",),
    "ssm:GetParameterHistory": ("kms:Decrypt",),
    "ssm:GetParametersByPath": ("kms:Decrypt",),
    "ssm:PutParameter": ("kms:Encrypt", "kms:GenerateDataKey"),
}
"""What AWS demands beside the action: an AppSpec is registered, a definition has tags and names roles, and a
SecureString is decrypted and encrypted (with a data key where the parameter is an advanced one)."""

Written = Mapping[str, Mapping[str, Mapping[str, Sequence[str]]]]
"""The file: actions by flow, place and kind (`reading`, `writing`, `beside`)."""


def action(service: str, operation: str) -> str:
    """The IAM action of a call: `("elbv2", "DescribeRules")` → `elasticloadbalancing:DescribeRules`.

    Of Amazon S3 only those that read files: what else it is asked depends on the parameters of the call.
    """
    if named := NAMED.get((service, operation)):
        return named
    if service == "s3":
        raise ValueError(f"s3:{operation} has no IAM action of its own name; the ledger in S3 is apart.")
    return f"{PREFIXES.get(service, service)}:{operation}"


def reads(it: str) -> bool:
    return it.partition(":")[2].startswith(READS)


def demanded(actions: Iterable[str]) -> list[str]:
    """What AWS demands beside these actions."""
    return sorted({beside for it in actions for beside in DEMANDED.get(it, ())})


def excused(unseen: Iterable[Unseen] = UNSEEN) -> dict[Need, str]:
    """The reason for every need that no walk shows."""
    return {need: it.reason for it in unseen for need in it.needs()}


def unseen_beside(found: Iterable[Need]) -> tuple[Unseen, ...]:
    """`UNSEEN`, and what production may need as staging does: the same steps, which tests walk there less often."""
    seen = [
        Unseen("as promote-to-staging", (PRODUCING,), (it.action,), it.place) for it in found if it.flow == PROMOTING
    ]
    return (*UNSEEN, *seen, *(replace(it, flows=(PRODUCING,)) for it in UNSEEN if PROMOTING in it.flows))


def load(file: Path = FILE) -> Written:
    return tomllib.loads(file.read_text())


def needs(written: Written) -> set[Need]:
    """What the file lists, without what AWS demands beside it."""
    return {
        Need(flow, Place(place), it)
        for flow, places in written.items()
        for place, kinds in places.items()
        for kind in ("reading", "writing")
        for it in kinds.get(kind, ())
    }


# ---------------------------------------------------------------------------------------------------------- recording


def line(flow: str, end: str, found: Iterable[Need]) -> str:
    """One walk in a recording: the flow, how it ended, and what it needed."""
    return json.dumps({"flow": flow, "end": end, "calls": sorted((it.place, it.action) for it in found)})


def recorded(lines: Iterable[str]) -> set[Need]:
    """The needs of a recording, of all its walks together."""
    walks = [json.loads(text) for text in lines if text.strip()]
    return {Need(walk["flow"], Place(place), it) for walk in walks for place, it in walk["calls"]}


def text(found: Iterable[Need], unseen: Iterable[Unseen] = UNSEEN) -> str:
    """The file's text: what was recorded, and what is excused, with the reason as a comment."""
    reasons, seen = excused(unseen), set(found)
    tables: dict[tuple[str, Place], set[str]] = defaultdict(set)
    for need in {*seen, *reasons}:
        tables[need.flow, need.place].add(need.action)
    comments = {need: reason for need, reason in reasons.items() if need not in seen}
    order = sorted(tables, key=lambda it: (it[0], list(Place).index(it[1])))
    return "\n".join([HEAD, *(_table(flow, place, tables[flow, place], comments) for flow, place in order)])


HEAD = """\
# The AWS calls that each flow makes, as IAM actions: for the policies of the environments' roles.
# Written by `python -m deployments.aws_calls record`; do not edit. `beside` is what AWS demands beside the calls.
# What has a comment no test was seen to call, and the comment says when it is called.
"""


def _table(flow: str, place: Place, actions: set[str], comments: Mapping[Need, str]) -> str:
    kinds = {
        "reading": sorted(it for it in actions if reads(it)),
        "writing": sorted(it for it in actions if not reads(it)),
        "beside": demanded(actions),
    }
    said = {it: comments[need] for it in actions if (need := Need(flow, place, it)) in comments}
    arrays = [_array(kind, found, said) for kind, found in kinds.items() if found]
    return "\n".join([f"[{flow}.{place}]", *arrays, ""])


def _array(kind: str, actions: Sequence[str], said: Mapping[str, str]) -> str:
    items = [f'    "{it}",' + (f"  # {said[it]}" if it in said else "") for it in actions]
    return "\n".join([f"{kind} = [", *items, "]"])


# -------------------------------------------------------------------------------------------------------- the command


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    return command(options)


def show(options: argparse.Namespace) -> int:
    written = load()
    if options.flow and options.flow not in written:
        print(f"The flow is {options.flow!r}; allowed is one of {', '.join(written)}.", file=sys.stderr)
        return NOT_DONE
    for flow in [options.flow] if options.flow else written:
        for place, kinds in written[flow].items():
            print(f"{flow}, {place}")
            print("\n".join(f"  {kind:8} {it}" for kind, actions in kinds.items() for it in actions))
    return DONE


def record(options: argparse.Namespace) -> int:
    found = recorded(options.recording.read_text().splitlines())
    if not found:
        print(f"{options.recording} holds no call; record with `make aws-calls`.", file=sys.stderr)
        return NOT_DONE
    for need in sorted(found & set(excused())):
        print(f"{need.flow} was seen to call {need.action} in {need.place}: take it off the list UNSEEN.")
    options.to.write_text(text(found, unseen_beside(found)))
    written = load(options.to)
    print(f"{options.to}: {len(needs(written))} actions of {len(written)} flows.")
    return DONE


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    description = "Which AWS calls the flows make, as IAM actions."
    parser = argparse.ArgumentParser(prog="python -m deployments.aws_calls", description=description)
    commands = parser.add_subparsers(required=True)
    showing = commands.add_parser("show", help="print what the flows need")
    showing.add_argument("flow", nargs="?", default="", help="for example roll-out; else all")
    showing.set_defaults(command=show)
    recording = commands.add_parser("record", help="write aws_calls.toml anew")
    recording.add_argument("recording", type=Path, help="what the tests' walks recorded, one JSON object a line")
    recording.add_argument("--to", type=Path, default=FILE, metavar="FILE", help="the file to write")
    recording.set_defaults(command=record)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
