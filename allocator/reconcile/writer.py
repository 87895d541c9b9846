"""One PATCH of a Service's status per plan, and what came of it. It decides nothing and never tries again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from allocator.reconcile.review import Write
from purelb.errors import ConflictError, InvalidError, KubeError, NotFoundError
from purelb.kube import Kube, services_path
from purelb.services import ServiceKey, ServiceView, status_patch, view_service


@dataclass(frozen=True, slots=True)
class Written:
    """It is in the API; this is the Service now."""

    service: ServiceView


@dataclass(frozen=True, slots=True)
class Seen:
    """The Service, read afresh."""

    service: ServiceView


@dataclass(frozen=True, slots=True)
class Gone:
    """There is no such Service any more."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The API server refused or didn't answer; a write may have been done all the same."""

    sentence: str
    retry_after: float | None
    is_refusal: bool = False
    """Whether the server found fault with the content, so that trying again unchanged won't help."""


Outcome: TypeAlias = Written | Seen | Gone | Failed


class Writer:
    """Writes and reads Services."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    async def write(self, write: Write) -> Outcome:
        """Addresses and annotations in one request, if the Service is still as it was; else the Service as it is."""
        key = write.service.key
        body = status_patch(write.service, write.ingress, write.annotations)
        try:
            return Written(view_service(await self._kube.patch(services_path(*key, "status"), body)))
        except ConflictError:
            return await self.read(key)
        except NotFoundError:
            return Gone()
        except InvalidError as error:
            return Failed(str(error), error.retry_after, is_refusal=True)
        except KubeError as error:
            return Failed(str(error), error.retry_after)

    async def read(self, key: ServiceKey) -> Seen | Gone | Failed:
        """The Service as the API has it."""
        try:
            return Seen(view_service(await self._kube.get(services_path(*key))))
        except NotFoundError:
            return Gone()
        except KubeError as error:
            return Failed(str(error), error.retry_after)
