"""The one source of random identifiers."""

import secrets

__all__ = ["SystemDice"]


class SystemDice:
    """Identifiers nobody can guess: tags, branches, SSRCs, task ids, tokens."""

    def token(self, nbytes: int = 16) -> str:
        """Return `nbytes` random bytes as lower-case hexadecimal digits."""
        return secrets.token_hex(nbytes)

    def number(self, bits: int) -> int:
        """Return a random integer of at most `bits` bits."""
        return secrets.randbits(bits)
