"""The status page: what this allocator knows, for people, live in a browser.

    watching (facts, sampled) -> view (rows, and what changed) -> server (browsers, by server-sent events)

It owns what is shown and what a stranger may take of us by looking. It only reads, on a leader as on a standby; it must
not know how addresses are given or placed, and nothing hangs on it: where it fails the allocator goes on without it.
"""
