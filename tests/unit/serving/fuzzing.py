"""Requests that nobody means: whole ones with a few bytes, types, lengths or lines of them changed; seeded."""

import json
import random
from typing import Any

PATHS = (
    "/predict/words", "/v2/models/words/infer", "/v2/models/words/versions/v1.0.0/infer", "/predict/pictures",
    "/explain/words", "/v2/models/words", "/refresh", "/v2/repository/index", "/metrics", "/docs", "/v2/health/ready",
)  # fmt: skip
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1e400, 2**70, "", "\x00", "\ud800", "好" * 500, [], {}, [[]], {"texts": []}, [None],
    "../../etc/passwd", float("nan"), "data:image/png;base64,", "AAAA",
)  # fmt: skip
HEADERS = (
    "Content-Type: multipart/form-data; boundary=b", "Content-Type: multipart/form-data", "Content-Type: image/png",
    "Content-Type: \xff", "Content-Encoding: gzip", "X-Request-ID: a b", "X-Request-ID: " + "a" * 500,
    "Authorization: Basic eDp4", "Authorization: Bearer", "Transfer-Encoding: chunked", "Expect: 100-continue",
    "Upgrade: websocket", "Connection: upgrade", "Inference-Header-Content-Length: 9", "Range: bytes=0-1",
    "Cookie: \x7f",
)  # fmt: skip


def request(seed: int, token: str) -> bytes:
    """One request as bytes; some are whole, most are not."""
    draw = random.Random(seed)
    path = draw.choice(PATHS)
    body = _body(draw)
    if draw.random() < 0.3:
        path = _changed(draw, path.encode()).decode("latin-1").replace("\r", "").replace("\n", "")
    method = draw.choice(("POST", "POST", "POST", "GET", "PUT", "HEAD", "OPTIONS", "DELETE", "BREW", ""))
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", f"Authorization: Bearer {token}"]
    lines += draw.sample(HEADERS, draw.choice((0, 0, 0, 1, 2)))
    if draw.random() < 0.95:
        lines.append(f"Content-Length: {len(body) if draw.random() < 0.95 else draw.choice((0, -1, 10**9, 'x'))}")
    whole = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body
    return whole if draw.random() < 0.8 else _changed(draw, whole)


def _body(draw: random.Random) -> bytes:
    value: Any = draw.choice((
        {"texts": ["好书", "坏书"]},
        {"images": ["iVBORw0KGgo="]},
        {"id": "x", "inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["好"]}], "outputs": []},
        {"text": "好书", "label": "no"},
    ))  # fmt: skip
    if draw.random() < 0.8:
        value = _odd(draw, value)
    found = json.dumps(value, ensure_ascii=draw.random() < 0.5).encode("utf-8", "surrogatepass")
    if draw.random() < 0.05:
        found = draw.choice((b"[", b'{"texts":', b"\x89PNG\r\n\x1a\n", b"--b\r\n")) * draw.randrange(1, 2000)
    return found if draw.random() < 0.7 else _changed(draw, found)


def _odd(draw: random.Random, value: Any) -> Any:
    """A value with one of those in it, at any depth, as none of its kind."""
    if draw.random() < 0.3 or not isinstance(value, dict | list) or not value:
        return draw.choice(ODD)
    if isinstance(value, list):
        place = draw.randrange(len(value))
        return [_odd(draw, one) if at == place else one for at, one in enumerate(value)]
    name = draw.choice(sorted(value))
    return {draw.choice((key, key, key, "other")) if key == name else key: _odd(draw, one) if key == name else one
            for key, one in value.items()}  # fmt: skip


def _changed(draw: random.Random, whole: bytes) -> bytes:
    found = bytearray(whole)
    for _ in range(draw.randrange(1, 5)):
        at = draw.randrange(len(found) + 1)
        kind = draw.randrange(4)
        if kind == 0:
            found[at:at] = draw.randbytes(draw.randrange(1, 9))
        elif kind == 1:
            del found[at : at + draw.randrange(1, 9)]
        elif kind == 2:
            del found[at:]
        elif at < len(found):
            found[at] = draw.randrange(256)
    return bytes(found)
