// The AsyncAPI document passes the official parser.
// node asyncapi.mjs FILE: prints what the parser has to say, and what it found, as JSON.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
const said = diagnostics.map(({ code, message, path }) => ({ code, message, path: path.join("/") }));
const found = document && {
  channels: document.channels().all().length,
  operations: document.operations().all().length,
  messages: document.components().messages().all().length,
};
console.log(JSON.stringify({ said, found }));
