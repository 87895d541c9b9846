"""Every interval and multiplier of the protocol: unit, formula, default and source.

Owns the numbers and the two profiles; no behaviour.  Names and LAN defaults are those of memberlist's `config.go`.
All times are seconds.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace

from memberlist.errors import ConfigError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PROTOCOL_MIN = 1
PROTOCOL_MAX = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How quickly, how often, how patiently.  `Config()` is memberlist's LAN profile.

    Raises ConfigError for a combination that can't work.
    """

    # --- failure detection (SWIM section 4.1, Lifeguard LHA-Probe) ---
    probe_interval: float = 1.0
    """One member is probed per interval, in random round robin; also the longest that a probe takes at health 0."""
    probe_length: float = 0.0
    """Not in memberlist.  The longest that a probe takes at health 0, if not the whole interval; 0: that.  It costs
    nothing to be quicker with a verdict than with the next question."""
    watch_turns: int = 0
    """Not in memberlist.  Every so many-th probe is for the one member that we watch: the next one alive by name, and
    round.  So each has one watcher whatever the size of the cluster, and none waits long for the first question of
    a random order.  0: no turn."""
    probe_timeout: float = 0.5
    """Wait this long for the direct answer, then ask others and try TCP.  Also how long a relay waits before it
    sends a nack, so twice this should be less than `probe_interval`, or nacks come too late to count."""
    indirect_checks: int = 3
    """Members asked to probe on our behalf."""
    disable_tcp_pings: bool = False
    """Leave out the TCP ping that distinguishes a dead member from blocked UDP."""
    awareness_max_multiplier: int = 8
    """The probe interval is multiplied by 1 + health, health being 0 .. this - 1."""

    # --- suspicion (SWIM section 4.2, Lifeguard LHA-Suspicion) ---
    suspicion_mult: int = 4
    """Shortest suspicion: this x max(1, log10 n) x probe_interval."""
    suspicion_interval: float = 0.0
    """Not in memberlist.  What takes the place of probe_interval in the shortest suspicion; 0: nothing does."""
    suspicion_max_timeout_mult: int = 6
    """Longest suspicion (nobody confirms it): this x the shortest."""
    suspicion_confirmations: int | None = None
    """Independent confirmations that bring the longest down to the shortest; None: suspicion_mult - 2.
    None are wanted if the cluster has too few members to give them."""
    confirmers: float = 0.0
    """Not in memberlist.  How many members, on average, probe a newly suspected member at once and out of turn, so that
    confirmations (or the refutation) come within one probe instead of one round.  0: nobody.  Bounded so that a
    false suspicion among a thousand doesn't become a thousand pings."""
    late_after: float = 0.25
    """Not in memberlist.  A timer that fires later than this shows that we were stopped, not the others: running
    probes and suspicions are extended by the lateness, and health worsens by one."""

    busy_grace: float = 0.0
    """Not in memberlist.  Longer to wait, once per probe, for a member whose machine accepts our TCP connection: its
    kernel lives, so the process probably waits for a processor.  A machine that is gone accepts nothing, and neither
    does one whose process has ended."""

    # --- dissemination (SWIM section 4.1) ---
    gossip_interval: float = 0.2
    gossip_nodes: int = 3
    """Members that get the queued rumours per gossip interval."""
    gossip_to_the_dead_time: float = 30.0
    """So long a dead member still gets gossip (it may live and refute); after it, it is forgotten."""
    retransmit_mult: int = 4
    """A rumour is sent this x ceil(log10(n + 1)) times by each member."""
    push_pull_interval: float = 30.0
    """Full exchange with one random member over TCP; longer in clusters of more than 32."""
    udp_buffer_size: int = 1400
    """Bytes; a packet is filled with rumours up to here."""

    # --- membership ---
    knock_interval: float = 0.0
    """Not in memberlist.  How often to knock at the door of one of the dead: a ping that tells it what we believe,
    so that it can refute.  Heals partitions without an operator.  0: never."""
    knock_for: float = 3600.0
    """How long after its death we knock."""
    members_max: int = 16_384
    """Not in memberlist.  New names are ignored beyond so many members, the dead and not yet forgotten included, so
    that whoever invents names can't fill our memory."""
    dead_node_reclaim_time: float = 0.0
    """A name dead for longer than this may come back at another address; 0: never (a left one always may)."""
    protocol_version: int = 2
    """The version that we say to speak, 1 .. 5; 1 also means encryption version 0."""
    delegate_versions: tuple[int, int, int] = (0, 0, 0)
    """The application's protocol: understood from, to, and spoken.  Serf 0.9 speaks (2, 5, 5)."""
    allowed_networks: tuple[Network, ...] = ()
    """Members must have addresses in one of these; empty: anywhere."""

    # --- transport ---
    tcp_timeout: float = 10.0
    verify_incoming: bool = True
    """With a key: refuse plaintext.  Off only while encryption is being introduced."""
    verify_outgoing: bool = True
    """With a key: encrypt what we send.  Off only while encryption is being introduced."""
    skip_inbound_label_check: bool = False
    """Labels were already checked and taken off by something in front of us."""
    max_expanded: int = 40 << 20
    """Bytes that one compressed stream message may expand to."""

    def __post_init__(self) -> None:
        for field in (
            "probe_interval",
            "probe_timeout",
            "gossip_interval",
            "push_pull_interval",
            "tcp_timeout",
        ):
            if not getattr(self, field) > 0:
                raise ConfigError(f"{field} must be more than 0 seconds")
        if self.probe_timeout >= self.probe_interval:
            raise ConfigError("probe_timeout must be shorter than probe_interval")
        if self.probe_length and not self.probe_timeout < self.probe_length <= self.probe_interval:
            raise ConfigError("probe_length must be longer than probe_timeout, and no longer than probe_interval")
        if self.suspicion_interval < 0:
            raise ConfigError("suspicion_interval must be 0 seconds or more")
        if self.watch_turns < 0 or self.watch_turns == 1:
            raise ConfigError("watch_turns must be 0, or 2 or more: else only one member is ever probed")
        if not PROTOCOL_MIN <= self.protocol_version <= PROTOCOL_MAX:
            raise ConfigError(f"protocol_version must be {PROTOCOL_MIN} .. {PROTOCOL_MAX}")
        low, high, spoken = self.delegate_versions
        if not 0 <= low <= spoken <= high <= 255:
            raise ConfigError("delegate_versions must be (from, to, spoken) with from <= spoken <= to <= 255")
        if self.suspicion_mult < 1 or self.retransmit_mult < 1 or self.awareness_max_multiplier < 1:
            raise ConfigError("multipliers must be 1 or more")
        if self.members_max < 1:
            raise ConfigError("members_max must be 1 or more")
        if not 512 <= self.udp_buffer_size <= 65507:
            raise ConfigError("udp_buffer_size must be 512 .. 65507 bytes")

    @property
    def versions(self) -> bytes:
        """The six version bytes that we advertise: protocol min, max, spoken; the application's min, max, spoken."""
        low, high, spoken = self.delegate_versions
        return bytes((PROTOCOL_MIN, PROTOCOL_MAX, self.protocol_version, low, high, spoken))

    @property
    def confirmations_wanted(self) -> int:
        if self.suspicion_confirmations is None:
            return max(0, self.suspicion_mult - 2)
        return self.suspicion_confirmations

    @classmethod
    def lan(cls, *, delegate_versions: tuple[int, int, int] = (0, 0, 0)) -> Config:
        """memberlist's DefaultLANConfig: a death is known after about 6 seconds."""
        return cls(delegate_versions=delegate_versions)

    @classmethod
    def wan(cls, *, delegate_versions: tuple[int, int, int] = (0, 0, 0)) -> Config:
        """memberlist's DefaultWANConfig: for members in several data centres."""
        return cls(
            probe_interval=5.0,
            probe_timeout=3.0,
            suspicion_mult=6,
            gossip_interval=0.5,
            gossip_nodes=4,
            gossip_to_the_dead_time=60.0,
            push_pull_interval=60.0,
            tcp_timeout=30.0,
            delegate_versions=delegate_versions,
        )

    @classmethod
    def local(cls, *, delegate_versions: tuple[int, int, int] = (0, 0, 0)) -> Config:
        """memberlist's DefaultLocalConfig: for members on one machine."""
        return cls(
            probe_timeout=0.2,
            indirect_checks=1,
            suspicion_mult=3,
            gossip_interval=0.1,
            gossip_to_the_dead_time=15.0,
            retransmit_mult=2,
            push_pull_interval=15.0,
            tcp_timeout=1.0,
            delegate_versions=delegate_versions,
        )

    @classmethod
    def fast(cls, *, delegate_versions: tuple[int, int, int] = (0, 0, 0)) -> Config:
        """For one layer 2 or one data centre (round trips of a few milliseconds): a death is known in 0.2 s.

        How the numbers were found, and what they cost: docs/gossip.md.
        """
        return cls(
            probe_interval=0.08,
            probe_length=0.048,
            probe_timeout=0.018,
            watch_turns=2,
            suspicion_mult=2,
            suspicion_interval=0.03,
            suspicion_max_timeout_mult=16,
            suspicion_confirmations=2,
            confirmers=8.0,
            late_after=0.018,
            busy_grace=0.4,
            gossip_interval=0.02,
            push_pull_interval=10.0,
            retransmit_mult=6,
            knock_interval=0.5,
            tcp_timeout=2.0,
            max_expanded=8 << 20,
            delegate_versions=delegate_versions,
        )

    @classmethod
    def steady(cls, *, delegate_versions: tuple[int, int, int] = (0, 0, 0)) -> Config:
        """`fast` for machines or networks that stand still for a moment as a whole: a death is known in 0.3 s.

        A virtual machine that is moved, or a port that flaps, answers nothing, its kernel neither: 0.16 s of that are
        no death here, 0.08 there.
        """
        return replace(
            cls.fast(delegate_versions=delegate_versions),
            probe_length=0.0,
            probe_timeout=0.025,
            suspicion_interval=0.0,
            suspicion_max_timeout_mult=6,
            late_after=0.025,
        )
