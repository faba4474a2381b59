"""Inputs of the floor, and the actions that come out of it."""

from dataclasses import dataclass

from voicecli.audio import Playhead
from voicecli.commands import CancelScope
from voicecli.events import Event, SpeechStarted, SpeechStopped

__all__ = [
    "Action",
    "AnswerExpected",
    "AnswerRead",
    "AskAgain",
    "AudioCleared",
    "AudioEnded",
    "CancelPending",
    "Cut",
    "Deliver",
    "GaveUp",
    "Heard",
    "Input",
    "Pause",
    "ResolveTurn",
    "Resume",
    "Rules",
    "SoundHeard",
    "Stop",
    "TextSent",
    "ToolAnswered",
    "TurnBegins",
    "TurnEnded",
    "TurnEnds",
    "VoiceSuspected",
]


@dataclass(frozen=True, slots=True)
class Rules:
    """The provider and the configuration, as far as the floor must know them.

    Attributes:
        server_turns: whether the provider finds the user's turns (VADMode.SERVER).
        interrupts: whether speech interrupts a reply.
        auto_reply: whether the provider answers the turns that it finds by itself.
        reports_speech, words_first: as in `Capabilities`.
        output_rate: of the reply's audio, in Hz.
        response_timeout_s: how long nothing may happen while an answer is owed, or a reply is paused, in seconds.
        wants_sound: whether the reply's sound is delivered; otherwise only its length counts.
    """

    output_rate: int
    response_timeout_s: float
    server_turns: bool = True
    interrupts: bool = True
    auto_reply: bool = True
    reports_speech: bool = True
    words_first: bool = False
    wants_sound: bool = True


# -- inputs: what the user and the program do


@dataclass(frozen=True, slots=True)
class Heard:
    """The session's own detector tells of speech.

    Attributes:
        by_silence: whether it ended by the silence after it; otherwise it was broken off.
    """

    event: SpeechStarted | SpeechStopped
    by_silence: bool = True


@dataclass(frozen=True, slots=True)
class VoiceSuspected:
    """The session's own detector hears what may be a voice, or hears it no more, while the provider finds the turns."""

    lasts: bool


@dataclass(frozen=True, slots=True)
class TurnBegins:
    """A turn of the user's begins.

    Attributes:
        by_key: whether the program says so; otherwise it was found here.
    """

    by_key: bool


@dataclass(frozen=True, slots=True)
class TurnEnds:
    """The user has finished: an answer is owed."""

    input_id: str
    by_silence: bool = False


@dataclass(frozen=True, slots=True)
class AudioEnded:
    """The audio is over; whether a turn is, the provider will say.

    Attributes:
        realtime: whether it was sent as it was spoken, by somebody who may go on.
    """

    realtime: bool = False


@dataclass(frozen=True, slots=True)
class AudioCleared:
    """The audio since the turn began is taken back."""


@dataclass(frozen=True, slots=True)
class TextSent:
    """A turn in writing is on its way: an answer is owed."""

    input_id: str


@dataclass(frozen=True, slots=True)
class AnswerExpected:
    """Whoever sent the audio expects an answer to it, even where only the provider knows whether there was speech.

    Attributes:
        since: how many answers were complete when the audio began.
    """

    since: int


@dataclass(frozen=True, slots=True)
class AnswerRead:
    """Whoever asked has been handed the whole answer: nothing of it is unheard."""


@dataclass(frozen=True, slots=True)
class SoundHeard:
    """Whoever plays the reply says that its first sound has just become audible."""


@dataclass(frozen=True, slots=True)
class ToolAnswered:
    """The result of a tool is on its way."""

    call_id: str
    input_id: str


@dataclass(frozen=True, slots=True)
class Stop:
    """The program stops the reply, and the answers that are still to come.

    Attributes:
        is_heard: whether the program says what was heard of it, so that there is something to cut.
    """

    is_heard: bool = False


Input = (
    Event
    | Heard
    | VoiceSuspected
    | TurnBegins
    | TurnEnds
    | AudioEnded
    | AudioCleared
    | TextSent
    | AnswerExpected
    | AnswerRead
    | SoundHeard
    | ToolAnswered
    | Stop
)


# -- actions: what is to be done


@dataclass(frozen=True, slots=True)
class Deliver:
    """Tell the program."""

    event: Event


@dataclass(frozen=True, slots=True)
class Pause:
    """Hold the reply's sound up, and keep what is unheard."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Let the reply's sound go on."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Stop the sound, tell Interrupted, and have the provider cut the response.

    Attributes:
        scope: "reply": it is being made; "playback": only what is to be heard of it is cut.
        is_certain: whether there is something to cut; otherwise that is so when some of it is unheard.
        playhead: where the listener is by the estimate; whoever plays the reply knows better.
    """

    response_id: str
    scope: CancelScope
    is_certain: bool
    playhead: Playhead | None = None


@dataclass(frozen=True, slots=True)
class CancelPending:
    """Have the provider drop the answers that are owed and have not begun."""


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The user's turn ended, for the measurement of how fast it is answered.

    Attributes:
        at: when the speech ended, in seconds.
        provisional: whether it may prove to have been a noise.
    """

    at: float
    provisional: bool


@dataclass(frozen=True, slots=True)
class ResolveTurn:
    """A provisional end of turn is confirmed, or was a false interruption."""

    was_turn: bool


@dataclass(frozen=True, slots=True)
class GaveUp:
    """Nothing happened for so long that no answer is expected any more."""


@dataclass(frozen=True, slots=True)
class AskAgain:
    """Have the provider answer what it has heard: it took the answer back, and nobody had spoken."""


Action = AskAgain | Deliver | Pause | Resume | Cut | CancelPending | TurnEnded | ResolveTurn | GaveUp
