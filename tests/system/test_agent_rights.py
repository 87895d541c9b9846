"""The agent with exactly what its manifest asks for: two capabilities, and a read-only root file system."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.agentlab import SHORT, WORKER11, AgentLab, service, three_nodes
from tests.system.conftest import eventually

pytestmark = pytest.mark.timeout(120)

VIP = "10.31.188.64"
ROUTED = "10.189.0.9"
NET_ADMIN_AND_NET_RAW = 1 << 12 | 1 << 13
START = (
    "read go && mount -o remount,bind,ro / && "
    "exec setpriv --no-new-privs --bounding-set=-all,+net_admin,+net_raw --inh-caps=-all "
    '"$0" -m lbnodeagent'
)


@pytest.fixture
def agents() -> Iterator[AgentLab]:
    # What is in the pod's stead isn't: its addresses don't wait for it.
    with three_nodes(environment={"PURELB_RETURN_WITHIN": "0"}) as lab, lab.at_rest():
        yield lab


def test_two_capabilities_and_a_read_only_root_are_enough(agents: AgentLab) -> None:
    agents.apply(service("one", "wire", ip=VIP), service("two", "routed", ip=ROUTED))
    assert agents.owner(VIP) == WORKER11
    pid = agents.agent_pid(WORKER11)
    pairs = Path(f"/proc/{pid}/environ").read_bytes().rstrip(b"\0").split(b"\0")
    environment = dict(pair.decode().split("=", 1) for pair in pairs)
    python = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
    # It waits in the pod's namespaces, with the pod's environment, until the pod's own agent has gone.
    enter = ["nsenter", "--net", "--mount", "--uts", f"--target={pid}", "unshare", "--mount"]
    inside = [*enter, "sh", "-c", START, python]
    agent = subprocess.Popen(inside, stdin=subprocess.PIPE, text=True, env=environment)
    try:
        agents.lab.must("fault", SHORT[WORKER11], "agent-stop")
        assert eventually(lambda: WORKER11 not in agents.holders(VIP))
        assert agent.stdin is not None
        agent.stdin.write("go\n")
        agent.stdin.flush()

        assert eventually(lambda: agents.holders(VIP) == [WORKER11], seconds=20)
        assert agents.hosts.run("client", ["ping", "-c", "1", "-W", "1", VIP]).returncode == 0
        assert eventually(lambda: ROUTED in agents.addresses(WORKER11, "kube-lb0"))
        status = Path(f"/proc/{agent.pid}/status").read_text()
        effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff"))
        assert int(effective, 16) == NET_ADMIN_AND_NET_RAW
        mounts = [line.split() for line in Path(f"/proc/{agent.pid}/mountinfo").read_text().splitlines()]
        assert "ro" in [mount[5] for mount in mounts if mount[4] == "/"][-1].split(",")
    finally:
        agent.terminate()
        assert agent.wait(15) == 0
        agents.lab.must("heal", SHORT[WORKER11])
    assert "Traceback" not in agents.lab.supervisor_log()
