package act;

import flux.Ctx;
import flux.Flux;
import flux.HostError;
import flux.Json;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** The functions of the conformance suite: `act` takes steps, `add` is a sum; one module is both. */
public final class Act {
    private static final String TYPES = """
            select
                9007199254740993::bigint as big, 1.50::numeric as exact, '2026-03-10T14:22:01.5Z'::timestamptz as at,
                '\\x00ff'::bytea as bytes, array[1, 2] as list, '{"a": [1, null]}'::jsonb as document,
                null::text as nothing, true as yes
            """;

    public static void main(String[] arguments) {
        Flux.function(Act::act);
    }

    @SuppressWarnings("unchecked")
    static Object act(Ctx ctx, Map<String, Object> input) {
        if (!input.containsKey("steps")) {
            return Json.object("sum", (Long) input.get("a") + (Long) input.get("b"));
        }
        List<Object> results = new ArrayList<>();
        for (Object each : (List<Object>) input.get("steps")) {
            Map<String, Object> step = (Map<String, Object>) each;
            if (step.get("do").equals("respond")) {
                return Flux.response(number(step, "status"), (Map<String, Object>) step.get("headers"), step.get("body"));
            }
            results.add(take(ctx, step));
        }
        return Json.object("results", results);
    }

    @SuppressWarnings("unchecked")
    private static Object take(Ctx ctx, Map<String, Object> step) {
        switch ((String) step.get("do")) {
            case "insert":
                return insert(ctx, step);
            case "read":
                return ctx.db.all("select id, email from users where email = $1 order by id", step.get("email"));
            case "count":
                return ctx.db.value("select count(*) from users");
            case "rename":
                return ctx.db.execute("update users set email = $1 where id = $2", step.get("email"), step.get("id"));
            case "insert_caught":
                try {
                    return insert(ctx, step);
                } catch (HostError error) {
                    return Json.object(
                            "caught", error.type, "code", error.get("code"), "constraint", error.get("constraint"));
                }
            case "query":
                return ctx.db.query((Map<String, Object>) step.get("query"));
            case "types":
                return ctx.db.one(TYPES);
            case "fail":
                throw new IllegalStateException(text(step, "message"));
            case "http_error":
                throw HostError.http(number(step, "status"), text(step, "message"));
            case "fetch":
                Map<String, Object> answer = ctx.fetch(text(step, "url"));
                return Json.object("status", answer.get("status"), "body", answer.get("body"));
            case "tool":
                String url = text(step, "url");
                return ctx.tool(text(step, "name"), Json.object("url", url), tool -> tool.fetch(url).get("body"));
            case "now":
                return ctx.now();
            case "uuid":
                return ctx.uuid();
            case "random":
                return ctx.random();
            case "own_clock":
                return System.currentTimeMillis();
            case "own_random":
                return Math.random();
            case "sleep":
                try {
                    Thread.sleep((long) (((Number) step.get("seconds")).doubleValue() * 1000));
                } catch (InterruptedException never) {
                    throw new IllegalStateException(never);
                }
                return null;
            case "math":
                double x = ((Number) step.get("x")).doubleValue();
                return Json.object(
                        "sqrt", Math.sqrt(x), "floor", Math.floor(-x), "ceil", Math.ceil(x), "rint", Math.rint(2.5),
                        "sin", Math.sin(x), "cos", Math.cos(x), "tan", Math.tan(x), "exp", Math.exp(x), "log", Math.log(x),
                        "atan", Math.atan(x), "atan2", Math.atan2(-x, -1), "asin", Math.asin(1 / x), "acos", Math.acos(1 / x),
                        "turned", Math.sin(x * 1e22));
            case "invoke":
                return ctx.invoke(text(step, "function"), (Map<String, Object>) step.get("input"));
            case "invoke_caught":
                try {
                    return ctx.invoke(text(step, "function"), (Map<String, Object>) step.get("input"));
                } catch (HostError error) {
                    return Json.object("caught", error.type, "message", error.getMessage());
                }
            case "push":
                return ctx.queue.push(text(step, "function"), step.get("input"));
            case "publish":
                return ctx.events.publish(text(step, "type"), step.get("data"));
            case "log":
                List<Object> fields = new ArrayList<>();
                ((Map<String, Object>) step.get("fields")).forEach((name, value) -> {
                    fields.add(name);
                    fields.add(value);
                });
                ctx.log.warning(text(step, "message"), fields.toArray());
                return null;
            case "print":
                System.out.println(text(step, "text"));
                return null;
            case "secret":
                return ctx.secrets.get(text(step, "name"));
            case "echo":
                return step.get("value");
            case "repeat":
                return text(step, "text").repeat(number(step, "times"));
            case "many":
                long sum = 0;
                for (int i = number(step, "count"); i > 0; i--) {
                    sum += (Long) ctx.db.value("select 1");
                }
                return sum;
            case "spin":
                for (long i = 0; i >= 0; i = (i + 1) % 1000) {
                    turns = i;
                }
                return null;
            case "grow":
                List<byte[]> kept = new ArrayList<>();
                while (true) {
                    kept.add(new byte[1 << 20]);
                }
            case "recurse":
                return recurse(1);
            default:
                throw new IllegalArgumentException("there is no step " + step.get("do"));
        }
    }

    private static volatile long turns;

    private static Object insert(Ctx ctx, Map<String, Object> step) {
        return ctx.db.one("insert into users (email) values ($1) returning id, email", step.get("email"));
    }

    private static long recurse(long depth) {
        return recurse(depth + 1) + depth;
    }

    private static String text(Map<String, Object> step, String name) {
        return (String) step.get(name);
    }

    private static int number(Map<String, Object> step, String name) {
        return ((Number) step.get(name)).intValue();
    }
}
