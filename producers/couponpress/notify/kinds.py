"""The kinds of targets, what each one's URL looks like, and the names of the events (pure).

A robot's URL holds its token, so the URL itself is a secret. The hosts and paths are those of the robots' own pages:

- 企业微信: developer.work.weixin.qq.com/document/path/91770 (群机器人配置说明), `key` in the query;
- 钉钉: open.dingtalk.com/document/robots/custom-robot-access (自定义机器人接入), `access_token` in the query;
- 飞书: open.feishu.cn/document/ukTMukTMukTM/ucTM5YjL3ETO24yNxkjN (自定义机器人使用指南), the token in the path.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from couponpress.language import gettext

#: What can be told, in the order in which documents name it.
EVENTS: Final = (
    "run.finished",
    "hold.begun",
    "hold.lifted",
    "night.late",
    "night.missed",
    "night.failed",
    "night.skipped",
    "process.lost",
    "process.back",
)


@dataclass(frozen=True, slots=True)
class Kind:
    """What leads to one kind of target.

    Attributes:
        name: as the table names it.
        called: as its users call it.
        hosts: where its URLs lead; empty for any host.
        form: what follows the host in its URLs; everything in the group `token` is secret.
        example: a URL, to be shown where one is wrong.
        signs: whether calls are signed: never, where a secret is given, or always.
    """

    name: str
    called: str
    hosts: tuple[str, ...]
    form: re.Pattern[str]
    example: str
    signs: Literal["never", "if asked", "always"]

    def objection(self, url: str) -> str | None:
        """Return why a URL is none of this kind, without showing it; None when it is one."""
        if not self.hosts:
            return None
        parts = urlsplit(url)
        if parts.scheme != "https" or parts.netloc not in self.hosts:
            return gettext("must lead to https://%(hosts)s, for its kind is %(kind)s; one looks like %(example)s") % {
                "hosts": " / ".join(self.hosts),
                "kind": self.name,
                "example": self.example,
            }
        if not self.form.fullmatch(parts.path + (f"?{parts.query}" if parts.query else "")):
            return gettext("is no address of a robot of the kind %(kind)s; one looks like %(example)s") % {
                "kind": self.name,
                "example": self.example,
            }
        return None

    def shown(self, url: str) -> str:
        """Return a URL without its token."""
        parts = urlsplit(url)
        if self.name == "feishu":
            return f"{parts.scheme}://{parts.netloc}{parts.path.rpartition('/')[0]}/***"
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{'?***' if parts.query else ''}"


KINDS: Final = {
    kind.name: kind
    for kind in (
        Kind(
            "wecom",
            "企业微信",
            ("qyapi.weixin.qq.com",),
            re.compile(r"/cgi-bin/webhook/send\?(?P<token>key=[!-~]+)"),
            "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=…",
            "never",
        ),
        Kind(
            "dingtalk",
            "钉钉",
            ("oapi.dingtalk.com", "api.dingtalk.com"),
            re.compile(r"/robot/send\?(?P<token>access_token=[!-~]+)"),
            "https://oapi.dingtalk.com/robot/send?access_token=…",
            "if asked",
        ),
        Kind(
            "feishu",
            "飞书",
            ("open.feishu.cn", "open.larksuite.com"),
            re.compile(r"/open-apis/bot/v2/hook/(?P<token>[\w-]+)"),
            "https://open.feishu.cn/open-apis/bot/v2/hook/…",
            "if asked",
        ),
        Kind("webhook", "webhook", (), re.compile(r"(?s:.*)"), "https://shop.example/told", "always"),
    )
}
#: Other names for the same.
ALIASES: Final = {"企业微信": "wecom", "钉钉": "dingtalk", "飞书": "feishu", "lark": "feishu"}
