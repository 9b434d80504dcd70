"""django: a project, its checks and tests, the page of an error, and a server that restarts on a change."""

import html
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import show

show.run("django-admin", "--version")
show.run("django-admin", "startproject", "project", ".")
show.files("project")
show.python("manage.py", "startapp", "app")
show.write(
    "project/urls.py",
    """
    import json
    from django.http import HttpResponse
    from django.template import engines
    from django.urls import path
    def index(request):
        return HttpResponse("first answer")
    def broken(request):
        return json.loads("[1,")
    def template(request):
        return HttpResponse(engines["django"].from_string("{% no such %}").render({}))
    def decimal(request):
        import decimal
        return HttpResponse(decimal.Decimal(1) / 0)
    urlpatterns = [path("", index), path("broken/", broken), path("template/", template), path("decimal/", decimal)]
    """,
)
show.write(
    "app/models.py",
    """
    from django.db import models
    class Item(models.Model):
        name = models.CharField(max_length=20)
        when = models.DateField(auto_now_add=True)
    """,
)
show.write(
    "app/tests.py",
    """
    from django.test import TestCase
    from app.models import Item
    class ItemTests(TestCase):
        def test_good(self):
            Item.objects.create(name="a")
            self.assertEqual(Item.objects.count(), 1)
        def test_bad(self):
            import json
            json.loads("{")
        def test_page(self):
            self.assertContains(self.client.get("/"), "second answer")
    """,
)
settings = open("project/settings.py").read().replace("INSTALLED_APPS = [", "INSTALLED_APPS = [\n    'app',")
settings = re.sub(r"SECRET_KEY = .*", "SECRET_KEY = 'known'", settings)
open("project/settings.py", "w").write(settings)
show.python("manage.py", "check")
show.python("manage.py", "makemigrations")
show.python("manage.py", "migrate")
show.python("manage.py", "test", status=1)
show.python("manage.py", "shell", "-c", "from app.models import Item; print(Item.objects.all().query)")
show.python("manage.py", "diffsettings")
show.python("manage.py", "inspectdb", "app_item")
show.python("manage.py", "no_such_command", status=1)
show.python("manage.py", "migrate", "--no-such", status=2)
port = show.free_port()
log = open("server.log", "w")
server = subprocess.Popen(
    [sys.executable, "manage.py", "runserver", "127.0.0.1:%d" % port],
    stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
)  # fmt: skip


def fetch(path, accept):
    request = urllib.request.Request("http://127.0.0.1:%d%s" % (port, path), headers={"Accept": accept})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as problem:
        return problem.read().decode()
    except OSError:
        return ""


def until(path, text, accept="text/html", seconds=90):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        page = fetch(path, accept)
        if text in page:
            return page
        time.sleep(0.2)
    sys.exit("no %r\n%s" % (text, open("server.log").read()))


def plain(page):
    page = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.S)
    lines = html.unescape(re.sub(r"<[^>]+>", "", page)).splitlines()
    return "\n".join(line.rstrip() for line in lines if line.strip() and "Server time" not in line)


try:
    print(until("/", "first answer"))
    for path in ("/broken/", "/template/", "/decimal/", "/none/"):
        show.title("page of " + path)
        print(plain(until(path, "DEBUG = True")))
        show.title("text of " + path)
        print(until(path, "" if path == "/none/" else "Traceback", accept="text/plain"))
    time.sleep(1.1)  # the server compares times of change
    source = open("project/urls.py").read()
    show.write("project/urls.py", source.replace("first", "second"))
    print(until("/", "second answer"))
finally:
    os.killpg(server.pid, signal.SIGTERM)
    server.wait()
# requests end in any order, and each start tells the time
lines = {
    re.sub(r"^\[[^]]*\]|^\w+ \d+, \d{4} - .*", "", line)
    for line in open("server.log")
    if "GET / " not in line
}
print(*sorted(lines), sep="")
show.write(
    "watched.py",
    """
    import os, sys
    os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
    import django
    django.setup()
    from django.utils import autoreload
    tree = os.environ["ECO_TREE"]
    # the library in an archive has no files that could change
    print(*sorted(str(path) for path in autoreload.iter_all_python_module_files()
                   if not str(path).startswith(tree)), sep="\\n")
    """,
)
show.python("watched.py")
import django.test

show.modules()
