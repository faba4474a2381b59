"""Tests of `tools.py`, with a script instead of a model: neither network nor key nor sound.

pytest test_tools.py
"""

import asyncio

from tools import ShoppingList, make_voice

from voicecli.commands import SendText, ToolResult
from voicecli.testing import ScriptedConnection, reply, scripted_provider, tool_call


def test_what_is_asked_for_is_on_the_list() -> None:
    async def conversation() -> None:
        connection = ScriptedConnection(
            [
                tool_call("add_item", {"name": "apples", "aisle": "fruit"}),
                reply("Apples are on it."),
            ]
        )
        shopping = ShoppingList()
        voice = make_voice(shopping, scripted_provider(connection=connection))
        async with voice.connect() as session:
            response = await session.ask("Put apples on the list.")
        assert response.transcript == "Apples are on it."
        assert shopping.items == {"apples": "fruit"}
        # What was sent to the model:
        sent = [command for command in connection.commands if isinstance(command, SendText | ToolResult)]
        assert isinstance(sent[0], SendText)
        assert isinstance(sent[1], ToolResult)
        assert (sent[1].output, sent[1].is_error) == ("1 on the list", False)

    asyncio.run(conversation())


def test_what_goes_wrong_is_told_to_the_model() -> None:
    async def conversation() -> None:
        script = [tool_call("add_item", {"name": "milk", "aisle": "cellar"}), reply("I know no cellar.")]
        shopping = ShoppingList()
        async with make_voice(shopping, scripted_provider(*script)).connect() as session:
            response = await session.ask("Put milk from the cellar on the list.")
            assert [turn.name for turn in session.history if turn.role == "tool"] == ["add_item"]
        assert response.transcript == "I know no cellar."
        assert shopping.items == {}

    asyncio.run(conversation())
