"""A mistake on the command line is one sentence on stderr, and exit code 2."""

from __future__ import annotations

import pytest
from tests.cli.conftest import Convoscope

from convoscope.cli.failures import run_or_exit


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("trian",), "convoscope: there is no command 'trian': did you mean 'train'?"),
        (
            ("train", "x", "--epoch", "3"),
            "convoscope train: there is no option '--epoch': did you mean --epochs?; "
            "see  convoscope train --help",
        ),
        (
            ("train", "x", "--epochs", "many"),
            "convoscope train: invalid value for '--epochs' / '-e': 'many' is not a valid "
            "integer; see  convoscope train --help",
        ),
        (
            ("train", "x", "--resize", "fold"),
            "convoscope train: invalid value for '--resize': 'fold' is not one of 'squash', "
            "'crop', 'pad'; see  convoscope train --help",
        ),
        (
            ("predict", "runs/x"),
            "convoscope: predict: a run, or --backbone, must be named before the images, got "
            "runs/x first: say  convoscope predict RUN runs/x  or  convoscope predict --backbone "
            "vgg19 runs/x",
        ),
        (
            ("runs", "show"),
            "convoscope runs show: missing argument 'RUN'; see  convoscope runs show --help",
        ),
        (
            ("train",),
            "convoscope: data must be given, got none: name a folder with one folder of images "
            "per class",
        ),
        (
            ("train", "photos"),
            "convoscope: photos: a data set must be a folder of images, there is no such folder: "
            "check the path",
        ),
        (
            ("train", "photos", "-m", "flexible", "--set", "blocks"),
            "convoscope: --set: must be followed by KEY=VALUE, such as blocks=3, got 'blocks': "
            "write it like that",
        ),
        (
            ("train", "photos", "--resume", "runs/x", "--epochs", "3"),
            "convoscope: --resume: a run goes on with its own settings, got DATA, --epochs too: "
            "leave that out, or start a new run with --from",
        ),
        (
            ("train", "--resume", "runs/x"),
            "convoscope: runs/x: there is no such run folder: see  convoscope runs list",
        ),
        (
            ("predict", "x", "y", "--json", "--csv"),
            "convoscope predict: choose one of --json and --csv; see  convoscope predict --help",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_is_one_sentence(
    convoscope: Convoscope, words: tuple[str, ...], sentence: str
) -> None:
    result = convoscope(*words)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", sentence + "\n")


def test_an_unexpected_error_keeps_its_traceback() -> None:
    def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_or_exit(work)


def test_ctrl_c_anywhere_ends_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as end:
        run_or_exit(work)
    assert end.value.code == 130
    assert capsys.readouterr().err == "convoscope: interrupted\n"


def test_an_exit_code_is_passed_on() -> None:
    with pytest.raises(SystemExit) as end:
        run_or_exit(lambda: 130)
    assert end.value.code == 130
    assert run_or_exit(lambda: 0) == 0


def test_the_version_is_said(convoscope: Convoscope) -> None:
    result = convoscope("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("convoscope ")


@pytest.mark.parametrize("words", [(), ("runs",), ("data",)])
def test_without_a_command_there_is_the_help_line_by_line(
    convoscope: Convoscope, words: tuple[str, ...]
) -> None:
    result = convoscope(*words)
    assert result.exit_code == 2
    assert result.stderr == convoscope(*words, "--help").stdout
