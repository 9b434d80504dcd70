"""requests, against a server of the standard library."""

import gzip
import http.server
import json
import threading

import requests
import requests.help
import show


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, format, *args):
        print("server:", format % args)

    def answer(self, body, status=200, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/json":
            self.answer(json.dumps({"a": [1, 2]}).encode(), Content_Type="application/json")
        elif self.path == "/gzip":
            self.answer(gzip.compress(b"x" * 1000), Content_Encoding="gzip")
        elif self.path == "/moved":
            self.answer(b"", 302, Location="/json", Set_Cookie="k=v")
        else:
            self.answer(b"nothing", 404)

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
root = "http://127.0.0.1:%d" % server.server_port
with requests.Session() as session:
    session.trust_env = False
    print(session.get(root + "/json").json(), session.get(root + "/json").encoding)
    print(len(session.get(root + "/gzip").content))
    moved = session.get(root + "/moved")
    print(moved.history, moved.url, dict(session.cookies))
    print(session.post(root + "/x", data={"a": "ü"}).text, session.post(root + "/x", json={"b": 1}).text)
    print(len(session.post(root + "/x", files={"f": ("n.txt", b"data")}).content) > 100)
    with show.error():
        session.get(root + "/none").raise_for_status()
    with show.error():
        session.get("http://127.0.0.1:%d/" % show.free_port())
    with show.error():
        session.get("http://")
    with show.error():
        session.post(root + "/x", data="no json").json()
    with show.error():
        session.get("https://127.0.0.1:%d/" % show.free_port())
print(json.dumps(requests.help.info(), indent=1, sort_keys=True))
server.shutdown()
show.modules()
