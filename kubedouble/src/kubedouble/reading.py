"""Get, list and watch: what clients see of the store.

Owns resourceVersion semantics of reads, paging, the forms of answers (objects, Tables, metadata only) and the start of
watches. Must not touch: writes.
"""

from __future__ import annotations

import base64
import binascii
import json
import random
from collections.abc import Mapping

from .cluster import Cluster
from .crds import CustomKind
from .errors import JsonObject, StatusError, bad_request, expired
from .negotiation import Wanted
from .paths import Target, is_true
from .resources import Resource
from .selectors import Predicate, parse_fields, parse_labels
from .store import Record, TooOldError, encode
from .tables import TableMaker
from .watching import Selection, Watch

_META: JsonObject = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}


class Reader:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._store = cluster.store

    # Forms

    def tables(self, resource: Resource) -> TableMaker:
        kind = self._cluster.kind(resource)
        return TableMaker(resource.key, kind.columns if isinstance(kind, CustomKind) else None)

    def encode_one(self, resource: Resource, record: Record, wanted: Wanted, query: Mapping[str, str]) -> bytes:
        if wanted.form == "Table":
            meta = {"resourceVersion": str(record.rv)}
            maker = self.tables(resource)
            return encode(maker.table([self._cluster.view(resource, record)], meta, _include(query)))
        if wanted.form.startswith("PartialObjectMetadata"):
            return encode({**_META, "metadata": record.obj["metadata"]})
        return self._cluster.encoded(resource, record)

    def selection(self, resource: Resource, target: Target, query: Mapping[str, str]) -> Selection:
        predicates: list[Predicate] = []
        labels = parse_labels(query.get("labelSelector", ""))
        fields = parse_fields(query.get("fieldSelector", ""), resource.key, resource.selectable)
        if labels is not None:
            predicates.append(labels)
        if fields is not None:
            predicates.append(fields)
        if target.name:
            name = target.name
            predicates.append(lambda obj: bool(obj["metadata"]["name"] == name))
        return Selection(resource.key, target.namespace if resource.namespaced else "", tuple(predicates))

    # Lists

    def collection(self, resource: Resource, target: Target, query: Mapping[str, str], wanted: Wanted) -> bytes:
        """Raises `StatusError` 400, 410, or 504 for a resourceVersion from the future."""
        selection = self.selection(resource, target, query)
        version, start = self._list_version(query)
        try:
            if version is None:
                records = self._store.records(resource.key, selection.namespace)
                version = self._store.rv
            else:
                records = self._store.list_at(resource.key, version, selection.namespace)
        except TooOldError as too_old:
            if start is not None:
                raise expired(
                    "The provided continue parameter is too old to display a consistent list result. You can start a"
                    " new list without the continue parameter, or use the continue token in this response to"
                    " retrieve the remainder of the results."
                ) from None
            raise expired(str(too_old)) from None
        if selection.predicates:
            records = [record for record in records if all(test(record.obj) for test in selection.predicates)]
        if start is not None:
            records = [record for record in records if record.key > start]
        meta: JsonObject = {"resourceVersion": str(version)}
        limit = _positive(query, "limit")
        if limit and len(records) > limit:
            meta["continue"] = _token(version, records[limit - 1].key)
            if not selection.predicates:
                meta["remainingItemCount"] = len(records) - limit
            records = records[:limit]
        return self._encode_list(resource, records, meta, wanted, query)

    def _list_version(self, query: Mapping[str, str]) -> tuple[int | None, tuple[str, str] | None]:
        """The resourceVersion to show exactly (None: the newest) and the key after which to go on."""
        if token := query.get("continue"):
            return _read_token(token)
        text, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
        if match and match not in ("Exact", "NotOlderThan"):
            raise bad_request(f'resourceVersionMatch: Unsupported value: "{match}"')
        if match and not text and not is_true(query.get("sendInitialEvents")):
            raise bad_request(
                "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
            )
        if not text:
            return None, None
        version = _version(text)
        self.refuse_future(version)
        if match == "Exact":
            if version == 0:
                raise bad_request(
                    'resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
                )
            return version, None
        return None, None

    def refuse_future(self, version: int) -> None:
        if version > self._store.rv:
            message = f"Too large resource version: {version}, current: {self._store.rv}"
            error = StatusError(504, "Timeout", message, retry_after=1)
            error.details = {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]}
            raise error

    def _encode_list(
        self,
        resource: Resource,
        records: list[Record],
        meta: JsonObject,
        wanted: Wanted,
        query: Mapping[str, str],
    ) -> bytes:
        if wanted.form == "Table":
            objects = (self._cluster.view(resource, record) for record in records)
            return encode(self.tables(resource).table(objects, meta, _include(query)))
        if wanted.form.startswith("PartialObjectMetadata"):
            items = [{**_META, "metadata": record.obj["metadata"]} for record in records]
            return encode(
                {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": meta, "items": items}
            )
        head: JsonObject = {"kind": resource.list_kind, "apiVersion": resource.group_version, "metadata": meta}
        encoded = [self._cluster.encoded(resource, record) for record in records]
        if not resource.custom:
            # Items of built-in lists carry no kind and apiVersion of their own.
            prefix = encode({"kind": resource.kind, "apiVersion": resource.group_version})[:-1] + b","
            encoded = [b"{" + raw.removeprefix(prefix) if raw.startswith(prefix) else raw for raw in encoded]
        return encode(head)[:-1] + b',"items":[' + b",".join(encoded) + b"]}"

    # Watches

    def watch(
        self, resource: Resource, target: Target, query: Mapping[str, str], wanted: Wanted
    ) -> tuple[Watch, bool, str]:
        """The watch (not yet started), whether it begins with the present state, and from which version."""
        selection = self.selection(resource, target, query)
        initial = query.get("sendInitialEvents")
        match = query.get("resourceVersionMatch", "")
        if initial is not None and match != "NotOlderThan":
            raise bad_request(
                "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to"
                " NotOlderThan"
            )
        if match and initial is None:
            raise bad_request(
                "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless"
                " sendInitialEvents is provided"
            )
        version = query.get("resourceVersion", "")
        if version:
            _version(version)
        begin = is_true(initial)
        if begin and version not in ("", "0"):
            self.refuse_future(_version(version))
        seconds = float(_positive(query, "timeoutSeconds") or random.randint(1800, 3600))
        watch = Watch(
            self._store,
            selection,
            lambda record: self.encode_watched(resource, record, wanted, query),
            api_version=resource.group_version,
            kind=resource.kind,
            bookmarks=is_true(query.get("allowWatchBookmarks")),
            seconds=seconds,
        )
        if wanted.form == "Table":
            maker = self.tables(resource)
            watch.wrap_bookmark = lambda obj: {
                **maker.table([], {"resourceVersion": obj["metadata"]["resourceVersion"]}),
                "rows": [{"cells": [], "object": obj}],
            }
        elif wanted.form:
            watch.wrap_bookmark = lambda obj: {**obj, **_META}
        return watch, begin, version

    def encode_watched(self, resource: Resource, record: Record, wanted: Wanted, query: Mapping[str, str]) -> bytes:
        return self.encode_one(resource, record, wanted, query)


def _include(query: Mapping[str, str]) -> str:
    return query.get("includeObject") or "Metadata"


def _version(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise bad_request(f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing') from None


def _positive(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "")
    if not text:
        return 0
    try:
        return max(0, int(text))
    except ValueError:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def _token(version: int, key: tuple[str, str]) -> str:
    text = json.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": list(key)})
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _read_token(token: str) -> tuple[int, tuple[str, str]]:
    try:
        data = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return int(data["rv"]), (str(data["start"][0]), str(data["start"][1]))
    except (binascii.Error, ValueError, KeyError, TypeError, IndexError):
        raise bad_request("continue key is not valid") from None
