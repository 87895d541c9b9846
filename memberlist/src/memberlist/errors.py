"""The exceptions of this package, and whose fault each one is.

    MemberlistError
    ├── ConfigError         our caller: a setting, a key, a name or a size that can't work (also a ValueError)
    ├── UnknownMember       our caller: no such member (also a LookupError)
    ├── WireError           their bytes: malformed; dropped and counted, never fatal
    │   ├── LabelMismatch   another cluster's traffic
    │   └── Unauthentic     no key opens it, or plaintext where a key is set
    └── StreamFailed        the world: refused, reset, timed out, or the peer answered with an error
        └── AnswerSealed    the peer is there, and no key of ours opens what it answers

Decoders raise WireError and nothing else.  Owns no behaviour.
"""


class MemberlistError(Exception):
    """The root: catches everything that this package raises on purpose."""


class ConfigError(MemberlistError, ValueError):
    """A setting that can't work; the message is a sentence about it."""


class UnknownMember(MemberlistError, LookupError):
    """A member was named that isn't in the table, or isn't there any more."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"no member is called {self.name!r}"


class WireError(MemberlistError):
    """Bytes that the protocol doesn't allow."""


class LabelMismatch(WireError):
    """The label header is absent, superfluous or another cluster's."""


class Unauthentic(WireError):
    """Encrypted with a key that we don't have, damaged, or not encrypted although it must be."""


class StreamFailed(MemberlistError):
    """A TCP exchange with one peer did not work."""


class AnswerSealed(StreamFailed):
    """The peer answered with what no key of ours opens: it has another one, or none."""
