"""The parameters of a call by AWS's query protocol (Elastic Load Balancing, STS), read back from its form.

    TargetGroupArns.member.1=arn:…&TargetGroupArns.member.2=arn:…   →   {"TargetGroupArns": ["arn:…", "arn:…"]}

The form is flat text; AWS's model says what each name stands for. What the model does not know, a number that is
none and a gap in a list are problems, one sentence each.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from botocore.model import OperationModel

ENVELOPE = frozenset({"Action", "Version"})
TRUTHS = {"true": True, "false": False}
READERS: Mapping[str, Callable[[str], Any]] = {
    "boolean": TRUTHS.__getitem__,
    "integer": int,
    "long": int,
    "float": float,
    "double": float,
}

Node = Any
"""Text, or nodes by name: `{"TargetGroupArns": {"member": {"1": "arn:…"}}}`."""


def parameters(operation: OperationModel, form: str) -> tuple[dict[str, Any], list[str]]:
    """The call as a client's method would take it, and what is wrong with the form."""
    reader = _Reader()
    given = [(name, text) for name, text in parse_qsl(form, keep_blank_values=True) if name not in ENVELOPE]
    tree = reader.tree(given)
    if operation.input_shape is None:
        return {}, [*reader.problems, *(f"{name} is no parameter of {operation.name}" for name in tree)]
    return reader.structure(operation.input_shape, tree, ""), reader.problems


class _Reader:
    """Reads on when something is wrong, and remembers it."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def tree(self, given: Iterable[tuple[str, str]]) -> dict[str, Node]:
        root: dict[str, Node] = {}
        for name, text in given:
            *above, last = name.split(".")
            node = self._below(root, above)
            if node is None or last in node:
                self.problems.append(f"{name} is given twice, or both as text and with parts")
            else:
                node[last] = text
        return root

    def _below(self, root: dict[str, Node], names: Sequence[str]) -> dict[str, Node] | None:
        """None where there is text already."""
        node = root
        for name in names:
            node = node.setdefault(name, {})
            if not isinstance(node, dict):
                return None
        return node

    def value(self, shape: Any, node: Node, path: str) -> Any:
        match shape.type_name:
            case "structure":
                return self.structure(shape, node, path)
            case "list":
                return self._list(shape, node, path)
            case "map":
                return self._map(shape, node, path)
        return self._scalar(shape, node, path)

    def structure(self, shape: Any, node: Node, path: str) -> dict[str, Any]:
        known = {_name(member, name): (name, member) for name, member in shape.members.items()}
        found = {}
        for key, inner in self._parts(node, path).items():
            where = f"{path}.{key}" if path else key
            if key in known:
                name, member = known[key]
                found[name] = self.value(member, inner, where)
            else:
                self.problems.append(f"{where} is no parameter that AWS's model knows")
        return found

    def _list(self, shape: Any, node: Node, path: str) -> list[Any]:
        if node == "":
            return []  # so the protocol writes an empty list
        items = self._numbered(node if _flat(shape) else self._only(node, _name(shape.member, "member"), path), path)
        return [self.value(shape.member, item, f"{path}[{at}]") for at, item in enumerate(items)]

    def _map(self, shape: Any, node: Node, path: str) -> dict[str, Any]:
        entries = self._numbered(node if _flat(shape) else self._only(node, "entry", path), path)
        key, value = _name(shape.key, "key"), _name(shape.value, "value")
        parts = [self._parts(entry, path) for entry in entries]
        return {
            str(it.get(key, "")): self.value(shape.value, it.get(value, ""), f"{path}.{it.get(key)}") for it in parts
        }

    def _scalar(self, shape: Any, node: Node, path: str) -> Any:
        if isinstance(node, dict):
            self.problems.append(f"{path} has parts ({', '.join(node)}), and is a {shape.type_name}")
            return ""
        try:
            return READERS.get(shape.type_name, str)(node)
        except (ValueError, KeyError):
            self.problems.append(f"{path} is {node}, which is no {shape.type_name}")
            return node

    def _parts(self, node: Node, path: str) -> dict[str, Node]:
        if isinstance(node, dict):
            return node
        self.problems.append(f"{path} is the text {node!r}, and has parts in AWS's model")
        return {}

    def _only(self, node: Node, name: str, path: str) -> Node:
        """What stands below the one name that a list or a map has there."""
        parts = self._parts(node, path)
        self.problems.extend(
            f"{path}.{other} is no parameter that AWS's model knows" for other in parts if other != name
        )
        return parts.get(name, {})

    def _numbered(self, node: Node, path: str) -> list[Node]:
        parts = self._parts(node, path)
        places = [str(place) for place in range(1, len(parts) + 1)]
        if set(parts) != set(places):
            self.problems.append(f"{path} has the places {', '.join(parts)}, and not 1 to {len(parts)}")
        return [parts[place] for place in places if place in parts]


def _name(shape: Any, otherwise: str) -> str:
    return str(shape.serialization.get("name", otherwise))


def _flat(shape: Any) -> bool:
    return bool(shape.serialization.get("flattened"))
