"""pyroute2's rtnetlink messages, imported without the rest of it: the agent's only importer of pyroute2.

pyroute2 imports all protocols that it knows at once, with traffic control, its sockets, and unittest for their mocks:
6 MB of memory. What we need of it are messages about links, addresses, routes and neighbours, how they are built and
read.
"""

from __future__ import annotations

from purelb.imports import bare

with bare("pyroute2"):
    from pyroute2.netlink.exceptions import NetlinkDecodeError as NetlinkDecodeError
    from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg as ifaddrmsg
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg as ifinfmsg
    from pyroute2.netlink.rtnl.ndmsg import ndmsg as ndmsg
    from pyroute2.netlink.rtnl.rtmsg import rtmsg as rtmsg
