"""The CosyVoice wire protocol as pure machines, both roles."""
