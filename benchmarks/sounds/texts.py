"""Texts to be spoken: what an assistant says at length, and what interrupts it."""

import random

__all__ = ["ANSWERS", "INTERRUPTIONS", "QUESTIONS", "answers"]

INTERRUPTIONS = (
    "Stop, wait a second.",
    "Hold on, that is not what I meant.",
    "No, I asked about tomorrow.",
    "Excuse me, can I say something?",
    "What about the other one?",
    "Okay, thank you, that is enough.",
    "Can you repeat the last part?",
    "Sorry, could you speak more slowly?",
    "Let me ask something else.",
    "Never mind, tell me the price.",
    "Actually, I changed my mind.",
    "How long does that take?",
)
QUESTIONS = (
    "What is the capital of France?",
    "How far is it from here to the station?",
    "Can you tell me what the weather will be like tomorrow?",
    "Who wrote the first book about computers?",
    "What should I cook tonight with rice and tomatoes?",
    "Why is the sky blue in the daytime?",
    "How many people live in the biggest city of Japan?",
    "When does the last train leave on Sundays?",
)
ANSWERS = (
    "Paris is the capital of France, and by far its largest city. About two million people live in it, and more "
    "than twelve million in the region around it.",
    "You could walk to the station in about twenty minutes. Go straight on until you reach the river, cross the "
    "bridge, and then follow the tracks on your left.",
    "Tomorrow will start with some fog in the valleys. Around noon the sun comes through, and it gets up to "
    "eighteen degrees. In the evening a few showers are possible, so take a jacket with you.",
    "That is a good question! Light from the sun is made of all colours, and the air scatters blue light far more "
    "than red. So when you look up, blue reaches you from every direction.",
    "First, chop the onions and cook them slowly in a little oil. Then add the tomatoes, a pinch of sugar, and "
    "the rice. Pour in some hot water, put the lid on, and wait for a quarter of an hour.",
    "There are three things that I would check. Is the cable plugged in? Does the little lamp on the back light "
    "up? And have you tried another socket? If none of that helps, switch it off and on again.",
    "The last train leaves at eleven fifty two, from platform six. Please note that on Sundays the ticket office "
    "closes early, but the machine next to the entrance takes coins, notes, and cards.",
    "She began to write when she was eleven years old, and published her first story at sixteen. Critics did not "
    "like it much. Thirty years later, the very same story was taught in schools.",
    "To put it briefly, the first plan is cheaper, the second one is faster, and the third gives you more choice. "
    "If you travel more than twice a month, the second one pays off after half a year.",
    "Let me think. Six times seven is forty two, and half of that is twenty one. Take away the five that you "
    "already have, and you need sixteen more chairs for the party on Saturday.",
    "Whales sleep with one half of their brain at a time. The other half stays awake, so that they come up to "
    "breathe, and keep an eye on what is around them. Dolphins and some birds do the same.",
    "The museum opens at ten. On the ground floor you find the old maps, on the first floor the paintings, and "
    "under the roof a small cafe with a wonderful view over the harbour.",
)


def answers(seed: int) -> list[str]:
    """All answers, in an order that the seed gives."""
    return random.Random(seed).sample(ANSWERS, len(ANSWERS))
