"""What is refused: each with a status of HTTP and one sentence, which is all that a client is told."""


class Refused(Exception):
    """A request that is not answered.

    Attributes:
        status: Of HTTP.
        last: The connection ends with it: the rest of what the client sends is not read.
    """

    def __init__(self, status: int, why: str, *, last: bool = False) -> None:
        super().__init__(why)
        self.status, self.last = status, last

    @property
    def headers(self) -> dict[str, str]:
        """Return what a client is to do about it, as HTTP says it."""
        waits = {429: {"Retry-After": "1"}, 401: {"WWW-Authenticate": "Bearer"}}.get(self.status, {})
        return waits | ({"Connection": "close"} if self.last else {})
