"""The page of one canary in the Prefect UI: one artifact for each run, changed in place while the canary goes on.

Making it again for each look would leave some sixty versions of it behind, each with its picture. Changed in place
it is one row of the run, and the history under its key is that of the runs.
"""

import base64
from dataclasses import replace
from datetime import UTC, datetime
from typing import cast
from uuid import UUID

import pandas as pd
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey
from prefect.client.schemas.sorting import ArtifactSort
from prefect.runtime import flow_run
from prefect.settings import PREFECT_UI_URL

from rules.canary_pages import Standing, canary_page, headline
from rules.judgements import Judgement
from rules.run_pages import literal
from tasks.artifacts import artifact_key, courtesy


def publish_canary(standing: Standing, judgement: Judgement | None, verdicts: pd.DataFrame | None, svg: str) -> str:
    """Shows the canary's page in the UI as it is now. Returns where; empty where no UI address is set.

    Costs no release: what cannot be shown is logged.
    """
    key = canary_key(standing)
    place = f"key/{key}"
    with courtesy(f"canary {key}"):
        now = replace(standing, at=standing.at or datetime.now(UTC))
        markdown = canary_page(now, judgement, verdicts, address_of(svg) if svg else "")
        description = literal(headline(standing))
        known = _published(key)
        if known is None:
            made = create_markdown_artifact(key=key, markdown=markdown, description=description)
            known = cast("UUID", made)  # typed as "or a coroutine", which it is not in synchronous code
        else:
            _change(known, markdown, description)
        place = f"artifact/{known}"
    return _in_the_ui(place)


def canary_key(standing: Standing) -> str:
    return artifact_key(standing.application, standing.environment, "canary", standing.service)


def chart_link(standing: Standing) -> str:
    """Where the page of the latest run is found, also before there is one; empty where no UI address is set."""
    return _in_the_ui(f"key/{canary_key(standing)}")


def _in_the_ui(place: str) -> str:
    ui = PREFECT_UI_URL.value()
    return f"{ui.rstrip('/')}/artifacts/{place}" if ui else ""


def address_of(svg: str) -> str:
    """The picture itself as an address: the UI's Markdown shows SVG only so."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def _published(key: str) -> UUID | None:
    """The page that this run has already."""
    if not flow_run.id:
        return None
    of_this_run = ArtifactFilter(
        key=ArtifactFilterKey(any_=[key]), flow_run_id=ArtifactFilterFlowRunId(any_=[UUID(str(flow_run.id))])
    )
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=of_this_run, limit=1, sort=ArtifactSort.CREATED_DESC)
    return found[0].id if found else None


def _change(artifact: UUID, markdown: str, description: str) -> None:
    """In place. Not by the client's own method, which sends the whole page once more, as an event that is kept."""
    with get_client(sync_client=True) as client:
        body = {"data": markdown, "description": description}
        client.request("PATCH", "/artifacts/{id}", path_params={"id": artifact}, json=body).raise_for_status()
