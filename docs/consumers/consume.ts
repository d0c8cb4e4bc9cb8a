// Follows the events of an organization live, from a checkpoint on, without dependencies.
//
//   PROPTY_URL=https://… PROPTY_TOKEN=propty_… node consume.ts [checkpoint]
//
// Node 22.18 or newer, Deno and Bun run it as it is; an older Node as `node --input-type=module -e "$(cat consume.ts)" [checkpoint]`,
// for its types are inferred or in comments. What was handled and not yet kept when this is killed comes again: handle by `id`.
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";

const url = process.env.PROPTY_URL ?? "http://127.0.0.1:8080";
const checkpoint = process.argv.at(-1)?.endsWith(".checkpoint") ? process.argv.at(-1) : "propty.checkpoint";

/**
 * Your part.
 * @param {{ position: number, id: string, type: string, subject: string, data: Record<string, unknown> }} event
 */
function handle(event) {
  console.log([event.position, event.id, event.type, event.subject].join("\t"));
}

/** Renamed, so that a crash leaves the old one or the new one. */
function keep(position, incarnation) {
  writeFileSync(`${checkpoint}.new`, `${position} ${incarnation}\n`);
  renameSync(`${checkpoint}.new`, checkpoint);
}

/** One connection, until it ends. */
async function follow() {
  const kept = existsSync(checkpoint) ? readFileSync(checkpoint, "utf8").trim().split(" ") : ["0"];
  // The incarnation makes sure that the position means what it meant.
  const query = `after=${kept[0]}` + (kept[1] ? `&incarnation=${kept[1]}` : "");
  const headers = { authorization: `Bearer ${process.env.PROPTY_TOKEN}` };
  const answer = await fetch(`${url}/v1/events/stream?${query}`, { headers });
  if ([401, 403, 410].includes(answer.status)) {
    console.error((await answer.json()).detail);
    process.exit(1);
  }
  if (!answer.ok || !answer.body) return;
  const incarnation = answer.headers.get("propty-incarnation");
  const decoder = new TextDecoder();
  let text = "";
  for await (const piece of answer.body) {
    text += decoder.decode(piece, { stream: true });
    const messages = text.split("\n\n");
    text = messages.pop() ?? "";
    for (const message of messages) {
      const field = (name) => message.split("\n").find((line) => line.startsWith(name))?.slice(name.length);
      const [position, data] = [field("id: "), field("data: ")];
      if (data) handle(JSON.parse(data));
      if (position) keep(position, incarnation);
    }
  }
}

for (;;) {
  // The service was away, or the connection broke: go on from the checkpoint.
  await follow().catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 1000));
}
