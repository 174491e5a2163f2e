"""An environment's load balancer: one HTTP server that follows the weights of the gateway's listener rule."""

from aiohttp import web

from deployments.sandbox.services.forwarding import Forwarder, Observe, nobody
from deployments.sandbox.services.routes import Routes
from deployments.sandbox.services.traffic import Hit, Traffic

ENTRANCE = "gateway"


class Edge:
    """Passes every request to the service behind the load balancer, and counts it."""

    def __init__(
        self,
        environment: str,
        routes: Routes,
        *,
        port: int = 0,
        entrance: str = ENTRANCE,
        observe: Observe = nobody,
    ) -> None:
        """`entrance` is the id of the load-balanced service; `port=0` takes a free one."""
        self.environment, self.traffic = environment, Traffic()
        self._routes, self._port, self._entrance, self._also = routes, port, entrance, observe

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def open(self) -> None:
        """Begin to listen. Raises `OSError` when the port is taken."""
        self._forwarder = Forwarder(self._routes, self._counted)
        self._runner = web.ServerRunner(web.Server(self._answer, access_log=None), shutdown_timeout=1.0)
        try:
            await self._runner.setup()
            await web.TCPSite(self._runner, "127.0.0.1", self._port, backlog=512).start()
        except OSError:
            await self.close()
            raise
        self._port = self._runner.addresses[0][1]

    async def close(self) -> None:
        await self._runner.cleanup()
        await self._forwarder.close()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        reply = await self._forwarder.forward(request, self.environment, self._entrance, request.path_qs)
        return reply.response()

    def _counted(self, environment: str, service: str, hit: Hit) -> None:
        self.traffic.record(hit)
        self._also(environment, service, hit)
