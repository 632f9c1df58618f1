"""The edges on the event loop: they carry, they do not decide."""
