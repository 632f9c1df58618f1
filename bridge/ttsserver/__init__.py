"""The embedded CosyVoice service: the cloud's protocol with a local voice."""
