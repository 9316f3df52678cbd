"""Stand-ins for the group robots of 企业微信, 钉钉 and 飞书, and for a receiver of plain webhooks.

Each checks what the robot's own page demands (see the modules of `couponpress_worker.notify`), and answers as the page
says: with status 200 also when it refuses.
"""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections import deque
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TOKEN = "693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa"
SECRET = "SEC0123456789abcdef0123456789abcdef"
HOUR_SECONDS = 3600


class Robot:
    """One robot, as one group has it.

    Attributes:
        taken: the messages that it took, each as its JSON.
        refused: the codes of those that it refused.
        answers: what it answers next instead, each once: a status and a body; "silence" for none at all.
    """

    def __init__(self, secret=None, keyword=None, per_minute=None, banned_seconds=0, clock=time.time):
        self.secret, self.keyword, self.clock = secret, keyword, clock
        self.taken, self.refused, self.answers = [], [], deque()
        self.received = 0
        self._window, self._per_minute, self._banned_seconds = deque(), per_minute or self.PER_MINUTE, banned_seconds
        self._banned_until = 0
        self.silent = threading.Event()

    def answer(self, path, headers, body):
        """Return the status and the JSON of the answer to a POST."""
        self.received += 1
        if self.answers:
            return self.answers.popleft()
        parts = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        told = (
            json.loads(body.decode("utf-8")) if headers.get("Content-Type", "").startswith("application/json") else {}
        )
        code, words = self.judged(parts.path, query, told, body) or self._paced() or (0, self.WELL)
        (self.refused.append(code) if code else self.taken.append(told))
        return 200, self.shown(code, words)

    def _paced(self):
        now = time.monotonic()
        while self._window and now - self._window[0] >= 60:
            self._window.popleft()
        self._window.append(now)
        if now < self._banned_until or len(self._window) > self._per_minute:
            self._banned_until = max(self._banned_until, now + self._banned_seconds)
            return self.TOO_FAST
        return None

    def texts(self):
        """The text of each message that was taken."""
        return [self.text_of(told) for told in self.taken]


class WeCom(Robot):
    """企业微信."""

    PER_MINUTE, TOO_FAST, WELL = 20, (45009, "api freq out of limit"), "ok"
    path = f"/cgi-bin/webhook/send?key={TOKEN}"

    def judged(self, path, query, told, body):
        if path != "/cgi-bin/webhook/send" or query != {"key": TOKEN}:
            return 93000, "invalid webhook url, hint: [1708397705432012366598976]"
        if told.get("msgtype") not in {"text", "markdown", "markdown_v2"}:
            return 40008, "invalid message type"
        content = told.get(told["msgtype"], {}).get("content")
        if not isinstance(content, str) or not content:
            return 44004, "empty content"
        limit = 2048 if told["msgtype"] == "text" else 4096
        if len(content.encode()) > limit:
            return 40058, f"{told['msgtype']}.content exceed max length {limit}. invalid Request Parameter"
        return None

    def shown(self, code, words):
        return {"errcode": code, "errmsg": words}

    def text_of(self, told):
        return told["markdown"]["content"]


class DingTalk(Robot):
    """钉钉."""

    PER_MINUTE, TOO_FAST, WELL = 20, (130101, "send too fast, exceed 20 times per minute"), "ok"
    path = f"/robot/send?access_token={TOKEN}"

    def judged(self, path, query, told, body):
        if path != "/robot/send" or query.get("access_token") != TOKEN:
            return 300005, "token is not exist"
        if self.secret is not None and (wrong := self._signature(query)):
            return 310000, f"description:{wrong};solution:请确认签名和生成签名的时间戳必须都放在调用的网址中"
        if told.get("msgtype") != "markdown":
            return 400105, "unsupported message type"
        markdown = told.get("markdown", {})
        if not markdown.get("title") or not markdown.get("text"):
            return 40035, "缺少参数 markdown"
        if len(body) > 20_000:
            return 460101, "message too long, exceed 20000 bytes"
        if self.keyword and self.keyword not in markdown["title"] + markdown["text"]:
            return 310000, "keywords not in content"
        return None

    def _signature(self, query):
        timestamp = query.get("timestamp", "")
        if not timestamp.isdigit() or len(timestamp) != 13:
            return "机器人发送签名过期"
        if abs(self.clock() - int(timestamp) / 1000) > HOUR_SECONDS:
            return "机器人发送签名过期"
        signed = hmac.new(self.secret.encode(), f"{timestamp}\n{self.secret}".encode(), hashlib.sha256).digest()
        return None if query.get("sign") == base64.b64encode(signed).decode() else "机器人发送签名不匹配"

    shown, text_of = WeCom.shown, lambda _, told: told["markdown"]["text"]


class Feishu(Robot):
    """飞书."""

    PER_MINUTE, WELL = 100, "success"
    TOO_FAST = (11232, "frequency limited psm[lark.oapi.app_platform_runtime]appID[1500]")
    path = f"/open-apis/bot/v2/hook/{TOKEN}"

    def judged(self, path, query, told, body):
        if path != f"/open-apis/bot/v2/hook/{TOKEN}":
            return 19001, "param invalid: incoming webhook access token invalid"
        if len(body) > 20 * 1024 or query or told.get("msg_type") != "interactive":
            return 9499, "Bad Request"
        if self.secret is not None:
            timestamp, wrong = told.get("timestamp"), (19021, "sign match fail or timestamp is not within one hour")
            if not isinstance(timestamp, str) or not timestamp.isdigit():
                return wrong
            if abs(self.clock() - int(timestamp)) > HOUR_SECONDS:
                return wrong
            signed = hmac.new(f"{timestamp}\n{self.secret}".encode(), b"", hashlib.sha256).digest()
            if told.get("sign") != base64.b64encode(signed).decode():
                return wrong
        card = told.get("card")
        if not isinstance(card, dict) or card["header"]["title"]["tag"] != "plain_text" or not card["elements"]:
            return 9499, "Bad Request"
        if {one["tag"] for one in card["elements"]} != {"markdown"}:
            return 9499, "Bad Request"
        if self.keyword and self.keyword not in json.dumps(card, ensure_ascii=False):
            return 19024, "Key Words Not Found"
        return None

    def shown(self, code, words):
        return {"code": code, "msg": words, "data": {}}

    def text_of(self, told):
        card = told["card"]
        return "\n".join([card["header"]["title"]["content"], *(one["content"] for one in card["elements"])])


class Webhook(Robot):
    """A program's own receiver: it verifies as docs/hooks.md shows."""

    PER_MINUTE, TOO_FAST, WELL = 10_000, (429, ""), ""
    path = "/told"

    def answer(self, path, headers, body):
        self.received += 1
        if self.answers:
            return self.answers.popleft()
        timestamp = headers.get("Couponpress-Timestamp", "")
        signed = hmac.new(self.secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        if headers.get("Couponpress-Signature") != f"sha256={signed}" or abs(self.clock() - int(timestamp)) > 300:
            self.refused.append(401)
            return 401, {}
        self.taken.append(json.loads(body))
        return 204, None

    def text_of(self, told):
        return told["text"]


ROBOTS = {"wecom": WeCom, "dingtalk": DingTalk, "feishu": Feishu, "webhook": Webhook}


@contextmanager
def running(robot):
    """Serve a robot on loopback; yields its origin, such as http://127.0.0.1:40000."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, told = robot.answer(self.path, self.headers, body)
            if status == "silence":
                robot.silent.wait(30)
                self.close_connection = True
                return
            text = b"" if told is None else json.dumps(told, ensure_ascii=False).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        robot.silent.set()
        server.shutdown()
        thread.join()
        server.server_close()
