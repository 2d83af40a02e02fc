"""How a command ends when it cannot go on: one sentence on stderr and an exit code.

0 done, 2 a mistake that the sentence explains, 130 interrupted with Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import click
from click.exceptions import NoArgsIsHelpError

from convoscope.errors import ConvoscopeError

MISTAKE = 2
INTERRUPTED = 130


def run_or_exit(work: Callable[[], object]) -> object:
    """Do the work; leave the process with a sentence and an exit code if it does not succeed."""
    try:
        return _exit_code(work())
    except ConvoscopeError as error:
        _say(f"convoscope: {error}")
        sys.exit(MISTAKE)
    except NoArgsIsHelpError as error:
        _say(error.format_message())
        sys.exit(MISTAKE)
    except click.UsageError as error:
        _say(_usage(error))
        sys.exit(MISTAKE)
    except click.ClickException as error:
        _say(f"convoscope: {error.format_message()}")
        sys.exit(MISTAKE)
    except (click.Abort, KeyboardInterrupt):
        _say("convoscope: interrupted")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader, say `head`, has closed; without this Python complains once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _exit_code(result: object) -> object:
    """What ``ctx.exit(code)`` gives back when click is not in charge of the process."""
    if isinstance(result, int) and result:
        sys.exit(result)
    return result


def _usage(error: click.UsageError) -> str:
    """The usage error as one sentence that says where to read on."""
    command = error.ctx.command_path if error.ctx else "convoscope"
    message = _message(error).rstrip(".")
    return f"{command}: {message}; see  {command} --help"


def _message(error: click.UsageError) -> str:
    if isinstance(error, click.NoSuchOption):
        nearest = [name for name in error.possibilities or () if name.startswith("--")]
        advice = f": did you mean {nearest[0]}?" if nearest else ""
        return f"there is no option {error.option_name!r}{advice}"
    message = " ".join(error.format_message().split())
    return message[0].lower() + message[1:]


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
