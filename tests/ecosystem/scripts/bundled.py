"""requests, flask, rich and click, really used, from a bundle: tests/target/test_bundle_packages.py."""

import http.server
import io
import json
import os
import sys
import threading
from importlib import metadata

import certifi
import click
import click.testing
import flask
import requests
import rich.console
import rich.markdown
import rich.table

app = flask.Flask(__name__)


@app.route("/<name>")
def hello(name):
    return flask.render_template_string("hello {{ name|upper }} {{ '<' }}", name=name)


answer = app.test_client().get("/you")
assert (answer.status_code, answer.get_data(as_text=True)) == (200, "hello YOU &lt;"), answer


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.dumps([self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))])
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format, *args):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
with requests.Session() as session:
    session.trust_env = False
    root = "http://127.0.0.1:%d" % server.server_port
    assert session.post(root + "/a", json={"b": 1}).json() == ["/a", {"b": 1}]
server.shutdown()
# data that another library opens by its path
assert os.path.getsize(certifi.where()) > 100000


@click.command()
@click.option("--name", default="nobody")
def command(name):
    """Greet."""
    click.echo("command " + name)


runner = click.testing.CliRunner()
assert runner.invoke(command, ["--name", "me"]).output == "command me\n"
assert "Greet." in runner.invoke(command, ["--help"]).output

console = rich.console.Console(width=60, file=io.StringIO())
table = rich.table.Table("a", "b")
table.add_row("1", "2")
console.print(table)
console.print(rich.markdown.Markdown("# Title\n```python\nx = 1\n```"))
text = console.file.getvalue()
assert "┃ a ┃ b ┃" in text, text
assert "x = 1" in text, text

points = metadata.entry_points()
points = points.select(group="console_scripts") if hasattr(points, "select") else points["console_scripts"]
(point,) = [each for each in points if each.name == "flask"]
assert point.load() is flask.cli.main
for module in (flask, requests, rich, click, certifi):
    assert type(module.__spec__.loader).__name__.endswith("zipimporter"), module
print({name: metadata.version(name) for name in ("requests", "flask", "rich", "click")}, sys.version)
