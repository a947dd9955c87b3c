"""The server."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from luodi.cli.arguments import reference, share
from luodi.errors import LuodiError
from luodi.system import progress
from luodi.system.progress import Heartbeat
from luodi.terminal import shown

if TYPE_CHECKING:
    from luodi.serving.sources import Source
    from luodi.serving.starting import Beside

app = typer.Typer()


def _model_or_folder(text: str) -> str:
    """Parse MODEL, or DIR, which has a slash in it."""
    if "/" not in text and reference(text).number is not None:
        raise typer.BadParameter(
            f"expected a model alone, found {shown(text)}: what is served is the version in production; --shadow and "
            "--canary name another beside it"
        )
    return text


def _version(text: str) -> "Beside":
    from luodi.serving.starting import Beside

    found = reference(text)
    if found.number is None or not found.number.startswith("v"):
        raise typer.BadParameter(f"expected MODEL@VERSION, such as {shown(found.model)}@v1.1.0, found {shown(text)}")
    return Beside(str(found))


def _share(text: str) -> "Beside":
    from luodi.serving.starting import Beside

    version, _, given = text.partition("=")
    try:
        return Beside(_version(version).version, share(given))
    except typer.BadParameter:
        raise typer.BadParameter(
            f"expected MODEL@VERSION=SHARE, such as reviews@v1.1.0=5%, found {shown(text)}"
        ) from None


@app.command(
    epilog="Examples: luodi serve reviews | luodi serve reviews digits --port 8000 --token-file token | "
    "luodi serve ./serving/reviews | luodi serve reviews --shadow reviews@v1.2.0 | "
    "luodi serve reviews --canary reviews@v1.2.0=5% --log /srv/log"
)
def serve(
    wanted: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL|DIR...",
            parser=_model_or_folder,
            help="What to serve: the version of a model in production; DIR is a folder of `luodi pull`, with a slash "
            "in it, and needs no project.",
        ),
    ],
    *,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 is every one of this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 is any that is free.")] = 8000,
    stage: Annotated[
        Literal["production", "canary"],
        typer.Option(help="Of the registry, whose version answers; canary: all requests, for a server of its own."),
    ] = "production",
    shadow: Annotated[
        list[Any] | None,
        typer.Option(
            metavar="MODEL@VERSION", parser=_version, help="Score by this version too, and never answer by it."
        ),
    ] = None,
    canary: Annotated[
        list[Any] | None,
        typer.Option(
            metavar="MODEL@VERSION=SHARE",
            parser=_share,
            help="Answer this share of requests, 5% or 0.05, by that version: the same ones each time. Without it the "
            "registry says (`luodi promote MODEL@VERSION --canary 5%`).",
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Tokens that open the server, one a line; else those in LUODI_SERVE_TOKEN."),
    ] = None,
    follow: Annotated[
        float,
        typer.Option(min=0, metavar="SECONDS", help="Between two looks at the registry; 0 is POST /refresh alone."),
    ] = 5.0,
    max_items: Annotated[int, typer.Option(min=1, help="Texts or images of a request.")] = 256,
    max_body: Annotated[float, typer.Option(min=0.001, metavar="MIB", help="Of a request's body.")] = 8.0,
    max_item: Annotated[float, typer.Option(min=0.001, metavar="MIB", help="Of one text or image.")] = 4.0,
    queue: Annotated[int, typer.Option(min=1, help="Items that wait, of a model; more get 429.")] = 1024,
    timeout: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="For a request to come, and for an answer.")
    ] = 10.0,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Of a model's operations; by default one, or all processors if it is slow."),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option("--log", metavar="DIR|URL", help="Keep what is asked and answered there, for `luodi monitor`."),
    ] = None,
    log_share: Annotated[float, typer.Option(min=0, max=1, help="Of requests that the log keeps, whole.")] = 1.0,
    log_size: Annotated[
        float, typer.Option(min=1, metavar="MIB", help="Of the whole log; its oldest files go.")
    ] = 1024.0,
) -> None:
    """Answer over HTTP by the versions in production and canaries, and follow the registry: no request fails.

    POST /predict/MODEL takes JSON, or files of images; /v2 is the Open Inference Protocol; /docs tells the rest,
    /metrics is for Prometheus.
    """
    _require_extra()
    from luodi.serving import server, starting
    from luodi.serving.limits import MIB, Limits
    from luodi.serving.log import Log

    beside: list[Beside] = [*(shadow or ()), *(canary or ())]
    sources = [_source(one, stage) for one in wanted]
    _require_apart(sources, beside)
    tokens = _tokens(token_file)
    where = server.listening(host, port)
    if not tokens and not host.startswith(("127.", "localhost", "::1")):
        progress.tell("warning: whoever reaches this address may ask: --token-file asks for a token")
    limits = Limits(int(max_body * MIB), max_items, int(max_item * MIB), queue, timeout)
    log = Log(url, share=log_share, most=int(log_size * MIB)) if url else None
    with Heartbeat("bringing the models"):
        prepared = starting.prepare(
            sources, beside=beside, limits=limits, tokens=tokens, threads=threads, observer=log.add if log else None
        )
    if log:
        prepared.service.metrics.watch(log)
    try:
        starting.serve(prepared, where, follow, progress.tell)
    finally:
        if log:
            log.close()


def _require_extra() -> None:
    import importlib.util

    needed = ("uvicorn", "uvloop", "httptools", "starlette", "multipart", "msgspec", "prometheus_client", "onnxruntime")
    if missing := [name for name in needed if importlib.util.find_spec(name) is None]:
        raise LuodiError(
            f"luodi serve needs {', '.join(missing)}, which the extra `serve` brings: pip install 'luodi[serve]'"
        )


def _source(wanted: str, stage: str) -> "Source":
    from luodi.serving.sources import Folder, Registry

    if "/" in wanted:
        return Folder.of(Path(wanted))
    from luodi.project.origin import Origin
    from luodi.project.paths import find_root

    outside = os.environ.get("LUODI_GIT_URL")  # an image has no checkout
    return Registry(wanted, Origin.from_environment() if outside else Origin.find(find_root()), stage)


def _require_apart(sources: "list[Source]", beside: "list[Beside]") -> None:
    from luodi.errors import did_you_mean

    names = [source.model for source in sources]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise typer.BadParameter(f"{shown(twice[0])} is named twice: one address answers by one version")
    for one in beside:
        model = one.version.partition("@")[0]
        if model not in names:
            raise typer.BadParameter(f"{shown(one.version)} is of no model that is served{did_you_mean(model, names)}")
    roles = [(one.version.partition("@")[0], one.role) for one in beside]
    if double := sorted({of for of in roles if roles.count(of) > 1}):
        raise typer.BadParameter(f"{shown(double[0][0])} has two versions as {double[0][1]}: name one")


def _tokens(file: Path | None) -> list[str]:
    from luodi.serving import server

    if file:
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeError:
            text = ""  # what is no text holds no token
        return server.tokens(text, str(file))
    given = os.environ.get("LUODI_SERVE_TOKEN")
    return [] if given is None else server.tokens(given, "LUODI_SERVE_TOKEN")
