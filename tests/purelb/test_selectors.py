"""Label selectors as text, as kubectl takes them."""

from __future__ import annotations

import pytest

from purelb.selectors import SelectorError, parse_selector_text


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ("rack=a", {"rack": "a"}, True),
        ("rack==a", {"rack": "b"}, False),
        ("rack!=a", {}, True),
        ("rack=a,disk in (ssd, nvme)", {"rack": "a", "disk": "nvme"}, True),
        ("rack=a,disk in (ssd, nvme)", {"rack": "a"}, False),
        ("disk notin (hdd)", {"disk": "ssd"}, True),
        ("gpu=,edge", {"gpu": "", "edge": "yes"}, True),
        ("!node-role.kubernetes.io/control-plane", {"node-role.kubernetes.io/control-plane": ""}, False),
    ],
)
def test_a_selector_s_text_means_what_it_means_to_kubectl(text: str, labels: dict[str, str], matches: bool) -> None:
    assert parse_selector_text(text).matches(labels) is matches


@pytest.mark.parametrize("text", ["", "=a", "rack=a b", "rack in a,b", "rack=a,,", "rack>1", "x" * 400])
def test_what_is_no_selector_is_refused(text: str) -> None:
    with pytest.raises(SelectorError, match="is not the"):
        parse_selector_text(text)
