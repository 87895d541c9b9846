"""The OpenAPI v2 document as protobuf, the only form in which kubectl takes it.

Owns the encoding of gnostic's `openapi.v2.Document` (field numbers: `OpenAPIv2.proto`), as far as the server's document
goes. kubectl asks for it when it validates a `kind: List`, and for `explain --output=plaintext-openapiv2`. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from .errors import JsonObject

MEDIA_TYPE: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
ACCEPTED: Final = (MEDIA_TYPE, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
"""What clients ask for; the second has a character that no media type may have, so it is never answered."""

_METHODS: Final = {"get": 2, "put": 3, "post": 4, "delete": 5, "patch": 8}
_TEXTS: Final = {"$ref": 1, "format": 2, "title": 3, "description": 4, "pattern": 13}
_NUMBERS: Final = {
    "maxLength": 11,
    "minLength": 12,
    "maxItems": 14,
    "minItems": 15,
    "maxProperties": 17,
    "minProperties": 18,
}


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _field(number: int, value: bytes | str) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(raw)) + raw


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value & (1 << 64) - 1)


def _named(name: str, value: bytes) -> bytes:
    return _field(1, name) + _field(2, value)


def _any(value: Any) -> bytes:
    return _field(2, json.dumps(value))  # JSON is YAML


def _extensions(number: int, node: JsonObject) -> bytes:
    return b"".join(_field(number, _named(key, _any(node[key]))) for key in node if key.startswith("x-"))


def encode_document(document: JsonObject) -> bytes:
    info = document["info"]
    paths = b"".join(_field(2, _named(path, _path_item(item))) for path, item in document["paths"].items())
    definitions = b"".join(_field(1, _named(name, _schema(schema))) for name, schema in document["definitions"].items())
    return (
        _field(1, document["swagger"])
        + _field(2, _field(1, info["title"]) + _field(2, info["version"]))
        + _field(8, paths)
        + _field(9, definitions)
    )


def _path_item(item: JsonObject) -> bytes:
    return b"".join(_field(_METHODS[method], _operation(operation)) for method, operation in item.items())


def _operation(operation: JsonObject) -> bytes:
    consumes = b"".join(_field(7, media) for media in operation.get("consumes", ()))
    parameters = b"".join(_field(8, _parameter(one)) for one in operation.get("parameters", ()))
    ok = _field(1, _field(1, "OK"))
    return consumes + parameters + _field(9, _field(1, _named("200", ok))) + _extensions(13, operation)


def _parameter(one: JsonObject) -> bytes:
    """A query parameter, inside the three messages that gnostic wraps it in."""
    query = _field(2, "query") + _field(4, one["name"]) + _field(6, "string") + _number(20, 1)
    return _field(1, _field(2, _field(3, query)))


def _schema(schema: JsonObject) -> bytes:
    parts: list[bytes] = []
    for key, value in schema.items():
        if key in _TEXTS and isinstance(value, str):
            parts.append(_field(_TEXTS[key], value))
        elif key in _NUMBERS and isinstance(value, int):
            parts.append(_number(_NUMBERS[key], value))
        elif key == "default" and value is not None:
            parts.append(_field(5, _any(value)))
        elif key == "required":
            parts.extend(_field(19, name) for name in value)
        elif key == "enum":
            parts.extend(_field(20, _any(option)) for option in value)
        elif key == "additionalProperties":
            parts.append(_field(21, _field(1, _schema(value)) if isinstance(value, dict) else _number(2, int(value))))
        elif key == "type":
            parts.append(_field(22, _field(1, value)))
        elif key == "items" and isinstance(value, dict):
            parts.append(_field(23, _field(1, _schema(value))))
        elif key == "properties":
            parts.append(_field(25, b"".join(_properties(value.items()))))
    return b"".join(parts) + _extensions(31, schema)


def _properties(properties: Iterable[tuple[str, JsonObject]]) -> Iterable[bytes]:
    return (_field(1, _named(name, _schema(schema))) for name, schema in properties)
