"""The node agent: puts each VIP on the node that should answer for it.

Two halves. The data plane (dataplane/ over election/, gate/, gossip/, kernel/, wire/ and bird/) never waits for
Kubernetes; the control plane (kubernetes/) runs on a loop and thread of its own. They exchange frozen values through a
mailbox each way. The agent must not know IPAM, nor how a placement is planned: it reads what the Services say.

Beside the packages lies only what several of them share: values (tables.py), what the halves tell each other
(messages.py, mailbox.py), and errors.
"""
