"""docs/fields.md: every field of our custom resources, from the CRDs' schemas. Pure.

Owns what is said of a field: its path, type, default, bounds and description, and the rules beside it. What a field
means beside others is docs/reference.md's, which people write.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

HEAD: Final = """\
# Fields of the custom resources

<!-- Made by `make manifests` from crds/: change the descriptions there. -->

What `kubectl explain` says, on one page. Both versions of a resource have one schema. What fields mean together, and
in which order they win: [reference.md](reference.md).
"""
ROW: Final = "| `{path}` | {type} | {default} | {words} |"
ROWS_HEAD: Final = "| field | type | default | |\n| --- | --- | --- | --- |"


def page(crds: Iterable[Schema]) -> str:
    """The whole page, from the CRDs as YAML has them."""
    return "\n".join([HEAD, *(line for crd in crds for line in _resource(crd))])


def _resource(crd: Schema) -> Iterator[str]:
    names, versions = crd["spec"]["names"], crd["spec"]["versions"]
    schema = versions[0]["schema"]["openAPIV3Schema"]
    served = " and ".join(f"`{crd['spec']['group']}/{version['name']}`" for version in versions)
    short = ", ".join(f"`{name}`" for name in names.get("shortNames", ()))
    yield f"## {names['kind']}\n"
    yield f"{served}; {short}. {schema['description']}\n"
    for part in ("spec", "status"):
        if part in schema["properties"]:
            yield ROWS_HEAD
            yield from _rows(schema["properties"][part], part)
            yield ""
    if rules := list(dict.fromkeys(_rules(schema))):
        yield "What it refuses:\n"
        yield from (f"- {rule}" for rule in rules)
        yield ""


def _rows(schema: Schema, path: str) -> Iterator[str]:
    yield _row(schema, path)
    for name, inner in schema.get("properties", {}).items():
        yield from _rows(inner, f"{path}.{name}")
    items = schema.get("items", {})
    for name, inner in items.get("properties", {}).items():
        yield from _rows(inner, f"{path}[].{name}")


def _row(schema: Schema, path: str) -> str:
    words = [schema.get("description", "").replace("|", "\\|"), *_bounds(schema)]
    default = f"`{_text(schema['default'])}`" if "default" in schema else ""
    return ROW.format(path=path, type=_type(schema), default=default, words=" ".join(word for word in words if word))


def _type(schema: Schema) -> str:
    if schema["type"] == "array":
        return f"list of {schema['items'].get('format', schema['items']['type'])}s"
    return str(schema.get("format", schema["type"]) if schema["type"] == "string" else schema["type"])


def _bounds(schema: Schema) -> Iterator[str]:
    if "enum" in schema:
        yield f"One of {', '.join(f'`{_text(one)}`' for one in schema['enum'])}."
    if "maximum" in schema:
        yield f"From {schema['minimum']} to {schema['maximum']}."
    if "maxItems" in schema:
        yield f"{schema['maxItems']} at most."
    if required := schema.get("required"):
        yield f"Required: {', '.join(f'`{name}`' for name in required)}."


def _rules(schema: Schema) -> Iterator[str]:
    """The sentences with which an object is refused, each once."""
    for rule in schema.get("x-kubernetes-validations", ()):
        yield rule["message"]
    for inner in (*schema.get("properties", {}).values(), schema.get("items")):
        if inner:
            yield from _rules(inner)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
