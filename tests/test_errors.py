from __future__ import annotations

import inspect

import pytest

from convoscope import errors
from convoscope.errors import (
    ConvoscopeError,
    DataError,
    LeakError,
    ShapeError,
    first_few,
    placed,
    unknown_name,
)

ALL_ERRORS = [
    value
    for _, value in inspect.getmembers(errors, inspect.isclass)
    if issubclass(value, ConvoscopeError)
]


@pytest.mark.parametrize("error", ALL_ERRORS, ids=lambda error: error.__name__)
def test_every_error_stands_in_the_tree_of_the_docstring(error: type[ConvoscopeError]) -> None:
    assert error.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize(
    "error", [e for e in ALL_ERRORS if e is not ConvoscopeError], ids=lambda error: error.__name__
)
def test_every_error_is_also_the_builtin_it_is(error: type[ConvoscopeError]) -> None:
    builtins = [base for base in error.__mro__ if base.__module__ == "builtins"]
    assert builtins[0] is not Exception


def test_an_unknown_name_is_answered_with_the_nearest_one() -> None:
    error = unknown_name("model", "vgg91", ["vgg19", "lenet-5"])
    assert str(error) == "there is no model 'vgg91': did you mean 'vgg19'?"


def test_an_unknown_name_near_to_nothing_is_answered_with_all_of_them() -> None:
    error = unknown_name("model", "zzz", ["b", "a"])
    assert str(error) == "there is no model 'zzz': known are a, b"


def test_placed_says_where_and_keeps_the_kind_and_the_cause() -> None:
    with (
        pytest.raises(ShapeError, match=r"^layer 'conv1': too small$") as caught,
        placed("layer 'conv1'"),
    ):
        raise ShapeError("too small")
    assert isinstance(caught.value.__cause__, ShapeError)


def test_placed_lets_other_errors_pass() -> None:
    with pytest.raises(KeyError), placed("somewhere"):
        raise KeyError("x")


def test_a_leak_is_a_fault_of_the_data() -> None:
    assert issubclass(LeakError, DataError)


def test_of_many_names_the_first_few_are_said() -> None:
    assert first_few(["a"]) == "a"
    assert first_few(["a", "b", "c"]) == "a, b, c"
    assert first_few(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
