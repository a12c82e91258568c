/** JSON values for AssemblyScript. Numbers keep their text, so that no digit is lost on the way. */

export enum Kind { Null, Boolean, Number, Text, List, Object }

export class Json {
  private text: string = "";
  private items: Json[] = [];
  private keys: string[] = [];

  private constructor(readonly kind: Kind) {}

  // Making values

  static null(): Json {
    return new Json(Kind.Null);
  }

  /** Of a boolean, a number, text or a Json. */
  static of<T>(value: T): Json {
    if (isBoolean(value)) {
      const made = new Json(Kind.Boolean);
      if (value) made.text = "true";
      return made;
    } else if (isInteger(value)) {
      const made = new Json(Kind.Number);
      made.text = value.toString();
      return made;
    } else if (isFloat(value)) {
      if (!isFinite(value)) return Json.null();
      const made = new Json(Kind.Number);
      const text = value.toString();
      made.text = text.endsWith(".0") ? text.slice(0, text.length - 2) : text;
      return made;
    } else if (isString(value)) {
      if (changetype<usize>(value) == 0) return Json.null();
      const made = new Json(Kind.Text);
      made.text = changetype<string>(value);
      return made;
    } else {
      return value;
    }
  }

  static list(items: Json[] = []): Json {
    const made = new Json(Kind.List);
    made.items = items;
    return made;
  }

  static object(): Json {
    return new Json(Kind.Object);
  }

  /** The value that a text holds; throws where it holds none. */
  static parse(text: string): Json {
    const reader = new Reader(text);
    const value = reader.value();
    reader.end();
    return value;
  }

  /** A member of an object, set. Gives the object, so that several can be set in one expression. */
  set<T>(key: string, value: T): Json {
    const at = this.keys.indexOf(key);
    if (at < 0) {
      this.keys.push(key);
      this.items.push(Json.of(value));
    } else {
      this.items[at] = Json.of(value);
    }
    return this;
  }

  /** An item, added to a list. Gives the list. */
  push<T>(value: T): Json {
    this.items.push(Json.of(value));
    return this;
  }

  // Looking at values: what is not there is null, and null is "", 0 and false

  get(key: string): Json {
    const at = this.keys.indexOf(key);
    return at < 0 ? Json.null() : this.items[at];
  }

  at(index: i32): Json {
    return index < this.items.length ? this.items[index] : Json.null();
  }

  has(key: string): bool {
    return this.keys.includes(key);
  }

  names(): string[] {
    return this.keys;
  }

  get length(): i32 {
    return this.items.length;
  }

  get isNull(): bool {
    return this.kind == Kind.Null;
  }

  /** Text as it is; a number as it was written. */
  string(): string {
    return this.text;
  }

  integer(): i64 {
    return this.text.length ? I64.parseInt(this.text) : 0;
  }

  number(): f64 {
    return this.text.length ? F64.parseFloat(this.text) : 0;
  }

  boolean(): bool {
    return this.kind == Kind.Boolean && this.text.length > 0;
  }

  toString(): string {
    const parts: string[] = [];
    this.write(parts);
    return parts.join("");
  }

  private write(to: string[]): void {
    if (this.kind == Kind.Null) {
      to.push("null");
    } else if (this.kind == Kind.Boolean) {
      to.push(this.text.length ? "true" : "false");
    } else if (this.kind == Kind.Number) {
      to.push(this.text);
    } else if (this.kind == Kind.Text) {
      quote(this.text, to);
    } else if (this.kind == Kind.List) {
      to.push("[");
      for (let i = 0; i < this.items.length; i++) {
        if (i) to.push(",");
        this.items[i].write(to);
      }
      to.push("]");
    } else {
      to.push("{");
      for (let i = 0; i < this.items.length; i++) {
        if (i) to.push(",");
        quote(this.keys[i], to);
        to.push(":");
        this.items[i].write(to);
      }
      to.push("}");
    }
  }

  /** @internal Of a number as it was written. */
  static numeric(text: string): Json {
    const made = new Json(Kind.Number);
    made.text = text;
    return made;
  }
}

function quote(text: string, to: string[]): void {
  to.push('"');
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x20 && code != 0x22 && code != 0x5c) continue;
    to.push(text.slice(from, i));
    to.push(code == 0x22 ? '\\"' : code == 0x5c ? "\\\\" : "\\u00" + (code < 0x10 ? "0" : "") + code.toString(16));
    from = i + 1;
  }
  to.push(from ? text.slice(from) : text);
  to.push('"');
}

class Reader {
  private at: i32 = 0;

  constructor(private text: string) {}

  value(): Json {
    this.space();
    const code = this.code();
    if (code == 0x7b) return this.object();
    if (code == 0x5b) return this.list();
    if (code == 0x22) return Json.of(this.string());
    if (this.word("null")) return Json.null();
    if (this.word("true")) return Json.of(true);
    if (this.word("false")) return Json.of(false);
    return this.number();
  }

  end(): void {
    this.space();
    if (this.at < this.text.length) throw new Error("not JSON: something follows the value");
  }

  private code(): i32 {
    return this.at < this.text.length ? this.text.charCodeAt(this.at) : -1;
  }

  private space(): void {
    for (let code = this.code(); code == 0x20 || (code >= 0x09 && code <= 0x0d); code = this.code()) this.at++;
  }

  private skip(code: i32): bool {
    this.space();
    if (this.code() != code) return false;
    this.at++;
    return true;
  }

  private word(word: string): bool {
    if (!this.text.startsWith(word, this.at)) return false;
    this.at += word.length;
    return true;
  }

  private object(): Json {
    const made = Json.object();
    this.at++;
    if (this.skip(0x7d)) return made;
    do {
      this.space();
      const key = this.string();
      if (!this.skip(0x3a)) throw new Error("not JSON: a colon is missing");
      made.set(key, this.value());
    } while (this.skip(0x2c));
    if (!this.skip(0x7d)) throw new Error("not JSON: an object does not end");
    return made;
  }

  private list(): Json {
    const made = Json.list();
    this.at++;
    if (this.skip(0x5d)) return made;
    do made.push(this.value());
    while (this.skip(0x2c));
    if (!this.skip(0x5d)) throw new Error("not JSON: a list does not end");
    return made;
  }

  private string(): string {
    if (this.code() != 0x22) throw new Error("not JSON: text is missing");
    let from = ++this.at;
    let parts: string[] | null = null;
    while (true) {
      const code = this.code();
      if (code < 0) throw new Error("not JSON: text does not end");
      if (code != 0x22 && code != 0x5c) {
        this.at++;
        continue;
      }
      const part = this.text.slice(from, this.at++);
      if (code == 0x22) {
        if (parts == null) return part;
        parts.push(part);
        return parts.join("");
      }
      if (parts == null) parts = [];
      parts.push(part);
      parts.push(this.escaped());
      from = this.at;
    }
  }

  private escaped(): string {
    const code = this.code();
    this.at++;
    if (code == 0x75) {
      this.at += 4;
      return String.fromCharCode(<i32>I32.parseInt(this.text.slice(this.at - 4, this.at), 16));
    }
    const known = "bfnrt".indexOf(String.fromCharCode(code));
    return known < 0 ? String.fromCharCode(code) : "\b\f\n\r\t".charAt(known);
  }

  private number(): Json {
    const from = this.at;
    for (let code = this.code(); code >= 0 && "+-.eE0123456789".indexOf(String.fromCharCode(code)) >= 0; code = this.code())
      this.at++;
    if (from == this.at) throw new Error("not JSON: a value is missing");
    return Json.numeric(this.text.slice(from, this.at));
  }
}
