"""What a later description of an API takes away from callers of an earlier one.

An answer may say more and not less, and nothing of another type; a request may be given more and
need be given no more. Words, names of types and of operations, and errors are no part of it.
"""

import re
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

#: Bounds of what is taken, and the sign of a change that takes less.
_BOUNDS = {
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength"), -1),
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength"), 1),
}


def incompatible(before: Json, now: Json) -> list[str]:
    """Return where a caller of the API described before would fail, one line each."""
    was, is_now = _operations(before), _operations(now)
    return [
        f"{name}: {change}"
        for name, operation in was.items()
        for change in _operation(operation, is_now.get(name))
    ]


def _operations(document: Json) -> dict[str, Json]:
    """Return what can be asked, by method and path; no caller writes the names in a path."""
    inlined = _inlined(document["paths"], document["components"]["schemas"])
    return {
        f"{method.upper()} {re.sub(r'{[^}]*}', '{}', path)}": operation
        for path, methods in inlined.items()
        for method, operation in methods.items()
    }


def _inlined(node: Any, schemas: Json) -> Any:  # noqa: ANN401 - JSON
    """Put what references name in their places; none of ours leads to itself."""
    if isinstance(node, list):
        return [_inlined(one, schemas) for one in node]
    if not isinstance(node, dict):
        return node
    if isinstance(reference := node.get("$ref"), str):
        return _inlined(schemas[reference.rpartition("/")[2]], schemas)
    return {key: _inlined(value, schemas) for key, value in node.items()}


def _operation(before: Json, now: Json | None) -> Iterator[str]:
    if now is None:
        yield "is gone"
        return
    sent, taken = _parts(before), _parts(now)
    for name, part in sent.items():
        yield from _schema(name, part, taken[name], asked=True) if name in taken else _gone(name)
    for name in {*_needed(now)} - {*_needed(before)}:
        yield f"{name} is needed"
    given = _answers(now)
    for name, part in _answers(before).items():
        yield from _schema(name, part, given[name], asked=False) if name in given else _gone(name)


def _gone(name: str) -> Iterator[str]:
    yield f"{name} is gone"


def _parts(operation: Json) -> Json:
    """Return the schemas of what an operation takes, by where it takes it."""
    bodies = operation.get("requestBody", {}).get("content", {})
    return {
        **{f"{one['in']} {one['name']}": one["schema"] for one in _parameters(operation)},
        **{f"body {media_type}": one["schema"] for media_type, one in bodies.items()},
    }


def _needed(operation: Json) -> Iterator[str]:
    if operation.get("requestBody", {}).get("required"):
        yield "a body"
    for one in _parameters(operation):
        if one.get("required"):
            yield f"{one['in']} {one['name']}"


def _parameters(operation: Json) -> list[Json]:
    return [one for one in operation.get("parameters", []) if one["in"] != "path"]


def _answers(operation: Json) -> Json:
    return {
        f"{status} {media_type}": content["schema"]
        for status, answer in operation["responses"].items()
        if status.startswith("2")
        for media_type, content in answer.get("content", {}).items()
    }


def _schema(where: str, before: Json, now: Json, *, asked: bool) -> Iterator[str]:
    """Compare what may be sent with what is read, by callers of before: asked, or else answered."""
    was, is_now = _kinds(before), _kinds(now)
    sent, read = (was, is_now) if asked else (is_now, was)
    for kind in sent.keys() - read.keys():
        yield f"{where} may {'no longer ' if asked else ''}be {kind}"
    for kind in was.keys() & is_now.keys():
        one, other = was[kind], is_now[kind]
        for name in {*read[kind].get("required", [])} - {*sent[kind].get("required", [])}:
            yield f"{where}.{name} {'is needed' if asked else 'may be left out'}"
        for name, schema in one.get("properties", {}).items():
            told = other.get("properties", {})
            part = f"{where}.{name}"
            yield from (
                _schema(part, schema, told[name], asked=asked) if name in told else _gone(part)
            )
        if "items" in one:
            yield from _schema(f"{where}[]", one["items"], other["items"], asked=asked)
        yield from (f"{where}: {bound}" for bound in _BOUNDS if asked and _less(bound, one, other))


def _kinds(schema: Json) -> dict[str, Json]:
    """Return what a value may be, each with the schema that says more of it."""
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return {kind: one for choice in choices for kind, one in _kinds(choice).items()}
    if "enum" in schema:
        return {repr(value): {} for value in schema["enum"]}
    return {schema.get("type", "anything"): schema}


def _less(bound: str, before: Json, now: Json) -> bool:
    """Tell whether a bound takes less than it did; where there was none, any does."""
    if bound not in now:
        return False
    return bound not in before or (now[bound] - before[bound]) * _BOUNDS[bound] > 0
