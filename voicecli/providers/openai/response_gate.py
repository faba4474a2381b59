"""Asks for replies: never while one is under way, and once for all inputs that want one."""

from voicecli.providers.openai.output_items import WireResponse
from voicecli.providers.openai.queues import Wire

__all__ = ["ResponseGate"]


class ResponseGate:
    """Lets at most one `response.create` out at a time; the server refuses a second one.

    Args:
        auto_reply: whether the server answers the turns it detects by itself.

    Attributes:
        owed: whether a reply is due and nothing of it has come; outlives sockets.
        active: the response under way.
        creating: whether a response.create is not answered yet.
        expected: whether the server will begin a reply by itself, for a turn that it committed.
        wanted: whether a reply is to be asked for as soon as that is allowed.
        blocked: whether the server says that a response is under way which it never announced.
        called_for: whether a response may begin that the server does not name: something was said since the last one.
        speaking: whether the server hears the user; a reply would talk over them.
        turn_open: whether the user is in the middle of a turn that the client will end. What was said before is
            answered meanwhile; results of tools wait for the end, as the answer to the turn can speak of them, too.
    """

    def __init__(self, wire: Wire, *, auto_reply: bool) -> None:
        self._wire = wire
        self._auto_reply = auto_reply
        self.owed = False
        self.restart()

    def restart(self) -> None:
        """A new socket, which is not ready yet."""
        self.ready = False
        self.active: WireResponse | None = None
        self.creating = False
        self.expected = False
        self.wanted = False
        self.blocked = False
        self.called_for = False
        self.speaking = False
        self.turn_open = False
        self._only_tools = False  # whether only results of tools are to be answered

    @property
    def awaiting_reply(self) -> bool:
        return not self.ready or self.active is not None or self.creating or self.expected or self.blocked

    def want(self, *, to_tools: bool = False) -> None:
        """Ask for a reply, now or later."""
        self._only_tools = to_tools and (self._only_tools or not self.wanted)
        self.wanted = self.owed = self.called_for = True
        self.flush()

    def flush(self) -> None:
        """Ask for the reply that is wanted, if it may be."""
        talks_over = (self.speaking and self._auto_reply) or (self.turn_open and self._only_tools)
        if self.wanted and not self.awaiting_reply and not talks_over:
            self.wanted, self.creating = False, True
            self._wire.queue("response.create")

    def answered(self) -> None:
        """Something of the reply is there: that one is not asked for again."""
        self.owed = self.wanted or self.expected

    def already_responding(self) -> None:
        """A response.create came while another response was under way."""
        self.creating = False
        if self.active is None:
            self.blocked = self.wanted = self.owed = True
        elif not self.active.covers_queue:
            self.wanted = self.owed = True
