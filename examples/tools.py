"""Functions that the model may call: type hints and docstrings tell it how.

What a tool raises is told to the model, which makes the best of it.
"""

import asyncio
import sys
from typing import Literal

from voicecli import RealtimeConfig, RealtimeError, RealtimeVoice
from voicecli.providers import Provider

Aisle = Literal["fruit", "dairy", "other"]


class ShoppingList:
    """A list that is spoken to."""

    def __init__(self) -> None:
        self.items: dict[str, Aisle] = {}

    def add_item(self, name: str, aisle: Aisle = "other") -> str:
        """Put something on the shopping list.

        Args:
            name: What to buy.
            aisle: Where it is found.
        """
        if name in self.items:
            raise ValueError(f"{name} is on the list already")
        self.items[name] = aisle
        return f"{len(self.items)} on the list"

    async def read_list(self) -> dict[str, Aisle]:
        """Tell what is on the shopping list, and where each thing is found."""
        return self.items


def make_voice(shopping: ShoppingList, provider: str | Provider | None = None) -> RealtimeVoice:
    config = RealtimeConfig(system_prompt="You keep a shopping list.", tool_timeout_s=5)
    return RealtimeVoice(provider, config=config, tools=[shopping.add_item, shopping.read_list])


async def main(provider: str | Provider | None = None) -> None:
    shopping = ShoppingList()
    async with make_voice(shopping, provider).connect() as session:
        response = await session.ask("Put apples and milk on the list, please.")
        print(response.transcript)
    print(shopping.items)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except RealtimeError as error:
        sys.exit(str(error))
