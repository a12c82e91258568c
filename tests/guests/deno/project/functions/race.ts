import { type Ctx, defineFunction } from "flux";
import crypt from "node:crypto";

/** Legs that race, and write down who came where: what a server does when it is in a hurry. */
export default defineFunction({
  input: { type: "object", required: ["url"], properties: { url: { type: "string" } } },
  handler: async (ctx, { url }) => {
    const order: string[] = [];
    const leg = async (name: string): Promise<number> => {
      let sum = 0;
      for (let step = 0; step < 5; step++) {
        const answer = await fetch(`${url}/${name}/${step}`);
        sum += (await answer.json()).path.length;
        order.push(`${name}${step}`);
        if (step === 2) await mark(ctx, `${name} ${order.length}`);
      }
      return sum;
    };
    const ticks: number[] = [];
    const every = setInterval(() => ticks.push(order.length), 1);
    const late = new Promise<string>((done) =>
      setTimeout(() => done(`late after ${order.length}`), 2 + Math.random() * 6)
    );
    const hash = crypto.subtle.digest("SHA-256", new Uint8Array(200_000)).then(() => order.push("hash"));
    const key = new Promise<void>((done) =>
      crypt.pbkdf2("a", "b", 20_000, 16, "sha256", () => {
        order.push("key");
        done();
      })
    );
    const legs = ["a", "b", "c", "d"].map(leg);
    const first = await Promise.race([late, ...legs]);
    const sums = await Promise.all(legs);
    await Promise.all([hash, key]);
    clearInterval(every);
    return { first, sums, order, ticks: ticks.length, last: await late };
  },
});

const mark = (ctx: Ctx, text: string) => ctx.db.execute("insert into marks (text) values ($1)", text);
