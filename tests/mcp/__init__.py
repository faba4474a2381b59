"""Tests of voicecli/mcp."""
