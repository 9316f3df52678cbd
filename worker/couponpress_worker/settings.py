"""What the fleet needs to know, on top of the producers' settings: partner, keys, rates.

The only module of this package that touches the environment. Secrets are named by file, read once, and never
shown: a repr of the settings holds paths, not contents.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from couponpress.language import gettext
from couponpress.setting_names import ENV_PREFIX
from couponpress.settings import ProducerSettings
from couponpress.transport.web_address import LOOPBACK_HOSTS
from couponpress_worker.errors import KeyFileError
from couponpress_worker.timings import REAL, Timings
from couponpress_worker.wechatpay.key_files import (
    KEY_ID_PATTERN,
    MerchantCertificate,
    canonical_id,
    check_not_ours,
    content_of,
    key_paths,
    merchant_certificate,
    more_platform_keys,
    platform_key,
)
from couponpress_worker.wechatpay.signing import apiv3_key_from, private_key_from

#: A shorter secret could be guessed.
HOOK_SECRET_BYTES = 16

_LONGEST_PATH = 1024


def _rate(text: str) -> str:
    if not re.fullmatch(r"[1-9]\d{0,5}/(second|minute)", text):
        raise ValueError(gettext('must read like "500/second" or "600/minute"'))
    return text


def _base_urls(text: str) -> str:
    urls = [_base_url(url.strip()) for url in text.split(",")]
    if len(set(urls)) < len(urls):
        raise ValueError(gettext("names one host twice"))
    return ",".join(urls)


def _base_url(text: str) -> str:
    wrong = ValueError(gettext("must be scheme and host only, for example https://api.mch.weixin.qq.com"))
    if not re.fullmatch(r"https?://([\w.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?/*", text):
        raise wrong
    parts = urlsplit(text)
    if parts.port == 0:  # a port that is too large raises a sentence of its own
        raise wrong
    if parts.scheme == "http" and parts.hostname not in LOOPBACK_HOSTS:
        raise ValueError(gettext("must be https; plain http is for loopback only"))
    return text.rstrip("/")


def _plain_id(text: object) -> object:
    """Take off what people copy along with a serial number: colons and spaces."""
    return re.sub(r"[:\s]", "", text) if isinstance(text, str) else text


def _key_path(path: Path) -> Path:
    """Refuse a key that stands in the place of its file's path: as a path, messages would show it."""
    text = str(path)
    pasted = "-----" in text or "\n" in text or len(text) > _LONGEST_PATH
    if pasted or (len(text) >= HOOK_SECRET_BYTES and not {"/", "."} & set(text) and not path.exists()):
        raise ValueError(
            gettext("must be the path of a file, and holds what looks like the key itself: put it into a file")
        )
    return path


Rate = Annotated[str, AfterValidator(_rate)]
#: What is set may be the secret itself by mistake: fields of this type are not shown.
KeyPath = Annotated[Path, AfterValidator(_key_path)]


class Settings(ProducerSettings):
    """The fleet's settings. Every field is described where it is declared; `deploy/README.md` shows the table."""

    signs_as: Literal["partner", "brand"] = Field(
        "partner",
        description="Who calls: `partner` (服务商), or `brand` (品牌商户) for itself; its brand_id is then the MCHID.",
    )
    mch_certificate_file: KeyPath | None = Field(
        None,
        repr=False,
        description="PEM file with the merchant API certificate (apiclient_cert.pem): tells its serial and its expiry.",
    )
    mch_serial_no: Annotated[str, BeforeValidator(_plain_id), Field(pattern=r"^[0-9A-Fa-f]+$")] | None = Field(
        None,
        validate_default=True,
        description="Serial number of the merchant API certificate (商户API证书序列号), hex; needed without its file.",
    )
    mch_private_key_file: KeyPath = Field(repr=False, description="PEM file with that certificate's private key.")
    wechatpay_public_key_id: Annotated[str, BeforeValidator(_plain_id)] = Field(
        pattern=KEY_ID_PATTERN,
        description="Id of the platform's public key (微信支付公钥ID), PUB_KEY_ID_ and digits.",
    )
    wechatpay_public_key_file: KeyPath = Field(repr=False, description="PEM file with the platform's public key.")
    wechatpay_more_keys_dir: Path | None = Field(
        None,
        description="Directory with further keys of the platform, one file ID.pem each, while one key follows another.",
    )
    apiv3_key_file: KeyPath = Field(repr=False, description="File with the 32-byte APIv3 key that opens callbacks.")
    base_url: Annotated[str, AfterValidator(_base_urls)] = Field(
        "https://api.mch.weixin.qq.com",
        description="The platform's host, or several with commas, each for when those before it cannot be reached.",
    )
    ca_file: Path | None = Field(
        None,
        description="PEM file with the authority to trust for BASE_URL instead of the system's; for the sandbox.",
    )
    rate: Rate = Field(
        "500/second", description="The submit limit of the whole fleet, first tries and retries together."
    )
    query_rate: Rate = Field("20/second", description="The query limit of the whole fleet.")
    upload_rate: Rate = Field("20/second", description="The picture-upload limit of the whole fleet.")
    celery_control: bool = Field(
        False, description="Let workers answer Celery's remote control: `celery inspect`, `celery control`, Flower."
    )
    celery_results: bool = Field(
        False, description="Keep what each chunk's task did in Celery's result backend, for an hour."
    )
    urgent_share: float = Field(
        0.9,
        ge=0.5,
        le=1,
        description="The most of the slots that urgent specs get while bulk ones wait; 1: bulk waits for all urgent.",
    )
    lateness_ms: int = Field(
        20,
        ge=2,
        le=200,
        description="Lateness budget J, ms: how late after its slot a request may reach the platform.",
    )
    callback_span: int = Field(
        780, ge=1, description="Seconds after acceptance until a spec without a callback is queried."
    )
    expire_after: int = Field(
        2 * 86400,
        ge=1,
        description="Seconds after acceptance until a spec without an answer is given up as expired.",
    )
    callback_forward_url: str | None = Field(
        None,
        pattern=r"^https?://.+",
        description="Where to pass on callbacks of other kinds; without it they are acknowledged and counted.",
    )

    hook_secret_file: KeyPath | None = Field(
        None,
        repr=False,
        description="File with the secret that signs hooks, 16 bytes or more; without it none is sent.",
    )

    timing_scale: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Share of its spans (leases, looks, timeouts) that the fleet runs with; for tests with a sandbox.",
    )

    @property
    def base_urls(self) -> tuple[str, ...]:
        """The platform's hosts, in the order in which they are used."""
        return tuple(self.base_url.split(","))

    def key_files(self) -> list[Path]:
        """Return every file that keys are read from, also those that are not there."""
        named = [
            self.mch_private_key_file,
            self.mch_certificate_file,
            self.wechatpay_public_key_file,
            self.apiv3_key_file,
            self.hook_secret_file,
        ]
        return [*filter(None, named), *key_paths(self.wechatpay_more_keys_dir)]

    @field_validator("mch_serial_no")
    @classmethod
    def _serial_is_known(cls, serial_no: str | None, info: ValidationInfo) -> str | None:
        if serial_no is None and info.data.get("mch_certificate_file") is None:
            raise ValueError(
                gettext("is missing: set it, or %(env_prefix)sMCH_CERTIFICATE_FILE, which tells it")
                % {"env_prefix": ENV_PREFIX}
            )
        return serial_no

    @property
    def timings(self) -> Timings:
        """The spans that the fleet runs with."""
        return REAL.scaled(self.timing_scale)

    @model_validator(mode="after")
    def _scaled_on_loopback_only(self) -> Self:
        hosts = {urlsplit(url).hostname for url in self.base_urls}
        if self.timing_scale != 1 and not hosts.issubset(LOOPBACK_HOSTS):
            raise ValueError(
                gettext(
                    "%(env_prefix)sTIMING_SCALE is for tests: every host of %(env_prefix)sBASE_URL must be loopback"
                )
                % {"env_prefix": ENV_PREFIX}
            )
        return self

    @model_validator(mode="after")
    def _expiry_after_callback(self) -> Self:
        if self.expire_after < self.callback_span:
            raise ValueError(
                gettext("%(env_prefix)sEXPIRE_AFTER must not be shorter than %(env_prefix)sCALLBACK_SPAN")
                % {"env_prefix": ENV_PREFIX}
            )
        return self


@dataclass(frozen=True, slots=True)
class Secrets:
    """The keys themselves, read from their files; never printed."""

    private_key: RSAPrivateKey = field(repr=False)
    public_keys: dict[str, RSAPublicKey] = field(repr=False)
    apiv3_key: bytes = field(repr=False)
    hook_secret: bytes | None = field(default=None, repr=False)
    certificate: MerchantCertificate | None = None

    @classmethod
    def read(cls, settings: Settings) -> Self:
        """Read every key file that the settings name, and check that they belong together.

        Raises:
            KeyFileError: naming the first file that cannot be used, and why.
        """
        tls_context(settings.ca_file)
        private_key = private_key_from(content_of(settings.mch_private_key_file), str(settings.mch_private_key_file))
        key_id, certificate_file = settings.wechatpay_public_key_id, settings.mch_certificate_file
        public_keys = {canonical_id(key_id): platform_key(settings.wechatpay_public_key_file, key_id)}
        public_keys |= more_platform_keys(settings.wechatpay_more_keys_dir)
        check_not_ours(private_key, public_keys.values())
        return cls(
            private_key=private_key,
            public_keys=public_keys,
            apiv3_key=apiv3_key_from(content_of(settings.apiv3_key_file), str(settings.apiv3_key_file)),
            hook_secret=_hook_secret(settings.hook_secret_file),
            certificate=merchant_certificate(certificate_file, private_key, settings.mch_serial_no)
            if certificate_file
            else None,
        )

    def serial_no(self, settings: Settings) -> str:
        """Return the serial number of the merchant API certificate: that of the file, else that of the settings."""
        return self.certificate.serial_no if self.certificate else settings.mch_serial_no or ""


def tls_context(ca_file: Path | None) -> ssl.SSLContext | None:
    """Return what trusts the authority of COUPONPRESS_CA_FILE; None for the system's own authorities.

    Raises:
        KeyFileError: the file cannot be read, or holds no certificate.
    """
    if ca_file is None:
        return None
    pem = content_of(ca_file)
    try:
        if not pem.strip():  # which OpenSSL would take for the system's authorities
            raise ValueError  # noqa: TRY301 - as below
        # Not by its name: OpenSSL's error for a file does not say what is wrong.
        context = ssl.create_default_context(cadata=pem.decode("ascii", errors="ignore"))
    except (ssl.SSLError, ValueError):
        raise KeyFileError(
            gettext(
                "%(ca_file)s holds no usable certificate. COUPONPRESS_CA_FILE names a PEM file with the authority to "
                "trust; leave it out for the real platform."
            )
            % {"ca_file": ca_file}
        ) from None
    return context


def _hook_secret(path: Path | None) -> bytes | None:
    if path is None:
        return None
    secret = content_of(path).strip()
    if len(secret) < HOOK_SECRET_BYTES:
        raise KeyFileError(
            gettext("%(path)s holds %(secret)s bytes; a hook's secret has at least %(hook_secret_bytes)s.")
            % {"path": path, "secret": len(secret), "hook_secret_bytes": HOOK_SECRET_BYTES}
        )
    return secret
