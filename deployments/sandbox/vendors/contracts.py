"""What the vendors accept, as small JSON schemas written by hand for the requests that a promotion sends.

Deviations come back as sentences. The sizes are the vendors' documented limits.
"""

from typing import Any

from jsonschema import Draft202012Validator

Json = dict[str, Any]
TEXT: Json = {"type": "string", "minLength": 1}


def closed(required: list[str], /, **properties: Json) -> Json:
    """An object that has these keys and no others."""
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


def opened(required: list[str], /, **properties: Json) -> Json:
    """An object that has these keys and may have others."""
    return {"type": "object", "required": required, "properties": properties}


def problems(schema: Json, document: object) -> list[str]:
    """Every deviation of a document from a schema, each as `where: what`."""
    errors = sorted(Draft202012Validator(schema).iter_errors(document), key=lambda error: error.json_path)
    return [f"{error.json_path}: {error.message[:200]}" for error in errors]


# LaunchDarkly
INSTRUCTIONS: Json = {"type": "array", "minItems": 1, "items": opened(["kind"], kind=TEXT)}
SEMANTIC_PATCH = closed(["instructions"], comment={"type": "string"}, environmentKey=TEXT, instructions=INSTRUCTIONS)
APPROVAL_REQUEST = closed(
    ["description", "instructions"],
    description=TEXT,
    instructions=INSTRUCTIONS,
    comment={"type": "string"},
    notifyMemberIds={"type": "array", "items": TEXT},
    notifyTeamKeys={"type": "array", "items": TEXT},
    executionDate={"type": "integer"},
)
APPROVAL_REVIEW = closed(["kind"], kind={"enum": ["approve", "decline", "comment"]}, comment={"type": "string"})
ENVIRONMENT_PATCH: Json = {
    "type": "array",
    "minItems": 1,
    "items": closed(
        ["op", "path"],
        op={"enum": ["add", "replace"]},
        path={"type": "string", "pattern": "^/approvalSettings/[A-Za-z]+$"},
        value={},
    ),
}
CLAUSE = opened(
    ["attribute", "op", "values"],
    attribute={"type": "string"},
    op={
        "enum": [
            *("in", "endsWith", "startsWith", "matches", "contains", "lessThan", "lessThanOrEqual", "greaterThan"),
            *("greaterThanOrEqual", "before", "after", "segmentMatch"),
            *("semVerEqual", "semVerLessThan", "semVerGreaterThan"),
        ]
    },
    values={"type": "array"},
    contextKind={"type": "string"},
    negate={"type": "boolean"},
)
CLAUSES: Json = {"type": "array", "items": CLAUSE}
VALUES: Json = {"type": "array", "items": {"type": "string"}}
WEIGHTS: Json = {"type": "object", "minProperties": 1, "additionalProperties": {"type": "integer", "minimum": 0}}
SERVED: Json = {
    "variationId": TEXT,
    "rolloutWeights": WEIGHTS,
    "rolloutBucketBy": {"type": "string"},
    "rolloutContextKind": {"type": "string"},
}
RULE = closed(
    ["clauses"],
    clauses=CLAUSES,
    description={"type": "string"},
    ref={"type": "string"},
    trackEvents={"type": "boolean"},
    **SERVED,
)
TARGET = closed(["variationId", "values"], contextKind=TEXT, variationId=TEXT, values=VALUES)
PREREQUISITE = closed(["key", "variationId"], key=TEXT, variationId=TEXT)


def instruction(*required: str, **properties: Json) -> Json:
    return closed(["kind", *required], kind=TEXT, **properties)


_USER_TARGETS = instruction("variationId", "values", variationId=TEXT, values=VALUES)
_TARGETS = instruction("variationId", "values", contextKind=TEXT, variationId=TEXT, values=VALUES)
_CLAUSE_VALUES = instruction("ruleId", "clauseId", "values", ruleId=TEXT, clauseId=TEXT, values={"type": "array"})
_TRACK = instruction("trackEvents", trackEvents={"type": "boolean"})
INSTRUCTION_KINDS: dict[str, Json] = {
    "turnFlagOn": instruction(),
    "turnFlagOff": instruction(),
    "updateOffVariation": instruction("variationId", variationId=TEXT),
    "updateFallthroughVariationOrRollout": instruction(**SERVED),
    "addRule": closed(["kind", *RULE["required"]], kind=TEXT, beforeRuleId=TEXT, **RULE["properties"]),
    "removeRule": instruction("ruleId", ruleId=TEXT),
    "reorderRules": instruction("ruleIds", ruleIds={"type": "array", "items": TEXT}),
    "replaceRules": instruction("rules", rules={"type": "array", "items": RULE}),
    "updateRuleDescription": instruction("ruleId", "description", ruleId=TEXT, description={"type": "string"}),
    "updateRuleTrackEvents": instruction("ruleId", "trackEvents", ruleId=TEXT, trackEvents={"type": "boolean"}),
    "updateRuleVariationOrRollout": instruction("ruleId", ruleId=TEXT, **SERVED),
    "addClauses": instruction("ruleId", "clauses", ruleId=TEXT, clauses=CLAUSES),
    "removeClauses": instruction("ruleId", "clauseIds", ruleId=TEXT, clauseIds=VALUES),
    "updateClause": instruction("ruleId", "clauseId", "clause", ruleId=TEXT, clauseId=TEXT, clause=CLAUSE),
    "addValuesToClause": _CLAUSE_VALUES,
    "removeValuesFromClause": _CLAUSE_VALUES,
    "addTargets": _TARGETS,
    "removeTargets": _TARGETS,
    "clearTargets": instruction(),
    "replaceTargets": instruction("targets", targets={"type": "array", "items": TARGET}),
    "addUserTargets": _USER_TARGETS,
    "removeUserTargets": _USER_TARGETS,
    "clearUserTargets": instruction("variationId", variationId=TEXT),
    "replaceUserTargets": instruction("targets", targets={"type": "array", "items": TARGET}),
    "addPrerequisite": closed(["kind", *PREREQUISITE["required"]], kind=TEXT, **PREREQUISITE["properties"]),
    "removePrerequisite": instruction("key", key=TEXT),
    "updatePrerequisite": closed(["kind", *PREREQUISITE["required"]], kind=TEXT, **PREREQUISITE["properties"]),
    "replacePrerequisites": instruction("prerequisites", prerequisites={"type": "array", "items": PREREQUISITE}),
    "updateTrackEvents": _TRACK,
    "updateTrackEventsFallthrough": _TRACK,
}

# Jira Cloud
_WORDS = closed(["type", "text"], type={"const": "text"}, text=TEXT, marks={"type": "array"})
_INLINE: Json = {"type": "array", "items": {"anyOf": [_WORDS, closed(["type"], type={"const": "hardBreak"})]}}
_PARAGRAPH = closed(["type"], type={"const": "paragraph"}, content=_INLINE)
_HEADING = closed(["type", "attrs"], type={"const": "heading"}, attrs={"type": "object"}, content=_INLINE)


def _holding(kinds: list[str], *items: Json) -> Json:
    """A node of one of these kinds, with at least one of these inside."""
    inside: Json = {"type": "array", "minItems": 1, "items": {"anyOf": list(items)}}
    return closed(["type", "content"], type={"enum": kinds}, attrs={"type": "object"}, content=inside)


_LIST = _holding(["bulletList", "orderedList"], _holding(["listItem"], _PARAGRAPH))
_TABLE = _holding(["table"], _holding(["tableRow"], _holding(["tableHeader", "tableCell"], _PARAGRAPH, _LIST)))
ADF = closed(
    ["type", "version", "content"],
    type={"const": "doc"},
    version={"const": 1},
    content={"type": "array", "items": {"anyOf": [_PARAGRAPH, _HEADING, _LIST, _TABLE]}},
)
"""The part of the Atlassian Document Format that we write. No node may hold an empty text."""
ADF_LIMIT = 32_767
"""Characters of a comment or description; counted here as JSON, which is the strictest way."""
COMMENT = opened(["body"], body=ADF)
NEW_ISSUE = opened(
    ["fields"],
    fields=opened(
        ["project", "issuetype", "summary"],
        project=opened(["key"], key=TEXT),
        issuetype={"type": "object", "anyOf": [{"required": ["name"]}, {"required": ["id"]}]},
        summary={"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[^\\n]*$"},
        description={"anyOf": [ADF, {"type": "null"}]},
        labels={"type": "array", "items": {"type": "string", "pattern": "^\\S{1,255}$"}},
    ),
)
TRANSITION = opened(["transition"], transition=opened(["id"], id=TEXT), fields={"type": "object"})
REMOTE_LINK = opened(
    ["object"],
    globalId={"type": "string", "minLength": 1, "maxLength": 255},
    relationship={"type": "string"},
    object=opened(["url", "title"], url={"type": "string", "pattern": "^https?://"}, title=TEXT),
)
SEARCH = closed(
    ["jql"],
    jql=TEXT,
    fields=VALUES,
    maxResults={"type": "integer", "minimum": 1, "maximum": 5000},
    nextPageToken=TEXT,
    expand={"type": "string"},
    properties=VALUES,
)

# Slack
PLAIN: Json = opened(["type", "text"], type={"const": "plain_text"}, text={"type": "string", "minLength": 1})
RICH: Json = opened(["type", "text"], type={"enum": ["plain_text", "mrkdwn"]}, text={"type": "string", "minLength": 1})


def _limited(text: Json, length: int) -> Json:
    return {"allOf": [text, {"properties": {"text": {"maxLength": length}}}]}


def _block(kind: str, *required: str, **properties: Json) -> Json:
    named = {"block_id": {"type": "string", "maxLength": 255}} | properties
    shape = opened(["type", *required], type={"const": kind}, **named)
    return {"if": {"properties": {"type": {"const": kind}}}, "then": shape}


_ACTION = opened(
    ["type"],
    action_id={"type": "string", "maxLength": 255},
    text=_limited(PLAIN, 75),
    value={"type": "string", "maxLength": 2000},
    url={"type": "string", "maxLength": 3000, "pattern": "^https?://"},
)
BLOCK: Json = {
    "type": "object",
    "required": ["type"],
    "properties": {"type": {"enum": ["section", "header", "divider", "context", "actions", "image", "rich_text"]}},
    "allOf": [
        _block("header", "text", text=_limited(PLAIN, 150)),
        _block(
            "section",
            text=_limited(RICH, 3000),
            fields={"type": "array", "minItems": 1, "maxItems": 10, "items": _limited(RICH, 2000)},
        ),
        _block("context", "elements", elements={"type": "array", "minItems": 1, "maxItems": 10}),
        _block("actions", "elements", elements={"type": "array", "minItems": 1, "maxItems": 25, "items": _ACTION}),
        {
            "if": {"properties": {"type": {"const": "section"}}},
            "then": {"anyOf": [{"required": ["text"]}, {"required": ["fields"]}]},
        },
    ],
}
BLOCKS: Json = {"type": "array", "maxItems": 50, "items": BLOCK}

# PagerDuty
SUMMARY: Json = {"type": "string", "minLength": 1, "maxLength": 1024}
LINKS: Json = {"type": "array", "items": opened(["href"], href={"type": "string", "pattern": "^https?://"})}
ALERT_PAYLOAD = opened(
    ["summary", "source", "severity"],
    summary=SUMMARY,
    source=TEXT,
    severity={"enum": ["critical", "error", "warning", "info"]},
    timestamp={"type": "string"},
    component={"type": "string"},
    group={"type": "string"},
    **{"class": {"type": "string"}},
)
ALERT: Json = {
    **opened(
        ["routing_key", "event_action"],
        routing_key={"type": "string", "minLength": 32, "maxLength": 32},
        event_action={"enum": ["trigger", "acknowledge", "resolve"]},
        dedup_key={"type": "string", "minLength": 1, "maxLength": 255},
        payload=ALERT_PAYLOAD,
        links=LINKS,
        images={"type": "array"},
    ),
    "if": {"properties": {"event_action": {"const": "trigger"}}},
    "then": {"required": ["payload"]},
    "else": {"required": ["dedup_key"]},
}
CHANGE = opened(
    ["routing_key", "payload"],
    routing_key={"type": "string", "minLength": 32, "maxLength": 32},
    payload=opened(["summary"], summary=SUMMARY, source={"type": "string"}, timestamp={"type": "string"}),
    links=LINKS,
)
