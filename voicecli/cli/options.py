"""The options that every conversation takes, and the settings they make."""

import functools
import inspect
import os
import re
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from voicecli.audio import EchoMode
from voicecli.cli.exit import ExitStatus
from voicecli.config import (
    ClientVAD,
    Eagerness,
    Effort,
    MCPServer,
    NoiseReduction,
    RealtimeConfig,
    Reconnect,
    Retention,
    SemanticVAD,
    Sensitivity,
    ServerVAD,
    VADEngine,
    VADMode,
)
from voicecli.credentials import is_header_text
from voicecli.errors import ConfigurationError, RealtimeError
from voicecli.ports import Provider
from voicecli.providers import choose_provider, find_provider

__all__ = ["Choices", "Devices", "conversation", "named_by_options", "takes_conversation_options"]

_TURNS = "Turns"
_MODEL = "Model and answer"
_LOCAL = "Local engine"
_GEMINI = "Gemini"
_OPENAI = "OpenAI"
_CONNECTION = "Connection"

_OPTIONS = {
    "background_tools": "background_tool",
    "client_vad.engine": "vad_engine",
    "client_vad.hangover_ms": "silence_ms",
    "client_vad.min_speech_ms": "min_speech_ms",
    "connect_timeout_s": "connect_timeout",
    "debug_file": "debug",
    "headers": "header",
    "mcp_servers": "mcp",
    "output": "text_only",
    "reasoning_effort": "effort",
    "reconnect.attempts": "reconnects",
    "response_timeout_s": "response_timeout",
    "system_prompt": "system",
    "tool_timeout_s": "tool_timeout",
    "truncation.ratio": "truncation",
    "turn_detection.eagerness": "eagerness",
    "turn_detection.end_sensitivity": "end_sensitivity",
    "turn_detection.idle_timeout_ms": "idle_timeout_ms",
    "turn_detection.interrupt_response": "interrupt",
    "turn_detection.silence_duration_ms": "silence_ms",
    "turn_detection.start_sensitivity": "start_sensitivity",
    "turn_detection.threshold": "vad_threshold",
    "vad_mode": "vad",
}
"""A setting, as errors name it -> the parameter of the option that makes it. The others are named as their setting."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What was chosen on the command line.

    Attributes:
        tools: the file whose functions are offered to the model.
        vad_given: whether the user said who finds the turns.
        given: the parameters of all options that stand on the command line.
    """

    provider: Provider
    config: RealtimeConfig
    tools: Path | None
    vad_given: bool
    given: frozenset[str] = frozenset()

    def for_recording(self) -> "Choices":
        """A recording goes in as fast as it is taken, which only turns found here can follow."""
        if self.vad_given:
            return self
        return replace(self, config=replace(self.config, vad_mode=VADMode.CLIENT))


@dataclass(frozen=True, slots=True)
class Devices:
    """Which devices, by number or a part of their name, and what is done against echo."""

    microphone: str | int | None = None
    speaker: str | int | None = None
    echo: EchoMode = "auto"


def conversation(
    *,
    provider: Annotated[
        str | None,
        typer.Option(
            "--provider",
            "-p",
            envvar="VOICE_PROVIDER",
            metavar="NAME",
            help="openai, gemini or local; the first that is set up without it.",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="See list-models.", metavar="NAME")] = None,
    voice: Annotated[str | None, typer.Option(help="See list-voices.", metavar="NAME")] = None,
    system: Annotated[str | None, typer.Option(help="The system prompt.", metavar="TEXT")] = None,
    language: Annotated[str | None, typer.Option(help="What is spoken: en, pt-BR ...", metavar="CODE")] = None,
    tools: Annotated[
        Path | None, typer.Option(help="Offer this Python file's public functions to the model.", metavar="FILE.py")
    ] = None,
    # -- turns
    vad: Annotated[
        VADMode | None,
        typer.Option(
            help="Who finds the turns: server (the provider), client (this program) or none (live: you push a key to "
            "talk).",
            metavar="WHO",
            show_default="server; client for recordings",
            rich_help_panel=_TURNS,
        ),
    ] = None,
    silence_ms: Annotated[
        int | None,
        typer.Option(help="Silence that ends a turn.", metavar="MS", show_default="500", rich_help_panel=_TURNS),
    ] = None,
    min_speech_ms: Annotated[
        int | None,
        typer.Option(
            help="Shorter sounds are noise (client).", metavar="MS", show_default="250", rich_help_panel=_TURNS
        ),
    ] = None,
    vad_engine: Annotated[
        VADEngine,
        typer.Option(help="webrtc, or silero for noisy rooms (client).", metavar="NAME", rich_help_panel=_TURNS),
    ] = "webrtc",
    vad_threshold: Annotated[
        float | None,
        typer.Option(help="0 to 1: how sure it must be of speech (OpenAI).", metavar="PART", rich_help_panel=_TURNS),
    ] = None,
    start_sensitivity: Annotated[
        Sensitivity | None,
        typer.Option(help="low or high: how readily speech starts (Gemini).", metavar="LEVEL", rich_help_panel=_TURNS),
    ] = None,
    end_sensitivity: Annotated[
        Sensitivity | None,
        typer.Option(help="low or high: how readily speech ends (Gemini).", metavar="LEVEL", rich_help_panel=_TURNS),
    ] = None,
    eagerness: Annotated[
        Eagerness | None,
        typer.Option(
            help="Find turns by their meaning, this eagerly: low, medium, high or auto (OpenAI).",
            metavar="LEVEL",
            rich_help_panel=_TURNS,
        ),
    ] = None,
    idle_timeout_ms: Annotated[
        int | None,
        typer.Option(help="Speak up after so much silence (OpenAI).", metavar="MS", rich_help_panel=_TURNS),
    ] = None,
    interrupt: Annotated[bool, typer.Option(help="Whether speech stops the reply.", rich_help_panel=_TURNS)] = True,
    # -- model and answer
    text_only: Annotated[
        bool, typer.Option("--text-only", help="Answer in writing, where the model can.", rich_help_panel=_MODEL)
    ] = False,
    temperature: Annotated[float | None, typer.Option(help="0 to 2 (Gemini, local).", rich_help_panel=_MODEL)] = None,
    max_output_tokens: Annotated[int | None, typer.Option(help="For each answer.", rich_help_panel=_MODEL)] = None,
    speed: Annotated[
        float | None, typer.Option(help="Of the voice, 0.25 to 1.5 (OpenAI, local).", rich_help_panel=_MODEL)
    ] = None,
    effort: Annotated[
        Effort | None,
        typer.Option(
            help="How long the model may think: minimal, low, medium, high or xhigh.",
            metavar="LEVEL",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    tool_choice: Annotated[
        str, typer.Option(help="auto, none, required, or a tool's name.", metavar="CHOICE", rich_help_panel=_MODEL)
    ] = "auto",
    tool_timeout: Annotated[
        float, typer.Option(help="How long a tool may run.", metavar="SECONDS", rich_help_panel=_MODEL)
    ] = 30.0,
    # -- one provider's own
    transcription_model: Annotated[
        str | None,
        typer.Option(help="Writes down what you say; none for no transcript.", metavar="NAME", rich_help_panel=_OPENAI),
    ] = None,
    noise_reduction: Annotated[
        NoiseReduction | None,
        typer.Option(help="near_field for a headset, far_field for a room.", metavar="WHERE", rich_help_panel=_OPENAI),
    ] = None,
    truncation: Annotated[
        str | None,
        typer.Option(
            help="How a long conversation is cut: auto, disabled, or the part to keep (0.8).",
            metavar="HOW",
            rich_help_panel=_OPENAI,
        ),
    ] = None,
    mcp: Annotated[
        list[str] | None,
        typer.Option(help="An MCP server for OpenAI to call.", metavar="LABEL=URL", rich_help_panel=_OPENAI),
    ] = None,
    organization: Annotated[str | None, typer.Option(help="To be billed.", rich_help_panel=_OPENAI)] = None,
    google_search: Annotated[
        bool, typer.Option("--google-search", help="Let the model search.", rich_help_panel=_GEMINI)
    ] = False,
    code_execution: Annotated[
        bool, typer.Option("--code-execution", help="Let the model run code.", rich_help_panel=_GEMINI)
    ] = False,
    background_tool: Annotated[
        list[str] | None,
        typer.Option(help="Do not wait for this tool's result.", metavar="NAME", rich_help_panel=_GEMINI),
    ] = None,
    affective_dialog: Annotated[
        bool, typer.Option("--affective-dialog", help="Answer to the tone too.", rich_help_panel=_GEMINI)
    ] = False,
    proactive_audio: Annotated[
        bool, typer.Option("--proactive-audio", help="Let it ignore what is not meant for it.", rich_help_panel=_GEMINI)
    ] = False,
    llm: Annotated[
        str,
        typer.Option(
            help="smollm2, a .gguf file, or the URL of an OpenAI-compatible endpoint.",
            metavar="WHAT",
            rich_help_panel=_LOCAL,
        ),
    ] = "smollm2",
    llm_model: Annotated[
        str | None,
        typer.Option(
            help="The model's name at that URL; a key for it goes into VOICE_LLM_API_KEY.",
            metavar="NAME",
            rich_help_panel=_LOCAL,
        ),
    ] = None,
    # -- connection
    base_url: Annotated[
        str | None,
        typer.Option(help="Another server with this protocol.", metavar="URL", rich_help_panel=_CONNECTION),
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(help="To be sent along.", metavar="NAME:VALUE", rich_help_panel=_CONNECTION),
    ] = None,
    project: Annotated[str | None, typer.Option(help="OpenAI or Google Cloud.", rich_help_panel=_CONNECTION)] = None,
    location: Annotated[
        str | None, typer.Option(help="Google Cloud region (Vertex AI).", rich_help_panel=_CONNECTION)
    ] = None,
    api_version: Annotated[str | None, typer.Option(help="Of Gemini's API.", rich_help_panel=_CONNECTION)] = None,
    connect_timeout: Annotated[
        float, typer.Option(help="Until the provider is ready.", metavar="SECONDS", rich_help_panel=_CONNECTION)
    ] = 15.0,
    response_timeout: Annotated[
        float, typer.Option(help="Until an answer must come.", metavar="SECONDS", rich_help_panel=_CONNECTION)
    ] = 30.0,
    reconnects: Annotated[
        int, typer.Option(help="How often a lost connection is dialled again.", rich_help_panel=_CONNECTION)
    ] = 6,
    debug: Annotated[
        Path | None,
        typer.Option(
            help="Write every frame there, without the key and with sound shortened.",
            metavar="FILE",
            rich_help_panel=_CONNECTION,
        ),
    ] = None,
) -> Choices:
    """The settings these options make."""
    # First, as it allows less silence than the others, which have the same option.
    client_vad = ClientVAD(engine=vad_engine, **_given(hangover_ms=silence_ms, min_speech_ms=min_speech_ms))
    detection: ServerVAD | SemanticVAD
    if eagerness is not None:
        detection = SemanticVAD(eagerness=eagerness, interrupt_response=interrupt)
    else:
        detection = ServerVAD(
            threshold=vad_threshold,
            start_sensitivity=start_sensitivity,
            end_sensitivity=end_sensitivity,
            idle_timeout_ms=idle_timeout_ms,
            interrupt_response=interrupt,
            **_given(silence_duration_ms=silence_ms),
        )
    config = RealtimeConfig(
        model=model,
        voice=voice,
        system_prompt=system,
        language=language,
        vad_mode=vad or VADMode.SERVER,
        client_vad=client_vad,
        turn_detection=detection,
        output="text" if text_only else "audio",
        temperature=temperature,
        max_output_tokens=max_output_tokens,
        speed=speed,
        reasoning_effort=effort,
        tool_choice=tool_choice,
        tool_timeout_s=tool_timeout,
        transcription_model=transcription_model,
        noise_reduction=noise_reduction,
        truncation=_truncation(truncation),
        background_tools=tuple(background_tool or ()),
        mcp_servers=tuple(_mcp_server(text) for text in mcp or ()),
        organization=organization,
        google_search=google_search,
        code_execution=code_execution,
        affective_dialog=affective_dialog,
        proactive_audio=proactive_audio,
        llm=llm,
        llm_model=llm_model,
        llm_api_key=os.environ.get("VOICE_LLM_API_KEY"),  # a key on a command line is seen by every other user
        base_url=base_url,
        headers=dict(_header(text) for text in header or ()),
        project=project,
        location=location,
        api_version=api_version,
        connect_timeout_s=connect_timeout,
        response_timeout_s=response_timeout,
        reconnect=Reconnect(attempts=reconnects),
        debug_file=str(debug) if debug else None,
    )
    return Choices(_provider(provider), config, tools, vad_given=vad is not None)


def takes_conversation_options(command: Callable[..., ExitStatus]) -> Callable[..., ExitStatus]:
    """Give a command, after its own parameters, those of `conversation`; it gets what they make as `choices`.

    What is wrong with a setting is told by the option's name.
    """
    own = dict(inspect.signature(command).parameters)
    own.pop("choices")
    shared = inspect.signature(conversation).parameters

    @functools.wraps(command)
    def wrapper(ctx: typer.Context, **values: Any) -> ExitStatus:
        with named_by_options(ctx):
            choices = conversation(**{name: values.pop(name) for name in shared})
            given = frozenset(name for name in ctx.params if _source(ctx, name) == "COMMANDLINE")
            return command(choices=replace(choices, given=given), **values)

    # Typer reads both.
    hints = typing.get_type_hints(command, include_extras=True) | typing.get_type_hints(
        conversation, include_extras=True
    )
    wrapper.__annotations__ = {"ctx": typer.Context} | {name: hints[name] for name in (*own, *shared)}
    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    keyword_only = [parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in (*own.values(), *shared.values())]
    wrapper.__signature__ = inspect.Signature([context, *keyword_only])  # type: ignore[attr-defined]
    return wrapper


@contextmanager
def named_by_options(ctx: typer.Context) -> Iterator[None]:
    """Tell what is wrong with a setting by the name under which the user knows it.

    Settings are known by what stands before the colon ("client_vad.hangover_ms: 5 is not possible."), as all of
    voicecli writes it.

    Raises:
        typer.BadParameter: a value on the command line is wrong.
        ConfigurationError: a value from the environment is, or a package is missing.
    """
    try:
        yield
    except RealtimeError as error:
        options = {option.name: option for option in ctx.command.params if option.name}
        settings = {name: options[name] for name in options} | {
            setting: options[name] for setting, name in _OPTIONS.items() if name in options
        }
        # A single word may be meant as one ("the voice"), so that only those are replaced which none would write.
        long = [re.escape(setting) for setting in settings if not setting.isalpha()]
        error.advice = re.sub(rf"\b({'|'.join(long)})\b", lambda found: settings[found[0]].opts[0], error.advice)
        setting, colon, wrong = error.message.partition(": ")
        if not isinstance(error, ConfigurationError) or not colon or setting not in settings:
            raise
        option = settings[setting]
        source = _source(ctx, option.name)
        if source == "COMMANDLINE" and not isinstance(error.__cause__, ImportError):
            raise typer.BadParameter(f"{wrong} {error.advice}".strip(), param_hint=option.opts[0]) from error
        name = option.envvar if source == "ENVIRONMENT" else option.opts[0]
        raise ConfigurationError(f"{name}: {wrong}", advice=error.advice) from error


def _source(ctx: typer.Context, name: str | None) -> str:
    """Where a parameter's value comes from: "COMMANDLINE", "ENVIRONMENT" or "DEFAULT"."""
    source = ctx.get_parameter_source(name or "")
    return source.name if source is not None else "DEFAULT"


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _provider(name: str | None) -> Provider:
    if not name:
        return choose_provider()
    try:
        return find_provider(name)
    except ConfigurationError as error:
        raise ConfigurationError(f"provider: {error.message}", advice=error.advice) from error


def _truncation(text: str | None) -> Literal["auto", "disabled"] | Retention | None:
    match text:
        case None | "auto" | "disabled":
            return text
    try:
        return Retention(ratio=float(text))
    except ValueError as error:
        raise typer.BadParameter("auto, disabled, or a number from 0 to 1", param_hint="--truncation") from error


def _mcp_server(text: str) -> MCPServer:
    label, _, url = text.partition("=")
    try:
        return MCPServer(label=label, url=url)
    except ConfigurationError as error:
        raise ConfigurationError(error.message, advice=f"{error.advice} Write LABEL=URL.".strip()) from error


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        # Not repeated: a value put in the wrong place may be a secret.
        raise typer.BadParameter("write NAME:VALUE", param_hint="--header")
    if not is_header_text(text):
        raise typer.BadParameter("this has characters that HTTP does not allow", param_hint="--header")
    return name.strip(), value.strip()
