"""Pictures that tools return."""

import pytest

from voicecli import RealtimeVoice
from voicecli.commands import SendImage, ToolResult
from voicecli.ports import Capabilities
from voicecli.testing import ScriptedConnection, reply, scripted_provider, tool_call
from voicecli.tools import ToolOutput

PICTURE = SendImage(b"\x89PNG", "image/png")


@pytest.mark.parametrize(
    ("takes_pictures", "pictures", "shown", "told"),
    [
        (True, 1, [PICTURE], "A map.\n[A picture of this result is shown.]"),
        (True, 2, [PICTURE, PICTURE], "A map.\n[2 pictures of this result are shown.]"),
        (True, 0, [], "A map."),
        (False, 1, [], "A map.\n[A picture of this result is left out.]"),
    ],
)
async def test_a_picture_is_shown_before_the_result(
    takes_pictures: bool, pictures: int, shown: list[SendImage], told: str
) -> None:
    def look() -> ToolOutput:
        """Look."""
        return ToolOutput("A map.", (PICTURE,) * pictures)

    capabilities = Capabilities(input_rate=24_000, output_rate=24_000, images=takes_pictures)
    connection = ScriptedConnection([tool_call("look"), reply("A map.")], capabilities=capabilities)
    voice = RealtimeVoice(scripted_provider(connection=connection), tools=[look])
    async with voice.connect() as session:
        await session.send_text("Where am I?", wait=True)
    sent = [command for command in connection.commands if isinstance(command, SendImage | ToolResult)]
    assert sent[:-1] == shown
    assert isinstance(sent[-1], ToolResult)
    assert sent[-1].output == told
