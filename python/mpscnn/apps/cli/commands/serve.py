"""The command `mpscnn serve`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from mpscnn._private.model_name import DEFAULT_MODEL
from mpscnn.apps.cli.option_groups import COMPILE, RUN, add_options
from mpscnn.runtime.options import CompileOptions, RunOptions


class LogLevel(str, Enum):
    """The values of --log-level."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


class LogFormat(str, Enum):
    """The values of --log-format."""

    auto = "auto"
    text = "text"
    json = "json"


@add_options()
def serve(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL",
            help="Names (see `mpscnn models`) or model files (default: the bundled classifier).",
            show_default=False,
        ),
    ] = None,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Listen at this address.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, metavar="N", help="Listen at this port. 0: any free port.")
    ] = 8000,
    program: CompileOptions = COMPILE,
    runs: RunOptions = RUN,
    inflight: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=32,
            metavar="N",
            help="Compute N requests or batches in parallel (default: the number of cores, plus two).",
            show_default=False,
        ),
    ] = None,
    max_batch: Annotated[
        int,
        typer.Option(min=1, max=1_024, metavar="N", help="Compute up to N waiting requests as one batch."),
    ] = 1,
    queue: Annotated[
        int, typer.Option(min=0, max=1_000_000, metavar="N", help="Let at most N requests wait.")
    ] = 64,
    deadline: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="End a request with an error if it is not answered within this time after its arrival.",
        ),
    ] = 30.0,
    max_bytes: Annotated[
        int, typer.Option(min=1, metavar="N", help="Refuse requests with a larger body.")
    ] = 20_000_000,
    max_pixels: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Refuse photos with more than N pixels, and requests whose tensors hold photos with more in total.",
        ),
    ] = 50_000_000,
    max_tensor_bytes: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Refuse requests whose inputs, outputs and response have more than N bytes in total. All requests "
            "together may have four times N.",
        ),
    ] = 200_000_000,
    max_total_bytes: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Refuse requests while the bodies in memory have more than N bytes in total (default: 16 times "
            "--max-bytes).",
            show_default=False,
        ),
    ] = None,
    connections: Annotated[
        int,
        typer.Option(
            min=1,
            max=1_000_000,
            metavar="N",
            help="Refuse requests while more than N connections are open, with or without a request.",
        ),
    ] = 1_000,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="MPSCNN_SERVE_TOKEN",
            help="Answer only requests with `Authorization: Bearer TOKEN`.",
            show_default=False,
        ),
    ] = None,
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="Serve other machines, or names of --allow-host, without a token."),
    ] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Allow clients to call the service by this name. Needs a token or --insecure.",
            show_default=False,
        ),
    ] = None,
    address_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the service's address to FILE as soon as it answers, such as http://127.0.0.1:8000.",
            show_default=False,
        ),
    ] = None,
    log_level: Annotated[
        LogLevel, typer.Option(help="Log lines of this level and higher ones.")
    ] = LogLevel.info,
    log_format: Annotated[
        LogFormat,
        typer.Option(
            help="Log on stderr: a line of JSON for each request, or text for people. auto: text where stderr is a "
            "terminal."
        ),
    ] = LogFormat.auto,
) -> None:
    """Run models as an HTTP service: for photos, and for tensors by the Open Inference Protocol.

    Without --host, only programs on this machine can reach the service. After SIGTERM or Ctrl-C it finishes the
    accepted requests and ends. docs/serve.md and the service's page /docs describe the interface.

    Example: mpscnn serve mobilenet_v2 ssd_mobilenet_v1_coco --port 8000

    Example: MPSCNN_SERVE_TOKEN=... mpscnn serve mobilenet_v2 --host 0.0.0.0
    """
    import sys

    from mpscnn.apps.serve.packages import require_packages

    require_packages()
    from mpscnn._private.files import require_replaceable
    from mpscnn.apps.serve.hosting import Models
    from mpscnn.apps.serve.hosting import host as host_model
    from mpscnn.apps.serve.logs import log_to_stderr
    from mpscnn.apps.serve.server import open_listening_socket
    from mpscnn.apps.serve.server import serve as serve_models
    from mpscnn.apps.serve.settings import Settings
    from mpscnn.errors import ParameterError

    settings = Settings(
        host=host,
        port=port,
        token=token,
        insecure=insecure,
        allowed_hosts=tuple(allow_host or ()),
        inflight=inflight or 0,
        max_batch=max_batch,
        queue=queue,
        deadline=deadline,
        max_bytes=max_bytes,
        max_pixels=max_pixels,
        max_tensor_bytes=max_tensor_bytes,
        max_total_bytes=max_total_bytes or 0,
        connections=connections,
    )
    as_json = log_format is LogFormat.json or (log_format is LogFormat.auto and not sys.stderr.isatty())
    greeting = log_format is not LogFormat.json and (not as_json or sys.stdout.isatty())
    if address_file is not None:
        require_replaceable(address_file, ParameterError)
    with open_listening_socket(settings) as listener:
        log_to_stderr(log_level.value, as_json)
        hosted = [
            host_model(
                model,
                settings.runs,
                settings.max_batch,
                **program.to_dict(),
                **runs.to_dict(),
            )
            for model in models or [DEFAULT_MODEL]
        ]
        serve_models(Models(hosted), settings, listener, address_file, greeting=greeting)
