"""Sets the traffic policy of Services to Cluster, where PureLB's way is wanted (``PURELB_LOCAL_POLICY=reset``).

A write of its own: it needs a right to the whole Service, which agents have only if their operator gives it, and what
an agent says in a Service's status mustn't wait for that. It owns how often that is tried; the annotator asks it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from lbnodeagent.kubernetes.answers import Answers
from lbnodeagent.kubernetes.viptable import WantedTable, vips_of
from lbnodeagent.tables import Announcement
from purelb import names
from purelb.addresses import IPAddress, excerpt
from purelb.errors import ForbiddenError, InvalidError, KubeError
from purelb.events import EventRecorder, reference_of
from purelb.kube import Kube, services_path
from purelb.metrics import AgentMetrics
from purelb.services import ServiceKey, ServiceView, annotations_patch

log = logging.getLogger(__name__)

CALM: Final = 2.0
"""Seconds until a policy that was set to Cluster is set so again, if its user disagrees."""
RETRY: Final = 60.0
"""Seconds until what the API server refused is tried again."""
LOCAL_OVERRIDE: Final = (
    "ExternalTrafficPolicy Local not supported on local Interfaces, setting to Cluster. "
    f"To keep Local, annotate the Service with {names.ALLOW_LOCAL} and set the policy again."
)
LOCAL_UNCHANGED: Final = (
    "ExternalTrafficPolicy Local should become Cluster (PURELB_LOCAL_POLICY=reset), and the API server refuses it: {}; "
    "give the agents the right to patch services, set the policy by hand, or set PURELB_LOCAL_POLICY=keep"
)
_LONGEST_CAUSE: Final = 256
"""Characters of an API server's sentence within one of ours."""


class PolicyReset:
    """Used from the control plane's loop only. ``now`` is monotonic seconds."""

    def __init__(
        self,
        kube: Kube,
        events: EventRecorder,
        wanted: WantedTable,
        standing: Mapping[IPAddress, Announcement],
        metrics: AgentMetrics,
        answers: Answers,
    ) -> None:
        self._kube = kube
        self._events = events
        self._wanted = wanted
        self._standing = standing
        """How each VIP stands here, as the data plane reported it last."""
        self._metrics = metrics
        self._answers = answers
        self._not_before: dict[ServiceKey, float] = {}
        self._refused: set[ServiceKey] = set()
        """Of which it was told."""

    def forget(self, key: ServiceKey) -> None:
        """A Service is gone."""
        self._not_before.pop(key, None)
        self._refused.discard(key)

    async def look(self, service: ServiceView, now: float) -> float | None:
        """Set the policy of a Service if it is to be; returns when to look again, None: when something changes.

        A refusal is told, and waits; raises KubeError for all else that goes wrong.
        """
        key = service.key
        if not self._is_due(service):
            return None
        if (not_before := self._not_before.get(key, now)) > now:
            return not_before
        self._not_before[key] = now + CALM
        body = {**annotations_patch(service, {}), "spec": {"externalTrafficPolicy": "Cluster"}}
        epoch = self._answers.epoch
        try:
            answer = await self._kube.patch(services_path(key.namespace, key.name), body)
        except (ForbiddenError, InvalidError) as error:
            self._metrics.update_errors.inc()
            self._not_before[key] = now + RETRY
            if key not in self._refused:
                self._refused.add(key)
                log.warning("the traffic policy can't be set", extra={"service": str(key), "error": str(error)})
                text = LOCAL_UNCHANGED.format(excerpt(str(error), _LONGEST_CAUSE))
                self._events.record(reference_of(service), "Warning", names.REASON_LOCAL_OVERRIDE, text)
            return now + RETRY
        except KubeError:
            del self._not_before[key]
            raise
        self._refused.discard(key)
        log.info("traffic policy set to Cluster", extra={"service": str(key)})
        self._events.record(reference_of(service), "Normal", names.REASON_LOCAL_OVERRIDE, LOCAL_OVERRIDE)
        self._answers.answered(answer, epoch)
        return None

    def _is_due(self, service: ServiceView) -> bool:
        """PureLB takes policy Local for a mistake behind one node's NIC, unless the user says otherwise (v0.6.1)."""
        if service.external_traffic_policy != "Local" or self._wanted.keeps_policy(service):
            return False
        standing = (self._standing.get(vip) for vip in vips_of(service))
        return any(one is not None and one.state == "announcing" and one.is_local for one in standing)
