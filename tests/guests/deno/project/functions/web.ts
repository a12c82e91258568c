import { defineFunction } from "flux";

/** fetch as libraries use it. */
export default defineFunction({
  input: { properties: { url: { type: "string" } }, required: ["url"] },
  handler: async (_, { url }) => {
    const form = new FormData();
    form.set("name", "Ada");
    const posted = await fetch(new Request(`${url}/posted`, { method: "POST", body: "raw text" }));
    const formed = await fetch(`${url}/formed`, { method: "POST", body: form });
    const query = await fetch(new URL("/query", url), { method: "PUT", body: new URLSearchParams({ a: "1 2" }) });
    const bytes = await fetch(`${url}/bytes`, { method: "POST", body: new Uint8Array([1, 255]) });
    const binary = await fetch(`${url}/binary`);
    const empty = await fetch(`${url}/empty`);
    const aborted = await fetch(`${url}/slow`, { signal: AbortSignal.timeout(50) }).catch((error) => error.name);
    const failed = await fetch("http://127.0.0.1:1/").catch((error) => error.name);
    return {
      posted: await posted.json(),
      formed: (await formed.json()).body.includes('name="name"\r\n\r\nAda'),
      query: (await query.json()).body,
      bytes: (await bytes.json()).body,
      binary: await binary.bytes(),
      empty: [empty.status, await empty.text()],
      header: posted.headers.get("x-note"),
      ok: posted.ok,
      at: posted.url,
      aborted,
      failed,
    };
  },
});
