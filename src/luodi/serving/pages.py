"""What the server says of itself: a document of OpenAPI, and a page for people that loads nothing."""

from collections.abc import Mapping
from typing import Any

from luodi import __version__
from luodi.report import page
from luodi.serving.limits import MIB, Limits
from luodi.serving.served import Model

ERRORS = {
    "400": "It is not what is expected; the error says what is.",
    "401": "No token, or a wrong one.",
    "404": "No such model or version.",
    "408": "The body came too slowly.",
    "413": "More than a request may hold.",
    "429": "Too many wait: come again after Retry-After.",
    "503": "The server ends.",
    "504": "No answer in time.",
}
SAMPLES = {"text": "质量很好", "image": "iVBORw0KGgo="}
IMAGE_FILE = {"image/png": {"schema": {"type": "string", "format": "binary"}}}
FORM = {
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
        }
    }
}


def openapi(models: Mapping[str, Model], limits: Limits, *, secured: bool) -> dict[str, Any]:
    """Return the document of OpenAPI 3.1; `secured` is whether a token is needed."""
    paths: dict[str, Any] = {}
    for name, model in models.items():
        paths |= _of_model(name, model, limits)
    paths |= {
        "/v2/health/live": _get("The process answers.", {"live": True}),
        "/v2/health/ready": _get("All models are loaded; 503 while the server ends.", {"ready": True}),
        "/v2": _get("Name and version of the server.", {"name": "luodi", "version": __version__, "extensions": []}),
        "/v2/repository/index": {"post": _operation("The versions that are served, and their roles.")},
        "/refresh": {"post": _operation("Look at the registry now: what a landing calls. It needs a token.")},
        "/metrics": _get("Figures for Prometheus.", None),
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "luodi serve", "version": __version__},
        **({"security": [{"token": []}]} if secured else {}),
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "paths": paths,
    }


def html(models: Mapping[str, Model], limits: Limits, *, secured: bool) -> str:
    """Return the page; it is made of the document, and of what is served now."""
    document = openapi(models, limits, secured=secured)
    operations = [
        {"path": path, "method": method.upper(), **operation}
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    served = [one for model in models.values() for one in (*model.answering(), model.shadow) if one]
    return page.render(
        "service", operations=operations, served=served, errors=ERRORS, secured=secured, limits=limits, mib=MIB,
        samples={name: SAMPLES[model.modality] for name, model in models.items()}, models=models,
    )  # fmt: skip


def _of_model(name: str, model: Model, limits: Limits) -> dict[str, Any]:
    kind, sample = model.modality, SAMPLES[model.modality]
    items = {"type": "array", "maxItems": limits.items, "items": {"type": "string", "maxLength": limits.item}}
    asked = _json({f"{kind}s": items}, {f"{kind}s": [sample]}, [f"{kind}s"])
    answer = {"version": model.current.name, "request": "4f2a",
              "predictions": [{"label": model.current.classifier.labels[0], "probability": 0.98}]}  # fmt: skip
    files = {"text": {}, "image": IMAGE_FILE | FORM}[kind]
    tensor = {"name": kind, "shape": [1], "datatype": "BYTES", "data": [sample]}
    infer = _json({"id": {"type": "string"}, "inputs": {"type": "array"}}, {"inputs": [tensor]}, ["inputs"])
    every = {"name": "probabilities", "in": "query", "schema": {"type": "boolean"},
             "description": "Also the probability of each label."}  # fmt: skip
    return {
        f"/predict/{name}": {
            "post": _operation(f"Classify {kind}s.", asked | files, answer) | {"parameters": [every]},
        },
        f"/explain/{name}": {
            "post": _operation(f"What each part of one {kind} adds to its label.", _json({}, {kind: sample}, [kind])),
        },
        f"/v2/models/{name}": _get("Inputs, outputs, labels and versions.", None),
        f"/v2/models/{name}/ready": _get("Whether it answers.", {"name": name, "ready": True}),
        f"/v2/models/{name}/infer": {"post": _operation("The same by the Open Inference Protocol.", infer)},
        f"/v2/models/{name}/versions/{{version}}/infer": {
            "post": _operation("By one of the versions that answer.", infer)
            | {"parameters": [{"name": "version", "in": "path", "required": True, "schema": {"type": "string"}}]},
        },
    }


def _json(properties: dict[str, Any], example: Any, required: list[str]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": required}
    return {"application/json": {"schema": schema, "example": example}}


def _get(summary: str, example: Any) -> dict[str, Any]:
    return {"get": _operation(summary, answer=example)}


def _operation(summary: str, asked: dict[str, Any] | None = None, answer: Any = None) -> dict[str, Any]:
    said = {} if answer is None else {"content": {"application/json": {"example": answer}}}
    responses = {"200": {"description": "The answer.", **said}}
    if asked:
        responses |= {code: {"description": why} for code, why in ERRORS.items()}
    body = {"requestBody": {"required": True, "content": asked}} if asked else {}
    return {"summary": summary, **body, "responses": responses}
