"""YAML and JSON text as plain values, strictly: nothing is guessed, run or expanded.

Scalars are YAML 1.2's, as JSON has them: ``true``, ``false``, ``null``, decimal and hexadecimal
numbers. What YAML 1.1 makes of ``no``, ``1:30`` and ``010`` (false, ninety, eight) surprises people
who describe networks: here they are two words and ten. A key that stands twice is an error, aliases
are refused (a few lines of them can stand for gigabytes), and so is a text of a
quarter of a megabyte.
"""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from convoscope.errors import ArchitectureError

LARGEST_TEXT = 250_000
_MOST_DIGITS = 100


def parse_yaml(text: str) -> object:
    """The plain value that a YAML text stands for.

    Raises:
        ArchitectureError: if it is not YAML, or uses what is refused here; says the line.
    """
    check_size(len(text))
    try:
        # A SafeLoader at heart: it makes plain values only.
        return yaml.load(text, Loader=_PlainLoader)
    except yaml.MarkedYAMLError as error:
        raise ArchitectureError(_at(error)) from error
    except yaml.YAMLError as error:
        raise ArchitectureError(f"the text must be YAML, reading it gave: {error}") from error
    except RecursionError as error:
        raise _nested_too_deeply() from error


def parse_json(text: str) -> object:
    """The plain value that a JSON text stands for.

    Raises:
        ArchitectureError: if it is not JSON, or a key stands twice; says the line.
    """
    check_size(len(text))
    try:
        return json.loads(text, object_pairs_hook=_without_repeats, parse_int=_decimal)
    except json.JSONDecodeError as error:
        raise ArchitectureError(
            f"line {error.lineno}: the text must be JSON, reading it gave: {error.msg}"
        ) from error
    except RecursionError as error:
        raise _nested_too_deeply() from error


def dump_yaml(content: object) -> str:
    """YAML that :func:`parse_yaml` reads back; innermost lists and mappings take one line each."""
    return yaml.dump(
        content,
        Dumper=_PlainDumper,
        sort_keys=False,
        allow_unicode=True,
        width=1000,
        default_flow_style=None,
    )


def check_size(size: int) -> None:
    """Raise ``ArchitectureError`` for a text of more than :data:`LARGEST_TEXT` characters."""
    if size > LARGEST_TEXT:
        raise ArchitectureError(
            f"a network's description must be at most {LARGEST_TEXT:,} characters, got {size:,}: "
            "this is some other file"
        )


class _PlainLoader(yaml.SafeLoader):
    """PyYAML's safe loader with YAML 1.2's scalars, without aliases, tags and repeated keys."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node that is no alias and says no type of its own."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _marked(f"aliases such as *{event.anchor} are refused: write it out", event)
        if getattr(event, "tag", None):
            raise _marked(f"tags such as {event.tag} are refused: leave it out", event)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Construct a mapping in which every key is text and stands once."""
        keys: set[str] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise _marked(f"keys must be text, got {key!r}: put it in quotes", key_node)
            if key in keys:
                raise _marked(_twice(key), key_node)
            keys.add(key)
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> int:
        """Construct a decimal or hexadecimal int; leading zeros mean nothing."""
        digits = node.value.replace("_", "")
        return int(digits, 16) if "x" in digits else _decimal(digits)


class _PlainDumper(yaml.SafeDumper):
    """PyYAML's safe dumper, which quotes text that either version of YAML reads otherwise."""

    def ignore_aliases(self, data: object) -> bool:
        """Write every value out."""
        return True


_PlainLoader.yaml_implicit_resolvers = {}
_PlainLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_PlainLoader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]
)
_PlainLoader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"^(?:[-+]?[0-9][0-9_]*|0x[0-9a-fA-F]+)$"),
    list("-+0123456789"),
)
_PlainLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)
_PlainLoader.add_constructor("tag:yaml.org,2002:int", _PlainLoader.construct_number)


_PlainDumper.yaml_implicit_resolvers = {
    first: [
        *yaml.SafeDumper.yaml_implicit_resolvers.get(first, []),
        *_PlainLoader.yaml_implicit_resolvers.get(first, []),
    ]
    for first in {
        *yaml.SafeDumper.yaml_implicit_resolvers,
        *_PlainLoader.yaml_implicit_resolvers,
    }
}


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise ArchitectureError(_twice(key))
        content[key] = value
    return content


def _decimal(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ArchitectureError(
            f"a number must have at most {_MOST_DIGITS} digits, got {len(digits)}: "
            "write a smaller one"
        )
    return int(digits)


def _marked(problem: str, place: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=place.start_mark)


def _at(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    where = f"line {mark.line + 1}: " if mark else ""
    return f"{where}{error.problem or error.context}"


def _twice(key: str) -> str:
    return f"a key must stand once, {key!r} is there twice: remove one of them"


def _nested_too_deeply() -> ArchitectureError:
    return ArchitectureError(
        "a network's description is a few levels deep, this one is nested hundreds of levels: "
        "this is some other file"
    )
