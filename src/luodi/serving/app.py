"""The addresses of the server, as an ASGI application."""

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from luodi import __version__
from luodi.errors import DataError
from luodi.scoring import explaining
from luodi.serving import answering, asking, pages
from luodi.serving.answering import document
from luodi.serving.limits import Limits
from luodi.serving.metrics import Metrics
from luodi.serving.refusing import Refused
from luodi.serving.served import Loaded, Model

Handler = Callable[[Request], Awaitable[Response]]
EXPLAINED = 4  # requests that wait for an explanation, which takes as long as a thousand answers


@dataclass
class Service:
    """What the addresses need.

    Attributes:
        models: Name -> what is served by it.
        refresh: Looks at the registry now.
        tokens: One of them opens all addresses but those of health; none opens them to all, and `refresh` to nobody.
    """

    models: Mapping[str, Model]
    metrics: Metrics
    limits: Limits
    refresh: Callable[[], None]
    tokens: Sequence[str] = ()
    draining: bool = False
    _explainers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "explain"))
    _explained: int = 0

    def __post_init__(self) -> None:
        self._digests = [_digest(token) for token in self.tokens]

    def app(self) -> Starlette:
        """Return the application."""
        model = "/v2/models/{model}"
        app = Starlette(
            routes=[
                self._route("/predict/{model}", self._predict, "POST"),
                self._route(f"{model}/infer", self._infer, "POST"),
                self._route(f"{model}/versions/{{version}}/infer", self._infer, "POST"),
                self._route("/v2/health/live", self._live, free=True),
                self._route("/v2/health/ready", self._ready, free=True),
                self._route(f"{model}/ready", self._model_ready, free=True),
                self._route(f"{model}/versions/{{version}}/ready", self._model_ready, free=True),
                self._route("/v2", self._server),
                self._route(model, self._metadata),
                self._route(f"{model}/versions/{{version}}", self._metadata),
                self._route("/v2/repository/index", self._index, "POST"),
                self._route("/refresh", self._refresh, "POST"),
                self._route("/explain/{model}", self._explain, "POST"),
                self._route("/metrics", self._metrics),
                self._route("/openapi.json", self._openapi),
                self._route("/docs", self._docs),
                self._route("/", self._root),
            ],
            exception_handlers={HTTPException: self._unknown, Exception: self._broken},
        )
        app.router.redirect_slashes = False  # to an address that the client says is ours
        return app

    def _route(self, path: str, handler: Handler, method: str = "GET", *, free: bool = False) -> Route:
        async def answer(request: Request) -> Response:
            try:
                if not free:
                    self._require_token(request)
                response = await handler(request)
            except Refused as error:
                response = answering.refusal(error)
            name = request.path_params.get("model", "")
            self.metrics.code(name if name in self.models else "", response.status_code).inc()
            return response

        return Route(path, answer, methods=[method])

    def _require_token(self, request: Request) -> None:
        if not self._digests:
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        found = _digest(given.strip())
        known = [hmac.compare_digest(found, one) for one in self._digests]  # each takes its time, right or wrong
        if scheme.lower() != "bearer" or not any(known):
            raise Refused(401, "expected the header Authorization: Bearer TOKEN, with a token of this server")

    def _model(self, request: Request) -> Model:
        name = request.path_params["model"]
        if name not in self.models:
            raise Refused(404, f"no such model here; there is: {', '.join(self.models)}")
        return self.models[name]

    async def _predict(self, request: Request) -> Response:
        model = self._model(request)
        asked = await asking.plain(request, model.modality, self.limits)
        answer = await model.answer(asked, model.chosen(asked.key), self.limits.timeout)
        return answering.plain(answer, every=request.query_params.get("probabilities") == "true")

    async def _infer(self, request: Request) -> Response:
        model = self._model(request)
        asked, wanted = await asking.infer(request, model.modality, self.limits)
        chosen = model.chosen(asked.key, request.path_params.get("version"))
        return answering.infer(await model.answer(asked, chosen, self.limits.timeout), wanted)

    async def _explain(self, request: Request) -> Response:
        model = self._model(request)
        item, label = await asking.why(request, model.modality, self.limits)
        by = model.current
        if label is not None and label not in by.classifier.labels:
            raise Refused(400, f"{by.name} has no label {label[:60]!r}")
        if self._explained >= EXPLAINED:
            raise Refused(429, f"{self._explained} explanations are being made already: come again later")
        self._explained += 1
        try:
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self._explainers, explaining.explain, by.classifier, item, label)
        except DataError as error:
            raise Refused(400, str(error)) from None
        finally:
            self._explained -= 1
        return document({"version": by.name, **found.as_json()}, headers={"X-Model-Version": by.name})

    async def _live(self, request: Request) -> Response:
        return document({"live": True})

    async def _ready(self, request: Request) -> Response:
        return document({"ready": not self.draining}, 503 if self.draining else 200)

    async def _model_ready(self, request: Request) -> Response:
        model = self._model(request)
        by = model.chosen(b"", request.path_params.get("version") or model.current.number)
        return document({"name": model.name, "version": by.number, "ready": not self.draining},
                        503 if self.draining else 200)  # fmt: skip

    async def _server(self, request: Request) -> Response:
        return document({"name": "luodi", "version": __version__, "extensions": ["model_repository"]})

    async def _metadata(self, request: Request) -> Response:
        model = self._model(request)
        by = model.chosen(b"", request.path_params.get("version") or model.current.number)
        return document(_metadata(model, by), headers={"X-Model-Version": by.name})

    async def _index(self, request: Request) -> Response:
        served = [(model, one) for model in self.models.values() for one in (*model.answering(), model.shadow) if one]
        return document([
            {"name": model.name, "version": one.number, "state": "READY", "role": one.role,
             "reason": model.why if one is model.current else ""}
            for model, one in served
        ])  # fmt: skip

    async def _refresh(self, request: Request) -> Response:
        if not self.tokens:
            raise Refused(403, "this server has no token, and so nobody may have it look at the registry")
        self.refresh()
        return document({"looking": sorted(self.models)}, 202)

    async def _metrics(self, request: Request) -> Response:
        for model in self.models.values():
            self.metrics.waiting.labels(model.name).set(sum(one.batcher.waiting for one in model.answering()))
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _openapi(self, request: Request) -> Response:
        return document(pages.openapi(self.models, self.limits, secured=bool(self.tokens)))

    async def _docs(self, request: Request) -> Response:
        return HTMLResponse(pages.html(self.models, self.limits, secured=bool(self.tokens)))

    async def _root(self, request: Request) -> Response:
        return RedirectResponse("docs")

    async def _unknown(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return document({"error": error.detail}, error.status_code, dict(error.headers or {}))

    async def _broken(self, request: Request, error: Exception) -> Response:
        """A fault of ours: the log of the server has all of it, the client a sentence."""
        self.metrics.code("", 500).inc()
        return document({"error": "something is wrong with this server: its log says what"}, 500)


def _metadata(model: Model, by: Loaded) -> dict[str, Any]:
    classes = len(by.classifier.labels)
    return {
        "name": model.name,
        "versions": [one.number for one in model.answering()],
        "platform": "onnx_onnxruntime",
        "inputs": [{"name": model.modality, "datatype": "BYTES", "shape": [-1]}],
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, classes]},
        ],
        "labels": list(by.classifier.labels),
        "version": by.number,
    }


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
