"""aiohttp, imported without the machine's root certificates: always ``from purelb.light_aiohttp import aiohttp, web``.

At import aiohttp makes a TLS context for requests that name none, with all roots that the machine trusts, which takes
2 MB of memory. Every request of ours names its context (credentials.py), and so does kopf. For the time of the import
OpenSSL is told, in its own way (SSL_CERT_FILE, see SSL_CTX_set_default_verify_paths(3)), that its file of them is
empty. A directory of them it goes on to look into when it needs one, which takes no memory.
"""

from __future__ import annotations

import os

_ROOTS = "SSL_CERT_FILE"

_said = os.environ.get(_ROOTS)
os.environ[_ROOTS] = os.devnull
try:
    import aiohttp as aiohttp
    from aiohttp import web as web
finally:
    if _said is None:
        del os.environ[_ROOTS]
    else:
        os.environ[_ROOTS] = _said
