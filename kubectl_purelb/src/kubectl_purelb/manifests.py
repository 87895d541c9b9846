"""Reads manifests: files, folders and standard input, as ``kubectl apply -f`` takes them. No cluster is asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

import yaml

from kubectl_purelb.validation.objects import OURS, flattened, kind_of
from purelb.errors import SettingsError

Json: TypeAlias = dict[str, Any]

STDIN: Final = "-"
ENDINGS: Final = frozenset({".yaml", ".yml", ".json"})
LARGEST: Final = 64 * 1024 * 1024
"""Characters of a file."""


def read_manifests(files: Sequence[str], stdin: IO[str]) -> tuple[Json, ...]:
    """The objects in these files, of whatever kind. Raises SettingsError where one can't be read."""
    return tuple(body for file in files for source, text in _texts(file, stdin) for body in _objects(text, source))


def _texts(file: str, stdin: IO[str]) -> Iterator[tuple[str, str]]:
    if file == STDIN:
        yield "standard input", stdin.read(LARGEST)
        return
    path = Path(file)
    try:
        paths: Iterable[Path] = [path]
        if path.is_dir():
            paths = sorted(one for one in path.iterdir() if one.suffix in ENDINGS)
        for one in paths:
            with one.open(encoding="utf-8") as opened:
                yield str(one), opened.read(LARGEST)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} can't be read: {error}") from None


def _objects(text: str, source: str) -> Iterator[Json]:
    try:
        documents = list(yaml.safe_load_all(text))
    except (yaml.YAMLError, RecursionError) as error:
        raise SettingsError(f"{source} is no YAML: {' '.join(str(error).split())}") from None
    for document in documents:
        if document is None:
            continue
        if not isinstance(document, dict):
            raise SettingsError(f"{source} has something that is no object")
        for body in flattened(document):
            yield _marked(dict(body))


def _marked(body: Json) -> Json:
    """With what the API server would note of it: which version it was written in says what ``local`` means."""
    if kind_of(body) not in OURS or not isinstance(body.get("metadata"), dict):
        return body
    fields = [{"apiVersion": body["apiVersion"], "fieldsV1": {"f:spec": {}}}]
    return {**body, "metadata": {**body["metadata"], "managedFields": fields}}
