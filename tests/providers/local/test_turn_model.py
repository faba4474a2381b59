"""Where a turn ends: by the words, by the language model, and what the engine makes of it."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.providers.local.fakes import FakeHearing, FakeModel, conversation, finals, shape, silence, speech
from tests.support.models import Models
from voicecli.commands import AppendAudio
from voicecli.errors import RealtimeError
from voicecli.events import Notice, ResponseDone
from voicecli.ports import Connection
from voicecli.providers.local.chat_model import Finish, Message
from voicecli.providers.local.pauses import longer_ms
from voicecli.providers.local.turn_model import Pause, SentenceEndModel, WordModel, hangs


@pytest.mark.parametrize(
    "text",
    [
        "I would like to book a table for",
        "So yesterday I went to the shop and,",
        "What I wanted to ask is, um.",
        "If the",
    ],
)
def test_words_after_which_a_sentence_goes_on(text: str) -> None:
    assert hangs(text)


@pytest.mark.parametrize(
    "text",
    ["Where are you from?", "What are you waiting for?", "Tell me a story.", "Stop.", "Can you do that for me?", ""],
)
def test_words_after_which_a_sentence_can_end(text: str) -> None:
    assert not hangs(text)


class Ends:
    """A language model that knows the chances of these texts; it fails for others."""

    def __init__(self, chances: dict[str, float | None]) -> None:
        self.chances = chances

    async def end_chance(self, messages: Sequence[Message]) -> float | None:
        try:
            return self.chances[messages[-1].text]
        except KeyError:
            raise RealtimeError("It broke.") from None


def paused(text: str) -> Pause:
    return Pause(text, [Message("user", text)])


async def test_the_language_model_is_asked_without_the_marks_that_the_recognizer_guessed() -> None:
    model = SentenceEndModel(Ends({"How old is it": 0.9, "I like the old": 0.001}))
    assert await model.end_chance(paused("How old is it,")) == 0.9
    assert await model.end_chance(paused("I like the old.")) == 0.001


async def test_the_language_model_is_not_asked_where_the_last_word_shows_that_the_sentence_goes_on() -> None:
    assert await SentenceEndModel(Ends({"A table for": 0.9})).end_chance(paused("A table for.")) == 0


async def test_the_last_word_decides_where_the_language_model_cannot_tell() -> None:
    model = SentenceEndModel(Ends({"Go to the": None, "Go home": None}))
    assert await model.end_chance(paused("Go to the")) == 0
    assert await model.end_chance(paused("Go home")) == 1
    assert await model.end_chance(paused("Another text")) == 1  # it fails
    assert await model.end_chance(Pause("Longer than can be asked about, and")) == 0


def test_the_likelier_the_end_the_shorter_the_pause() -> None:
    assert [longer_ms(chance) for chance in (1, 0.5, 0.1, 0.01, 0)] == [0, 0, 300, 1000, 1000]


async def test_the_built_in_model_knows_where_sentences_end_and_need_not_read_them_again(models: Models) -> None:
    messages = [
        Message("system", "You are a voice assistant. Be brief."),
        *models.model.examples,
    ]
    chances = []
    for text in ("What is the capital of France", "I would like to know the", "We could go by train or"):
        chances.append(await models.model.end_chance([*messages, Message("user", text)]))
    complete, *going_on = chances
    assert complete is not None
    assert complete > 0.5
    assert all(chance is not None and chance < 0.02 for chance in going_on)

    question = [*messages, Message("user", "What is the capital of Italy")]
    await models.model.end_chance(question)
    finish = [delta async for delta in models.model.stream([*messages, Message("user", f"{question[-1].text}?")])][-1]
    assert isinstance(finish, Finish)
    # All but the mark, the template's end of a message and its beginning of the next.
    assert finish.usage.input_text_tokens - finish.usage.cached_text_tokens < 10


async def live(connection: Connection, audio: bytes) -> None:
    """Send it as a microphone does."""
    for start in range(0, len(audio), 640):
        await connection.send(AppendAudio(audio[start : start + 640], realtime=True))
    await connection.drain()


async def test_a_pause_in_a_sentence_that_goes_on_may_last_longer() -> None:
    hearing = FakeHearing(["I went to the", "I went to the shop."])
    model = FakeModel([["Guess."], ["Right."]])
    async with conversation(model, hearing, turn_model=WordModel()) as (connection, events):
        await live(connection, speech(600) + silence(160))
        while not model.asked:  # by now the words are judged
            await asyncio.sleep(0.001)
        await live(connection, silence(1200) + speech(400) + silence(160))
        while len(model.asked) < 2:
            await asyncio.sleep(0.001)
        await live(connection, silence(400))
        await events.until_seen(ResponseDone)
    assert finals(events.seen, "user") == ["I went to the shop."]


async def test_a_sentence_that_goes_on_is_not_waited_for_without_end() -> None:
    model = FakeModel([["To where?"]])
    async with conversation(model, FakeHearing(["I went to the"]), turn_model=WordModel()) as (connection, events):
        await live(connection, speech(600) + silence(160))
        while not model.asked:
            await asyncio.sleep(0.001)
        await live(connection, silence(1200))
        await connection.drain()
        assert shape(events.seen) == ["SessionStarted", "SpeechStarted"]
        await live(connection, silence(200))
        await events.until_seen(ResponseDone)


async def test_a_recording_has_the_turns_that_silence_finds() -> None:
    hearing = FakeHearing(["I went to the", "shop."])
    async with conversation(FakeModel([["A."], ["B."]]), hearing, turn_model=WordModel()) as (connection, events):
        await connection.send(AppendAudio(speech(600) + silence(1200)))
        await connection.send(AppendAudio(speech(600) + silence(1200)))
        await events.until(lambda: finals(events.seen, "user") == ["I went to the", "shop."])


async def test_noise_ends_after_the_usual_silence() -> None:
    async with conversation(FakeModel([]), hearing := FakeHearing([""]), turn_model=WordModel()) as (
        connection,
        events,
    ):
        await live(connection, speech(600) + silence(160))
        while not hearing.heard:
            await asyncio.sleep(0.001)
        await connection.drain()
        await live(connection, silence(400))
        await events.until_seen(Notice)


async def test_the_recognizer_hears_the_end_of_what_is_guessed_early() -> None:
    hearing = FakeHearing(["Rex."])
    async with conversation(FakeModel([["A."]]), hearing) as (connection, events):
        await live(connection, speech(640) + silence(600))
        await events.until_seen(ResponseDone)
    assert hearing.heard == [speech(640) + silence(96 + 150)]


async def test_of_a_very_long_turn_the_last_words_count() -> None:
    hearing = FakeHearing(["to the", "All of it."])
    async with conversation(FakeModel([["A."]]), hearing, turn_model=WordModel()) as (connection, events):
        await live(connection, speech(21_000) + silence(160))
        while not hearing.heard:
            await asyncio.sleep(0.001)
        await connection.drain()
        await live(connection, silence(1200))
        await connection.drain()
        assert "SpeechStopped" not in shape(events.seen)
        await live(connection, silence(200))
        await events.until_seen(ResponseDone)
    assert len(hearing.heard[0]) == 32 * 5000


class Listens:
    """Goes by the sound: finished when the turn is longer than two seconds."""

    needs_words = False

    async def end_chance(self, pause: Pause) -> float:
        return float(len(pause.audio) > 32 * 2000)

    async def aclose(self) -> None:
        return


async def test_the_sound_decides_also_while_the_reply_before_is_made() -> None:
    never = asyncio.Event()
    model = FakeModel([["One. ", never], ["Two."]])
    async with conversation(model, FakeHearing(["First.", "Second."]), turn_model=Listens()) as (connection, events):
        await live(connection, speech(2500) + silence(160))
        while model.streaming != 1:
            await asyncio.sleep(0.001)
        await live(connection, silence(400) + speech(500) + silence(1300))
        await connection.drain()
        assert shape(events.seen).count("SpeechStopped") == 1
        await live(connection, silence(300))
        await events.until(lambda: shape(events.seen).count("SpeechStopped") == 2)
