"""Says in the current language what Redis's client, the HTTP client, the system and the readers of files say.

Their own messages are English. Others than these are shown as they are.
"""

from __future__ import annotations

from typing import Final

from couponpress.language import gettext_noop
from couponpress.sentence_patterns import SentencePatterns

#: What a system says when a file cannot be had.
OF_SYSTEM: Final = frozenset(
    {
        gettext_noop("No such file or directory"),
        gettext_noop("Permission denied"),
        gettext_noop("Is a directory"),
        gettext_noop("Not a directory"),
        gettext_noop("File exists"),
        gettext_noop("No space left on device"),
        gettext_noop("Read-only file system"),
        gettext_noop("File name too long"),
        gettext_noop("Broken pipe"),
        gettext_noop("Input/output error"),
        gettext_noop("Address already in use"),
        gettext_noop("Cannot assign requested address"),
        gettext_noop("Name or service not known"),
        gettext_noop("Connection refused"),
    }
)
#: Their messages, as they word them.
KNOWN: Final = (
    # redis-py
    gettext_noop("Error %(number)s connecting to %(address)s. %(reason)s."),
    gettext_noop("Timeout connecting to server"),
    gettext_noop("Timeout reading from %(address)s"),
    gettext_noop("Timeout reading from socket"),
    gettext_noop("Connection closed by server."),
    # Redis's refusals
    gettext_noop("invalid username-password pair or user is disabled."),
    gettext_noop("Authentication required."),
    gettext_noop("max number of clients reached"),
    gettext_noop("User %(user)s has no permissions to run the '%(command)s' command"),
    gettext_noop("No permissions to access a key"),
    gettext_noop("No permissions to access a channel"),
    # httpx, httpcore and asyncio, and who calls through them
    gettext_noop("All connection attempts failed"),
    gettext_noop("Server disconnected without sending a response."),
    gettext_noop("Cannot connect to %(address)s (%(reason)s)"),
    gettext_noop("Connect call failed %(address)s"),
    gettext_noop("%(host)s cannot be looked up (%(error)s)"),
    gettext_noop("%(host)s has no address"),
    gettext_noop("%(host)s leads to %(address)s, which is %(what)s"),
    gettext_noop("the metadata service of a cloud"),
    gettext_noop("a link-local address"),
    gettext_noop("a multicast address"),
    gettext_noop("an unspecified address"),
    gettext_noop("a reserved address"),
    gettext_noop("no public address"),
    # the system
    gettext_noop("[Errno %(number)s] Connect call failed %(address)s"),
    gettext_noop("Multiple exceptions: %(reasons)s"),
    gettext_noop("[Errno %(number)s] %(reason)s"),
    gettext_noop("Network is unreachable"),
    gettext_noop("No route to host"),
    gettext_noop("Connection refused"),
    gettext_noop("Connection reset by peer"),
    gettext_noop("Name or service not known"),
    gettext_noop("Temporary failure in name resolution"),
    gettext_noop("No such file or directory"),
    # ssl
    gettext_noop("[SSL: %(code)s] certificate verify failed: %(reason)s (%(where)s)"),
    gettext_noop("self-signed certificate"),
    gettext_noop("self-signed certificate in certificate chain"),
    gettext_noop("unable to get local issuer certificate"),
    gettext_noop("certificate has expired"),
    gettext_noop("certificate is not yet valid"),
    gettext_noop("Hostname mismatch, certificate is not valid for '%(host)s'."),
    gettext_noop("IP address mismatch, certificate is not valid for '%(host)s'."),
    # json
    gettext_noop("Expecting value"),
    gettext_noop("Expecting property name enclosed in double quotes"),
    gettext_noop("Expecting '%(sign)s' delimiter"),
    gettext_noop("Illegal trailing comma before end of object"),
    gettext_noop("Illegal trailing comma before end of array"),
    gettext_noop("Unterminated string starting at"),
    gettext_noop("Invalid control character at"),
    gettext_noop("Invalid \\escape"),
    gettext_noop("Extra data"),
    # tomllib
    gettext_noop("%(what)s (at line %(line)s, column %(column)s)"),
    gettext_noop("%(what)s (at end of document)"),
    gettext_noop("Invalid value"),
    gettext_noop("Invalid statement"),
    gettext_noop("Expected newline or end of document after a statement"),
    gettext_noop("Expected ']' at the end of a table declaration"),
    gettext_noop("Expected '=' after a key in a key/value pair"),
    gettext_noop("Cannot overwrite a value"),
    gettext_noop("Cannot declare %(name)s twice"),
    gettext_noop("Unterminated string"),
    gettext_noop("Unclosed array"),
    # zipfile, zlib and expat
    gettext_noop("File is not a zip file"),
    gettext_noop("There is no item named %(name)s in the archive"),
    gettext_noop("Bad CRC-32 for file %(name)s"),
    gettext_noop("Error %(number)s while decompressing data: %(reason)s"),
    gettext_noop("not well-formed (invalid token): line %(line)s, column %(column)s"),
    gettext_noop("no element found: line %(line)s, column %(column)s"),
    # the interpreter
    gettext_noop("No module named %(name)s"),
    gettext_noop("'utf-8' codec can't decode byte %(byte)s in position %(position)s: %(reason)s"),
    gettext_noop("invalid start byte"),
    gettext_noop("invalid continuation byte"),
    gettext_noop("unexpected end of data"),
    # cryptography
    gettext_noop("Unable to load PEM file. See %(page)s for more details. %(reason)s"),
)

_PATTERNS: Final = SentencePatterns(KNOWN)


def in_words(message: object) -> str:
    """Return a message, or an error's, in the current language; as it is where it is not known.

    >>> in_words(ConnectionRefusedError(111, "Connection refused"))
    '[Errno 111] Connection refused'
    """
    return _PATTERNS.in_words(f"{message}")
