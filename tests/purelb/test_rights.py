"""What counts as a right that is missing."""

from __future__ import annotations

import pytest

from purelb.errors import (
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    KubeError,
    NotFoundError,
    UnauthorizedError,
    UnavailableError,
)
from purelb.rights import MEMORY, PATIENCE, Rights, request_of

PATH = "/api/v1/namespaces/default/services/web/status"
RBAC = ForbiddenError(
    'services "web" is forbidden: User "system:serviceaccount:purelb:allocator" cannot patch resource'
    ' "services/status" in API group "" in the namespace "default"',
    status=403,
)


def refused(*times: float) -> Rights:
    rights = Rights()
    for now in times:
        rights.failed("PATCH", PATH, RBAC, now)
    return rights


def test_a_request_that_is_refused_again_and_again_is_named_in_one_sentence() -> None:
    rights = refused(0.0, PATIENCE)

    assert rights.trouble(PATIENCE) == (
        "the API server forbids to patch services/status: are PureLB's roles and their bindings all there?"
    )


def test_a_moment_of_refusals_says_nothing() -> None:
    assert refused(0.0, PATIENCE - 1).trouble(PATIENCE + 10) is None


def test_what_works_again_is_not_missing() -> None:
    rights = refused(0.0, PATIENCE)
    rights.worked("PATCH", "/api/v1/namespaces/other/services/x/status")

    assert rights.trouble(PATIENCE) is None


@pytest.mark.parametrize("kind", [ConflictError, NotFoundError, GoneError, InvalidError])
def test_who_is_refused_for_another_reason_has_the_right(kind: type[KubeError]) -> None:
    rights = refused(0.0, PATIENCE)
    rights.failed("PATCH", PATH, kind("no"), PATIENCE)

    assert rights.missing(PATIENCE) == ()


@pytest.mark.parametrize("kind", [UnauthorizedError, UnavailableError, ForbiddenError])
def test_an_answer_that_says_nothing_of_rights_changes_nothing(kind: type[KubeError]) -> None:
    rights = refused(0.0, PATIENCE)
    rights.failed("PATCH", PATH, kind("no"), PATIENCE)

    assert rights.missing(PATIENCE) == ("patch services/status",)


def test_what_nobody_asks_for_any_more_is_forgotten() -> None:
    rights = refused(0.0, PATIENCE)

    assert rights.trouble(PATIENCE + MEMORY) is None
    rights.failed("PATCH", PATH, RBAC, PATIENCE + MEMORY)
    assert rights.trouble(PATIENCE + MEMORY) is None, "it begins anew"


@pytest.mark.parametrize(
    "error",
    [
        ForbiddenError('admission webhook "x" denied the request: no'),
        ForbiddenError('events "a" is forbidden: unable to create new content in namespace a because it is being'),
        ForbiddenError('services "a" is forbidden: exceeded quota: q'),
        UnavailableError("the API server can't be reached"),
    ],
)
def test_other_refusals_are_no_missing_rights(error: UnavailableError | ForbiddenError) -> None:
    rights = Rights()
    for now in (0.0, PATIENCE):
        rights.failed("PATCH", PATH, error, now)

    assert rights.missing(PATIENCE) == ()


@pytest.mark.parametrize(
    ("method", "path", "request_"),
    [
        ("PATCH", PATH, "patch services/status"),
        ("GET", "/api/v1/services", "read services"),
        ("WATCH", "/api/v1/services", "watch services"),
        ("POST", "/api/v1/namespaces/purelb/events", "create events"),
        ("GET", "/api/v1/namespaces/kube-system", "read namespaces"),
        ("PUT", "/apis/coordination.k8s.io/v1/namespaces/purelb/leases/purelb-allocator", "update leases"),
        ("GET", "/apis/purelb.io/v1/servicegroups", "read servicegroups"),
    ],
)
def test_a_request_is_told_without_the_names_in_it(method: str, path: str, request_: str) -> None:
    assert request_of(method, path) == request_


def test_what_a_program_can_do_without_leaves_it_ready_and_is_named_all_the_same() -> None:
    rights = refused(0.0, PATIENCE)

    assert rights.trouble(PATIENCE, but_for=frozenset({"patch services/status"})) is None
    assert rights.missing(PATIENCE) == ("patch services/status",)
