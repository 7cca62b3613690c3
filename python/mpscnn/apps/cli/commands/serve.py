"""The command `mpscnn serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mpscnn._private.model_name import DEFAULT_MODEL
from mpscnn.apps.cli.option_groups import COMPILE, RUN, add_options
from mpscnn.apps.serve.settings import Settings
from mpscnn.runtime.options import CompileOptions, RunOptions

SETTINGS = Settings()


@add_options()
def serve(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL",
            help="Names (see `mpscnn models`) or model files (default: the bundled classifier).",
        ),
    ] = None,
    settings: Settings = SETTINGS,
    program: CompileOptions = COMPILE,
    runs: RunOptions = RUN,
    address_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the service's address to FILE as soon as it answers, such as http://127.0.0.1:8000.",
        ),
    ] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        typer.Option(help="Log lines of this level and higher ones."),
    ] = "info",
    log_format: Annotated[
        Literal["auto", "text", "json"],
        typer.Option(
            help="Log on stderr: a line of JSON for each request, or text for people. auto: text where stderr is a "
            "terminal."
        ),
    ] = "auto",
) -> None:
    """Run models as an HTTP service: for photos, and for tensors by the Open Inference Protocol.

    Without --host, only programs on this machine can reach the service. After SIGTERM, SIGHUP or Ctrl-C it
    finishes the accepted requests and ends. With --reload, SIGHUP loads the models again. docs/serve.md and the
    service's page /docs describe the interface.

    Example: mpscnn serve mobilenet_v2 ssd_mobilenet_v1_coco --port 8000

    Example: MPSCNN_SERVE_TOKEN=... mpscnn serve mobilenet_v2 --host 0.0.0.0
    """
    from mpscnn.apps.serve.signals import ended_by_signals

    with ended_by_signals():
        import sys

        from mpscnn.apps.serve.packages import require_packages

        require_packages()
        from mpscnn._private.files import require_replaceable
        from mpscnn.apps.serve.hosting import Models
        from mpscnn.apps.serve.hosting import host as host_model
        from mpscnn.apps.serve.logs import LogFormat, log_to_stderr
        from mpscnn.apps.serve.server import open_listening_socket
        from mpscnn.apps.serve.server import serve as serve_models
        from mpscnn.errors import ParameterError

        as_json = log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())
        greeting = log_format != "json" and (not as_json or sys.stdout.isatty())
        if address_file is not None:
            require_replaceable(address_file, ParameterError)
        log = LogFormat(log_level, as_json)
        options = {**program.to_dict(), **runs.to_dict()}
        sources = models or [DEFAULT_MODEL]
        with open_listening_socket(settings) as listener:
            if settings.has_workers:
                from mpscnn.apps.serve.supervisor import serve_by_workers

                serve_by_workers(sources, options, settings, listener, log, address_file, greeting)
                return
            log_to_stderr(log)
            hosted = [host_model(model, settings.runs, settings.max_batch, **options) for model in sources]
            serve_models(Models(hosted), settings, listener, address_file, greeting=greeting)
