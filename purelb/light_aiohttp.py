"""aiohttp, imported without what costs memory for nothing: always ``from purelb.light_aiohttp import aiohttp``.

Of its server there are the parts that a page needs which answers a few paths. The framework for sites, ``aiohttp.web``,
takes another 1.1 MB: light_web.py.

For the time of its import two libraries are told to do without, each in its own way, by the environment:

- SSL_CERT_FILE, of OpenSSL (SSL_CTX_set_default_verify_paths(3)): the file of the machine's root certificates is empty.
  At import aiohttp makes a TLS context for requests that name none, with all roots that the machine trusts: 2 MB. Every
  request of ours names its context (credentials.py), and so does kopf. A directory of roots OpenSSL goes on to look
  into when it needs one, which takes no memory.
- FROZENLIST_NO_EXTENSIONS: that list, of which aiohttp has a few that are made once, is the one in Python. The other is
  written in C++, whose library takes 1 MB and is used for nothing else.
"""

from __future__ import annotations

import os
from typing import Final

_TOLD: Final = {"SSL_CERT_FILE": os.devnull, "FROZENLIST_NO_EXTENSIONS": "1"}

_before = {name: os.environ.get(name) for name in _TOLD}
os.environ.update(_TOLD)
try:
    import aiohttp as aiohttp
    from aiohttp.web_protocol import RequestHandler as RequestHandler
    from aiohttp.web_request import BaseRequest as BaseRequest
    from aiohttp.web_response import Response as Response
    from aiohttp.web_server import Server as Server
finally:
    for _name, _said in _before.items():
        if _said is None:
            del os.environ[_name]
        else:
            os.environ[_name] = _said
