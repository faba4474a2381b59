"""Events on their way to everybody who listens: handlers, iterations, the transcript, and a call that waits."""

import asyncio
import weakref
from collections import deque
from collections.abc import Iterable, Sequence

from voicecli.conversation.handlers import MOST_WAITING, HandlerLanes, Handlers
from voicecli.conversation.logs import Logs
from voicecli.conversation.response import Answer
from voicecli.errors import RealtimeError
from voicecli.events import (
    AudioChunk,
    ErrorOccurred,
    Event,
    Interrupted,
    SessionEnded,
    SessionStarted,
    TranscriptUpdate,
)
from voicecli.transcript import Transcript, Turn

__all__ = ["Audience", "Subscription"]

# Events kept for an iteration that begins after the conversation did.
_BACKLOG = 1024


class Subscription:
    """One `async for` over a session. One that is left standing ends with an error instead of eating the memory."""

    def __init__(self, backlog: Iterable[Event] = ()) -> None:
        self._waiting = deque(backlog)
        self._failure: RealtimeError | None = None
        self._finished = False
        self._news = asyncio.Event()  # something waits, or it is finished

    @property
    def waiting(self) -> int:
        """The number of events that have not been read."""
        return len(self._waiting)

    def put(self, event: Event) -> None:
        if self._finished:
            return
        self._waiting.append(event)
        self._news.set()
        if len(self._waiting) >= MOST_WAITING:
            self.finish(
                RealtimeError(
                    f"{MOST_WAITING} events of the conversation were not read, and later ones are lost.",
                    advice="Read them as they come, or leave the iteration.",
                )
            )

    def finish(self, failure: RealtimeError | None) -> None:
        if not self._finished:
            self._finished, self._failure = True, failure
            self._news.set()

    def __aiter__(self) -> "Subscription":
        return self

    async def __anext__(self) -> Event:
        while not self._waiting:
            if self._finished:
                if self._failure is not None:
                    raise self._failure
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()


class Audience:
    """Everybody who is told of a session's events.

    Args:
        handlers: the program's.
        history: turns that the transcript begins with.
        logs: told of every event before anybody else.

    Attributes:
        transcript: the conversation so far.
        answer: collects the events of the answer that a call waits for.
        failure: what ended the conversation, or None.
        failure_told: whether somebody has been told of it.
    """

    def __init__(self, handlers: Handlers, history: Sequence[Turn], logs: Logs) -> None:
        self.transcript = Transcript(history)
        self.answer: Answer | None = None
        self.failure: RealtimeError | None = None
        self.failure_told = False
        self._handlers = handlers
        self._logs = logs
        self._lanes = HandlerLanes(handlers)
        # Those that somebody still holds. Replaced when it changes, so that it can be gone through at any time.
        self._subscriptions: tuple[weakref.ref[Subscription], ...] = ()
        self._backlog: deque[Event] | None = None if handlers.any() else deque(maxlen=_BACKLOG)
        self._over = False
        self._inputs = 0
        self._told_before = len(self.transcript.turns)

    @property
    def hears_audio(self) -> bool:
        """Whether somebody takes the reply's sound as it comes."""
        return len(self._handlers.of("audio")) > 0 or len(self._subscriptions) > 0

    @property
    def reads_questions(self) -> bool:
        """Whether somebody iterates who could answer a question, or may begin to while it waits."""
        return len(self._subscriptions) > 0 or (self.answer is None and self._backlog is not None)

    def subscribe(self) -> Subscription:
        """A new iteration; the first one gets what was told before it."""
        subscription = Subscription(self._backlog or ())
        self._backlog = None
        self._subscriptions += (weakref.ref(subscription, self._forget),)
        if self._over:
            self.failure_told = True
            subscription.finish(self.failure)
        return subscription

    def collect(self) -> Answer:
        """From now on events make up an answer; nobody will iterate over those before."""
        self._backlog = None
        before = self.transcript.turns[self._told_before :]  # names are unique in one conversation only
        self.answer = Answer(others={turn.item_id for turn in before if turn.role == "assistant"})
        return self.answer

    def new_input(self) -> str:
        """An id for an input; it is one of the answer that a call waits for."""
        self._inputs += 1
        input_id = f"input_{self._inputs}"
        if self.answer is not None:
            self.answer.inputs.add(input_id)
        return input_id

    def tell(self, event: Event) -> None:
        """Tell everybody, unless the conversation is over. Never waits."""
        if self._over:
            return
        self._logs.event(event)
        if not isinstance(event, AudioChunk):
            self.transcript.apply(event)
        if self.answer is not None:
            self.answer.add(event)
        if self._backlog is not None:
            self._backlog.append(event)
        for held in self._subscriptions:
            if (subscription := held()) is not None:
                subscription.put(event)
        match event:
            case AudioChunk(audio):
                self._lanes.call("audio", audio)
            case TranscriptUpdate(role, text=text, final=final) if text:
                self._lanes.call("transcript", text, final, role)
            case Interrupted():
                self._lanes.call("interrupted")
            case SessionStarted(resumed=False):
                self._lanes.call("connect")
            case SessionEnded():
                self._lanes.call("disconnect")
            case ErrorOccurred(error):
                self._lanes.call("error", error)

    def _forget(self, gone: "weakref.ref[Subscription]") -> None:
        self._subscriptions = tuple(held for held in self._subscriptions if held is not gone)

    def discard_audio(self) -> None:
        """Forget the sound that waits for slow handlers."""
        self._lanes.discard("audio")

    def end(self, last: SessionEnded, failure: RealtimeError | None) -> None:
        """The conversation is over: `last` is the last event."""
        self.failure = failure
        if failure is not None:
            self.failure_told = bool(self._handlers.of("error")) or len(self._subscriptions) > 0
            self._lanes.call("error", failure)
        self.tell(last)
        self._over = True
        for held in self._subscriptions:
            if (subscription := held()) is not None:
                subscription.finish(failure)

    async def aclose(self) -> None:
        """Let handlers finish."""
        await self._lanes.aclose()
