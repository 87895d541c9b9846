"""`kubectl purelb support-bundle` and `state`: what is in them, and what must not be."""

from __future__ import annotations

import asyncio
import datetime
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from clusters import document_of
from kubectl_purelb.answers import Text, Tone
from kubectl_purelb.arguments import Arguments
from kubectl_purelb.bundle import LARGEST_LOG, Bundle, written
from kubectl_purelb.collecting import add_pods, states_of
from kubectl_purelb.commands.state import state
from kubectl_purelb.pods import Pod, chosen, view_pods
from kubectl_purelb.printing import print_answer
from kubectl_purelb.redaction import LEFT_OUT, redacted, redacted_text
from kubectl_purelb.states import SCRIPT, read_state, time_of
from purelb.errors import SettingsError, UnavailableError
from purelb.statedump import Table, lines

SECRET = "s3cr3t-and-nobodys"


@pytest.mark.parametrize(
    "body",
    [
        {"env": [{"name": "NETBOX_USER_TOKEN", "value": SECRET}]},
        {"env": [{"name": "DB_PASSWORD", "value": SECRET}, {"name": "KEY", "value": SECRET}]},
        {"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": f'{{"data": "{SECRET}"}}'}}},
        {"metadata": {"managedFields": [{"x": SECRET}]}},
        {"spec": {"netbox": {"url": f"https://me:{SECRET}@netbox.example.org/api"}}},
        {"metadata": {"annotations": {"example.org/api-key": SECRET}}},
        {"metadata": {"annotations": {"note": f"Authorization: Bearer {SECRET}"}}},
        {"args": [f"--netbox-token={SECRET}"]},
        {"args": ["--netbox-token", SECRET, "--verbose"]},
    ],
)
def test_what_may_be_a_secret_is_left_out_of_objects(body: Any) -> None:
    assert SECRET not in json.dumps(redacted(body))


@pytest.mark.parametrize(
    "text",
    [
        f"GET https://me:{SECRET}@host/x failed",
        f'{{"message": "x", "password": "{SECRET}"}}',
        f"Authorization: Bearer {SECRET}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
        f"token=eyJhbGciOiJSUzI1NiJ9.{SECRET}.abc",
        f"sent session-eyJhbGciOiJSUzI1NiJ9.{SECRET}.abc",
        f"GET https://me:p@{SECRET}@host/x failed",
        f'{{"message": "refused: {{\\"password\\": \\"{SECRET}\\"}}"}}',
    ],
)
def test_and_of_logs(text: str) -> None:
    assert SECRET not in redacted_text(text)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "part",
    ["a-", "eyJ-", "eyJaaaaaaaa.", "token", "token ", "bearer ", "x:", "://", "-----BEGIN PRIVATE KEY-----", "-"],
)
def test_a_tenant_who_writes_what_nearly_is_one_holds_nobody_up(part: str) -> None:
    """Looked through again from each place, these would take minutes to hours."""
    text = part * (1024 * 1024 // len(part))

    assert redacted({"metadata": {"annotations": {"note": text}}})


def test_a_log_is_cut_where_no_secret_is_halved() -> None:
    bundle, key = Bundle(), f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----"
    bundle.put_text("logs/a.log", key + "x" * (LARGEST_LOG + 10 - len(key)))

    assert SECRET not in bundle.files["logs/a.log"]
    assert len(bundle.files["logs/a.log"]) <= LARGEST_LOG


def test_there_is_an_end_to_how_many_logs_it_takes() -> None:
    bundle = Bundle(room=10)
    bundle.put_text("logs/a.log", "announce")
    bundle.put_text("logs/b.log", "announce")
    bundle.put_text("logs/c.log", "x")

    assert set(bundle.files) == {"logs/a.log", "logs/c.log"}
    assert bundle.missing["logs/b.log"].endswith("kubectl logs has it")


def test_what_is_none_stays() -> None:
    body = {
        "spec": {
            "externalTrafficPolicy": "Local",
            "sessionAffinity": "None",
            "tolerations": [{"key": "node-role", "value": "x"}],
        },
        "metadata": {"annotations": {"purelb.io/allow-shared-ip": "a", "purelb.io/addresses": "10.0.0.1"}},
        "env": [
            {"name": "PURELB_LOG_LEVEL", "value": "info"},
            {"name": "NETBOX_USER_TOKEN", "valueFrom": {"secretKeyRef": {"name": "netbox", "key": "user-token"}}},
        ],
        "number": 3,
        "args": ["--verbose", "--node", "w11", "--key-file=x", "y"],
    }

    assert redacted(body) == body
    assert redacted_text("announce vip=10.0.0.1 interface=eth0") == "announce vip=10.0.0.1 interface=eth0"


async def text(found: str) -> str:
    return found


async def refused() -> str:
    raise UnavailableError("the API server can't be reached")


def test_an_archive_has_what_could_be_had_and_says_what_could_not(tmp_path: Path) -> None:
    bundle, path = Bundle(), tmp_path / "b.tar.gz"
    asyncio.run(bundle.collect("logs/a.log", lambda: text(f"token={SECRET}\nannounce")))
    asyncio.run(bundle.collect("logs/b.log", refused))
    bundle.put("objects/nodes.json", [{"metadata": {"name": "w11"}}])
    answer = written(bundle, path, "purelb-support-x", 0.0)

    with tarfile.open(path) as archive:
        files = {entry.name: archive.extractfile(entry) for entry in archive}
        found = {name: file.read().decode() for name, file in files.items() if file is not None}
    assert set(found) == {
        f"purelb-support-x/{name}" for name in ("README", "logs/a.log", "missing.json", "objects/nodes.json")
    }
    assert found["purelb-support-x/logs/a.log"] == f"token={LEFT_OUT}\nannounce"
    assert json.loads(found["purelb-support-x/missing.json"]) == {"logs/b.log": "the API server can't be reached"}
    assert path.stat().st_mode & 0o077 == 0
    assert answer.is_well
    with pytest.raises(SettingsError, match="can't be written"):
        written(bundle, path, "purelb-support-x", 0.0)


def dump(hour: int, *, whole: bool = True) -> str:
    tables = [
        Table("decisions", lambda: [{"vip": "10.0.0.1", "why": f"at {hour}"}]),
        Table("vips", lambda: [{"number": number, "pad": "x" * 500} for number in range(40)]),
    ]
    found = list(lines("lbnodeagent", tables, datetime.datetime(2026, 11, 29, hour, tzinfo=datetime.UTC)))
    return "\n".join(found if whole else found[:-1])


def test_the_newest_state_that_is_whole_is_read_from_a_log() -> None:
    log = f'{dump(10)}\nplain text "state"\n{{"message": "state"}}\n{{"message": "state", bad\n{dump(11)}\n'
    log += dump(12, whole=False)
    found = read_state(log)

    assert found is not None
    assert found["decisions"] == [{"vip": "10.0.0.1", "why": "at 11"}]
    assert [one["number"] for one in found["vips"]] == list(range(40)), "its lines are one table again"
    assert time_of(log).startswith("2026-11-29T11")
    assert (read_state("nothing"), time_of("nothing")) == (None, "")


def test_a_state_is_shown_as_tables_and_its_last_entries() -> None:
    answer = state(
        {"agent-x": {"node": [{"node": "w11", "able": ["w11", "w12"]}], "vips": [{"n": n} for n in range(99)]}}
    )
    file = io.StringIO()
    print_answer(answer, "table", file)

    assert "able  w11, w12" in file.getvalue()
    assert "agent-x: vips, the last 40 of 99" in file.getvalue()
    assert len(document_of(answer)["agent-x"]["vips"]) == 99


def pod(name: str, component: str, node: str, phase: str = "Running") -> Any:
    return {
        "metadata": {"name": name, "labels": {"component": component}},
        "spec": {"nodeName": node},
        "status": {"phase": phase},
    }


def test_a_program_is_meant_by_its_node_its_name_or_its_pods() -> None:
    pods = view_pods(
        [
            pod("agent-1", "lbnodeagent", "w11"),
            pod("agent-2", "lbnodeagent", "w12", "Pending"),
            pod("allocator-1", "allocator", "w11"),
            pod("allocator-2", "allocator", "w12"),
            pod("other", "web", "w11"),
        ]
    )

    assert [one.name for one in chosen(pods, "w11")] == ["agent-1"]
    assert [one.name for one in chosen(pods, "allocator")] == ["allocator-1", "allocator-2"]
    assert [one.name for one in chosen(pods, "allocator-2")] == ["allocator-2"]
    for nobody in ("w12", "other", ""):
        with pytest.raises(SettingsError, match="w11, allocator"):
            chosen(pods, nobody)


def test_only_a_program_that_hears_the_signal_is_sent_it(tmp_path: Path) -> None:
    """The signal ends any other: an agent of before."""
    deaf = tmp_path / "purelb-lbnodeagent"
    deaf.write_text("import sys, time\nprint('up', flush=True)\ntime.sleep(60)\n")
    with subprocess.Popen([sys.executable, str(deaf)], stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None
            assert program.stdout.readline() == "up\n"
            done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
            assert done.stdout in ("deaf\n", "asked\n"), "a real one may run on this machine too"
            assert program.poll() is None
        finally:
            program.kill()


PODS = tuple(Pod(f"agent-{number}", "lbnodeagent", f"w{number}", is_running=False, restarts=0) for number in (1, 2))


def test_without_a_kubectl_all_else_is_in_the_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    bundle = Bundle()
    asyncio.run(add_pods(bundle, PODS, "purelb", Arguments("support-bundle")))

    why = "there is no kubectl on the PATH"
    assert bundle.missing == {"logs/agent-1.log": why, "logs/agent-2.log": why}


def test_a_pod_that_does_not_answer_holds_the_others_up_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here each waits for the other."""
    (tmp_path / "kubectl").write_text(
        f"#!/bin/sh\ntouch {tmp_path}/asked-$4\n"
        f"until [ -e {tmp_path}/asked-agent-1 ] && [ -e {tmp_path}/asked-agent-2 ]; do sleep 0.02; done\n"
        "echo log of $4\n"
    )
    (tmp_path / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    bundle = Bundle()
    asyncio.run(add_pods(bundle, PODS, "purelb", Arguments("support-bundle")))

    assert (bundle.files["logs/agent-1.log"], bundle.missing) == ("log of agent-1\n", {})


def test_an_allocator_that_does_not_answer_does_not_hide_what_the_other_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "log").write_text(dump(11))
    (tmp_path / "kubectl").write_text(
        "#!/bin/sh\n"
        "case $1,$4 in\n"
        "*,lost) echo 'error: dial tcp 10.0.0.1:10250: no route to host' >&2; exit 1 ;;\n"
        f"exec,*) touch {tmp_path}/asked; echo asked ;;\n"
        f"*) [ ! -e {tmp_path}/asked ] || cat {tmp_path}/log ;;\n"
        "esac\n"
    )
    (tmp_path / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    lost, well = (Pod(name, "allocator", "w11", is_running=True, restarts=0) for name in ("lost", "well"))
    answer = asyncio.run(states_of((lost, well), "purelb", Arguments("state")))

    assert (list(document_of(answer)), answer.is_well) == (["well"], False)
    assert answer.parts[0] == Text("lost: error: dial tcp 10.0.0.1:10250: no route to host", Tone.BAD)
    with pytest.raises(SettingsError, match="no route to host"):
        asyncio.run(states_of((lost,), "purelb", Arguments("state")))
