"""The throw-away keys of one sandbox in a directory, and a file `env` with the settings that a client needs.

The files are used again when they are there. Nothing in them is real: every key is made here, and anybody can factor
the platform's (see `platform_key`).
"""

from __future__ import annotations

import json
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from couponpress.errors import system_error
from couponpress.language import gettext
from couponpress.setting_names import ENV_PREFIX
from couponpress_worker.errors import ServiceError
from couponpress_worker.sandbox.platform_key import PlatformKey
from couponpress_worker.wechatpay.signing import apiv3_key_from, private_key_from

#: A merchant id of the kind that the platform's own samples print.
MCHID = "1900000109"

MERCHANT_KEY_FILE = "apiclient_key.pem"
PLATFORM_PUBLIC_KEY_FILE = "pub_key.pem"
APIV3_KEY_FILE = "apiv3_key.txt"
#: The secrets of the platform's side and the names of both sides. It is written last: without it all is made anew.
PLATFORM_FILE = "platform.json"
ENV_FILE = "env"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Whose requests the sandbox accepts, and the keys with which it signs and encrypts.

    Attributes:
        directory: where the files are; an absolute path.
        mchid: the one partner that is known.
        serial_no: the serial of the partner's API certificate, hex capitals.
        merchant_key: the public half of the partner's key.
        public_key_id: the name of the platform's key, `PUB_KEY_ID_` and digits.
        platform_key: what answers and callbacks are signed with.
        apiv3_key: the 32 bytes that callbacks are sealed with.
    """

    directory: Path
    mchid: str
    serial_no: str
    merchant_key: rsa.RSAPublicKey = field(repr=False)
    public_key_id: str
    platform_key: PlatformKey = field(repr=False)
    apiv3_key: bytes = field(repr=False)

    @classmethod
    def prepare(cls, directory: Path) -> Self:
        """Read the keys in `directory`, or make them if there are none. Takes about 0.5 s.

        Raises:
            ServiceError: the directory cannot be written or its files cannot be read.
            KeyFileError: a file of the directory is not what it should be.
        """
        directory = directory.absolute()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            if not (directory / PLATFORM_FILE).exists():
                _make(directory)
            return cls._read(directory)
        except OSError as error:
            raise ServiceError(
                gettext("the sandbox cannot use the directory %(directory)s (%(reason)s); give it another one (--dir).")
                % {"directory": directory, "reason": system_error(error)}
            ) from None
        except (ValueError, LookupError, TypeError):
            raise ServiceError(
                gettext("%(value)s is damaged; delete the directory %(directory)s and start again.")
                % {"value": directory / PLATFORM_FILE, "directory": directory}
            ) from None

    @classmethod
    def _read(cls, directory: Path) -> Self:
        platform: dict[str, Any] = json.loads((directory / PLATFORM_FILE).read_text("utf-8"))
        merchant_file, apiv3_file = directory / MERCHANT_KEY_FILE, directory / APIV3_KEY_FILE
        return cls(
            directory=directory,
            mchid=str(platform["mchid"]),
            serial_no=str(platform["serial_no"]),
            merchant_key=private_key_from(merchant_file.read_bytes(), str(merchant_file)).public_key(),
            public_key_id=str(platform["public_key_id"]),
            platform_key=PlatformKey([int(prime) for prime in platform["primes"]]),
            apiv3_key=apiv3_key_from(apiv3_file.read_bytes(), str(apiv3_file)),
        )

    def environment(self, base_url: str, ca_file: Path | None = None, *, brand: bool = False) -> dict[str, str]:
        """Return the settings that a client of this sandbox needs, by their names in the environment."""
        values = {
            "MCHID": self.mchid,
            "MCH_SERIAL_NO": self.serial_no,
            "MCH_PRIVATE_KEY_FILE": str(self.directory / MERCHANT_KEY_FILE),
            "WECHATPAY_PUBLIC_KEY_ID": self.public_key_id,
            "WECHATPAY_PUBLIC_KEY_FILE": str(self.directory / PLATFORM_PUBLIC_KEY_FILE),
            "APIV3_KEY_FILE": str(self.directory / APIV3_KEY_FILE),
            "BASE_URL": base_url,
        }
        if brand:
            values["SIGNS_AS"] = "brand"
        if ca_file is not None:
            values["CA_FILE"] = str(ca_file.absolute())
        return {ENV_PREFIX + name: value for name, value in values.items()}


def write_env(directory: Path, environment: Mapping[str, str]) -> Path:
    """Write the file that `source` reads, and return its path."""
    path = directory.absolute() / ENV_FILE
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in environment.items()]
    write_private(path, "".join(lines).encode())
    return path


def read_env(path: Path) -> dict[str, str]:
    """Return what `write_env` wrote."""
    words = shlex.split(path.read_text("utf-8"))
    return {name: value for name, separator, value in (word.partition("=") for word in words) if separator}


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read. Other processes see it whole or not at all."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600, exist_ok=False)
    draft.write_bytes(content)
    draft.replace(path)


def _make(directory: Path) -> None:
    merchant_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    platform_key = PlatformKey.generate()
    pem = merchant_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_private(directory / MERCHANT_KEY_FILE, pem)
    public_pem = platform_key.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    write_private(directory / PLATFORM_PUBLIC_KEY_FILE, public_pem)
    write_private(directory / APIV3_KEY_FILE, secrets.token_hex(16).encode())
    platform = {
        "mchid": MCHID,
        "serial_no": secrets.token_hex(20).upper(),
        "public_key_id": "PUB_KEY_ID_" + "".join(secrets.choice("0123456789") for _ in range(34)),
        "primes": platform_key.primes,
    }
    write_private(directory / PLATFORM_FILE, json.dumps(platform).encode())
