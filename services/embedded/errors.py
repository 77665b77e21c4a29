"""What can go wrong with the embedded system; every message is one line and says how to mend it.

EmbeddedError
├── DataDirectoryInUse       another process holds the directory
├── DataDirectoryUnusable    read-only, full, or not a directory
├── ServerBinaryMissing      no nats-server to start
├── ServerDidNotStart        nats-server refused its settings, ended early or came up too late
├── NoFreePort               all the ports that were looked at are taken
├── ChildKeepsFailing        a supervised process died more often than allowed
└── ChildNotReady            a supervised process started but never became ready
"""

from typing import ClassVar


class EmbeddedError(Exception):
    """`code` is stable and short; `log_tail` holds the last lines of the log, if there is one."""

    code: ClassVar[str]

    def __init__(self, message: str, *, log_tail: str = "") -> None:
        super().__init__(message)
        self.log_tail = log_tail


class DataDirectoryInUse(EmbeddedError):
    code = "data-directory-in-use"


class DataDirectoryUnusable(EmbeddedError):
    code = "data-directory-unusable"


class ServerBinaryMissing(EmbeddedError):
    code = "server-binary-missing"


class ServerDidNotStart(EmbeddedError):
    code = "server-did-not-start"


class NoFreePort(EmbeddedError):
    code = "no-free-port"


class ChildKeepsFailing(EmbeddedError):
    code = "child-keeps-failing"


class ChildNotReady(EmbeddedError):
    code = "child-not-ready"
