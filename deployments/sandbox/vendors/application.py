"""All stand-ins on one port: `/launchdarkly`, `/jira`, `/slack`, `/pagerduty`, `/github`."""

from starlette.applications import Starlette
from starlette.routing import Mount

from deployments.sandbox.faults import Faults
from deployments.sandbox.vendors.change_tickets import jira
from deployments.sandbox.vendors.chat_workspace import slack
from deployments.sandbox.vendors.flag_service import launchdarkly
from deployments.sandbox.vendors.pager_service import pagerduty
from deployments.sandbox.vendors.source_code import github
from deployments.sandbox.vendors.state import VendorState


def create_app(state: VendorState, faults: Faults) -> Starlette:
    """Below each mount stand the vendor's real paths."""
    return Starlette(
        routes=[
            Mount("/launchdarkly", launchdarkly(state, faults)),
            Mount("/jira", jira(state, faults)),
            Mount("/slack", slack(state, faults)),
            Mount("/pagerduty", pagerduty(state, faults)),
            Mount("/github", github(state, faults)),
        ]
    )
