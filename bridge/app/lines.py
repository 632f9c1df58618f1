"""Text from elsewhere, made fit for one line of a terminal or a log."""

__all__ = ["one_line"]


def one_line(text: str) -> str:
    """Escape what would end the line or steer a terminal."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
