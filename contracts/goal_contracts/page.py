"""The page of the contracts for people: every subject, event, command, question and reply.

One file that needs no other and no script. What it says is what the schemas say.
"""

import json
import re
from collections.abc import Iterable, Iterator
from html import escape
from itertools import groupby
from typing import Final

from goal_contracts import __version__, codec, subjects
from goal_contracts.messages import Message, answer_to, messages
from goal_contracts.reference import LEADS_TO
from goal_contracts.schema import Schema, SchemaWalk

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #5c6670; --line: #d8dde2; --tint: #f3f5f7;
  --link: #0b5cad; --ground: #fff }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --soft: #a3adb7; --line: #3a424a;
  --tint: #22272c; --link: #7cb7ff; --ground: #16191c } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 68rem; padding: 1rem; color: var(--ink);
  background: var(--ground); font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: break-word }
a { color: var(--link) }
h1 { margin: 1rem 0 0 } h2 { margin-top: 3rem; border-bottom: 1px solid var(--line) }
h3 { margin: 2.5rem 0 .25rem; scroll-margin-top: 1rem }
code, pre { font: .875em/1.5 ui-monospace, monospace; background: var(--tint);
  border-radius: .25rem }
code { padding: .1em .3em } pre { padding: .75rem; overflow-x: auto }
pre code { padding: 0; background: none }
.wide { overflow-x: auto }
table { border-collapse: collapse; width: 100%; margin: .75rem 0 }
th, td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0;
  border-bottom: 1px solid var(--line) }
code { overflow-wrap: anywhere }
.soft, th { color: var(--soft) } th { font-weight: 600 }
nav ul { columns: 15rem; list-style: none; padding: 0; margin: .25rem 0 1rem }
summary { cursor: pointer; color: var(--soft) }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem .75rem; margin: .5rem 0 }
dt { color: var(--soft) } dd { margin: 0; min-width: 0 }
@media (max-width: 36rem) { dl { grid-template-columns: 1fr } dd { margin-bottom: .35rem }
  table, tbody, tr, td { display: block } thead { display: none }
  tr { border-bottom: 1px solid var(--line); padding: .35rem 0 }
  td { border: 0; padding: .1rem 0 } td:empty { display: none } }
"""

_PLAIN_WORDS: Final = {"string": "text", "integer": "whole number", "null": "nothing"}

_FAMILIES: Final = {
    "event": ("Events", "What happened. Each is stored for ever and then sent on."),
    "alert": ("Alerts", "What its owner should look at. Each is told once, and not stored."),
    "command": ("Commands", "What may be asked of the ledger, under an id of one's own choice."),
    "query": ("Questions", "What may be asked of the views."),
    "reply": ("Replies", "What the ledger and the views answer."),
}


def html(place: str) -> str:
    """The page; `place` is where the documents are served, /contracts."""
    walk = SchemaWalk("{}".format, closed=False)
    listed = list(messages())
    families = [(family, list(each)) for family, each in groupby(listed, lambda one: one.family)]
    told = [part for family, each in families for part in _family(family, each, walk, place)]
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en">',
            '<head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            "<title>Goal Ledger: contracts</title>",
            f"<style>{_STYLE}</style></head>",
            "<body>",
            *_head(place),
            *_index(families),
            *_wire(walk),
            *told,
            *_shapes(walk),
            "</body></html>\n",
        )
    )


def _head(place: str) -> Iterator[str]:
    yield "<header><h1>Goal Ledger: contracts</h1>"
    yield f'<p class="soft">Version {__version__}</p>'
    yield (
        "<p>Goals and indicators as a ledger: every change is one event. Other services subscribe "
        "to them, ask for changes by commands, and ask how things stand by questions. For programs:"
        f' <a href="{place}/asyncapi.json">AsyncAPI</a>, '
        f'<a href="{place}/schemas/index.json">JSON Schemas</a>.</p></header>'
    )


def _index(families: list[tuple[str, list[Message]]]) -> Iterator[str]:
    yield "<nav>"
    for family, each in families:
        is_open = " open" if family == "event" else ""
        yield f"<details{is_open}><summary>{_FAMILIES[family][0]} ({len(each)})</summary><ul>"
        yield from (f"<li>{_link(one)}</li>" for one in each)
        yield "</ul></details>"
    yield "</nav>"


def _wire(walk: SchemaWalk) -> Iterator[str]:
    rows = (
        (
            subjects.command("{organisation}", "{actor}", "{command}"),
            "clients, each under its own id",
            "a command; Accepted or Refused comes back",
        ),
        (
            subjects.ledger("{organisation}", "{kind}", "{id}", "{event}"),
            "the ledger only",
            f"what the stream {subjects.STREAM} stores; its sequence is an event's position",
        ),
        (
            subjects.event("{organisation}", "{kind}", "{id}", "{event}"),
            "the server, once an event is stored",
            "the live tail",
        ),
        (
            subjects.alert("{organisation}", "{owner}"),
            "the projections",
            "an alert, to whom it concerns",
        ),
        (
            subjects.query("{organisation}", "{question}"),
            "clients",
            "a question; its answer or QueryRefused comes back",
        ),
    )
    yield '<h2 id="subjects">Subjects</h2>'
    yield from _table(
        ("subject", "who sends", "what"),
        ((_code(subject), escape(who), escape(what)) for subject, who, what in rows),
    )
    yield '<h2 id="envelope">The envelope of an event</h2>'
    yield (
        f"<p>CloudEvents 1.0 in structured JSON, {_code(codec.CONTENT_TYPE)}. Leave aside what you "
        "do not know: an optional field may be added to an event, anything else is a new version "
        "of its type.</p>"
    )
    yield from _fields(walk.message(codec.CloudEvent))
    yield '<h2 id="telling">The envelope of an alert</h2>'
    yield "<p>CloudEvents, too. Who has seen its source and id before has been told already.</p>"
    yield from _fields(walk.message(codec.AlertMessage))
    yield '<h2 id="asking">The message of a command</h2>'
    yield "<p>A field nobody knows is refused, and so is one inside another.</p>"
    yield from _fields(walk.message(codec.CommandMessage))


def _family(family: str, each: Iterable[Message], walk: SchemaWalk, place: str) -> Iterator[str]:
    title, said = _FAMILIES[family]
    yield f'<h2 id="{family}">{title}</h2><p>{said}</p>'
    for message in each:
        yield from _message(message, walk, place)


def _message(message: Message, walk: SchemaWalk, place: str) -> Iterator[str]:
    schema = walk.message(message.of)
    yield f'<section id="{_anchor(message)}"><h3>{message.name}</h3>'
    yield _prose(message.said)
    yield "<dl>"
    for name, value in _facts(message):
        yield f"<dt>{name}</dt><dd>{value}</dd>"
    path = f"{place}/schemas/{message.path}"
    yield f'<dt>schema</dt><dd><a href="{path}">{message.path}</a></dd></dl>'
    yield from _fields(schema)
    shown = json.dumps(message.example_value, indent=2, ensure_ascii=False)
    yield "<details open><summary>Example</summary>"
    yield f'<pre tabindex="0"><code>{escape(shown)}</code></pre></details></section>'


def _facts(message: Message) -> Iterator[tuple[str, str]]:
    if message.subject:
        yield "subject", _code(message.subject)
    match message.family:
        case "event":
            yield "type", _code(codec.event_type(message.name, message.version))
            yield "follows from", _links("command", _causes(message.name))
        case "alert":
            yield "type", _code(codec.event_type(message.name, message.version))
        case "command":
            yield "leads to", _links("event", LEADS_TO[message.name])
            yield "reply", _links("reply", ("Accepted", "Refused"))
        case "query":
            yield "reply", _links("reply", (answer_to(message.name), "QueryRefused"))
        case "reply":
            pass


def _causes(event: str) -> list[str]:
    return [command for command, leads_to in LEADS_TO.items() if event in leads_to]


def _shapes(walk: SchemaWalk) -> Iterator[str]:
    yield '<h2 id="shapes">What several messages are made of</h2>'
    for name, schema in sorted(walk.definitions.items()):
        yield f'<section id="{name}"><h3>{name}</h3>{_prose(schema.get("description", ""))}'
        if "properties" in schema:
            yield from _fields(schema)
        else:
            yield f"<p>{', '.join(_code(each) for each in schema['enum'])}</p>"
        yield "</section>"


def _fields(schema: Schema) -> Iterator[str]:
    required = schema.get("required", ())
    fields = schema["properties"]
    if not fields:
        yield '<p class="soft">It has no fields.</p>'
        return
    yield from _table(
        ("field", "what it is", "meaning"),
        (
            (
                _code(name) + ("" if name in required else ' <span class="soft">optional</span>'),
                _kind(field),
                _words(field.get("description", "")) + _default(field),
            )
            for name, field in fields.items()
        ),
    )


def _default(field: Schema) -> str:
    default = field.get("default")
    if default in (None, "", [], False) or isinstance(default, dict):
        return ""
    return f' <span class="soft">Left out: {_code(json.dumps(default, ensure_ascii=False))}.</span>'


def _kind(field: Schema) -> str:
    """What a field may be, in words."""
    match field:
        case {"$ref": name}:
            return f'<a href="#{name}">{name}</a>'
        case {"const": value}:
            return _code(value)
        case {"enum": values}:
            return ", ".join(_code(each) for each in values)
        case {"anyOf": parts}:
            return " or ".join(_kind(each) for each in parts)
        case {"type": "array", "items": items}:
            return f"list of {_kind(items)}"
        case {"type": "string", "format": named}:
            return {"date": "day", "date-time": "moment"}.get(named, str(named))
        case {"type": "string", "pattern": pattern} if "[eE]" in pattern:
            return "decimal, as text"
        case {"type": named}:
            return _PLAIN_WORDS.get(named, str(named))
        case _:
            return "any JSON"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    yield '<div class="wide"><table><thead><tr>'
    yield "".join(f"<th>{name}</th>" for name in head)
    yield "</tr></thead><tbody>"
    for row in rows:
        yield f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>"
    yield "</tbody></table></div>"


def _prose(text: str) -> str:
    return "".join(f"<p>{_words(each)}</p>" for each in text.split("\n\n") if each)


def _words(text: str) -> str:
    return re.sub(r"`(.+?)`", r"<code>\1</code>", escape(text))


def _code(text: object) -> str:
    return f"<code>{escape(str(text))}</code>"


def _anchor(message: Message) -> str:
    return f"{message.family}-{message.name}"


def _link(message: Message) -> str:
    return f'<a href="#{_anchor(message)}">{message.name}</a>'


def _links(family: str, names: Iterable[str]) -> str:
    return ", ".join(f'<a href="#{family}-{name}">{name}</a>' for name in names)
