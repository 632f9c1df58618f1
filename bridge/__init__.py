"""Speech for live calls: a phone or a browser on one side, CosyVoice on the other."""
