package flux;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * JSON as Java's own values: Map, List, String, Long, Double, Boolean and null. An integer of more than 64 bits is a
 * Double; Postgres' numeric comes as text, with every digit.
 */
public final class Json {
    private final String text;
    private int at;

    private Json(String text) {
        this.text = text;
    }

    /** The value that a text holds. */
    public static Object parse(String text) {
        Json json = new Json(text);
        Object value = json.value();
        json.space();
        if (json.at < text.length()) {
            throw json.wrong("something follows the value");
        }
        return value;
    }

    /** A value as JSON. */
    public static String of(Object value) {
        StringBuilder to = new StringBuilder();
        write(value, to);
        return to.toString();
    }

    /** An object of these members: names and values by turns. */
    public static Map<String, Object> object(Object... members) {
        Map<String, Object> made = new LinkedHashMap<>();
        for (int i = 0; i < members.length; i += 2) {
            made.put((String) members[i], members[i + 1]);
        }
        return made;
    }

    private static void write(Object value, StringBuilder to) {
        if (value instanceof Map<?, ?> map) {
            char before = '{';
            for (Map.Entry<?, ?> member : map.entrySet()) {
                to.append(before);
                quote(String.valueOf(member.getKey()), to);
                to.append(':');
                write(member.getValue(), to);
                before = ',';
            }
            to.append(before == '{' ? "{}" : "}");
        } else if (value instanceof Iterable<?> list) {
            char before = '[';
            for (Object item : list) {
                to.append(before);
                write(item, to);
                before = ',';
            }
            to.append(before == '[' ? "[]" : "]");
        } else if (value instanceof Double number && (number.isNaN() || number.isInfinite())) {
            to.append("null");
        } else if (value == null || value instanceof Number || value instanceof Boolean) {
            to.append(value);
        } else {
            quote(value.toString(), to);
        }
    }

    private static void quote(String text, StringBuilder to) {
        to.append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '"' || c == '\\') {
                to.append('\\').append(c);
            } else if (c < 0x20) {
                to.append(c < 0x10 ? "\\u000" : "\\u00").append(Integer.toHexString(c));
            } else {
                to.append(c);
            }
        }
        to.append('"');
    }

    private Object value() {
        space();
        if (at >= text.length()) {
            throw wrong("a value is missing");
        }
        switch (text.charAt(at)) {
            case '{':
                return object();
            case '[':
                return list();
            case '"':
                return string();
            default:
                return word("null") ? null : word("true") ? Boolean.TRUE : word("false") ? Boolean.FALSE : number();
        }
    }

    private Map<String, Object> object() {
        Map<String, Object> made = new LinkedHashMap<>();
        at++;
        if (skip('}')) {
            return made;
        }
        do {
            space();
            String name = string();
            if (!skip(':')) {
                throw wrong("a colon is missing");
            }
            made.put(name, value());
        } while (skip(','));
        if (!skip('}')) {
            throw wrong("an object does not end");
        }
        return made;
    }

    private List<Object> list() {
        List<Object> made = new ArrayList<>();
        at++;
        if (skip(']')) {
            return made;
        }
        do {
            made.add(value());
        } while (skip(','));
        if (!skip(']')) {
            throw wrong("a list does not end");
        }
        return made;
    }

    private String string() {
        if (at >= text.length() || text.charAt(at) != '"') {
            throw wrong("text is missing");
        }
        int from = ++at;
        StringBuilder parts = null;
        for (; at < text.length(); at++) {
            char c = text.charAt(at);
            if (c == '"') {
                String last = text.substring(from, at++);
                return parts == null ? last : parts.append(last).toString();
            }
            if (c == '\\') {
                parts = parts == null ? new StringBuilder() : parts;
                parts.append(text, from, at++).append(escaped());
                from = at + 1;
            }
        }
        throw wrong("text does not end");
    }

    private char escaped() {
        char c = text.charAt(at);
        if (c == 'u') {
            at += 4;
            return (char) Integer.parseInt(text.substring(at - 3, at + 1), 16);
        }
        int known = "bfnrt".indexOf(c);
        return known < 0 ? c : "\b\f\n\r\t".charAt(known);
    }

    private Object number() {
        int from = at;
        boolean whole = true;
        for (; at < text.length() && "+-.eE0123456789".indexOf(text.charAt(at)) >= 0; at++) {
            whole &= ".eE".indexOf(text.charAt(at)) < 0;
        }
        String digits = text.substring(from, at);
        try {
            if (whole && digits.length() < 20) {
                return Long.parseLong(digits);
            }
        } catch (NumberFormatException tooLong) {
            // it is a Double then
        }
        try {
            return Double.parseDouble(digits);
        } catch (NumberFormatException none) {
            throw wrong("a value is missing");
        }
    }

    private void space() {
        while (at < text.length() && text.charAt(at) <= ' ') {
            at++;
        }
    }

    private boolean skip(char c) {
        space();
        boolean there = at < text.length() && text.charAt(at) == c;
        at += there ? 1 : 0;
        return there;
    }

    private boolean word(String word) {
        boolean there = text.startsWith(word, at);
        at += there ? word.length() : 0;
        return there;
    }

    private IllegalArgumentException wrong(String what) {
        return new IllegalArgumentException("not JSON: " + what + " at " + at);
    }
}
