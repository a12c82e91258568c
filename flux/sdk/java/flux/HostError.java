package flux;

import java.util.Map;

/** An error of the host, or one with a meaning to it: see {@link #http} and {@link #retry}. */
public class HostError extends RuntimeException {
    /** As the record has it: "UniqueViolation", "HTTPError" … */
    public final String type;

    /** What else is known of it: code, constraint, status … */
    public final Map<String, Object> more;

    public HostError(String type, String message, Map<String, Object> more) {
        super(message);
        this.type = type;
        this.more = more;
    }

    /** Ends the request with this status. */
    public static HostError http(int status, String message) {
        return new HostError("HTTPError", message, Json.object("status", status));
    }

    /** Asks for the job to be tried again after so many seconds. */
    public static HostError retry(double after, String message) {
        return new HostError("Retry", message, Json.object("after", after));
    }

    /** A member of `more`. */
    public Object get(String name) {
        return more.get(name);
    }
}
