"""The topology file of docs/lab.md is one, and its tables name all that such a file may say."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from lab.wire.links import Kind
from lab.wire.sysctls import CHOICES
from lab.wire.topologyfile import FIELDS, parse

PAGE = Path("docs/lab.md").read_text(encoding="utf-8")


def test_the_example_is_a_topology() -> None:
    (example,) = re.findall(r"```yaml\n(subnets:.*?)```", PAGE, flags=re.DOTALL)

    lab = parse(yaml.safe_load(example))

    one, two, three = lab.nodes
    assert (one.is_excluded, one.is_tainted, two.default_table) == (True, False, None)
    assert [str(nic.addresses[0]) for nic in two.nics] == ["198.51.100.20/32"]
    assert [nic.name for nic in three.nics] == ["bond0", "bond0.100", "br0"]
    assert {layer.kind for nic in three.nics for layer in nic.layers} == set(Kind)


def test_every_field_has_its_row() -> None:
    for fields in FIELDS:
        for field in fields:
            assert re.search(rf"^\|[^|]*`{field}`[^|]*\|", PAGE, flags=re.MULTILINE), field
    assert all(f"`{name}`" in PAGE for name in CHOICES)
