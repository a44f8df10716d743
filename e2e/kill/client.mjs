// One of the two clients of the kill test: Node with `ws`. The other, client.py, does the same steps and says
// what they are; both take the same options and tell the same things.

import { closeSync, openSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

import WebSocket from "ws";

const ENTRIES = new Set(["new_message", "room_updated", "user_joined", "user_left"]);
// What tells no entry of a log, and comes as it likes.
const SIGNALS = new Set(["presence", "unread", "read_receipt", "user_typing", "user_stopped_typing"]);

const names = ["name", "port", "seed", "messages", "view", "acks", "room"];
const { values: options } = parseArgs({ options: Object.fromEntries(names.map((name) => [name, { type: "string" }])) });
const messages = Number(options.messages);
const random = randomFrom(Number(options.seed));
const view = openSync(options.view, "w");
const acks = openSync(options.acks, "w");

let room = options.room;
let me, epoch, access, refreshToken, expiresAt;
let cursor = 0;
let until = Infinity;
// Numbers of messages: what to send next for the first time, and what was sent and is not acked, in order.
let next = 1;
let unacked = [];
const counts = { acked: 0, resent: 0, duplicates: 0, connections: 0, refreshes: 0, violations: 0 };
let finish;

const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
const finished = () => cursor >= until && unacked.length === 0;
const text = (number) => `${options.name} ${number}`;

function violation(what) {
  counts.violations += 1;
  say({ violation: `${options.name}: ${what}` });
}

// A seeded generator: mulberry32.
function randomFrom(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let bits = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

function backOff(attempt) {
  const longest = Math.min(500, 20 * 2 ** Math.min(attempt, 8));
  return sleep(longest * (0.5 + random() / 2));
}

// The answer to a request, repeated until there is one: the server may be down at any moment.
async function post(path, body) {
  for (let attempt = 0; attempt < 1000; attempt += 1) {
    let response;
    try {
      const headers = { "Content-Type": "application/json" };
      const request = { method: "POST", headers, body: JSON.stringify(body), signal: AbortSignal.timeout(10_000) };
      response = await fetch(`http://127.0.0.1:${options.port}/api${path}`, request);
      if (response.ok) return await response.json();
    } catch {
      await backOff(attempt);
      continue;
    }
    throw new Error(`${path}: ${response.status} ${await response.text()}`);
  }
  throw new Error(`${path}: no answer`);
}

function adopt(tokens) {
  ({ accessToken: access, refreshToken } = tokens);
  expiresAt = Date.now() + 14 * 60_000;
}

// Before the token runs out, and now and then without need, so that rotation meets a dying server too.
async function renew() {
  if (Date.now() > expiresAt || random() < 0.25) {
    adopt(await post("/auth/refresh", { refreshToken }));
    counts.refreshes += 1;
  }
}

const open = () =>
  new WebSocket(`ws://127.0.0.1:${options.port}/ws`, { perMessageDeflate: false, handshakeTimeout: 5000 });

// Registers and makes or joins the room. Nobody kills the server yet.
async function settle() {
  const name = options.name;
  const account = { email: `${name}@example.org`, username: name, password: `the long password of ${name}` };
  const answer = await post("/auth/register", account);
  adopt(answer);
  me = answer.user.id;
  const steps = [
    { type: "authenticate", token: access, subscribe: "none" },
    room ? { type: "join_room", roomId: room } : { type: "create_room", name: "The kill test" },
  ];
  await new Promise((resolve, reject) => {
    const socket = open();
    const step = () => socket.send(JSON.stringify({ ...steps[0], id: "ask" }));
    socket.on("open", step);
    socket.on("error", reject);
    socket.on("close", () => (steps.length === 0 ? resolve() : reject(new Error("cut while settling"))));
    socket.on("message", (data) => {
      const frame = JSON.parse(data);
      if (frame.id !== "ask") return;
      if (!["authenticated", "ack"].includes(frame.type)) return reject(new Error(JSON.stringify(frame)));
      epoch = frame.epoch ?? epoch;
      room = frame.room?.id ?? room;
      steps.shift();
      if (steps.length > 0) step();
      else socket.close();
    });
  });
}

// One connection, from its resuming to its loss.
function connection() {
  return new Promise((resolve, reject) => {
    const socket = open();
    let authenticated = false;
    finish = () => socket.close(1000);
    socket.on("open", () => {
      const resume = [{ roomId: room, after: cursor }];
      socket.send(JSON.stringify({ type: "authenticate", id: "hello", token: access, epoch, resume }));
    });
    socket.on("message", (data, binary) => {
      if (binary) violation("a binary frame");
      const frame = JSON.parse(data);
      if (frame.type === "authenticated") {
        authenticated = true;
        if (frame.epoch !== epoch) violation(`the epoch changed from ${epoch} to ${frame.epoch}`);
        counts.connections += 1;
        say({ connected: frame.serverTime });
        counts.resent += unacked.length;
        for (const number of unacked) send(socket, number);
      } else {
        handle(frame);
      }
      if (finished()) return finish();
      if (authenticated) sendNew(socket);
    });
    // Node tells of a refused or cut connection by `error`, then `close`; of a refused upgrade by the former.
    socket.on("unexpected-response", (_, response) => reject(new Error(`the upgrade was refused: ${response.statusCode}`)));
    socket.on("error", () => {});
    socket.on("close", (code, reason) => {
      if (code !== 1006 && !finished()) violation(`the server closed the connection: ${code} ${reason}`);
      resolve(authenticated);
    });
  });
}

function handle(frame) {
  if (ENTRIES.has(frame.type)) return entry(frame);
  if (frame.type === "ack") return ack(frame);
  if (frame.type === "caught_up") {
    if (frame.roomId === room && frame.seq > cursor) violation(`caught up to ${frame.seq}, yet shown only ${cursor}`);
    return;
  }
  if (!SIGNALS.has(frame.type)) violation(`unexpected frame ${JSON.stringify(frame).slice(0, 300)}`);
}

function entry(frame) {
  const body = frame.type === "new_message" ? frame.message : frame;
  if (body.roomId !== room) return;
  const { seq } = body;
  if (seq !== cursor + 1) violation(`entry ${seq} came after ${cursor}`);
  cursor = seq;
  const row = { seq, type: frame.type };
  if (frame.type === "new_message") {
    Object.assign(row, { id: body.id, userId: body.userId, content: body.content });
    if ((body.clientMessageId != null) !== (body.userId === me)) {
      violation(`the clientMessageId of entry ${seq} was shown to a stranger or hidden from its author`);
    }
  }
  writeSync(view, `${JSON.stringify(row)}\n`);
}

function ack(frame) {
  const place = unacked.indexOf(frame.id);
  if (place < 0) return violation(`an ack that nobody waits for: ${JSON.stringify(frame)}`);
  unacked.splice(place, 1);
  counts.acked += 1;
  counts.duplicates += Number(frame.duplicate);
  writeSync(acks, `${JSON.stringify({ content: text(frame.id), seq: frame.seq, id: frame.messageId })}\n`);
  say({ acked: counts.acked });
}

function send(socket, number) {
  const command = { type: "send_message", id: number, roomId: room, clientMessageId: `${options.name}-${number}` };
  socket.send(JSON.stringify({ ...command, content: text(number) }));
}

function sendNew(socket) {
  const width = 1 + Math.floor(random() * 8);
  while (unacked.length < width && next <= messages) {
    unacked.push(next);
    send(socket, next);
    next += 1;
  }
}

async function live() {
  let attempt = 0;
  while (!finished()) {
    await renew();
    attempt = (await connection()) ? 0 : attempt + 1;
    if (!finished()) await backOff(attempt);
  }
}

await settle();
const orders = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const order = async () => JSON.parse((await orders.next()).value);
say({ ready: true, roomId: room, userId: me });
if (!(await order()).go) throw new Error("not told to go");
const last = order().then((told) => {
  until = told.until;
  if (finished()) finish();
});
await live();
await last;
closeSync(view);
closeSync(acks);
say({ end: { sent: next - 1, ...counts } });
process.exit(0);
