"""debugpy: a breakpoint, its stack, its variables, and stepping into the library with and without justMyCode."""

import json
import os
import socket
import subprocess
import sys
import time

import show

show.write(
    "program.py",
    """
    import json
    import textwrap
    def work(values):
        total = sum(values)
        text = json.dumps({"total": total})
        return textwrap.fill(text, 10)
    print(work([1, 2, 3]))
    print(json.loads("[1]"))
    try:
        json.loads("[")
    except ValueError as problem:
        print(problem)
    """,
)


class Client:
    def __init__(self, port):
        end = time.monotonic() + 60
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
        self.stream = self.socket.makefile("rwb")
        self.number = 0
        self.events = []

    def receive(self):
        length = 0
        while True:
            line = self.stream.readline()
            if not line:
                raise EOFError
            if line == b"\r\n":
                break
            if line.lower().startswith(b"content-length"):
                length = int(line.split(b":")[1])
        return json.loads(self.stream.read(length))

    def send(self, command, **arguments):
        self.number += 1
        data = json.dumps(
            {"seq": self.number, "type": "request", "command": command, "arguments": arguments}
        ).encode()
        self.stream.write(b"Content-Length: %d\r\n\r\n%s" % (len(data), data))
        self.stream.flush()
        return self.number

    def answer(self, number):
        while True:
            message = self.receive()
            if message["type"] == "response" and message["request_seq"] == number:
                return message
            self.events.append(message)

    def ask(self, command, **arguments):
        return self.answer(self.send(command, **arguments))

    def event(self, name):
        while True:
            for message in self.events:
                if message.get("event") == name:
                    self.events.remove(message)
                    return message
            self.events.append(self.receive())


def stack(client, stop):
    thread = stop["body"]["threadId"]
    frames = client.ask("stackTrace", threadId=thread)["body"]["stackFrames"]
    print(stop["body"]["reason"])
    for frame in frames:
        print("  ", frame["name"], frame["source"].get("path"), frame["line"], frame.get("presentationHint"))
    return thread, frames


def text_of(client, source):
    """Return what an editor shows: the file, or what debugpy sends where there is no such file."""
    reference = source.get("sourceReference")
    if not reference:
        return open(source["path"], encoding="utf-8").read()
    answer = client.ask("source", source=source, sourceReference=reference)
    return answer["body"]["content"]


def session(just_my_code):
    show.title("justMyCode %s" % just_my_code)
    port = show.free_port()
    log = open("debuggee.log", "w+")
    command = [
        sys.executable,
        "-m",
        "debugpy",
        "--listen",
        "127.0.0.1:%d" % port,
        "--wait-for-client",
        "program.py",
    ]
    debuggee = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        client = Client(port)
        client.ask("initialize", adapterID="x", pathFormat="path", linesStartAt1=True, columnsStartAt1=True)
        attach = client.send("attach", justMyCode=just_my_code, steppingResumesAllThreads=True)
        client.event("initialized")
        program = os.path.abspath("program.py")
        points = client.ask("setBreakpoints", source={"path": program}, breakpoints=[{"line": 5}])
        print([(each["verified"], each["line"]) for each in points["body"]["breakpoints"]])
        if not just_my_code:
            library = os.path.join(os.path.dirname(json.__file__), "decoder.py")
            points = client.ask("setFunctionBreakpoints", breakpoints=[])
            print(points["success"], library)
        client.ask("setExceptionBreakpoints", filters=["raised"] if just_my_code else ["uncaught"])
        client.send("configurationDone")
        print(client.answer(attach)["success"])
        thread, frames = stack(client, client.event("stopped"))
        scopes = client.ask("scopes", frameId=frames[0]["id"])["body"]["scopes"]
        values = client.ask("variables", variablesReference=scopes[0]["variablesReference"])["body"][
            "variables"
        ]
        print([(each["name"], each["value"]) for each in values])
        print(client.ask("evaluate", expression="json.__file__", frameId=frames[0]["id"])["body"]["result"])
        for step in ("stepIn", "next", "next", "stepIn", "stepOut"):
            client.ask(step, threadId=thread)
            thread, frames = stack(client, client.event("stopped"))
            print(step, len(text_of(client, frames[0]["source"])))
        for _ in range(8):
            client.ask("continue", threadId=thread)
            stop = None
            while stop is None:
                message = client.events.pop(0) if client.events else client.receive()
                if message.get("event") in ("stopped", "terminated", "exited"):
                    stop = message
            if stop["event"] != "stopped":
                print(stop["event"], stop.get("body"))
                break
            thread, frames = stack(client, stop)
            details = client.ask("exceptionInfo", threadId=thread)
            print(
                details.get("body", {}).get("exceptionId"),
                details.get("body", {}).get("details", {}).get("stackTrace"),
            )
    finally:
        try:
            debuggee.wait(30)
        except subprocess.TimeoutExpired:
            debuggee.kill()
    log.seek(0)
    print(log.read(), debuggee.returncode)


session(True)
session(False)
import debugpy

print(debugpy.__version__)
show.modules()
