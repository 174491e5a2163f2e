"""The place of database migrations in the runbook: after configuration and flags, before traffic."""

from prefect import get_run_logger

from rules.plans import Plan
from tasks.kinds import asking


@asking("migrate databases")
def migrate_databases(plan: Plan) -> None:
    """Applies nothing: this version does not know migrations, and the finding `migrations` says so."""
    get_run_logger().warning("%s: no migrations are applied by this version", plan.target)
