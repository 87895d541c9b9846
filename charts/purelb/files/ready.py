"""What `helm test` runs in the cluster: both programs run as often as they should, and the CRDs are served.

Standard library alone, as any image with Python has it. Prints a line for each thing; exit code 1 if one isn't so
within TIMEOUT seconds.
"""

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ACCOUNT = Path(os.environ.get("SERVICE_ACCOUNT", "/var/run/secrets/kubernetes.io/serviceaccount"))
HOST = os.environ["KUBERNETES_SERVICE_HOST"]
SERVER = f"https://{f'[{HOST}]' if ':' in HOST else HOST}:{os.environ['KUBERNETES_SERVICE_PORT']}"
TIMEOUT = float(os.environ.get("TIMEOUT", "60"))
KINDS = {"servicegroups", "lbnodeagents", "memberships"}


def get(path):
    """The object at that path. Raises OSError, of which HTTPError is one."""
    token = (ACCOUNT / "token").read_text().strip()
    request = urllib.request.Request(SERVER + path, headers={"Authorization": f"Bearer {token}"})
    context = ssl.create_default_context(cafile=ACCOUNT / "ca.crt")
    with urllib.request.urlopen(request, timeout=5, context=context) as answer:
        return json.load(answer)


def crds_are_served():
    missing = KINDS - {one["name"] for one in get("/apis/purelb.io/v1")["resources"]}
    return not missing, "the CRDs are served" if not missing else f"not served: {', '.join(sorted(missing))}"


def workload_is_ready(kind, name):
    status = get(f"/apis/apps/v1/namespaces/{os.environ['NAMESPACE']}/{kind}/{name}")
    if kind == "deployments":
        wanted, ready = status["spec"]["replicas"], status["status"].get("readyReplicas", 0)
    else:
        wanted, ready = status["status"]["desiredNumberScheduled"], status["status"].get("numberReady", 0)
    return ready >= wanted > 0, f"{name}: {ready} of {wanted} ready"


def checked(check, *arguments):
    """Whether it is so, and the sentence that says it."""
    try:
        return check(*arguments)
    except OSError as error:
        return False, f"{' '.join(arguments) or 'purelb.io/v1'}: {error}"


def main():
    deadline = time.monotonic() + TIMEOUT
    checks = [(crds_are_served,)]
    checks += [(workload_is_ready, kind, os.environ[f"{kind.upper()}"]) for kind in ("deployments", "daemonsets")]
    while True:
        results = [checked(*one) for one in checks]
        good = all(is_so for is_so, _ in results)
        if good or time.monotonic() > deadline:
            print("\n".join(sentence for _, sentence in results))
            return 0 if good else 1
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main())
