"""flask: routes, templates, the debugger's page, and the reloader."""

import html
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request

import show

show.write(
    "site_app.py",
    """
    import json
    from flask import Flask, jsonify, render_template_string, request
    app = Flask(__name__)
    @app.route("/")
    def index():
        return render_template_string("hello {{ name|upper }}", name=request.args.get("n", "you"))
    @app.route("/json")
    def data():
        return jsonify(a=1)
    @app.route("/broken")
    def broken():
        return json.loads("[1,")
    @app.route("/template")
    def template():
        return render_template_string("{{ 1 / 0 }}")
    """,
)
show.python("-m", "flask", "--version")
show.python("-m", "flask", "--app", "site_app", "routes")
show.python("-m", "flask", "--app", "no_such", "routes", status=2)
sys.path.insert(0, "")
import site_app

client = site_app.app.test_client()
print(client.get("/?n=me").text, client.get("/json").json, client.get("/none").text)
with show.error():
    site_app.app.testing = True
    client.get("/broken")
site_app.app.testing = False
from werkzeug.debug.tbtools import DebugTraceback

try:
    site_app.broken()
except ValueError as problem:
    trace = DebugTraceback(problem)
    print(trace.render_traceback_text())
    print(trace.render_traceback_html())

port = show.free_port()
command = [sys.executable, "-m", "flask", "--app", "site_app", "--debug", "run", "--port", str(port)]
log = open("server.log", "w")
server = subprocess.Popen(
    command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "FLASK_DEBUG": "1"}
)


def fetch(path):
    try:
        with urllib.request.urlopen("http://127.0.0.1:%d%s" % (port, path), timeout=20) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as problem:
        return problem.read().decode()
    except OSError:
        return ""


def until(path, text, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        page = fetch(path)
        if text in page:
            return page
        time.sleep(0.2)
    server.terminate()
    sys.exit("no %r\n%s" % (text, open("server.log").read()))


try:
    print(until("/", "hello YOU"))
    for path in ("/broken", "/template"):
        page = until(path, "Traceback")
        page = re.sub(r'(SECRET = |frame-|id="frame-|EVALEX[^,]*,)"?\w+"?', r"\1", page)
        print(html.unescape(re.sub(r"<[^>]+>", "", page)))
    source = open("site_app.py").read()
    time.sleep(1.1)  # the reloader compares times of change, of which some file systems keep seconds
    show.write("site_app.py", source.replace("hello", "changed"))
    print(until("/", "changed YOU"))
finally:
    server.terminate()
    server.wait()
print(*sorted(line for line in open("server.log") if "PIN" not in line and "GET / " not in line), sep="")
show.modules()
