"""The runtime that the ECS stand-in drives in the sandbox: each task becomes a real HTTP server."""

from collections.abc import Callable, Mapping

from deployments.sandbox.aws.runtime import TaskCondition, TaskPhase, TaskSpec, environment_of
from deployments.sandbox.behaviour import HEALTHY, behaviour_of, version_of
from deployments.sandbox.services.answers import backend
from deployments.sandbox.services.content import DatabaseStore, MemoryStore, Store
from deployments.sandbox.services.forwarding import Forwarder, Observe, nobody
from deployments.sandbox.services.gateway import gateway
from deployments.sandbox.services.loop import LoopThread
from deployments.sandbox.services.routes import Routes
from deployments.sandbox.services.service import Handler, Task, run_task

REMEMBERED_ENDED = 2_000
NEVER_STARTED = TaskCondition(TaskPhase.EXITED, reason="This task was never started.")


class ServiceRuntime:
    """Runs tasks on the loop. Every method returns at once and may be called from any thread."""

    def __init__(
        self,
        loop: LoopThread,
        routes: Routes,
        manifests: Callable[[str], str],
        *,
        services: Mapping[str, str] | None = None,
        database_of: Callable[[TaskSpec], str | None] = lambda _: None,
        observe: Observe = nobody,
    ) -> None:
        """What the runtime asks the world.

        `manifests` gives the manifest of a digest (KeyError when there is none); `services` the service id of
        an image repository; `database_of` the address of the database that a task is configured with; `observe`
        is told of every request that a gateway passes on.
        """
        self._loop, self._routes, self._manifests = loop, routes, manifests
        self._services, self._database_of, self._observe = services or {}, database_of, observe
        self._tasks: dict[str, Task] = {}
        self._stores: dict[str | None, Store] = {None: MemoryStore()}
        self._forwarder: Forwarder | None = None

    def start(self, spec: TaskSpec) -> None:
        try:
            manifest = self._manifests(spec.digest)
        except KeyError:
            self._tasks[spec.id] = _not_pulled(spec)
            return
        behaviour = behaviour_of(manifest, environment_of(spec))
        task = Task(spec.id, self._service_of(spec.image), version_of(manifest), behaviour)
        self._tasks[spec.id] = task
        self._forget_long_ended()
        self._loop.begin(self._live(task, environment_of(spec), self._database_of(spec)))

    def condition(self, task_id: str) -> TaskCondition:
        task = self._tasks.get(task_id)
        return task.condition if task else NEVER_STARTED

    def stop(self, task_id: str) -> None:
        if task := self._tasks.get(task_id):
            self._loop.begin(_ask_to_leave(task))

    def task(self, task_id: str) -> Task | None:
        """What is known of a task, as long as it is remembered."""
        return self._tasks.get(task_id)

    async def close(self) -> None:
        """Let go of the connections; the tasks end with their loop."""
        if self._forwarder is not None:
            await self._forwarder.close()
        for store in self._stores.values():
            await store.close()

    async def _live(self, task: Task, environment: str, database: str | None) -> None:
        await run_task(task, self._handler(task, environment, database))

    def _handler(self, task: Task, environment: str, database: str | None) -> Handler:
        if task.service != "gateway":
            return backend(task, self._store(database))
        if self._forwarder is None:
            self._forwarder = Forwarder(self._routes, self._observe)
        return gateway(task, self._forwarder, environment)

    def _store(self, database: str | None) -> Store:
        """One pool for each address, however many tasks are configured with it."""
        if database not in self._stores and database is not None:
            self._stores[database] = DatabaseStore(database)
        return self._stores[database]

    def _service_of(self, image: str) -> str:
        repository = repository_of(image)
        return self._services.get(repository, repository.rpartition("/")[2])

    def _forget_long_ended(self) -> None:
        ended = [key for key, task in list(self._tasks.items()) if task.condition.phase is TaskPhase.EXITED]
        for key in ended[:-REMEMBERED_ENDED]:
            self._tasks.pop(key, None)


def repository_of(image: str) -> str:
    """`1111….dkr.ecr.eu-central-1.amazonaws.com/batbern/gateway:tag@sha256:…` → `batbern/gateway`."""
    name = image.partition("@")[0]
    registry, _, path = name.partition("/")
    path = path if "." in registry or ":" in registry else name
    return path.partition(":")[0]


async def _ask_to_leave(task: Task) -> None:
    task.leaving.set()


def _not_pulled(spec: TaskSpec) -> Task:
    reason = f"CannotPullContainerError: {spec.image} ({spec.digest or 'no digest'}) is not in the registry."
    return Task(spec.id, "", "", HEALTHY, TaskCondition(TaskPhase.EXITED, None, None, reason))
