"""Where Redis is, whose keys these are, how long results live: read from the environment, once.

The only module of this package that touches the environment. Every setting is described where it is declared;
`deploy/README.md` holds the same table, and a test compares the two.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from couponpress.errors import SettingsError
from couponpress.language import Language, gettext, joined, language_of_locale
from couponpress.partners import OWN, Partner, partner_named, read_partners
from couponpress.pydantic_sentences import rule_told
from couponpress.setting_names import ENV_PREFIX, shown_value, troubles_of
from couponpress.transport.proxy import EXPLICIT, Proxy, ProxyRule
from couponpress.transport.redis_address import RedisAddress
from couponpress.transport.web_address import host_of, literal, never_called


def _redis_url(url: str) -> str:
    for name in RedisAddress.parse(url).unreadable_files():
        raise ValueError(gettext("names a file that cannot be read: %(name)s") % {"name": name})
    return url


def _proxy(url: str) -> str:
    try:
        Proxy.parse(url, EXPLICIT)
    except ValueError as error:
        raise ValueError(str(error).removeprefix(f"{EXPLICIT} ")) from None
    return url


def checked_hook_url(url: str) -> str:
    """Return a URL that can be told of a finished run.

    Raises:
        ValueError: it is none, or names an address that is never called. The message does not repeat the URL.
    """
    wrong = ValueError(gettext("must be an http(s) URL of up to 1024 characters, without a user name in it"))
    if len(url) > 1024 or not re.fullmatch(r"https?://[^\s/?#@]+([/?][!-~]*)?", url):
        raise wrong
    try:
        host = host_of(url)
    except ValueError:
        raise wrong from None
    if not host:
        raise wrong
    address = literal(host)
    if address is not None and (what := never_called(address)):
        raise ValueError(
            gettext("must lead to a server of yours: %(address)s is %(what)s, which is never called")
            % {"address": address, "what": what}
        )
    return url


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(gettext("must be a time zone such as Asia/Shanghai, which this machine knows")) from None
    return name


class ProducerSettings(BaseSettings):
    """What a producer needs to know. Frozen; built once at the rim and passed on as values."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True, env_ignore_empty=True
    )

    redis_url: Annotated[str, AfterValidator(_redis_url)] = Field(
        "redis://127.0.0.1:6379/0",
        repr=False,  # it may hold a password
        description="The Redis that producers and workers share: ledger, limiter and, without BROKER_URL, the broker.",
    )
    broker_url: Annotated[str, AfterValidator(_redis_url)] | None = Field(
        None,
        repr=False,  # as above
        description="Another Redis for Celery's queues alone; what is in them may be lost at any time.",
    )
    mchid: str = Field(
        pattern=r"^[0-9A-Za-z_-]+$",
        description="The partner's merchant id (服务商商户号); every key is scoped by it.",
    )
    partners: Path | None = Field(
        None,
        description="TOML file with several partners, of which MCHID or `--partner` chooses one: docs/partners.md.",
    )
    hook_url: Annotated[str, AfterValidator(checked_hook_url)] | None = Field(
        None,
        repr=False,  # its query may hold a token
        description="Whom to tell that a run is finished, unless the run has a hook of its own: docs/hooks.md.",
    )
    proxy: Annotated[str, AfterValidator(_proxy)] | None = Field(
        None,
        repr=False,  # it may hold a password
        description="HTTP proxy for every call out, `http://user:password@host:port`; else HTTPS_PROXY or HTTP_PROXY.",
    )
    schedule_file: Path | None = Field(
        None,
        description="TOML file that says what the scheduler submits by itself, and when: docs/nightly.md.",
    )
    notify_file: Path | None = Field(
        None,
        description="TOML file that says whom the fleet tells of what happens: docs/notify.md.",
    )
    log: Literal["text", "json"] = Field(
        "text", description="How services log: `text`, lines for people, or `json`, one JSON object per line."
    )
    lang: str | None = Field(
        None,
        description="The language of commands, `en` or `zh_CN`; else LC_ALL, LC_MESSAGES or LANG tells it.",
    )
    tz: Annotated[str, AfterValidator(_time_zone)] | None = Field(
        None,
        description="The time zone of moments that people read and give, such as `Asia/Shanghai`; else the machine's.",
    )
    traces: bool = Field(
        False, description="Send traces of specs by OpenTelemetry; on as well where OTEL_EXPORTER_OTLP_ENDPOINT is set."
    )
    result_ttl: int = Field(7 * 86400, ge=60, description="Seconds for which a finished run's results are kept.")
    audit_ttl: int = Field(
        400 * 86400,
        ge=86400,
        description="Seconds for which the audit log keeps an entry; all services alike.",
    )

    @classmethod
    def load(cls, values: Mapping[str, Any] | None = None) -> Self:
        """Read the settings of one partner; `values` (by field name) take precedence, for tests and embedding.

        They come from the environment, and before it from the file of partners, where there is one.

        Raises:
            SettingsError: naming every missing, every wrong and every unknown setting at once.
        """
        given = dict(values or {})
        path = _partners_path(given)
        return cls._of(given, None if path is None else _chosen(given, path), path)

    @classmethod
    def load_all(cls, values: Mapping[str, Any] | None = None) -> tuple[Self, ...]:
        """Read the settings of every partner of the file, for services that serve several.

        Without a file, or where COUPONPRESS_MCHID chooses one, it is one partner's.

        Raises:
            SettingsError: as `load`; the mistakes of all partners are told at once.
        """
        given = dict(values or {})
        path = _partners_path(given)
        if path is None or given.get("mchid") or os.environ.get(f"{ENV_PREFIX}MCHID"):
            return (cls.load(given),)
        found, problems = [], []
        for partner in _partners_of(path):
            try:
                found.append(cls._of(given, partner, path))
            except SettingsError as error:
                problems.append(str(error))
        if problems:
            raise SettingsError("\n".join(problems))
        return tuple(found)

    @classmethod
    def _of(cls, given: Mapping[str, Any], partner: Partner | None, path: Path | None = None) -> Self:
        troubles = list(troubles_of(os.environ))
        try:
            settings = cls(**{**(partner.values if partner is not None else {}), **given})
        except ValidationError as error:
            hidden = {name for name, field in cls.model_fields.items() if not field.repr}
            in_file = OWN | partner.values.keys() if partner is not None else frozenset[str]()
            troubles = _troubles(error, hidden, in_file) + troubles
        if not troubles:
            return settings
        told = joined(troubles, "; ")
        if partner is not None:
            raise SettingsError(
                gettext("partner %(mchid)s in %(path)s: %(told)s. deploy/README.md says what each setting is.")
                % {"mchid": partner.mchid, "path": path, "told": told}
            )
        raise SettingsError(
            gettext("%(told)s. Set them in the environment; deploy/README.md says what each one is.") % {"told": told}
        )

    @property
    def redis_address(self) -> RedisAddress:
        """The Redis address, taken apart: it makes clients."""
        return RedisAddress.parse(self.redis_url)

    @property
    def broker_address(self) -> RedisAddress:
        """The address of the Redis that carries Celery's queues."""
        return RedisAddress.parse(self.broker_url or self.redis_url)

    @property
    def proxy_rule(self) -> ProxyRule:
        """Which proxy each call goes through: PROXY, else the machine's own variables, as they are now.

        Raises:
            SettingsError: one of them names no proxy.
        """
        try:
            return ProxyRule.of({**os.environ, EXPLICIT: self.proxy or ""})
        except ValueError as error:
            raise SettingsError(
                gettext("%(error)s. Correct it in the environment; deploy/README.md says what it is.")
                % {"error": error}
            ) from None

    @property
    def traced(self) -> bool:
        """Whether traces are to be sent."""
        return self.traces or bool(os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"))

    @property
    def redis_url_shown(self) -> str:
        """The Redis address without its password, for messages."""
        return without_password(self.redis_url)


def configured_rate(mchid: str | None = None) -> str:
    """Return the rate that a partner's fleet is to have, for a guess at how long something takes without asking it.

    It is that of the file of partners, where there is one, else COUPONPRESS_RATE. Without `mchid` it is the partner's
    that the settings choose. Settings that are wrong are left to who reads them.
    """
    given, own = {"mchid": mchid}, None
    if (path := _partners_path(given)) is not None:
        with suppress(SettingsError):
            own = _chosen(given, path).values.get("rate")
    return str(own or os.environ.get(f"{ENV_PREFIX}RATE") or "500/second")


def configured_log() -> Literal["text", "json"]:
    """Return COUPONPRESS_LOG before the settings are read; text for a wrong value, which reading them refuses."""
    return "json" if os.environ.get(f"{ENV_PREFIX}LOG") == "json" else "text"


def configured_language() -> Language:
    """Return the language that the environment asks for."""
    return language_of_locale(os.environ)


def set_time_zone() -> None:
    """Let this process tell and read moments in COUPONPRESS_TZ; for the process of a command, before it has threads.

    Raises:
        SettingsError: there is no such time zone, or this machine has no table of it.
    """
    name = os.environ.get(f"{ENV_PREFIX}TZ")
    if not name:
        return
    try:
        zone = ZoneInfo(_time_zone(name))
    except ValueError as error:
        raise SettingsError(gettext("%(error)s.") % {"error": f"{ENV_PREFIX}TZ {error}{shown_value(name)}"}) from None
    os.environ["TZ"] = name
    time.tzset()
    now = datetime.now(UTC)
    if now.astimezone().utcoffset() != now.astimezone(zone).utcoffset():
        raise SettingsError(
            gettext("this machine has no table of the time zone %(name)s: install its package tzdata.") % {"name": name}
        )


def partners_file() -> Path | None:
    """Return the file of partners that a service serves all of; None for a service of one partner."""
    return None if os.environ.get(f"{ENV_PREFIX}MCHID") else _partners_path({})


def choose_partner(mchid: str | None) -> None:
    """Let this process and those that it starts be of one partner of the file; for the process of a command.

    Raises:
        SettingsError: there is no file of partners, and the settings are not of that partner.
    """
    name = f"{ENV_PREFIX}MCHID"
    if mchid is None or os.environ.get(name) == mchid:
        return
    if not os.environ.get(f"{ENV_PREFIX}PARTNERS"):
        raise SettingsError(
            gettext("--partner chooses from a file of partners: name it by COUPONPRESS_PARTNERS. See docs/partners.md.")
        )
    os.environ[name] = mchid


def configured() -> dict[str, str]:
    """Return every COUPONPRESS_ setting of the environment that is not empty, by its name there."""
    return {name: value for name, value in os.environ.items() if name.startswith(ENV_PREFIX) and value}


def environment_variable(name: str) -> str | None:
    """Return a variable of the environment that another file names, such as the URL of a robot; None if not set."""
    return os.environ.get(name)


def redis_setting() -> dict[str, str]:
    """Return the setting of the Redis in force, by its name in the environment."""
    name = f"{ENV_PREFIX}REDIS_URL"
    return {name: os.environ.get(name) or str(ProducerSettings.model_fields["redis_url"].default)}


def without_password(url: str) -> str:
    """Return a URL that can be shown: user name and password are cut out."""
    return re.sub(r"([?&](?:sentinel_|ssl_)?(?:username|password)=)[^&]*", r"\1***", re.sub(r"//.*@", "//***@", url))


def _partners_path(given: Mapping[str, Any]) -> Path | None:
    path = given.get("partners") or os.environ.get(f"{ENV_PREFIX}PARTNERS")
    return Path(path) if path else None


def _chosen(given: Mapping[str, Any], path: Path) -> Partner:
    partners = _partners_of(path)
    mchid = given.get("mchid") or os.environ.get(f"{ENV_PREFIX}MCHID")
    if mchid is None and len(partners) > 1:
        known = ", ".join(one.mchid for one in partners)
        raise SettingsError(
            gettext("%(path)s holds several partners: choose one by --partner or COUPONPRESS_MCHID, of %(known)s.")
            % {"path": path, "known": known}
        )
    return partner_named(partners, mchid or partners[0].mchid, path)


def _partners_of(path: Path) -> tuple[Partner, ...]:
    shared = [name for name in sorted(ENV_PREFIX + one.upper() for one in OWN) if os.environ.get(name)]
    if shared:
        raise SettingsError(
            gettext(
                "%(names)s: with a file of partners these are of one partner each; move them from the environment into "
                "%(path)s."
            )
            % {"names": joined(shared, ", "), "path": path}
        )
    return read_partners(path)


def _troubles(error: ValidationError, hidden: set[str], in_file: Collection[str]) -> list[str]:
    """Return what is wrong in words: first all that is missing, then each wrong value, shown unless it is `hidden`.

    Settings that stand `in_file` are named as they are there.
    """
    missing, wrong = [], []
    for detail in error.errors(include_url=False):
        # A rule about several settings has no place of its own; it names them itself.
        field = str(detail["loc"][0]) if detail["loc"] else ""
        name = field if field in in_file else ENV_PREFIX + field.upper() if field else ""
        if detail["type"] == "missing":
            missing.append(name)
        else:
            value = "" if field in hidden else shown_value(detail["input"])
            wrong.append(f"{name} {rule_told(detail['msg'])}{value}".strip())
    return ([gettext("missing settings: %(missing)s") % {"missing": joined(missing, ", ")}] if missing else []) + wrong
