#!/usr/bin/env python3
"""Talks to a running `vigos serve` with OpenAI's own client, and checks what it hears.

    vigos serve --model assets/shapes-qwen2_5-vl --media-root tests/fixtures/images --api-key-env KEY &
    python3 -m venv /tmp/openai && /tmp/openai/bin/pip install openai
    KEY=secret /tmp/openai/bin/python tools/serve_client.py http://127.0.0.1:8000/v1 tests/fixtures/images/wide.png

The key is that of the variable KEY. Each line of output is a call that came to what it should.
"""

import asyncio
import base64
import os
import pathlib
import sys

import openai


def say(what, found):
    print(f"{what:<28} {found}", flush=True)


def main(url, image):
    client = openai.OpenAI(base_url=url, api_key=os.environ.get("KEY", "none"), max_retries=0)
    models = [model.id for model in client.models.list()]
    say("models", ", ".join(models))
    model = models[0]

    data = base64.b64encode(pathlib.Path(image).read_bytes()).decode()
    question = [
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
                {"type": "text", "text": "How many circles are there?"},
            ],
        }
    ]
    greedy = dict(model=model, messages=question, temperature=0, max_tokens=40)
    whole = client.chat.completions.create(**greedy, logprobs=True, top_logprobs=2)
    text = whole.choices[0].message.content
    say("chat about an image", repr(text))
    say("usage", f"{whole.usage.prompt_tokens} + {whole.usage.completion_tokens} = {whole.usage.total_tokens}")
    first = whole.choices[0].logprobs.content[0]
    say("logprobs", f"{first.token!r} {first.logprob:.4f}, then {first.top_logprobs[1].token!r}")

    stream = client.chat.completions.create(**greedy, stream=True, stream_options={"include_usage": True})
    pieces = list(stream)
    streamed = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
    assert streamed == text, (streamed, text)
    assert pieces[-1].usage == whole.usage
    say("the same streamed", f"{len(pieces)} pieces")

    sampled = dict(greedy, temperature=1.0, seed=7, n=3)
    one, two = (client.chat.completions.create(**sampled) for _ in range(2))
    texts = [choice.message.content for choice in one.choices]
    assert texts == [choice.message.content for choice in two.choices]
    say("n = 3 with a seed, twice", f"{len(set(texts))} different texts")

    stop = text[len(text) // 2 :][:3]
    stopped = client.chat.completions.create(**greedy, stop=[stop])
    assert stopped.choices[0].message.content == text[: text.find(stop)]
    assert stopped.choices[0].finish_reason == "stop"
    say(f"stop = {stop!r}", repr(stopped.choices[0].message.content))

    plain = client.completions.create(model=model, prompt=["One", "Two"], max_tokens=4, temperature=0, logprobs=1)
    say("completions of two texts", [choice.text for choice in plain.choices])

    more = client.chat.completions.create(**greedy, extra_body={"top_k": 5, "min_p": 0.1, "repetition_penalty": 1.2})
    say("extra settings", repr(more.choices[0].message.content))

    for name, error, call in [
        ("no such model", openai.NotFoundError, dict(greedy, model="gpt")),
        ("n = 0", openai.BadRequestError, dict(greedy, n=0)),
        ("a link", openai.BadRequestError, dict(greedy, messages=linked())),
    ]:
        try:
            client.chat.completions.create(**call)
        except error as refused:
            say(name, f"{refused.status_code} {refused.body['message']}")
        else:
            raise AssertionError(name)
    if os.environ.get("KEY"):
        try:
            openai.OpenAI(base_url=url, api_key="wrong", max_retries=0).models.list()
        except openai.AuthenticationError as refused:
            say("another key", f"{refused.status_code} {refused.body['message']}")
        else:
            raise AssertionError("another key")

    together = asyncio.run(many(url, dict(sampled, n=1)))
    alone = client.chat.completions.create(**dict(sampled, n=1)).choices[0].message.content
    assert together == {alone}, together
    say("64 at once", "all as one alone")


def linked():
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]}]


async def many(url, call):
    client = openai.AsyncOpenAI(base_url=url, api_key=os.environ.get("KEY", "none"), max_retries=0)
    answers = await asyncio.gather(*(client.chat.completions.create(**call) for _ in range(64)))
    return {answer.choices[0].message.content for answer in answers}


if __name__ == "__main__":
    main(*sys.argv[1:])
