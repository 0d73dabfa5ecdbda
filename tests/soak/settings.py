"""What a server is set to while it is tormented, drawn from the seed, and what its clients may meet because of it."""

import dataclasses

# Short times, so that what takes minutes in production happens often.
TIMES = """
[limits]
ping_interval = "2s"
pong_timeout = "1s"
handshake_timeout = "3s"
close_timeout = "2s"
"""
DRAIN = """
[drain]
timeout = "6s"
spread = "1s"
"""
# Each but the first, which has echo's wide limits, is due to act on a Flooder (people.py).
LIMITS = {
    "wide": "",
    "queues": "max_queued_messages = 300\nmax_queued_bytes = 131072\n",
    "budget": "max_total_queued_bytes = 4194304\n",
    "rate": 'max_inbound_messages_per_second = 200\ninbound_burst = "1s"\ninbound_patience = "1s"\n',
}
POLICIES = ("disconnect", "drop_newest", "drop_oldest", "keep_latest")
# Closes that are due anywhere: answered, drained, kicked by the Meddler, a session's.
ORDINARY_CLOSES = {1000, 1012, 4000, 4500, 4501, 4502, 4503, 4504}
# Of fairlead_limit_hits_total: what nobody here can meet; what comes of full queues; of a client that sends too fast.
NEVER_MET = {"too_large", "expired", "replaced", "stream_budget_dropped", "stream_budget_refused", "message_too_big",
             "too_many_fragments", "idle", "origin", "unauthorized", "admission_expired", "connections"}  # fmt: skip
OF_QUEUES = {"overflow", "dropped_oldest", "slow_close"}
OF_RATE = {"inbound_rate_paused", "inbound_rate_closed"}


@dataclasses.dataclass(frozen=True)
class Settings:
    limits: str
    policy: str
    compression: bool
    tls: bool

    def config(self):
        return f'{TIMES}{LIMITS[self.limits]}slow_consumers = "{self.policy}"\n{DRAIN}'

    def __str__(self):
        extras = (" compression" if self.compression else "") + (" tls" if self.tls else "")
        return f"{self.limits} {self.policy}{extras}"

    @property
    def drops(self):
        """What a client receives may have gaps."""
        return self.limits == "queues" and self.policy != "disconnect"

    def closes(self):
        """The codes that a client may be closed with."""
        slow = self.limits == "budget" or (self.limits == "queues" and self.policy == "disconnect")
        return ORDINARY_CLOSES | ({3008} if slow else set()) | ({1008} if self.limits == "rate" else set())

    def not_due(self):
        """The limits that must not have acted."""
        wrong = set(NEVER_MET)
        if self.limits not in ("queues", "budget"):
            wrong |= OF_QUEUES
        if self.limits != "budget":
            wrong |= {"queue_budget"}
        if self.limits != "rate":
            wrong |= OF_RATE
        return wrong

    def due(self):
        """The limits of which one must act on a Flooder; none: it gets everything."""
        return {"queues": OF_QUEUES, "budget": {"queue_budget"}, "rate": {"inbound_rate_closed"}}.get(self.limits)
