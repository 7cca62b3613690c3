"""The Typer application: it has all commands, and the options of `mpscnn` itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mpscnn._private.hints import twin_of
from mpscnn._private.names import did_you_mean
from mpscnn._private.printable import printable
from mpscnn.apps.cli.commands.benchmark import benchmark
from mpscnn.apps.cli.commands.check_precision import check_precision
from mpscnn.apps.cli.commands.classify import classify
from mpscnn.apps.cli.commands.compare import compare
from mpscnn.apps.cli.commands.compare_precisions import compare_precisions
from mpscnn.apps.cli.commands.convert import convert
from mpscnn.apps.cli.commands.detect import detect
from mpscnn.apps.cli.commands.devices import devices
from mpscnn.apps.cli.commands.digits import digits
from mpscnn.apps.cli.commands.doctor import doctor
from mpscnn.apps.cli.commands.evaluate import evaluate_classifier
from mpscnn.apps.cli.commands.explain import explain
from mpscnn.apps.cli.commands.features import features
from mpscnn.apps.cli.commands.fingerprint import fingerprint
from mpscnn.apps.cli.commands.info import info
from mpscnn.apps.cli.commands.models import models
from mpscnn.apps.cli.commands.profile import profile
from mpscnn.apps.cli.commands.quantize import quantize
from mpscnn.apps.cli.commands.segment import segment
from mpscnn.apps.cli.commands.serve import serve
from mpscnn.apps.cli.commands.train import train
from mpscnn.apps.cli.commands.verify import verify
from mpscnn.apps.cli.failures import handle_errors
from mpscnn.apps.cli.help_texts import Command, short_help
from mpscnn.apps.cli.output import show
from mpscnn.apps.cli.package import (
    add_completion,
    completion_lines,
    print_cmake_directory,
    print_include_directory,
    print_pkg_config_directory,
    print_version,
)

# Typer exports no name for this class, and depending on its version it is from click or from a copy of click.
_UsageError: Any = typer.BadParameter.__bases__[0]


_COMPLETION = "--install-completion"


class _Commands(TyperGroup):
    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        parameters: list[Any] = [*self.params]
        for parameter in parameters:
            if _COMPLETION in parameter.opts:
                parameter.help = (
                    "Print the line that completes commands in your shell; with --yes, add it for you."
                )
        if _COMPLETION in takewhile(lambda argument: argument.startswith("-"), args):
            show(*([add_completion()] if "--yes" in args else completion_lines()))
            raise typer.Exit()
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if not args or self.get_command(ctx, args[0]) is not None:
            return super().resolve_command(ctx, args)
        instead = twin_of("command", args[0].lower())
        hint = f"; it is `{instead}` here" if instead else _similar(args[0], self.list_commands(ctx))
        raise _UsageError(f"No such command {args[0]!r}{hint}", ctx)

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with _printable_usage():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        # leave_cleanly must be inside Typer, which would handle interrupts and broken pipes without a message.
        with handle_errors(), _printable_usage():
            return super().invoke(ctx)


def _similar(name: str, commands: list[str]) -> str:
    """Return a hint for an unknown command: commands with a word that begins with that name, or similar names."""
    found = [
        command for command in commands if any(part.startswith(name) for part in command.split("-")) and name
    ]
    if not found:
        return did_you_mean(name, commands)
    return f"; did you mean {' or '.join(map(repr, found))}?"


@contextmanager
def _printable_usage() -> Iterator[None]:
    """Escape Typer's messages about wrong arguments, since they may contain file names."""
    try:
        yield
    except _UsageError as error:
        # Without a command, the message is the help, which keeps its line breaks.
        if error.ctx is None or error.message != error.ctx.get_help():
            error.message = printable(error.message)
        hint = twin_of("option", getattr(error, "option_name", ""))
        if hint and type(error).__name__ == "NoSuchOption":
            error.message, error.possibilities = f"{error.message.rstrip('.')}; {hint}", None
        raise


# No rich markup: help looks the same on every terminal, and brackets in texts stay as they are.
app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    classify,
    detect,
    digits,
    segment,
    features,
    convert,
    compare,
    check_precision,
    compare_precisions,
    quantize,
    info,
    explain,
    fingerprint,
    models,
    devices,
    doctor,
    benchmark,
    profile,
    train,
    verify,
    serve,
):
    app.command(cls=Command, short_help=short_help(command))(command)
app.command("evaluate", cls=Command, short_help=short_help(evaluate_classifier))(evaluate_classifier)


@app.command("help", cls=Command)
def show_help(
    command: Annotated[str | None, typer.Argument(help="The command; default: mpscnn itself.")] = None,
) -> None:
    """Show the help of mpscnn, or of a command."""
    app([*([] if command is None else [command]), "--help"], prog_name="mpscnn")


@app.command("version", cls=Command)
def version_command() -> None:
    """Print the version."""
    print_version(True)


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", "-V", callback=print_version, is_eager=True, help="Print the version."),
    ] = False,
    cmake_dir: Annotated[
        bool,
        typer.Option(
            "--cmake-dir",
            callback=print_cmake_directory,
            is_eager=True,
            help="Print the directory for CMAKE_PREFIX_PATH, for C and C++ programs that link mpscnn.",
        ),
    ] = False,
    include_dir: Annotated[
        bool,
        typer.Option(
            "--include-dir",
            callback=print_include_directory,
            is_eager=True,
            help="Print the directory of the C and C++ headers.",
        ),
    ] = False,
    pkg_config_dir: Annotated[
        bool,
        typer.Option(
            "--pkg-config-dir",
            callback=print_pkg_config_directory,
            is_eager=True,
            help="Print the directory for PKG_CONFIG_PATH.",
        ),
    ] = False,
) -> None:
    """Run convolutional networks on photos, on the CPU or through Metal: classify, detect objects, segment.

    Example: mpscnn classify cat.jpg

    Exit codes: 0 done, 1 something failed (the message is on stderr), 2 wrong usage, 130 interrupted. The help of a
    command has its other codes.
    """
