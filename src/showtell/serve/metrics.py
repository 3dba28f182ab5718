"""What a monitor reads at `/metrics`, in the format of Prometheus."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Metrics:
    """Requests by route and status, their seconds, tokens written, jobs in the queue."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "showtell_requests", "Requests answered.", ["route", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "showtell_request_seconds",
            "From a request to the end of its answer.",
            ["route"],
            registry=self._registry,
        )
        self.tokens = Counter("showtell_tokens", "Tokens written.", ["model"], registry=self._registry)
        self.inside = Gauge("showtell_jobs", "Jobs that wait or run.", registry=self._registry)

    def text(self) -> bytes:
        """All of them."""
        return generate_latest(self._registry)


class Measured:
    """Wraps an application and counts its answers, refusals of its guard among them."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count it when it is done."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.monotonic(), "none"

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            # The route's pattern, not the path: a label per path would grow without end.
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.requests.labels(route, status).inc()
            self._metrics.seconds.labels(route).observe(time.monotonic() - started)
