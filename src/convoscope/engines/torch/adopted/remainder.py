"""Somebody else's module cut in two: up to a module inside it, and all that comes after.

A module can be cut where one tensor carries everything: where no later computation reads anything
older, such as between two blocks, and not inside a block with a shortcut around it. Such places
are found by tracing the module with ``torch.fx``. Only the modules around a place are looked into;
all others, batch norm and dropout among them, stay whole, keep their paths and have two modes.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor, fx, nn

from convoscope.architecture.protocol import Shape
from convoscope.engines.published import Split
from convoscope.engines.torch.adopted.layout import Inside
from convoscope.engines.torch.adopted.survey import survey
from convoscope.engines.torch.adopted.timm_models import TRUNK, Surveyed, drawn, make_module
from convoscope.engines.torch.hooks import run_until


@functools.cache
def split(source: str, image: Shape, cut: str, learning: frozenset[str]) -> Split | None:
    """The source of images of that shape, adopted up to ``cut``, divided at the last place below
    the first use of a parameter in ``learning`` (``"path.parameter"``).

    ``None`` where there is no such place, or the module's code cannot be traced.

    Raises:
        UnknownNameError: if timm has no such network, or it has no module at ``cut``.
    """
    with torch.device("meta"):
        after = last_place(make_module(source, image), image, cut, learning)
    if after is None:
        return None
    front, rest = front_of(source, image, after), rest_of(source, image, after, cut)
    return Split(front.layer, tuple(front.shapes), rest.layer, tuple(rest.shapes))


@functools.cache
def front_of(source: str, image: Shape, after: str) -> Surveyed:
    """What lies between the image and the end of ``after``, whose output stays as it is."""
    with torch.device("meta"):
        module = make_module(source, image)
    trunk, layer = survey(
        module, image, name=TRUNK, cut=after, source=source, drawn=drawn(source, image)
    )
    maps = _padded(given_by(source, image, after))
    paths = {**trunk.paths, after: Inside("as it is", maps)}
    shapes = {path: tuple(tensor.shape) for path, tensor in trunk.tensors()}
    return Surveyed(replace(layer, maps=maps, is_raw=True), paths, shapes)


@functools.cache
def rest_of(source: str, image: Shape, after: str, cut: str) -> Surveyed:
    """What lies between the end of ``after`` and that of ``cut``."""
    with torch.device("meta"):
        module = make_module(source, image)
        given = given_by(source, image, after)
        trunk, whole = survey(
            module, image, name=TRUNK, cut=cut, source=source, drawn=drawn(source, image)
        )
        rest = remainder(module, given, after, cut)
        seen, layer = survey(rest, _padded(given), name=TRUNK, cut="", source=source)
    shapes = {path: tuple(tensor.shape) for path, tensor in seen.tensors()}
    layer = replace(layer, cut=cut, maps=whole.maps, after=after, image=image)
    return Surveyed(layer, {"": trunk.paths[cut]}, shapes)


@functools.cache
def given_by(source: str, image: Shape, path: str) -> Shape:
    """The shape of what the module at ``path`` gives for one image, without the axis of images."""
    with torch.device("meta"):
        found = _output(make_module(source, image), image, path)
    assert found is not None, "a place gives a tensor"
    return found


def remainder(module: nn.Module, given: Shape, after: str, cut: str) -> fx.GraphModule:
    """A module that takes what ``after`` gives, of shape ``given`` and with as many axes as an
    image has, and gives what ``cut`` does; its submodules are those of ``module``, by their paths.
    """
    traced = _traced(module, [after, cut])
    assert traced is not None, "what could be traced once can be again"
    graph, start, end = traced.graph, traced.outputs[after], traced.outputs[cut]
    # Before all others: what forward takes besides images keeps its default.
    with graph.inserting_before(next(iter(graph.nodes))):
        taken = graph.placeholder("maps")
    with graph.inserting_before(start):
        shaped = graph.call_method("reshape", (taken, (-1, *given)))
    start.replace_all_uses_with(shaped)
    for node in [node for node in graph.nodes if node.op == "output"]:
        graph.erase_node(node)
    graph.output(shaped if end is start else end)
    for node in reversed(list(graph.nodes)):
        if not node.users and node is not taken and node.op != "output":
            graph.erase_node(node)
    graph.lint()
    return fx.GraphModule(module, graph)


@final
class _Tracer(fx.Tracer):
    """Looks into the modules at ``opened`` alone, and remembers what each module gives."""

    def __init__(self, opened: Collection[str]) -> None:
        super().__init__()
        self._opened = frozenset(opened)
        self.outputs: dict[str, fx.Node] = {}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return module_qualified_name not in self._opened

    def call_module(
        self, m: nn.Module, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        output = super().call_module(m, forward, args, kwargs)
        if isinstance(output, fx.Proxy):
            self.outputs[self.path_of_module(m)] = output.node
        return output


@dataclass(frozen=True, slots=True)
class _Traced:
    """A module's computation, and of the modules that were met what they give (``""``: all)."""

    graph: fx.Graph
    outputs: dict[str, fx.Node]


def _traced(module: nn.Module, paths: Sequence[str]) -> _Traced | None:
    """The module's computation, looked into as far as ``paths``, or ``None`` if that cannot be
    read from its code, or is another while it learns.
    """
    opened = ["", *(around for path in paths for around in _around(path))]
    texts, traced = [], None
    for is_learning in (True, False):
        module.train(is_learning)
        tracer = _Tracer(opened)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                graph = tracer.trace(module)
        except Exception:
            module.eval()
            return None
        texts.append(graph.python_code("self").src)
        (end,) = [node.args[0] for node in graph.nodes if node.op == "output"]
        whole = {"": end} if isinstance(end, fx.Node) else {}
        traced = _Traced(graph, {**tracer.outputs, **whole})
    return traced if texts[0] == texts[1] else None


def _around(path: str) -> Iterator[str]:
    """The paths of the modules that hold the one at ``path``, outermost first, without the root."""
    parts = path.split(".")
    yield from (".".join(parts[:count]) for count in range(1, len(parts)))


def last_place(module: nn.Module, image: Shape, cut: str, learning: frozenset[str]) -> str | None:
    """The path of the module after which all that learns lies, as near to it as can be.

    One looks first at the whole, then into whatever holds the first layer that learns, and so on
    as deep as the code can be read: each look finds the same place or a later one.
    """
    best, look = None, cut
    while (traced := _traced(module, [look, cut])) is not None and cut in traced.outputs:
        nodes = _needed(traced, cut)
        first = next((node for node in nodes if _learns(node, learning)), None)
        for place in _places(module, nodes, first):
            if _output(module, image, place) is not None:
                best = place
                break
        if first is None or first.op != "call_module" or not _children(module, str(first.target)):
            break
        look = f"{first.target}.inside"
    return best


def _needed(traced: _Traced, cut: str) -> list[fx.Node]:
    """In computing order what is computed on the way to the cut."""
    wanted: set[fx.Node] = set()
    for node in reversed(traced.graph.nodes):
        if node is traced.outputs[cut] or any(user in wanted for user in node.users):
            wanted.add(node)
    return [node for node in traced.graph.nodes if node in wanted]


def _learns(node: fx.Node, learning: Collection[str]) -> bool:
    """Whether it uses a parameter that learns."""
    target = str(node.target)
    if node.op == "get_attr":
        return target in learning
    return node.op == "call_module" and any(name.startswith(f"{target}.") for name in learning)


def _places(module: nn.Module, nodes: Sequence[fx.Node], first: fx.Node | None) -> Iterator[str]:
    """The modules before ``first`` after which nothing older is read, the last one first."""
    position = {node: i for i, node in enumerate(nodes)}
    of_image: set[fx.Node] = set()
    until, found = -1, []  # the last position at which anything so far is read
    for i, node in enumerate(nodes):
        if node is first:
            break
        if i > 0 and not any(read in of_image for read in node.all_input_nodes):
            continue
        of_image.add(node)
        if until <= i and node.op == "call_module" and _is_met_once(module, node, nodes):
            found.append(str(node.target))
        readers = [position[user] for user in node.users if user in position]
        until = max([until, *readers])
    yield from reversed(found)


def _is_met_once(module: nn.Module, node: fx.Node, nodes: Sequence[fx.Node]) -> bool:
    """Whether the module is computed once in a pass, so that its output is the one meant."""
    own = module.get_submodule(str(node.target))
    held = [each for _, each in module.named_modules(remove_duplicate=False) if each is own]
    called = [n for n in nodes if n.op == "call_module" and n.target == node.target]
    return len(held) == len(called) == 1


def _children(module: nn.Module, path: str) -> bool:
    return any(True for _ in module.get_submodule(path).children())


def _output(module: nn.Module, image: Shape, path: str) -> Shape | None:
    """The shape of what the module at ``path`` gives for one image, if it is one tensor."""
    first = next(module.parameters())
    zeros = torch.zeros(1, *image, device=first.device, dtype=first.dtype)
    with torch.no_grad():
        output = run_until(module, module.get_submodule(path), zeros)
    is_fit = isinstance(output, Tensor) and 2 <= output.ndim <= 4 and len(output) == 1
    return tuple(output.shape[1:]) if is_fit else None


def _padded(shape: Shape) -> Shape:
    """With as many axes as an image has."""
    return (*shape, *[1] * (3 - len(shape)))
