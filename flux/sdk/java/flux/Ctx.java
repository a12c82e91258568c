package flux;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/** What a function may ask. It lives as long as the request. */
public final class Ctx {
    public final Db db = new Db();
    public final Queue queue = new Queue();
    public final Events events = new Events();
    public final Log log = new Log();
    public final Secrets secrets = new Secrets();

    Ctx() {
    }

    /** Any operation of the host, by name: {@code ctx.call("sleep", "seconds", 2)}. */
    public Object call(String op, Object... args) {
        return Flux.call(op, Json.object(args));
    }

    /** An HTTP request to the outside: status, headers, body. Options: method, headers, body or json, timeout. */
    public Map<String, Object> fetch(String url, Object... options) {
        return Flux.fetch(url, options, null);
    }

    /** A call out of the system, whose answer is recorded, and given back in a replay without making the call. */
    public Object tool(String name, Map<String, Object> arguments, Function<Tool, Object> does) {
        Map<?, ?> begun = (Map<?, ?>) call("tool.begin", "name", name, "arguments", arguments);
        if (begun.containsKey("answer")) {
            return begun.get("answer");
        }
        Object id = begun.get("call");
        Object answer;
        try {
            answer = does.apply(new Tool(id));
        } catch (RuntimeException error) {
            call("tool.end", "call", id, "error", Json.object("type", Flux.typeOf(error), "message", error.getMessage()));
            throw error;
        }
        call("tool.end", "call", id, "answer", answer);
        return answer;
    }

    /** What another function of the project answers. */
    public Object invoke(String function, Map<String, Object> input) {
        return call("invoke", "function", function, "input", input);
    }

    /** The time in UTC, as ISO 8601. */
    public String now() {
        return (String) call("now");
    }

    /** A random UUID. */
    public String uuid() {
        return (String) call("uuid");
    }

    /** A number from 0 up to 1; not for secrets. */
    public double random() {
        return ((Number) call("random")).doubleValue();
    }

    /** Wait; takes no time in a replay. */
    public void sleep(double seconds) {
        call("sleep", "seconds", seconds);
    }

    /** The request: id, kind, method, path, query, headers. */
    @SuppressWarnings("unchecked")
    public Map<String, Object> request() {
        return (Map<String, Object>) call("request");
    }

    /** The request's transaction. Parameters are marked $1, $2 … */
    public static final class Db {
        /** The number of rows that were written or returned. */
        public long execute(String sql, Object... parameters) {
            return (Long) ask("db.execute", sql, parameters);
        }

        /** The first row, or null. */
        @SuppressWarnings("unchecked")
        public Map<String, Object> one(String sql, Object... parameters) {
            return (Map<String, Object>) ask("db.one", sql, parameters);
        }

        /** Every row, each a Map. */
        @SuppressWarnings("unchecked")
        public List<Object> all(String sql, Object... parameters) {
            return (List<Object>) ask("db.all", sql, parameters);
        }

        /** The first column of the first row, or null. */
        public Object value(String sql, Object... parameters) {
            return ask("db.value", sql, parameters);
        }

        /** A structured query: its rows, or the number of rows that it wrote. */
        public Object query(Map<String, Object> query) {
            return Flux.call("db.query", Json.object("query", query));
        }

        private static Object ask(String op, String sql, Object[] parameters) {
            return Flux.call(op, Json.object("sql", sql, "parameters", Arrays.asList(parameters)));
        }
    }

    /** Jobs, which exist exactly if the transaction does. */
    public static final class Queue {
        /** The id of a new job. Options: delay, run_at, key, priority … */
        public long push(String function, Object input, Object... options) {
            Map<String, Object> args = Json.object(options);
            args.put("function", function);
            args.put("input", input);
            return (Long) Flux.call("queue.push", args);
        }
    }

    /** Events, for whoever subscribes. */
    public static final class Events {
        /** The id of a new event. */
        public Object publish(String type, Object data) {
            return Flux.call("events.publish", Json.object("type", type, "data", data));
        }
    }

    /** Log lines of the request, with fields: names and values by turns. */
    public static final class Log {
        public void debug(String message, Object... fields) {
            line("debug", message, fields);
        }

        public void info(String message, Object... fields) {
            line("info", message, fields);
        }

        public void warning(String message, Object... fields) {
            line("warning", message, fields);
        }

        public void error(String message, Object... fields) {
            line("error", message, fields);
        }

        private static void line(String level, String message, Object[] fields) {
            Flux.call("log", Json.object("level", level, "message", message, "fields", Json.object(fields)));
        }
    }

    /** Secrets, hidden in the record. */
    public static final class Secrets {
        /** A secret, or null. */
        public String get(String name) {
            return (String) Flux.call("secrets.get", Json.object("name", name));
        }
    }

    /** A tool call under way. */
    public static final class Tool {
        private final Object id;

        private Tool(Object id) {
            this.id = id;
        }

        /** A fetch that belongs to it. */
        public Map<String, Object> fetch(String url, Object... options) {
            return Flux.fetch(url, options, id);
        }
    }
}
