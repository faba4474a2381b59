"""The scrollback of any conversation: each entry is printed once, and none is lost."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from voicecli.events import (
    Event,
    Interrupted,
    Notice,
    ResponseDone,
    ResponseStarted,
    Role,
    SpeechStarted,
    ToolCallCancelled,
    ToolCallFinished,
    ToolCallRequest,
    TranscriptUpdate,
)
from voicecli.terminal.entries import Entry, Remark, Utterance
from voicecli.terminal.entry_fold import EntryFold


class AnyConversation(RuleBasedStateMachine):
    """Events of a conversation in any order, with pictures between them."""

    def __init__(self) -> None:
        super().__init__()
        self.log = EntryFold()
        self.now = 0.0
        self.playing = False
        self.begun: set[str] = set()  # what must be printed in the end
        self.printed: list[Entry] = []

    @rule(item=st.integers(0, 3), role=st.sampled_from(["user", "assistant"]), final=st.booleans())
    def words(self, item: int, role: Role, final: bool) -> None:
        self.log.apply(TranscriptUpdate(role, f"{item}", f"{role} {item}", final), self.now)
        self.begun.add(f"{role} {item}")

    @rule(call=st.integers(0, 3))
    def tool(self, call: int) -> None:
        if (name := f"tool {call}") not in self.begun:
            self.log.apply(ToolCallRequest(name, name, "{}"), self.now)
            self.begun.add(name)

    @rule(call=st.integers(0, 3), cancelled=st.booleans())
    def tool_ends(self, call: int, cancelled: bool) -> None:
        name = f"tool {call}"
        self.log.apply(ToolCallCancelled(name) if cancelled else ToolCallFinished(name, name, ""), self.now)

    @rule(event=st.sampled_from([SpeechStarted(), ResponseStarted("r"), ResponseDone("r"), Interrupted("r")]))
    def other(self, event: Event) -> None:
        self.log.apply(event, self.now)

    @rule(note=st.integers(0, 9))
    def noted(self, note: int) -> None:
        if (text := f"note {note}") not in self.begun:
            self.log.apply(Notice("", text), self.now)
            self.begun.add(text)

    @rule()
    def turn_ends(self) -> None:
        self.log.turn_ended()

    @rule(seconds=st.floats(0, 4), playing=st.booleans(), answering=st.booleans())
    def picture(self, seconds: float, playing: bool, answering: bool) -> None:
        self.now += seconds
        self.printed += self.log.take(self.now, playing=playing, answering=answering)

    def teardown(self) -> None:
        self.log.finish(playing=False)
        self.printed += self.log.take(self.now, playing=False)
        names = [
            entry.text if isinstance(entry, Utterance | Remark) else getattr(entry, "name", "")
            for entry in self.printed
        ]
        assert sorted(names) == sorted(self.begun), "each is printed once"


TestAnyConversation = AnyConversation.TestCase
