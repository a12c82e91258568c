import { defineFunction } from "flux";

/** All that console can do. */
export default defineFunction({
  handler: (ctx) => {
    console.log("plain", 1, { a: [1, { b: null }] });
    console.warn("%s is %d", "six", 6);
    console.error(new TypeError("shown"));
    console.debug("deep");
    console.group("outer");
    console.info("inside");
    console.groupEnd();
    console.time("took");
    console.timeEnd("took");
    console.table([{ a: 1 }]);
    console.assert(1 + 1 === 3, "sums");
    process.stdout.write("written\n");
    ctx.log.info("with fields", { left: 3 });
  },
});
