"""The command line: options before or after the command, and a sentence for what can't be."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from kubectl_purelb.__main__ import kubeconfig_of, main
from kubectl_purelb.arguments import Arguments, parse_arguments
from kubectl_purelb.commands.services import Only
from kubectl_purelb.forecast import Event
from purelb.errors import SettingsError


@pytest.mark.parametrize(
    "argv",
    [
        ["-o", "json", "--context", "two", "-n", "web", "services"],
        ["services", "-o", "json", "--context", "two", "-n", "web"],
        ["--context", "two", "services", "-n", "web", "-o", "json"],
    ],
)
def test_options_stand_before_the_command_or_after_it(argv: list[str]) -> None:
    assert parse_arguments(argv) == Arguments("services", output="json", context="two", namespace="web")


def test_services_of_all_namespaces_are_shown_unless_one_is_named() -> None:
    assert parse_arguments(["services"]).namespace is None
    assert parse_arguments(["services", "-A"]).namespace is None
    with pytest.raises(SettingsError, match="-A and -n exclude each other"):
        parse_arguments(["services", "-A", "-n", "web"])


def test_services_are_chosen_by_what_pure_lbs_own_plugin_chooses_them() -> None:
    asked = parse_arguments(["services", "--pool", "wire", "--node", "w11", "--ip", "10.31.188.64", "--problems"])

    assert asked == Arguments("services", only=Only("wire", "w11", ip_address("10.31.188.64"), troubled=True))
    with pytest.raises(SettingsError, match="--ip: "):
        parse_arguments(["services", "--ip", "web"])


def test_a_command_says_what_it_is_about() -> None:
    assert parse_arguments(["inspect", "web/nginx"]).subject == "web/nginx"
    assert parse_arguments(["election"]) == Arguments("election")
    assert parse_arguments(["election", "web/nginx", "--simulate-death", "w11"]) == Arguments(
        "election", "web/nginx", node="w11", event=Event.DEATH
    )
    assert parse_arguments(["election", "--simulate-drain", "w11"]).event is Event.DRAIN


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["stauts"],
        ["status", "-o", "xml"],
        ["inspect"],
        ["vip"],
        ["election", "--simulate-death", "a", "--simulate-drain", "b"],
    ],
)
def test_what_cannot_be_read_ends_with_code_2(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(argv)

    assert ended.value.code == 2


def test_without_a_cluster_that_is_said_with_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 2
    assert capsys.readouterr().err.startswith("kubectl purelb: no way to the Kubernetes API")


def test_a_kubeconfig_is_found_as_kubectl_finds_it(tmp_path: Path) -> None:
    usual = tmp_path / ".kube" / "config"
    home = {"HOME": str(tmp_path)}

    def found(environ: dict[str, str], path: str | None = None, context: str | None = None) -> object:
        asked = Arguments("status", kubeconfig=Path(path) if path else None, context=context)
        return getattr(kubeconfig_of(asked, environ), "_path", None)

    assert found(home) is None
    assert found(home, context="two") == usual
    usual.parent.mkdir()
    usual.write_text("")
    assert found(home) == usual
    assert found(home | {"KUBECONFIG": "/a:/b"}) == Path("/a:/b")
    assert found(home | {"KUBECONFIG": "/a"}, "/c") == Path("/c")
