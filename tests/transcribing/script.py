"""Texts that are known, to be compared with what is heard: of a meeting, and of two books."""

__all__ = ["BECKETT", "SENTENCES", "TWO_CITIES"]

SENTENCES = (
    "Good morning, and thank you for coming so early.",
    "Today we decide what the next release contains.",
    "The last one was late.",
    "I would like to begin with the questions.",
    "Our customers want it to start faster.",
    "How long does it take at the moment?",
    "About three seconds on an old computer.",
    "Half of that is spent reading the settings.",
    "We will repair this before anything else.",
    "Is the price going to change?",
    "No, it stays the same until the summer.",
    "Please send that to the team in London.",
    "A teacher wrote us a letter.",
    "Her students like it, but it speaks too quickly.",
    "I can change that this afternoon.",
    "What happens when the network is lost?",
    "Everything that was said before is kept.",
    "Let us look at the pictures before lunch.",
    "The weather is beautiful today.",
    "I wish you all a pleasant weekend.",
)

BECKETT = "Ever tried. Ever failed. No matter. Try again. Fail again. Fail better."
"""What is read in beckett.wav, of moonshine-voice."""
TWO_CITIES = (
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, it "
    "was the epoch of belief, it was the epoch of incredulity, it was the season of light, it was the season of "
    "darkness, it was the spring of hope, it was the winter of despair"
)
"""What is read in the first 21 s of two_cities.wav."""
