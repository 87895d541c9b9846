"""What holds for every test of the plugin: whatever terminal or cluster whoever runs them has, it isn't theirs."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_terminal_and_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KUBECONFIG", "COLUMNS", "FORCE_COLOR", "NO_COLOR", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/nowhere")
