"""Runs an interpreter for a command: opens what it needs, shows what happens, tells how it ended."""

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from dataclasses import replace

from voicecli.audio.devices.stderr_guard import quiet_stderr
from voicecli.audio.files.sink import WavSink
from voicecli.cli.daily_notices import once_a_day
from voicecli.cli.event_lines import JsonLines
from voicecli.cli.lasting_lines import LastingLines
from voicecli.cli.live_translation import Plan, Translation
from voicecli.cli.reply_sound import ReplySound
from voicecli.cli.service_options import ServiceChoices
from voicecli.cli.standard_output import columns, own_descriptor, own_stdout, started
from voicecli.cli.translation_lines import TranslationLines
from voicecli.cli.wrapping import wrapped
from voicecli.conversation.duplex import Observer
from voicecli.errors import NoSpeechError
from voicecli.events import Notice
from voicecli.interpreter import Interpreter
from voicecli.terminal.live_view import LiveView, can_show
from voicecli.terminal.translation_page import TranslationPage
from voicecli.terminal.translation_view import TranslationView

__all__ = ["run_translation"]


def run_translation(choices: ServiceChoices, plan: Plan) -> None:
    """Translate, and return when the input is over and all of it has been translated, or the user has ended it.

    Raises:
        RealtimeError: a device or file cannot be used, the provider failed, or nothing was translated of a recording.
        KeyboardInterrupt: the user ended it by Ctrl-C.
    """
    config = choices.config
    if "model" not in choices.given and config.model in {each.name for each in choices.provider.models}:
        config = replace(config, model=None)  # settings name it for conversations
    interpreter = Interpreter(choices.provider, to=plan.to, config=config)
    rate = interpreter.rates[1]
    sound = ReplySound(rate)
    if plan.output is not None:
        # Before anything is asked of the provider: a translation must not be lost because it cannot be written.
        sources = [plan.source] if plan.source is not None else []
        sound.add(WavSink(plan.output, rate, sources=sources, stdout=own_descriptor()))
    translation = Translation(interpreter, plan, sound)
    observer = _lines(plan)
    notes = [*choices.notes]
    notes += [
        f"--{name.replace('_', '-')} has no effect, only with {whose}." for name, whose in choices.foreign.items()
    ]
    interrupted = False
    lasting: LastingLines | None = None
    if observer is not None:
        alone = plan.output is None and not plan.plays
        lasting = LastingLines(observer if plan.quiet else once_a_day(observer), alone=alone)
        for note in notes:
            lasting(Notice("setting_ignored", note))
        with quiet_stderr() if plan.plays or plan.source is None else contextlib.nullcontext():
            asyncio.run(translation.hold([lasting]))
    else:
        interrupted = asyncio.run(_show(translation, interpreter, notes))
    if interrupted:
        raise KeyboardInterrupt
    if failure := sound.failure or (lasting.failure if lasting is not None else None):
        raise failure
    if plan.source is not None and not translation.translated:
        raise NoSpeechError(
            f"Nothing of {plan.source.name} was translated.",
            advice=f"There may be no speech in it, or it is in {plan.to!r} already.",
        )


def _lines(plan: Plan) -> Observer | None:
    """Who writes what happens; None where it is drawn."""
    if plan.as_json:
        return JsonLines(own_stdout(), started())
    if not plan.quiet and plan.output != "-" and can_show(sys.stdin, own_stdout()):
        return None
    words = None if plan.output == "-" else own_stdout()
    bare = plan.quiet or not own_stdout().isatty()
    return TranslationLines(words, to=plan.to, bare=bare, quiet=plan.quiet, live=plan.source is None)


async def _show(translation: "Translation", interpreter: Interpreter, notes: Sequence[str]) -> bool:
    """Draw it; whether the user ended it by Ctrl-C."""
    view = TranslationView(
        provider=interpreter.title,
        to=interpreter.to,
        lag_s=lambda: translation.lag_s,
        position_s=lambda: translation.position_s,
    )
    page = TranslationPage(view, translation)
    for note in notes:
        view.apply(Notice("setting_ignored", note))
    try:
        with quiet_stderr():  # sound libraries complain on the terminal, which belongs to the view
            async with LiveView(page, audio=translation.audio, stdin=sys.stdin, stdout=own_stdout()) as shown:
                await translation.hold([once_a_day(view.apply)])
    finally:
        if summary := view.summary():
            own_stdout().write("\n".join(wrapped(summary, columns())) + "\n")
    return shown.interrupted
