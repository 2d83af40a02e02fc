import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convoscope.architecture.documents import LARGEST_TEXT, dump_yaml, parse_json, parse_yaml
from convoscope.errors import ArchitectureError

WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff"))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS
CONTENT = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3)
)


@given(CONTENT)
def test_yaml_that_is_written_is_read_back(content: object) -> None:
    assert parse_yaml(dump_yaml(content)) == content


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("010", 10),
        ("1_000", 1000),
        ("-3", -3),
        ("0x1F", 31),
        ("1:30", "1:30"),
        ("2024-01-02", "2024-01-02"),
        ("1e-5", 1e-5),
        (".5", 0.5),
        ("-.inf", -math.inf),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("'5'", "5"),
        ("=", "="),
        ("{<<: 1}", {"<<": 1}),
    ],
)
def test_scalars_are_yaml_1_2s(text: str, expected: object) -> None:
    found = parse_yaml(text)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize("text", ["no", "010", "1e5", "1:30", "null", "0o7", "true", "2024-01-02"])
def test_text_that_looks_like_something_else_stays_text(text: str) -> None:
    assert parse_yaml(dump_yaml([text])) == [text]


def test_innermost_lists_take_one_line() -> None:
    assert dump_yaml({"a": [{"b": 1, "c": [2, 3]}]}) == "a:\n- b: 1\n  c: [2, 3]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: [1, 2", r"^line 2: expected ',' or '\]', but got '<stream end>'$"),
        ("a: 1\na: 2", r"^line 2: a key must stand once, 'a' is there twice: remove one of them$"),
        ("1: 2", "^line 1: keys must be text, got 1: put it in quotes$"),
        ("? [a]\n: 2", r"^line 1: keys must be text, got \['a'\]: put it in quotes$"),
        ("a: &x [1]\nb: *x", r"^line 2: aliases such as \*x are refused: write it out$"),
        ("a: !!python/name:os.system ''", "^line 1: tags such as .*system are refused: leave it o"),
        ("!!timestamp 5", "^line 1: tags such as .*timestamp are refused: leave it out$"),
        ("a\n---\nb", "^line 2: but found another document$"),
        ("a: \x00", "^the text must be YAML, reading it gave: unacceptable character"),
        ("9" * 101, "^a number must have at most 100 digits, got 101: write a smaller one$"),
        (
            "[" * 5000,
            "this one is nested hundreds of levels: this is some other",
        ),
        ("x" * (LARGEST_TEXT + 1), "must be at most 250,000 characters, got 250,001: this is"),
    ],
)
def test_yaml_that_is_refused_says_where_and_why(text: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        parse_yaml(text)


def test_a_few_lines_that_stand_for_gigabytes_are_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    with pytest.raises(ArchitectureError, match=r"^line 2: aliases such as \*a0 are refused"):
        parse_yaml("\n".join(lines))


def test_json_is_read_as_json() -> None:
    assert parse_json('{"a": [1, 2.5, null, "no"],\t"b": true}') == {
        "a": [1, 2.5, None, "no"],
        "b": True,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{\n"a": }', "^line 2: the text must be JSON, reading it gave: Expecting value$"),
        ('{"a": 1, "a": 2}', "^a key must stand once, 'a' is there twice: remove one of them$"),
        ("9" * 5000, "^a number must have at most 100 digits, got 5000: write a smaller one$"),
        ("[" * 100_000, "nested hundreds of levels: this is some other file$"),
        (" " * (LARGEST_TEXT + 1), "must be at most 250,000 characters, got 250,001"),
    ],
)
def test_json_that_is_refused_says_where_and_why(text: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        parse_json(text)
