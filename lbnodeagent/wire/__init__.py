"""What is said and heard on a NIC's wire, ARP and NDP: announcements, questions, who else answers (RFC 5227, RFC 4861).

It owns frames and raw sockets and what was heard by them. It must not know Kubernetes or how owners are elected.
"""
