// Keeps every event of an organisation in a file, each once and in order, whatever is killed.
//
//   node subscriber.mjs CONTRACTS SERVER ORGANISATION FILE --nkey SEED [--consumer NAME] [--since DATE]
//
// What it knows of the ledger stands in CONTRACTS, the folder with asyncapi.json and schemas/. A line
// of FILE is an event with its position, so the last whole line says where to go on; `--since` is for
// a file that is still empty. An event that does not follow its schema ends it.

import { appendFileSync, fstatSync, ftruncateSync, openSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { JetStreamApiCodes, JetStreamApiError, jetstreamManager } from "@nats-io/jetstream";
import { connect, nkeyAuthenticator, nkeys, PermissionViolationError } from "@nats-io/transport-node";
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const HEARTBEAT_MS = 1_000;
const RECONNECT_MS = 100;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5_000;
const BAD_REQUEST = 400;
const LINE_AROUND_EVENT_BYTES = 64;
const NEWLINE = "\n".charCodeAt(0);

/** What ends the program: going on could only make it worse. */
class Unusable extends Error {}

/** The published documents, as far as a subscriber needs them. */
class Contracts {
  #folder;
  #ids = new Map();
  #ajv = new Ajv({ strict: true, allErrors: true });

  constructor(folder) {
    this.#folder = folder;
    const { channels, components } = this.#read("asyncapi.json");
    const { stream, consumers } = channels.ledger["x-jetstream"];
    this.stream = stream.name;
    this.eventBytesMax = stream.max_msg_size;
    this.consumers = consumers;
    this.inboxPrefix = components.securitySchemes.nkey["x-inbox-prefix"];
    addFormats(this.#ajv);
    for (const { $id, dataschema, kind, path } of this.#read("schemas/index.json")) {
      if (kind !== "event") continue;
      this.#ajv.addSchema(this.#read(join("schemas", path)));
      this.#ids.set(dataschema, $id);
    }
  }

  /** Ends the program, naming the event, unless it follows the schema of its type and version. */
  check(position, text) {
    const event = JSON.parse(text);
    const named = `event ${event.id} (${event.type}) at position ${position}`;
    const id = this.#ids.get(event.dataschema);
    if (!id) throw new Unusable(`${named}: no schema here is ${event.dataschema}; get newer ones`);
    const follows = this.#ajv.getSchema(id); // compiled when it is first wanted
    if (follows(event)) return;
    throw new Unusable(`${named} breaks its schema: ${this.#ajv.errorsText(follows.errors)}`);
  }

  #read(path) {
    return JSON.parse(readFileSync(join(this.#folder, path), "utf8"));
  }
}

/** The events that are kept, a line each: {"position": …, "event": …}. */
class Kept {
  #file;

  constructor(path, eventBytesMax) {
    this.#file = openSync(path, "a+");
    const size = fstatSync(this.#file).size;
    // Room for a whole line and one that was torn when we were killed, which is cut off.
    const tail = Buffer.alloc(Math.min(size, 2 * (eventBytesMax + LINE_AROUND_EVENT_BYTES)));
    readSync(this.#file, tail, 0, tail.length, size - tail.length);
    const whole = tail.subarray(0, tail.lastIndexOf(NEWLINE) + 1);
    ftruncateSync(this.#file, size - tail.length + whole.length);
    const last = whole.toString().split("\n").at(-2);
    this.position = last === undefined ? 0 : JSON.parse(last).position;
  }

  append(position, text) {
    // One write, so that a kill leaves a whole line or the beginning of one.
    appendFileSync(this.#file, `{"position":${position},"event":${text}}\n`);
    this.position = position;
  }
}

/** Messages after `kept.position`, for ever; the consumer is made anew whenever it is lost. */
async function* follow(connection, contracts, kept, { organisation, name, since }) {
  const { api_prefix: apiPrefix, config } = contracts.consumers;
  const manager = await jetstreamManager(connection, { apiPrefix, checkAPI: false });
  let messages;
  stopWhenDisconnected(connection, () => messages?.stop());
  for (let wait = FIRST_PAUSE_MS; ; wait = Math.min(2 * wait, LONGEST_PAUSE_MS)) {
    try {
      await manager.consumers.delete(contracts.stream, name).catch(unlessMissing);
      await manager.consumers.add(contracts.stream, {
        ...config,
        ...start(kept.position, since),
        name,
        filter_subject: config.filter_subject.replace("{organisation}", organisation),
      });
      const consumer = await manager.jetstream().consumers.get(contracts.stream, name);
      messages = await consumer.consume({
        idle_heartbeat: HEARTBEAT_MS,
        max_messages: 1_000,
        abort_on_missing_resource: true,
      });
      stopWhenSilent(messages);
      let delivered = 0;
      for await (const message of messages) {
        delivered += 1;
        if (message.info.deliverySequence !== delivered) break; // one was lost on the way
        if (message.seq > kept.position) yield message;
        wait = FIRST_PAUSE_MS;
      }
    } catch (error) {
      if (isFinal(error) || connection.isClosed()) throw error;
      console.error(`not read after position ${kept.position}: ${error.message}; trying again`);
    } finally {
      messages?.stop();
    }
    await pause(wait);
  }
}

/** Where a consumer begins: after what is kept, else at a date, else at the very beginning. */
function start(position, since) {
  if (position > 0) return { deliver_policy: "by_start_sequence", opt_start_seq: position + 1 };
  if (since) return { deliver_policy: "by_start_time", opt_start_time: since };
  return { deliver_policy: "all" };
}

/** What asking again cannot mend. */
function isFinal(error) {
  const isRefused = [error, error.cause].some((each) => each instanceof PermissionViolationError);
  return isRefused || (error instanceof JetStreamApiError && error.status === BAD_REQUEST);
}

function unlessMissing(error) {
  if (error.code !== JetStreamApiCodes.ConsumerNotFound) throw error;
}

async function stopWhenDisconnected(connection, stop) {
  for await (const { type } of connection.status()) if (type === "disconnect") stop();
}

async function stopWhenSilent(messages) {
  for await (const { type } of messages.status()) {
    if (type === "heartbeats_missed" || type === "no_responders") messages.stop();
  }
}

async function main() {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      nkey: { type: "string" },
      consumer: { type: "string", default: "example-node" },
      since: { type: "string" },
    },
  });
  const [folder, servers, organisation, file] = positionals;
  if (!file || !values.nkey) throw new Unusable("usage: see the head of subscriber.mjs");
  const contracts = new Contracts(folder);
  const kept = new Kept(file, contracts.eventBytesMax);
  const seed = Buffer.from(readFileSync(values.nkey, "utf8").trim());
  const publicKey = nkeys.fromSeed(seed).getPublicKey();
  const connection = await connect({
    servers,
    name: "goal-ledger example",
    authenticator: nkeyAuthenticator(seed),
    inboxPrefix: contracts.inboxPrefix.replace("{public_key}", publicKey),
    waitOnFirstConnect: true, // and for ever, unless the server does not let us in
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_MS,
  });
  const since = values.since && new Date(values.since).toISOString();
  const asked = { organisation, name: values.consumer, since };
  try {
    for await (const message of follow(connection, contracts, kept, asked)) {
      const text = message.string();
      contracts.check(message.seq, text);
      kept.append(message.seq, text);
    }
  } finally {
    await connection.close();
  }
}

main().catch((error) => {
  console.error(error instanceof Unusable ? error.message : error);
  process.exit(1);
});
