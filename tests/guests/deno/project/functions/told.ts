import * as nodeCrypto from "node:crypto";
import { defineFunction } from "flux";

/** Everything that JavaScript says of clock and chance. */
export default defineFunction({
  handler: async () => {
    const began = performance.now();
    await new Promise((done) => setTimeout(done, 3));
    const bytes = crypto.getRandomValues(new Uint32Array(2));
    return {
      moments: [
        Date.now(),
        new Date(),
        Date(),
        performance.now() - began,
        performance.timeOrigin + began,
        process.uptime(),
        process.hrtime(),
        process.hrtime.bigint(),
      ],
      temporal: [Temporal.Now.instant().toString(), Temporal.Now.plainTimeISO().toString()],
      shown: [
        new Intl.DateTimeFormat("en", { fractionalSecondDigits: 3 }).format(),
        new Intl.DateTimeFormat("en", { timeStyle: "medium" }).formatToParts().length,
        new Date().toLocaleTimeString(),
      ],
      chance: [Math.random(), Math.random(), ...bytes, crypto.randomUUID()],
      node: [
        nodeCrypto.default.randomBytes(8).toString("hex"),
        nodeCrypto.default.randomUUID(),
        nodeCrypto.default.randomInt(1_000_000),
      ],
      large: new Uint8Array(await crypto.subtle.digest("SHA-256", crypto.getRandomValues(new Uint8Array(5_000)))),
      still: [
        new Date(0) instanceof Date,
        new Date(2020, 1, 2).getMonth(),
        Date.UTC(2020, 0),
        new (class extends Date {})(7).getTime(),
      ],
    };
  },
});
