"""The version, where modules that know nothing else can read it."""

__all__ = ["__version__"]

__version__ = "0.1.0"
