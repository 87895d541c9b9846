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
MOST_REPEATED: Final = 10
"""How often what is written once may stand in a document by aliases, on the whole: a few lines of them could otherwise
mean more than any machine holds. A short document may have more of them."""
_SHORT: Final = 10_000


def read_manifests(files: Sequence[str], stdin: IO[str]) -> tuple[Json, ...]:
    """The objects in these files, of whatever kind. Raises SettingsError where one can't be read."""
    return tuple(body for file in files for source, text in _texts(file, stdin) for body in _objects(text, source))


def _texts(file: str, stdin: IO[str]) -> Iterator[tuple[str, str]]:
    path = Path(file)
    try:
        if file == STDIN:
            file = "standard input"
            yield file, _whole(stdin, file)
            return
        paths: Iterable[Path] = [path]
        if path.is_dir():
            paths = sorted(one for one in path.iterdir() if one.suffix in ENDINGS)
        for one in paths:
            with one.open(encoding="utf-8") as opened:
                yield str(one), _whole(opened, str(one))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} can't be read: {error}") from None


def _whole(opened: IO[str], source: str) -> str:
    text = opened.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise SettingsError(f"{source} is larger than {LARGEST // 1024**2} MiB")
    return text


def _objects(text: str, source: str) -> Iterator[Json]:
    try:
        documents = list(_documents(text))
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # the last of a date that there isn't
        raise SettingsError(f"{source} is no YAML: {' '.join(str(error).split())}") from None
    for document in documents:
        if document is None:
            continue
        if not isinstance(document, dict):
            raise SettingsError(f"{source} has something that is no object")
        for body in flattened(document):
            yield _marked(dict(body))


def _documents(text: str) -> Iterator[Any]:
    loader = yaml.SafeLoader(text)
    while loader.check_node() and (root := loader.get_node()) is not None:
        sizes = dict[yaml.Node, int]()
        if _expanded(root, sizes) > MOST_REPEATED * len(sizes) + _SHORT:
            raise yaml.YAMLError("its aliases stand for too much")
        yield loader.construct_document(root)


def _expanded(node: yaml.Node, sizes: dict[yaml.Node, int]) -> int:
    """Of how many values it is once aliases are put in; ``sizes`` has those of its parts, and each part once."""
    if node not in sizes:
        sizes[node] = LARGEST * MOST_REPEATED + _SHORT  # until it is known: one that has itself as a part has no end
        match node:
            case yaml.MappingNode():
                parts = [part for pair in node.value for part in pair]
            case yaml.SequenceNode():
                parts = node.value
            case _:
                parts = []
        sizes[node] = 1 + sum(_expanded(part, sizes) for part in parts)
    return sizes[node]


def _marked(body: Json) -> Json:
    """With what the API server would note of it: which version it was written in says what ``local`` means."""
    if kind_of(body) not in OURS or not isinstance(body.get("metadata"), dict):
        return body
    fields = [{"apiVersion": body["apiVersion"], "fieldsV1": {"f:spec": {}}}]
    return {**body, "metadata": {**body["metadata"], "managedFields": fields}}
