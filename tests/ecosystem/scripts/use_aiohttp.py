"""aiohttp: a server and a client in one process, with errors and a web socket."""

import asyncio
import json
import logging
import sys
import traceback

import aiohttp
import show
from aiohttp import web

logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, format="%(name)s %(levelname)s %(message)s")


async def index(request):
    return web.json_response({"path": request.path, "query": dict(request.query)})


async def broken(request):
    return json.loads("[1,")


async def socket(request):
    answer = web.WebSocketResponse()
    await answer.prepare(request)
    async for message in answer:
        await answer.send_str(message.data.upper())
        await answer.close()
    return answer


async def main():
    application = web.Application()
    application.add_routes([web.get("/", index), web.get("/broken", broken), web.get("/socket", socket)])
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    root = "http://127.0.0.1:%d" % runner.addresses[0][1]
    async with aiohttp.ClientSession() as session:
        async with session.get(root, params={"a": "1"}) as answer:
            print(answer.status, await answer.json())
        async with session.get(root + "/broken") as answer:
            print(answer.status, await answer.text())
        async with session.ws_connect(root + "/socket") as channel:
            await channel.send_str("hello")
            print((await channel.receive()).data)
        for wrong in ("http://127.0.0.1:%d/" % show.free_port(), "no url", root + "/broken"):
            try:
                async with session.get(wrong, raise_for_status=True) as answer:
                    print(answer.status)
            except Exception:
                print(traceback.format_exc())
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 0.01)
        except asyncio.TimeoutError:
            print(traceback.format_exc())
    await runner.cleanup()


asyncio.run(main(), debug=True)
show.modules()
