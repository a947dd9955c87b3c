"""What a client asks, of either protocol, as texts or image files; what else it sends is refused in one sentence."""

import asyncio
import base64
import binascii
import itertools
import math
import re
import secrets
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

import msgspec
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from luodi.data import image
from luodi.serving.limits import MIB, PIXELS, Limits
from luodi.serving.refusing import Refused

ID = re.compile(r"[!-~]{1,128}")
"""What a request may be called by."""
PROCESS, COUNTED = secrets.token_hex(8), itertools.count()
"""By which a request is told from all others that brings no id; a random number each would take a system call."""


Struct = TypeVar("Struct", bound=msgspec.Struct)


class Plain(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON of /predict: texts, or image files in base64."""

    texts: list[str] | None = None
    images: list[str] | None = None


class Why(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON of /explain: one text or image, and the label to explain where it is not the likeliest."""

    text: str | None = None
    image: str | None = None
    label: str | None = None


class Tensor(msgspec.Struct):
    """An input of the Open Inference Protocol."""

    name: str
    shape: list[int]
    datatype: str
    data: list[str | list[str]]


class Output(msgspec.Struct):
    """The name of an output that is asked for."""

    name: str


class Infer(msgspec.Struct):
    """The JSON of /infer."""

    inputs: list[Tensor]
    id: str | None = None
    outputs: list[Output] | None = None


class Asked(NamedTuple):
    """What a request asks.

    Attributes:
        request: Its id.
        key: What decides whether a canary answers.
        items: Texts, or image files.
        at: When it had come.
    """

    request: str
    key: bytes
    items: list[Any]
    at: datetime


async def body(request: Request, limits: Limits) -> bytes:
    """Return the body.

    Raises:
        Refused: It is too long, comes too slowly, or is compressed.
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Refused(415, "a compressed body is not read: send it as it is", last=True)
    declared = request.headers.get("content-length", "0")
    too_long = Refused(413, f"the body is longer than {limits.body / MIB:g} MiB: ask for less at a time", last=True)
    if int(declared) > limits.body:
        raise too_long
    found = bytearray()
    try:
        async with asyncio.timeout(limits.timeout):
            async for chunk in request.stream():
                found += chunk
                if len(found) > limits.body:
                    raise too_long
    except TimeoutError:
        raise Refused(408, f"the body did not come within {limits.timeout:g} s", last=True) from None
    except ClientDisconnect:
        raise Refused(400, "the client went before its body had come", last=True) from None
    return bytes(found)


async def plain(request: Request, modality: str, limits: Limits) -> Asked:
    """Return what /predict is asked: JSON, a form of files, or the file of one image.

    Raises:
        Refused: It is none of them, or more than a request may hold.
    """
    content = await body(request, limits)
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind == "multipart/form-data" or kind.startswith("image/") or kind == "application/octet-stream":
        _require(modality, "image", "files")
        items: list[Any] = await _files(request, content, limits) if kind.startswith("multipart") else [content]
    else:
        found = _decoded(content, Plain)
        if (found.texts is None) == (found.images is None):
            raise Refused(400, f'expected {{"{modality}s": [...]}}')
        _require(modality, "text" if found.images is None else "image", "JSON")
        items = found.texts if found.texts is not None else list(map(_image, found.images or ()))
    _bound(items, modality, limits)
    return _asked(named(request), content, items)


async def infer(request: Request, modality: str, limits: Limits) -> tuple[Asked, list[str] | None]:
    """Return what /infer is asked, and the names of the outputs that are wanted; None is all.

    Raises:
        Refused: It is not of the protocol, or more than a request may hold.
    """
    if "inference-header-content-length" in request.headers:
        raise Refused(400, "tensors as bytes behind the JSON are not read: send their data in the JSON")
    content = await body(request, limits)
    found = _decoded(content, Infer)
    if len(found.inputs) != 1:
        raise Refused(400, f"expected one input, found {len(found.inputs)}")
    read: dict[str, Callable[[str], Any]] = {"text": str, "image": _image}
    items = list(map(read[modality], _flat(found.inputs[0])))
    _bound(items, modality, limits)
    if found.id is not None and not ID.fullmatch(found.id):
        raise Refused(400, "id: expected up to 128 printable characters without blanks")
    asked = _asked(named(request) or found.id, content, items)
    return asked, None if found.outputs is None else [one.name for one in found.outputs]


async def why(request: Request, modality: str, limits: Limits) -> tuple[Any, str | None]:
    """Return the item that /explain is asked about, and the label; None is the likeliest."""
    content = await body(request, limits)
    kind = request.headers.get("content-type", "application/json")
    if kind.startswith("image/"):
        _require(modality, "image", "files")
        item: Any = content
        label = request.query_params.get("label")
    else:
        found = _decoded(content, Why)
        if (found.text is None) == (found.image is None):
            raise Refused(400, f'expected {{"{modality}": ...}}')
        _require(modality, "text" if found.image is None else "image", "JSON")
        item, label = (_image(found.image) if found.image is not None else found.text), found.label
    _bound([item], modality, limits)
    return item, label


def named(request: Request) -> str | None:
    """Return the id that a client gave a request.

    Raises:
        Refused: It cannot be one.
    """
    name = request.headers.get("x-request-id")
    if name is not None and not ID.fullmatch(name):
        raise Refused(400, "X-Request-ID: expected up to 128 printable characters without blanks")
    return name


def _asked(name: str | None, content: bytes, items: list[Any]) -> Asked:
    return Asked(name or f"{PROCESS}{next(COUNTED):08x}", name.encode() if name else content, items, datetime.now(UTC))


def _decoded(content: bytes, kind: type[Struct]) -> Struct:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(400, f"the body is not the JSON that is expected: {str(error)[:200]}") from None


def _require(modality: str, given: str, form: str) -> None:
    if given != modality:
        raise Refused(400, f"this model classifies {modality}s, found {given}s ({form})")


def _flat(tensor: Tensor) -> list[str]:
    """The items of a tensor [n] or [n, 1], whose data may be nested as its shape is."""
    if tensor.datatype != "BYTES":
        raise Refused(400, "inputs[0].datatype: expected BYTES: a text, or an image file in base64, an item")
    flat = [one for row in tensor.data for one in (row if isinstance(row, list) else (row,))]
    whole = len(tensor.shape) in (1, 2) and tensor.shape[1:] in ([], [1]) and math.prod(tensor.shape) == len(flat)
    if not whole:
        raise Refused(400, f"inputs[0].shape: expected [n] or [n, 1] of its {len(flat)} data")
    return flat


def _image(text: str) -> bytes:
    try:
        return base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(400, "an image is not base64: expected its file in base64, or a data: URL of it") from None


def _bound(items: list[Any], modality: str, limits: Limits) -> None:
    if not items:
        raise Refused(400, f"there is no {modality} to classify")
    if len(items) > limits.items:
        raise Refused(413, f"{len(items)} {modality}s: a request may hold {limits.items}")
    longest = max(map(len, items))
    if longest > limits.item:
        raise Refused(413, f"one {modality} is longer than {limits.item / MIB:g} MiB")
    if sum(map({"text": lambda _: 0, "image": _pixels}[modality], items)) > PIXELS:
        raise Refused(
            413, f"images of more than {PIXELS / 1e6:.0f} million pixels together: send them smaller, or apart"
        )


def _pixels(item: Any) -> int:
    """Pixels of an image file by its header; 0 where nothing can read it, which is told of the item."""
    try:
        width, height = image._header(item).size  # not public: a change there would make all stages run again
    except Exception:  # bytes made to break a decoder break it in many ways
        return 0
    return int(width * height)


class _InMemory(MultiPartParser):
    spool_max_size = 2**40  # the body is in memory already; a disk may be full


async def _files(request: Request, content: bytes, limits: Limits) -> list[bytes]:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield content

    try:
        form = await _InMemory(request.headers, stream(), max_files=limits.items, max_fields=0).parse()
    except MultiPartException as error:
        status = 413 if "Too many" in error.message else 400
        raise Refused(status, f"the form cannot be read: {error.message[:200]}") from None
    except Exception as error:  # a form without a boundary, say
        raise Refused(400, f"the form cannot be read: {str(error)[:200]}") from None
    return [await file.read() for file in form.getlist("files") + form.getlist("file") if not isinstance(file, str)]
