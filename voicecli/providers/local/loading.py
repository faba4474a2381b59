"""Loads the offline engine's models, all at once, and begins a conversation with them."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

from voicecli.audio.smart_turn import SmartTurn
from voicecli.audio.speech_to_text import Moonshine, SpeechToText
from voicecli.config import RealtimeConfig, ServerVAD, VADMode
from voicecli.events import Notice
from voicecli.ports import Capabilities, ConversationSetup
from voicecli.providers.ignored import ignored_setting, ignored_settings
from voicecli.providers.local.chat_model import ChatModel
from voicecli.providers.local.engine import LocalConnection, tools_unsupported
from voicecli.providers.local.language_model import LanguageModel, load_language_model, memory_for
from voicecli.providers.local.llama import LlamaModel
from voicecli.providers.local.pauses import PauseLengths
from voicecli.providers.local.server_search import find_servers
from voicecli.providers.local.settings import BUILT_IN
from voicecli.providers.local.setup import is_url, lacks
from voicecli.providers.local.speech_probability import speech_probability
from voicecli.providers.local.tts import TextToSpeech
from voicecli.providers.local.turn_detection import TurnDetector
from voicecli.providers.local.turn_model import SentenceEndModel, SentenceEnds, SoundModel, TurnModel, WordModel
from voicecli.providers.local.voices import load_voice

__all__ = ["connect_with", "notices_for"]

# Less of what came before the first word costs its first sound.
_PRE_ROLL_MS = 480

_TINY_MODEL = (
    "The built-in language model is tiny and often wrong. "
    "For a better one: voice models pull qwen3-1.7b, then --llm qwen3-1.7b; or start Ollama, or give --llm PATH.gguf"
)


async def connect_with(
    setup: ConversationSetup, llm: str | None, voice: str, capabilities: Capabilities
) -> LocalConnection:
    """Load everything and begin.

    Args:
        llm: "smollm2", the name of a download, the path of a .gguf file, or an endpoint's URL; None for the model of a
            server on this machine, or else the built-in one.
        voice: "joe", the name of a download, or the path of an .onnx file.
        capabilities: of the engine with a model that calls tools.

    Raises:
        RealtimeError: something cannot be loaded, fetched or reached.
    """
    config = setup.config
    # Before all else: what loads meanwhile would take of the little time that servers have to answer.
    servers = await find_servers() if llm is None else []
    async with AsyncExitStack() as loaded:

        async def load_hearing() -> SpeechToText:
            hearing = await Moonshine.load()
            loaded.push_async_callback(hearing.aclose)
            return hearing

        async def load_model() -> LanguageModel:
            language = await load_language_model(setup, llm, servers)
            loaded.push_async_callback(language.model.aclose)
            return language

        async def load_speech() -> TextToSpeech | None:
            if config.output == "text":
                return None
            speech = await load_voice(voice, speed=config.speed or 1.0)
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
        language = model_task.result()
        model = language.model
        sentence_ends = language.unfiltered if isinstance(language.unfiltered, LlamaModel) else None
        detector = _detector(config)
        if (turn_model := await _turn_model(config, sentence_ends)) is not None:
            loaded.push_async_callback(turn_model.aclose)
        connection = LocalConnection(
            language.setup,
            capabilities=replace(capabilities, tools=model.tools),
            voice=voice,
            hearing=hearing_task.result(),
            model=model,
            speech=speech_task.result(),
            memory=memory_for(setup, language.llm, model),
            detector=detector,
            pauses=PauseLengths(turn_model, _silence_ms(config), detector.set_silence) if turn_model else None,
            notices=[
                *language.notices,
                *notices_for(language.setup, language.llm, model),
                *_turn_model_notices(config, sentence_ends),
            ],
        )
        loaded.pop_all()  # the connection closes them from now on
        return connection


async def _turn_model(config: RealtimeConfig, sentence_ends: SentenceEnds | None) -> TurnModel | None:
    if config.vad_mode is not VADMode.SERVER or config.turn_model == "silence":
        return None
    if config.turn_model == "smart-turn":
        return SoundModel(await SmartTurn.load())
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
        speech_probability(),
        automatic=automatic,
        silence_ms=_silence_ms(config),
        pre_roll_ms=max(vad.prefix_padding_ms or 0, _PRE_ROLL_MS),
        threshold=0.5 if vad.threshold is None else vad.threshold,
    )


def notices_for(setup: ConversationSetup, llm: str, model: ChatModel) -> list[Notice]:
    """Notices about settings that the engine or its model lacks, and about the model."""
    config = setup.config
    notices = []
    if llm == BUILT_IN:
        notices.append(Notice("tiny_model", _TINY_MODEL, daily=True))
    if setup.tools and not model.tools:
        notices.append(tools_unsupported(model))
    if config.language is not None and config.language.split("-")[0].lower() != "en":
        notices.append(
            Notice(
                "language_unsupported", f"The offline engine hears and speaks English only, not {config.language!r}."
            )
        )
    notices += ignored_settings(config, lacks(config))
    if config.tool_choice != "auto" and setup.tools and not is_url(llm):
        notices.append(ignored_setting("tool_choice", f"{model.name} chooses"))
    return notices
