// Every schema is one of JSON Schema 2020-12 to Ajv in its strict mode, and takes its own examples;
// what an event names in `dataschema` is found and takes its data.
// node schemas.mjs FOLDER: prints how many messages were looked at.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const folder = process.argv[2];
const read = (path) => JSON.parse(readFileSync(join(folder, path), "utf8"));
const ajv = new Ajv({ strict: true, allErrors: true });
addFormats(ajv);

const index = read("index.json");
for (const { path } of index) ajv.addSchema(read(path));
for (const { $id, dataschema, kind, path } of index) {
  const takes = ajv.getSchema($id);
  for (const example of read(path).examples) {
    assert.ok(takes(example), `${path}: ${ajv.errorsText(takes.errors)}`);
    assert.ok(!takes({ ...example, [Object.keys(example)[0]]: 7.5 }), `${path} takes anything`);
    if (kind === "event") {
      assert.equal(example.dataschema, dataschema);
      const takesData = ajv.getSchema(dataschema);
      assert.ok(takesData(example.data), `${dataschema}: ${ajv.errorsText(takesData.errors)}`);
    }
  }
}
console.log(index.length);
