"""The live view: what a person sees, and the keys they press.

May know the vocabulary; neither `audio` nor `conversation`, whose events it is handed.
"""

__all__: list[str] = []
