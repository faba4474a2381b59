"""The states of the floor, what can be heard of the user, and what each signal leads to in each state.

What an effect does is decided by the reply's state alone (`Floor._affect`):

    effect      RESPONDING                PLAYING                      PENDING            otherwise
    PAUSE       hold the sound up         hold the sound up            -                  -
    RESUME      let it go on              let it go on                 -                  -
    CUT         cut the reply             cut what is to be heard      -                  -
    INTERRUPT   as CUT                    as CUT                       cut as it begins   -
"""

from enum import Enum

__all__ = ["TABLE", "Effect", "Line", "Reply", "Signal", "User"]


class User(Enum):
    SILENT = "silent"
    MAYBE = "maybe"
    SPEAKING = "speaking"
    UNRESOLVED = "unresolved"


class Reply(Enum):
    NONE = "none"
    POSSIBLE = "possible"
    PENDING = "pending"
    RESPONDING = "responding"
    PLAYING = "playing"


class Line(Enum):
    UP = "up"
    AWAY = "away"


class Signal(Enum):
    """A sign of the user's speech, or of its end."""

    SUSPICION = "sound that may become a turn, or a voice that the provider has not told of"
    VOICE = "a turn whose words are told before anything comes of it"
    TURN = "a turn that interrupts at once"
    SPEECH = "speech that interrupts nothing, or that the provider sees to"
    CUT_IN = "a voice while the provider cannot hear it"
    SILENCE = "the end of speech, after which nothing more is to come"
    SILENCE_BEFORE_WORDS = "the end of speech; its words, or that there are none, are still to come"
    SILENCE_WITHOUT_NEWS = "the end of a voice of which the provider may yet tell words"
    WORDS = "what a voice said, or an answer to it"
    NO_WORDS = "none of the voices had words"
    DEADLINE = "nothing more is waited for"
    RESET = "what was said is taken back, or is heard anew"


class Effect(Enum):
    """The effect of a signal on the reply."""

    NOTHING = "-"
    PAUSE = "pause"
    RESUME = "resume"
    CUT = "cut"
    INTERRUPT = "interrupt"


_S, _U = Signal, User
TABLE: dict[User, dict[Signal, tuple[User, Effect]]] = {
    User.SILENT: {
        _S.SUSPICION: (_U.MAYBE, Effect.PAUSE),
        _S.VOICE: (_U.SPEAKING, Effect.PAUSE),
        _S.TURN: (_U.SPEAKING, Effect.INTERRUPT),
        _S.SPEECH: (_U.SPEAKING, Effect.NOTHING),
        _S.CUT_IN: (_U.SPEAKING, Effect.CUT),
        _S.SILENCE: (_U.SILENT, Effect.NOTHING),
        _S.SILENCE_BEFORE_WORDS: (_U.UNRESOLVED, Effect.NOTHING),
        _S.SILENCE_WITHOUT_NEWS: (_U.SILENT, Effect.NOTHING),
        _S.WORDS: (_U.SILENT, Effect.NOTHING),
        _S.NO_WORDS: (_U.SILENT, Effect.NOTHING),
        _S.DEADLINE: (_U.SILENT, Effect.NOTHING),
        _S.RESET: (_U.SILENT, Effect.NOTHING),
    },
    User.MAYBE: {
        _S.SUSPICION: (_U.MAYBE, Effect.PAUSE),
        _S.VOICE: (_U.SPEAKING, Effect.PAUSE),
        _S.TURN: (_U.SPEAKING, Effect.INTERRUPT),
        _S.SPEECH: (_U.SPEAKING, Effect.NOTHING),
        _S.CUT_IN: (_U.SPEAKING, Effect.CUT),
        _S.SILENCE: (_U.SILENT, Effect.RESUME),
        _S.SILENCE_BEFORE_WORDS: (_U.UNRESOLVED, Effect.NOTHING),
        _S.SILENCE_WITHOUT_NEWS: (_U.UNRESOLVED, Effect.RESUME),
        _S.WORDS: (_U.SPEAKING, Effect.CUT),
        _S.NO_WORDS: (_U.MAYBE, Effect.NOTHING),
        _S.DEADLINE: (_U.SILENT, Effect.RESUME),
        _S.RESET: (_U.SILENT, Effect.RESUME),
    },
    User.SPEAKING: {
        _S.SUSPICION: (_U.SPEAKING, Effect.NOTHING),
        _S.VOICE: (_U.SPEAKING, Effect.PAUSE),
        _S.TURN: (_U.SPEAKING, Effect.INTERRUPT),
        _S.SPEECH: (_U.SPEAKING, Effect.NOTHING),
        _S.CUT_IN: (_U.SPEAKING, Effect.CUT),
        _S.SILENCE: (_U.SILENT, Effect.NOTHING),
        _S.SILENCE_BEFORE_WORDS: (_U.UNRESOLVED, Effect.NOTHING),
        _S.SILENCE_WITHOUT_NEWS: (_U.SILENT, Effect.NOTHING),
        _S.WORDS: (_U.SPEAKING, Effect.CUT),
        _S.NO_WORDS: (_U.SPEAKING, Effect.RESUME),
        _S.DEADLINE: (_U.SILENT, Effect.RESUME),
        _S.RESET: (_U.SILENT, Effect.RESUME),
    },
    User.UNRESOLVED: {
        _S.SUSPICION: (_U.MAYBE, Effect.PAUSE),
        _S.VOICE: (_U.SPEAKING, Effect.PAUSE),
        _S.TURN: (_U.SPEAKING, Effect.INTERRUPT),
        _S.SPEECH: (_U.SPEAKING, Effect.NOTHING),
        _S.CUT_IN: (_U.SPEAKING, Effect.CUT),
        _S.SILENCE: (_U.UNRESOLVED, Effect.NOTHING),
        _S.SILENCE_BEFORE_WORDS: (_U.UNRESOLVED, Effect.NOTHING),
        _S.SILENCE_WITHOUT_NEWS: (_U.UNRESOLVED, Effect.NOTHING),
        _S.WORDS: (_U.SILENT, Effect.CUT),
        _S.NO_WORDS: (_U.SILENT, Effect.RESUME),
        _S.DEADLINE: (_U.SILENT, Effect.RESUME),
        _S.RESET: (_U.SILENT, Effect.RESUME),
    },
}
