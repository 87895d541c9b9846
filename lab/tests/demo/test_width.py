"""What the demo prints fits a terminal."""

from __future__ import annotations

from lab.demo.width import fitted, folded

PODS = """\
NAME                READY   STATUS    RESTARTS   AGE   IP             NODE            NOMINATED NODE   READINESS GATES
lbnodeagent-cjnjr   1/1     Running   0          1s    10.31.188.11   worker-188-11   <none>           <none>
lbnodeagent-t2vb8   1/1     Running   0          1s    10.31.188.1    master-188-1    <none>           <none>
""".splitlines()


def test_what_fits_stays_as_it_is() -> None:
    assert fitted(PODS, 200) == PODS
    assert fitted([], 80) == []


def test_a_table_loses_its_dullest_columns_and_says_so() -> None:
    assert fitted(PODS, 60) == [
        "NAME               READY  STATUS   NODE           …",
        "lbnodeagent-cjnjr  1/1    Running  worker-188-11",
        "lbnodeagent-t2vb8  1/1    Running  master-188-1",
    ]


def test_in_a_narrow_terminal_the_last_columns_go_too() -> None:
    assert fitted(PODS, 30)[1] == "lbnodeagent-cjnjr  1/1"
    assert fitted(PODS, 5)[1] == "lbnodeagent-cjnjr"


def test_another_line_is_folded_at_its_words_with_its_rest_indented() -> None:
    line = "    inet 10.31.188.65/16 brd 10.31.255.255 scope global secondary dynamic"

    assert folded(line, 50) == [
        "    inet 10.31.188.65/16 brd 10.31.255.255 scope",
        "          global secondary dynamic",
    ]
    assert folded("x" * 90, 80) == ["x" * 90]
    assert folded("", 80) == [""]


def test_a_line_far_to_the_right_has_room_left_for_its_rest() -> None:
    parts = folded(" " * 70 + "purelb.io/announcing-IPv4: tiny-cilium-worker-188-11,eth0", 80)

    assert [part.strip() for part in parts] == ["purelb.io/announcing-IPv4:", "tiny-cilium-worker-188-11,eth0"]
    assert len(parts[1]) <= 80
