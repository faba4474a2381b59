import pytest

from voicecli.conversation.latency import TurnClock
from voicecli.events import Usage
from voicecli.pricing import Prices, with_cost

PRICES = Prices(
    text_in=4, text_cached=0.4, text_out=24, audio_in=32, audio_cached=0.4, audio_out=64, image_in=5, image_cached=0.5
)


def test_cached_tokens_are_a_part_of_the_input() -> None:
    usage = Usage(
        input_text_tokens=1000,
        cached_text_tokens=400,
        input_audio_tokens=500,
        cached_audio_tokens=100,
        output_text_tokens=200,
        output_audio_tokens=300,
        input_image_tokens=10,
    )
    expected = (600 * 4 + 400 * 0.4 + 400 * 32 + 100 * 0.4 + 10 * 5 + 200 * 24 + 300 * 64) / 1e6
    assert with_cost(usage, PRICES).cost_usd == pytest.approx(expected)


def test_an_unknown_price_makes_the_cost_unknown_and_stays_so_in_sums() -> None:
    unknown = with_cost(Usage(output_text_tokens=1), None)
    assert unknown.cost_usd is None
    assert (Usage() + unknown).cost_usd is None
    assert with_cost(Usage(transcription_seconds=60), PRICES).cost_usd is None


def test_transcription_is_billed_by_the_minute() -> None:
    usage = with_cost(Usage(transcription_seconds=90), Prices(transcription_minute=0.0045))
    assert usage.cost_usd == pytest.approx(0.00675)


def test_usages_add_up() -> None:
    total = Usage(input_text_tokens=1, cost_usd=0.5) + Usage(input_text_tokens=2, cost_usd=0.25, approximate=True)
    assert total == Usage(input_text_tokens=3, cost_usd=0.75, approximate=True)


def test_latency_is_counted_from_the_end_of_the_turn_to_the_first_of_each() -> None:
    clock = TurnClock(24_000)
    clock.turn_ended(10.0)
    clock.text(10.1)
    clock.audio(10.3, 4800)
    clock.audio(10.5, 4800)
    assert clock.heard(10.45) == 450
    assert clock.heard(10.9) == 450
    clock.text(10.6)
    metrics = clock.done(11.0)
    assert (metrics.first_text_ms, metrics.first_audio_ms, metrics.first_heard_ms) == (100, 300, 450)
    assert (metrics.done_ms, metrics.audio_ms) == (1000, 200)
    clock.turn_ended(20.0)
    assert clock.done(20.5).first_audio_ms is None


def test_a_reply_to_nothing_has_no_latency() -> None:
    clock = TurnClock(24_000)
    clock.audio(1.0, 480)
    metrics = clock.done(2.0)
    assert metrics.first_audio_ms is None
    assert metrics.audio_ms == 10


def test_what_may_have_been_a_turn_counts_when_it_is_known_to_be_one() -> None:
    clock = TurnClock(24_000)
    clock.turn_ended(10.0)
    clock.response_started(10.5)
    clock.turn_may_have_ended(11.0)
    assert clock.done(12.0, awaits_tools=True).done_ms == 2_000
    clock.response_started(12.5)  # the same reply goes on
    clock.turn_may_have_ended(12.7)
    clock.resolve(False)
    assert clock.done(13.0).done_ms == 3_000
    clock.turn_may_have_ended(15.0)
    clock.response_started(15.5)
    assert clock.done(16.0).done_ms == 1_000
    clock.turn_may_have_ended(17.0)
    clock.resolve(True)
    clock.response_started(17.5)
    assert clock.done(18.0).done_ms == 1_000


def test_a_reply_that_comes_before_the_end_of_the_turn_is_known_answers_it() -> None:
    """Its silence takes longer to be noticed here than by the provider."""
    clock = TurnClock(24_000)
    clock.turn_ended(10.0)
    clock.response_started(10.4)
    clock.audio(10.5, 4_800)
    clock.heard(10.6)
    clock.done(11.0)
    clock.response_started(20.1)
    clock.text(20.2)
    clock.audio(20.3, 4_800)
    clock.turn_ended(20.0)
    assert clock.heard(20.4) == 400
    metrics = clock.done(21.0)
    assert (metrics.first_text_ms, metrics.first_audio_ms, metrics.first_heard_ms) == (200, 300, 400)
    assert metrics.audio_ms == 100


def test_a_reply_is_not_measured_from_a_turn_that_was_answered_before() -> None:
    clock = TurnClock(24_000)
    clock.turn_ended(10.0)
    clock.response_started(10.4)
    clock.done(11.0)
    clock.response_started(16.0)
    clock.audio(16.1, 4_800)
    assert clock.heard(16.2) is None
    assert clock.done(17.0).first_audio_ms is None


def test_the_end_of_a_reply_that_was_cut_answers_no_later_turn() -> None:
    clock = TurnClock(24_000)
    clock.turn_ended(10.0)
    clock.response_started(10.4)
    clock.turn_ended(12.0)
    clock.done(12.1)  # of the one that was cut
    clock.response_started(12.4)
    clock.audio(12.5, 4_800)
    assert clock.done(13.0).first_audio_ms == 500
