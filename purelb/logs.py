"""Logs on standard output, one line per decision with its fields: as JSON for collectors, or as text for people."""

from __future__ import annotations

import datetime
import json
import logging
import sys
from collections import deque
from typing import Final, Literal, TypeAlias

Format: TypeAlias = Literal["json", "text"]

_PLAIN: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
"""What every record has; anything else came as a field of the event."""


class JsonFormatter(logging.Formatter):
    """``{"time": ..., "level": ..., "logger": ..., "message": ..., fields...}``."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _time(record).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= _fields(record)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """``2026-11-29 12:00:00.123 INFO dataplane.driver: withdraw vip=10.0.0.1 owner=w11``; a traceback follows below.

    A value with anything in it that could be taken for something else is written as in JSON: no field can look like
    another one, or like a line of its own.
    """

    def format(self, record: logging.LogRecord) -> str:
        time = _time(record).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        words = [f"{time} {record.levelname} {record.name}: {_printable(record.getMessage())}"]
        words += [f"{key}={_value(value)}" for key, value in _fields(record).items()]
        line = " ".join(words)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _time(record: logging.LogRecord) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(record.created, datetime.UTC)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in record.__dict__.items() if key not in _PLAIN}


def _value(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False).strip('"')
    is_bare = text.isprintable() and text and not any(one in text for one in ' "=')
    return text if is_bare else _printable(json.dumps(text, ensure_ascii=False))


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


REMEMBERED: Final = 200
"""Events that are kept in memory."""
_MOST_KEPT: Final = 256
"""Characters of a field that is kept."""


class Recollection(logging.Handler):
    """The last events from info up, whatever the level that is written: what was decided, and why."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._events: deque[dict[str, object]] = deque(maxlen=REMEMBERED)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            said = record.getMessage()[:_MOST_KEPT]
            fields = {key: str(value)[:_MOST_KEPT] for key, value in _fields(record).items()}
        except Exception:  # whoever logs, a library say, is told of no mistake in that, as by logging's own handlers
            self.handleError(record)
            return
        event = {"at": _time(record).isoformat(timespec="milliseconds"), "level": record.levelname.lower()}
        self._events.append({**event, "logger": record.name, "event": said, **fields})

    @property
    def events(self) -> list[dict[str, object]]:
        """Them, the oldest first."""
        return list(self._events)


def configure(level: str, form: Format = "json") -> Recollection:
    """Send all logs to standard output; ``level`` is ours, libraries speak from warning up. Returns what remembers."""
    handler, recollection = logging.StreamHandler(sys.stdout), Recollection()
    handler.setLevel(level.upper())
    match form:
        case "json":
            handler.setFormatter(JsonFormatter())
        case "text":
            handler.setFormatter(TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler, recollection]
    root.setLevel(logging.WARNING)
    for ours in ("allocator", "lbnodeagent", "memberlist", "purelb"):
        logging.getLogger(ours).setLevel(min(logging.getLevelName(level.upper()), logging.INFO))
    return recollection
