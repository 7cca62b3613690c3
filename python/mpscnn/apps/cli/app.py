"""The Typer application: it has all commands, and the options of `mpscnn` itself."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from mpscnn._private.files import exists
from mpscnn._private.hints import nearest_option, option_of, twin_of
from mpscnn._private.names import did_you_mean
from mpscnn._private.other_arguments import ARGUMENTS, number_format
from mpscnn._private.printable import printable
from mpscnn.apps.cli.commands import COMMANDS, command_function, first_sentence
from mpscnn.apps.cli.failures import handle_errors, raise_on_signals
from mpscnn.apps.cli.output import show
from mpscnn.apps.cli.package import (
    add_completion,
    completion_lines,
    print_cmake_directory,
    print_include_directory,
    print_pkg_config_directory,
    print_version,
)
from mpscnn.apps.cli.spared_conversions import spare_conversions
from mpscnn.errors import ParameterError

_TYPE = re.compile(r" <[^<>|]+>$")
_CHOICES = re.compile(r" <([^<>]+)>$")
_RAY = "--ray"
_SHORTEST = 4  # the length of an option of two letters, with which others begin by chance
_BRACES = re.compile(r"^\{(.*)\}")


class Command(TyperCommand):
    """A command whose help shows no Python types."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters with --help."""
        return spare_conversions(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments. The value of --ray is optional."""
        return super().parse_args(ctx, insert_default_address(args))

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Signals raise an exception from now on."""
        with raise_on_signals():
            return super().invoke(ctx)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the parts of the usage line without Typer's braces around required arguments."""
        return [_BRACES.sub(r"\1", piece) for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the help of arguments and options without their types."""
        write = formatter.write_dl

        def write_without_types(rows: Iterable[tuple[str, str]], *arguments: Any, **options: Any) -> None:
            write(
                [(_CHOICES.sub(r" [\1]", _TYPE.sub("", name)), text) for name, text in rows],
                *arguments,
                **options,
            )

        formatter.write_dl = write_without_types
        try:
            super().format_options(ctx, formatter)
        finally:
            formatter.write_dl = write


def insert_default_address(args: list[str]) -> list[str]:
    """Insert an empty value after --ray if the next argument is not the address of a cluster."""
    if _RAY not in args or "--" in args[: args.index(_RAY)]:
        return args
    from mpscnn.apps.ray.cluster import is_address

    place = args.index(_RAY)
    if is_address("".join(args[place + 1 : place + 2])):
        return args
    return [*args[:place], f"{_RAY}=", *args[place + 1 :]]


# Typer exports no name for this class, and depending on its version it is from click or from a copy of click.
_UsageError: Any = typer.BadParameter.__bases__[0]


_COMPLETION = "--install-completion"


class _Commands(TyperGroup):
    def get_params(self, ctx: Any) -> list[Any]:
        return spare_conversions(super().get_params(ctx))

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

    def list_commands(self, ctx: Any) -> list[str]:
        return [*COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: Any, name: str) -> Any:
        return built_command(name) if name in COMMANDS else super().get_command(ctx, name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        rows = [(name, first_sentence(name)) for name in COMMANDS]
        rows += [(name, self.commands[name].get_short_help_str(1000)) for name in super().list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

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
        # This must be inside Typer, which would handle interrupts and broken pipes without a message.
        with handle_errors(), _printable_usage():
            return super().invoke(ctx)


@cache
def built_command(name: str) -> Any:
    """Import a command of COMMANDS, and return click's object for it."""
    alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    alone.command(name, cls=Command)(command_function(name))
    return typer.main.get_command(alone)


def _similar(name: str, commands: list[str]) -> str:
    """Return a hint for an unknown command: commands with a word that begins with that name, or similar names."""
    found = [
        command for command in commands if any(part.startswith(name) for part in command.split("-")) and name
    ]
    if not found:
        return did_you_mean(name, commands)
    return f"; did you mean {' or '.join(map(repr, found))}?"


def _lead_of(name: str, context: Any) -> str:
    """Return the lead for an unknown option: the command's option with this meaning, or a text."""
    options = {option: one.help for one in context.command.params for option in one.opts} if context else {}
    general = twin_of("option", name)
    own = nearest_option(name, options) or _renamed(name, options)
    return f"it is {own} here: {options[own]}" if own else general


def _renamed(name: str, options: Collection[str]) -> str:
    """Return the command's option for an argument with another name in other frameworks; "" if it has none."""
    others = ARGUMENTS.get(name.lstrip("-").replace("-", "_"), ())
    return next((option for option in map(option_of, others) if option in options), "")


def _extended(name: str, context: Any) -> str:
    """Return a hint if an option ends like one of the command, or begins one: --minimum-deployment-target or --out."""
    options = [option for one in context.command.params for option in one.opts if option.startswith("--")]
    begun = [option for option in options if len(name) > _SHORTEST and option.startswith(name)]
    found = next((option for option in options if name.endswith(option[1:])), None)
    found = found or (begun[0] if len(begun) == 1 else None)
    return f"it is {found} here" if found else ""


#: The message about a value that an option does not take, that value, and those that it takes.
_CHOICE = re.compile(r"'([^']*)' is not one of (.*)")


def _value_instead(message: str) -> str:
    """Return a hint for a value that an option does not take: the one that means it, or a similar one."""
    if not (found := _CHOICE.search(message)):
        return ""
    given, values = found[1].lower(), re.findall(r"'([^']*)'", found[2])
    if given == "int8":
        return "; uint8 stores 8-bit weights, and mpscnn quantize makes integers"
    from mpscnn.apps.cli.task import COMMANDS as TASKS  # it imports the models

    if {*values} == {"auto", "int8"}:
        return "; --model names the model with its weights"
    own = next((one for one in (TASKS.get(given), number_format(given)) if one in values), None)
    return f"; it is {own!r} here" if own else did_you_mean(given, values)


#: The message about arguments that a command does not take, and the first one of them.
_EXTRA = re.compile(r"Got unexpected extra argument\(?s?\)? \((\S+?)[ )]")


def _pairs(message: str, options: Collection[str]) -> str:
    """Return the arguments "name=value" of a message, as ultralytics has them, in this command's form; "" for none."""
    pairs = re.findall(r"(\w+)=([^\s)]+)", message)
    names = {
        option: value
        for name, value in pairs
        for option in map(option_of, (name, *ARGUMENTS.get(name, ())))
        if option in options
    }
    known = [f"{option} {value}" for option, value in names.items()]
    paths = [value for name, value in pairs if name in ("data", "source")]
    return " ".join([*paths, *known])


@contextmanager
def _printable_usage() -> Iterator[None]:
    """Escape and shorten Typer's messages about wrong arguments, since they may contain file names and long values."""
    try:
        yield
    except _UsageError as error:
        # Without a command, the message is the help, which keeps its line breaks.
        if error.ctx is None or error.message != error.ctx.get_help():
            error.message = printable(str(ParameterError(error.message)))  # which shortens long ones
        hint = _lead_of(getattr(error, "option_name", ""), error.ctx)
        extra = _EXTRA.match(error.message)
        if extra and (twin := twin_of("command", extra[1])):
            error.message += f"; {extra[1]!r} is a command of other tools: here it is `{twin}`"
        elif extra and error.ctx:
            from mpscnn.training.annotated_folders import is_annotations

            options = {option for one in error.ctx.command.params for option in one.opts}
            if "--annotations" in options and is_annotations(Path(extra[1])):
                error.message += f"; --annotations {extra[1]} gives the objects on the photos"
            elif "--model" in options and exists(extra[1]):
                error.message += "; --model FILE names the model, and photos are given without an option"
            elif f"--{extra[1]}" in options:
                error.message += f"; --{extra[1]} is an option"
            elif pairs := _pairs(error.message, options):
                error.message += f"; options begin with two hyphens, and paths have no name: {pairs}"
            elif "--output" in options:
                error.message += f"; --output {extra[1]} writes to it"
        if instead := _value_instead(error.message):
            error.message = f"{error.message.rstrip('.')}{instead}"
        if not hint and error.ctx:
            hint = _extended(getattr(error, "option_name", ""), error.ctx)
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


def every_command() -> dict[str, Any]:
    """Import all commands, and return click's objects for them by name."""
    group: Any = typer.main.get_command(app)
    return {name: group.get_command(None, name) for name in group.list_commands(None)}
