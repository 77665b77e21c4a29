// Events as they are on the wire, read by the official CloudEvents SDK in its strict mode.
// node cloudevents.mjs CONTENT_TYPE < lines, one event each: prints each as the SDK has it, as JSON.
import { readFileSync } from "node:fs";
import { HTTP } from "cloudevents";

const headers = { "content-type": process.argv[2] };
for (const body of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  if (!HTTP.isEvent({ headers, body })) throw new Error(`not taken for an event: ${body}`);
  const event = HTTP.toEvent({ headers, body });
  event.validate();
  console.log(JSON.stringify(event));
}
