"""Language models and voices to download: which there are, where they are kept, and the hub they come from.

Knows the vocabulary. Only `hub` needs huggingface_hub.
"""

__all__: list[str] = []
