#!/usr/bin/env python3
"""Loads a running `vigos serve` and looks whether it grows: whole answers, streams, images, sampled rows, clients that are
gone in the middle, and requests that are refused, from several threads. Nothing but the standard library.

    vigos serve --model assets/shapes-qwen2_5-vl --media-root tests/fixtures/images &
    python3 tools/serve_load.py 127.0.0.1:8000 --pid $! --image wide.png --minutes 10

Prints the memory that the process has (Linux) as it goes, and fails if a request was not answered as it should be, or the
second half ends more than a tenth above the first.
"""

import argparse
import collections
import http.client
import json
import random
import threading
import time


def body(model, image, draw):
    content = [{"type": "text", "text": "How many " + "and more " * draw.randrange(40)}]
    if draw.random() < 0.3:
        content.insert(0, {"type": "image_url", "image_url": {"url": image}})
    return {
        "model": model,
        "messages": [{"role": "user", "content": content}],
        "max_tokens": draw.randrange(1, 200),
        "temperature": draw.choice([0, 1, 2]),
        "n": draw.choice([1, 1, 1, 4]),
        "stream": draw.random() < 0.5,
        "logprobs": draw.random() < 0.2,
    }


def ask(address, model, image, draw, counts):
    connection = http.client.HTTPConnection(address, timeout=120)
    kind = draw.random()
    asked = body(model, image, draw)
    if kind < 0.05:
        asked["temperature"] = -1
    connection.request("POST", "/v1/chat/completions", json.dumps(asked), {"Content-Type": "application/json"})
    if kind > 0.9:
        connection.close()
        counts["gone"] += 1
        return
    answer = connection.getresponse()
    wanted = 400 if kind < 0.05 else 200
    if kind > 0.8:
        answer.read(10)
        counts["gone while reading"] += 1
    else:
        answer.read()
        counts[answer.status] += 1
    connection.close()
    # A full queue is an answer too.
    assert answer.status in (wanted, 429), answer.status


def resident(pid):
    lines = open(f"/proc/{pid}/status").read().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--pid", type=int, required=True)
    parser.add_argument("--image", required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--threads", type=int, default=8)
    args = parser.parse_args()
    connection = http.client.HTTPConnection(args.address)
    connection.request("GET", "/v1/models")
    model = json.loads(connection.getresponse().read())["data"][0]["id"]
    end, counts, failed = time.time() + 60 * args.minutes, collections.Counter(), []

    def work(seed):
        draw = random.Random(seed)
        while time.time() < end and not failed:
            try:
                ask(args.address, model, args.image, draw, counts)
            except Exception as error:
                failed.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(args.threads)]
    for thread in threads:
        thread.start()
    sizes = []
    while any(thread.is_alive() for thread in threads):
        sizes.append(resident(args.pid))
        if len(sizes) % 60 == 0:
            print(f"{len(sizes):>5} s  {sizes[-1]:7.1f} MB  {dict(counts)}", flush=True)
        time.sleep(1)
    assert not failed, failed[0]
    half = len(sizes) // 2
    first, second = max(sizes[:half]), max(sizes[half:])
    print(f"at most {first:.1f} MB in the first half, {second:.1f} MB in the second; {sum(counts.values())} requests")
    assert second < 1.1 * first


if __name__ == "__main__":
    main()
