"""The group of verbs, and the border where every error becomes one line and an exit code."""

import importlib
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import click
from vaegen.errors import BundleError, ConfigError, MissingExtraError, RequestError, VaegenError, shown, spelled

from vaegen_cli import interrupts
from vaegen_cli.console import Console, ExitCode, Messages, Results, common_options, messages, put, tell

VERBS = {
    "sample": "Draw digits in colors.",
    "reconstruct": "Encode and decode an image, every image of a folder, or those of a list.",
    "encode": "Turn images into latents.",
    "decode": "Turn latents into images.",
    "explore": "Explore models in a browser, on a page that is one file.",
    "models": "List the models in this installation.",
    "info": "Show the figures and parts of a model, or how a picture was made.",
    "verify": "Check a bundle closely, or make a picture anew and compare.",
    "sign": "Sign a bundle that passes `vaegen verify`.",
    "serve": "Serve models on the web.",
    "bench": "Measure a model on this device and recommend flags.",
    "train": "Train a model, or the judge that models learn from.",
    "export": "Turn a training run into a bundle that runs without torch.",
    "evaluate": "Measure shipped models, bundles or finished runs.",
    "report": "Show what models make, in pictures and figures.",
    "completion": "Print a shell's completion script.",
}
"""Each verb with the first sentence of its help, so that `vaegen --help` loads none of them."""

# The module of a verb that is not named like it.
_HOME = {
    "completion": "app",
    "export": "train",
    "info": "describe",
    "models": "describe",
    "sign": "verify",
}

# What the loaders of Linux, macOS and Windows say of a library that is there and cannot be loaded.
_NOT_LOADED = ("shared object", "dlopen(", "DLL load failed")


class Verbs(click.Group):
    """A group that loads a verb when it is called, as click's documentation advises for large programs."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002, click's signature
        """Load a verb; None where there is none of this name."""
        if cmd_name not in self.commands:
            return None
        with interrupts.AtCtrlC(tidy=False):
            module = importlib.import_module(f"vaegen_cli.{_HOME.get(cmd_name, cmd_name)}")
        verb: click.Command = getattr(module, cmd_name)
        return verb

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.commands[name].help or "") for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb."""
        try:
            with interrupts.AtCtrlC(tidy=True), _log_to_stderr(ctx.ensure_object(Console)):
                return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise click.Abort from error  # as click does after an empty line
        except Exception as error:
            # Libraries turn KeyboardInterrupt into exceptions of theirs.
            if interrupts.came:
                raise click.Abort from error
            raise


def _show_version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        import vaegen

        put(f"vaegen {vaegen.__version__}")
        context.exit()


@click.group(
    cls=Verbs,
    commands={name: click.Command(name, help=summary) for name, summary in VERBS.items()},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@common_options(
    "vaegen sample --color red --digit 3",
    "vaegen reconstruct red-3.png again.png",
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """Colored digits from small VAEs: sample, reconstruct, train, export and evaluate them.

    Results go to stdout, messages to stderr. Exit codes: 0 done, 1 some inputs failed, 2 wrong usage,
    3 bundle broken or tampered with, 4 nothing could be done.
    """


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@common_options(
    "vaegen completion bash",
    "vaegen completion fish",
)
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a shell's completion script.

    \b
    To have it in every new shell:
      bash   vaegen completion bash > ~/.vaegen.bash; echo '. ~/.vaegen.bash' >> ~/.bashrc
      zsh    vaegen completion zsh > ~/.vaegen.zsh; echo '. ~/.vaegen.zsh' >> ~/.zshrc (after compinit)
      fish   vaegen completion fish > ~/.config/fish/completions/vaegen.fish
    The script asks this command for the choices, so it need not be made again after an upgrade. bash 4.4 or newer.
    """  # noqa: D301, click takes the character itself
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"this version of click has no completion for {shell}")
    # The name of the variable is click's own convention for a program called vaegen.
    put(kind(context.find_root().command, {}, "vaegen", "_VAEGEN_COMPLETE").source())


def exit_code(error: VaegenError) -> ExitCode:
    """Return the exit code that stands for an error."""
    if isinstance(error, BundleError):
        return ExitCode.BAD_BUNDLE
    if isinstance(error, RequestError | ConfigError | MissingExtraError):
        return ExitCode.WRONG_USAGE
    # Whatever would have been overwritten was named by the user; other output errors are the machine's.
    if isinstance(error.__cause__, FileExistsError):
        return ExitCode.WRONG_USAGE
    return ExitCode.NOTHING_DONE


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its `ExitCode`.

    Args:
        argv: The arguments after the program's name; default `sys.argv[1:]`.
    """
    console = Console()
    try:
        with spelled("flags"):
            result = cli.main(argv, prog_name="vaegen", standalone_mode=False, obj=console)
    except VaegenError as error:
        _tell(console, str(error))
        return exit_code(error)
    except (OSError, MemoryError) as error:
        # The machine's own, met where no verb expects them: a folder that goes away, a disk that fails.
        _tell(console, str(error) or "not enough memory")
        return ExitCode.NOTHING_DONE
    except ImportError as error:
        # numpy explains over thirty lines what the error that it met says in one.
        message = str(error.__cause__ or error)
        if not any(words in message for words in _NOT_LOADED):
            raise
        _tell(console, f"cannot load a library, perhaps for want of memory: {message}")
        return ExitCode.NOTHING_DONE
    except click.Abort:
        tell(interrupts.LINE)
        return ExitCode.INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        error.show(messages())
        return error.exit_code
    except click.ClickException as error:
        console.say(_usage_line(error), level=-1)
        return error.exit_code
    # click hands back what a verb returned, or the code that a context was left with.
    code = result if isinstance(result, int) else ExitCode.DONE
    if console.lost is not None:
        tell(f"vaegen: {console.lost}; the files are written")
        return code or ExitCode.NOTHING_DONE
    return code


def _tell(console: Console, message: str) -> None:
    """Say the error that is being handled in one line, with --debug after its traceback."""
    if console.debug:
        import traceback

        tell(traceback.format_exc(), nl=False)
    console.say(f"vaegen: {message}", level=-1)


def _usage_line(error: click.ClickException) -> str:
    """Say in one line, as for all other errors, what click says in four."""
    context = getattr(error, "ctx", None)
    text = error.format_message()
    if isinstance(error, click.BadOptionUsage) and error.option_name == "--color":
        text += " In a shell # begins a comment: write '#ff8000', in quotes, or ff8000."
    stop = "" if text.endswith((".", "?", "?)")) else "."
    return f"vaegen: {text}{stop} Try '{context.command_path if context else 'vaegen'} -h'."


def run() -> NoReturn:
    """Run the command line as the program `vaegen`, and end the process."""
    _reserve_closed_streams()
    # Whatever writes to them, click and tqdm too, gets the rules of messages and results.
    sys.stdout, sys.stderr = Results(sys.stdout), Messages(sys.stderr)
    code = main()
    for name in ("stdout", "stderr"):
        stream = getattr(sys, f"__{name}__")
        try:
            if stream is not None:  # as it is where a shell closed it
                stream.flush()
        except OSError:
            if name == "stdout":
                code = code or ExitCode.NOTHING_DONE
            # Python flushes both once more at exit, and would end with a code of its own.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    # Freeing all that numpy and onnxruntime hold takes Python a sixth of the time of `vaegen sample`, and the system
    # does it anyway. Only other threads and processes have something left to do.
    if threading.active_count() == 1 and "multiprocessing" not in sys.modules:
        os._exit(code)
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    sys.exit(code)


def _reserve_closed_streams() -> None:
    """Open on the null device what a shell closed with `2>&-`, so that no file of ours gets one of these three numbers.

    Libraries write messages to number 2 without asking what it is. `sys.stderr` and the others stay None.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            handle = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(handle, handle == number)  # worker processes need them as well


@contextmanager
def _log_to_stderr(console: Console) -> Iterator[None]:
    """Show what the libraries log, for the time of one run: `main` may be called many times in a process."""
    import logging

    class OneLine(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return shown(super().format(record))

    least = {1: logging.DEBUG, 0: logging.WARNING, -1: logging.ERROR}
    handler = logging.StreamHandler(messages())
    handler.setFormatter(OneLine("vaegen: %(message)s"))
    # The verbosity of this moment: -v may stand behind the verb, which is read after this was set up.
    handler.addFilter(lambda record: record.levelno >= least[console.verbosity])
    logger = logging.getLogger("vaegen")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
