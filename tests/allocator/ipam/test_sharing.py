"""Who is on one address."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import pytest

from allocator.ipam.requests import Claim, Terms
from allocator.ipam.sharing import Tenants
from purelb.services import ServiceKey
from tests.allocator.builders import ip, seniority

ALONE = Terms()


class Text(str):
    """A text that tells when nobody has it any more."""


@pytest.mark.parametrize(
    "claim_with",
    [
        lambda text: claim(terms=Terms(key=text)),
        lambda text: claim(terms=Terms(backend=text)),
        lambda text: claim(namespace=text),
    ],
)
def test_of_a_service_that_has_gone_nothing_is_kept_though_others_stay(claim_with: Callable[[str], Claim]) -> None:
    tenants = Tenants()
    tenants.enter(claim("stays"))
    text = Text("k" * 1000)
    ended = weakref.ref(text)

    for _ in range(2):
        goes = claim_with(text)
        tenants.enter(goes)
        tenants.leave(goes.service)
    del text, goes

    assert ended() is None


def claim(name: str = "goes", *, namespace: str = "default", terms: Terms = ALONE) -> Claim:
    return Claim(ServiceKey(namespace, name), seniority(name), (ip("10.1.0.1"),), terms=terms)
