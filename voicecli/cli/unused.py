"""Options that were given and have no effect, with the reason: nobody shall wonder why nothing changes."""

from voicecli.cli.destinations import Destinations
from voicecli.cli.options import Choices
from voicecli.config import SemanticVAD, VADMode

__all__ = ["unused_options"]

_DETECTION = ("eagerness", "vad_threshold", "start_sensitivity", "end_sensitivity", "idle_timeout_ms")


def unused_options(
    choices: Choices,
    *,
    spoken: bool = True,
    live: bool = False,
    destinations: Destinations | None = None,
    sleeps: bool = False,
) -> list[str]:
    """A sentence for each of them. What the provider lacks of the common settings it tells by itself.

    Args:
        spoken: whether the user speaks at all, rather than write.
        live: whether the user speaks into a microphone, rather than in a recording.
        destinations: where words and sound go.
        sleeps: whether it sleeps until a word is said.
    """
    destinations = destinations or Destinations()
    chosen = choices.provider.name
    reasons = {name: f"with {chosen}, only with {owners}" for name, owners in choices.foreign.items()}
    reasons |= _of_devices(spoken=spoken, live=live, destinations=destinations, sleeps=sleeps)
    if spoken:
        reasons |= _of_turns(choices, aloud=live and destinations.sound is None)
    if choices.config.output == "text" and "output" not in choices.provider.lacks(choices.config):
        reasons |= dict.fromkeys(("output", "play"), "with --text-only")
        if not spoken:
            reasons["record"] = "with --text-only, where nothing is heard"
    if not (choices.tools or choices.servers):
        reasons |= dict.fromkeys(("tool_timeout", "background_tool"), "without --tools or --mcp")
    return [*choices.notes] + [
        f"{_option(choices, name)} has no effect {reason}." for name, reason in reasons.items() if name in choices.given
    ]


def _of_turns(choices: Choices, *, aloud: bool) -> dict[str, str]:
    """Options for turns, without effect where somebody else finds them.

    Args:
        aloud: whether a loudspeaker plays replies, which a voice that is noticed here pauses, whoever finds the turns.
    """
    config = choices.config
    mode, detection = config.vad_mode, config.turn_detection
    by_meaning = isinstance(detection, SemanticVAD)
    where = f"with --vad {mode.value}"
    reasons: dict[str, str] = {}
    if mode is not VADMode.SERVER:
        reasons |= dict.fromkeys(_DETECTION, where)
        if not detection.interrupt_response:
            reasons["interrupt"] = where
    elif by_meaning:
        reasons |= dict.fromkeys(_DETECTION[1:], "with --eagerness")
    # Where the provider does not tell of the user's speech, it is listened for here all the same.
    if mode is VADMode.NONE or (
        mode is VADMode.SERVER and choices.provider.capabilities_of(choices.config).reports_speech
    ):
        outage = "" if mode is VADMode.NONE else ", but while the connection is lost"
        if mode is VADMode.NONE or not (aloud and detection.interrupt_response):
            reasons |= dict.fromkeys(("vad_engine", "min_speech_ms"), where + outage)
        if mode is VADMode.NONE:
            reasons["silence_ms"] = where
        elif by_meaning:
            reasons["silence_ms"] = "with --eagerness"
    return reasons


def _of_devices(*, spoken: bool, live: bool, destinations: Destinations, sleeps: bool) -> dict[str, str]:
    if live:
        reasons = dict.fromkeys(("input_rate", "play"), "without --input")
        if not sleeps:
            reasons["sleep_after"] = "without --wake"
        if destinations.sound is not None:  # then no loudspeaker plays, which could be heard by the microphone
            reasons |= dict.fromkeys(("output_device", "echo"), "where the sound does not go to a loudspeaker")
        return reasons
    without = ("input_device", "echo", "auto_gain_control", "turn_model", "sleep_after")
    reasons = dict.fromkeys(without, "with a recording" if spoken else "with text")
    if not destinations.aloud:
        reasons["output_device"] = "where the answer is not played"
    return reasons


def _option(choices: Choices, name: str) -> str:
    if name == "interrupt":
        return "--no-interrupt"
    return f"--{name.replace('_', '-')}"
