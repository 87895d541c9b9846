"""One PATCH of a Service's status per plan, and what came of it. It decides nothing and never tries again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from allocator.leadership import LeadershipLostError
from allocator.reconcile.plan import Write
from purelb.answers import JsonObject
from purelb.errors import ConflictError, InvalidError, KubeError, NotFoundError
from purelb.kube import MERGE_PATCH, Kube, services_path
from purelb.services import ServiceKey, ServiceView, status_patch, view_service


@dataclass(frozen=True, slots=True)
class Read:
    """A Service is to be read before anything else: the answer to a write of it was lost."""

    service: ServiceKey


@dataclass(frozen=True, slots=True)
class Answer:
    """A Service as the API server told it, and the epoch of the request: news may have overtaken it."""

    body: JsonObject
    epoch: int

    @property
    def service(self) -> ServiceView:
        return view_service(self.body)


@dataclass(frozen=True, slots=True)
class Written:
    """It is in the API; this is the Service now."""

    write: Write
    answer: Answer


@dataclass(frozen=True, slots=True)
class Conflicted:
    """The Service had changed, so nothing was written; this is what it is now."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class Seen:
    """The Service, read afresh."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class Gone:
    """There is no such Service any more."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The API server refused or didn't answer; a write may have been done all the same."""

    write: Write | None
    """None if it was to be read only."""
    sentence: str
    retry_after: float | None
    is_refusal: bool = False
    """Whether the server found fault with the content, so that trying again unchanged won't help."""


Outcome: TypeAlias = Written | Conflicted | Seen | Gone | Failed


class Writer:
    """Writes and reads Services."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    async def write(self, write: Write, epoch: int, *, within: float) -> Outcome:
        """Addresses and annotations in one request, if the Service is still as it was; else the Service as it is.

        ``epoch`` is the follower's now. ``within`` is for how many seconds we may write: what isn't answered by then
        is given up. Raises LeadershipLostError where that is over.
        """
        if within <= 0:
            raise LeadershipLostError("not leading any more: nothing is written")
        key = write.service.key
        body = status_patch(write.service, write.ingress, write.annotations)
        path, timeout = services_path(*key, "status"), min(within, self._kube.pace.request)
        try:
            answer = await self._kube.request("PATCH", path, body=body, content_type=MERGE_PATCH, timeout=timeout)
            return Written(write, Answer(answer, epoch))
        except ConflictError:
            outcome = await self.read(Read(key), epoch)
            return Conflicted(outcome.answer) if isinstance(outcome, Seen) else outcome
        except NotFoundError:
            return Gone()
        except InvalidError as error:
            return Failed(write, str(error), error.retry_after, is_refusal=True)
        except KubeError as error:
            return Failed(write, str(error), error.retry_after)

    async def read(self, read: Read, epoch: int) -> Seen | Gone | Failed:
        """The Service as the API has it."""
        try:
            return Seen(Answer(await self._kube.get(services_path(*read.service)), epoch))
        except NotFoundError:
            return Gone()
        except KubeError as error:
            return Failed(None, str(error), error.retry_after)
