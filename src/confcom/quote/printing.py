"""Text from quotes and collateral made fit for a terminal: whoever wrote it may not move the reader's cursor."""


def printable(text: str, limit: int) -> str:
    """At most `limit` characters of `text`, with `?` for every one that a terminal would act on."""
    cut = text if len(text) <= limit else text[: limit - 3] + "..."
    if cut.isprintable():
        return cut
    return "".join(letter if letter.isprintable() else "?" for letter in cut)
