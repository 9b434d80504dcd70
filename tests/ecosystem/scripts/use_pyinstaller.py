"""pyinstaller: a program as a folder and as a file, and what was put into it."""

import show

show.write(
    "hello.py",
    """
    import argparse, asyncio, decimal, json, logging, multiprocessing, sqlite3, ssl, sys, traceback, unittest, xml.etree.ElementTree
    print("hello", json.dumps({"a": 1}), sqlite3.connect(":memory:").execute("select 41 + 1").fetchone())
    print(decimal.Decimal("1.10") + 1, xml.etree.ElementTree.fromstring("<a/>").tag, ssl.OPENSSL_VERSION)
    print(json.__file__.replace(sys._MEIPASS, "BUNDLE"), getattr(sys, "frozen", None))
    try:
        json.loads("[")
    except ValueError:
        print(traceback.format_exc().replace(sys._MEIPASS, "BUNDLE"))
    async def main():
        await asyncio.sleep(0)
        print("asyncio")
    asyncio.run(main())
    """,
)
P = ["-m", "PyInstaller", "--noconfirm", "--log-level", "INFO"]
show.python("-m", "PyInstaller", "--version")
show.python(*P, "-D", "hello.py")
show.run("dist/hello/hello")
show.files("dist/hello")
show.python(*P, "-F", "-n", "single", "hello.py")
show.run("dist/single")
show.run("pyi-archive_viewer", "-l", "-r", "-b", "dist/hello/hello", status=None)
show.python("-m", "zipfile", "-l", "dist/hello/_internal/base_library.zip", status=None)
print(open("build/hello/warn-hello.txt").read())
import PyInstaller.building.api

show.modules()
