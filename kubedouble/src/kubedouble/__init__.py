"""An embedded Kubernetes API server: enough of one that kubectl, kopf and the official client can't tell.

server = ApiServer()
await server.start()
server.url, server.kubeconfig(), server.service_account_token("purelb", "allocator")
server.faults.status(429, resource="services", count=3); server.faults.drop_watches(); server.faults.clear()
await server.stop()
"""

from .errors import StatusError
from .fault import Fault
from .faults import Faults
from .logs import FileLogs, LogOptions, LogProvider
from .server import ApiServer
from .store import Store
from .tls import MutualTls, Tls, make_mutual_tls, make_tls, tls_in

__all__ = [
    "ApiServer",
    "Fault",
    "Faults",
    "FileLogs",
    "LogOptions",
    "LogProvider",
    "MutualTls",
    "StatusError",
    "Store",
    "Tls",
    "make_mutual_tls",
    "make_tls",
    "tls_in",
]
