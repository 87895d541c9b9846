"""pyroute2's rtnetlink messages, imported without the rest of it: the agent's only importer of pyroute2.

pyroute2 imports all protocols that it knows at once, with traffic control, its sockets, and unittest for their mocks:
6 MB of memory. What we need of it are messages about links, addresses, routes and neighbours, how they are built and
read. For the time of their import the package is there without its own ``__init__``, which brings all else, having run.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec

_NAME = "pyroute2"

_spec = None if _NAME in sys.modules else find_spec(_NAME)
if _spec is not None:
    sys.modules[_NAME] = module_from_spec(_spec)
try:
    from pyroute2.netlink.exceptions import NetlinkDecodeError as NetlinkDecodeError
    from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg as ifaddrmsg
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg as ifinfmsg
    from pyroute2.netlink.rtnl.ndmsg import ndmsg as ndmsg
    from pyroute2.netlink.rtnl.rtmsg import rtmsg as rtmsg
finally:
    if _spec is not None:
        del sys.modules[_NAME]  # whoever imports pyroute2 later gets all of it
