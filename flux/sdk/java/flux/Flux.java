package flux;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiFunction;
import org.teavm.backend.wasm.runtime.WasmSupport;
import org.teavm.interop.Address;
import org.teavm.interop.Export;
import org.teavm.interop.Import;

/**
 * Flux for functions in Java: how a function is named, and how its input and its answer travel.
 *
 * <pre>
 * public static void main(String[] arguments) {
 *     Flux.function(Hello::hello);
 * }
 * </pre>
 */
public final class Flux {
    private static BiFunction<Ctx, Map<String, Object>, Object> function;

    private Flux() {
    }

    /** Makes a function the one that this module is; to be called from main. */
    public static void function(BiFunction<Ctx, Map<String, Object>, Object> does) {
        function = does;
    }

    /** A whole HTTP response, for functions whose answer is not only JSON. */
    public static Object response(int status, Map<String, Object> headers, Object body) {
        return Json.object("$response", Json.object("status", status, "headers", headers, "body", body));
    }

    static Object call(String op, Map<String, Object> args) {
        Map<?, ?> reply = (Map<?, ?>) Json.parse(hostCall(Json.of(Json.object("op", op, "args", args))));
        if (!reply.containsKey("error")) {
            return reply.get("ok");
        }
        @SuppressWarnings("unchecked")
        Map<String, Object> more = new LinkedHashMap<>((Map<String, Object>) reply.get("error"));
        throw new HostError((String) more.remove("type"), (String) more.remove("message"), more);
    }

    /** What Thread.sleep is here. */
    static void sleep(long milliseconds) {
        call("sleep", Json.object("seconds", milliseconds / 1000.0));
    }

    @SuppressWarnings("unchecked")
    static Map<String, Object> fetch(String url, Object[] options, Object tool) {
        Map<String, Object> args = Json.object(options);
        args.put("url", url);
        args.put("tool", tool);
        return (Map<String, Object>) call("fetch", args);
    }

    static String typeOf(Throwable error) {
        return error instanceof HostError known ? known.type : error.getClass().getSimpleName();
    }

    @SuppressWarnings("unchecked")
    private static String handled(String input) {
        try {
            return Json.of(Json.object("ok", function.apply(new Ctx(), (Map<String, Object>) Json.parse(input))));
        } catch (Throwable error) {
            Map<String, Object> told = new LinkedHashMap<>();
            if (error instanceof HostError known) {
                told.putAll(known.more);
            }
            told.put("type", typeOf(error));
            told.put("message", error.getMessage());
            told.put("frames", frames(error));
            return Json.of(Json.object("error", told));
        }
    }

    /** The function's own, outermost first. */
    private static List<Object> frames(Throwable error) {
        List<Object> found = new ArrayList<>();
        for (StackTraceElement at : error.getStackTrace()) {
            String name = at.getClassName();
            if (at.getFileName() == null || name.startsWith("java.") || name.startsWith("flux.") || name.startsWith("org.teavm.")) {
                continue;
            }
            String folder = name.substring(0, name.lastIndexOf('.') + 1).replace('.', '/');
            String file = "src/main/java/" + folder + at.getFileName();
            found.add(0, Json.object("file", file, "line", at.getLineNumber(), "function", at.getMethodName()));
        }
        return found;
    }

    // How the bytes travel: docs/guests/abi.md. Objects move when garbage is collected, which only happens where one is
    // made; so an address is taken last, and what the host has written is read from the object, not from its address.

    private static byte[] buffer;

    @Import(module = "flux", name = "call")
    private static native long hostCall(int address, int size);

    @Export(name = "_initialize")
    public static void initialize() {
        WasmSupport.runWithArgs(new String[0]);
    }

    @Export(name = "flux_alloc")
    public static int alloc(int size) {
        buffer = new byte[Math.max(size, 1)];
        return Address.ofData(buffer).toInt();
    }

    @Export(name = "flux_handle")
    public static long handle(int address, int size) {
        buffer = handled(new String(buffer, 0, size, StandardCharsets.UTF_8)).getBytes(StandardCharsets.UTF_8);
        return (long) Address.ofData(buffer).toInt() << 32 | buffer.length;
    }

    private static String hostCall(String request) {
        byte[] data = request.getBytes(StandardCharsets.UTF_8);
        long reply = hostCall(Address.ofData(data).toInt(), data.length);
        return new String(buffer, 0, (int) reply, StandardCharsets.UTF_8);
    }
}
