"""Talk to NetBox: one file around ``pynetbox``, the only importer of it and of ``requests``.

pynetbox waits where it stands, so each call runs in one of a few threads. Each has a session of its own, with
deadlines, that follows no redirect: one to a login page would look like an empty answer, and take the token along.
Its records are not used: they write to where NetBox says that they are, which is elsewhere behind some gateways.
Source: NetBox's REST API guide (pagination, filtering, ETag and If-Match since 4.6), and NetBox 4.6.8 itself.
"""

from __future__ import annotations

import asyncio
import email.utils
import ipaddress
import threading
import time
from collections.abc import Callable, Iterator, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import pynetbox
import requests
from pynetbox.core.query import Request

from allocator.sources.source import SourceError
from purelb.addresses import Family, IPAddress

T = TypeVar("T")

TIMEOUTS: Final = (3.0, 10.0)
"""Seconds to connect, and between two bytes of an answer."""
DEADLINE: Final = 60.0
"""Seconds for one call with all its pages."""
THREADS: Final = 9
"""As many as call at once: eight for Services (see availability.py), one to look around. None waits for another's
timeout."""
FEW: Final = 16
"""Reserved addresses asked for at once: one is enough, if nobody else takes it, as seven others of ours may. A NetBox
needs some milliseconds for each."""
MANY: Final = 500
"""Addresses asked for at once when all are wanted; a NetBox may give fewer."""


class EntryRefusedError(SourceError):
    """NetBox will not have one entry changed; it may well have others."""


class _RedirectedError(Exception):
    """NetBox sends us elsewhere."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An address as NetBox keeps it; its prefix length plays no part here."""

    id: int
    address: IPAddress
    status: str
    description: str


@dataclass(frozen=True, slots=True)
class Change:
    """A change that NetBox took."""

    is_conditional: bool
    """Whether NetBox would have refused it, had somebody else written since we read."""
    seconds: float
    """From reading the entry to the answer."""


class NetboxClient:
    """The addresses of one tenant. Every call raises SourceError."""

    def __init__(self, url: str, token: str, tenant: str) -> None:
        self._addresses = f"{url.rstrip('/')}/api/ipam/ip-addresses/"
        self._token = token
        self._tenant = tenant
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="netbox")
        self._own = threading.local()
        self._is_closed = False

    async def all(self) -> list[Entry]:
        """Every address that is reserved or active."""

        def call() -> list[Entry]:
            return list(self._entries(MANY, status=["active", "reserved"], ordering="id"))

        return await self._run(call)

    async def described(self, description: str) -> list[Entry]:
        """The active addresses with exactly this description."""

        def call() -> list[Entry]:
            found = self._entries(FEW, status="active", description=description)
            return [entry for entry in found if entry.status == "active" and entry.description == description]

        return await self._run(call)

    async def at(self, address: IPAddress) -> list[Entry]:
        """The entries of one address: several if it exists in several VRFs."""

        def call() -> list[Entry]:
            return [entry for entry in self._entries(FEW, address=str(address)) if entry.address == address]

        return await self._run(call)

    async def reserved(self, family: Family, without: Set[int]) -> list[Entry]:
        """Some reserved addresses of a family, the lowest first, but for those ids; none if there are no others."""
        version = 4 if family is Family.IPV4 else 6

        def call() -> list[Entry]:
            found: list[Entry] = []
            for entry in self._entries(FEW, status="reserved", family=version):
                if entry.id not in without and entry.address.version == version and entry.status == "reserved":
                    found.append(entry)
                if len(found) == FEW:
                    break
            return sorted(found, key=lambda entry: int(entry.address))

        return await self._run(call)

    async def read(self, number: int) -> tuple[Entry, bool] | None:
        """One entry, and whether NetBox takes conditional writes of it; None if it is gone."""

        def call() -> tuple[Entry, bool] | None:
            entry = self._entry(number)
            return (entry, self._session().etag is not None) if entry is not None else None

        return await self._run(call)

    async def change(
        self, number: int, is_fit: Callable[[Entry], bool], status: str, description: str
    ) -> Change | None:
        """Write to an entry if it is still fit for it; None if it isn't, or another was quicker.

        ``is_fit`` is called in another thread. Raises also EntryRefusedError.
        """

        def call() -> Change | None:
            begun = time.monotonic()
            session = self._session()
            entry = self._entry(number)
            if entry is None or not is_fit(entry):
                return None
            session.if_match = etag = session.etag
            try:
                self._request(key=number).patch({"status": status, "description": description})
            except pynetbox.RequestError as error:
                match error.req.status_code:
                    case requests.codes.precondition_failed:
                        return None
                    case requests.codes.bad_request | requests.codes.not_found as code:
                        # All of an entry is validated, not only what changes; and a token may be good for some.
                        reason = _one_line(error.req.text)
                        sentence = f'NetBox refuses "{entry.address}" ({code}): {reason}'
                        raise EntryRefusedError(sentence, kind="refused") from None
                raise
            finally:
                session.if_match = None
            return Change(etag is not None, time.monotonic() - begun)

        return await self._run(call)

    def close(self) -> None:
        """Begin nothing more; what is under way ends by itself."""
        self._is_closed = True
        self._threads.shutdown(wait=False)

    # --- in threads --------------------------------------------------------------------------------------------------

    async def _run(self, call: Callable[[], T]) -> T:
        if self._is_closed:
            raise SourceError("the group's NetBox is another now", kind="refused")
        try:
            async with asyncio.timeout(DEADLINE):
                return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: _told(call))
        except TimeoutError:
            raise SourceError("NetBox does not answer in time") from None

    def _session(self) -> _Session:
        if not hasattr(self._own, "session"):
            self._own.session = _Session()
        session: _Session = self._own.session
        return session

    def _request(self, **options: Any) -> Any:
        return Request(self._addresses, self._session(), token=self._token, **options)

    def _entry(self, number: int) -> Entry | None:
        try:
            return _view(next(self._request(key=number).get(), None))
        except pynetbox.RequestError as error:
            if error.req.status_code == requests.codes.not_found:
                return None
            raise

    def _entries(self, page: int, **filters: Any) -> Iterator[Entry]:
        """Page by page by number: the links to further pages name a host that may not be the one we know."""
        seen, until = 0, time.monotonic() + DEADLINE
        while time.monotonic() < until:
            request = self._request(filters={"tenant": self._tenant, **filters}, limit=page, offset=seen)
            try:
                entries = [_view(fields) for fields in request.get()]
            except pynetbox.RequestError as error:
                if error.req.status_code == requests.codes.bad_request and '"tenant"' in error.req.text:
                    raise SourceError(f'NetBox has no tenant with the slug "{self._tenant}"') from None
                raise
            yield from entries
            seen += len(entries)
            if not entries or seen >= int(request.count):
                return
        raise requests.Timeout  # so that no thread outlives the patience of whoever waits for it


class _Session(requests.Session):
    """One thread's connection."""

    etag: str | None = None
    """Of the last answer."""
    if_match: str | None = None
    """For the next PATCH."""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """What every method of a session comes to."""
        options |= {"allow_redirects": False, "timeout": TIMEOUTS}
        if request.method == "PATCH" and self.if_match is not None:
            request.headers["If-Match"] = self.if_match
        response = super().send(request, **options)
        self.etag = response.headers.get("ETag")
        if 300 <= response.status_code < 400:
            location = response.headers.get("Location", "nowhere")
            raise _RedirectedError(f"NetBox answers {response.status_code}, a redirect to {location}, instead of data")
        return response


def _view(fields: Any) -> Entry:
    return Entry(
        int(fields["id"]),
        ipaddress.ip_interface(fields["address"]).ip,
        str(fields["status"]["value"]),
        str(fields.get("description") or ""),
    )


def _told(call: Callable[[], T]) -> T:
    """What a call returns. Raises SourceError for everything that NetBox or the way to it can do."""
    try:
        return call()
    except _RedirectedError as error:
        raise SourceError(str(error)) from None
    except pynetbox.RequestError as error:
        raise _refusal(error.req) from None
    except requests.Timeout:
        raise SourceError("NetBox does not answer in time") from None
    except requests.RequestException as error:
        raise SourceError(f"NetBox can't be reached: {_innermost(error)}") from None
    except (pynetbox.ContentError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise SourceError(f"NetBox's answer can't be read: {_one_line(str(error)) or type(error).__name__}") from None


def _refusal(response: Any) -> SourceError:
    status, wait = response.status_code, _seconds(response.headers.get("Retry-After", ""))
    match status:
        case 401 | 403:
            return SourceError(f"NetBox refuses our token ({status}): may it view and change addresses?")
        case 404:
            return SourceError("NetBox does not know what we ask for (404): is its URL right?")
        case 429:
            return SourceError("NetBox asks for fewer requests (429)", retry_after=wait)
        case _ if status >= 500:
            return SourceError(f"NetBox fails with {status} {response.reason}", retry_after=wait)
        case _:
            return SourceError(f"NetBox refuses what we ask ({status}): {_one_line(response.text)}")


def _seconds(retry_after: str) -> float | None:
    """Retry-After, which is a number of seconds or a date (RFC 9110, section 10.2.3)."""
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return None


def _innermost(error: BaseException) -> str:
    """requests wraps what the kernel or TLS says in three layers of its own."""
    said, cause = error, error.__cause__ or error.__context__
    while cause is not None:
        if isinstance(cause, OSError):
            said = cause
        cause = cause.__cause__ or cause.__context__
    return _one_line(str(said)) or type(said).__name__


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]
