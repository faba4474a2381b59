"""Whatever happens in whatever order: nothing stays paused, nothing is cut twice, nothing of a cut reply is told."""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from voicecli.conversation.floor import Floor
from voicecli.conversation.floor_events import (
    Action,
    AudioCleared,
    AudioEnded,
    Cut,
    Deliver,
    GaveUp,
    Heard,
    Input,
    Pause,
    Resume,
    Rules,
    Stop,
    TextSent,
    ToolAnswered,
    TurnBegins,
    TurnEnds,
    VoiceSuspected,
)
from voicecli.conversation.floor_table import Reply, User
from voicecli.conversation.full_duplex_floor import FullDuplexFloor
from voicecli.events import (
    ApprovalAnswered,
    ApprovalRequest,
    AudioChunk,
    AudioDone,
    Interrupted,
    Notice,
    Reconnecting,
    ResponseDone,
    ResponseStarted,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    ToolCallCancelled,
    ToolCallRequest,
    TranscriptUpdate,
)

STARTED = SessionStarted("s", "model", "voice", 24_000, 24_000)
SECOND = bytes(48_000)
TIMEOUT_S = 30.0


class Conversation(RuleBasedStateMachine):
    """A provider, a user and a program that keep to the order of events, and do anything else."""

    @initialize(
        server=st.booleans(),
        interrupts=st.booleans(),
        kind=st.sampled_from(["reports", "words first", "silent", "full duplex"]),
        player=st.booleans(),
        names=st.booleans(),
    )
    def start(self, server: bool, interrupts: bool, kind: str, player: bool, names: bool) -> None:
        self.duplex = kind == "full duplex"
        server = server or self.duplex
        self.provider = Rules(
            output_rate=24_000,
            response_timeout_s=TIMEOUT_S,
            server_turns=server,
            interrupts=interrupts or not server,
            reports_speech=kind not in {"silent", "full duplex"},
            words_first=kind == "words first",
        )
        self.floor = FullDuplexFloor(self.provider) if self.duplex else Floor(self.provider)
        self.floor.sound.has_player = player
        self.names = names
        self.now = 0.0
        self.count = 0
        self.running: str | None = None
        self.begun: list[str] = []
        self.asked: list[str] = []
        self.calls: list[str] = []
        self.called = False  # the running response has called a tool
        self.approvals: list[str] = []
        self.speaking = False  # as the one who finds the turns sees it
        self.away = False
        self.cut: list[str] = []
        self.paused = False
        self.gave_up = 0
        self.give(STARTED)

    def give(self, happened: Input) -> None:
        self.take(self.floor.apply(happened, self.now))

    def take(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Pause():
                    assert not self.duplex, "the user's speech holds nothing up"
                    self.paused = True
                case Resume():
                    assert self.paused, "what goes on was held up"
                    self.paused = False
                case Cut(response_id):
                    assert response_id not in self.cut, "once for each response"
                    assert response_id in self.begun, "by the name of one that has begun"
                    self.cut.append(response_id)
                    self.paused = False
                case Deliver(AudioChunk(response_id=response_id) | AudioDone(response_id)):
                    assert response_id not in self.cut, "nothing of a cut reply"
                case GaveUp():
                    self.gave_up += 1

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind} {self.count}"

    @invariant()
    def pauses_are_known(self) -> None:
        if hasattr(self, "floor"):
            assert self.floor.sound.paused == self.paused
            assert not self.paused or self.floor.next_deadline(self.now) is not None, "no pause without a limit"

    # -- the user

    @precondition(lambda self: not self.speaking)
    @rule()
    def begins_to_speak(self) -> None:
        self.speaking = True
        if not self.provider.server_turns:
            self.give(Heard(SpeechStarted()))
            self.give(TurnBegins(by_key=False))
        elif self.provider.reports_speech and not self.away:
            self.give(SpeechStarted())
        else:
            self.give(Heard(SpeechStarted()))

    @precondition(lambda self: self.speaking)
    @rule()
    def falls_silent(self) -> None:
        self.speaking = False
        if not self.provider.server_turns:
            self.give(Heard(SpeechStopped()))
            self.asked.append(self.name("turn"))
            self.give(TurnEnds(self.asked[-1], by_silence=True))
        elif self.provider.reports_speech and not self.away:
            self.give(SpeechStopped())
        else:
            self.give(Heard(SpeechStopped()))

    @precondition(lambda self: not self.provider.server_turns and not self.speaking)
    @rule()
    def coughs(self) -> None:
        self.give(Heard(SpeechStarted()))
        self.give(Heard(SpeechStopped(is_turn=False)))

    @precondition(lambda self: self.provider.server_turns and not self.duplex)
    @rule(lasts=st.booleans())
    def may_be_a_voice(self, lasts: bool) -> None:
        self.give(VoiceSuspected(lasts))

    @rule(text=st.sampled_from(["", "Wait"]), final=st.booleans())
    def words_come(self, text: str, final: bool) -> None:
        self.give(TranscriptUpdate("user", "u", text, final))

    @rule()
    def there_were_no_words(self) -> None:
        self.give(Notice("no_speech", ""))

    @rule()
    def writes(self) -> None:
        self.asked.append(self.name("text"))
        self.give(TextSent(self.asked[-1]))

    @rule()
    def key_is_pressed(self) -> None:
        self.give(TurnBegins(by_key=True))
        self.asked.append(self.name("turn"))
        self.give(TurnEnds(self.asked[-1]))

    @rule()
    def audio_ends(self) -> None:
        self.give(AudioEnded())

    @rule()
    def takes_the_turn_back(self) -> None:
        self.speaking = False
        self.give(AudioCleared())

    @rule(is_heard=st.booleans())
    def stops_the_reply(self, is_heard: bool) -> None:
        self.give(Stop(is_heard))
        assert self.floor.reply(self.now) in {Reply.NONE, Reply.POSSIBLE}

    # -- the provider

    @precondition(lambda self: self.running is None and not self.away)
    @rule(size=st.integers(0, 5))
    def responds(self, size: int) -> None:
        self.running, self.called = self.name("response"), False
        self.begun.append(self.running)
        answers, self.asked = tuple(self.asked[:size]), self.asked[size:]
        cut = len(self.cut)
        self.give(ResponseStarted(self.running, answers if self.names else ()))
        hit = self.cut[cut:]
        assert len(hit) <= 1 or self.running not in hit, "one that answers a voice is not cut with what it interrupts"

    @precondition(lambda self: self.running is not None)
    @rule(size=st.integers(1, 3))
    def sounds(self, size: int) -> None:
        assert self.running
        self.give(AudioChunk(SECOND * size, self.running, f"item of {self.running}"))

    @precondition(lambda self: self.running is not None)
    @rule()
    def calls_a_tool(self) -> None:
        self.calls.append(self.name("call"))
        self.called = True
        self.give(ToolCallRequest(self.calls[-1], "tool", "{}"))

    @precondition(lambda self: self.calls)
    @rule(taken_back=st.booleans())
    def a_tool_is_over(self, taken_back: bool) -> None:
        call = self.calls.pop()
        if taken_back:
            self.give(ToolCallCancelled(call))
        else:
            self.asked.append(self.name("result"))
            self.give(ToolAnswered(call, self.asked[-1]))

    @rule()
    def asks_for_approval(self) -> None:
        self.approvals.append(self.name("approval"))
        self.give(ApprovalRequest(self.approvals[-1], "tool", "{}", "server"))

    @precondition(lambda self: self.approvals)
    @rule()
    def is_approved(self) -> None:
        self.give(ApprovalAnswered(self.approvals.pop(), "once"))

    @precondition(lambda self: self.running is not None and not self.away)
    @rule(status=st.sampled_from(["completed", "cancelled", "incomplete", "failed"]))
    def is_done(self, status: str) -> None:
        assert self.running
        response_id, self.running = self.running, None
        self.give(ResponseDone(response_id, status, awaits_tools=self.called and status == "completed"))  # type: ignore[arg-type]

    @precondition(lambda self: self.begun)
    @rule(which=st.integers(0, 9))
    def interrupts(self, which: int) -> None:
        self.give(Interrupted(self.begun[which % len(self.begun)]))

    # -- the line and the clock

    @rule()
    def the_line_is_lost(self) -> None:
        self.away = True
        self.give(Reconnecting(1, 0.1, "gone"))

    @precondition(lambda self: self.away)
    @rule()
    def the_line_is_back(self) -> None:
        self.away = False
        self.speaking = self.speaking and not (self.provider.server_turns and self.provider.reports_speech)
        self.give(replace(STARTED, resumed=True))

    @rule(seconds=st.sampled_from([0.1, 1.0, 3.0, 3.5, 31.0]))
    def time_passes(self, seconds: float) -> None:
        until = self.now + seconds
        for _ in range(100):
            deadline = self.floor.next_deadline(self.now)
            if deadline is None or deadline > until:
                break
            self.now = max(self.now, deadline)
            self.take(self.floor.tick(self.now))
        else:
            raise AssertionError("a deadline that does not pass")
        self.now = until

    def teardown(self) -> None:
        if not hasattr(self, "floor"):
            return
        if self.away:
            self.the_line_is_back()
        if self.speaking:
            self.falls_silent()
        while self.calls:
            self.a_tool_is_over(taken_back=True)
        while self.approvals:
            self.is_approved()
        owed = self.floor.obligations.pending
        gave_up = self.gave_up
        if self.running is not None:
            self.is_done("completed")
        self.time_passes(3 * TIMEOUT_S)
        assert not self.paused
        assert self.floor.reply(self.now) is Reply.NONE
        assert not self.floor.awaits_reply(self.now)
        assert self.floor.user is User.SILENT
        assert self.floor.next_deadline(self.now) is None
        assert self.floor.state(self.now).assistant == "listening"
        if owed and not self.called:
            assert self.gave_up > gave_up, "no confirmed turn stays without an answer or word of that"


Conversation.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
TestAnyConversation = Conversation.TestCase
