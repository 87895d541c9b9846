"""``kubectl purelb``: what an operator asks of a cluster with PureLB, in a terminal. It reads and never writes.

It reads objects once (reading), into values (cluster); all else follows from those, without I/O: where each address is
(places), what isn't well (health), and one module per command that answers with tables. How an answer looks on a
terminal is known by printing alone. It must not know the programs: what it shares with them is purelb's vocabulary.
"""
